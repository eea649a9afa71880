#include "memory_file_system.h"
#include <linux/magic.h>
#include <sys/vfs.h>

int spillway_is_in_memory_alone(const char *path) {
    struct statfs status;
    if (statfs(path, &status) != 0) return -1;
    return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}
