/* Half precision, as bits: what float16 tensors are read from and what a Cast to float16 rounds
 * to. The engine computes in float32; a half is a float32 whose value a half can hold.
 *
 * Source: IEEE 754-2019, binary16 (1 sign, 5 exponent, 10 fraction bits, bias 15).
 *
 * Thread: pure functions. */
#ifndef NN_HALF_H
#define NN_HALF_H

#include <stdint.h>

/* Exact. A NaN stays one. */
float nn_half_to_float(uint16_t half);

/* The nearest half, ties to even; from 65520 on infinity, below 2^-25 zero. A NaN stays one. */
uint16_t nn_half_from_float(float value);

#endif
