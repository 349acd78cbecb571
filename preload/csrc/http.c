/* http: one query over HTTP, for services that the local socket does not reach.
 *
 * MUST send every byte of the arguments in a form that the service reads back without doubt.
 * MUST refuse whatever is not one clear answer: two decisions, an unknown word, a cut body.
 * MUST NOT hold the request or the response in memory: both pass through small buffers.
 */
#include <errno.h>

#include "io.h"
#include "query.h"
#include "raw.h"
#include "scan.h"
#include "text.h"

#define CHUNK_SIZE 768
#define CWD_SIZE 768
#define RESPONSE_BYTES_MAX (256 * 1024) /* LIMIT: a decision is about one kilobyte */

/* Where the request goes: to a counter first, for Content-Length, then to the socket. */
struct sink {
    const struct connection *connection; /* NULL: only count */
    size_t count;
    long error;
    struct buffer chunk;
};

static void flush(struct sink *to, int flags) {
    size_t done = 0;
    while (to->connection && !to->error && done < to->chunk.used) {
        struct iovec piece = {to->chunk.bytes + done, to->chunk.used - done};
        struct message message = {.pieces = &piece, .count = 1};
        long sent = io_send(to->connection, &message, flags);
        if (sent < 0) {
            to->error = sent;
        } else {
            done += (size_t)sent;
        }
    }
    to->chunk.used = 0;
}

static void emit(struct sink *to, const char *bytes, size_t size) {
    to->count += size;
    while (to->connection && size && !to->error) {
        size_t room = to->chunk.size - to->chunk.used;
        size_t part = size < room ? size : room;
        put_bytes(&to->chunk, bytes, part);
        bytes += part;
        size -= part;
        if (to->chunk.used == to->chunk.size) {
            flush(to, MSG_MORE);
        }
    }
}

static void emit_text(struct sink *to, const char *text) {
    emit(to, text, text_length(text));
}

/* Writes the inside of a JSON string. A byte that is not UTF-8 becomes the four characters
 * `\xNN`, as the service does with what comes over the local socket. */
static void emit_escaped(struct sink *to, const char *text) {
    static const char hex[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        size_t size = utf8_length(at);
        char high = hex[*at >> 4];
        char low = hex[*at & 15];
        if (!size) {
            emit(to, (const char[]){'\\', '\\', 'x', high, low}, 5);
        } else if (*at < ' ' || *at == 0x7F) {
            emit(to, (const char[]){'\\', 'u', '0', '0', high, low}, 6);
        } else if (*at == '"' || *at == '\\') {
            emit(to, (const char[]){'\\', (char)*at}, 2);
        } else {
            emit(to, (const char *)at, size);
        }
        at += size ? size : 1;
    }
}

static void emit_field(struct sink *to, const char *name, const char *text) {
    emit_text(to, name);
    emit_escaped(to, text);
    emit_text(to, "\"");
}

static void emit_body(struct sink *to, const struct query *query, const char *cwd) {
    const struct settings *settings = settings_get();
    emit_text(to, settings->mode == MODE_MONITOR ? "{\"enforce\": true, \"monitor\": true"
                                                 : "{\"enforce\": true");
    emit_field(to, ", \"agent\": \"", settings->agent);
    emit_field(to, ", \"session\": \"", settings->session);
    if (*cwd == '/') {
        emit_field(to, ", \"cwd\": \"", cwd);
    }
    emit_text(to, ", \"params\": {\"path\": \"");
    emit_escaped(to, query->folder ? query->folder : "");
    emit_escaped(to, query->path);
    emit_text(to, "\", \"argv\": [");
    for (size_t n = 0; query->argv && query->argv[n]; n++) {
        emit_field(to, n ? ", \"" : "\"", query->argv[n]);
    }
    emit_text(to, "]}}");
}

static void emit_head(struct sink *to, size_t body_size) {
    const struct settings *settings = settings_get();
    char digits[20];
    struct buffer length = {digits, sizeof digits, 0, false};
    put_number(&length, body_size);
    emit_text(to, "POST " HTTP_ROUTE " HTTP/1.1\r\nHost: ");
    emit(to, settings->authority, settings->authority_size);
    if (settings->token) {
        emit_text(to, "\r\nAuthorization: Bearer ");
        emit_text(to, settings->token);
    }
    emit_text(to, "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ");
    emit(to, digits, length.used);
    emit_text(to, "\r\n\r\n");
}

/* WHY apart: its buffers and those of the response must not be on the stack at once. */
__attribute__((noinline)) static long send_request(const struct connection *connection,
                                                   const struct query *query) {
    char cwd[CWD_SIZE];
    char chunk[CHUNK_SIZE];
    struct sink counter = {.connection = NULL};
    struct sink sink = {.connection = connection, .chunk = {chunk, sizeof chunk, 0, false}};
    if (RAW_FAILED(raw2(SYS_getcwd, cwd, sizeof cwd))) {
        cwd[0] = 0; /* LIMIT: a longer directory is left out; the service then knows none */
    }
    emit_body(&counter, query, cwd);
    emit_head(&sink, counter.count);
    emit_body(&sink, query, cwd);
    flush(&sink, 0);
    return sink.error;
}

__attribute__((noinline)) static void read_response(const struct connection *connection,
                                                    struct answer *answer) {
    char chunk[CHUNK_SIZE];
    struct scan scan;
    long got = 0;
    scan_start(&scan, answer->reason);
    for (size_t total = 0; total < RESPONSE_BYTES_MAX && !scan_done(&scan);) {
        got = io_receive(connection, chunk, sizeof chunk);
        if (got <= 0) {
            break;
        }
        total += (size_t)got;
        for (long n = 0; n < got; n++) {
            scan_byte(&scan, chunk[n]);
        }
    }
    answer->outcome = got == -ETIMEDOUT ? OUTCOME_UNREACHABLE : scan_outcome(&scan);
}

void http_ask(const struct query *query, int64_t deadline_ms, struct answer *answer) {
    const struct settings *settings = settings_get();
    struct connection connection;
    answer->outcome = OUTCOME_UNREACHABLE;
    answer->connected = false;
    if (!settings->http.size || io_open(&connection, &settings->http, deadline_ms) < 0) {
        return;
    }
    answer->connected = true;
    if (send_request(&connection, query) != -ETIMEDOUT) {
        read_response(&connection, answer);
    }
    io_close(&connection);
}
