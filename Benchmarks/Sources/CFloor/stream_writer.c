#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CFloor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int descriptor;
    int error;
    const struct floor_stream *stream;
    unsigned repeats;
    uint64_t bytes, reply_bytes, writer_cpu_ns, reader_cpu_ns, ended_ns;
    pthread_t writer, reader;
};

static uint64_t now_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *write_all(void *argument) {
    struct connection *connection = argument;
    for (unsigned round = 0; round < connection->repeats && connection->error == 0; round++) {
        size_t offset = 0;
        while (offset < connection->stream->count) {
            size_t rest = connection->stream->count - offset;
            size_t count = rest < FLOOR_STREAM_WRITE ? rest : FLOOR_STREAM_WRITE;
            ssize_t done = send(connection->descriptor, connection->stream->bytes + offset, count, MSG_NOSIGNAL);
            if (done > 0) {
                offset += (size_t)done;
                connection->bytes += (uint64_t)done;
            } else if (errno != EINTR) {
                connection->error = errno;
                break;
            }
        }
    }
    connection->ended_ns = now_ns(CLOCK_MONOTONIC);
    shutdown(connection->descriptor, SHUT_WR);
    connection->writer_cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void *read_replies(void *argument) {
    struct connection *connection = argument;
    uint8_t buffer[16384];
    while (1) {
        ssize_t count = recv(connection->descriptor, buffer, sizeof(buffer), 0);
        if (count == 0 || (count < 0 && errno != EINTR)) break;
        if (count > 0) connection->reply_bytes += (uint64_t)count;
    }
    connection->reader_cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static int open_connection(uint16_t port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, (struct sockaddr *)&peer, sizeof(peer)) == 0) return descriptor;
    int code = errno;
    close(descriptor);
    errno = code;
    return -1;
}

struct floor_streamed floor_stream_write(
    uint16_t port, const struct floor_stream *streams, unsigned count, unsigned repeats) {
    struct floor_streamed result = {0};
    struct connection connections[FLOOR_STREAMS_MAX] = {0};
    if (count == 0 || count > FLOOR_STREAMS_MAX) {
        result.error = EINVAL;
        return result;
    }
    unsigned opened = 0, writers = 0, readers = 0;
    for (; opened < count; opened++) {
        connections[opened].descriptor = open_connection(port);
        if (connections[opened].descriptor < 0) {
            result.error = errno;
            break;
        }
        connections[opened].stream = &streams[opened];
        connections[opened].repeats = repeats;
    }
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    for (; result.error == 0 && readers < count; readers++) {
        result.error = pthread_create(&connections[readers].reader, NULL, read_replies, &connections[readers]);
        if (result.error != 0) break;
    }
    for (; result.error == 0 && writers < count; writers++) {
        result.error = pthread_create(&connections[writers].writer, NULL, write_all, &connections[writers]);
        if (result.error != 0) break;
    }
    uint64_t end = start;
    for (unsigned index = 0; index < opened; index++) {
        struct connection *connection = &connections[index];
        if (index < writers) pthread_join(connection->writer, NULL);
        // Without its writer the reader would wait for ever.
        if (index >= writers) shutdown(connection->descriptor, SHUT_RDWR);
        if (index < readers) pthread_join(connection->reader, NULL);
        close(connection->descriptor);
        if (connection->ended_ns > end) end = connection->ended_ns;
        if (connection->error != 0) result.error = connection->error;
        result.bytes += connection->bytes;
        result.reply_bytes += connection->reply_bytes;
        result.cpu_ns += connection->writer_cpu_ns + connection->reader_cpu_ns;
    }
    result.elapsed_ns = end - start;
    return result;
}
