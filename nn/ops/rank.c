/* ArgMax, ArgMin and TopK: which elements of an axis are the largest or smallest; and CumSum.
 *
 * Elements are compared by keys: int64 numbers in the order of the values, whatever their type,
 * equal for equal values. NaN counts as larger than infinity, as in NumPy. The complement of a
 * key reverses the order. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"
#include "nn/ops/integers.h"

/* An axis in the middle: element i of a row is at row + i · inner. */
struct axis {
    int64_t outer, count, inner;
};

static int read_axis(const struct nn_op_call *call, int64_t wanted, struct axis *ret_axis)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    int axis = nn_op_axis(call, wanted, x->rank);
    if (axis < 0)
        return axis;
    *ret_axis = (struct axis){nn_shape_extent(x, 0, axis), x->dim[axis],
                              nn_shape_extent(x, axis + 1, x->rank)};
    return axis;
}

/* Keys, in batches: keys[i] is that of x[first + i · step]. */
enum { BATCH = 64 };

typedef void (*key_function)(int64_t *keys, const void *x, int64_t first, int64_t step,
                             int64_t n);

static void float_keys(int64_t *keys, const void *x, int64_t first, int64_t step, int64_t n)
{
    const float *from = (const float *)x + first;
    for (int64_t i = 0; i < n; i++) {
        float value = from[i * step] + 0.0f; /* -0 becomes 0 */
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        int64_t key = bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
        keys[i] = value != value ? INT32_MAX : key;
    }
}

/* Unsigned 64 bits are moved to begin at the lowest int64; smaller types fit as they are. */
#define KEYS(nn_type, type, is_signed)                                                         \
    static void type##_keys(int64_t *keys, const void *x, int64_t first, int64_t step,         \
                            int64_t n)                                                         \
    {                                                                                          \
        const type *from = (const type *)x + first;                                            \
        const uint64_t shift = nn_type == NN_TYPE_UINT64 ? (uint64_t)1 << 63 : 0;              \
        for (int64_t i = 0; i < n; i++)                                                        \
            keys[i] = (int64_t)((uint64_t)from[i * step] - shift);                             \
    }
NN_INTEGER_TYPES(KEYS)

static key_function keys_of(enum nn_type type)
{
    switch (type) {
    case NN_TYPE_FLOAT:
        return float_keys;
#define KEYS_OF(nn_type, type, is_signed)                                                      \
    case nn_type:                                                                              \
        return type##_keys;
        NN_INTEGER_TYPES(KEYS_OF)
    default:
        return NULL;
    }
}

static int require_numbers(const struct nn_op_call *call)
{
    enum nn_type type = call->inputs[0].type;
    if (keys_of(type))
        return 0;
    return nn_op_fail(call, -ENOTSUP, "%s is not supported here", nn_type_name(type));
}

/* ArgMax and ArgMin. */

static int arg_infer(struct nn_op_call *call)
{
    struct axis a = {0};
    int r = require_numbers(call);
    if (r == 0)
        r = read_axis(call, nn_op_int(call, "axis", 0), &a);
    if (r < 0)
        return r;
    if (a.count == 0)
        return nn_op_fail(call, -EINVAL, "axis %d has no elements to choose from", r);
    const struct nn_shape *from = &call->inputs[0].shape;
    struct nn_shape to = {0};
    for (int d = 0; d < from->rank; d++) {
        if (d != r)
            to.dim[to.rank++] = from->dim[d];
        else if (nn_op_int(call, "keepdims", 1) != 0)
            to.dim[to.rank++] = 1;
    }
    call->outputs[0].type = NN_TYPE_INT64;
    call->outputs[0].shape = to;
    return 0;
}

struct champion {
    int64_t flip; /* the smallest has the largest complement */
    bool last;    /* of equals, the last counts */
};

static bool replaces(const struct champion *rule, int64_t key, int64_t best)
{
    return rule->last ? key >= best : key > best;
}

/* A row of neighbours. */
static int64_t arg_row(const struct champion *rule, key_function read, const void *x,
                       int64_t first, int64_t count)
{
    int64_t keys[BATCH], best = INT64_MIN, winner = 0;
    for (int64_t start = 0; start < count; start += BATCH) {
        int64_t n = count - start < BATCH ? count - start : BATCH;
        read(keys, x, first + start, 1, n);
        for (int64_t i = 0; i < n; i++) {
            int64_t key = keys[i] ^ rule->flip;
            if (replaces(rule, key, best)) {
                best = key;
                winner = start + i;
            }
        }
    }
    return winner;
}

