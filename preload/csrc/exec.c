/* exec: this process becomes another program.
 *
 * Often called in a vfork child, which shares its memory with the parent:
 * MUST NOT write to anything but the stack and errno.
 * MUST NOT allocate, lock, look up a symbol or call into libc.
 * MUST NOT use more than 2 KiB of stack in one frame; 16 KiB threads execute programs.
 * MUST end in the kernel's own call, so that nothing else can intercept it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "decide.h"
#include "entry.h"
#include "env.h"
#include "raw.h"
#include "search.h"
#include "text.h"

#define SHELL "/bin/sh"
#define WORDS 160 /* LIMIT: pointers on the stack; a longer list is mapped */
#define LINK_SIZE 1024

/* A program to run. `folder` and `flags` as for execveat. */
struct program {
    int folder;
    const char *path;
    char *const *argv;
    int flags;
};

static long enter(void *context, char *const *environment) {
    const struct program *program = context;
    if (program->folder == AT_FDCWD && !program->flags) {
        return raw3(SYS_execve, program->path, program->argv, environment);
    }
    return raw5(SYS_execveat, program->folder, program->path, program->argv, environment,
                program->flags);
}

static long run(struct program *program, char *const *environment) {
    return env_apply(environment, enter, program);
}

/* Returns only with an error. */
static long guarded(const char *entry, const char *path, char *const *argv,
                    char *const *environment) {
    struct program program = {AT_FDCWD, path, argv, 0};
    if (guarding()) {
        if (!path) {
            return -EFAULT;
        }
        long missing = search_check(AT_FDCWD, path);
        if (missing) {
            return missing;
        }
        if (!decide(&(struct query){.entry = entry, .path = path, .argv = argv})) {
            return -EPERM;
        }
    }
    return run(&program, environment);
}

static size_t count_of(char *const *list) {
    size_t count = 0;
    while (list && list[count]) {
        count++;
    }
    return count;
}

