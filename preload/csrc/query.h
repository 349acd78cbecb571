/* query: the question, and the two ways to ask it. */
#ifndef RAMPART_QUERY_H
#define RAMPART_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

#define REASON_SIZE 256 /* with its NUL; the wire allows 255 bytes */

struct query {
    const char *entry;  /* the function that was called */
    const char *folder; /* stands before `path` and ends with a slash; NULL: nothing does */
    const char *path;
    char *const *argv; /* may be NULL */
};

enum outcome {
    OUTCOME_ALLOW,
    OUTCOME_WATCH,
    OUTCOME_ASK,
    OUTCOME_DENY,
    OUTCOME_UNREACHABLE, /* not connected, or no answer in time: fail-open decides */
    OUTCOME_BROKEN,      /* anything but an answer: refused */
};

struct answer {
    enum outcome outcome;
    bool connected;
    char reason[REASON_SIZE];
};

/* MUST NOT copy the arguments: there may be two megabytes of them and 16 KiB of stack. */
void wire_ask(const struct query *query, int64_t deadline_ms, struct answer *answer);
void http_ask(const struct query *query, int64_t deadline_ms, struct answer *answer);

#define HTTP_ROUTE "/v1/preflight/exec"


#endif
