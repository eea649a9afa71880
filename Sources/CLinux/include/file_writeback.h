#ifndef SPILLWAY_CLINUX_FILE_WRITEBACK_H
#define SPILLWAY_CLINUX_FILE_WRITEBACK_H

#include <sys/types.h>

/// Lets the kernel begin to write a range of a file to its disk, and does not wait for it. Makes nothing durable: a later
/// fdatasync has less to wait for.
///
/// Returns 0, or -1 with errno. A file system that finds no place for the bytes only now may tell it here and nowhere else.
int spillway_begin_writeback(int descriptor, off_t offset, off_t bytes);

#endif