/* n rows side by side, so that memory is read in order. */
static void arg_columns(const struct champion *rule, key_function read, const void *x,
                        int64_t first, const struct axis *a, int64_t *y, int64_t n)
{
    int64_t keys[BATCH], best[BATCH];
    for (int64_t c = 0; c < n; c++) {
        best[c] = INT64_MIN;
        y[c] = 0;
    }
    for (int64_t i = 0; i < a->count; i++) {
        read(keys, x, first + i * a->inner, 1, n);
        for (int64_t c = 0; c < n; c++) {
            int64_t key = keys[c] ^ rule->flip;
            bool better = replaces(rule, key, best[c]);
            best[c] = better ? key : best[c];
            y[c] = better ? i : y[c];
        }
    }
}

static int arg_forward(struct nn_op_call *call)
{
    struct axis a = {0};
    int r = read_axis(call, nn_op_int(call, "axis", 0), &a);
    if (r < 0)
        return r;
    const struct champion rule = {.flip = call->op == &nn_op_arg_min ? -1 : 0,
                                  .last = nn_op_int(call, "select_last_index", 0) != 0};
    key_function read = keys_of(call->inputs[0].type);
    const void *x = call->inputs[0].data;
    int64_t *y = call->outputs[0].data;
    for (int64_t o = 0; o < a.outer; o++, y += a.inner) {
        int64_t first = o * a.count * a.inner;
        if (a.inner == 1)
            *y = arg_row(&rule, read, x, first, a.count);
        for (int64_t c = 0; c < a.inner && a.inner > 1; c += BATCH)
            arg_columns(&rule, read, x, first + c, &a, y + c,
                        a.inner - c < BATCH ? a.inner - c : BATCH);
    }
    return 0;
}

static bool arg_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct axis a = {0};
    int axis = read_axis(call, nn_op_int(call, "axis", 0), &a);
    if (axis < 0 || in[0] == axis)
        return false;
    bool drops = nn_op_int(call, "keepdims", 1) == 0 && in[0] > axis;
    out[0] = in[0] - drops;
    return true;
}

/* TopK. */

struct candidate {
    int64_t key, index;
};

/* The place of a candidate among the wanted: by key, then the lower index first. */
static bool is_before(const struct candidate *a, const struct candidate *b)
{
    return a->key != b->key ? a->key > b->key : a->index < b->index;
}

/* The largest k of the axis: an attribute of the first version, an input since. One that a run
 * computes is bounded by the axis at least. */
static int topk_count(const struct nn_op_call *call, int64_t axis_count, int64_t *ret_k,
                      bool *ret_late)
{
    int64_t k = nn_op_int(call, "k", -1);
    *ret_late = false;
    if (call->opset >= 10) {
        if (!nn_op_has_input(call, 1))
            return nn_op_fail(call, -EINVAL, "input K is missing");
        const struct nn_tensor *given = &call->inputs[1];
        *ret_late = !given->data;
        k = axis_count;
        int r = given->data || given->most ? nn_op_sizes(call, 1, "K", &k, 1, ret_late)
                                           : (int)nn_shape_count(&given->shape);
        if (r != 1)
            return r < 0 ? r : nn_op_fail(call, -EINVAL, "K is not one number");
        if (*ret_late && k > axis_count)
            k = axis_count;
    } else if (nn_op_has_input(call, 1)) {
        return nn_op_fail(call, -EINVAL, "opset %d has no input K", call->opset);
    }
    if (k < 0 || k > axis_count)
        return nn_op_fail(call, -EINVAL, "K is %lld of %lld elements", (long long)k,
                          (long long)axis_count);
    *ret_k = k;
    return 0;
}

static int topk_infer(struct nn_op_call *call)
{
    struct axis a = {0};
    int64_t k = 0;
    bool late = false;
    int r = require_numbers(call), axis = 0;
    if (r == 0)
        r = axis = read_axis(call, nn_op_int(call, "axis", -1), &a);
    if (r >= 0)
        r = topk_count(call, a.count, &k, &late);
    if (r < 0)
        return r;
    for (int j = 0; j < 2 && j < call->output_count; j++) {
        call->outputs[j].type = j == 0 ? call->inputs[0].type : NN_TYPE_INT64;
        call->outputs[j].shape = call->inputs[0].shape;
        call->outputs[j].shape.dim[axis] = k;
        call->outputs[j].late = late;
    }
    return 0;
}

