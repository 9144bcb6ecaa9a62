/* Attention: Y = softmax(scale · Q · Kᵀ + mask) · V, head by head.
 *
 * Queries are taken in blocks whose scores stay in the cache. Past keys and values are
 * multiplied where they are, beside the new ones: nothing is joined but what the model wants
 * joined (present). Several query heads may share a head of keys and values (grouped queries).
 *
 * Source: ONNX operator Attention (opsets 23 and 24); scores are capped before the mask is
 * added, and a query that may look at nothing gets zeros. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

/* What output 3 shows of the scores: as multiplied, capped, masked, or made probabilities. */
enum { SHOW_PRODUCT, SHOW_CAPPED, SHOW_MASKED, SHOW_SOFTMAX };

/* Scores of a block of queries: about what half a second-level cache holds. */
enum { BLOCK_SCORES = 64 * 1024 };

struct attention {
    int64_t batch, heads, kv_heads;
    int64_t queries, past, fresh, total; /* keys: total = past + fresh */
    int64_t size, value_size;            /* of a head */
    bool flat;                           /* Q, K, V are (batch, sequence, heads · size) */
    int64_t mask_keys;                   /* of the mask's last axis; keys beyond are masked */
    int64_t mask_step[3];                /* over batch, heads, queries; 0: broadcast */
    int64_t block;                       /* queries */
    float scale, cap;
    int64_t shows;
    bool causal;
};

/* A head's rows in Q, K, V, Y, the past or the present. */
struct rows {
    int64_t first, step; /* in floats */
};

static struct rows head_rows(bool flat, int64_t batch, int64_t head, int64_t heads,
                             int64_t count, int64_t size)
{
    if (flat)
        return (struct rows){(batch * count * heads + head) * size, heads * size};
    return (struct rows){(batch * heads + head) * count * size, size};
}

static int read_heads(const struct nn_op_call *call, struct attention *a)
{
    const struct nn_shape *q = &call->inputs[Q].shape, *k = &call->inputs[K].shape,
                          *v = &call->inputs[V].shape;
    if ((q->rank != 3 && q->rank != 4) || k->rank != q->rank || v->rank != q->rank)
        return nn_op_fail(call, -EINVAL, "Q, K and V have ranks %d, %d and %d, not all 3 or 4",
                          q->rank, k->rank, v->rank);
    a->flat = q->rank == 3;
    int sequence = a->flat ? 1 : 2, last = q->rank - 1;
    a->heads = a->flat ? nn_op_int(call, "q_num_heads", 0) : q->dim[1];
    a->kv_heads = a->flat ? nn_op_int(call, "kv_num_heads", 0) : k->dim[1];
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0)
        return nn_op_fail(call, -EINVAL, "%lld heads of queries for %lld of keys",
                          (long long)a->heads, (long long)a->kv_heads);
    int64_t q_heads = a->flat ? a->heads : 1, kv_heads = a->flat ? a->kv_heads : 1;
    if (q->dim[last] % q_heads || k->dim[last] % kv_heads || v->dim[last] % kv_heads)
        return nn_op_fail(call, -EINVAL, "heads do not divide the last dimensions");
    a->batch = q->dim[0];
    a->queries = q->dim[sequence];
    a->fresh = k->dim[sequence];
    a->size = q->dim[last] / q_heads;
    a->value_size = v->dim[last] / kv_heads;
    if (k->dim[0] != a->batch || v->dim[0] != a->batch || v->dim[sequence] != a->fresh ||
        k->dim[last] / kv_heads != a->size || (!a->flat && v->dim[1] != a->kv_heads))
        return nn_op_fail(call, -EINVAL, "the shapes of Q, K and V do not match");
    return 0;
}

static int read_past(const struct nn_op_call *call, struct attention *a)
{
    bool has = nn_op_has_input(call, PAST_KEY);
    if (has != nn_op_has_input(call, PAST_VALUE))
        return nn_op_fail(call, -EINVAL, "past_key and past_value come together");
    if (has) {
        const struct nn_shape *k = &call->inputs[PAST_KEY].shape;
        const struct nn_shape *v = &call->inputs[PAST_VALUE].shape;
        a->past = k->rank == 4 ? k->dim[2] : 0;
        struct nn_shape want = {.rank = 4, .dim = {a->batch, a->kv_heads, a->past, a->size}};
        bool fits = nn_shape_equal(k, &want);
        want.dim[3] = a->value_size;
        if (!fits || !nn_shape_equal(v, &want))
            return nn_op_fail(call, -EINVAL, "past_key and past_value do not match K and V");
    }
    a->total = a->past + a->fresh;
    if (a->total > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "%lld keys are too many", (long long)a->total);
    if (a->total < 1 || a->size < 1 || a->value_size < 1)
        return nn_op_fail(call, -EINVAL, "there is no key to look at");
    return 0;
}

