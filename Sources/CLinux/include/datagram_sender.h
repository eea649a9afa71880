#ifndef SPILLWAY_CLINUX_DATAGRAM_SENDER_H
#define SPILLWAY_CLINUX_DATAGRAM_SENDER_H

#include <stdint.h>

/// How many datagrams one call sends at most.
enum { SPILLWAY_SEND_DATAGRAMS_MAX = 64 };

/// Sends `count` datagrams through a connected socket with one system call. They lie one behind the other in `bytes`,
/// each as long as its element of `lengths` says. `count` is 1 to SPILLWAY_SEND_DATAGRAMS_MAX.
///
/// Returns how many the kernel took, at least 1, or -1 with errno for the first one.
int spillway_send_datagrams(int descriptor, const void *bytes, const uint32_t *lengths, unsigned count);

#endif
