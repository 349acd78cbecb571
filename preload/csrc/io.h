/* io: sockets with a deadline.
 *
 * MUST NOT keep a descriptor after an answer: the process may be about to become another program.
 * MUST NOT block longer than its deadline, whatever the peer does.
 */
#ifndef RAMPART_IO_H
#define RAMPART_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "settings.h"

#define DEADLINE_MS 2000 /* LIMIT: of one query, from the first call to the last byte */

struct connection {
    int fd;
    int64_t deadline_ms;
};

/* The kernel's struct msghdr. WHY: libcs declare another type for `count`. */
struct message {
    void *address;
    int address_size;
    const struct iovec *pieces;
    size_t count;
    void *control;
    size_t control_size;
    unsigned flags;
};

/* All return 0 or a number of bytes, or a negative errno; -ETIMEDOUT at the deadline. */
int64_t io_now_ms(void);
long io_open(struct connection *into, const struct address *address, int64_t deadline_ms);
long io_send(const struct connection *connection, const struct message *message, int flags);
long io_receive(const struct connection *connection, void *into, size_t size);
void io_close(const struct connection *connection);

#endif
