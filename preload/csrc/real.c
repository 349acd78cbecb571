#include "entry.h"

#include <errno.h>

#define NEXT ((void *)-1L) /* RTLD_NEXT, the same on glibc and musl */

struct real real;

void *real_lookup(const char *name) {
    return dlsym ? dlsym(NEXT, name) : NULL;
}

void real_resolve(void) {
    /* WHY: only functions that every libc has. Looking up one that is missing allocates the
     * message of an error that nobody reads. */
    *(void **)&real.posix_spawn = real_lookup("posix_spawn");
    *(void **)&real.posix_spawnp = real_lookup("posix_spawnp");
    *(void **)&real.system = real_lookup("system");
    *(void **)&real.popen = real_lookup("popen");
    *(void **)&real.wordexp = real_lookup("wordexp");
}

int fail(long error) {
    errno = (int)(error < 0 ? -error : error);
    return -1;
}

char *const *inherited(void) {
    return &environ ? environ : NULL;
}
