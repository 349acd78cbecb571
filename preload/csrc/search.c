#include "search.h"

#include <errno.h>
#include <fcntl.h>

#include "entry.h"
#include "raw.h"
#include "text.h"

#define PATH_DEFAULT "/bin:/usr/bin"
#define X_OK 1

static const char *path_variable(void) {
    static const char name[] = "PATH=";
    for (char *const *entry = inherited(); entry && *entry; entry++) {
        if (text_starts(*entry, name)) {
            return *entry + sizeof name - 1;
        }
    }
    return PATH_DEFAULT;
}

void search_start(struct search *search, const char *file) {
    search->rest = path_variable();
    search->file = file;
    search->skipped = false;
}

bool search_next(struct search *search) {
    while (search->rest) {
        const char *start = search->rest;
        const char *end = start;
        while (*end && *end != ':') {
            end++;
        }
        search->rest = *end ? end + 1 : NULL;
        struct buffer path = {search->candidate, CANDIDATE_SIZE - 1, 0, false};
        put_bytes(&path, start, (size_t)(end - start));
        put_text(&path, end == start ? "" : "/"); /* an empty element is the working directory */
        put_text(&path, search->file);
        search->candidate[path.used] = 0;
        if (!path.full) {
            return true;
        }
        search->skipped = true;
    }
    return false;
}

long search_check(int folder, const char *path) {
    long result = raw4(SYS_faccessat2, folder, path, X_OK, AT_EACCESS);
    if (result != -ENOSYS && result != -EPERM) {
        return RAW_FAILED(result) ? result : 0;
    }
    /* an older kernel or a sandbox: this call goes by the real user, so only absence is certain */
    result = raw3(SYS_faccessat, folder, path, X_OK);
    return result == -ENOENT || result == -ENOTDIR ? result : 0;
}