static int read_mask(const struct nn_op_call *call, struct attention *a)
{
    if (!nn_op_has_input(call, MASK))
        return 0;
    const struct nn_tensor *mask = &call->inputs[MASK];
    if (mask->type != NN_TYPE_FLOAT && mask->type != NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "the mask is %s, not float32 or bool",
                          nn_type_name(mask->type));
    const int64_t want[3] = {a->batch, a->heads, a->queries};
    int rank = mask->shape.rank;
    if (rank < 1 || rank > 4 || mask->shape.dim[rank - 1] > a->total)
        return nn_op_fail(call, -EINVAL, "the mask does not fit %lld keys",
                          (long long)a->total);
    a->mask_keys = mask->shape.dim[rank - 1];
    int64_t step = a->mask_keys;
    for (int d = 2; d >= 0; d--) {
        int own = d + rank - 4;
        int64_t dim = own >= 0 ? mask->shape.dim[own] : 1;
        if (dim != 1 && dim != want[d])
            return nn_op_fail(call, -EINVAL, "the mask does not broadcast to the scores");
        a->mask_step[d] = dim == 1 ? 0 : step;
        step *= dim;
    }
    return 0;
}

static int read_geometry(const struct nn_op_call *call, struct attention *ret_attention)
{
    struct attention a = {0};
    int r = read_heads(call, &a);
    if (r == 0)
        r = read_past(call, &a);
    if (r == 0)
        r = read_mask(call, &a);
    if (r < 0)
        return r;
    if (nn_op_has_input(call, LENGTHS)) {
        const struct nn_tensor *lengths = &call->inputs[LENGTHS];
        if (lengths->type != NN_TYPE_INT64 || nn_shape_count(&lengths->shape) != a.batch)
            return nn_op_fail(call, -EINVAL,
                              "nonpad_kv_seqlen must be int64, one for each image");
    }
    a.block = BLOCK_SCORES / a.total;
    a.block = a.block < 1 ? 1 : a.block < a.queries ? a.block : a.queries;
    a.scale = nn_op_float(call, "scale", 1 / sqrtf((float)a.size));
    a.cap = nn_op_float(call, "softcap", 0);
    a.shows = nn_op_int(call, "qk_matmul_output_mode", SHOW_PRODUCT);
    a.causal = nn_op_int(call, "is_causal", 0) != 0;
    if (a.shows < SHOW_PRODUCT || a.shows > SHOW_SOFTMAX)
        return nn_op_fail(call, -EINVAL, "qk_matmul_output_mode is %lld, not 0 to 3",
                          (long long)a.shows);
    *ret_attention = a;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct attention a;
    static const int floats[] = {Q, K, V, PAST_KEY, PAST_VALUE};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        int r = nn_op_has_input(call, floats[i])
                    ? nn_op_require_type(call, floats[i], NN_TYPE_FLOAT)
                    : 0;
        if (r < 0)
            return r;
    }
    int r = read_geometry(call, &a);
    if (r < 0)
        return r;
    const struct nn_shape shapes[] = {
        [Y] = a.flat ? (struct nn_shape){3, {a.batch, a.queries, a.heads * a.value_size}}
                     : (struct nn_shape){4, {a.batch, a.heads, a.queries, a.value_size}},
        [PRESENT_KEY] = {4, {a.batch, a.kv_heads, a.total, a.size}},
        [PRESENT_VALUE] = {4, {a.batch, a.kv_heads, a.total, a.value_size}},
        [SCORES] = {4, {a.batch, a.heads, a.queries, a.total}},
    };
    for (int j = 0; j < call->output_count; j++) {
        call->outputs[j].type = NN_TYPE_FLOAT;
        call->outputs[j].shape = shapes[j];
    }
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    struct attention *a = nn_op_alloc(call, sizeof *a);
    if (!a)
        return -ENOMEM;
    int r = read_geometry(call, a);
    if (r < 0)
        return r;
    call->state = a;
    /* Where a run has fewer keys, more queries are a block of a late node. */
    int64_t scores = a->block * a->total;
    if (call->kept && scores < BLOCK_SCORES)
        scores = BLOCK_SCORES;
    call->workspace_bytes = (size_t)scores * sizeof(float);
    return 0;
}

