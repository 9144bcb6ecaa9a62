/* ReduceSum and the other reductions, one row each.
 *
 * Floats are read in the order they lie in memory. A stretch of the input whose axis goes
 * becomes one number that is joined to its result; one whose axis stays is folded into as many
 * results. Integers are rare (shape arithmetic) and gathered result by result, in plain C. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/integers.h"
#include "nn/walk.h"

enum reduction_kind {
    L1,
    L2,
    LOG_SUM,
    LOG_SUM_EXP,
    MAX,
    MEAN,
    MIN,
    PROD,
    SUM,
    SUM_SQUARE,
};

struct reduction {
    enum reduction_kind kind;
    int axes_input_since; /* opset from which axes are an input, not an attribute */
    float start;          /* the result of nothing, before finish */
    void (*fold)(const struct nn_kernels *k, float *y, const float *x, size_t n);
    float (*join)(float a, float b);
    void (*finish)(const struct nn_kernels *k, float *y, size_t n, float count);
};

/* Which axes go: the attribute, or the input of newer opsets; without any, all or none. None
 * still computes: ReduceSumSquare squares each element then. */
static int read_axes(const struct nn_op_call *call, bool *reduced)
{
    const struct reduction *kind = call->op->variant;
    int rank = call->inputs[0].shape.rank;
    int count = nn_op_axes(call, rank, kind->axes_input_since, reduced);
    if (count != 0)
        return count;
    bool all = nn_op_int(call, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < rank; d++)
        reduced[d] = all;
    return 0;
}

static bool is_supported(const struct reduction *kind, enum nn_type type)
{
    return type == NN_TYPE_FLOAT || nn_type_is_integer(type) ||
           (type == NN_TYPE_BOOL && (kind->kind == MAX || kind->kind == MIN));
}

static int infer(struct nn_op_call *call)
{
    const struct nn_tensor *in = &call->inputs[0];
    if (!is_supported(call->op->variant, in->type))
        return nn_op_fail(call, -ENOTSUP, "%s is not supported here", nn_type_name(in->type));
    bool reduced[NN_MAX_RANK];
    int r = read_axes(call, reduced);
    if (r < 0)
        return r;
    bool keep = nn_op_int(call, "keepdims", 1) != 0;
    struct nn_shape to = {0};
    for (int d = 0; d < in->shape.rank; d++) {
        if (!reduced[d])
            to.dim[to.rank++] = in->shape.dim[d];
        else if (keep)
            to.dim[to.rank++] = 1;
    }
    call->outputs[0].type = in->type;
    call->outputs[0].shape = to;
    return 0;
}

struct state {
    struct nn_walk walk; /* floats: over the input; operand 0 is the input, 1 the output */
    struct nn_walk kept, gone; /* integers: over the axes that stay, and those that go */
    int64_t count;             /* elements of one result */
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    const struct reduction *kind = call->op->variant;
    bool reduced[NN_MAX_RANK];
    struct state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    int r = read_axes(call, reduced);
    if (r < 0)
        return r;
    int64_t step[NN_MAX_RANK][2], in = 1, out = 1;
    struct nn_shape kept = *from, gone = *from;
    state->count = 1;
    for (int d = from->rank - 1; d >= 0; d--) {
        step[d][0] = in;
        step[d][1] = reduced[d] ? 0 : out;
        in *= from->dim[d];
        out *= reduced[d] ? 1 : from->dim[d];
        state->count *= reduced[d] ? from->dim[d] : 1;
        if (reduced[d])
            kept.dim[d] = 1;
        else
            gone.dim[d] = 1;
    }
    nn_walk_make(&state->walk, from, step);
    nn_walk_make(&state->kept, &kept, step);
    nn_walk_make(&state->gone, &gone, step);
    call->state = state;
    if (kind->kind == LOG_SUM_EXP)
        call->workspace_bytes = (size_t)nn_shape_count(&call->outputs[0].shape) * sizeof(float);
    return 0;
}

/* Floats. */

static void fold_sum(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    k->add(y, y, x, n);
}

