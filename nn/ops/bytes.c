#include "nn/ops/bytes.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/arena.h"

static bool has(const struct nn_op_call *call, int index)
{
    return index >= 0 && nn_op_has_input(call, index);
}

static int64_t count_of(const struct nn_op_call *call, int index)
{
    return has(call, index) ? nn_shape_count(&call->inputs[index].shape) : 0;
}

/* One number, or a list of `channels`. */
static int check_counts(const struct nn_op_call *call, int scale, int zero, int64_t channels)
{
    const int inputs[] = {scale, zero};
    for (int i = 0; i < 2; i++) {
        int64_t count = count_of(call, inputs[i]);
        if (!has(call, inputs[i]) || count == 1)
            continue;
        if (channels < 1 || count != channels || call->inputs[inputs[i]].shape.rank != 1)
            return nn_op_fail(
                call, -ENOTSUP,
                "input %d has %lld scales or zero points; one, or a list of %lld, "
                "is supported",
                inputs[i], (long long)count, (long long)channels);
    }
    return 0;
}

/* A value with its scale and zero point, which the operator may not have. */
static int check_value(const struct nn_op_call *call, int scale, int zero, enum nn_type type)
{
    if (!nn_type_is_byte(type))
        return nn_op_fail(call, -ENOTSUP, "%s is not supported here; int8 and uint8 are",
                          nn_type_name(type));
    if (has(call, zero) && call->inputs[zero].type != type)
        return nn_op_fail(call, -EINVAL, "input %d is %s, not %s", zero,
                          nn_type_name(call->inputs[zero].type), nn_type_name(type));
    return has(call, scale) ? nn_op_require_type(call, scale, NN_TYPE_FLOAT) : 0;
}

int nn_byte_infer(struct nn_op_call *call, const struct nn_byte_roles *roles, int64_t rows,
                  int64_t channels)
{
    enum nn_type type = NN_TYPE_INT32;
    if (has(call, roles->y_scale))
        type = has(call, roles->y_zero) ? call->inputs[roles->y_zero].type : NN_TYPE_UINT8;
    else if (roles->planned)
        type = NN_TYPE_FLOAT;
    int r = check_value(call, roles->x_scale, roles->x_zero, call->inputs[roles->x].type);
    if (r == 0)
        r = check_value(call, roles->w_scale, roles->w_zero, call->inputs[roles->w].type);
    if (r == 0 && has(call, roles->y_scale))
        r = check_value(call, roles->y_scale, roles->y_zero, type);
    if (r == 0)
        r = check_counts(call, roles->x_scale, roles->x_zero, rows);
    if (r == 0)
        r = check_counts(call, roles->w_scale, roles->w_zero, channels);
    if (r == 0)
        r = check_counts(call, roles->y_scale, roles->y_zero, 0);
    if (r == 0 && has(call, roles->bias)) {
        const struct nn_tensor *bias = &call->inputs[roles->bias];
        r = nn_op_require_type(call, roles->bias,
                               roles->planned ? NN_TYPE_FLOAT : NN_TYPE_INT32);
        if (r == 0 && (nn_shape_count(&bias->shape) != channels ||
                       (bias->shape.rank != 1 && !roles->planned)))
            r = nn_op_fail(call, -EINVAL, "its bias must be a list of %lld numbers",
                           (long long)channels);
    }
    call->outputs[0].type = type;
    return r;
}

uint8_t nn_byte_flip(const struct nn_op_call *call, const struct nn_byte_roles *roles)
{
    return call->inputs[roles->x].type == NN_TYPE_INT8 ? 128 : 0;
}

/* Number `at` of a list of bytes, or the one that there is; 0 without the input. */
static int32_t zero_at(const struct nn_op_call *call, int index, int64_t at)
{
    if (!has(call, index))
        return 0;
    const struct nn_tensor *t = &call->inputs[index];
    return nn_tensor_byte(t, nn_shape_count(&t->shape) == 1 ? 0 : at);
}

static float scale_at(const struct nn_op_call *call, int index, int64_t at)
{
    if (!has(call, index))
        return 1;
    const struct nn_tensor *t = &call->inputs[index];
    return ((const float *)t->data)[nn_shape_count(&t->shape) == 1 ? 0 : at];
}

int32_t nn_byte_x_zero(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                       int64_t row)
{
    return zero_at(call, roles->x_zero, row) + nn_byte_flip(call, roles);
}

int nn_byte_weight(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                   int64_t index, int64_t channel)
{
    return nn_tensor_byte(&call->inputs[roles->w], index) -
           zero_at(call, roles->w_zero, channel);
}

static int clamped(int value)
{
    return value < INT8_MIN ? INT8_MIN : value > INT8_MAX ? INT8_MAX : value;
}

int8_t nn_byte_part(int weight, int part)
{
    for (int i = 0; i < part; i++)
        weight -= clamped(weight);
    return (int8_t)clamped(weight);
}

bool nn_byte_is_constant(const struct nn_op_call *call, const struct nn_byte_roles *roles)
{
    return nn_op_is_constant(call, roles->w) &&
           (!has(call, roles->w_zero) || nn_op_is_constant(call, roles->w_zero));
}

/* Zero points are those of int8 numbers without one, or of uint8 numbers around 128. */
bool nn_byte_is_plain(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                      uint8_t *ret_flip)
{
    uint8_t centre = call->inputs[roles->w].type == NN_TYPE_INT8 ? 0 : 128;
    int64_t zeros = has(call, roles->w_zero) ? count_of(call, roles->w_zero) : 1;
    if (has(call, roles->w_zero) && !nn_op_is_constant(call, roles->w_zero))
        return false;
    for (int64_t i = 0; i < zeros; i++)
        if (zero_at(call, roles->w_zero, i) != centre)
            return false;
    *ret_flip = centre;
    return true;
}

