/* What operators call: attributes, errors, memory, threads, and the time rules
 * most rows share. */
#include "nn/op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/constants.h"
#include "nn/threads.h"

/* Parts of a split: small enough for threads to end together, though one came late, large
 * enough not to be felt. */
#define PART_COST        1e5
#define PARTS_PER_THREAD 16

const struct nn_attribute *nn_node_attribute(const struct nn_node *node, const char *name)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

int64_t nn_node_int(const struct nn_node *node, const char *name, int64_t otherwise)
{
    const struct nn_attribute *a = nn_node_attribute(node, name);
    return a ? a->i : otherwise;
}

float nn_node_float(const struct nn_node *node, const char *name, float otherwise)
{
    const struct nn_attribute *a = nn_node_attribute(node, name);
    return a ? a->f : otherwise;
}

const char *nn_node_string(const struct nn_node *node, const char *name, const char *otherwise)
{
    const struct nn_attribute *a = nn_node_attribute(node, name);
    return a ? a->s : otherwise;
}

bool nn_op_wants_output(const struct nn_op_call *call, int index)
{
    return index < call->node->output_count && call->node->outputs[index] != NN_VALUE_NONE;
}

bool nn_op_has(const struct nn_op_call *call, const char *name)
{
    return nn_node_attribute(call->node, name) != NULL;
}

int64_t nn_op_int(const struct nn_op_call *call, const char *name, int64_t otherwise)
{
    return nn_node_int(call->node, name, otherwise);
}

float nn_op_float(const struct nn_op_call *call, const char *name, float otherwise)
{
    return nn_node_float(call->node, name, otherwise);
}

const char *nn_op_string(const struct nn_op_call *call, const char *name, const char *otherwise)
{
    return nn_node_string(call->node, name, otherwise);
}

const int64_t *nn_op_ints(const struct nn_op_call *call, const char *name, int *ret_count)
{
    const struct nn_attribute *a = nn_node_attribute(call->node, name);
    *ret_count = a ? a->count : 0;
    return a ? a->ints : NULL;
}

const float *nn_op_floats(const struct nn_op_call *call, const char *name, int *ret_count)
{
    const struct nn_attribute *a = nn_node_attribute(call->node, name);
    *ret_count = a ? a->count : 0;
    return a ? a->floats : NULL;
}

const char *const *nn_op_strings(const struct nn_op_call *call, const char *name,
                                 int *ret_count)
{
    const struct nn_attribute *a = nn_node_attribute(call->node, name);
    *ret_count = a ? a->count : 0;
    return a ? a->strings : NULL;
}

const struct nn_tensor *nn_op_tensor(const struct nn_op_call *call, const char *name)
{
    const struct nn_attribute *a = nn_node_attribute(call->node, name);
    return a ? &a->tensor : NULL;
}

int nn_op_fail(const struct nn_op_call *call, int code, const char *format, ...)
{
    if (!call->err)
        return code;
    char *text = call->err->text;
    size_t size = sizeof call->err->text;
    int used = snprintf(text, size, "node '%.80s' (%s): ", call->node->name, call->op->name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - (size_t)used, format, args);
    va_end(args);
    return code;
}

void *nn_op_alloc(struct nn_op_call *call, size_t bytes)
{
    return nn_pool_alloc(call->pool, bytes);
}

float *nn_op_weights(struct nn_op_call *call, int slot, size_t floats, bool *ret_fill)
{
    size_t bytes = floats * sizeof(float);
    *ret_fill = false;
    if (!call->constants && call->kept)
        return call->kept[slot].bytes == bytes ? call->kept[slot].data : NULL;
    if (!call->constants) {
        *ret_fill = true;
        return nn_pool_alloc(call->pool, bytes);
    }
    float *data = nn_constants_take(call->constants, call->node, slot, bytes, false, ret_fill);
    if (data && call->kept)
        call->kept[slot] = (struct nn_op_kept){data, bytes};
    return data;
}

int nn_op_axis(const struct nn_op_call *call, int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return nn_op_fail(call, -EINVAL, "axis %lld is outside a tensor of rank %d",
                          (long long)axis, rank);
    return (int)(axis < 0 ? axis + rank : axis);
}

int nn_op_axis_list(const struct nn_op_call *call, const int64_t *given, int count, int rank,
                    int *ret_axes)
{
    bool seen[NN_MAX_RANK] = {false};
    if (count > rank)
        return nn_op_fail(call, -EINVAL, "%d axes of a tensor of rank %d", count, rank);
    for (int i = 0; i < count; i++) {
        int axis = given ? nn_op_axis(call, given[i], rank) : i;
        if (axis < 0)
            return axis;
        if (seen[axis])
            return nn_op_fail(call, -EINVAL, "axis %d is named twice", axis);
        seen[axis] = true;
        ret_axes[i] = axis;
    }
    return 0;
}

