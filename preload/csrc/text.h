/* text: strings and memory without libc; also what the compiler itself calls. */
#ifndef RAMPART_TEXT_H
#define RAMPART_TEXT_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);

size_t text_length(const char *text);
bool text_equal(const char *left, const char *right);
bool text_starts(const char *text, const char *start);
bool text_has(const char *text, char wanted);

/* The same text for interfaces that promise not to write to it and cannot say so. */
static inline char *unconst(const char *text) {
    union {
        const char *in;
        char *out;
    } pointer = {.in = text};
    return pointer.out;
}

/* A text of bounded size that is put together piece by piece. What does not fit is left out, and
 * `full` says so. */
struct buffer {
    char *bytes;
    size_t size;
    size_t used;
    bool full;
};

void put_bytes(struct buffer *to, const char *bytes, size_t size);
void put_text(struct buffer *to, const char *text);
void put_number(struct buffer *to, unsigned long number);

/* The bytes of the UTF-8 character at the start of `text`, 0 if no valid one starts there. */
size_t utf8_length(const unsigned char *text);

#endif
