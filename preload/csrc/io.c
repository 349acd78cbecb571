#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

#include "raw.h"

#define BACKLOG_PAUSE_MS 2 /* a full backlog cannot be waited for, only tried again */

int64_t io_now_ms(void) {
    struct timespec now = {0, 0};
    raw2(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for `events`, or for a pause without a descriptor. */
static long wait_for(int fd, short events, int64_t until_ms) {
    struct pollfd poll = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = until_ms - io_now_ms();
        if (left_ms <= 0) {
            return -ETIMEDOUT;
        }
        struct timespec left = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
        long ready = raw5(SYS_ppoll, &poll, 1, &left, NULL, 0);
        if (ready > 0) {
            return 0;
        }
        if (RAW_FAILED(ready) && ready != -EINTR && ready != -EAGAIN) {
            return ready;
        }
    }
}

static long finish_connect(const struct connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    long waited = wait_for(connection->fd, POLLOUT, connection->deadline_ms);
    if (waited < 0) {
        return waited;
    }
    long got = raw5(SYS_getsockopt, connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return RAW_FAILED(got) ? got : -error;
}

long io_open(struct connection *into, const struct address *address, int64_t deadline_ms) {
    int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    long fd = raw3(SYS_socket, address->to.any.sa_family, kind, 0);
    if (RAW_FAILED(fd)) {
        return fd;
    }
    *into = (struct connection){(int)fd, deadline_ms};
    for (;;) {
        long result = raw3(SYS_connect, fd, address->to.bytes, address->size);
        if (result == -EINPROGRESS || result == -EINTR) {
            result = finish_connect(into);
        }
        if (result == 0 || result == -EISCONN) {
            return 0;
        }
        if (result != -EAGAIN || io_now_ms() >= deadline_ms) {
            io_close(into);
            return result == -EAGAIN ? -ETIMEDOUT : result;
        }
        int64_t pause_end_ms = io_now_ms() + BACKLOG_PAUSE_MS;
        wait_for(-1, 0, pause_end_ms < deadline_ms ? pause_end_ms : deadline_ms);
    }
}

long io_send(const struct connection *connection, const struct message *message, int flags) {
    for (;;) {
        long sent = raw3(SYS_sendmsg, connection->fd, message, MSG_NOSIGNAL | flags);
        if (!RAW_FAILED(sent)) {
            return sent;
        }
        long waited = sent == -EAGAIN ? wait_for(connection->fd, POLLOUT, connection->deadline_ms)
                                      : (sent == -EINTR ? 0 : sent);
        if (waited < 0) {
            return waited;
        }
    }
}

long io_receive(const struct connection *connection, void *into, size_t size) {
    for (;;) {
        long got = raw6(SYS_recvfrom, connection->fd, into, size, 0, NULL, NULL);
        if (!RAW_FAILED(got)) {
            return got;
        }
        long waited = got == -EAGAIN ? wait_for(connection->fd, POLLIN, connection->deadline_ms)
                                     : (got == -EINTR ? 0 : got);
        if (waited < 0) {
            return waited;
        }
    }
}

void io_close(const struct connection *connection) {
    raw1(SYS_close, connection->fd); /* never again on EINTR: Linux has closed it already */
}
