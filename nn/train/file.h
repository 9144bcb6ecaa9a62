/* Whole files of data, plain or gzipped (told by how they begin). Private to nn/train.
 *
 * Memory grows with what a file really holds, never with what it claims.
 *
 * Thread: any. */
#ifndef NN_TRAIN_FILE_H
#define NN_TRAIN_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "nn/tensor.h"

/* Of one file, unpacked. */
#define TRAIN_FILE_BYTES_MAX ((size_t)1 << 30)

/* Gives all bytes, to be freed, with a NUL behind them. Returns 0, -EINVAL (not a regular file, or a
 * damaged or cut gzip stream), -E2BIG, -ENOMEM or what the system says. */
int train_file_read(const char *path, uint8_t **ret_data, size_t *ret_size,
                    struct nn_error *err);

#endif
