/* Finds in the graph what exporters take apart, because the opset they write for has no
 * operator for it, and puts the operator back:
 *
 *   layer norm   d / sqrt(mean(d²) + ε), d = x - mean(x), then · scale + bias
 *   RMS norm     the same with d = x
 *   gates        c · x · g(x): Swish, HardSwish, Mish, Gelu in both forms
 *   attention    softmax(scale · Q · Kᵀ + mask) · V
 *
 * One pass over memory then does the work of up to nine. What lies inside such a pattern must
 * be read by nobody else. The new node stands where the last of the old ones stood.
 *
 * Sources: what torch.onnx, tf2onnx and Keras write. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/constants.h"
#include "nn/planner.h"

/* The most nodes that one pattern replaces, and factors of one product. */
enum { MAX_PARTS = 16, MAX_FACTORS = 4 };

struct recogniser {
    struct nn_planner *p;
    int *readers, *producer; /* nn_planner_edges */

    /* Of the pattern at hand: nodes inside it. */
    int parts[MAX_PARTS];
    int part_count;
    bool failed; /* no memory for a note of what was read */
};

/* The node that makes a value, when it is of that kind and single. */
static struct nn_plan_node *producer(const struct recogniser *r, int value,
                                     const struct nn_op *op)
{
    if (value == NN_VALUE_NONE || r->producer[value] < 0)
        return NULL;
    struct nn_plan_node *node = r->p->nodes[r->producer[value]];
    return node && node->op == op && node->activation == NN_ACTIVATION_NONE ? node : NULL;
}

/* The same, when only the pattern reads the value: the node becomes a part of the pattern. */
static struct nn_plan_node *part(struct recogniser *r, int value, const struct nn_op *op,
                                 int readers)
{
    struct nn_plan_node *node = producer(r, value, op);
    if (!node || r->readers[value] != readers || r->part_count == MAX_PARTS ||
        nn_plan_node_is_late(node, r->p->values))
        return NULL;
    r->parts[r->part_count++] = r->producer[value];
    return node;
}

static const struct nn_tensor *tensor(const struct recogniser *r, int value)
{
    return &r->p->values[value].tensor;
}

/* Whether a value is one constant float. */
static bool is_number(struct recogniser *r, int value, float *ret_number)
{
    if (value == NN_VALUE_NONE)
        return false;
    const struct nn_tensor *t = tensor(r, value);
    if (t->type != NN_TYPE_FLOAT || !t->data || nn_shape_count(&t->shape) != 1)
        return false;
    r->failed |= nn_constants_note_read(r->p->constants, t->data) < 0;
    *ret_number = *(const float *)t->data;
    return true;
}

/* As equal as numbers are that somebody wrote with seven digits. */
static bool near(double a, double b)
{
    return fabs(a - b) <= 2e-6 * fabs(b);
}

/* Of `node`'s two operands, the number; the other in *ret_other. */
static bool takes_number(struct recogniser *r, const struct nn_plan_node *node, int *ret_other,
                         float *ret_number)
{
    for (int i = 0; i < 2; i++) {
        if (is_number(r, node->inputs[i], ret_number)) {
            *ret_other = node->inputs[1 - i];
            return true;
        }
    }
    return false;
}

/* `value` = *ret_x + number, by a part. */
static bool is_sum(struct recogniser *r, int value, int *ret_x, float *ret_number)
{
    const struct nn_plan_node *add = part(r, value, &nn_op_add, 1);
    return add && takes_number(r, add, ret_x, ret_number);
}

/* `value` = *ret_x · number, by a part that multiplies or divides; itself · 1 otherwise. */
static void strip_factor(struct recogniser *r, int value, int readers, int *ret_x,
                         double *ret_factor)
{
    int parts = r->part_count;
    float number;
    *ret_x = value;
    *ret_factor = 1;
    const struct nn_plan_node *mul = part(r, value, &nn_op_mul, readers);
    if (mul && takes_number(r, mul, ret_x, &number)) {
        *ret_factor = number;
        return;
    }
    r->part_count = parts;
    const struct nn_plan_node *div = part(r, value, &nn_op_div, readers);
    if (div && is_number(r, div->inputs[1], &number)) {
        *ret_x = div->inputs[0];
        *ret_factor = 1 / (double)number;
        return;
    }
    r->part_count = parts;
}

