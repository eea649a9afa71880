#ifndef SPILLWAY_CLINUX_UDP_SOCKET_H
#define SPILLWAY_CLINUX_UDP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/// An internet address and a port. The address is one 128-bit number, its first byte the highest; of IPv4 it is the
/// lowest 32 bits.
struct spillway_address {
    uint64_t high;
    uint64_t low;
    uint16_t port;
    uint8_t is_ipv6;
};

/// A close-on-exec, non-blocking UDP socket whose datagrams bring the kernel's drop total with them (SO_RXQ_OVFL).
/// IPv6 sockets take IPv6 alone. With `shares_port`, sockets of the same user may bind the same port (SO_REUSEPORT).
///
/// Returns the descriptor, or -1 with errno.
int spillway_udp_socket(int is_ipv6, int shares_port);
int spillway_udp_bind(int descriptor, const struct spillway_address *address);
int spillway_udp_local_address(int descriptor, struct spillway_address *address);

/// Asks for a receive buffer of `bytes`: past the system's limit if the process may (SO_RCVBUFFORCE), else up to it.
///
/// Returns the bytes granted in the same measure, half of what the kernel reserves, or -1 with errno.
int spillway_set_receive_buffer(int descriptor, int bytes);

/// The socket's datagrams that the kernel dropped so far, as it counts them now (SO_MEMINFO): modulo 2^32.
int spillway_udp_drops(int descriptor, uint32_t *drops);

/// From now on the kernel drops, and counts as drops, what arrives at the socket. What is queued stays to be read.
int spillway_udp_refuse_arrivals(int descriptor);

/// A datagram that was received.
struct spillway_datagram {
    const uint8_t *bytes;
    uint32_t length;
    /// The kernel's drop total when the datagram was queued, if `has_drops`: modulo 2^32.
    uint32_t drops;
    uint8_t has_drops;
    /// Its end did not fit in the buffer.
    uint8_t is_truncated;
    struct spillway_address peer;
};

/// Buffers for one call of recvmmsg, allocated once.
struct spillway_datagram_batch;

/// Returns NULL when there is no memory.
struct spillway_datagram_batch *spillway_datagram_batch_create(unsigned datagrams_max, size_t datagram_bytes_max);
void spillway_datagram_batch_destroy(struct spillway_datagram_batch *batch);

/// Receives what is there, up to the batch's capacity, without waiting. The bytes are valid until the next call.
///
/// Returns how many datagrams were received, from 1, or -1 with errno.
int spillway_datagram_batch_receive(struct spillway_datagram_batch *batch, int descriptor);

/// The datagram at `index`, which must be below the count that the last receive returned.
struct spillway_datagram spillway_datagram_batch_get(const struct spillway_datagram_batch *batch, unsigned index);

/// The buffer of the datagram at `index`.
const uint8_t *spillway_datagram_batch_buffer(const struct spillway_datagram_batch *batch, unsigned index);

#endif
