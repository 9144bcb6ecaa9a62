/* Finds in the graph what exporters take apart, because the opset they write for has no
 * operator for it, and puts the operator back:
 *
 *   layer norm   d / sqrt(mean(d²) + ε), d = x - mean(x), then · scale + bias
 *   RMS norm     the same with d = x
 *   gates        c · x · g(x): Swish, HardSwish, Mish, Gelu in both forms
 *   attention    softmax(scale · Q · Kᵀ + mask) · V (recognise_attention.c)
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
#include "nn/recognise.h"

/* The most factors of one product. */
enum { MAX_FACTORS = 4 };

/* The node that makes a value, when it is of that kind and single. */
static struct nn_plan_node *producer(const struct nn_recogniser *r, int value,
                                     const struct nn_op *op)
{
    if (value == NN_VALUE_NONE || r->producer[value] < 0)
        return NULL;
    struct nn_plan_node *node = r->p->nodes[r->producer[value]];
    return node && node->op == op && node->activation == NN_ACTIVATION_NONE ? node : NULL;
}

struct nn_plan_node *nn_recognise_part(struct nn_recogniser *r, int value,
                                       const struct nn_op *op, int readers)
{
    struct nn_plan_node *node = producer(r, value, op);
    if (!node || r->readers[value] != readers || r->part_count == NN_RECOGNISE_PARTS ||
        nn_plan_node_is_late(node, r->p->values))
        return NULL;
    r->parts[r->part_count++] = r->producer[value];
    return node;
}

