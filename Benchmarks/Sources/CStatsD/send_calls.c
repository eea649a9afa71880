// The executable's own send and sendmmsg go before glibc's, for all libraries in the process, and ask the kernel for the
// same. One counter per thread, as for allocations.

#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CStatsD.h"
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread uint64_t sends __attribute__((tls_model("initial-exec")));

uint64_t spillway_bench_thread_sends(void) { return sends; }

ssize_t send(int descriptor, const void *bytes, size_t count, int flags) {
    sends++;
    return syscall(SYS_sendto, descriptor, bytes, count, flags, NULL, 0);
}

int sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags) {
    sends++;
    return (int)syscall(SYS_sendmmsg, descriptor, messages, count, flags);
}
