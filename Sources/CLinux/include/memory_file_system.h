#ifndef SPILLWAY_MEMORY_FILE_SYSTEM_H
#define SPILLWAY_MEMORY_FILE_SYSTEM_H

/// Whether the file system of a path is in memory alone: tmpfs or ramfs.
///
/// Returns 1 or 0, or -1 with errno.
int spillway_is_in_memory_alone(const char *path);

#endif
