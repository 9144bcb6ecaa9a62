/* Einsum: sums of products over named dimensions.
 *
 * Operands are combined two at a time, from the left. For each pair a dimension is one of four
 * things: in both and needed later (batch), in both and not (summed over), in the first only
 * (rows), in the second only (columns). So a pair is a batch of matrix products, once each
 * operand lies as [batch, rows, summed] or [batch, summed, columns], straight or transposed;
 * one that does not is packed first. A dimension of one operand that nobody needs is summed
 * over while packing.
 *
 * Source: ONNX Einsum-12; NumPy's einsum for ellipses, the output that is left out, and
 * dimensions of 1 that repeat. */
#include <errno.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/walk.h"

/* Dimensions by number: A-Z, a-z, then those an ellipsis stands for, aligned at the right. */
enum { LETTERS = 52, LABELS = LETTERS + NN_MAX_RANK, MAX_TEXT = 1024 };

/* The dimensions of one tensor, outermost first. */
struct term {
    int rank;
    int label[NN_MAX_RANK];
    int64_t extent[NN_MAX_RANK];
};

struct equation {
    char text[MAX_TEXT + 1]; /* without spaces */
    int64_t extent[LABELS];  /* 0: in no operand (or empty) */
    int uses[LABELS];        /* in operands */
    int ellipsis;            /* most dimensions that one stands for */
    struct term output;
};

/* --- The equation ----------------------------------------------------------------------- */

static int label_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Letters and at most one ellipsis of `hidden` dimensions, up to a comma, an arrow or the end.
 * Returns what follows, NULL when it is none of these or has over NN_MAX_RANK dimensions. */
static const char *read_term(const char *text, int hidden, struct term *t)
{
    bool ellipsis = false;
    t->rank = 0;
    while (*text && *text != ',' && *text != '-') {
        int label = label_of(*text), count = 1;
        if (label < 0 && !ellipsis && strncmp(text, "...", 3) == 0) {
            ellipsis = true;
            label = LABELS - hidden;
            count = hidden;
            text += 2;
        }
        if (label < 0 || t->rank + count > NN_MAX_RANK)
            return NULL;
        for (int i = 0; i < count; i++)
            t->label[t->rank++] = label + i;
        text++;
    }
    return text;
}

/* The same for an operand: an ellipsis stands for the dimensions that no letter names. */
static const char *read_operand(const char *text, const struct nn_shape *shape, struct term *t)
{
    const char *dots = strstr(text, "..."), *end = read_term(text, 0, t);
    bool ellipsis = end && dots && dots < end;
    if (!end || t->rank > shape->rank || (!ellipsis && t->rank < shape->rank))
        return NULL;
    read_term(text, shape->rank - t->rank, t);
    memcpy(t->extent, shape->dim, sizeof t->extent);
    return end;
}

/* Dimensions of one name have one extent, or 1. */
static int note_operand(const struct nn_op_call *call, struct equation *e, const struct term *t)
{
    int hidden = 0;
    for (int d = 0; d < t->rank; d++) {
        int64_t *extent = &e->extent[t->label[d]];
        bool first = e->uses[t->label[d]]++ == 0;
        if (!first && t->extent[d] != *extent && t->extent[d] != 1 && *extent != 1)
            return nn_op_fail(call, -EINVAL,
                              "a dimension is %lld in one place, %lld in another",
                              (long long)*extent, (long long)t->extent[d]);
        if (first || *extent == 1)
            *extent = t->extent[d];
        hidden += t->label[d] >= LETTERS;
    }
    e->ellipsis = hidden > e->ellipsis ? hidden : e->ellipsis;
    return 0;
}

/* Without an arrow: the ellipsis, then every dimension that stands in one place only. */
static bool default_output(struct equation *e)
{
    struct term *t = &e->output;
    for (int i = 0; i < LABELS; i++) {
        int label = (i + LETTERS) % LABELS;
        if (label >= LETTERS ? label < LABELS - e->ellipsis : e->uses[label] != 1)
            continue;
        if (t->rank == NN_MAX_RANK)
            return false;
        t->label[t->rank++] = label;
    }
    return true;
}

static bool output_is_valid(const struct equation *e)
{
    bool seen[LABELS] = {false};
    int hidden = 0;
    for (int d = 0; d < e->output.rank; d++) {
        int label = e->output.label[d];
        if (seen[label] || e->uses[label] == 0)
            return false;
        seen[label] = true;
        hidden += label >= LETTERS;
    }
    return hidden == e->ellipsis;
}

