/* Names by number: those of classes and of sources.
 *
 * Thread: one at a time while it changes. */
#ifndef NN_TRAIN_NAMES_H
#define NN_TRAIN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/tensor.h"

#define TRAIN_NAMES_MAX      16384
#define TRAIN_NAME_BYTES_MAX 256

struct train_names {
    int count, capacity;
    char **names;
};

/* Of a text file: one name a line, without the blanks around it. A byte order mark, CR LF and blank
 * lines at the end are fine. Returns 0, -EINVAL (no name, an empty or overlong one, one that is
 * there twice, a NUL), or what train_file_read returns. */
int train_names_read(const char *path, struct train_names *ret_names, struct nn_error *err);

void train_names_finish(struct train_names *names); /* also of {0} */

/* The number of a name, -1 when it is not there. */
int train_names_find(const struct train_names *names, const char *name, size_t length);

/* Its number; it is added when it is not there. -E2BIG, -ENOMEM. */
int train_names_add(struct train_names *names, const char *name, size_t length);

/* "0", "1", ... up to count of them. 0, -E2BIG, -ENOMEM. */
int train_names_number(struct train_names *names, int count);

/* Whether the shorter list is how the longer one begins. */
bool train_names_agree(const struct train_names *a, const struct train_names *b);

#endif