/* A list of integers from an input's shape and `data`. */
static int read_ints(const struct nn_op_call *call, int index, const void *data,
                     const char *what, int64_t *values, int limit)
{
    const struct nn_tensor *t = &call->inputs[index];
    if (t->type != NN_TYPE_INT64 && t->type != NN_TYPE_INT32)
        return nn_op_fail(call, -EINVAL, "%s must be int64 or int32, not %s", what,
                          nn_type_name(t->type));
    int64_t count = nn_shape_count(&t->shape);
    if (t->shape.rank > 1 || count < 0 || count > limit)
        return nn_op_fail(call, -EINVAL, "%s must be a list of at most %d numbers", what,
                          limit);
    for (int64_t i = 0; i < count && data; i++)
        values[i] =
            t->type == NN_TYPE_INT64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
    return (int)count;
}

int nn_op_constant_ints(const struct nn_op_call *call, int index, const char *what,
                        int64_t *values, int limit)
{
    const void *data = call->inputs[index].data;
    int count = read_ints(call, index, data, what, values, limit);
    if (count >= 0 && !data)
        return nn_op_fail(call, -ENOTSUP, "%s must be a constant, not computed at run time",
                          what);
    return count;
}

int nn_op_sizes(const struct nn_op_call *call, int index, const char *what, int64_t *values,
                int limit, bool *ret_late)
{
    const struct nn_tensor *t = &call->inputs[index];
    const void *data = t->data ? t->data : t->most;
    int count = read_ints(call, index, data, what, values, limit);
    if (count >= 0 && !data)
        return nn_op_fail(call, -ENOTSUP, "%s is computed at run time and nothing bounds it",
                          what);
    *ret_late = !t->data;
    return count;
}

int nn_op_axes(const struct nn_op_call *call, int rank, int input_since, bool *ret_chosen)
{
    int64_t input[NN_MAX_RANK];
    int axes[NN_MAX_RANK], count;
    const int64_t *given = nn_op_ints(call, "axes", &count);
    if (nn_op_has_input(call, 1)) {
        if (call->opset < input_since)
            return nn_op_fail(call, -EINVAL, "opset %d has no input 'axes'", call->opset);
        count = nn_op_constant_ints(call, 1, "axes", input, NN_MAX_RANK);
        given = input;
    }
    int r = count < 0 ? count : nn_op_axis_list(call, given, count, rank, axes);
    if (r < 0)
        return r;
    memset(ret_chosen, 0, NN_MAX_RANK * sizeof *ret_chosen);
    for (int i = 0; i < count; i++)
        ret_chosen[axes[i]] = true;
    return count;
}

int nn_op_require_type(const struct nn_op_call *call, int index, enum nn_type type)
{
    if (call->inputs[index].type == type)
        return 0;
    return nn_op_fail(call, -ENOTSUP, "input %d is %s; only %s is supported here", index,
                      nn_type_name(call->inputs[index].type), nn_type_name(type));
}

int nn_op_require_floats(const struct nn_op_call *call)
{
    int r = 0;
    for (int i = 0; i < call->input_count && r == 0; i++)
        if (nn_op_has_input(call, i))
            r = nn_op_require_type(call, i, NN_TYPE_FLOAT);
    return r;
}

void nn_op_parallel(const struct nn_op_call *call, int64_t count, double cost,
                    void (*work)(void *data, int64_t first, int64_t end, int thread),
                    void *data)
{
    int64_t parts = cost < PART_COST * PARTS_PER_THREAD * call->threads
                        ? (int64_t)(cost / PART_COST)
                        : PARTS_PER_THREAD * call->threads;
    parts = parts < count ? parts : count;
    if (call->helpers && parts > 1 && cost >= NN_OP_PARALLEL_COST)
        nn_threads_run(call->helpers, count, (count + parts - 1) / parts, cost, work, data);
    else if (count > 0)
        work(data, 0, count, 0);
}

bool nn_op_time_same(const struct nn_op_call *call, const int *in, int *out)
{
    const struct nn_shape *whole = &call->outputs[0].shape;
    int axis = NN_TIME_NONE;
    for (int i = 0; i < call->input_count; i++) {
        if (in[i] == NN_TIME_NONE)
            continue;
        int aligned = in[i] + whole->rank - call->inputs[i].shape.rank;
        if (axis != NN_TIME_NONE && axis != aligned)
            return false;
        axis = aligned;
    }
    for (int i = 0; i < call->input_count; i++) {
        int own = axis - (whole->rank - call->inputs[i].shape.rank);
        if (in[i] == NN_TIME_NONE && nn_op_has_input(call, i) && own >= 0 &&
            call->inputs[i].shape.dim[own] != 1)
            return false;
    }
    out[0] = axis;
    return true;
}

bool nn_op_time_batch(const struct nn_op_call *call, const int *in, int *out)
{
    if (in[0] != 0)
        return false;
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    for (int i = 0; i < call->output_count; i++)
        out[i] = 0;
    return true;
}
