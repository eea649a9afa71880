// Loaded before the C library: the write to a file that SHORT_WRITE counts off takes only a part of its bytes, as the kernel may
// do at any time. SHORT_WRITE_LOG names a file that is made when it happened.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int calls;

typedef ssize_t (*positioned_write)(int, const void *, size_t, off64_t);

static ssize_t write_short(int file, const void *bytes, size_t count, off64_t offset) {
    static positioned_write next;
    if (!next) next = (positioned_write)dlsym(RTLD_NEXT, "pwrite64");
    const char *number = getenv("SHORT_WRITE");
    if (number && count > 1 && atomic_fetch_add(&calls, 1) + 1 == atoi(number)) {
        const char *log = getenv("SHORT_WRITE_LOG");
        if (log) close(open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        count /= 2;
    }
    return next(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    return write_short(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return write_short(file, bytes, count, offset);
}
