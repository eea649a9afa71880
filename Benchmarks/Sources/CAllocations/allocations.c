// The executable's own malloc goes before glibc's, for all libraries in the process; the work is left to glibc. One
// counter per thread: no atomic, so that counting costs an increment and changes nothing that is measured.

#pragma GCC diagnostic error "-Wall"
#include "CAllocations.h"
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

// Initial-exec, since the general model may allocate the thread's block by malloc itself.
static __thread uint64_t allocations __attribute__((tls_model("initial-exec")));

uint64_t spillway_bench_thread_allocations(void) { return allocations; }

void *malloc(size_t bytes) {
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *block, size_t bytes) {
    allocations++;
    return __libc_realloc(block, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
    allocations++;
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    allocations++;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    allocations++;
    void *made = __libc_memalign(alignment, bytes);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}
