/* AVX-512 with VNNI: the same source, compiled for it. */
#include "nn/kernels/bytes_avx512.c"
