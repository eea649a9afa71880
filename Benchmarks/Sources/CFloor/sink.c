#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CFloor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_BYTES_MAX 65536

struct floor_sink {
    int descriptor;
    pthread_t thread;
    struct floor_sink_state fixed;
    _Atomic uint64_t datagrams, bytes;
    _Atomic int stopping;
    uint8_t *buffers;
};

static void *run(void *argument) {
    struct floor_sink *sink = argument;
    struct mmsghdr headers[FLOOR_BATCH] = {0};
    struct iovec vectors[FLOOR_BATCH];
    for (int index = 0; index < FLOOR_BATCH; index++) {
        vectors[index].iov_base = sink->buffers + (size_t)index * DATAGRAM_BYTES_MAX;
        vectors[index].iov_len = DATAGRAM_BYTES_MAX;
        headers[index].msg_hdr.msg_iov = &vectors[index];
        headers[index].msg_hdr.msg_iovlen = 1;
    }
    while (!atomic_load_explicit(&sink->stopping, memory_order_relaxed)) {
        int received = recvmmsg(sink->descriptor, headers, FLOOR_BATCH, MSG_WAITFORONE, NULL);
        if (received <= 0) continue;
        uint64_t bytes = 0;
        for (int index = 0; index < received; index++) bytes += headers[index].msg_len;
        // Relaxed, and this thread alone writes: readers want counts, nothing is handed on with them.
        atomic_fetch_add_explicit(&sink->datagrams, (uint64_t)received, memory_order_relaxed);
        atomic_fetch_add_explicit(&sink->bytes, bytes, memory_order_relaxed);
    }
    return NULL;
}

static int open_socket(struct floor_sink *sink, int receive_buffer_bytes) {
    sink->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sink->descriptor < 0) return -1;
    // The force needs a capability; the collector asks in the same two steps.
    if (setsockopt(sink->descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes, sizeof(int)) != 0 &&
        setsockopt(sink->descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(int)) != 0)
        return -1;
    int granted = 0;
    socklen_t length = sizeof(granted);
    if (getsockopt(sink->descriptor, SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0) return -1;
    sink->fixed.receive_buffer_bytes = granted / 2;
    // So that the thread sees `stopping`.
    struct timeval patience = {.tv_usec = 50000};
    if (setsockopt(sink->descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) return -1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(sink->descriptor, (struct sockaddr *)&address, sizeof(address)) != 0) return -1;
    length = sizeof(address);
    if (getsockname(sink->descriptor, (struct sockaddr *)&address, &length) != 0) return -1;
    sink->fixed.port = ntohs(address.sin_port);
    return 0;
}

struct floor_sink *floor_sink_start(int receive_buffer_bytes) {
    struct floor_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) return NULL;
    sink->buffers = calloc(FLOOR_BATCH, DATAGRAM_BYTES_MAX);
    int code = 0;
    if (sink->buffers == NULL || open_socket(sink, receive_buffer_bytes) != 0) {
        code = errno;
    } else {
        code = pthread_create(&sink->thread, NULL, run, sink);
    }
    if (code == 0) return sink;
    if (sink->descriptor > 0) close(sink->descriptor);
    free(sink->buffers);
    free(sink);
    errno = code;
    return NULL;
}

struct floor_sink_state floor_sink_read(const struct floor_sink *sink) {
    struct floor_sink_state state = sink->fixed;
    state.datagrams = atomic_load_explicit(&sink->datagrams, memory_order_relaxed);
    state.bytes = atomic_load_explicit(&sink->bytes, memory_order_relaxed);
    uint32_t information[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof(information);
    if (getsockopt(sink->descriptor, SOL_SOCKET, SO_MEMINFO, information, &length) == 0)
        state.kernel_drops = information[SK_MEMINFO_DROPS];
    clockid_t clock;
    struct timespec time;
    if (pthread_getcpuclockid(sink->thread, &clock) == 0 && clock_gettime(clock, &time) == 0)
        state.cpu_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return state;
}

void floor_sink_stop(struct floor_sink *sink) {
    atomic_store_explicit(&sink->stopping, 1, memory_order_relaxed);
    pthread_join(sink->thread, NULL);
    close(sink->descriptor);
    free(sink->buffers);
    free(sink);
}
