#ifndef SPILLWAY_CLINUX_THREAD_H
#define SPILLWAY_CLINUX_THREAD_H

/// Names the calling thread for `top -H`, `perf` and core files: at most 15 bytes, longer names are cut.
void spillway_set_thread_name(const char *name);

#endif