/* x^exponent, by Pow or, for squares, x · x. */
static bool is_power(struct recogniser *r, int value, double exponent, int *ret_x)
{
    int parts = r->part_count;
    float number;
    const struct nn_plan_node *node = part(r, value, &nn_op_pow, 1);
    if (node && is_number(r, node->inputs[1], &number) && number == (float)exponent) {
        *ret_x = node->inputs[0];
        return true;
    }
    r->part_count = parts;
    node = part(r, value, &nn_op_mul, 1);
    if (!node)
        return false;
    for (int i = 0; i < 2; i++) {
        int x = node->inputs[i], rest = node->inputs[1 - i];
        if (exponent == 2 ? rest == x : is_power(r, rest, exponent - 1, ret_x) && *ret_x == x) {
            *ret_x = x;
            return true;
        }
        r->part_count = parts + 1;
    }
    return false;
}

/* New nodes. */

struct replacement {
    const struct nn_op *op;
    int inputs[4], input_count;
    struct nn_attribute attributes[3];
    int attribute_count;
};

static void set_int(struct replacement *n, const char *name, int64_t value)
{
    n->attributes[n->attribute_count++] =
        (struct nn_attribute){.name = name, .type = NN_ATTRIBUTE_INT, .i = value};
}

static void set_float(struct replacement *n, const char *name, float value)
{
    n->attributes[n->attribute_count++] =
        (struct nn_attribute){.name = name, .type = NN_ATTRIBUTE_FLOAT, .f = value};
}

/* A node of the plan with a node of the model's kind to read attributes from, both of which
 * live as long as the plan. It is called as `old` is. NULL: no memory. */
static struct nn_plan_node *make_node(struct nn_planner *p, const struct replacement *n,
                                      const struct nn_plan_node *old, int output)
{
    struct nn_plan_node *node = nn_pool_alloc(&p->scratch, sizeof *node);
    struct nn_node *written = nn_pool_alloc(p->pool, sizeof *written);
    struct nn_attribute *attributes = nn_pool_alloc(p->pool, sizeof n->attributes);
    int *edges = nn_pool_array(p->pool, (size_t)n->input_count + 1, sizeof *edges);
    if (!node || !written || !attributes || !edges)
        return NULL;
    memcpy(attributes, n->attributes, sizeof n->attributes);
    memcpy(edges, n->inputs, (size_t)n->input_count * sizeof *edges);
    edges[n->input_count] = output;
    *written = (struct nn_node){.name = old->node->name,
                                .op = n->op,
                                .input_count = n->input_count,
                                .output_count = 1,
                                .inputs = edges,
                                .outputs = edges + n->input_count,
                                .attribute_count = n->attribute_count,
                                .attributes = attributes};
    *node = (struct nn_plan_node){.op = n->op,
                                  .node = written,
                                  .input_count = n->input_count,
                                  .output_count = 1,
                                  .inputs = edges,
                                  .outputs = edges + n->input_count,
                                  .layer = old->layer};
    return node;
}

/* The node at `index` becomes the new one; the parts are gone. */
static int replace(struct recogniser *r, int index, const struct replacement *n)
{
    struct nn_planner *p = r->p;
    const struct nn_plan_node *last = p->nodes[index];
    struct nn_plan_node *node = make_node(p, n, last, last->outputs[0]);
    if (!node)
        return nn_planner_no_memory(p);
    for (int i = 0; i < r->part_count; i++) {
        nn_layers_merge(p, p->nodes[r->parts[i]], last);
        p->nodes[r->parts[i]] = NULL;
    }
    p->layers[last->layer].op = n->op->name;
    p->nodes[index] = node;
    return 0;
}

