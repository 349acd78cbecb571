/* init: reads the environment once, before the program starts.
 *
 * MUST run before main(), and also when another constructor executes a program earlier.
 * MUST copy what it keeps: programs overwrite their first environment.
 * MUST NOT allocate, and MUST NOT be needed again afterwards.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "entry.h"
#include "hosts.h"
#include "raw.h"
#include "settings.h"
#include "text.h"
#include <sys/un.h>

#define ARENA_SIZE 14336 /* LIMIT: all values together; a path and a token of 4 KiB each fit */
#define PAGE_SIZE 4096
#define STORE_SIZE (4 * PAGE_SIZE)
#define WAIT_TURNS 1000

enum { STATE_NEW, STATE_READING, STATE_READY };

static union {
    struct {
        struct settings settings;
        struct buffer arena;
        char session[32];
        char bytes[ARENA_SIZE];
    } now;
    char pages[STORE_SIZE];
} store __attribute__((aligned(PAGE_SIZE)));

static int state;

static const struct settings not_ready = {
    .mode = MODE_ENFORCE,
    .fault = "the guard is not ready",
    .agent = "preload",
    .session = "",
    .url = "",
};

static const char *const names[VARIABLE_COUNT] = {
    [VARIABLE_PRELOAD] = "LD_PRELOAD",         [VARIABLE_URL] = "RAMPART_URL",
    [VARIABLE_TOKEN] = "RAMPART_TOKEN",        [VARIABLE_MODE] = "RAMPART_MODE",
    [VARIABLE_FAIL_OPEN] = "RAMPART_FAIL_OPEN", [VARIABLE_AGENT] = "RAMPART_AGENT",
    [VARIABLE_SESSION] = "RAMPART_SESSION",    [VARIABLE_DEBUG] = "RAMPART_DEBUG",
    [VARIABLE_SOCKET] = "RAMPART_SOCKET",
};

const char *variable_name(enum variable variable) {
    return names[variable];
}

enum variable variable_of(const char *entry) {
    if (!text_starts(entry, "RAMPART_") && !text_starts(entry, "LD_PRELOAD=")) {
        return VARIABLE_COUNT;
    }
    for (int each = 0; each < VARIABLE_COUNT; each++) {
        if (text_starts(entry, names[each]) && entry[text_length(names[each])] == '=') {
            return (enum variable)each;
        }
    }
    return VARIABLE_COUNT;
}

const char *variable_value(const char *entry, enum variable variable) {
    return entry + text_length(names[variable]) + 1;
}

static bool separates(char character) {
    return character == ':' || character == ' ' || !character;
}

bool preload_holds(const char *list, const char *own, size_t own_size) {
    for (const char *at = list; *at;) {
        const char *end = at;
        while (!separates(*end)) {
            end++;
        }
        if ((size_t)(end - at) == own_size && !memcmp(at, own, own_size)) {
            return true;
        }
        at = *end ? end + 1 : end;
    }
    return false;
}

/* Finds the element of LD_PRELOAD whose file is named like this library. */
static void find_own(struct settings *into, const char *list) {
    for (const char *at = list; *at;) {
        const char *end = at;
        const char *name = at;
        for (; !separates(*end); end++) {
            if (*end == '/') {
                name = end + 1;
            }
        }
        if (text_starts(name, "librampart")) {
            into->own = at;
            into->own_size = (size_t)(end - at);
            return;
        }
        at = *end ? end + 1 : end;
    }
}

static const char *keep(struct buffer *arena, const char *text) {
    const char *copy = arena->bytes + arena->used;
    put_bytes(arena, text, text_length(text) + 1);
    return arena->full ? NULL : copy;
}

static const char *value_of(const struct settings *from, enum variable variable) {
    const char *entry = from->entries[variable];
    const char *value = entry ? variable_value(entry, variable) : NULL;
    return value && *value ? value : NULL;
}

static bool one_of(const char *text, const char *const words[], size_t count) {
    for (size_t n = 0; n < count; n++) {
        if (text_equal(text, words[n])) {
            return true;
        }
    }
    return false;
}

static bool is_on(const char *text) {
    static const char *const words[] = {"1", "true", "yes", "on"};
    return one_of(text, words, sizeof words / sizeof *words);
}

