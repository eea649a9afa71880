#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CFloor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS_MAX 64

static uint64_t now_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t deadline_ns) {
    struct timespec time = {.tv_sec = deadline_ns / 1000000000u, .tv_nsec = deadline_ns % 1000000000u};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

static int open_sockets(int *descriptors, unsigned count, uint16_t port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned index = 0; index < count; index++) {
        int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) return (int)index;
        descriptors[index] = descriptor;
        // Connected: the route is looked up once, and a port that nobody listens on shows as ECONNREFUSED.
        if (connect(descriptor, (struct sockaddr *)&peer, sizeof(peer)) != 0) return (int)index + 1;
    }
    return (int)count;
}

struct floor_sent floor_send(
    uint16_t port, unsigned sockets, const struct floor_frames *frames, double rate, double seconds) {
    struct floor_sent sent = {0};
    int descriptors[SOCKETS_MAX];
    if (sockets == 0 || sockets > SOCKETS_MAX || frames->count == 0) {
        sent.error = EINVAL;
        return sent;
    }
    errno = 0;
    int opened = open_sockets(descriptors, sockets, port);
    sent.error = errno;
    // The default slack of 50 us would turn the pace into bursts.
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);

    struct mmsghdr headers[FLOOR_BATCH];
    struct iovec vectors[FLOOR_BATCH];
    memset(headers, 0, sizeof(headers));
    for (int index = 0; index < FLOOR_BATCH; index++) {
        headers[index].msg_hdr.msg_iov = &vectors[index];
        headers[index].msg_hdr.msg_iovlen = 1;
    }
    uint64_t start = now_ns(CLOCK_MONOTONIC), cpu_start = now_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t end = start + (uint64_t)(seconds * 1e9);
    double interval_ns = rate > 0 ? FLOOR_BATCH * 1e9 / rate : 0;
    uint32_t next = 0;
    unsigned turn = 0;
    uint64_t sequences[SOCKETS_MAX] = {0};
    for (uint64_t batch = 0; sent.error == 0; batch++) {
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        if (rate > 0) {
            // Behind its time it sends at once: the mean holds, and a receiver must bear bursts from any program.
            uint64_t due = start + (uint64_t)(interval_ns * (double)batch);
            if (due >= end) break;
            if (due > now) sleep_until(due);
        } else if (now >= end) {
            break;
        }
        for (int index = 0; index < FLOOR_BATCH; index++) {
            uint8_t *frame = frames->bytes + frames->offsets[next];
            size_t length = frames->offsets[next + 1] - frames->offsets[next];
            if (frames->number != NULL) frames->number(frame, length, turn + 1, frames->session, ++sequences[turn]);
            vectors[index].iov_base = frame;
            vectors[index].iov_len = length;
            sent.records += frames->records[next];
            if (++next == frames->count) next = 0;
        }
        int offset = 0;
        while (offset < FLOOR_BATCH) {
            int done = sendmmsg(descriptors[turn], headers + offset, FLOOR_BATCH - offset, 0);
            if (done > 0) {
                offset += done;
            } else if (errno != EINTR) {
                sent.error = errno;
                break;
            }
        }
        sent.datagrams += offset;
        if (++turn == sockets) turn = 0;
    }
    sent.elapsed_ns = now_ns(CLOCK_MONOTONIC) - start;
    sent.cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
    for (int index = 0; index < opened; index++) close(descriptors[index]);
    return sent;
}
