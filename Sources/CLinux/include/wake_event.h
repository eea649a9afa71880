#ifndef SPILLWAY_CLINUX_WAKE_EVENT_H
#define SPILLWAY_CLINUX_WAKE_EVENT_H

#include <stdint.h>

/// A close-on-exec, non-blocking eventfd, or -1 with errno.
int spillway_eventfd(void);
int spillway_eventfd_read(int descriptor, uint64_t *value);
int spillway_eventfd_write(int descriptor, uint64_t value);

#endif