/* `terms`: one for each operand, or NULL. */
static int read_equation(const struct nn_op_call *call, struct equation *e, struct term *terms)
{
    const char *from = nn_op_string(call, "equation", "");
    size_t length = 0;
    *e = (struct equation){0};
    for (; *from && length < MAX_TEXT; from++)
        if (*from != ' ')
            e->text[length++] = *from;
    const char *at = e->text;
    for (int i = 0; i < call->input_count; i++) {
        struct term t;
        at = read_operand(at, &call->inputs[i].shape, &t);
        if (!at || (i + 1 < call->input_count) != (*at == ','))
            return nn_op_fail(call, -EINVAL, "the equation does not fit operand %d", i);
        int r = note_operand(call, e, &t);
        if (r < 0)
            return r;
        if (terms)
            terms[i] = t;
        at += *at == ',';
    }
    bool good = *at == '\0'
                    ? default_output(e)
                    : strncmp(at, "->", 2) == 0 &&
                          (at = read_term(at + 2, e->ellipsis, &e->output)) && *at == '\0';
    if (!good || *from || !output_is_valid(e))
        return nn_op_fail(call, -EINVAL, "the equation's output is impossible");
    for (int d = 0; d < e->output.rank; d++)
        e->output.extent[d] = e->extent[e->output.label[d]];
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct equation e;
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = read_equation(call, &e, NULL);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape.rank = e.output.rank;
    memcpy(call->outputs[0].shape.dim, e.output.extent, sizeof e.output.extent);
    return 0;
}

/* --- Pairs ------------------------------------------------------------------------------ */

enum form { STRAIGHT, TRANSPOSED, PACKED };

/* How an operand comes into the order a product wants. */
struct operand {
    enum form form;
    bool sums;           /* packing adds up */
    struct nn_walk walk; /* operand 0 is what is packed, 1 the packed */
    int64_t elements;    /* packed */
};

struct pair {
    struct operand a, b;
    int64_t batch, m, n, k;
};

struct state {
    bool empty; /* a dimension is: the sums are 0 */
    int pair_count;
    struct pair *pairs;
    struct operand last; /* of the only operand, or of the last product, to the output */
    /* Floats of the workspace's parts: both packed operands, two products. */
    int64_t packed_a, packed_b, product;
};

static bool has_label(const struct term *t, int label)
{
    for (int d = 0; d < t->rank; d++)
        if (t->label[d] == label)
            return true;
    return false;
}

static void append(struct term *t, int label, int64_t extent)
{
    t->label[t->rank] = label;
    t->extent[t->rank++] = extent;
}

static struct term joined(const struct term *a, const struct term *b, const struct term *c)
{
    struct term all = *a;
    for (int d = 0; d < b->rank; d++)
        append(&all, b->label[d], b->extent[d]);
    for (int d = 0; d < c->rank; d++)
        append(&all, c->label[d], c->extent[d]);
    return all;
}

static int64_t count_of(const struct term *t)
{
    int64_t count = 1;
    for (int d = 0; d < t->rank; d++)
        if (__builtin_mul_overflow(count, t->extent[d], &count) || count > INT32_MAX)
            return INT64_MAX;
    return count;
}

static bool is_same(const struct term *a, const struct term *b)
{
    for (int d = 0; d < a->rank && a->rank == b->rank; d++)
        if (a->label[d] != b->label[d] || a->extent[d] != b->extent[d])
            return false;
    return a->rank == b->rank;
}

/* Elements between neighbours of `from` in a dimension, which it may have twice (a diagonal) or
 * with an extent of 1 (it repeats). */
static int64_t stride_of(const struct term *from, int label)
{
    int64_t stride = 0, step = 1;
    for (int d = from->rank - 1; d >= 0; d--) {
        if (from->label[d] == label && from->extent[d] != 1)
            stride += step;
        step *= from->extent[d];
    }
    return stride;
}

/* From the order of `from` to that of `to`; what `to` lacks is summed over. */
static struct operand pack_operand(const struct equation *e, const struct term *from,
                                   const struct term *to)
{
    struct operand o = {.form = PACKED, .elements = count_of(to)};
    struct nn_shape shape = {0};
    int64_t step[NN_MAX_RANK][2], dense = 1;
    for (int d = 0; d < from->rank; d++) {
        int label = from->label[d];
        bool again = false;
        for (int before = 0; before < d; before++)
            again |= from->label[before] == label;
        if (again || has_label(to, label))
            continue;
        step[shape.rank][0] = stride_of(from, label);
        step[shape.rank][1] = 0;
        shape.dim[shape.rank++] = e->extent[label];
        o.sums = true;
    }
    for (int d = 0; d < to->rank; d++) {
        step[shape.rank + d][0] = stride_of(from, to->label[d]);
        shape.dim[shape.rank + d] = to->extent[d];
    }
    for (int d = to->rank - 1; d >= 0; d--) {
        step[shape.rank + d][1] = dense;
        dense *= to->extent[d];
    }
    shape.rank += to->rank;
    nn_walk_make(&o.walk, &shape, step);
    return o;
}

