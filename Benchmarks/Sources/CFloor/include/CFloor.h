// The bare machine: the least that a program must do to send datagrams and to receive them. What a collector reaches is
// told as a part of this.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Datagrams of one sendmmsg or recvmmsg.
#define FLOOR_BATCH 64

struct floor_frames {
    /// All frames, one behind the other.
    const uint8_t *bytes;
    /// `count + 1` offsets: frame i lies from offsets[i] to offsets[i + 1].
    const uint32_t *offsets;
    /// Records of each frame.
    const uint16_t *records;
    uint32_t count;
};

struct floor_sent {
    uint64_t datagrams;
    uint64_t records;
    uint64_t elapsed_ns;
    uint64_t cpu_ns;
    /// The errno of a failed call, or 0.
    int error;
};

/// Sends frames in turn to 127.0.0.1:port, in batches of FLOOR_BATCH, from `sockets` sockets in turn, for `seconds`.
/// `rate` in datagrams per second; 0 is flat out. On the calling thread.
struct floor_sent floor_send(
    uint16_t port, unsigned sockets, const struct floor_frames *frames, double rate, double seconds);

struct floor_sink;

/// A thread that receives with recvmmsg and counts, on 127.0.0.1 and a free port. NULL with errno on failure.
struct floor_sink *floor_sink_start(int receive_buffer_bytes);

struct floor_sink_state {
    uint16_t port;
    /// SO_RCVBUF as it was granted, without the kernel's doubling.
    int receive_buffer_bytes;
    uint64_t datagrams;
    uint64_t bytes;
    uint64_t kernel_drops;
    uint64_t cpu_ns;
};

struct floor_sink_state floor_sink_read(const struct floor_sink *sink);

/// Ends the thread and frees everything.
void floor_sink_stop(struct floor_sink *sink);

/// SIGINT and SIGTERM end this child too from now on; 0 for none.
void floor_guard_child(int pid);
