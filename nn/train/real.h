/* The number type of the rows: their files are compiled twice, for float and, so that gradients
 * can be held against finite differences, for double (TRAIN_DOUBLE). Private to nn/train.
 *
 * A function that other files see is named TRAIN_NAME(train_thing): train_thing_float and
 * train_thing_double. */
#ifndef NN_TRAIN_REAL_H
#define NN_TRAIN_REAL_H

#ifdef TRAIN_DOUBLE
typedef double real;
#define TRAIN_NAME(name) name##_double
#else
typedef float real;
#define TRAIN_NAME(name) name##_float
#endif

#endif
