/* The allocator of a test program, in place of the C library's: it counts what the program and
 * its libraries ask for in any thread (pages that OpenBLAS maps for itself among it), and
 * refuses when told. A sanitizer has its own: OWN_ALLOCATOR is 0 there, and nothing counts. */
#ifndef TESTS_NN_ALLOCATOR_H
#define TESTS_NN_ALLOCATOR_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

/* Not every program looks at all of them. */
static atomic_long allocations __attribute__((unused)), allocated_bytes __attribute__((unused));
static long fail_at __attribute__((unused)) = -1; /* this one from now fails; -1: none */

#if OWN_ALLOCATOR

/* glibc's own, by the names it exports for interposers like this one. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *pointer, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);
int posix_memalign(void **ret_pointer, size_t alignment, size_t size);

static bool refuse(size_t size)
{
    allocations++;
    allocated_bytes += (long)size;
    bool refused = fail_at >= 0 && fail_at-- == 0;
    errno = refused ? ENOMEM : errno; /* glibc insists */
    return refused;
}

void *malloc(size_t size)
{
    return refuse(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return refuse(count * size) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    return refuse(size) ? NULL : __libc_realloc(pointer, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refuse(size) ? NULL : __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
    return refuse(size) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_pointer, size_t alignment, size_t size)
{
    void *memory = refuse(size) ? NULL : __libc_memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *ret_pointer = memory;
    return 0;
}

/* Counted, never refused. */
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    allocations++;
    allocated_bytes += (long)size;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

#endif
#endif