static struct operand make_operand(const struct equation *e, const struct term *from,
                                   const struct term *straight, const struct term *transposed)
{
    if (is_same(from, straight))
        return (struct operand){.form = STRAIGHT};
    if (is_same(from, transposed))
        return (struct operand){.form = TRANSPOSED};
    return pack_operand(e, from, straight);
}

/* One product of `a` and `b`; needed: of each dimension, by a later operand or the output. */
static int make_pair(const struct nn_op_call *call, const struct equation *e, struct term *a,
                     const struct term *b, const int *needed, struct pair *ret_pair)
{
    struct term batch = {0}, rows = {0}, summed = {0}, columns = {0};
    for (int d = 0; d < a->rank; d++) {
        int label = a->label[d];
        bool both = has_label(b, label), later = needed[label] > 0;
        struct term *to = both && later ? &batch : both ? &summed : later ? &rows : NULL;
        if (to && !has_label(to, label))
            append(to, label, e->extent[label]);
    }
    for (int d = 0; d < b->rank; d++)
        if (needed[b->label[d]] > 0 && !has_label(a, b->label[d]) &&
            !has_label(&columns, b->label[d]))
            append(&columns, b->label[d], e->extent[b->label[d]]);
    if (batch.rank + rows.rank + columns.rank > NN_MAX_RANK)
        return nn_op_fail(call, -ENOTSUP, "a product on the way has over %d dimensions",
                          NN_MAX_RANK);
    struct term product = joined(&batch, &rows, &columns);
    struct term a_straight = joined(&batch, &rows, &summed);
    struct term a_transposed = joined(&batch, &summed, &rows);
    struct term b_straight = joined(&batch, &summed, &columns);
    struct term b_transposed = joined(&batch, &columns, &summed);
    if (count_of(&product) > INT32_MAX || count_of(&a_straight) > INT32_MAX ||
        count_of(&b_straight) > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "a product on the way would be too large");
    *ret_pair = (struct pair){
        .a = make_operand(e, a, &a_straight, &a_transposed),
        .b = make_operand(e, b, &b_straight, &b_transposed),
        .batch = count_of(&batch),
        .m = count_of(&rows),
        .n = count_of(&columns),
        .k = count_of(&summed),
    };
    *a = product;
    return 0;
}

static int make_pairs(struct nn_op_call *call, const struct equation *e,
                      const struct term *terms, struct state *state)
{
    int needed[LABELS];
    struct term product = terms[0];
    state->pairs = nn_op_alloc(call, (size_t)call->input_count * sizeof *state->pairs);
    if (!state->pairs)
        return -ENOMEM;
    memcpy(needed, e->uses, sizeof needed);
    for (int d = 0; d < e->output.rank; d++)
        needed[e->output.label[d]]++;
    for (int d = 0; d < terms[0].rank; d++)
        needed[terms[0].label[d]]--;
    for (int i = 1; i < call->input_count; i++) {
        struct pair *pair = &state->pairs[state->pair_count++];
        for (int d = 0; d < terms[i].rank; d++)
            needed[terms[i].label[d]]--;
        int r = make_pair(call, e, &product, &terms[i], needed, pair);
        if (r < 0)
            return r;
        int64_t elements = count_of(&product);
        if (pair->a.elements > state->packed_a)
            state->packed_a = pair->a.elements;
        if (pair->b.elements > state->packed_b)
            state->packed_b = pair->b.elements;
        state->product = elements > state->product ? elements : state->product;
    }
    state->last = make_operand(e, &product, &e->output, &e->output);
    return 0;
}

static size_t part_bytes(int64_t floats)
{
    return nn_arena_aligned((size_t)floats * sizeof(float));
}

static int prepare(struct nn_op_call *call)
{
    struct equation e;
    struct state *state = nn_op_alloc(call, sizeof *state);
    struct term *terms = nn_op_alloc(call, (size_t)call->input_count * sizeof *terms);
    if (!state || !terms)
        return -ENOMEM;
    int r = read_equation(call, &e, terms);
    for (int label = 0; label < LABELS; label++)
        state->empty |= e.uses[label] > 0 && e.extent[label] == 0;
    if (r == 0 && !state->empty)
        r = make_pairs(call, &e, terms, state);
    call->state = state;
    call->workspace_bytes = part_bytes(state->packed_a) + part_bytes(state->packed_b) +
                            2 * part_bytes(state->product);
    return r;
}

/* --- Running ---------------------------------------------------------------------------- */

