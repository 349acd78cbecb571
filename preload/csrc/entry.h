/* entry: the functions that take the place of libc's, and what they need from it.
 *
 * WHY: libc's own headers are not included where these are defined. They declare parameters as
 * never NULL, and the compiler would remove the checks for it.
 */
#ifndef RAMPART_ENTRY_H
#define RAMPART_ENTRY_H

#include <stddef.h>
#include <sys/types.h>

#define EXPORT __attribute__((visibility("default")))
#define IMPORT extern __attribute__((weak, visibility("default")))

IMPORT char **environ;
IMPORT void *dlsym(void *restrict handle, const char *restrict name);

typedef int spawn_function(int *process, const char *path, const void *actions,
                           const void *attributes, char *const *argv, char *const *environment);

/* libc's own functions; NULL where it has none. */
struct real {
    spawn_function *posix_spawn;
    spawn_function *posix_spawnp;
    int (*system)(const char *command);
    void *(*popen)(const char *command, const char *type);
    int (*wordexp)(const char *words, void *result, int flags);
};

extern struct real real;

/* Looks them up. WHY: at the start, not when they are called: a lookup may allocate and lock. */
void real_resolve(void);
void *real_lookup(const char *name);

/* The environment of this process; NULL if it has none. */
char *const *inherited(void);

/* Sets errno and returns -1. */
int fail(long error);

EXPORT int execve(const char *path, char *const argv[], char *const envp[]);
EXPORT int execv(const char *path, char *const argv[]);
EXPORT int execvp(const char *file, char *const argv[]);
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]);
EXPORT int __execvpe(const char *file, char *const argv[], char *const envp[]);
EXPORT int execl(const char *path, const char *arg, ...);
EXPORT int execlp(const char *file, const char *arg, ...);
EXPORT int execle(const char *path, const char *arg, ...);
EXPORT int fexecve(int fd, char *const argv[], char *const envp[]);
EXPORT int execveat(int folder, const char *path, char *const argv[], char *const envp[],
                    int flags);
EXPORT int posix_spawn(int *process, const char *path, const void *actions,
                       const void *attributes, char *const argv[], char *const envp[]);
EXPORT int posix_spawnp(int *process, const char *file, const void *actions,
                        const void *attributes, char *const argv[], char *const envp[]);
EXPORT int pidfd_spawn(int *process, const char *path, const void *actions,
                       const void *attributes, char *const argv[], char *const envp[]);
EXPORT int pidfd_spawnp(int *process, const char *file, const void *actions,
                        const void *attributes, char *const argv[], char *const envp[]);
EXPORT int system(const char *command);
EXPORT void *popen(const char *command, const char *type);
EXPORT int wordexp(const char *words, void *result, int flags);

#endif
