// One thread for all connections, since the collector has one event loop for them.
#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CFloor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct floor_stream_sink {
    /// The listening one first.
    struct pollfd entries[FLOOR_STREAMS_MAX + 1];
    unsigned count;
    uint16_t port;
    pthread_t thread;
    _Atomic uint64_t bytes;
    _Atomic int stopping;
    uint8_t *buffer;
};

static void *run(void *argument) {
    struct floor_stream_sink *sink = argument;
    while (!atomic_load_explicit(&sink->stopping, memory_order_relaxed)) {
        if (poll(sink->entries, sink->count, 50) <= 0) continue;
        for (unsigned index = sink->count; index-- > 1;) {
            if (sink->entries[index].revents == 0) continue;
            ssize_t count = recv(sink->entries[index].fd, sink->buffer, FLOOR_STREAM_READ, MSG_DONTWAIT);
            if (count > 0) {
                // Relaxed, and this thread alone writes: a reader wants a count.
                atomic_fetch_add_explicit(&sink->bytes, (uint64_t)count, memory_order_relaxed);
            } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
                close(sink->entries[index].fd);
                sink->entries[index] = sink->entries[--sink->count];
            }
        }
        if (sink->entries[0].revents != 0 && sink->count <= FLOOR_STREAMS_MAX) {
            int descriptor = accept4(sink->entries[0].fd, NULL, NULL, SOCK_CLOEXEC);
            if (descriptor >= 0) sink->entries[sink->count++] = (struct pollfd){.fd = descriptor, .events = POLLIN};
        }
    }
    return NULL;
}

static int open_listener(struct floor_stream_sink *sink) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    sink->entries[0] = (struct pollfd){.fd = descriptor, .events = POLLIN};
    sink->count = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0) return -1;
    if (listen(descriptor, FLOOR_STREAMS_MAX) != 0) return -1;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) != 0) return -1;
    sink->port = ntohs(address.sin_port);
    return 0;
}

static void release(struct floor_stream_sink *sink) {
    for (unsigned index = 0; index < sink->count; index++) close(sink->entries[index].fd);
    free(sink->buffer);
    free(sink);
}

struct floor_stream_sink *floor_stream_sink_start(void) {
    struct floor_stream_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) return NULL;
    sink->buffer = malloc(FLOOR_STREAM_READ);
    int code = 0;
    if (sink->buffer == NULL || open_listener(sink) != 0) {
        code = errno;
    } else {
        code = pthread_create(&sink->thread, NULL, run, sink);
    }
    if (code == 0) return sink;
    release(sink);
    errno = code;
    return NULL;
}

uint16_t floor_stream_sink_port(const struct floor_stream_sink *sink) { return sink->port; }

uint64_t floor_stream_sink_bytes(const struct floor_stream_sink *sink) {
    return atomic_load_explicit(&sink->bytes, memory_order_relaxed);
}

uint64_t floor_stream_sink_cpu(const struct floor_stream_sink *sink) {
    clockid_t clock;
    struct timespec time;
    if (pthread_getcpuclockid(sink->thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void floor_stream_sink_stop(struct floor_stream_sink *sink) {
    atomic_store_explicit(&sink->stopping, 1, memory_order_relaxed);
    pthread_join(sink->thread, NULL);
    release(sink);
}
