/* Runs the parts of the library that read what others wrote, under the sanitizers.
 *
 *   core_check response FILE     what an HTTP response means: outcome and reason
 *   core_check url TEXT          fault, or the size of the address
 *   core_check utf8 FILE         offsets of bytes that start no valid character
 *   core_check env VARIABLES...  the repaired environment, one entry a line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "hosts.h"
#include "scan.h"
#include "text.h"

extern char **environ;

static char *contents(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, (1 << 20) - 8, file);
    fclose(file);
    memset(bytes + *size, 0, 8);
    return bytes;
}

static long print_all(void *context, char *const *environment) {
    (void)context;
    for (; *environment; environment++) {
        puts(*environment);
    }
    return 0;
}

int main(int argc, char **argv) {
    size_t size;
    if (argc > 1 && !strcmp(argv[1], "env")) {
        return (int)env_apply(argv + 2, print_all, NULL);
    }
    if (argc != 3) {
        return 2;
    }
    if (!strcmp(argv[1], "url")) {
        struct settings settings = {.url = argv[2]};
        read_url(&settings);
        printf("%s %u %.*s\n", settings.fault ? settings.fault : "ok",
               (unsigned)settings.http.size, (int)settings.authority_size,
               settings.authority ? settings.authority : "");
        return 0;
    }
    char *bytes = contents(argv[2], &size);
    if (!strcmp(argv[1], "utf8")) {
        for (size_t at = 0; at < size;) {
            size_t length = utf8_length((unsigned char *)bytes + at);
            if (!length) {
                printf("%zu\n", at);
            }
            at += length ? length : 1;
        }
    } else {
        char *reason = malloc(REASON_SIZE);
        struct scan scan;
        scan_start(&scan, reason);
        for (size_t n = 0; n < size && !scan_done(&scan); n++) {
            scan_byte(&scan, bytes[n]);
        }
        int outcome = (int)scan_outcome(&scan);
        printf("%d %s\n", outcome, reason);
        free(reason);
    }
    free(bytes);
    return 0;
}
