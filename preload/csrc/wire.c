/* wire: one query over the local socket, as core/docs/wire.md says.
 *
 * MUST send the caller's own strings, without a copy: no escaping, no allocation, no size limit
 * but the format's.
 * MUST treat an answer that is short, long, or of another version as none that allows anything.
 */
#include <errno.h>

#include "io.h"
#include "query.h"
#include "text.h"

#define VERSION 1
#define FLAG_MONITOR 1
#define FRAME_BYTES_MAX (4u * 1024 * 1024)
#define PIECES 32 /* of one sendmsg */
#define ANSWER_HEADER_SIZE 6

static const char magic[4] = {'R', 'M', 'P', '1'};

struct header {
    char magic[4];
    uint32_t size;
    uint16_t version;
    uint16_t flags;
    uint32_t count;
    uint32_t process;
};

_Static_assert(sizeof(struct header) == 20, "the header has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");

enum {
    PIECE_HEADER,
    PIECE_AGENT,
    PIECE_SESSION,
    PIECE_CWD, /* empty: the service has it from the kernel */
    PIECE_FOLDER,
    PIECE_PATH,
    PIECE_ARGV, /* and all that follow */
};

/* A frame on its way: `next` is the first piece that is not sent yet, `done` bytes of it are. */
struct frame {
    const struct query *query;
    const struct settings *settings;
    struct header header;
    size_t next;
    size_t done;
};

/* `extra` is 1 where the NUL is sent, too. */
static struct iovec text_piece(const char *text, size_t extra) {
    return (struct iovec){unconst(text), text_length(text) + extra};
}

/* Returns false after the last piece. A piece may be empty. */
static bool piece_of(struct frame *frame, size_t index, struct iovec *piece) {
    const struct query *query = frame->query;
    switch (index) {
    case PIECE_HEADER:
        *piece = (struct iovec){&frame->header, sizeof frame->header};
        return true;
    case PIECE_AGENT:
        *piece = text_piece(frame->settings->agent, 1);
        return true;
    case PIECE_SESSION:
        *piece = text_piece(frame->settings->session, 1);
        return true;
    case PIECE_CWD:
        *piece = text_piece("", 1);
        return true;
    case PIECE_FOLDER:
        *piece = text_piece(query->folder ? query->folder : "", 0);
        return true;
    case PIECE_PATH:
        *piece = text_piece(query->path, 1);
        return true;
    default:
        if (!query->argv || !query->argv[index - PIECE_ARGV]) {
            return false;
        }
        *piece = text_piece(query->argv[index - PIECE_ARGV], 1);
        return true;
    }
}

/* Fills in the header. Returns false for a query over its bound. */
static bool measure(struct frame *frame) {
    struct iovec piece;
    size_t size = 0;
    size_t index = 0;
    for (; piece_of(frame, index, &piece); index++) {
        size += piece.iov_len;
        if (size > FRAME_BYTES_MAX) {
            return false;
        }
    }
    memcpy(frame->header.magic, magic, sizeof magic);
    frame->header.size = (uint32_t)size;
    frame->header.version = VERSION;
    frame->header.flags = frame->settings->mode == MODE_MONITOR ? FLAG_MONITOR : 0;
    frame->header.count = (uint32_t)(index - PIECE_ARGV);
    return true;
}

static void advance(struct frame *frame, const struct iovec *pieces, size_t count, size_t sent) {
    for (size_t n = 0; n < count; n++) {
        if (sent < pieces[n].iov_len) {
            frame->done = (n ? 0 : frame->done) + sent;
            return;
        }
        sent -= pieces[n].iov_len;
        frame->done = 0;
        frame->next++;
    }
}

/* Sends the next pieces. Returns 0 when all are sent, 1 when there is more, or an error. */
static long send_some(const struct connection *connection, struct frame *frame) {
    struct iovec pieces[PIECES];
    size_t count = 0;
    while (count < PIECES && piece_of(frame, frame->next + count, &pieces[count])) {
        count++;
    }
    if (!count) {
        return 0;
    }
    pieces[0].iov_base = (char *)pieces[0].iov_base + frame->done;
    pieces[0].iov_len -= frame->done;
    struct message message = {.pieces = pieces, .count = count};
    long sent = io_send(connection, &message, 0);
    if (sent < 0) {
        return sent;
    }
    advance(frame, pieces, count, (size_t)sent);
    return 1;
}

/* Reads the answer and the end of the stream after it. */
static void read_answer(const struct connection *connection, struct answer *answer) {
    unsigned char bytes[ANSWER_HEADER_SIZE + REASON_SIZE];
    size_t used = 0;
    long got;
    do {
        got = io_receive(connection, bytes + used, sizeof bytes - used);
        used += got > 0 ? (size_t)got : 0;
        if (used >= ANSWER_HEADER_SIZE && used >= ANSWER_HEADER_SIZE + (size_t)bytes[5]) {
            break; /* WHY: not waiting for the end saves a wake-up of the service */
        }
    } while (got > 0);
    if (got == -ETIMEDOUT) {
        answer->outcome = OUTCOME_UNREACHABLE;
        return;
    }
    if (used < ANSWER_HEADER_SIZE || memcmp(bytes, magic, sizeof magic) ||
        bytes[4] > OUTCOME_DENY || used != ANSWER_HEADER_SIZE + (size_t)bytes[5]) {
        answer->outcome = OUTCOME_BROKEN;
        return;
    }
    memcpy(answer->reason, bytes + ANSWER_HEADER_SIZE, bytes[5]);
    answer->reason[bytes[5]] = 0;
    answer->outcome = (enum outcome)bytes[4];
}

void wire_ask(const struct query *query, int64_t deadline_ms, struct answer *answer) {
    struct frame frame = {.query = query, .settings = settings_get()};
    struct connection connection;
    answer->outcome = OUTCOME_UNREACHABLE;
    answer->connected = false;
    if (!measure(&frame)) {
        struct buffer reason = {answer->reason, REASON_SIZE - 1, 0, false};
        put_text(&reason, "the arguments are longer than 4 MiB");
        answer->reason[reason.used] = 0;
        answer->connected = true;
        answer->outcome = OUTCOME_DENY;
        return;
    }
    if (io_open(&connection, &frame.settings->local, deadline_ms) < 0) {
        return;
    }
    answer->connected = true;
    long sent;
    do {
        sent = send_some(&connection, &frame);
    } while (sent > 0);
    if (sent != -ETIMEDOUT) {
        /* WHY: also after a failed send: the service may have refused before it read everything */
        read_answer(&connection, answer);
    }
    io_close(&connection);
}
