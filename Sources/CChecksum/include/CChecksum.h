// CRC32C (Castagnoli): by the processor's own instruction where it has one, by tables elsewhere.
#ifndef SPILLWAY_CCHECKSUM_H
#define SPILLWAY_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// Continues a CRC32C. Begin with 0; the result of one call is the start of the next.
/// The way to compute is chosen once, at run time. O(length).
uint32_t spillway_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by tables alone: what runs where the processor has no instruction for it, and what tests compare with.
uint32_t spillway_crc32c_tables(uint32_t crc, const void *bytes, size_t length);

#endif