/* Layer and RMS norm. */

/* The first axis that a mean with dimensions kept was taken over, when it ran over all from
 * there on; -1 otherwise. An axis of extent 1 is as good as any: its mean is itself. */
static int mean_axis(const struct recogniser *r, int x, int mean)
{
    const struct nn_shape *from = &tensor(r, x)->shape, *to = &tensor(r, mean)->shape;
    int axis = -1;
    if (from->rank != to->rank)
        return -1;
    for (int d = from->rank - 1; d >= 0; d--) {
        if (to->dim[d] == 1 && (axis == d + 1 || d == from->rank - 1))
            axis = d;
        else if (to->dim[d] != from->dim[d])
            return -1;
    }
    return axis;
}

/* d of x - mean(x) along that axis, else d itself. */
static int strip_mean(struct recogniser *r, int d, int readers, int axis)
{
    int parts = r->part_count;
    const struct nn_plan_node *sub = part(r, d, &nn_op_sub, readers);
    const struct nn_plan_node *mean =
        sub ? part(r, sub->inputs[1], &nn_op_reduce_mean, 1) : NULL;
    if (mean && mean->inputs[0] == sub->inputs[0] &&
        mean_axis(r, sub->inputs[0], sub->inputs[1]) == axis)
        return sub->inputs[0];
    r->part_count = parts;
    return d;
}

/* The one node that reads `value`, behind `index`, when it is of that kind and its other
 * operand is a constant that changes no shape. Its index, and the constant; -1 when there is
 * none. */
static int constant_behind(const struct recogniser *r, int index, int value,
                           const struct nn_op *op, int *ret_constant)
{
    const struct nn_planner *p = r->p;
    for (int i = index + 1; i < p->node_count && r->readers[value] == 1; i++) {
        const struct nn_plan_node *node = p->nodes[i];
        for (int j = 0; node && j < node->input_count; j++) {
            if (node->inputs[j] != value)
                continue;
            if (node->op != op || nn_plan_node_is_late(node, p->values))
                return -1;
            *ret_constant = node->inputs[1 - j];
            return tensor(r, *ret_constant)->data &&
                           nn_shape_equal(&tensor(r, value)->shape,
                                          &tensor(r, node->outputs[0])->shape)
                       ? i
                       : -1;
        }
    }
    return -1;
}

/* Takes in the scale that follows, and for a layer norm the bias. Returns where
 * the last was. */
static int take_parameters(struct recogniser *r, int index, struct replacement *n)
{
    const struct nn_op *const ops[] = {&nn_op_mul, &nn_op_add};
    int wanted = n->op == &nn_op_layer_normalization ? 2 : 1;
    for (int i = 0; i < wanted && r->part_count < MAX_PARTS; i++) {
        int value = r->p->nodes[index]->outputs[0], constant;
        int next = constant_behind(r, index, value, ops[i], &constant);
        if (next < 0)
            break;
        n->inputs[n->input_count++] = constant;
        r->parts[r->part_count++] = index;
        index = next;
    }
    return index;
}

/* d / sqrt(mean(d²) + ε), or d times the reciprocal. */
static bool is_root(struct recogniser *r, const struct nn_plan_node *node, int *ret_d,
                    int *ret_sum)
{
    for (int i = 0; i < 2; i++) {
        r->part_count = 0;
        int root = node->inputs[1];
        *ret_d = node->inputs[0];
        if (node->op == &nn_op_mul) {
            const struct nn_plan_node *inverse = part(r, node->inputs[i], &nn_op_reciprocal, 1);
            *ret_d = node->inputs[1 - i];
            root = inverse ? inverse->inputs[0] : NN_VALUE_NONE;
        }
        const struct nn_plan_node *sqrt = part(r, root, &nn_op_sqrt, 1);
        if (sqrt) {
            *ret_sum = sqrt->inputs[0];
            return true;
        }
    }
    return false;
}