static void fold_magnitude(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        y[i] += fabsf(x[i]);
}

static void fold_square(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    k->mul_add(y, x, x, n);
}

static void fold_product(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    k->mul(y, y, x, n);
}

/* NaN wins, as it does in NumPy. */
static float larger(float a, float b)
{
    return a > b || a != a ? a : b;
}

static float smaller(float a, float b)
{
    return a < b || a != a ? a : b;
}

static void fold_max(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        y[i] = larger(y[i], x[i]);
}

static void fold_min(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        y[i] = smaller(y[i], x[i]);
}

static float sum_of(float a, float b)
{
    return a + b;
}

static float product_of(float a, float b)
{
    return a * b;
}

static void finish_mean(const struct nn_kernels *k, float *y, size_t n, float count)
{
    /* The mean of nothing is 0 · infinity: NaN, as dividing by the count would give. */
    k->affine(y, y, 1 / count, 0, n);
}

static void finish_root(const struct nn_kernels *k, float *y, size_t n, float count)
{
    (void)k;
    (void)count;
    for (size_t i = 0; i < n; i++)
        y[i] = sqrtf(y[i]);
}

static void finish_log(const struct nn_kernels *k, float *y, size_t n, float count)
{
    (void)k;
    (void)count;
    for (size_t i = 0; i < n; i++)
        y[i] = logf(y[i]);
}

enum { STRETCH = 64 };

/* n neighbours as one number: STRETCH running results, so that the loop over them is a
 * vector's and a long sum loses few digits. */
static float reduce_stretch(const struct reduction *kind, const struct nn_kernels *k,
                            const float *x, size_t n)
{
    if (kind->fold == fold_sum)
        return k->sum(x, n);
    if (kind->fold == fold_square)
        return k->sum_squares(x, 0, n);
    float lane[STRETCH];
    for (size_t i = 0; i < STRETCH; i++)
        lane[i] = kind->start;
    for (size_t i = 0; i < n; i += STRETCH)
        kind->fold(k, lane, x + i, n - i < STRETCH ? n - i : STRETCH);
    for (size_t half = STRETCH / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] = kind->join(lane[i], lane[i + half]);
    return lane[0];
}

static void reduce_floats(const struct reduction *kind, const struct nn_kernels *k,
                          const struct nn_walk *w, float *y, size_t results, const float *x)
{
    for (size_t i = 0; i < results; i++)
        y[i] = kind->start;
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return;
    do {
        float *to = y + c.at[1];
        if (w->inner_step[1] == 0)
            *to = kind->join(*to, reduce_stretch(kind, k, x + c.at[0], (size_t)w->inner));
        else
            kind->fold(k, to, x + c.at[0], (size_t)w->inner);
    } while (nn_walk_next(w, &c));
}

/* sums[i] += Σ exp(x - max[i]); a maximum that is no number is left out, so that no infinity is
 * subtracted from itself. */
static void add_exponentials(const struct nn_kernels *k, const struct nn_walk *w, float *sums,
                             const float *max, const float *x)
{
    float part[STRETCH];
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return;
    do {
        const float *from = x + c.at[0], *shift = max + c.at[1];
        float *to = sums + c.at[1];
        size_t n = (size_t)w->inner, step = (size_t)w->inner_step[1];
        for (size_t i = 0; i < n; i += STRETCH) {
            size_t count = n - i < STRETCH ? n - i : STRETCH;
            for (size_t j = 0; j < count; j++) {
                float m = shift[(i + j) * step];
                part[j] = isfinite(m) ? from[i + j] - m : from[i + j];
            }
            k->exp(part, part, count);
            if (step == 0)
                *to += k->sum(part, count);
            else
                k->add(to + i, to + i, part, count);
        }
    } while (nn_walk_next(w, &c));
}

