// What a program has at hand today: a small StatsD client in C, as one would write it, and a count of the calls by which
// datagrams leave.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATSD_NUMBERS_MAX 16
#define STATSD_TAGS_MAX 8
/// Of a record's tags together, and of a number with its names.
#define STATSD_TEXT_BYTES_MAX 1024

struct statsd_number {
    const char *name;
    /// "g" or "ms".
    const char *type;
    double value;
    /// Printed without a fraction.
    bool is_whole;
};

struct statsd_tag {
    const char *name;
    const char *value;
};

/// The numbers of one record and the texts that each of them is told with.
struct statsd_record {
    const char *prefix;
    unsigned number_count;
    unsigned tag_count;
    struct statsd_number numbers[STATSD_NUMBERS_MAX];
    struct statsd_tag tags[STATSD_TAGS_MAX];
};

struct statsd;

/// A client with a socket that is connected to 127.0.0.1:port. With `datagram_bytes_max` lines wait until no more fit;
/// with 0 each is sent at once. NULL with errno on failure. Not shared between threads.
struct statsd *statsd_open(uint16_t port, size_t datagram_bytes_max);

/// A line for each number: `prefix.name:value|type|#tag:text,tag:text`.
void statsd_record(struct statsd *client, const struct statsd_record *record);

/// Sends what waits.
void statsd_flush(struct statsd *client);

struct statsd_sent {
    uint64_t datagrams;
    uint64_t bytes;
    /// Datagrams that the kernel did not take.
    uint64_t refused;
};

struct statsd_sent statsd_read(const struct statsd *client);

void statsd_close(struct statsd *client);

/// The calls of send and sendmmsg, whosoever made them, that the calling thread has made since it began.
uint64_t spillway_bench_thread_sends(void);