static int recognise_norm(struct recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    int d, sum, variance, squared;
    float epsilon;
    if ((node->op != &nn_op_div && node->op != &nn_op_mul) || !is_root(r, node, &d, &sum) ||
        !is_sum(r, sum, &variance, &epsilon))
        return 0;
    const struct nn_plan_node *mean = part(r, variance, &nn_op_reduce_mean, 1);
    if (!mean || !is_power(r, mean->inputs[0], 2, &squared) || squared != d ||
        tensor(r, d)->type != NN_TYPE_FLOAT ||
        !nn_shape_equal(&tensor(r, d)->shape, &tensor(r, node->outputs[0])->shape))
        return 0;
    int axis = mean_axis(r, d, variance);
    if (axis < 0)
        return 0;
    bool twice = producer(r, mean->inputs[0], &nn_op_mul) != NULL; /* d · d reads d twice */
    int x = strip_mean(r, d, twice ? 3 : 2, axis);
    struct replacement n = {.op =
                                x == d ? &nn_op_rms_normalization : &nn_op_layer_normalization,
                            .inputs = {x},
                            .input_count = 1};
    set_int(&n, "axis", axis);
    set_float(&n, "epsilon", epsilon);
    return replace(r, take_parameters(r, index, &n), &n);
}

/* Gates: c · x · g(x). */

struct product {
    int factors[MAX_FACTORS], count;
    double coefficient;
};

/* The factors of a node that multiplies or divides, and of such nodes before it. */
static bool collect(struct recogniser *r, const struct nn_plan_node *node, struct product *f)
{
    for (int i = 0; i < 2; i++) {
        float number;
        int value = node->inputs[i], parts = r->part_count;
        if (node->op == &nn_op_div && is_number(r, value, &number) != (i == 1))
            return false;
        if (is_number(r, value, &number)) {
            f->coefficient *= node->op == &nn_op_mul ? number : 1 / (double)number;
            continue;
        }
        const struct nn_plan_node *before = part(r, value, &nn_op_mul, 1);
        if (!before) {
            r->part_count = parts;
            before = part(r, value, &nn_op_div, 1);
            float divisor;
            if (before && !is_number(r, before->inputs[1], &divisor))
                before = NULL;
        }
        if (before) {
            if (!collect(r, before, f))
                return false;
            continue;
        }
        r->part_count = parts;
        if (f->count == MAX_FACTORS)
            return false;
        f->factors[f->count++] = value;
    }
    return true;
}

/* `value` = f(x), by a part. */
static const struct nn_plan_node *is_function(struct recogniser *r, int value, int x,
                                              const struct nn_op *op)
{
    const struct nn_plan_node *node = part(r, value, op, 1);
    return node && (x == NN_VALUE_NONE || node->inputs[0] == x) ? node : NULL;
}

static bool is_sigmoid(struct recogniser *r, int gate, int x)
{
    return is_function(r, gate, x, &nn_op_sigmoid) != NULL;
}

static bool is_hard_sigmoid(struct recogniser *r, int gate, int x)
{
    float alpha, beta;
    const struct nn_plan_node *node = is_function(r, gate, x, &nn_op_hard_sigmoid);
    if (!node)
        return false;
    nn_activation_of(node->op, node->node, &alpha, &beta);
    return near(alpha, 1.0 / 6) && near(beta, 0.5);
}

/* clip(x + 3, 0, 6) */
static bool is_clipped_sum(struct recogniser *r, int gate, int x)
{
    float low, high, three;
    int from;
    const struct nn_plan_node *node = is_function(r, gate, NN_VALUE_NONE, &nn_op_clip);
    if (!node)
        return false;
    nn_activation_of(node->op, node->node, &low, &high);
    if ((node->input_count > 1 && !is_number(r, node->inputs[1], &low)) ||
        (node->input_count > 2 && !is_number(r, node->inputs[2], &high)))
        return false;
    return low == 0 && high == 6 && is_sum(r, node->inputs[0], &from, &three) && three == 3 &&
           from == x;
}

