/* scan: finds the decision and its message in an HTTP response, byte by byte.
 *
 * It reads the strings `decision`, `message` and `approval_id` of the outermost JSON object and
 * skips the rest.
 */
#ifndef RAMPART_SCAN_H
#define RAMPART_SCAN_H

#include "query.h"

#define WORD_SIZE 20 /* the longest word of interest is `require_approval` */
#define APPROVAL_SIZE 48

enum scan_place { PLACE_STATUS, PLACE_HEADERS, PLACE_BODY, PLACE_END, PLACE_BROKEN };

struct scan {
    enum scan_place place;
    unsigned status; /* digits of the status line seen so far */
    unsigned spaces;
    size_t line; /* characters in this header line */
    unsigned depth;
    bool in_string;
    bool escaped;
    bool is_value; /* a colon stands before this string */
    int unicode;   /* hexadecimal digits still to come */
    unsigned code;
    unsigned decisions;
    char key[WORD_SIZE];
    size_t key_size;
    char word[WORD_SIZE];
    size_t word_size;
    char approval[APPROVAL_SIZE];
    size_t approval_size;
    char *message; /* REASON_SIZE bytes */
    size_t message_size;
};

void scan_start(struct scan *scan, char *message);
void scan_byte(struct scan *scan, char byte);
bool scan_done(const struct scan *scan);
enum outcome scan_outcome(struct scan *scan);

#endif
