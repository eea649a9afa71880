// Counts the calls of malloc and its kin, for the figures "allocations per record".
#pragma once
#include <stdint.h>

/// Allocations that the calling thread has made since it began. Frees are not counted.
uint64_t spillway_bench_thread_allocations(void);