int nn_byte_parts(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                  int64_t channels)
{
    const struct nn_tensor *w = &call->inputs[roles->w];
    uint8_t flip;
    if (nn_byte_is_plain(call, roles, &flip))
        return 1;
    /* The sum of two bytes reaches from -256 to 254. */
    if (!nn_byte_is_constant(call, roles) || !w->data)
        return NN_BYTE_PARTS;
    int low = 0, high = 0, low_zero = INT16_MAX, high_zero = INT16_MIN;
    int64_t count = nn_shape_count(&w->shape);
    for (int64_t i = 0; i < count; i++) {
        int value = nn_tensor_byte(w, i);
        low = i == 0 || value < low ? value : low;
        high = i == 0 || value > high ? value : high;
    }
    for (int64_t i = 0; i < channels; i++) {
        int32_t zero = zero_at(call, roles->w_zero, i);
        low_zero = zero < low_zero ? zero : low_zero;
        high_zero = zero > high_zero ? zero : high_zero;
    }
    low -= high_zero;
    high -= low_zero;
    int parts = 1;
    while (low < parts * INT8_MIN || high > parts * INT8_MAX)
        parts++;
    return parts;
}

/* Whether values are floats before they become bytes: an activation that is no clamping. */
static bool needs_floats(const struct nn_op_call *call)
{
    float low, high;
    enum nn_type type = call->outputs[0].type;
    return type != NN_TYPE_FLOAT && type != NN_TYPE_INT32 &&
           !nn_activation_clamps(call, &low, &high);
}

size_t nn_byte_results_bytes(const struct nn_op_call *call, int64_t channels, int64_t most)
{
    size_t list = nn_arena_aligned((size_t)channels * sizeof(float));
    return 3 * list + (needs_floats(call) ? nn_arena_aligned((size_t)most * sizeof(float)) : 0);
}

/* A limit in steps of y, within those that its type has. */
static float limit(float value, float scale, float low, float high)
{
    value = rintf(value / scale);
    value = value > low ? value : low;
    return value < high ? value : high;
}

struct nn_byte_results nn_byte_results_make(const struct nn_op_call *call,
                                            const struct nn_byte_roles *roles,
                                            const int32_t *sums, int64_t channels, int64_t row,
                                            void *workspace)
{
    size_t list = nn_arena_aligned((size_t)channels * sizeof(float));
    char *at = workspace;
    struct nn_byte_results results = {.start = (int32_t *)at,
                                      .scale = (float *)(at + list),
                                      .shift = (float *)(at + 2 * list)};
    results.y_scale = scale_at(call, roles->y_scale, 0);
    bool floats = needs_floats(call);
    if (floats)
        results.floats = (float *)(at + 3 * list);
    uint32_t x_zero = (uint32_t)nn_byte_x_zero(call, roles, row);
    double x_scale = scale_at(call, roles->x_scale, row);
    double step = floats ? 1 : results.y_scale;
    const struct nn_tensor *bias = has(call, roles->bias) ? &call->inputs[roles->bias] : NULL;
    for (int64_t c = 0; c < channels; c++) {
        uint32_t start = 0 - x_zero * (uint32_t)sums[c];
        if (bias && !roles->planned)
            start += (uint32_t)((const int32_t *)bias->data)[c];
        results.start[c] = (int32_t)start;
        results.scale[c] = (float)(x_scale * scale_at(call, roles->w_scale, c) / step);
        results.shift[c] =
            bias && roles->planned ? (float)(((const float *)bias->data)[c] / step) : 0;
    }
    enum nn_type type = call->outputs[0].type;
    if (nn_type_is_byte(type)) {
        results.zero = zero_at(call, roles->y_zero, 0);
        float lowest = (float)((type == NN_TYPE_INT8 ? INT8_MIN : 0) - results.zero);
        float highest = lowest + UINT8_MAX, low, high;
        results.low = lowest;
        results.high = highest;
        if (!floats && nn_activation_clamps(call, &low, &high)) {
            results.low = limit(low, results.y_scale, lowest, highest);
            results.high = limit(high, results.y_scale, lowest, highest);
        }
    }
    return results;
}

void nn_byte_results_write(const struct nn_op_call *call, const struct nn_byte_results *results,
                           int64_t channel, bool each, const int32_t *sum, void *y, size_t n)
{
    const struct nn_byte_kernels *k = call->kernels->bytes;
    const struct nn_byte_end end = {.sum = sum,
                                    .n = n,
                                    .each = each,
                                    .start = results->start + channel,
                                    .scale = results->scale + channel,
                                    .shift = results->shift + channel,
                                    .low = results->low,
                                    .high = results->high,
                                    .zero = results->zero};
    if (call->outputs[0].type == NN_TYPE_INT32) {
        for (size_t i = 0; i < n; i++)
            ((int32_t *)y)[i] = (int32_t)((uint32_t)sum[i] + (uint32_t)end.start[each ? i : 0]);
    } else if (call->outputs[0].type == NN_TYPE_FLOAT) {
        k->end_floats(y, &end);
        if (call->activation != NN_ACTIVATION_NONE)
            nn_activation_apply(call, y, y, n);
    } else if (results->floats) {
        k->end_floats(results->floats, &end);
        nn_activation_apply(call, results->floats, results->floats, n);
        k->quantize(y, results->floats, results->y_scale, results->low, results->high,
                    results->zero, n);
    } else {
        k->end(y, &end);
    }
}
