// The bare machine: the least that a program must do to send numbered datagrams and to receive any. What a collector reaches is
// told as a part of this.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Datagrams of one sendmmsg or recvmmsg.
#define FLOOR_BATCH 64

struct floor_frames {
    /// All frames, one behind the other.
    uint8_t *bytes;
    /// `count + 1` offsets: frame i lies from offsets[i] to offsets[i + 1].
    const uint32_t *offsets;
    /// Records of each frame.
    const uint16_t *records;
    uint32_t count;
    /// Numbers a frame before it is sent: `source` is that of its socket, from 1, and `sequence` counts its frames from 1.
    /// NULL for frames that are sent as they are.
    void (*number)(uint8_t *frame, size_t length, uint64_t source, uint64_t session, uint64_t sequence);
    uint64_t session;
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

/// Bytes of one write to a stream, and of one read by the bare reader.
#define FLOOR_STREAM_WRITE (256 << 10)
#define FLOOR_STREAM_READ (256 << 10)
#define FLOOR_STREAMS_MAX 16

/// What goes over one connection.
struct floor_stream {
    const uint8_t *bytes;
    size_t count;
};

struct floor_streamed {
    uint64_t bytes;
    /// From before the first write to behind the last, when the kernel had taken all of it.
    uint64_t elapsed_ns;
    /// Of the writing and reading threads together.
    uint64_t cpu_ns;
    /// What the other side answered.
    uint64_t reply_bytes;
    /// The errno of a failed call, or 0.
    int error;
};

/// Writes each stream `repeats` times to 127.0.0.1:port, over a connection and from a thread of its own. Replies are read
/// by another thread and dropped. Ends when the other side has closed.
struct floor_streamed floor_stream_write(
    uint16_t port, const struct floor_stream *streams, unsigned count, unsigned repeats);

struct floor_stream_sink;

/// A thread that accepts connections on 127.0.0.1 and a free port, reads and counts. NULL with errno on failure.
struct floor_stream_sink *floor_stream_sink_start(void);
uint16_t floor_stream_sink_port(const struct floor_stream_sink *sink);
uint64_t floor_stream_sink_bytes(const struct floor_stream_sink *sink);
/// What the thread has computed, in nanoseconds.
uint64_t floor_stream_sink_cpu(const struct floor_stream_sink *sink);
void floor_stream_sink_stop(struct floor_stream_sink *sink);

/// SIGINT and SIGTERM end this child too from now on; 0 for none.
void floor_guard_child(int pid);

/// SIGINT and SIGTERM remove these folders too, a moment after the end, when the servers in them have ended as well;
/// NULL for none. The texts are copied.
void floor_guard_folders(const char *first, const char *second);
