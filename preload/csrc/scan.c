#include "scan.h"

#include "text.h"

#define DEPTH_MAX 64 /* LIMIT: a decision nests two deep */
#define LINE_MAX 8192

void scan_start(struct scan *scan, char *message) {
    *scan = (struct scan){.message = message};
}

bool scan_done(const struct scan *scan) {
    return scan->place == PLACE_END || scan->place == PLACE_BROKEN;
}

static void scan_head(struct scan *scan, char byte) {
    if (byte == '\n') {
        if (scan->place == PLACE_STATUS) {
            scan->place = PLACE_HEADERS;
        } else if (!scan->line) {
            scan->place = PLACE_BODY;
        }
        scan->line = 0;
        return;
    }
    if (byte == '\r') {
        return;
    }
    static const char start[] = "HTTP/1.";
    if (scan->place == PLACE_STATUS) {
        if (scan->line < sizeof start - 1 && byte != start[scan->line]) {
            scan->place = PLACE_BROKEN;
        }
        scan->spaces += byte == ' ';
        if (scan->spaces == 1 && byte >= '0' && byte <= '9') {
            scan->status = scan->status * 10 + (unsigned)(byte - '0');
        }
    }
    if (++scan->line > LINE_MAX) {
        scan->place = PLACE_BROKEN;
    }
}

static bool is_key(const struct scan *scan, const char *name) {
    return scan->key_size == text_length(name) && !memcmp(scan->key, name, scan->key_size);
}

static void append(char *bytes, size_t size, size_t *used, char byte) {
    if (*used < size) {
        bytes[(*used)++] = byte;
    }
}

/* Adds one byte to the string that is being read, where it is of interest. */
static void add(struct scan *scan, char byte) {
    if (scan->depth != 1) {
        return;
    }
    if (!scan->is_value) {
        append(scan->key, WORD_SIZE, &scan->key_size, byte);
    } else if (is_key(scan, "decision")) {
        append(scan->word, WORD_SIZE, &scan->word_size, byte);
    } else if (is_key(scan, "approval_id")) {
        append(scan->approval, APPROVAL_SIZE, &scan->approval_size, byte);
    } else if (is_key(scan, "message")) {
        append(scan->message, REASON_SIZE - 1, &scan->message_size, byte);
    }
}

/* Adds a character that was written as \uNNNN. Half of a pair becomes `?`. */
static void add_code(struct scan *scan, unsigned code) {
    if (code < 0x80) {
        add(scan, (char)code);
    } else if (code < 0x800) {
        add(scan, (char)(0xC0 | code >> 6));
        add(scan, (char)(0x80 | (code & 0x3F)));
    } else if (code < 0xD800 || code > 0xDFFF) {
        add(scan, (char)(0xE0 | code >> 12));
        add(scan, (char)(0x80 | (code >> 6 & 0x3F)));
        add(scan, (char)(0x80 | (code & 0x3F)));
    } else {
        add(scan, '?');
    }
}

static void scan_escape(struct scan *scan, char byte) {
    static const char letters[] = "bfnrt";
    if (scan->unicode) {
        char lower = (char)(byte | 0x20);
        bool digit = byte >= '0' && byte <= '9';
        if (!digit && (lower < 'a' || lower > 'f')) {
            scan->place = PLACE_BROKEN;
            return;
        }
        scan->code = scan->code * 16 + (unsigned)(digit ? byte - '0' : lower - 'a' + 10);
        if (!--scan->unicode) {
            scan->escaped = false;
            add_code(scan, scan->code);
        }
    } else if (byte == 'u') {
        scan->unicode = 4;
        scan->code = 0;
    } else {
        scan->escaped = false;
        add(scan, text_has(letters, byte) ? ' ' : byte);
    }
}

static void start_string(struct scan *scan) {
    scan->in_string = true;
    if (scan->depth != 1) {
        return;
    }
    if (!scan->is_value) {
        scan->key_size = 0;
    } else if (is_key(scan, "decision")) {
        scan->decisions++;
        scan->word_size = 0;
    } else if (is_key(scan, "approval_id")) {
        scan->approval_size = 0;
    } else if (is_key(scan, "message")) {
        scan->message_size = 0;
    }
}

static void scan_body(struct scan *scan, char byte) {
    if (scan->in_string) {
        if (scan->escaped) {
            scan_escape(scan, byte);
        } else if (byte == '\\') {
            scan->escaped = true;
        } else if (byte == '"') {
            scan->in_string = false;
        } else {
            add(scan, byte);
        }
        return;
    }
    if (byte == '{' || byte == '[') {
        if (++scan->depth > DEPTH_MAX || (scan->depth == 1 && byte == '[')) {
            scan->place = PLACE_BROKEN;
        }
    } else if (byte == '}' || byte == ']') {
        if (!scan->depth || !--scan->depth) {
            scan->place = PLACE_END;
        }
    } else if (byte == '"' && scan->depth) {
        start_string(scan);
    } else if (scan->depth == 1 && (byte == ':' || byte == ',')) {
        scan->is_value = byte == ':';
    }
}

void scan_byte(struct scan *scan, char byte) {
    if (scan->place == PLACE_STATUS || scan->place == PLACE_HEADERS) {
        scan_head(scan, byte);
    } else if (scan->place == PLACE_BODY) {
        scan_body(scan, byte);
    }
}

static enum outcome pending(struct scan *scan) {
    if (scan->approval_size) {
        struct buffer reason = {scan->message, REASON_SIZE - 1, 0, false};
        put_text(&reason, "approval pending: rampart approve ");
        put_bytes(&reason, scan->approval, scan->approval_size);
        scan->message[reason.used] = 0;
    }
    return OUTCOME_ASK;
}

static bool is_word(const struct scan *scan, const char *word) {
    return scan->word_size == text_length(word) && !memcmp(scan->word, word, scan->word_size);
}

enum outcome scan_outcome(struct scan *scan) {
    scan->message[scan->message_size] = 0;
    if (scan->place != PLACE_END || scan->decisions > 1) {
        scan->message[0] = 0;
        return OUTCOME_BROKEN;
    }
    bool decided = scan->decisions == 1;
    if (decided && is_word(scan, "deny")) {
        return OUTCOME_DENY; /* whatever the status: a refusal of the request is one, too */
    }
    if (scan->status == 401 || scan->status == 403) {
        return OUTCOME_DENY; /* the message says what is wrong with the token */
    }
    if (decided && is_word(scan, "require_approval")) {
        return pending(scan);
    }
    if (decided && scan->status == 200) {
        if (is_word(scan, "allow")) {
            return OUTCOME_ALLOW;
        }
        if (is_word(scan, "log")) {
            return OUTCOME_WATCH;
        }
    }
    scan->message[0] = 0;
    return OUTCOME_BROKEN;
}
