/* Labelled samples to teach a network with, or to judge it by, from whatever file they come.
 *
 * A sample is a block of floats of the data set's shape: [C,H,W] for pictures, [T,d] for sequences,
 * in the order a network's input has them. Values are those of the file: pixels 0..255 (`pictures`)
 * or numbers. Each sample has a label (the number of its class), a group (the source or camera it
 * comes from: what a split must not tear apart) and perhaps a part it was given for.
 *
 * Formats that are read here:
 *   idx     MNIST's: a file of pictures [n,H,W] and a file of labels [n], unsigned bytes
 *           (yann.lecun.com/exdb/mnist)
 *   cifar   CIFAR-10's binary version: records of a label and 3x32x32 bytes
 *           (www.cs.toronto.edu/~kriz/cifar.html)
 *   table   CSV, a sequence a line: its label, a number or the name of a class, then T*d numbers,
 *           step by step. A first line without any number is a header; empty lines are nothing.
 * Every file may be gzipped. All of it is kept in memory, as it is in the file, up to
 * TRAIN_FILE_BYTES_MAX (nn/train/file.h) each. Other sources (clips, whose frames are decoded
 * elsewhere) bring their own struct train_dataset_ops.
 *
 * Bad files are refused with a line that names the file and the place; nothing that a file claims
 * is believed before it is held against what is there.
 *
 * Thread: any number may read at once while nothing is changed. */
#ifndef NN_TRAIN_DATASET_H
#define NN_TRAIN_DATASET_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/tensor.h"
#include "nn/train/names.h"

#define TRAIN_CLASSES_MAX 4096
#define TRAIN_SAMPLE_MAX  (1 << 24) /* floats of one sample */

enum train_part {
    TRAIN_PART_NONE, /* the data does not say */
    TRAIN_PART_TRAIN,
    TRAIN_PART_VALIDATION,
    TRAIN_PART_TEST,
};
enum { TRAIN_PARTS = TRAIN_PART_TEST + 1 };

/* "", "train", "validation", "test". */
extern const char *const train_part_names[TRAIN_PARTS];

struct train_dataset;

struct train_dataset_ops {
    /* Sample `origin` of what was opened, as floats. */
    int (*read)(const struct train_dataset *data, int origin, float *ret_values,
                struct nn_error *err);
    /* Frees what the kind added, then the block itself; train_dataset_finish has been called. */
    void (*destroy)(struct train_dataset *data);
};

/* Plain to read. `parts` may be written by whoever owns the data set. */
struct train_dataset {
    const struct train_dataset_ops *ops;
    struct nn_shape shape; /* of one sample */
    bool pictures;         /* values are pixels, 0..255 */
    int count;             /* of samples; of each array below */
    int *labels;           /* 0 .. classes.count - 1 */
    int *groups;           /* 0 .. group_count - 1 */
    int *origins;          /* which it was when the data set was opened, ascending */
    enum train_part *parts;
    struct train_names classes; /* "0", "1", ... where nothing names them */
    int group_count;
    struct train_names
        sources; /* of the groups; empty: sources are not known, and each sample is
                                   a group of its own */
};

struct train_files {
    const char *samples;
    const char *labels; /* of idx; NULL elsewhere */
    const char
        *classes; /* names, one a line; NULL: the highest label is that of the last class */
    int numbers;  /* d of table, at least 1 */
    enum train_part part; /* what all samples are for */
};

/* *ret_data is written only on success. Returns 0, -EINVAL, -E2BIG (a limit), -ENOMEM or what the
 * system says of a file; -EINVAL as well for a format that there is not, with those there are. */
int train_dataset_open(const char *format, const struct train_files *files,
                       struct train_dataset **ret_data, struct nn_error *err);
void train_dataset_destroy(struct train_dataset *data); /* NULL is fine */

/* One after the other, each sample keeping its part. Takes the data sets, on failure too. They
 * must have one shape, both be pictures or neither, and name their classes alike (one may know
 * fewer); either all of them know their sources, which are the same where the name is, or none. */
int train_dataset_join(struct train_dataset **parts, int count, struct train_dataset **ret_data,
                       struct nn_error *err);

/* Sample `at` of 0..count-1 into as many floats as the shape has. */
int train_dataset_read(const struct train_dataset *data, int at, float *ret_values,
                       struct nn_error *err);

/* ret_first[i]: the first sample whose values are those of sample i, i itself where it is the
 * first. Labels are not looked at. Reads every sample. Returns how many repeat an earlier one. */
int train_dataset_duplicates(const struct train_dataset *data, int *ret_first,
                             struct nn_error *err);

/* Leaves out the samples that are marked; the others move up. */
void train_dataset_drop(struct train_dataset *data, const bool *marked);

/* For kinds of data sets: the block itself is the caller's. Sets shape and count, labels and parts
 * to 0, every sample a group of its own. 0, -EINVAL (no samples, a shape over
 * TRAIN_SAMPLE_MAX), -ENOMEM; finish is right after a failure too. `what` is named in messages. */
int train_dataset_init(struct train_dataset *data, const struct train_dataset_ops *ops,
                       const struct nn_shape *shape, int count, const char *what,
                       struct nn_error *err);
void train_dataset_finish(struct train_dataset *data);

/* Samples in memory, sample i at first + i * stride bytes. */
struct train_memory {
    struct nn_shape shape;
    int count;
    enum nn_type type; /* NN_TYPE_UINT8, which are pixels, or NN_TYPE_FLOAT */
    void *block;       /* to be freed; taken, on failure too */
    size_t first, stride;
};

/* Labels are 0 and without names: the caller sets both. */
int train_dataset_create(const struct train_memory *memory, const char *what,
                         struct train_dataset **ret_data, struct nn_error *err);

#endif
