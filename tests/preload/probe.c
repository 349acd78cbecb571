/* Calls one function that runs a program, and prints what the call did to this process.
 *
 *   probe ENTRY MARKER OUT     MARKER is this program under the name `marker`
 *   marker OUT ...             appends its arguments and its guard's variables to OUT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

typedef int spawn_function(int *, const char *, const void *, const void *, char *const *,
                           char *const *);
extern spawn_function pidfd_spawn __attribute__((weak));
extern spawn_function pidfd_spawnp __attribute__((weak));
extern int execveat(int, const char *, char *const[], char *const[], int) __attribute__((weak));
extern int __execvpe(const char *, char *const[], char *const[]) __attribute__((weak));
extern char **environ;

static const char *marker;
static const char *out;
static char *arguments[] = {NULL, NULL, "arg two", NULL};
static char *bare[] = {"BARE=1", NULL};

struct state {
    char fds[256];
    uint64_t environment;
    uint64_t signals;
};

static int mark(int argc, char **argv) {
    FILE *file = fopen(argv[1], "a");
    fprintf(file, "argc=%d", argc);
    for (int n = 2; n < argc; n++) {
        fprintf(file, " [%s]", argv[n]);
    }
    for (char **entry = environ; *entry; entry++) {
        if (!strncmp(*entry, "RAMPART_", 8) || !strncmp(*entry, "LD_PRELOAD=", 11) ||
            !strncmp(*entry, "BARE=", 5)) {
            fprintf(file, " %s", *entry);
        }
    }
    fprintf(file, "\n");
    fclose(file);
    return 7;
}

static struct state look(void) {
    struct state now;
    memset(&now, 0, sizeof now);
    DIR *folder = opendir("/proc/self/fd");
    size_t used = 0;
    for (struct dirent *each; (each = readdir(folder));) {
        if (atoi(each->d_name) != dirfd(folder)) {
            used += (size_t)snprintf(now.fds + used, sizeof now.fds - used, "%s,", each->d_name);
        }
    }
    closedir(folder);
    now.environment = (uint64_t)(uintptr_t)environ;
    for (char **entry = environ; entry && *entry; entry++) {
        for (char *at = *entry; *at; at++) {
            now.environment = now.environment * 31 + (unsigned char)*at;
        }
    }
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        sigaction(number, NULL, &action);
        now.signals = now.signals * 31 + (uint64_t)sigismember(&blocked, number) +
                      2 * (uint64_t)(uintptr_t)action.sa_handler;
    }
    return now;
}

static int waited(int error, pid_t child) {
    int status;
    if (error) {
        return error;
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? 1000 + WEXITSTATUS(status) : 2000 + WTERMSIG(status);
}

static int by_name(spawn_function *function) {
    int child = 0;
    int error = function(&child, "marker", NULL, NULL, arguments, environ);
    return waited(error, child);
}

static int by_path(spawn_function *function) {
    int child = 0;
    int error = function(&child, marker, NULL, NULL, arguments, environ);
    return waited(error, child);
}

static int vforked(void) {
    pid_t child = vfork();
    if (!child) {
        execve(marker, arguments, environ);
        _exit(errno);
    }
    return waited(0, child);
}

static void *thread(void *stack) {
    (void)stack;
    static long result;
    result = vforked();
    return &result;
}

static int small_stack(void) {
    static char memory[20480] __attribute__((aligned(4096)));
    pthread_attr_t attributes;
    pthread_t id;
    void *result;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory, sizeof memory);
    if (pthread_create(&id, &attributes, thread, NULL)) {
        return -1;
    }
    pthread_join(id, &result);
    return (int)*(long *)result;
}

static int text(const char *entry) {
    char command[8192];
    snprintf(command, sizeof command, "%s %s 'arg two'", marker, out);
    if (!strcmp(entry, "system")) {
        int status = system(command);
        return status == -1 ? -1 : 1000 + WEXITSTATUS(status);
    }
    if (!strcmp(entry, "popen")) {
        FILE *stream = popen(command, "r");
        return stream ? 1000 + WEXITSTATUS(pclose(stream)) : -1;
    }
    char words[8300];
    wordexp_t result;
    snprintf(words, sizeof words, "$(%s)", command);
    return wordexp(words, &result, 0);
}

static int call(const char *entry) {
    if (!strcmp(entry, "execve")) return execve(marker, arguments, environ);
    if (!strcmp(entry, "execve-bare")) return execve(marker, arguments, bare);
    if (!strcmp(entry, "execve-null")) return execve(marker, NULL, NULL);
    if (!strcmp(entry, "execve-nopath")) return execve(NULL, arguments, environ);
    if (!strcmp(entry, "execv")) return execv(marker, arguments);
    if (!strcmp(entry, "execvp")) return execvp("marker", arguments);
    if (!strcmp(entry, "execvpe")) return execvpe("marker", arguments, environ);
    if (!strcmp(entry, "__execvpe")) return __execvpe("marker", arguments, environ);
    if (!strcmp(entry, "execl")) return execl(marker, marker, out, "arg two", (char *)NULL);
    if (!strcmp(entry, "execlp")) return execlp("marker", marker, out, "arg two", (char *)NULL);
    if (!strcmp(entry, "execle")) {
        return execle(marker, marker, out, "arg two", (char *)NULL, bare);
    }
    if (!strcmp(entry, "execvp-script")) return execvp("script", arguments);
    if (!strcmp(entry, "fexecve")) {
        return fexecve(open(marker, O_RDONLY | O_CLOEXEC), arguments, environ);
    }
    if (!strcmp(entry, "execveat")) return execveat(AT_FDCWD, marker, arguments, environ, 0);
    if (!strcmp(entry, "execveat-relative")) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s", marker);
        *strrchr(folder, '/') = 0;
        int opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return execveat(opened, "marker", arguments, environ, 0);
    }
    if (!strcmp(entry, "posix_spawn")) return by_path((spawn_function *)(void *)posix_spawn);
    if (!strcmp(entry, "posix_spawnp")) return by_name((spawn_function *)(void *)posix_spawnp);
    if (!strcmp(entry, "pidfd_spawn")) return by_path(pidfd_spawn);
    if (!strcmp(entry, "pidfd_spawnp")) return by_name(pidfd_spawnp);
    if (!strcmp(entry, "vfork")) return vforked();
    if (!strcmp(entry, "small-stack")) return small_stack();
    if (!strcmp(entry, "system-null")) return system(NULL);
    if (!strcmp(entry, "system-scrubbed")) {
        unsetenv("LD_PRELOAD");
        unsetenv("RAMPART_SOCKET");
        return text("system");
    }
    if (!strcmp(entry, "popen-scrubbed")) {
        clearenv();
        return text("popen");
    }
    return text(entry);
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    if (!strcmp(slash ? slash + 1 : argv[0], "marker")) {
        return mark(argc, argv);
    }
    if (argc != 4) {
        return 2;
    }
    marker = argv[2];
    out = argv[3];
    arguments[0] = argv[2];
    arguments[1] = argv[3];
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_BLOCK, &some, NULL);
    int opens = !strcmp(argv[1], "fexecve") || !strcmp(argv[1], "execveat-relative");
    int scrubs = strstr(argv[1], "scrubbed") != NULL;
    struct state before = look();
    errno = 77;
    int result = call(argv[1]);
    int error = errno;
    if (opens) {
        close(3);
    }
    struct state after = look();
    printf("{\"result\": %d, \"errno\": %d, \"fds\": %s, \"environ\": %s, \"signals\": %s}\n",
           result, error, strcmp(before.fds, after.fds) ? "false" : "true",
           !scrubs && before.environment != after.environment ? "false" : "true",
           before.signals == after.signals ? "true" : "false");
    return 0;
}
