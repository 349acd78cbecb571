#include "hosts.h"

#include <fcntl.h>
#include <netinet/in.h>

#include "raw.h"
#include "text.h"

#define PORT_DEFAULT 80
#define PORT_MAX 65535
#define HOSTS_BYTES_MAX 65536 /* LIMIT: of /etc/hosts */
#define LINE_SIZE 512
#define NAME_SIZE 256

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static int digit_of(char character) {
    if (is_digit(character)) {
        return character - '0';
    }
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Reads a decimal number up to `most`; returns the end, or NULL. */
static const char *read_number(const char *text, unsigned most, unsigned *number) {
    const char *start = text;
    *number = 0;
    for (; is_digit(*text); text++) {
        *number = *number * 10 + (unsigned)(*text - '0');
        if (*number > most) {
            return NULL;
        }
    }
    return text == start ? NULL : text;
}

static bool read_ipv4(const char *text, unsigned char out[4]) {
    for (int part = 0; part < 4; part++) {
        unsigned number;
        text = read_number(text, 255, &number);
        if (!text || *text != (part < 3 ? '.' : '\0')) {
            return false;
        }
        out[part] = (unsigned char)number;
        text++;
    }
    return true;
}

/* Reads an IPv6 address without an IPv4 tail or a zone. */
static bool read_ipv6(const char *text, unsigned char out[16]) {
    unsigned groups[8] = {0};
    int count = 0;
    int gap = -1;
    if (text[0] == ':' && text[1] != ':') {
        return false;
    }
    while (*text) {
        if (text[0] == ':' && text[1] == ':') {
            if (gap >= 0) {
                return false;
            }
            gap = count;
            text += 2;
            continue;
        }
        if (*text == ':') {
            text++;
        }
        int digits = 0;
        unsigned group = 0;
        for (; digit_of(*text) >= 0 && digits < 5; text++, digits++) {
            group = group * 16 + (unsigned)digit_of(*text);
        }
        if (digits == 0 || digits > 4 || count == 8 || (*text && *text != ':')) {
            return false;
        }
        groups[count++] = group;
    }
    if (gap < 0 ? count != 8 : count == 8) {
        return false;
    }
    for (int n = 0; n < 16; n++) {
        out[n] = 0;
    }
    for (int n = 0; n < count; n++) {
        int place = gap >= 0 && n >= gap ? 8 - count + n : n;
        out[2 * place] = (unsigned char)(groups[n] >> 8);
        out[2 * place + 1] = (unsigned char)groups[n];
    }
    return true;
}

static bool set_address(struct address *into, const char *host, unsigned port) {
    unsigned char *bytes = (unsigned char *)into->to.bytes;
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)bytes;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)bytes;
    in_port_t swapped = (in_port_t)((port >> 8) | ((port & 0xFF) << 8));
    if (read_ipv4(host, (unsigned char *)&four->sin_addr)) {
        four->sin_family = AF_INET;
        four->sin_port = swapped;
        into->size = sizeof *four;
        return true;
    }
    if (read_ipv6(host, (unsigned char *)&six->sin6_addr)) {
        six->sin6_family = AF_INET6;
        six->sin6_port = swapped;
        into->size = sizeof *six;
        return true;
    }
    return false;
}

/* Looks for `host` in one line of /etc/hosts, which it takes apart. */
static bool line_names(char *line, const char *host, const char **address) {
    bool first = true;
    while (*line && *line != '#') {
        char *end = line;
        while (*end && *end != ' ' && *end != '\t' && *end != '#') {
            end++;
        }
        char after = *end;
        *end = 0;
        if (end != line) {
            if (first) {
                *address = line;
                first = false;
            } else if (text_equal(line, host)) {
                return true;
            }
        }
        if (!after || after == '#') {
            return false;
        }
        line = end + 1;
    }
    return false;
}

static void find_in_hosts(struct address *into, const char *host, unsigned port) {
    char line[LINE_SIZE];
    char block[LINE_SIZE];
    size_t used = 0;
    bool too_long = false;
    long fd = raw4(SYS_openat, AT_FDCWD, "/etc/hosts", O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (RAW_FAILED(fd)) {
        return;
    }
    for (size_t total = 0; total < HOSTS_BYTES_MAX;) {
        long got = raw3(SYS_read, fd, block, sizeof block);
        if (RAW_FAILED(got) || got == 0) {
            break;
        }
        total += (size_t)got;
        for (long n = 0; n < got; n++) {
            if (block[n] != '\n') {
                too_long = too_long || used == sizeof line - 1;
                if (!too_long) {
                    line[used++] = block[n];
                }
                continue;
            }
            const char *address = NULL;
            line[used] = 0;
            bool named = !too_long && line_names(line, host, &address);
            used = 0;
            too_long = false;
            if (named && set_address(into, address, port)) {
                goto out;
            }
        }
    }
out:
    raw1(SYS_close, fd);
}

void read_url(struct settings *into) {
    char host[NAME_SIZE];
    const char *url = into->url;
    unsigned port = PORT_DEFAULT;
    if (!text_starts(url, "http://")) {
        into->fault = "RAMPART_URL must start with http://";
        return;
    }
    const char *start = url + sizeof "http://" - 1;
    bool bracketed = *start == '[';
    const char *name = bracketed ? start + 1 : start;
    const char *end = name;
    while (*end && *end != '/' && (bracketed ? *end != ']' : *end != ':')) {
        if (*end <= ' ' || *end == '@' || *end == '\\') {
            into->fault = "RAMPART_URL is not a URL";
            return;
        }
        end++;
    }
    size_t size = (size_t)(end - name);
    const char *rest = bracketed && *end == ']' ? end + 1 : end;
    const char *after = *rest == ':' ? read_number(rest + 1, PORT_MAX, &port) : rest;
    bool closed = !bracketed || *end == ']';
    if (!closed || !size || size >= sizeof host || !after ||
        (*after && !text_equal(after, "/"))) {
        into->fault = "RAMPART_URL must be http://HOST:PORT";
        return;
    }
    memcpy(host, name, size);
    host[size] = 0;
    into->authority = start;
    into->authority_size = (size_t)(after - start);
    if (text_equal(host, "localhost")) {
        set_address(&into->http, "127.0.0.1", port);
    } else if (!set_address(&into->http, host, port)) {
        find_in_hosts(&into->http, host, port);
    }
}
