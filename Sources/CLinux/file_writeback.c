#define _GNU_SOURCE
#include "file_writeback.h"
#include <fcntl.h>

int spillway_begin_writeback(int descriptor, off_t offset, off_t bytes) {
    return sync_file_range(descriptor, offset, bytes, SYNC_FILE_RANGE_WRITE);
}
