/* The formats behind train_dataset_open, and what they share. Private to nn/train. */
#ifndef NN_TRAIN_FORMATS_H
#define NN_TRAIN_FORMATS_H

#include "nn/train/dataset.h"

int train_idx_open(const struct train_files *files, struct train_dataset **ret_data,
                   struct nn_error *err);
int train_cifar_open(const struct train_files *files, struct train_dataset **ret_data,
                     struct nn_error *err);
int train_table_open(const struct train_files *files, struct train_dataset **ret_data,
                     struct nn_error *err);

/* Sets the names of the classes: those that files->classes gives, else numbers up to `highest`. */
int train_format_name_classes(struct train_dataset *data, const struct train_files *files,
                              int highest, struct nn_error *err);

/* The label of sample i is bytes[first + i * stride]. */
struct train_label_bytes {
    const char *path;
    const uint8_t *bytes;
    size_t first, stride;
};

/* Sets labels, parts and classes; a label beyond the named classes is refused with its place. */
int train_format_label(struct train_dataset *data, const struct train_files *files,
                       const struct train_label_bytes *labels, struct nn_error *err);

#endif
