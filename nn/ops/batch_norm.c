/* BatchNormalization: y = x · factor + shift, one pair for each channel (or, with the old
 * spatial = 0, for each value of a channel). With training_mode the mean and variance are those
 * of the batch itself, and the running ones that the next batch begins with are outputs. */
#include <errno.h>
#include <math.h>

#include "nn/activation.h"

struct batch_norm {
    int64_t batch, count, inner; /* count pairs, each for `inner` neighbouring values */
    const float *pairs;          /* (2, count): factors, shifts; NULL unless constant */
};

static bool is_training(const struct nn_op_call *call)
{
    return nn_op_int(call, "training_mode", 0) != 0;
}

static int norm_geometry(const struct nn_op_call *call, struct batch_norm *ret_norm)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    if (x->rank < 1)
        return nn_op_fail(call, -EINVAL, "its input is a single number");
    bool spatial = nn_op_int(call, "spatial", 1) != 0;
    struct batch_norm n = {.batch = x->dim[0], .count = 1, .inner = 1};
    if (x->rank > 1)
        n.count = x->dim[1];
    for (int i = 2; i < x->rank; i++) {
        if (spatial)
            n.inner *= x->dim[i];
        else
            n.count *= x->dim[i];
    }
    static const char *const names[] = {"scale", "B", "mean", "var"};
    for (int i = 1; i <= 4; i++) {
        if (nn_shape_count(&call->inputs[i].shape) != n.count)
            return nn_op_fail(call, -EINVAL, "%s must have %lld values", names[i - 1],
                              (long long)n.count);
    }
    *ret_norm = n;
    return 0;
}

static int norm_infer(struct nn_op_call *call)
{
    struct batch_norm n;
    if (call->opset < 7 && nn_op_int(call, "is_test", 0) == 0)
        return nn_op_fail(call, -ENOTSUP, "is_test 0 (training) is not supported");
    for (int i = is_training(call) ? 3 : 1; i < 5; i++) {
        if (nn_op_wants_output(call, i))
            return nn_op_fail(call, -ENOTSUP, "output %d exists in training only", i);
    }
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = norm_geometry(call, &n);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    for (int i = 1; i < call->output_count; i++) {
        call->outputs[i].type = NN_TYPE_FLOAT;
        call->outputs[i].shape = (struct nn_shape){.rank = 1, .dim = {n.count}};
    }
    return 0;
}

static void compute_pairs(const struct nn_op_call *call, int64_t count, const float *mean,
                          const float *var, float *pairs)
{
    const float *scale = call->inputs[1].data, *b = call->inputs[2].data;
    double epsilon = nn_op_float(call, "epsilon", 1e-5f);
    for (int64_t i = 0; i < count; i++) {
        double factor = scale[i] / sqrt(var[i] + epsilon);
        pairs[i] = (float)factor;
        pairs[count + i] = (float)(b[i] - mean[i] * factor);
    }
}

/* Of what the batch has in each channel. The variance is summed up around the mean, and divided
 * by the number of values: the running one of ONNX is not corrected for the sample's size. */
static void measure(const struct nn_op_call *call, const struct batch_norm *n, float *mean,
                    float *var)
{
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    for (int64_t c = 0; c < n->count; c++, x += n->inner) {
        double sum = 0, squares = 0, values = (double)(n->batch * n->inner);
        for (int64_t i = 0; i < n->batch; i++)
            sum += k->sum(x + i * n->count * n->inner, (size_t)n->inner);
        mean[c] = (float)(sum / values);
        for (int64_t i = 0; i < n->batch; i++)
            squares += k->sum_squares(x + i * n->count * n->inner, mean[c], (size_t)n->inner);
        var[c] = (float)(squares / values);
    }
}

/* Output `index` = the old running mean or variance, moved towards the batch's. */
static void update_running(const struct nn_op_call *call, int index, const float *old,
                           const float *batch, int64_t count)
{
    float momentum = nn_op_float(call, "momentum", 0.9f);
    float *y = nn_op_wants_output(call, index) ? call->outputs[index].data : NULL;
    for (int64_t i = 0; y && i < count; i++)
        y[i] = old[i] * momentum + batch[i] * (1 - momentum);
}

