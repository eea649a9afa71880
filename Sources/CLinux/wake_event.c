#include "wake_event.h"
#include <sys/eventfd.h>

int spillway_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
int spillway_eventfd_read(int descriptor, uint64_t *value) { return eventfd_read(descriptor, (eventfd_t *)value); }
int spillway_eventfd_write(int descriptor, uint64_t value) { return eventfd_write(descriptor, value); }