static bool is_tanh_of_softplus(struct recogniser *r, int gate, int x)
{
    const struct nn_plan_node *tanh = is_function(r, gate, NN_VALUE_NONE, &nn_op_tanh);
    return tanh && is_function(r, tanh->inputs[0], x, &nn_op_softplus);
}

/* 1 + erf(x / sqrt(2)) */
static bool is_erf_gate(struct recogniser *r, int gate, int x)
{
    int inner, from;
    float one;
    double factor;
    if (!is_sum(r, gate, &inner, &one) || one != 1)
        return false;
    const struct nn_plan_node *erf = is_function(r, inner, NN_VALUE_NONE, &nn_op_erf);
    if (!erf)
        return false;
    strip_factor(r, erf->inputs[0], 1, &from, &factor);
    return from == x && near(factor, 0.70710678118654752);
}

/* 1 + tanh(sqrt(2/π) · (x + 0.044715 · x³)) */
static bool is_tanh_gate(struct recogniser *r, int gate, int x)
{
    int inner, sum, cube, from;
    float one;
    double factor;
    if (!is_sum(r, gate, &inner, &one) || one != 1)
        return false;
    const struct nn_plan_node *tanh = is_function(r, inner, NN_VALUE_NONE, &nn_op_tanh);
    if (!tanh)
        return false;
    strip_factor(r, tanh->inputs[0], 1, &sum, &factor);
    const struct nn_plan_node *add = part(r, sum, &nn_op_add, 1);
    if (!add || !near(factor, 0.79788456080286536) ||
        (add->inputs[0] != x && add->inputs[1] != x))
        return false;
    strip_factor(r, add->inputs[add->inputs[0] == x], 1, &cube, &factor);
    return near(factor, 0.044715) && is_power(r, cube, 3, &from) && from == x;
}

static const struct gate {
    bool (*matches)(struct recogniser *r, int gate, int x);
    double coefficient;
    const struct nn_op *op;
    const char *approximate; /* of Gelu */
} gates[] = {
    {is_sigmoid, 1, &nn_op_swish, NULL},
    {is_hard_sigmoid, 1, &nn_op_hard_swish, NULL},
    {is_clipped_sum, 1.0 / 6, &nn_op_hard_swish, NULL},
    {is_tanh_of_softplus, 1, &nn_op_mish, NULL},
    {is_erf_gate, 0.5, &nn_op_gelu, NULL},
    {is_tanh_gate, 0.5, &nn_op_gelu, "tanh"},
};

static int recognise_gate(struct recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    struct product f = {.coefficient = 1};
    r->part_count = 0;
    if ((node->op != &nn_op_mul && node->op != &nn_op_div) || !collect(r, node, &f) ||
        f.count != 2)
        return 0;
    const struct nn_tensor *out = tensor(r, node->outputs[0]);
    int parts = r->part_count;
    for (size_t i = 0; i < 2 * sizeof gates / sizeof gates[0]; i++) {
        const struct gate *g = &gates[i / 2];
        int x = f.factors[i % 2];
        r->part_count = parts;
        if (!near(f.coefficient, g->coefficient) || tensor(r, x)->type != NN_TYPE_FLOAT ||
            !nn_shape_equal(&tensor(r, x)->shape, &out->shape) ||
            !g->matches(r, f.factors[1 - i % 2], x))
            continue;
        struct replacement n = {.op = g->op, .inputs = {x}, .input_count = 1};
        if (g->approximate)
            n.attributes[n.attribute_count++] = (struct nn_attribute){
                .name = "approximate", .type = NN_ATTRIBUTE_STRING, .s = g->approximate};
        return replace(r, index, &n);
    }
    return 0;
}

/* Attention. */

struct attention {
    int q, k, v, mask; /* mask: NN_VALUE_NONE without one */
    int transpose;     /* of the keys, which must bring the heads to the front still; -1 */
    double scale;
};

