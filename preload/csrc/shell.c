/* shell: functions that hand a text to /bin/sh.
 *
 * libc starts that shell itself, with the environment of the process. Where the program has taken
 * the guard out of it, the text is wrapped in one that puts it back:
 *     unset ...; export NAME='value' ...; exec /bin/sh -c 'text'
 * WHY: a replacement of system() and popen() would have to copy their handling of signals, of
 * cancellation and of open streams; libc's own stays in use this way.
 */
#include <errno.h>
#include <sys/mman.h>

#include "decide.h"
#include "entry.h"
#include "env.h"
#include "raw.h"
#include "settings.h"
#include "text.h"

#define WORDEXP_NO_COMMANDS 4 /* WRDE_NOCMD, the same on glibc and musl */
#define WORDEXP_REFUSED 4     /* WRDE_CMDSUB */

static bool permitted(const char *entry, const char *command) {
    char *argv[] = {unconst("sh"), unconst("-c"), unconst(command), NULL};
    return decide(&(struct query){.entry = entry, .path = "/bin/sh", .argv = argv});
}

/* A call of libc's function, with the text to run. */
struct call {
    int (*system)(const char *command);
    void *(*popen)(const char *command, const char *type);
    const char *type;
    const char *command;
    long status;
    void *stream;
};

static void make(struct call *call, const char *command) {
    if (call->system) {
        call->status = call->system(command);
    } else {
        call->stream = call->popen(command, call->type);
    }
}

static void put_quoted(struct buffer *to, const char *text) {
    put_text(to, "'");
    for (const char *at = text; *at; at++) {
        if (*at == '\'') {
            put_text(to, "'\\''");
        } else {
            put_bytes(to, at, 1);
        }
    }
    put_text(to, "'");
}

static void put_wrapped(struct buffer *to, char *const *environment, const char *command) {
    put_text(to, "unset");
    for (int each = 0; each < VARIABLE_COUNT; each++) {
        put_text(to, " ");
        put_text(to, variable_name((enum variable)each));
    }
    for (; *environment; environment++) {
        enum variable which = variable_of(*environment);
        if (which != VARIABLE_COUNT) {
            put_text(to, "; export ");
            put_text(to, variable_name(which));
            put_text(to, "=");
            put_quoted(to, variable_value(*environment, which));
        }
    }
    put_text(to, "; exec /bin/sh -c ");
    put_quoted(to, command);
}

static long make_wrapped(void *context, char *const *environment) {
    struct call *call = context;
    size_t size = 1024 + 4 * text_length(call->command);
    for (char *const *entry = environment; *entry; entry++) {
        size += variable_of(*entry) == VARIABLE_COUNT ? 0 : 32 + 4 * text_length(*entry);
    }
    long mapped = raw6(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (RAW_FAILED(mapped)) {
        call->status = fail(ENOMEM);
        return 0;
    }
    struct buffer text = {(char *)mapped, size - 1, 0, false};
    put_wrapped(&text, environment, call->command);
    text.bytes[text.used] = 0;
    make(call, text.bytes);
    raw2(SYS_munmap, mapped, size);
    return 0;
}

static void make_guarded(struct call *call) {
    char *const *environment = inherited();
    if (env_intact(environment)) {
        make(call, call->command);
    } else {
        env_apply(environment, make_wrapped, call);
    }
}

int system(const char *command) {
    struct call call = {.system = real.system, .command = command};
    if (!call.system) {
        return fail(ENOSYS);
    }
    if (!command) {
        return call.system(NULL); /* asks whether there is a shell; runs nothing */
    }
    if (guarding() && !permitted("system", command)) {
        return fail(EPERM);
    }
    make_guarded(&call);
    return (int)call.status;
}

void *popen(const char *command, const char *type) {
    struct call call = {.popen = real.popen, .command = command, .type = type};
    if (!call.popen || !command) {
        fail(call.popen ? EFAULT : ENOSYS);
        return NULL;
    }
    if (guarding() && !permitted("popen", command)) {
        fail(EPERM);
        return NULL;
    }
    make_guarded(&call);
    return call.stream;
}

/* True if the words ask for a command's output. */
static bool substitutes(const char *words) {
    for (const char *at = words; *at; at++) {
        if (*at == '`' || (at[0] == '$' && at[1] == '(')) {
            return true;
        }
    }
    return false;
}

int wordexp(const char *words, void *result, int flags) {
    if (!real.wordexp) {
        fail(ENOSYS);
        return WORDEXP_REFUSED;
    }
    if (guarding() && words && !(flags & WORDEXP_NO_COMMANDS) && substitutes(words)) {
        /* LIMIT: here the environment cannot be repaired, so that the shell would be unguarded */
        bool unguarded = settings_get()->mode == MODE_ENFORCE && !env_intact(inherited());
        if (unguarded || !permitted("wordexp", words)) {
            fail(EPERM);
            return WORDEXP_REFUSED;
        }
    }
    return real.wordexp(words, result, flags);
}
