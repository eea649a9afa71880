// The queues that the ring is held against, with their whole loops in C++: no message of theirs pays for a call from Swift.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ring_peer {
    /// boost::lockfree::queue of a fixed size: a linked list of nodes from a pool.
    RING_PEER_BOOST = 0,
    /// moodycamel::ConcurrentQueue with tokens: a list of blocks for each producer, and no order between producers.
    RING_PEER_MOODYCAMEL = 1,
};

#define RING_PEER_PRODUCERS_MAX 3
/// Room for messages, beside what a queue needs for itself.
#define RING_PEER_ROOM_BYTES 8388608
/// Boost's indices have 16 bits: of small messages it holds no more than these.
#define RING_PEER_BOOST_MESSAGES_MAX 65534
/// The most that a consumer takes with one call.
#define RING_PEER_TAKEN_MAX 1024

/// Moves `producers * messages_per_producer` messages from so many threads to the calling one and reads a word of each.
/// Messages lie inside of the queue; whoever finds no room or no message yields.
///
/// - `message_bytes`: 64 or 1,400.
/// - `bulk`: messages that a producer puts in with one call, of which `messages_per_producer` is a multiple. 1 for boost.
///
/// Returns the nanoseconds from the moment at which all producers may start to the last message; 0 for what it does not
/// do, and when what came out is not what was put in. Without threads or memory it ends the program.
uint64_t ring_peer_run(
    enum ring_peer kind, unsigned producers, uint64_t messages_per_producer, unsigned message_bytes, unsigned bulk);

#ifdef __cplusplus
}
#endif
