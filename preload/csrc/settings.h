/* settings: what the library was told at the start of the program.
 *
 * INVARIANT: nothing here changes once it is ready; the page is read-only from then on, so that
 * neither the program nor a vfork child can turn the guard off by accident.
 */
#ifndef RAMPART_SETTINGS_H
#define RAMPART_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum mode { MODE_ENFORCE, MODE_MONITOR, MODE_DISABLED };

/* The variables that the library reads, and that no child may lose or change. */
enum variable {
    VARIABLE_PRELOAD,
    VARIABLE_URL,
    VARIABLE_TOKEN,
    VARIABLE_MODE,
    VARIABLE_FAIL_OPEN,
    VARIABLE_AGENT,
    VARIABLE_SESSION,
    VARIABLE_DEBUG,
    VARIABLE_SOCKET,
    VARIABLE_COUNT
};

struct address {
    socklen_t size; /* 0: there is none */
    union {
        struct sockaddr any;
        char bytes[128];
    } to;
};

struct settings {
    enum mode mode;
    bool fail_open;
    bool debug;
    const char *fault; /* why nothing can be asked; commands are refused */
    const char *agent;
    const char *session;
    const char *token;       /* NULL: none */
    const char *socket_path; /* NULL: none */
    const char *url;
    const char *authority; /* the part of the URL between the slashes */
    size_t authority_size;
    struct address local;
    struct address http;
    const char *own; /* our own element of LD_PRELOAD; NULL where it was loaded in another way */
    size_t own_size;
    const char *entries[VARIABLE_COUNT]; /* `NAME=value`, or NULL */
};

/* Returns the settings; reads them from the environment at first use. */
const struct settings *settings_get(void);

/* Returns which variable an entry of an environment sets, or VARIABLE_COUNT. */
enum variable variable_of(const char *entry);

/* The value in an entry of `variable`. */
const char *variable_value(const char *entry, enum variable variable);
const char *variable_name(enum variable variable);

/* True if `list`, a value of LD_PRELOAD, holds the element `own`. */
bool preload_holds(const char *list, const char *own, size_t own_size);

#endif
