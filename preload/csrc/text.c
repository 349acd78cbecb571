#include "text.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *out = to;
    const unsigned char *in = from;
    while (size--) {
        *out++ = *in++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *out = to;
    const unsigned char *in = from;
    if (out < in) {
        return memcpy(to, from, size);
    }
    while (size--) {
        out[size] = in[size];
    }
    return to;
}

void *memset(void *to, int byte, size_t size) {
    unsigned char *out = to;
    while (size--) {
        *out++ = (unsigned char)byte;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t size) {
    const unsigned char *a = left;
    const unsigned char *b = right;
    for (; size; size--, a++, b++) {
        if (*a != *b) {
            return *a < *b ? -1 : 1;
        }
    }
    return 0;
}

size_t text_length(const char *text) {
    const char *end = text;
    while (*end) {
        end++;
    }
    return (size_t)(end - text);
}

bool text_equal(const char *left, const char *right) {
    while (*left && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

bool text_starts(const char *text, const char *start) {
    while (*start && *text == *start) {
        text++;
        start++;
    }
    return !*start;
}

bool text_has(const char *text, char wanted) {
    for (; *text; text++) {
        if (*text == wanted) {
            return true;
        }
    }
    return false;
}

void put_bytes(struct buffer *to, const char *bytes, size_t size) {
    size_t room = to->size - to->used;
    if (size > room) {
        to->full = true;
        size = room;
    }
    memcpy(to->bytes + to->used, bytes, size);
    to->used += size;
}

void put_text(struct buffer *to, const char *text) {
    put_bytes(to, text, text_length(text));
}

void put_number(struct buffer *to, unsigned long number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put_bytes(to, digits + at, sizeof digits - at);
}

static bool continues(unsigned char byte) {
    return (byte & 0xC0) == 0x80;
}

size_t utf8_length(const unsigned char *text) {
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || first > 0xF4 || !continues(text[1])) {
        return 0; /* a continuation, an overlong form, or beyond U+10FFFF */
    }
    if (first < 0xE0) {
        return 2;
    }
    if (first < 0xF0) {
        bool overlong = first == 0xE0 && text[1] < 0xA0;
        bool surrogate = first == 0xED && text[1] > 0x9F;
        return !overlong && !surrogate && continues(text[2]) ? 3 : 0;
    }
    bool overlong = first == 0xF0 && text[1] < 0x90;
    bool beyond = first == 0xF4 && text[1] > 0x8F;
    return !overlong && !beyond && continues(text[2]) && continues(text[3]) ? 4 : 0;
}
