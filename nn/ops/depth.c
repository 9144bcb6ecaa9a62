/* DepthToSpace and SpaceToDepth: b·b channels of an image on one side, a channel of an image b
 * times as high and wide on the other. A row of the one is every b-th element of a row of the
 * other. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

/* Where blocks are channels: their number, and the small image. */
struct blocks {
    int64_t size; /* b */
    int64_t batch, channels, height, width;
    bool by_column; /* CRD: a channel's blocks lie side by side; DCR: a block's channels do */
};

static int read_blocks(const struct nn_op_call *call, bool to_space, struct blocks *ret_blocks)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    const char *mode = nn_op_string(call, "mode", "DCR");
    struct blocks b = {.size = nn_op_int(call, "blocksize", 0),
                       .by_column = strcmp(mode, "CRD") == 0};
    if (x->rank != 4)
        return nn_op_fail(call, -EINVAL, "its input has rank %d, not 4", x->rank);
    if (b.size < 1 || b.size > INT16_MAX)
        return nn_op_fail(call, -EINVAL, "blocksize is %lld", (long long)b.size);
    if (!b.by_column && strcmp(mode, "DCR") != 0)
        return nn_op_fail(call, -EINVAL, "mode is '%.40s'", mode);
    int64_t area = b.size * b.size;
    /* Of the most that shapes can be, nothing needs to come out even. */
    bool exact = !call->inputs[0].late;
    bool even =
        to_space ? x->dim[1] % area == 0 : x->dim[2] % b.size == 0 && x->dim[3] % b.size == 0;
    if (exact && !even)
        return nn_op_fail(call, -EINVAL,
                          "%lld channels of %lld×%lld do not divide by blocks "
                          "of %lld",
                          (long long)x->dim[1], (long long)x->dim[2], (long long)x->dim[3],
                          (long long)b.size);
    b.batch = x->dim[0];
    b.channels = to_space ? (x->dim[1] + area - 1) / area : x->dim[1];
    b.height = to_space ? x->dim[2] : (x->dim[2] + b.size - 1) / b.size;
    b.width = to_space ? x->dim[3] : (x->dim[3] + b.size - 1) / b.size;
    *ret_blocks = b;
    return 0;
}

static bool is_to_space(const struct nn_op_call *call)
{
    return call->op == &nn_op_depth_to_space;
}

static int infer(struct nn_op_call *call)
{
    struct blocks b;
    bool to_space = is_to_space(call);
    int r = read_blocks(call, to_space, &b);
    if (r < 0)
        return r;
    struct nn_tensor *y = &call->outputs[0];
    y->type = call->inputs[0].type;
    y->shape = (struct nn_shape){.rank = 4, .dim = {b.batch}};
    int64_t space = to_space ? b.size : 1, depth = to_space ? 1 : b.size * b.size;
    if (__builtin_mul_overflow(b.channels, depth, &y->shape.dim[1]) ||
        __builtin_mul_overflow(b.height, space, &y->shape.dim[2]) ||
        __builtin_mul_overflow(b.width, space, &y->shape.dim[3]))
        return nn_op_fail(call, -E2BIG, "its output would be too large");
    return 0;
}

#define SPREAD(type)                                                                           \
    for (int64_t i = 0; i < count; i++)                                                        \
    ((type *)to)[i * to_step] = ((const type *)from)[i * from_step]

static void spread(void *to, int64_t to_step, const void *from, int64_t from_step,
                   int64_t count, size_t element)
{
    if (element == 4)
        SPREAD(uint32_t);
    else if (element == 1)
        SPREAD(uint8_t);
    else if (element == 2)
        SPREAD(uint16_t);
    else
        SPREAD(uint64_t);
}

/* One channel of the large image, at `space`, and where its blocks are channels. */
static void move_channel(const struct blocks *b, int64_t channel, bool to_space, char *depth,
                         char *space, size_t element)
{
    const size_t row = (size_t)b->width * element, plane = (size_t)b->height * row;
    for (int64_t h = 0; h < b->height; h++)
        for (int64_t i = 0; i < b->size; i++)
            for (int64_t j = 0; j < b->size; j++) {
                int64_t block = i * b->size + j;
                int64_t from = b->by_column ? channel * b->size * b->size + block
                                            : block * b->channels + channel;
                char *d = depth + (size_t)from * plane + (size_t)h * row;
                char *s =
                    space + (size_t)((h * b->size + i) * b->size) * row + (size_t)j * element;
                if (to_space)
                    spread(s, b->size, d, 1, b->width, element);
                else
                    spread(d, 1, s, b->size, b->width, element);
            }
}

static int forward(struct nn_op_call *call)
{
    struct blocks b;
    bool to_space = is_to_space(call);
    int r = read_blocks(call, to_space, &b);
    if (r < 0)
        return r;
    const size_t element = nn_type_size(call->outputs[0].type);
    const size_t plane = (size_t)(b.height * b.width * b.size * b.size) * element;
    char *x = call->inputs[0].data, *y = call->outputs[0].data;
    for (int64_t n = 0; n < b.batch; n++)
        for (int64_t c = 0; c < b.channels; c++) {
            size_t image = (size_t)(n * b.channels) * plane, at = image + (size_t)c * plane;
            move_channel(&b, c, to_space, (to_space ? x : y) + image, (to_space ? y : x) + at,
                         element);
        }
    return 0;
}

static const struct nn_attribute_rule to_space_rules[] = {
    {"blocksize", NN_ATTRIBUTE_INT, 0, 0}, {"mode", NN_ATTRIBUTE_STRING, 11, 0}, {0}};
static const struct nn_attribute_rule to_depth_rules[] = {{"blocksize", NN_ATTRIBUTE_INT, 0, 0},
                                                          {0}};

const struct nn_op nn_op_depth_to_space = {
    .name = "DepthToSpace",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = to_space_rules,
    .infer = infer,
    .forward = forward,
    .time = nn_op_time_batch,
};

const struct nn_op nn_op_space_to_depth = {
    .name = "SpaceToDepth",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = to_depth_rules,
    .infer = infer,
    .forward = forward,
    .time = nn_op_time_batch,
};
