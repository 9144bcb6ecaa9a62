/* What shows a network the same pictures otherwise: grey, and what has changed over time. These
 * layers learn nothing: their numbers are Constant nodes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nn/train/layer_build.h"

/* Steps that differences are taken of: their matrix is of 4 MiB then. */
enum { STEPS_MAX = 1024 };

/* Rec. ITU-R BT.601: the luma that JPEG, GStreamer and OpenCV mean by grey, whatever the pictures
 * were made with, and what cameras below 720 lines make theirs with. */
static const float luma[3] = {0.299f, 0.587f, 0.114f};

/* Pictures, and windows of them. */
int train_build_grey(struct train_build *b, const struct train_layer *layer)
{
    (void)layer;
    char text[64];
    struct nn_shape shape = b->shape;
    int rank = shape.rank, last = rank - 1;
    if (rank < 3 || shape.dim[last] != 3)
        return train_refuse(b,
                            "it reads pictures of 3 channels, HEIGHTxWIDTHx3, or windows of "
                            "them, not %s",
                            train_shape_text(&shape, text, sizeof text));
    train_lay_plain(b);
    if (rank == 4)
        train_reshape(b, (int64_t[]){-1, 3, shape.dim[1], shape.dim[2]}, 4);
    const char *x = b->value, *weights = train_floats(b, luma, TRAIN_SHAPE(1, 3, 1, 1));
    TRAIN_EMIT(b, "Conv", x, weights);
    if (rank == 4)
        train_reshape(b, (int64_t[]){-1, shape.dim[0], 1, shape.dim[1], shape.dim[2]}, 5);
    shape.dim[last] = 1;
    return train_becomes(b, shape, NULL);
}

/* Time comes first in the graph behind it, and all else behind time. */
static int want_steps(struct train_build *b)
{
    char text[64];
    const int rank = b->shape.rank;
    if (rank != 2 && rank != 4)
        return train_refuse(b,
                            "it reads windows, TIMExHEIGHTxWIDTHxCHANNELS, or sequences, "
                            "TIMExFEATURES, not %s",
                            train_shape_text(&b->shape, text, sizeof text));
    train_lay_plain(b);
    return 0;
}

static int finish_difference(struct train_build *b, const struct train_layer *layer)
{
    if (layer->absolute)
        TRAIN_EMIT(b, "Abs", b->value);
    return train_becomes(b, b->shape, NULL);
}

/* x_t - x_{t-1}; the first step less itself. */
int train_build_frame_difference(struct train_build *b, const struct train_layer *layer)
{
    int r = want_steps(b);
    if (r < 0)
        return r;
    int64_t steps = b->shape.dim[0];
    int64_t *before = nn_pool_array(b->pool, (size_t)steps, sizeof *before);
    if (!before)
        return train_no_memory(b);
    for (int64_t t = 1; t < steps; t++)
        before[t] = t - 1;
    const char *x = b->value, *indices = train_ints(b, before, (int)steps);
    TRAIN_EMIT(b, "Gather", x, indices);
    train_attribute_int(b, "axis", 1);
    TRAIN_EMIT(b, "Sub", x, b->value);
    return finish_difference(b, layer);
}

/* Row t: what x_t less the average of the steps before it is made of. The average begins with
 * x_0, and takes in each step after it with the rate. */
static void write_differences(double rate, int64_t steps, float *ret_matrix)
{
    for (int64_t t = 1; t < steps; t++) {
        float *row = ret_matrix + t * steps;
        double left = 1; /* of what was before step s */
        row[t] = 1;
        for (int64_t s = t - 1; s > 0; s--, left *= 1 - rate)
            row[s] = -(float)(rate * left);
        row[0] = -(float)left;
    }
}

/* One product over time. */
int train_build_background_difference(struct train_build *b, const struct train_layer *layer)
{
    int r = want_steps(b);
    if (r < 0)
        return r;
    struct nn_shape shape = b->shape;
    int64_t steps = shape.dim[0];
    if (steps > STEPS_MAX)
        return train_refuse(b, "it has at most %d steps, its input has %lld", STEPS_MAX,
                            (long long)steps);
    float *matrix = nn_pool_array(b->pool, (size_t)(steps * steps), sizeof *matrix);
    if (!matrix)
        return train_no_memory(b);
    write_differences(layer->rate, steps, matrix);
    if (shape.rank == 4)
        train_reshape(b, (int64_t[]){-1, steps, nn_shape_count(&shape) / steps}, 3);
    const char *x = b->value, *weights = train_floats(b, matrix, TRAIN_SHAPE(steps, steps));
    TRAIN_EMIT(b, "MatMul", weights, x);
    if (shape.rank == 4)
        train_reshape(b, (int64_t[]){-1, steps, shape.dim[3], shape.dim[1], shape.dim[2]}, 5);
    return finish_difference(b, layer);
}