static bool has_perm(const struct nn_plan_node *node, int count, const int64_t *wanted)
{
    const struct nn_attribute *perm = nn_node_attribute(node->node, "perm");
    return perm && perm->count == count &&
           memcmp(perm->ints, wanted, (size_t)count * sizeof *wanted) == 0;
}

/* Keys as rows: what the Transpose that made columns of them read. */
static bool is_transposed(struct recogniser *r, int columns, struct attention *a)
{
    static const int64_t three[] = {0, 2, 1}, four[] = {0, 1, 3, 2},
                         with_heads[] = {0, 2, 3, 1};
    const struct nn_plan_node *node = part(r, columns, &nn_op_transpose, 1);
    if (!node)
        return false;
    a->k = node->inputs[0];
    a->transpose = -1;
    if (has_perm(node, 3, three) || has_perm(node, 4, four))
        return true;
    a->transpose = r->parts[--r->part_count];
    return has_perm(node, 4, with_heads);
}

/* scale · Q · Kᵀ, with the scale on any of the three. */
static bool is_scores(struct recogniser *r, int value, struct attention *a)
{
    double on_q, on_k;
    int product, columns;
    strip_factor(r, value, 1, &product, &a->scale);
    const struct nn_plan_node *node = part(r, product, &nn_op_matmul, 1);
    if (!node)
        return false;
    strip_factor(r, node->inputs[0], 1, &a->q, &on_q);
    strip_factor(r, node->inputs[1], 1, &columns, &on_k);
    a->scale *= on_q * on_k;
    return is_transposed(r, columns, a);
}

/* The scores, masked or not. */
static bool is_masked(struct recogniser *r, int value, struct attention *a)
{
    int parts = r->part_count;
    const struct nn_plan_node *add = part(r, value, &nn_op_add, 1);
    for (int i = 0; add && i < 2; i++) {
        a->mask = add->inputs[1 - i];
        r->part_count = parts + 1;
        if (is_scores(r, add->inputs[i], a))
            return true;
    }
    r->part_count = parts;
    a->mask = NN_VALUE_NONE;
    return is_scores(r, value, a);
}

static bool is_last_axis(const struct recogniser *r, const struct nn_plan_node *softmax)
{
    int rank = tensor(r, softmax->inputs[0])->shape.rank;
    int64_t wanted = nn_node_int(softmax->node, "axis", r->p->model->opset < 13 ? 1 : -1);
    return wanted == -1 || wanted == rank - 1;
}

/* What the operator takes: one batch and as many heads everywhere, and a mask of all keys that
 * adds neither queries nor keys. With three dimensions the batch is of heads. */
static bool fits(const struct recogniser *r, const struct attention *a, int scores)
{
    const struct nn_shape *s = &tensor(r, scores)->shape;
    const struct nn_shape *q = &tensor(r, a->q)->shape, *v = &tensor(r, a->v)->shape;
    const struct nn_tensor *k = tensor(r, a->k);
    int rank = s->rank;
    if ((rank != 3 && rank != 4) || q->rank != rank || v->rank != rank ||
        k->shape.rank != rank || tensor(r, a->v)->type != NN_TYPE_FLOAT || k->late ||
        tensor(r, a->v)->late)
        return false;
    int k_heads = a->transpose >= 0 ? 2 : 1, k_rows = a->transpose >= 0 ? 1 : rank - 2;
    for (int d = 0; d < rank - 2; d++)
        if (q->dim[d] != s->dim[d] || v->dim[d] != s->dim[d] ||
            k->shape.dim[d == 1 ? k_heads : d] != s->dim[d])
            return false;
    if (q->dim[rank - 2] != s->dim[rank - 2] || k->shape.dim[k_rows] != s->dim[rank - 1])
        return false;
    if (s->dim[rank - 1] < 1 || q->dim[rank - 1] < 1 || v->dim[rank - 1] < 1)
        return false;
    if (a->mask == NN_VALUE_NONE)
        return true;
    const struct nn_tensor *mask = tensor(r, a->mask);
    int own = mask->shape.rank;
    return mask->type == NN_TYPE_FLOAT && !mask->late && own >= 1 &&
           own <= rank - (rank == 3) && mask->shape.dim[own - 1] == s->dim[rank - 1];
}

