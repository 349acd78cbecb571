/* spawn: another process becomes a program. libc's own function does it, after the question.
 *
 * MUST pass actions and attributes through untouched; their layout is libc's.
 * MUST answer with an error number and leave errno alone, as POSIX says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "decide.h"
#include "entry.h"
#include "env.h"
#include "search.h"
#include "text.h"

struct spawn {
    spawn_function *real;
    int *process;
    const char *path;
    const void *actions;
    const void *attributes;
    char *const *argv;
};

static long start(void *context, char *const *environment) {
    const struct spawn *spawn = context;
    return spawn->real(spawn->process, spawn->path, spawn->actions, spawn->attributes, spawn->argv,
                       environment);
}

static int guarded(const char *entry, struct spawn *spawn, char *const *environment) {
    if (!spawn->real) {
        return ENOSYS;
    }
    if (guarding()) {
        if (!spawn->path) {
            return EFAULT;
        }
        /* WHY: an action may change the directory that a relative path is looked up in */
        bool moved = spawn->actions && *spawn->path != '/';
        long missing = moved ? 0 : search_check(AT_FDCWD, spawn->path);
        if (missing) {
            return (int)-missing;
        }
        struct query query = {.entry = entry, .path = spawn->path, .argv = spawn->argv};
        if (!decide(&query)) {
            return EPERM;
        }
    }
    return (int)env_apply(environment, start, spawn);
}

/* Looks the file up here, so that what is asked for is what runs. `searching` is libc's function
 * that takes a name; `spawn->real` takes a path. */
static int searched(const char *entry, struct spawn *spawn, spawn_function *searching,
                    char *const *environment) {
    struct search search;
    const char *file = spawn->path;
    bool forbidden = false;
    if (!guarding()) {
        spawn->real = searching;
        return searching ? (int)start(spawn, environment) : ENOSYS;
    }
    if (!file || text_has(file, '/')) {
        return guarded(entry, spawn, environment);
    }
    if (!*file) {
        return ENOENT;
    }
    for (search_start(&search, file); search_next(&search);) {
        long missing = search_check(AT_FDCWD, search.candidate);
        forbidden = forbidden || missing == -EACCES;
        if (!missing) {
            spawn->path = search.candidate;
            return guarded(entry, spawn, environment);
        }
    }
    if (spawn->actions) { /* it may be found from the directory that an action enters */
        spawn->real = searching;
        return guarded(entry, spawn, environment);
    }
    return forbidden ? EACCES : ENOENT;
}

int posix_spawn(int *process, const char *path, const void *actions, const void *attributes,
                char *const argv[], char *const envp[]) {
    struct spawn spawn = {real.posix_spawn, process, path, actions, attributes, argv};
    return guarded("posix_spawn", &spawn, envp);
}

int posix_spawnp(int *process, const char *file, const void *actions, const void *attributes,
                 char *const argv[], char *const envp[]) {
    struct spawn spawn = {real.posix_spawn, process, file, actions, attributes, argv};
    return searched("posix_spawnp", &spawn, real.posix_spawnp, envp);
}

/* WHY: looked up here and not at the start: only newer libcs have it, and only their programs call
 * it. It is never called in a vfork child. */
static spawn_function *pidfd_function(const char *name) {
    union {
        void *pointer;
        spawn_function *function;
    } found = {.pointer = real_lookup(name)};
    return found.function;
}

int pidfd_spawn(int *process, const char *path, const void *actions, const void *attributes,
                char *const argv[], char *const envp[]) {
    spawn_function *direct = pidfd_function("pidfd_spawn");
    struct spawn spawn = {direct, process, path, actions, attributes, argv};
    return guarded("pidfd_spawn", &spawn, envp);
}

int pidfd_spawnp(int *process, const char *file, const void *actions, const void *attributes,
                 char *const argv[], char *const envp[]) {
    spawn_function *direct = pidfd_function("pidfd_spawn");
    struct spawn spawn = {direct, process, file, actions, attributes, argv};
    return searched("pidfd_spawnp", &spawn, pidfd_function("pidfd_spawnp"), envp);
}