/* The pairs of this run, in the workspace. */
static const float *make_pairs(const struct nn_op_call *call, const struct batch_norm *n)
{
    float *pairs = call->workspace;
    const float *mean = call->inputs[3].data, *var = call->inputs[4].data;
    if (is_training(call)) {
        float *own_mean = pairs + 2 * n->count, *own_var = own_mean + n->count;
        measure(call, n, own_mean, own_var);
        update_running(call, 1, mean, own_mean, n->count);
        update_running(call, 2, var, own_var, n->count);
        mean = own_mean;
        var = own_var;
    }
    compute_pairs(call, n->count, mean, var, pairs);
    return pairs;
}

static int norm_prepare(struct nn_op_call *call)
{
    struct batch_norm *n = nn_op_alloc(call, sizeof *n);
    if (!n)
        return -ENOMEM;
    int r = norm_geometry(call, n);
    if (r < 0)
        return r;
    call->state = n;
    bool constant = !is_training(call);
    for (int i = 1; i <= 4; i++)
        constant = constant && nn_op_is_constant(call, i);
    if (!constant) {
        call->workspace_bytes = (is_training(call) ? 4 : 2) * (size_t)n->count * sizeof(float);
        return 0;
    }
    bool fill;
    float *pairs = nn_op_weights(call, 0, 2 * (size_t)n->count, &fill);
    if (!pairs)
        return -ENOMEM;
    if (fill)
        compute_pairs(call, n->count, call->inputs[3].data, call->inputs[4].data, pairs);
    n->pairs = pairs;
    call->packed_inputs = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4;
    return 0;
}

static int norm_forward(struct nn_op_call *call)
{
    const struct batch_norm *n = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *pairs = n->pairs ? n->pairs : make_pairs(call, n);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    const float *factor = pairs, *shift = pairs + n->count;
    for (int64_t i = 0; y && i < n->batch; i++) {
        if (n->inner == 1) {
            size_t count = (size_t)n->count;
            k->mul(y, x, factor, count);
            k->add(y, y, shift, count);
            x += count;
            y += count;
            continue;
        }
        for (int64_t c = 0; c < n->count; c++, x += n->inner, y += n->inner)
            k->affine(y, x, factor[c], shift[c], (size_t)n->inner);
    }
    if (y && call->activation != NN_ACTIVATION_NONE) {
        y = call->outputs[0].data;
        nn_activation_apply(call, y, y, (size_t)(n->batch * n->count * n->inner));
    }
    return 0;
}

/* Any axis the pairs do not vary along. */
static bool norm_time(const struct nn_op_call *call, const int *in, int *out)
{
    if (in[0] == NN_TIME_NONE || in[0] == 1 || is_training(call) ||
        (in[0] > 1 && nn_op_int(call, "spatial", 1) == 0))
        return false;
    for (int i = 1; i < call->input_count; i++) {
        if (in[i] != NN_TIME_NONE)
            return false;
    }
    out[0] = in[0];
    return true;
}

static const struct nn_attribute_rule norm_attributes[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5},
    {"epsilon", NN_ATTRIBUTE_FLOAT, 0, 0},
    {"is_test", NN_ATTRIBUTE_INT, 0, 6},
    {"momentum", NN_ATTRIBUTE_FLOAT, 0, 0},
    {"spatial", NN_ATTRIBUTE_INT, 0, 8},
    {"training_mode", NN_ATTRIBUTE_INT, 14, 0},
    {0},
};

const struct nn_op nn_op_batch_normalization = {
    .name = "BatchNormalization",
    .min_inputs = 5,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 5,
    .flags = NN_OP_ELEMENTWISE | NN_OP_FUSES_ACTIVATION,
    .attributes = norm_attributes,
    .infer = norm_infer,
    .prepare = norm_prepare,
    .forward = norm_forward,
    .time = norm_time,
};
