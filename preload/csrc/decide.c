/* decide: from the service's answer to yes or no.
 *
 * MUST refuse in enforce mode whatever is neither a clear yes nor an absent service.
 * MUST ask once for each call, whatever happens on the way.
 * MUST tell a refusal with a single write, so that lines of several processes do not mix.
 *
 * A program that walks through PATH itself goes on after a refusal: CPython tries /bin/rm after
 * /usr/bin/rm was refused. `refused` remembers the last refusal so that this is one question.
 * INVARIANT: it can only refuse again what the same process was refused a moment ago under another
 * directory. It may be written in a vfork child: its key holds the process, so that it means
 * nothing to the parent, and a torn value costs one more question.
 */
#include "decide.h"

#include "io.h"
#include "raw.h"
#include "text.h"

#define STDERR 2
#define LINE_SIZE 640
#define LINE_ARGUMENTS_MAX 64

#define WALK_MS 1000 /* LIMIT: of one walk through PATH */

static struct {
    int64_t until_ms;
    uint64_t command; /* a digest of the process, the file name and the arguments */
    uint64_t path;    /* a digest of the whole path */
} refused;

static const char *const words[] = {
    [OUTCOME_ALLOW] = "allow",
    [OUTCOME_WATCH] = "watch",
    [OUTCOME_ASK] = "ask",
    [OUTCOME_DENY] = "deny",
};

static void write_line(struct buffer *line) {
    line->bytes[line->used++] = '\n';
    raw3(SYS_write, STDERR, line->bytes, line->used);
}

/* A control character would move the cursor; a byte that is not UTF-8 would be anything. */
static void put_visible(struct buffer *to, const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at && !to->full) {
        size_t size = utf8_length(at);
        bool control = *at < ' ' || *at == 0x7F || (*at == 0xC2 && size == 2 && at[1] < 0xA0);
        if (!size || control) {
            put_text(to, size ? " " : "?");
        } else {
            put_bytes(to, (const char *)at, size);
        }
        at += size ? size : 1;
    }
}

__attribute__((noinline)) static void tell(const char *first, const char *second,
                                           const char *third) {
    char bytes[LINE_SIZE];
    struct buffer line = {bytes, sizeof bytes - 1, 0, false};
    put_text(&line, first);
    put_visible(&line, second);
    put_visible(&line, third);
    write_line(&line);
}

static void debug_tell(const char *first, const char *second, const char *third) {
    if (settings_get()->debug) {
        tell(first, second, third);
    }
}

static bool needs_quotes(const char *text) {
    for (const char *at = text; *at; at++) {
        if (*at == ' ' || *at == '\t' || *at == '\n' || *at == '"' || *at == '\'') {
            return true;
        }
    }
    return !*text;
}

/* `rampart_preload: intercepted execve: /bin/bash -c "ls -la"` */
__attribute__((noinline)) static void tell_intercepted(const struct query *query) {
    char bytes[LINE_SIZE];
    struct buffer line = {bytes, sizeof bytes - 4, 0, false};
    put_text(&line, "rampart_preload: intercepted ");
    put_text(&line, query->entry);
    put_text(&line, ": ");
    put_visible(&line, query->folder ? query->folder : "");
    put_visible(&line, query->path);
    char *const *argv = query->argv;
    for (int n = 1; argv && argv[0] && argv[n] && n < LINE_ARGUMENTS_MAX && !line.full; n++) {
        const char *quote = needs_quotes(argv[n]) ? "\"" : "";
        put_text(&line, " ");
        put_text(&line, quote);
        put_visible(&line, argv[n]);
        put_text(&line, quote);
    }
    if (line.full) {
        line.size = sizeof bytes - 1;
        put_text(&line, "...");
    }
    write_line(&line);
}

static void ask(const struct query *query, int64_t deadline_ms, struct answer *answer) {
    const struct settings *settings = settings_get();
    answer->outcome = OUTCOME_UNREACHABLE;
    if (settings->local.size) {
        debug_tell("rampart_preload: sending to unix:", settings->socket_path, "");
        wire_ask(query, deadline_ms, answer);
        if (answer->connected || !settings->token) {
            return; /* WHY: without a token HTTP could only answer that one is needed */
        }
    }
    if (settings->http.size) {
        debug_tell("rampart_preload: sending to ", settings->url, HTTP_ROUTE);
        http_ask(query, deadline_ms, answer);
    }
}

/* FNV-1a, with the final NUL so that `a b` and `ab` differ. */
static uint64_t digest(uint64_t seed, const char *text) {
    do {
        seed = (seed ^ (unsigned char)*text) * 0x100000001B3u;
    } while (*text++);
    return seed;
}

static uint64_t digest_command(const struct query *query) {
    const char *name = query->path;
    for (const char *at = query->path; *at; at++) {
        name = *at == '/' ? at + 1 : name;
    }
    uint64_t result = digest((uint64_t)raw1(SYS_getpid, 0), name);
    for (size_t n = 0; query->argv && query->argv[n]; n++) {
        result = digest(result, query->argv[n]);
    }
    return result;
}

static bool was_refused(const struct query *query, int64_t now_ms) {
    return now_ms < refused.until_ms && refused.path != digest(0, query->path) &&
           refused.command == digest_command(query);
}

static void remember_refusal(const struct query *query, int64_t now_ms) {
    refused.until_ms = now_ms + WALK_MS;
    refused.command = digest_command(query);
    refused.path = digest(0, query->path);
}

static const char *default_reason(enum outcome outcome) {
    if (outcome == OUTCOME_UNREACHABLE) {
        return "the decision service cannot be reached, and fail-open is off";
    }
    return outcome == OUTCOME_BROKEN ? "the decision service gave no valid answer"
                                     : "not permitted by policy";
}

static bool permits(const struct answer *answer) {
    return answer->outcome == OUTCOME_ALLOW || answer->outcome == OUTCOME_WATCH ||
           (answer->outcome == OUTCOME_UNREACHABLE && settings_get()->fail_open);
}

static void tell_outcome(const struct answer *answer) {
    if (answer->outcome <= OUTCOME_DENY) {
        debug_tell("rampart_preload: decision: ", words[answer->outcome], "");
    } else if (answer->outcome == OUTCOME_BROKEN) {
        debug_tell("rampart_preload: no valid answer", "", "");
    } else {
        debug_tell("rampart_preload: unreachable, fail-open is ",
                   settings_get()->fail_open ? "on" : "off", "");
    }
}

bool guarding(void) {
    return settings_get()->mode != MODE_DISABLED;
}

bool decide(const struct query *query) {
    const struct settings *settings = settings_get();
    struct answer answer;
    int64_t now_ms = io_now_ms();
    answer.reason[0] = 0;
    if (was_refused(query, now_ms)) {
        return false;
    }
    if (settings->debug) {
        tell_intercepted(query);
    }
    if (settings->fault) {
        answer.outcome = OUTCOME_BROKEN;
    } else {
        ask(query, now_ms + DEADLINE_MS, &answer);
    }
    tell_outcome(&answer);
    if (permits(&answer) || settings->mode == MODE_MONITOR) {
        debug_tell("rampart_preload: proceeding with syscall", "", "");
        return true;
    }
    const char *reason = settings->fault ? settings->fault : answer.reason;
    tell("rampart: blocked \xE2\x80\x94 ", *reason ? reason : default_reason(answer.outcome), "");
    remember_refusal(query, now_ms);
    return false;
}