static const float *pack(const struct operand *o, float *to, const float *from)
{
    const struct nn_walk *w = &o->walk;
    struct nn_walk_cursor c = {0};
    if (!o->sums) {
        nn_walk_copy(w, to, from, sizeof *to);
        return to;
    }
    memset(to, 0, (size_t)o->elements * sizeof *to);
    do
        for (int64_t i = 0; i < w->inner; i++)
            to[c.at[1] + i * w->inner_step[1]] += from[c.at[0] + i * w->inner_step[0]];
    while (nn_walk_next(w, &c));
    return to;
}

static void multiply(const struct nn_kernels *kernels, const struct pair *p, const float *a,
                     const float *b, float *to)
{
    if (p->m == 1 && p->n == 1 && p->k == 1) {
        kernels->mul(to, a, b, (size_t)p->batch);
        return;
    }
    struct nn_gemm g = {
        .m = (size_t)p->m,
        .n = (size_t)p->n,
        .k = (size_t)p->k,
        .transpose_a = p->a.form == TRANSPOSED,
        .transpose_b = p->b.form == TRANSPOSED,
        .a_step = (size_t)(p->a.form == TRANSPOSED ? p->m : p->k),
        .b_step = (size_t)(p->b.form == TRANSPOSED ? p->k : p->n),
        .c_step = (size_t)p->n,
        .alpha = 1,
    };
    for (int64_t i = 0; i < p->batch; i++) {
        g.a = a + i * p->m * p->k;
        g.b = b + i * p->k * p->n;
        g.c = to + i * p->m * p->n;
        kernels->gemm(&g);
    }
}

/* Pair number i, to `y` or, NULL, where the product before is not. Returns where. */
static const float *run_pair(const struct nn_op_call *call, int i, const float *a, float *y)
{
    const struct state *state = call->state;
    const struct pair *p = &state->pairs[i];
    const float *b = call->inputs[i + 1].data;
    char *packed_a = call->workspace, *packed_b = packed_a + part_bytes(state->packed_a);
    char *products = packed_b + part_bytes(state->packed_b);
    if (!y)
        y = (void *)(products + (i % 2 ? part_bytes(state->product) : 0));
    if (p->a.form == PACKED)
        a = pack(&p->a, (void *)packed_a, a);
    if (p->b.form == PACKED)
        b = pack(&p->b, (void *)packed_b, b);
    multiply(call->kernels, p, a, b, y);
    return y;
}

static int einsum(struct nn_op_call *call)
{
    const struct state *state = call->state;
    float *y = call->outputs[0].data;
    if (state->empty) {
        memset(y, 0, (size_t)nn_shape_count(&call->outputs[0].shape) * sizeof *y);
        return 0;
    }
    const float *so_far = call->inputs[0].data;
    for (int i = 0; i < state->pair_count; i++) {
        bool ends = i + 1 == state->pair_count && state->last.form != PACKED;
        so_far = run_pair(call, i, so_far, ends ? y : NULL);
    }
    if (state->last.form == PACKED)
        pack(&state->last, y, so_far);
    else if (state->pair_count == 0)
        memcpy(y, so_far, (size_t)nn_shape_count(&call->outputs[0].shape) * sizeof *y);
    return 0;
}

/* Of more than two operands: as if all were multiplied at once. */
static double macs(const struct nn_op_call *call)
{
    struct equation e;
    double count = call->input_count > 1 ? 1 : 0;
    if (read_equation(call, &e, NULL) < 0)
        return 0;
    for (int label = 0; label < LABELS; label++)
        count *= e.uses[label] > 0 ? (double)e.extent[label] : 1;
    return count;
}

/* Time is one dimension of the result, and of every operand that has frames; constants do not
 * vary over it. */
static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    struct equation e;
    if (read_equation(call, &e, NULL) < 0)
        return false;
    const char *at = e.text;
    int time = -1, timed_uses = 0;
    for (int i = 0; i < call->input_count; i++) {
        struct term t;
        at = read_operand(at, &call->inputs[i].shape, &t) + 1;
        if (in[i] == NN_TIME_NONE)
            continue;
        if (time >= 0 && t.label[in[i]] != time)
            return false;
        time = t.label[in[i]];
        timed_uses++;
        if (t.extent[in[i]] != e.extent[time])
            return false;
    }
    for (int d = 0; d < e.output.rank; d++)
        if (e.output.label[d] == time)
            out[0] = d;
    return out[0] != NN_TIME_NONE && e.uses[time] == timed_uses;
}

static const struct nn_attribute_rule rules[] = {{"equation", NN_ATTRIBUTE_STRING, 12, 0}, {0}};

const struct nn_op nn_op_einsum = {
    .name = "Einsum",
    .min_inputs = 1,
    .max_inputs = NN_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = rules,
    .infer = infer,
    .prepare = prepare,
    .forward = einsum,
    .time = time_rule,
    .macs = macs,
};
