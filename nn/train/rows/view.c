/* Operators that only see their input's numbers under another shape. */
#include "nn/train/row.h"

#define VIEW(name, type)                                                                       \
    const struct train_row TRAIN_NAME(train_row_##name) = {                                    \
        .op = type, .fixed = ~1u, .view = true, .moves = true}

VIEW(flatten, "Flatten");
VIEW(identity, "Identity");
VIEW(reshape, "Reshape");
VIEW(squeeze, "Squeeze");
VIEW(unsqueeze, "Unsqueeze");