static void run_floats(struct nn_op_call *call)
{
    const struct reduction *kind = call->op->variant;
    const struct state *s = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data, *sums = call->workspace;
    size_t results = (size_t)nn_shape_count(&call->outputs[0].shape);
    if (kind->kind != LOG_SUM_EXP) {
        reduce_floats(kind, k, &s->walk, y, results, x);
        if (kind->finish)
            kind->finish(k, y, results, (float)s->count);
        return;
    }
    reduce_floats(nn_op_reduce_max.variant, k, &s->walk, y, results, x);
    memset(sums, 0, results * sizeof *sums);
    add_exponentials(k, &s->walk, sums, y, x);
    for (size_t i = 0; i < results; i++)
        y[i] = logf(sums[i]) + (isfinite(y[i]) ? y[i] : 0);
}

/* Integers: sums and products wrap; what is no integer is rounded towards zero, and stays
 * within the type. */

struct tally {
    uint64_t sum, product, squares, magnitude;
    double real, squared, peak, exponentials; /* exponentials: Σ exp(element - peak) */
};

static void tally_element(struct tally *t, double value, uint64_t bits)
{
    t->sum += bits;
    t->product *= bits;
    t->squares += bits * bits;
    t->magnitude += value < 0 ? 0 - bits : bits;
    t->real += value;
    t->squared += value * value;
    if (value > t->peak) {
        t->exponentials = t->exponentials * exp(t->peak - value) + 1;
        t->peak = value;
    } else {
        t->exponentials += exp(value - t->peak);
    }
}

static double tally_real(const struct tally *t, enum reduction_kind kind, int64_t count)
{
    switch (kind) {
    case L2:
        return sqrt(t->squared);
    case LOG_SUM:
        return log(t->real);
    case LOG_SUM_EXP:
        return t->peak + log(t->exponentials);
    default:
        return count > 0 ? t->real / (double)count : 0;
    }
}

/* Only the kinds that are no whole numbers go through double. */
static bool is_whole(enum reduction_kind kind)
{
    return kind != L2 && kind != LOG_SUM && kind != LOG_SUM_EXP && kind != MEAN;
}

static uint64_t tally_whole(const struct tally *t, enum reduction_kind kind)
{
    return kind == SUM    ? t->sum
           : kind == PROD ? t->product
           : kind == L1   ? t->magnitude
                          : t->squares;
}

#define REDUCE_INTEGERS(nn_type, type, is_signed)                                              \
    static type type##_bounded(double value, type highest)                                     \
    {                                                                                          \
        const type lowest = NN_INTEGER_LOWEST(type, is_signed);                                \
        return value >= (double)highest  ? highest                                             \
               : value <= (double)lowest ? lowest                                              \
               : value != value          ? 0                                                   \
                                         : (type)value;                                                 \
    }                                                                                          \
                                                                                               \
    static type type##_one(const struct state *s, enum reduction_kind kind, const type *x,     \
                           type highest)                                                       \
    {                                                                                          \
        struct tally t = {.product = 1, .peak = -INFINITY};                                    \
        type best = kind == MAX ? NN_INTEGER_LOWEST(type, is_signed) : highest;                \
        struct nn_walk_cursor c = {0};                                                         \
        do {                                                                                   \
            for (int64_t i = 0; i < s->gone.inner; i++) {                                      \
                type value = x[c.at[0] + i * s->gone.inner_step[0]];                           \
                if (kind == MAX || kind == MIN)                                                \
                    best = (kind == MAX) == (value > best) ? value : best;                     \
                else                                                                           \
                    tally_element(&t, (double)value, (uint64_t)value);                         \
            }                                                                                  \
        } while (nn_walk_next(&s->gone, &c));                                                  \
        if (kind == MAX || kind == MIN)                                                        \
            return best;                                                                       \
        return is_whole(kind) ? (type)tally_whole(&t, kind)                                    \
                              : type##_bounded(tally_real(&t, kind, s->count), highest);       \
    }                                                                                          \
                                                                                               \
    static void run_##type(struct nn_op_call *call, type highest)                              \
    {                                                                                          \
        const struct reduction *kind = call->op->variant;                                      \
        const struct state *s = call->state;                                                   \
        const type *x = call->inputs[0].data;                                                  \
        type *y = call->outputs[0].data;                                                       \
        struct nn_walk_cursor c = {0};                                                         \
        do {                                                                                   \
            for (int64_t i = 0; i < s->kept.inner; i++)                                        \
                *y++ = type##_one(s, kind->kind, x + c.at[0] + i * s->kept.inner_step[0],      \
                                  highest);                                                    \
        } while (nn_walk_next(&s->kept, &c));                                                  \
    }
