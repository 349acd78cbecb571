/* search: which file a bare name means. */
#ifndef RAMPART_SEARCH_H
#define RAMPART_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#define CANDIDATE_SIZE 1024 /* LIMIT: longer ones are skipped; no real PATH holds one */

/* Walks through PATH. `candidate` is the file to try next. */
struct search {
    const char *rest; /* NULL: at the end */
    const char *file;
    bool skipped; /* a candidate was too long */
    char candidate[CANDIDATE_SIZE];
};

void search_start(struct search *search, const char *file);
bool search_next(struct search *search);

/* Returns 0 if the kernel could run `path`, or the error that it would give. Asked first so that
 * a walk through PATH is one query and not one for each directory. */
long search_check(int folder, const char *path);

#endif
