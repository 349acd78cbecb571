/* Measures in one run, in turns: a plain spawn, one whose child loads the library, a guarded one.
 * Prints the median of each in microseconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

typedef int spawn_function(pid_t *, const char *, const void *, const void *, char *const *,
                           char *const *);
extern char **environ;

static int compare(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double spawn_us(spawn_function *spawn, char *const *environment) {
    char *argv[] = {"/bin/true", NULL};
    struct timespec start;
    struct timespec end;
    pid_t child;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (spawn(&child, argv[0], NULL, NULL, argv, environment)) {
        exit(1);
    }
    waitpid(child, NULL, 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 500;
    char *bare[] = {"A=b", NULL};
    void *libc = dlopen("libc.so.6", RTLD_LAZY);
    spawn_function *plain = (spawn_function *)dlsym(libc, "posix_spawn");
    spawn_function *guarded = (spawn_function *)dlsym(RTLD_DEFAULT, "posix_spawn");
    double *times[3];
    for (int each = 0; each < 3; each++) {
        times[each] = malloc((size_t)count * sizeof(double));
    }
    for (int n = 0; n < count; n++) {
        times[0][n] = spawn_us(plain, bare);
        times[1][n] = spawn_us(plain, environ);
        times[2][n] = spawn_us(guarded, environ);
    }
    for (int each = 0; each < 3; each++) {
        qsort(times[each], (size_t)count, sizeof(double), compare);
        printf("%.1f\n", times[each][count / 2]);
    }
    return 0;
}
