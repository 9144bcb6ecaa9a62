#include "nn/kernels/tables.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Scalar first, fastest last. */
#define TABLES_MAX 4
static const struct nn_kernels *available[TABLES_MAX];
static size_t available_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
/* AVX-512 with another table of integers. */
static struct nn_kernels avx512_vnni;

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
#endif

static void find_tables(void)
{
    available[available_count++] = &nn_kernels_table_scalar;
#if defined(__x86_64__)
    /* The compiler's check also asks the operating system whether it saves the registers. Every
     * processor with AVX2 has F16C, which clang 14 cannot ask for. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        available[available_count++] = &nn_kernels_table_avx2;
    if (has_avx512())
        available[available_count++] = &nn_kernels_table_avx512;
    if (has_avx512() && __builtin_cpu_supports("avx512vnni")) {
        avx512_vnni = nn_kernels_table_avx512;
        avx512_vnni.name = "avx512vnni";
        avx512_vnni.bytes = &nn_byte_table_vnni;
        available[available_count++] = &avx512_vnni;
    }
#elif defined(__aarch64__)
    available[available_count++] = &nn_kernels_table_neon;
#endif
    nn_kernels_blas_init();
}

const struct nn_kernels *nn_kernels_best(void)
{
    pthread_once(&once, find_tables);
    const char *wanted = secure_getenv("VIGIL_KERNELS");
    for (size_t i = 0; wanted && i < available_count; i++) {
        if (strcmp(available[i]->name, wanted) == 0)
            return available[i];
    }
    return available[available_count - 1];
}

const struct nn_kernels *nn_kernels_scalar(void)
{
    return &nn_kernels_table_scalar;
}

const struct nn_kernels *nn_kernels_at(size_t index)
{
    pthread_once(&once, find_tables);
    return index < available_count ? available[index] : NULL;
}