/* The Transpose of the keys brings the heads to the front and leaves rows as they are. */
static int turn_keys(struct recogniser *r, struct attention *a)
{
    static const int64_t front[] = {0, 2, 1, 3};
    struct nn_planner *p = r->p;
    const struct nn_plan_node *old = p->nodes[a->transpose];
    struct nn_tensor keys = *tensor(r, a->k);
    keys.shape.dim[1] = tensor(r, a->k)->shape.dim[2];
    keys.shape.dim[2] = tensor(r, a->k)->shape.dim[1];
    int value = nn_planner_add_value(p, &keys);
    if (value == NN_VALUE_NONE)
        return nn_planner_no_memory(p);
    struct replacement n = {.op = &nn_op_transpose, .inputs = {a->k}, .input_count = 1};
    n.attributes[n.attribute_count++] = (struct nn_attribute){
        .name = "perm", .type = NN_ATTRIBUTE_INTS, .count = 4, .ints = front};
    struct nn_plan_node *node = make_node(p, &n, old, value);
    if (!node)
        return nn_planner_no_memory(p);
    p->nodes[a->transpose] = node;
    a->k = value;
    return 0;
}

static int recognise_attention(struct recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    struct attention a;
    r->part_count = 0;
    if (node->op != &nn_op_matmul)
        return 0;
    const struct nn_plan_node *softmax = part(r, node->inputs[0], &nn_op_softmax, 1);
    a.v = node->inputs[1];
    if (!softmax || !is_last_axis(r, softmax) || !is_masked(r, softmax->inputs[0], &a) ||
        !fits(r, &a, softmax->inputs[0]) || r->p->value_count == r->p->value_capacity)
        return 0;
    int error = a.transpose >= 0 ? turn_keys(r, &a) : 0;
    if (error < 0)
        return error;
    struct replacement n = {.op = &nn_op_attention,
                            .inputs = {a.q, a.k, a.v, a.mask},
                            .input_count = a.mask == NN_VALUE_NONE ? 3 : 4};
    set_float(&n, "scale", (float)a.scale);
    if (tensor(r, a.q)->shape.rank == 3) {
        set_int(&n, "q_num_heads", 1);
        set_int(&n, "kv_num_heads", 1);
    }
    return replace(r, index, &n);
}

static int recognise_all(struct recogniser *r)
{
    static int (*const patterns[])(struct recogniser *, int) = {recognise_attention,
                                                                recognise_norm, recognise_gate};
    struct nn_planner *p = r->p;
    nn_planner_edges(p, r->readers, r->producer);
    for (int i = 0; i < p->node_count; i++) {
        for (size_t j = 0; j < sizeof patterns / sizeof patterns[0]; j++) {
            const struct nn_plan_node *node = p->nodes[i];
            int error = node && !nn_plan_node_is_late(node, p->values) ? patterns[j](r, i) : 0;
            if (error < 0)
                return error;
            if (p->nodes[i] != node)
                break; /* taken: what stands here now is the operator */
        }
    }
    nn_planner_compact(p);
    return r->failed ? nn_planner_no_memory(p) : 0;
}

int nn_recognise(struct nn_planner *p)
{
    /* Arithmetic of older opsets aligns its operands in another way. */
    if (p->model->opset < 7)
        return 0;
    struct recogniser r = {.p = p};
    r.readers = calloc((size_t)p->value_capacity + 1, sizeof *r.readers);
    r.producer = calloc((size_t)p->value_capacity + 1, sizeof *r.producer);
    int error = r.readers && r.producer ? recognise_all(&r) : nn_planner_no_memory(p);
    free(r.readers);
    free(r.producer);
    return error;
}