/* Past, then new keys (or values) of every head, as one tensor. */
static void join(const struct nn_op_call *call, int output, int past, int fresh, int64_t size)
{
    const struct attention *a = call->state;
    if (output >= call->output_count || !call->outputs[output].data)
        return;
    const float *old = a->past > 0 ? call->inputs[past].data : NULL;
    const float *new = call->inputs[fresh].data;
    float *to = call->outputs[output].data;
    for (int64_t i = 0; i < a->batch * a->kv_heads; i++) {
        if (old)
            memcpy(to, old + i * a->past * size, (size_t)(a->past * size) * sizeof *to);
        to += a->past * size;
        struct rows rows =
            head_rows(a->flat, i / a->kv_heads, i % a->kv_heads, a->kv_heads, a->fresh, size);
        for (int64_t s = 0; s < a->fresh; s++, to += size)
            memcpy(to, new + rows.first + s *rows.step, (size_t)size * sizeof *to);
    }
}

/* A block of queries of one head. */
struct block {
    int64_t batch, head, first, count;
    float *scores; /* (count, total) */
};

/* scores = scale · Q · Kᵀ for the past's keys, then the new ones. */
static void multiply_keys(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    int64_t kv_head = b->head / (a->heads / a->kv_heads);
    struct rows q = head_rows(a->flat, b->batch, b->head, a->heads, a->queries, a->size);
    struct nn_gemm g = {.m = (size_t)b->count,
                        .k = (size_t)a->size,
                        .transpose_b = true,
                        .a = (const float *)call->inputs[Q].data + q.first + b->first * q.step,
                        .a_step = (size_t)q.step,
                        .c_step = (size_t)a->total,
                        .alpha = a->scale};
    if (a->past > 0) {
        struct rows k = head_rows(false, b->batch, kv_head, a->kv_heads, a->past, a->size);
        g.n = (size_t)a->past;
        g.b = (const float *)call->inputs[PAST_KEY].data + k.first;
        g.b_step = (size_t)k.step;
        g.c = b->scores;
        call->kernels->gemm(&g);
    }
    if (a->fresh > 0) {
        struct rows k = head_rows(a->flat, b->batch, kv_head, a->kv_heads, a->fresh, a->size);
        g.n = (size_t)a->fresh;
        g.b = (const float *)call->inputs[K].data + k.first;
        g.b_step = (size_t)k.step;
        g.c = b->scores + a->past;
        call->kernels->gemm(&g);
    }
}

/* Y = scores · V, likewise. */
static void multiply_values(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    int64_t kv_head = b->head / (a->heads / a->kv_heads);
    struct rows y = head_rows(a->flat, b->batch, b->head, a->heads, a->queries, a->value_size);
    struct nn_gemm g = {.m = (size_t)b->count,
                        .n = (size_t)a->value_size,
                        .a_step = (size_t)a->total,
                        .c = (float *)call->outputs[Y].data + y.first + b->first * y.step,
                        .c_step = (size_t)y.step,
                        .alpha = 1};
    if (a->past > 0) {
        struct rows v =
            head_rows(false, b->batch, kv_head, a->kv_heads, a->past, a->value_size);
        g.k = (size_t)a->past;
        g.a = b->scores;
        g.b = (const float *)call->inputs[PAST_VALUE].data + v.first;
        g.b_step = (size_t)v.step;
        call->kernels->gemm(&g);
        g.beta = 1;
    }
    if (a->fresh > 0) {
        struct rows v =
            head_rows(a->flat, b->batch, kv_head, a->kv_heads, a->fresh, a->value_size);
        g.k = (size_t)a->fresh;
        g.a = b->scores + a->past;
        g.b = (const float *)call->inputs[V].data + v.first;
        g.b_step = (size_t)v.step;
        call->kernels->gemm(&g);
    }
}

static void cap_scores(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    const struct nn_kernels *k = call->kernels;
    size_t n = (size_t)(b->count * a->total);
    k->affine(b->scores, b->scores, 1 / a->cap, 0, n);
    k->tanh(b->scores, b->scores, n);
    k->affine(b->scores, b->scores, a->cap, 0, n);
}

/* Keys from `end` on are not there for a query. */
static void mask_row(const struct nn_op_call *call, const struct block *b, int64_t query,
                     int64_t end)
{
    const struct attention *a = call->state;
    float *row = b->scores + (query - b->first) * a->total;
    if (nn_op_has_input(call, MASK)) {
        int64_t at =
            b->batch * a->mask_step[0] + b->head * a->mask_step[1] + query * a->mask_step[2];
        if (call->inputs[MASK].type == NN_TYPE_FLOAT) {
            const float *mask = call->inputs[MASK].data;
            call->kernels->add(row, row, mask + at, (size_t)a->mask_keys);
        } else {
            const uint8_t *mask = (const uint8_t *)call->inputs[MASK].data + at;
            for (int64_t i = 0; i < a->mask_keys; i++)
                row[i] = mask[i] ? row[i] : -INFINITY;
        }
        end = a->mask_keys < end ? a->mask_keys : end;
    }
    for (int64_t i = end < 0 ? 0 : end; i < a->total; i++)
        row[i] = -INFINITY;
}

