/* Arrays for tests of kernels: numbers that are the same in every run, in memory that ends
 * where the array does. */
#ifndef TESTS_NN_KERNEL_ARRAYS_H
#define TESTS_NN_KERNEL_ARRAYS_H

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nn/kernels/kernels.h"
#include "tests/suite.h"

/* Memory that ends at an inaccessible page: one read or write too many is a crash. */
static inline void *guarded_memory(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE),
           pages = (bytes + page - 1) / page * page + page;
    char *memory =
        mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory + pages, page, PROT_NONE), 0);
    return memory + pages - bytes;
}

static inline void release_memory(void *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE),
           pages = (bytes + page - 1) / page * page + page;
    munmap((char *)p + bytes - pages, pages + page);
}

/* n floats of such memory. */
static inline float *guarded(size_t n)
{
    return guarded_memory(n * sizeof(float));
}

static inline void release(float *p, size_t n)
{
    release_memory(p, n * sizeof(float));
}

/* 24 bits, the same in every run. */
static inline uint32_t next_bits(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* -1..1 */
static inline float next_random(uint32_t *state)
{
    return (float)next_bits(state) / 8388608.0f - 1.0f;
}

static inline float *guarded_random(size_t n, uint32_t seed)
{
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++)
        p[i] = next_random(&seed);
    return p;
}

/* Asserts only when something is wrong: each assertion that Check sees costs a message to its
 * parent process, and there are millions of values. */
static inline void check_close(const char *what, const float *got, const float *want, size_t n,
                               double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        bool close = isnan(want[i])   ? isnan(got[i])
                     : isinf(want[i]) ? got[i] == want[i]
                                      : fabs((double)got[i] - want[i]) <= tolerance;
        if (!close)
            ck_abort_msg("%s: [%zu] of %zu is %.9g, expected %.9g", what, i, n, got[i],
                         want[i]);
    }
}

/* Loop tests run once for each table after the scalar one. */
static inline const struct nn_kernels *table(int loop)
{
    const struct nn_kernels *k = nn_kernels_at((size_t)loop);
    ck_assert_ptr_nonnull(k);
    return k;
}

#endif