struct topk {
    struct axis axis;
    int64_t k;
    key_function read;
    int64_t flip; /* the smallest have the largest complements */
};

static int topk_prepare(struct nn_op_call *call)
{
    struct topk *t = nn_op_alloc(call, sizeof *t);
    if (!t)
        return -ENOMEM;
    int r = read_axis(call, nn_op_int(call, "axis", -1), &t->axis);
    bool late;
    if (r >= 0)
        r = topk_count(call, t->axis.count, &t->k, &late);
    if (r < 0)
        return r;
    t->read = keys_of(call->inputs[0].type);
    t->flip = nn_op_int(call, "largest", 1) != 0 ? 0 : -1;
    call->state = t;
    call->workspace_bytes = (size_t)t->k * sizeof(struct candidate);
    return 0;
}

/* Moves the candidate at `at` down to where neither child comes after it: the root is the one
 * that the next better candidate replaces. */
static void sift_down(struct candidate *heap, int64_t count, int64_t at)
{
    struct candidate moved = heap[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && is_before(&heap[child], &heap[child + 1]))
            child++;
        if (!is_before(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* heap: the k candidates that come first, in order. */
static void select_row(const struct topk *t, struct candidate *heap, const void *x,
                       int64_t first)
{
    int64_t keys[BATCH];
    for (int64_t i = 0; i < t->axis.count; i++) {
        if (i % BATCH == 0) {
            int64_t left = t->axis.count - i;
            t->read(keys, x, first + i * t->axis.inner, t->axis.inner,
                    left < BATCH ? left : BATCH);
        }
        struct candidate next = {keys[i % BATCH] ^ t->flip, i};
        if (i < t->k) {
            heap[i] = next;
            for (int64_t at = t->k / 2 - 1; i == t->k - 1 && at >= 0; at--)
                sift_down(heap, t->k, at);
        } else if (is_before(&next, &heap[0])) {
            heap[0] = next;
            sift_down(heap, t->k, 0);
        }
    }
    for (int64_t end = t->k - 1; end > 0; end--) {
        struct candidate worst = heap[0];
        heap[0] = heap[end];
        heap[end] = worst;
        sift_down(heap, end, 0);
    }
}

/* Sorted always: an unsorted result may be in any order. */
static int topk_forward(struct nn_op_call *call)
{
    const struct topk *t = call->state;
    const struct nn_tensor *in = &call->inputs[0];
    size_t size = nn_type_size(in->type);
    char *values = call->outputs[0].data;
    int64_t *indices = call->output_count > 1 ? call->outputs[1].data : NULL;
    struct candidate *heap = call->workspace;
    int64_t inner = t->axis.inner;
    for (int64_t row = 0; row < t->axis.outer * inner && t->k > 0; row++) {
        int64_t outer = row / inner, c = row % inner;
        int64_t first = outer * t->axis.count * inner + c;
        select_row(t, heap, in->data, first);
        for (int64_t i = 0; i < t->k; i++) {
            int64_t from = first + heap[i].index * inner, to = (outer * t->k + i) * inner + c;
            if (values)
                memcpy(values + (size_t)to * size, (const char *)in->data + (size_t)from * size,
                       size);
            if (indices)
                indices[to] = heap[i].index;
        }
    }
    return 0;
}

static bool topk_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct axis a = {0};
    int axis = read_axis(call, nn_op_int(call, "axis", -1), &a);
    if (axis < 0 || in[0] == axis || in[0] == NN_TIME_NONE ||
        (call->input_count > 1 && in[1] != NN_TIME_NONE))
        return false;
    for (int j = 0; j < call->output_count; j++)
        out[j] = in[0];
    return true;
}

/* CumSum. */

static int cumsum_axis(const struct nn_op_call *call, struct axis *ret_axis)
{
    int64_t wanted = 0;
    int r = nn_op_constant_ints(call, 1, "axis", &wanted, 1);
    if (r != 1)
        return r < 0 ? r : nn_op_fail(call, -EINVAL, "axis has no element");
    return read_axis(call, wanted, ret_axis);
}

static int cumsum_infer(struct nn_op_call *call)
{
    struct axis a = {0};
    switch (call->inputs[0].type) {
    case NN_TYPE_FLOAT:
    case NN_TYPE_INT32:
    case NN_TYPE_UINT32:
    case NN_TYPE_INT64:
    case NN_TYPE_UINT64:
        break;
    default:
        return nn_op_fail(call, -ENOTSUP, "%s is not supported here",
                          nn_type_name(call->inputs[0].type));
    }
    int r = cumsum_axis(call, &a);
    if (r < 0)
        return r;
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int cumsum_prepare(struct nn_op_call *call)
{
    struct axis *a = nn_op_alloc(call, sizeof *a);
    if (!a)
        return -ENOMEM;
    call->state = a;
    int r = cumsum_axis(call, a);
    return r < 0 ? r : 0;
}

/* Integers wrap. */
#define CUMULATE(name, type)                                                                   \
    static void name(const struct axis *a, type *y, const type *x, bool exclusive, bool back)  \
    {                                                                                          \
        for (int64_t row = 0; row < a->outer * a->inner; row++) {                              \
            int64_t first = row / a->inner * a->count * a->inner + row % a->inner;             \
            type sum = 0;                                                                      \
            for (int64_t i = 0; i < a->count; i++) {                                           \
                int64_t at = first + (back ? a->count - 1 - i : i) * a->inner;                 \
                type before = sum;                                                             \
                sum += x[at];                                                                  \
                y[at] = exclusive ? before : sum;                                              \
            }                                                                                  \
        }                                                                                      \
    }
CUMULATE(cumulate_floats, float)
CUMULATE(cumulate_32, uint32_t)
CUMULATE(cumulate_64, uint64_t)

static int cumsum_forward(struct nn_op_call *call)
{
    const struct axis *a = call->state;
    bool exclusive = nn_op_int(call, "exclusive", 0) != 0;
    bool back = nn_op_int(call, "reverse", 0) != 0;
    const void *x = call->inputs[0].data;
    void *y = call->outputs[0].data;
    if (call->inputs[0].type == NN_TYPE_FLOAT)
        cumulate_floats(a, y, x, exclusive, back);
    else if (nn_type_size(call->inputs[0].type) == 4)
        cumulate_32(a, y, x, exclusive, back);
    else
        cumulate_64(a, y, x, exclusive, back);
    return 0;
}

static bool cumsum_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct axis a = {0};
    if (in[0] == NN_TIME_NONE || in[1] != NN_TIME_NONE || cumsum_axis(call, &a) == in[0])
        return false;
    out[0] = in[0];
    return true;
}

static const struct nn_attribute_rule arg_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 1, 0},
    {"keepdims", NN_ATTRIBUTE_INT, 1, 0},
    {"select_last_index", NN_ATTRIBUTE_INT, 12, 0},
    {0}};