static void mask_scores(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    int64_t length = a->total, offset = a->past;
    if (nn_op_has_input(call, LENGTHS)) {
        length = ((const int64_t *)call->inputs[LENGTHS].data)[b->batch];
        if (!nn_op_has_input(call, PAST_KEY))
            offset = length - a->queries; /* the last query sees the last key */
    }
    for (int64_t query = b->first; query < b->first + b->count; query++) {
        int64_t end = a->causal ? query + offset + 1 : length;
        mask_row(call, b, query, end < length ? end : length);
    }
}

static void share_scores(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    for (int64_t i = 0; i < b->count; i++) {
        float *row = b->scores + i * a->total;
        bool any = false;
        for (int64_t j = 0; j < a->total && !any; j++)
            any = row[j] != -INFINITY;
        if (any)
            call->kernels->softmax(row, row, (size_t)a->total);
        else
            memset(row, 0, (size_t)a->total * sizeof *row);
    }
}

static void show(const struct nn_op_call *call, const struct block *b, int stage)
{
    const struct attention *a = call->state;
    if (call->output_count <= SCORES || !call->outputs[SCORES].data || a->shows != stage)
        return;
    int64_t row = (b->batch * a->heads + b->head) * a->queries + b->first;
    memcpy((float *)call->outputs[SCORES].data + row * a->total, b->scores,
           (size_t)(b->count * a->total) * sizeof *b->scores);
}

static void attend(const struct nn_op_call *call, const struct block *b)
{
    const struct attention *a = call->state;
    multiply_keys(call, b);
    show(call, b, SHOW_PRODUCT);
    if (a->cap > 0)
        cap_scores(call, b);
    show(call, b, SHOW_CAPPED);
    if (a->causal || nn_op_has_input(call, MASK) || nn_op_has_input(call, LENGTHS))
        mask_scores(call, b);
    show(call, b, SHOW_MASKED);
    share_scores(call, b);
    show(call, b, SHOW_SOFTMAX);
    if (call->outputs[Y].data)
        multiply_values(call, b);
}

static int forward(struct nn_op_call *call)
{
    const struct attention *a = call->state;
    for (int64_t i = 0; nn_op_has_input(call, LENGTHS) && i < a->batch; i++) {
        int64_t length = ((const int64_t *)call->inputs[LENGTHS].data)[i];
        if (length < 0 || length > a->total)
            return nn_op_fail(call, -EINVAL, "nonpad_kv_seqlen %lld of %lld keys",
                              (long long)length, (long long)a->total);
    }
    join(call, PRESENT_KEY, PAST_KEY, K, a->size);
    join(call, PRESENT_VALUE, PAST_VALUE, V, a->value_size);
    for (int64_t i = 0; i < a->batch * a->heads; i++) {
        for (int64_t first = 0; first < a->queries; first += a->block) {
            struct block b = {.batch = i / a->heads,
                              .head = i % a->heads,
                              .first = first,
                              .count = a->queries - first,
                              .scores = call->workspace};
            b.count = b.count < a->block ? b.count : a->block;
            attend(call, &b);
        }
    }
    return 0;
}

/* Frames as a batch look at themselves only. */
static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    if (in[Q] != 0 || in[K] != 0 || in[V] != 0)
        return false;
    for (int i = MASK; i < call->input_count; i++)
        if (nn_op_has_input(call, i) &&
            (i != MASK || in[i] != NN_TIME_NONE ||
             (call->inputs[i].shape.rank == 4 && call->inputs[i].shape.dim[0] != 1)))
            return false;
    for (int j = 0; j < call->output_count; j++)
        out[j] = 0;
    return true;
}

static double macs(const struct nn_op_call *call)
{
    struct attention a;
    if (read_geometry(call, &a) < 0)
        return 0;
    return (double)(a.batch * a.heads) * (double)a.queries * (double)a.total *
           (double)(a.size + a.value_size);
}

static const struct nn_attribute_rule rules[] = {
    {"is_causal", NN_ATTRIBUTE_INT, 23, 0},
    {"kv_num_heads", NN_ATTRIBUTE_INT, 23, 0},
    {"q_num_heads", NN_ATTRIBUTE_INT, 23, 0},
    {"qk_matmul_output_mode", NN_ATTRIBUTE_INT, 23, 0},
    {"scale", NN_ATTRIBUTE_FLOAT, 23, 0},
    {"softcap", NN_ATTRIBUTE_FLOAT, 23, 0},
    {"softmax_precision", NN_ATTRIBUTE_INT, 23, 0}, /* never less than float32 */
    {0}};

const struct nn_op nn_op_attention = {
    .name = "Attention",
    .min_inputs = 3,
    .max_inputs = 7,
    .min_outputs = 1,
    .max_outputs = 4,
    .attributes = rules,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = time_rule,
    .macs = macs,
};