NN_INTEGER_TYPES(REDUCE_INTEGERS)

static int forward(struct nn_op_call *call)
{
    switch (call->inputs[0].type) {
#define RUN(nn_type, type, is_signed)                                                          \
    case nn_type:                                                                              \
        run_##type(call, (type)~NN_INTEGER_LOWEST(type, is_signed));                           \
        break;
        NN_INTEGER_TYPES(RUN)
    case NN_TYPE_BOOL:
        run_uint8_t(call, 1);
        break;
    default:
        run_floats(call);
        break;
    }
    return 0;
}

static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    bool reduced[NN_MAX_RANK];
    if (in[0] == NN_TIME_NONE || read_axes(call, reduced) < 0 || reduced[in[0]])
        return false;
    out[0] = in[0];
    for (int d = 0; d < in[0] && nn_op_int(call, "keepdims", 1) == 0; d++)
        out[0] -= reduced[d];
    return true;
}

/* ReduceSum took its axes as an input five opsets before the others. */
static const struct nn_attribute_rule rules_13[] = {
    {"axes", NN_ATTRIBUTE_INTS, 1, 12},
    {"keepdims", NN_ATTRIBUTE_INT, 1, 0},
    {"noop_with_empty_axes", NN_ATTRIBUTE_INT, 13, 0},
    {0}};
static const struct nn_attribute_rule rules_18[] = {
    {"axes", NN_ATTRIBUTE_INTS, 1, 17},
    {"keepdims", NN_ATTRIBUTE_INT, 1, 0},
    {"noop_with_empty_axes", NN_ATTRIBUTE_INT, 18, 0},
    {0}};

#define REDUCTION(row, op_type, rules, ...)                                                    \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .variant = &(const struct reduction){__VA_ARGS__},                                     \
        .min_inputs = 1,                                                                       \
        .max_inputs = 2,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = rules,                                                                   \
        .infer = infer,                                                                        \
        .prepare = prepare,                                                                    \
        .forward = forward,                                                                    \
        .time = time_rule,                                                                     \
    }

REDUCTION(nn_op_reduce_l1, "ReduceL1", rules_18, L1, 18, 0, fold_magnitude, sum_of, NULL);
REDUCTION(nn_op_reduce_l2, "ReduceL2", rules_18, L2, 18, 0, fold_square, sum_of, finish_root);
REDUCTION(nn_op_reduce_log_sum, "ReduceLogSum", rules_18, LOG_SUM, 18, 0, fold_sum, sum_of,
          finish_log);
REDUCTION(nn_op_reduce_log_sum_exp, "ReduceLogSumExp", rules_18, LOG_SUM_EXP, 18, 0, NULL, NULL,
          NULL);
REDUCTION(nn_op_reduce_max, "ReduceMax", rules_18, MAX, 18, -INFINITY, fold_max, larger, NULL);
REDUCTION(nn_op_reduce_mean, "ReduceMean", rules_18, MEAN, 18, 0, fold_sum, sum_of,
          finish_mean);
REDUCTION(nn_op_reduce_min, "ReduceMin", rules_18, MIN, 18, INFINITY, fold_min, smaller, NULL);
REDUCTION(nn_op_reduce_prod, "ReduceProd", rules_18, PROD, 18, 1, fold_product, product_of,
          NULL);
REDUCTION(nn_op_reduce_sum, "ReduceSum", rules_13, SUM, 13, 0, fold_sum, sum_of, NULL);
REDUCTION(nn_op_reduce_sum_square, "ReduceSumSquare", rules_18, SUM_SQUARE, 18, 0, fold_square,
          sum_of, NULL);