static const struct nn_attribute_rule topk_rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 0},
                                                      {"k", NN_ATTRIBUTE_INT, 1, 9},
                                                      {"largest", NN_ATTRIBUTE_INT, 11, 0},
                                                      {"sorted", NN_ATTRIBUTE_INT, 11, 0},
                                                      {0}};
static const struct nn_attribute_rule cumsum_rules[] = {
    {"exclusive", NN_ATTRIBUTE_INT, 11, 0}, {"reverse", NN_ATTRIBUTE_INT, 11, 0}, {0}};

#define ARG(row, op_type)                                                                      \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = arg_rules,                                                               \
        .infer = arg_infer,                                                                    \
        .forward = arg_forward,                                                                \
        .time = arg_time,                                                                      \
    }

ARG(nn_op_arg_max, "ArgMax");
ARG(nn_op_arg_min, "ArgMin");

const struct nn_op nn_op_topk = {
    .name = "TopK",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 2,
    .attributes = topk_rules,
    .infer = topk_infer,
    .prepare = topk_prepare,
    .forward = topk_forward,
    .time = topk_time,
};

const struct nn_op nn_op_cumsum = {
    .name = "CumSum",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = cumsum_rules,
    .infer = cumsum_infer,
    .prepare = cumsum_prepare,
    .forward = cumsum_forward,
    .time = cumsum_time,
};