static void read_mode(struct settings *into) {
    const char *mode = value_of(into, VARIABLE_MODE);
    const char *fail_open = value_of(into, VARIABLE_FAIL_OPEN);
    const char *debug = value_of(into, VARIABLE_DEBUG);
    if (mode && text_equal(mode, "monitor")) {
        into->mode = MODE_MONITOR;
    } else if (mode && text_equal(mode, "disabled")) {
        into->mode = MODE_DISABLED;
    } else if (mode && !text_equal(mode, "enforce")) {
        into->fault = "RAMPART_MODE must be enforce, monitor or disabled";
    }
    into->fail_open = !fail_open || is_on(fail_open);
    into->debug = debug && is_on(debug);
}

static void read_socket(struct settings *into) {
    struct sockaddr_un *address = (struct sockaddr_un *)(void *)into->local.to.bytes;
    into->socket_path = value_of(into, VARIABLE_SOCKET);
    if (!into->socket_path) {
        return;
    }
    size_t size = text_length(into->socket_path);
    if (size >= sizeof address->sun_path) {
        into->fault = "RAMPART_SOCKET is too long for a socket";
        return;
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, into->socket_path, size + 1);
    into->local.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
}

/* The token stands in a header line. */
static void read_token(struct settings *into) {
    into->token = value_of(into, VARIABLE_TOKEN);
    for (const char *at = into->token; at && *at; at++) {
        if (*at <= ' ' || *at > '~') {
            into->fault = "RAMPART_TOKEN is not a token";
        }
    }
}

static void read_session(struct settings *into, char *bytes, size_t size) {
    into->session = value_of(into, VARIABLE_SESSION);
    if (into->session) {
        return;
    }
    struct buffer name = {bytes, size - 1, 0, false};
    put_text(&name, "preload-");
    put_number(&name, (unsigned long)raw1(SYS_getpid, 0));
    bytes[name.used] = 0;
    into->session = bytes;
}

static void read_environment(char *const *environment) {
    struct settings *into = &store.now.settings;
    store.now.arena = (struct buffer){store.now.bytes, ARENA_SIZE, 0, false};
    for (; environment && *environment; environment++) {
        enum variable which = variable_of(*environment);
        if (which != VARIABLE_COUNT) {
            into->entries[which] = keep(&store.now.arena, *environment);
        }
    }
    read_mode(into);
    if (store.now.arena.full) {
        into->fault = "the RAMPART_ variables are too long";
    }
    const char *agent = value_of(into, VARIABLE_AGENT);
    into->agent = agent ? agent : "preload";
    read_token(into);
    const char *url = value_of(into, VARIABLE_URL);
    into->url = url ? url : "http://127.0.0.1:9090";
    read_session(into, store.now.session, sizeof store.now.session);
    read_socket(into);
    if (!into->socket_path || into->token) {
        const char *fault = into->fault;
        read_url(into);
        if (into->socket_path) {
            into->fault = fault; /* HTTP is only the second way; without it there is the first */
        }
    }
    const char *preload = value_of(into, VARIABLE_PRELOAD);
    if (preload) {
        find_own(into, preload);
    }
    raw3(SYS_mprotect, store.pages, sizeof store, PROT_READ); /* best effort: pages of 64 KiB */
}

const struct settings *settings_get(void) {
    if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == STATE_READY) {
        return &store.now.settings;
    }
    int before = raw_exchange(&state, STATE_READING);
    if (before != STATE_READING) {
        if (before == STATE_NEW) {
            read_environment(inherited());
        }
        __atomic_store_n(&state, STATE_READY, __ATOMIC_RELEASE);
        return &store.now.settings;
    }
    for (int turn = 0; turn < WAIT_TURNS; turn++) { /* another thread reads, or this one does */
        if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == STATE_READY) {
            return &store.now.settings;
        }
        raw1(SYS_sched_yield, 0);
    }
    return &not_ready;
}

__attribute__((constructor)) static void start(void) {
    settings_get();
    real_resolve();
}

_Static_assert(sizeof store == STORE_SIZE, "the settings fit in whole pages");
