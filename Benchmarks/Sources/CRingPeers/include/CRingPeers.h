// The queues that the ring is held against, with their whole loops in C++: no message of theirs pays for a call from Swift.
#pragma once
#include <stdbool.h>
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
/// - `put`: messages that a producer puts in with one call, of which `messages_per_producer` is a multiple; 1 for boost.
/// - `taken`: the most that the consumer takes with one call, up to `RING_PEER_TAKEN_MAX`; 1 for boost.
/// - `cores`: one for the consumer, then one for each producer, all of which stay there; null leaves it to the system.
///
/// Returns the nanoseconds from the moment at which all producers may start to the last message; 0 for what it does not
/// do, and when what came out is not what was put in. Without threads, memory or such a core it ends the program.
uint64_t ring_peer_run(
    enum ring_peer kind, unsigned producers, uint64_t messages_per_producer, unsigned message_bytes, unsigned put,
    unsigned taken, const int *cores);

/// One thread alone puts `rounds` times `messages` messages in and then takes them all: moodycamel's, with a token.
///
/// - `message_bytes`: 64 or 1,400; `messages` of them fit in `RING_PEER_ROOM_BYTES`.
/// - `put`: messages put in with one call, of which `messages` is a multiple; 1,024 are taken with one.
///
/// Adds the thread's CPU time in both halves to `put_nanoseconds` and `take_nanoseconds`. Returns false for what it does
/// not do, and when what came out is not what was put in. Without memory it ends the program.
bool ring_peer_alone(
    unsigned rounds, unsigned messages, unsigned message_bytes, unsigned put, uint64_t *put_nanoseconds,
    uint64_t *take_nanoseconds);

/// Keeps the calling thread on a core, or with -1 lets it go to all that the program may use. Ends the program where there
/// is no such core.
void ring_peer_stay(int core);

#ifdef __cplusplus
}
#endif