static void *map(size_t size) {
    long got = raw6(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
    return RAW_FAILED(got) ? NULL : (void *)got;
}

static long run_script(char **words, const char *path, char *const *argv,
                       char *const *environment) {
    size_t out = 2;
    words[0] = unconst(SHELL);
    words[1] = unconst(path);
    for (size_t n = 1; n < count_of(argv); n++) {
        words[out++] = argv[n];
    }
    words[out] = NULL;
    struct program shell = {AT_FDCWD, SHELL, words, 0};
    return run(&shell, environment);
}

__attribute__((noinline)) static long run_script_small(const char *path, char *const *argv,
                                                       char *const *environment) {
    char *words[WORDS];
    return run_script(words, path, argv, environment);
}

/* A file that the kernel does not know how to run is a shell script, as in every libc. The
 * question was about this file; it is not asked again. */
static long script(const char *path, char *const *argv, char *const *environment) {
    size_t count = count_of(argv) + 3;
    if (count <= WORDS) {
        return run_script_small(path, argv, environment);
    }
    char **words = map(count * sizeof *words);
    if (!words) {
        return -ENOMEM;
    }
    long result = run_script(words, path, argv, environment);
    raw2(SYS_munmap, words, count * sizeof *words);
    return result;
}

static long guarded_or_script(const char *entry, const char *path, char *const *argv,
                              char *const *environment) {
    long result = guarded(entry, path, argv, environment);
    return result == -ENOEXEC ? script(path, argv, environment) : result;
}

/* The errors that let a walk through PATH go on. */
static bool goes_on(long error) {
    return error == -ENOENT || error == -ENOTDIR || error == -ESTALE || error == -ENODEV ||
           error == -ETIMEDOUT || error == -EACCES;
}

static long searched(const char *entry, const char *file, char *const *argv,
                     char *const *environment) {
    struct search search;
    long result = -ENOENT;
    bool forbidden = false;
    if (!file) {
        return -EFAULT;
    }
    if (!*file) {
        return -ENOENT;
    }
    if (text_has(file, '/')) {
        return guarded_or_script(entry, file, argv, environment);
    }
    for (search_start(&search, file); search_next(&search);) {
        result = guarded_or_script(entry, search.candidate, argv, environment);
        if (!goes_on(result)) {
            return result;
        }
        forbidden = forbidden || result == -EACCES;
    }
    if (forbidden) {
        return -EACCES;
    }
    return search.skipped ? -ENAMETOOLONG : result;
}

/* Writes where an open file or directory is, or a name for it that the service can resolve. */
static void describe(int fd, char *into, size_t size) {
    char link[32];
    struct buffer name = {link, sizeof link - 1, 0, false};
    put_text(&name, "/proc/self/fd/");
    put_number(&name, (unsigned long)(unsigned)fd);
    link[name.used] = 0;
    long got = raw4(SYS_readlinkat, AT_FDCWD, link, into, size - 2);
    if (RAW_FAILED(got) || (size_t)got >= size - 2) {
        memcpy(into, link, name.used);
        got = (long)name.used;
    }
    into[got] = 0;
}

static long guarded_at(const char *entry, struct program *program, char *const *environment) {
    char link[LINK_SIZE];
    struct query query = {.entry = entry, .path = program->path, .argv = program->argv};
    bool itself = (program->flags & AT_EMPTY_PATH) && program->path && !*program->path;
    if (!guarding()) {
        return run(program, environment);
    }
    if (!program->path) {
        return -EFAULT;
    }
    long missing = itself ? 0 : search_check(program->folder, program->path);
    if (missing) {
        return missing;
    }
    if (program->folder != AT_FDCWD && (itself || *program->path != '/')) {
        describe(program->folder, link, sizeof link);
        query.path = itself ? link : program->path;
        query.folder = itself ? NULL : link;
        if (!itself) {
            size_t end = text_length(link);
            link[end] = '/';
            link[end + 1] = 0;
        }
    }
    return decide(&query) ? run(program, environment) : -EPERM;
}

int execve(const char *path, char *const argv[], char *const envp[]) {
    return fail(guarded("execve", path, argv, envp));
}

int execv(const char *path, char *const argv[]) {
    return fail(guarded("execv", path, argv, inherited()));
}

int execvp(const char *file, char *const argv[]) {
    return fail(searched("execvp", file, argv, inherited()));
}

int execvpe(const char *file, char *const argv[], char *const envp[]) {
    return fail(searched("execvpe", file, argv, envp));
}

int __execvpe(const char *file, char *const argv[], char *const envp[]) {
    return fail(searched("execvpe", file, argv, envp));
}

int fexecve(int fd, char *const argv[], char *const envp[]) {
    struct program program = {fd, "", argv, AT_EMPTY_PATH};
    return fail(argv && envp && fd >= 0 ? guarded_at("fexecve", &program, envp) : -EINVAL);
}

int execveat(int folder, const char *path, char *const argv[], char *const envp[], int flags) {
    struct program program = {folder, path, argv, flags};
    return fail(guarded_at("execveat", &program, envp));
}

enum form { FORM_PATH, FORM_SEARCH, FORM_ENVIRONMENT };

/* Gathers the arguments of execl and its kind. `count` is without the final NULL. */
static long gathered(enum form form, const char *path, char **words, size_t count,
                     const char *first, va_list *rest) {
    words[0] = unconst(first);
    for (size_t n = 1; n <= count && count; n++) {
        words[n] = va_arg(*rest, char *);
    }
    switch (form) {
    case FORM_PATH:
        return guarded("execl", path, words, inherited());
    case FORM_SEARCH:
        return searched("execlp", path, words, inherited());
    case FORM_ENVIRONMENT:
        break;
    }
    return guarded("execle", path, words, va_arg(*rest, char **));
}

__attribute__((noinline)) static long gathered_small(enum form form, const char *path, size_t count,
                                                     const char *first, va_list *rest) {
    char *words[WORDS];
    return gathered(form, path, words, count, first, rest);
}

static int variadic(enum form form, const char *path, const char *first, va_list *rest,
                    va_list *counting) {
    size_t count = 0;
    for (const char *word = first; word; word = va_arg(*counting, char *)) {
        count++;
    }
    if (count < WORDS) {
        return fail(gathered_small(form, path, count, first, rest));
    }
    size_t size = (count + 1) * sizeof(char *);
    char **words = map(size);
    if (!words) {
        return fail(ENOMEM);
    }
    long result = gathered(form, path, words, count, first, rest);
    raw2(SYS_munmap, words, size);
    return fail(result);
}

#define VARIADIC(name, form)                                 \
    int name(const char *path, const char *arg, ...) {       \
        va_list rest;                                        \
        va_list counting;                                    \
        va_start(rest, arg);                                 \
        va_copy(counting, rest);                             \
        int result = variadic(form, path, arg, &rest, &counting); \
        va_end(counting);                                    \
        va_end(rest);                                        \
        return result;                                       \
    }

VARIADIC(execl, FORM_PATH)
VARIADIC(execlp, FORM_SEARCH)
VARIADIC(execle, FORM_ENVIRONMENT)