/* Whether a value is one constant float. */
static bool is_number(struct nn_recogniser *r, int value, float *ret_number)
{
    if (value == NN_VALUE_NONE)
        return false;
    const struct nn_tensor *t = nn_recognise_tensor(r, value);
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
static bool takes_number(struct nn_recogniser *r, const struct nn_plan_node *node,
                         int *ret_other, float *ret_number)
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
static bool is_sum(struct nn_recogniser *r, int value, int *ret_x, float *ret_number)
{
    const struct nn_plan_node *add = nn_recognise_part(r, value, &nn_op_add, 1);
    return add && takes_number(r, add, ret_x, ret_number);
}

void nn_recognise_factor(struct nn_recogniser *r, int value, int readers, int *ret_x,
                         double *ret_factor)
{
    int parts = r->part_count;
    float number;
    *ret_x = value;
    *ret_factor = 1;
    const struct nn_plan_node *mul = nn_recognise_part(r, value, &nn_op_mul, readers);
    if (mul && takes_number(r, mul, ret_x, &number)) {
        *ret_factor = number;
        return;
    }
    r->part_count = parts;
    const struct nn_plan_node *div = nn_recognise_part(r, value, &nn_op_div, readers);
    if (div && is_number(r, div->inputs[1], &number)) {
        *ret_x = div->inputs[0];
        *ret_factor = 1 / (double)number;
        return;
    }
    r->part_count = parts;
}

/* x^exponent, by Pow or, for squares, x · x. */
static bool is_power(struct nn_recogniser *r, int value, double exponent, int *ret_x)
{
    int parts = r->part_count;
    float number;
    const struct nn_plan_node *node = nn_recognise_part(r, value, &nn_op_pow, 1);
    if (node && is_number(r, node->inputs[1], &number) && number == (float)exponent) {
        *ret_x = node->inputs[0];
        return true;
    }
    r->part_count = parts;
    node = nn_recognise_part(r, value, &nn_op_mul, 1);
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

void nn_replacement_int(struct nn_replacement *n, const char *name, int64_t value)
{
    n->attributes[n->attribute_count++] =
        (struct nn_attribute){.name = name, .type = NN_ATTRIBUTE_INT, .i = value};
}

void nn_replacement_float(struct nn_replacement *n, const char *name, float value)
{
    n->attributes[n->attribute_count++] =
        (struct nn_attribute){.name = name, .type = NN_ATTRIBUTE_FLOAT, .f = value};
}

struct nn_plan_node *nn_recognise_node(struct nn_planner *p, const struct nn_replacement *n,
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

int nn_recognise_replace(struct nn_recogniser *r, int index, const struct nn_replacement *n)
{
    struct nn_planner *p = r->p;
    const struct nn_plan_node *last = p->nodes[index];
    struct nn_plan_node *node = nn_recognise_node(p, n, last, last->outputs[0]);
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
static int mean_axis(const struct nn_recogniser *r, int x, int mean)
{
    const struct nn_shape *from = &nn_recognise_tensor(r, x)->shape,
                          *to = &nn_recognise_tensor(r, mean)->shape;
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
static int strip_mean(struct nn_recogniser *r, int d, int readers, int axis)
{
    int parts = r->part_count;
    const struct nn_plan_node *sub = nn_recognise_part(r, d, &nn_op_sub, readers);
    const struct nn_plan_node *mean =
        sub ? nn_recognise_part(r, sub->inputs[1], &nn_op_reduce_mean, 1) : NULL;
    if (mean && mean->inputs[0] == sub->inputs[0] &&
        mean_axis(r, sub->inputs[0], sub->inputs[1]) == axis)
        return sub->inputs[0];
    r->part_count = parts;
    return d;
}

/* The one node that reads `value`, behind `index`, when it is of that kind and its other
 * operand is a constant that changes no shape. Its index, and the constant; -1 when there is
 * none. */
static int constant_behind(const struct nn_recogniser *r, int index, int value,
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
            return nn_recognise_tensor(r, *ret_constant)->data &&
                           nn_shape_equal(&nn_recognise_tensor(r, value)->shape,
                                          &nn_recognise_tensor(r, node->outputs[0])->shape)
                       ? i
                       : -1;
        }
    }
    return -1;
}

/* Takes in the scale that follows, and for a layer norm the bias. Returns where
 * the last was. */
static int take_parameters(struct nn_recogniser *r, int index, struct nn_replacement *n)
{
    const struct nn_op *const ops[] = {&nn_op_mul, &nn_op_add};
    int wanted = n->op == &nn_op_layer_normalization ? 2 : 1;
    for (int i = 0; i < wanted && r->part_count < NN_RECOGNISE_PARTS; i++) {
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
static bool is_root(struct nn_recogniser *r, const struct nn_plan_node *node, int *ret_d,
                    int *ret_sum)
{
    for (int i = 0; i < 2; i++) {
        r->part_count = 0;
        int root = node->inputs[1];
        *ret_d = node->inputs[0];
        if (node->op == &nn_op_mul) {
            const struct nn_plan_node *inverse =
                nn_recognise_part(r, node->inputs[i], &nn_op_reciprocal, 1);
            *ret_d = node->inputs[1 - i];
            root = inverse ? inverse->inputs[0] : NN_VALUE_NONE;
        }
        const struct nn_plan_node *sqrt = nn_recognise_part(r, root, &nn_op_sqrt, 1);
        if (sqrt) {
            *ret_sum = sqrt->inputs[0];
            return true;
        }
    }
    return false;
}

static int recognise_norm(struct nn_recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    int d, sum, variance, squared;
    float epsilon;
    if ((node->op != &nn_op_div && node->op != &nn_op_mul) || !is_root(r, node, &d, &sum) ||
        !is_sum(r, sum, &variance, &epsilon))
        return 0;
    const struct nn_plan_node *mean = nn_recognise_part(r, variance, &nn_op_reduce_mean, 1);
    if (!mean || !is_power(r, mean->inputs[0], 2, &squared) || squared != d ||
        nn_recognise_tensor(r, d)->type != NN_TYPE_FLOAT ||
        !nn_shape_equal(&nn_recognise_tensor(r, d)->shape,
                        &nn_recognise_tensor(r, node->outputs[0])->shape))
        return 0;
    int axis = mean_axis(r, d, variance);
    if (axis < 0)
        return 0;
    bool twice = producer(r, mean->inputs[0], &nn_op_mul) != NULL; /* d · d reads d twice */
    int x = strip_mean(r, d, twice ? 3 : 2, axis);
    struct nn_replacement n = {.op = x == d ? &nn_op_rms_normalization
                                            : &nn_op_layer_normalization,
                               .inputs = {x},
                               .input_count = 1};
    nn_replacement_int(&n, "axis", axis);
    nn_replacement_float(&n, "epsilon", epsilon);
    return nn_recognise_replace(r, take_parameters(r, index, &n), &n);
}

/* Gates: c · x · g(x). */

struct product {
    int factors[MAX_FACTORS], count;
    double coefficient;
};

/* The factors of a node that multiplies or divides, and of such nodes before it. */
static bool collect(struct nn_recogniser *r, const struct nn_plan_node *node, struct product *f)
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
        const struct nn_plan_node *before = nn_recognise_part(r, value, &nn_op_mul, 1);
        if (!before) {
            r->part_count = parts;
            before = nn_recognise_part(r, value, &nn_op_div, 1);
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
static const struct nn_plan_node *is_function(struct nn_recogniser *r, int value, int x,
                                              const struct nn_op *op)
{
    const struct nn_plan_node *node = nn_recognise_part(r, value, op, 1);
    return node && (x == NN_VALUE_NONE || node->inputs[0] == x) ? node : NULL;
}

static bool is_sigmoid(struct nn_recogniser *r, int gate, int x)
{
    return is_function(r, gate, x, &nn_op_sigmoid) != NULL;
}

static bool is_hard_sigmoid(struct nn_recogniser *r, int gate, int x)
{
    float alpha, beta;
    const struct nn_plan_node *node = is_function(r, gate, x, &nn_op_hard_sigmoid);
    if (!node)
        return false;
    nn_activation_of(node->op, node->node, &alpha, &beta);
    return near(alpha, 1.0 / 6) && near(beta, 0.5);
}

/* clip(x + 3, 0, 6) */
static bool is_clipped_sum(struct nn_recogniser *r, int gate, int x)
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

static bool is_tanh_of_softplus(struct nn_recogniser *r, int gate, int x)
{
    const struct nn_plan_node *tanh = is_function(r, gate, NN_VALUE_NONE, &nn_op_tanh);
    return tanh && is_function(r, tanh->inputs[0], x, &nn_op_softplus);
}

/* 1 + erf(x / sqrt(2)) */
static bool is_erf_gate(struct nn_recogniser *r, int gate, int x)
{
    int inner, from;
    float one;
    double factor;
    if (!is_sum(r, gate, &inner, &one) || one != 1)
        return false;
    const struct nn_plan_node *erf = is_function(r, inner, NN_VALUE_NONE, &nn_op_erf);
    if (!erf)
        return false;
    nn_recognise_factor(r, erf->inputs[0], 1, &from, &factor);
    return from == x && near(factor, 0.70710678118654752);
}

/* 1 + tanh(sqrt(2/π) · (x + 0.044715 · x³)) */
static bool is_tanh_gate(struct nn_recogniser *r, int gate, int x)
{
    int inner, sum, cube, from;
    float one;
    double factor;
    if (!is_sum(r, gate, &inner, &one) || one != 1)
        return false;
    const struct nn_plan_node *tanh = is_function(r, inner, NN_VALUE_NONE, &nn_op_tanh);
    if (!tanh)
        return false;
    nn_recognise_factor(r, tanh->inputs[0], 1, &sum, &factor);
    const struct nn_plan_node *add = nn_recognise_part(r, sum, &nn_op_add, 1);
    if (!add || !near(factor, 0.79788456080286536) ||
        (add->inputs[0] != x && add->inputs[1] != x))
        return false;
    nn_recognise_factor(r, add->inputs[add->inputs[0] == x], 1, &cube, &factor);
    return near(factor, 0.044715) && is_power(r, cube, 3, &from) && from == x;
}

static const struct gate {
    bool (*matches)(struct nn_recogniser *r, int gate, int x);
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

static int recognise_gate(struct nn_recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    struct product f = {.coefficient = 1};
    r->part_count = 0;
    if ((node->op != &nn_op_mul && node->op != &nn_op_div) || !collect(r, node, &f) ||
        f.count != 2)
        return 0;
    const struct nn_tensor *out = nn_recognise_tensor(r, node->outputs[0]);
    int parts = r->part_count;
    for (size_t i = 0; i < 2 * sizeof gates / sizeof gates[0]; i++) {
        const struct gate *g = &gates[i / 2];
        int x = f.factors[i % 2];
        r->part_count = parts;
        if (!near(f.coefficient, g->coefficient) ||
            nn_recognise_tensor(r, x)->type != NN_TYPE_FLOAT ||
            !nn_shape_equal(&nn_recognise_tensor(r, x)->shape, &out->shape) ||
            !g->matches(r, f.factors[1 - i % 2], x))
            continue;
        struct nn_replacement n = {.op = g->op, .inputs = {x}, .input_count = 1};
        if (g->approximate)
            n.attributes[n.attribute_count++] = (struct nn_attribute){
                .name = "approximate", .type = NN_ATTRIBUTE_STRING, .s = g->approximate};
        return nn_recognise_replace(r, index, &n);
    }
    return 0;
}

static int recognise_all(struct nn_recogniser *r)
{
    static int (*const patterns[])(struct nn_recogniser *, int) = {
        nn_recognise_attention, recognise_norm, recognise_gate};
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
    struct nn_recogniser r = {.p = p};
    r.readers = calloc((size_t)p->value_capacity + 1, sizeof *r.readers);
    r.producer = calloc((size_t)p->value_capacity + 1, sizeof *r.producer);
    int error = r.readers && r.producer ? recognise_all(&r) : nn_planner_no_memory(p);
    free(r.readers);
    free(r.producer);
    return error;
}
