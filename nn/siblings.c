/* Convolutions that read one value by equal windows become one, of all their channels, where
 * that fills tiles which each of them leaves half empty: the heads of a detector have 1, 4 and
 * 10 channels. A Split hands each reader its range of channels; with one image that is a place
 * (NN_OP_PARTS), and nothing is copied. */
#include <string.h>

#include "nn/constants.h"
#include "nn/kernels/kernels.h"
#include "nn/planner.h"

/* The most convolutions of one, and how many nodes may lie between the first and the last: more
 * than the heads of any detector, and no square of the number of nodes to go through. */
enum { MOST = 16, REACH = 256 };

struct siblings {
    int index[MOST]; /* of their nodes, in order */
    int count;
    int64_t channels; /* of all */
};

static const struct nn_tensor *weight_of(const struct nn_planner *p,
                                         const struct nn_plan_node *conv)
{
    return &p->values[conv->inputs[1]].tensor;
}

static const struct nn_tensor *bias_of(const struct nn_planner *p,
                                       const struct nn_plan_node *conv)
{
    bool has = conv->input_count > 2 && conv->inputs[2] != NN_VALUE_NONE;
    return has ? &p->values[conv->inputs[2]].tensor : NULL;
}

/* Whether a convolution may have siblings at all: one image for each run of it, all channels in
 * one group, constant weights, and neither pooling nor a residual. */
static bool may_merge(const struct nn_planner *p, const struct nn_plan_node *node)
{
    if (node->op != &nn_op_conv || node->pooled || node->input_count > 3 ||
        nn_plan_node_is_late(node, p->values))
        return false;
    const struct nn_shape *x = &p->values[node->inputs[0]].tensor.shape;
    const struct nn_tensor *w = weight_of(p, node), *b = bias_of(p, node);
    return (x->dim[0] == 1 || (p->frames > 0 && x->dim[0] == p->frames)) && w->data &&
           (!b || b->data) && w->shape.dim[1] == x->dim[1];
}

static bool attributes_equal(const struct nn_attribute *a, const struct nn_attribute *b)
{
    if (a->type != b->type || a->count != b->count)
        return false;
    switch (a->type) {
    case NN_ATTRIBUTE_INT:
        return a->i == b->i;
    case NN_ATTRIBUTE_STRING:
        return strcmp(a->s, b->s) == 0;
    case NN_ATTRIBUTE_INTS:
        return memcmp(a->ints, b->ints, (size_t)a->count * sizeof *a->ints) == 0;
    default: /* Conv has no others */
        return false;
    }
}

/* Whether two such convolutions do the same with other weights. */
static bool are_siblings(const struct nn_planner *p, const struct nn_plan_node *a,
                         const struct nn_plan_node *b)
{
    const struct nn_shape *v = &weight_of(p, a)->shape, *w = &weight_of(p, b)->shape;
    if (a->inputs[0] != b->inputs[0] || a->activation != b->activation ||
        a->node->attribute_count != b->node->attribute_count || v->rank != w->rank ||
        memcmp(v->dim + 1, w->dim + 1, (size_t)(v->rank - 1) * sizeof *v->dim) != 0)
        return false;
    if (a->activation != NN_ACTIVATION_NONE && (a->activation_alpha != b->activation_alpha ||
                                                a->activation_beta != b->activation_beta))
        return false;
    for (int i = 0; i < a->node->attribute_count; i++) {
        const struct nn_attribute *own = &a->node->attributes[i];
        const struct nn_attribute *other = nn_node_attribute(b->node, own->name);
        if (!other || !attributes_equal(own, other))
            return false;
    }
    return true;
}

/* Those of the node at `first`, as far as they fill tiles better together. */
static struct siblings find(const struct nn_planner *p, int first)
{
    struct siblings s = {.count = 0};
    const int64_t rows = (int64_t)p->kernels->tile_rows;
    int64_t panels = 0;
    for (int i = first; i < p->node_count && i - first < REACH && s.count < MOST; i++) {
        const struct nn_plan_node *node = p->nodes[i];
        if (!node || !may_merge(p, node) || !are_siblings(p, p->nodes[first], node))
            continue;
        int64_t channels = weight_of(p, node)->shape.dim[0];
        s.index[s.count++] = i;
        s.channels += channels;
        panels += (channels + rows - 1) / rows;
    }
    if ((s.channels + rows - 1) / rows >= panels)
        s.count = 0;
    return s;
}

/* All weights, or all biases, one behind the other; a bias that is not there is zero. */
static void join(const struct nn_planner *p, const struct siblings *s, bool biases, float *to)
{
    for (int i = 0; i < s->count; i++) {
        const struct nn_plan_node *node = p->nodes[s->index[i]];
        const struct nn_tensor *w = weight_of(p, node), *b = bias_of(p, node);
        size_t count = (size_t)(biases ? w->shape.dim[0] : nn_shape_count(&w->shape));
        const struct nn_tensor *from = biases ? b : w;
        if (from && count > 0)
            memcpy(to, from->data, count * sizeof *to);
        to += count;
    }
}

/* The convolution of all channels, instead of the first. Its weights are needed until they are
 * packed, which Conv always does with those of one group that makes several channels; its
 * biases are read by runs. */
static int make_conv(struct nn_planner *p, const struct siblings *s, int output)
{
    struct nn_plan_node *conv = p->nodes[s->index[0]];
    struct nn_tensor w = *weight_of(p, conv);
    struct nn_tensor b = {.type = NN_TYPE_FLOAT, .shape = {.rank = 1, .dim = {s->channels}}};
    w.shape.dim[0] = s->channels;
    bool fill_b;
    w.data = nn_pool_alloc(&p->scratch, nn_tensor_bytes(&w));
    b.data = nn_constants_take(p->constants, conv->node, NN_SLOT_FUSED_BIAS,
                               nn_tensor_bytes(&b), true, &fill_b);
    int *edges = nn_pool_array(&p->scratch, 4, sizeof *edges);
    if (!w.data || !b.data || !edges)
        return nn_planner_no_memory(p);
    join(p, s, false, w.data);
    if (fill_b)
        join(p, s, true, b.data);
    edges[0] = conv->inputs[0];
    edges[1] = nn_planner_add_constant(p, &w);
    edges[2] = nn_planner_add_constant(p, &b);
    edges[3] = output;
    conv->inputs = edges;
    conv->input_count = 3;
    conv->outputs = edges + 3;
    return 0;
}

/* The Split of `input` into what each of them made. Since opset 13 its list is an input. */
static struct nn_plan_node *make_split(struct nn_planner *p, const struct siblings *s,
                                       int input)
{
    struct nn_plan_node *split = nn_pool_alloc(&p->scratch, sizeof *split);
    struct nn_node *written = nn_pool_alloc(p->pool, sizeof *written);
    struct nn_attribute *attributes = nn_pool_array(p->pool, 2, sizeof *attributes);
    int64_t *channels = nn_pool_array(p->pool, (size_t)s->count, sizeof *channels);
    int *edges = nn_pool_array(p->pool, (size_t)s->count + 2, sizeof *edges);
    if (!split || !written || !attributes || !channels || !edges)
        return NULL;
    bool listed = p->model->opset >= 13;
    const struct nn_tensor list = {
        .type = NN_TYPE_INT64, .shape = {.rank = 1, .dim = {s->count}}, .data = channels};
    edges[0] = input;
    edges[1] = listed ? nn_planner_add_constant(p, &list) : NN_VALUE_NONE;
    for (int i = 0; i < s->count; i++) {
        const struct nn_plan_node *node = p->nodes[s->index[i]];
        channels[i] = weight_of(p, node)->shape.dim[0];
        edges[2 + i] = node->outputs[0];
    }
    attributes[0] = (struct nn_attribute){.name = "axis", .type = NN_ATTRIBUTE_INT, .i = 1};
    attributes[1] = (struct nn_attribute){
        .name = "split", .type = NN_ATTRIBUTE_INTS, .count = s->count, .ints = channels};
    *written = *p->nodes[s->index[0]]->node;
    written->op = &nn_op_split;
    written->input_count = listed ? 2 : 1;
    written->output_count = s->count;
    written->inputs = edges;
    written->outputs = edges + 2;
    written->attribute_count = listed ? 1 : 2;
    written->attributes = attributes;
    *split = (struct nn_plan_node){.op = &nn_op_split,
                                   .node = written,
                                   .input_count = written->input_count,
                                   .output_count = s->count,
                                   .inputs = edges,
                                   .outputs = edges + 2,
                                   .layer = -1};
    return split;
}

/* The Split stands right behind the convolution: the place of the second one is its, those
 * between move by one. */
static int merge(struct nn_planner *p, const struct siblings *s)
{
    struct nn_plan_node *first = p->nodes[s->index[0]];
    struct nn_tensor all = p->values[first->outputs[0]].tensor;
    all.shape.dim[1] = s->channels;
    int r = nn_planner_reserve(p, 4);
    int output = r == 0 ? nn_planner_add_value(p, &all) : NN_VALUE_NONE;
    struct nn_plan_node *split = r == 0 ? make_split(p, s, output) : NULL;
    if (!split)
        return r < 0 ? r : nn_planner_no_memory(p);
    r = make_conv(p, s, output);
    if (r < 0)
        return r;
    for (int i = 1; i < s->count; i++) {
        nn_layers_merge(p, p->nodes[s->index[i]], first);
        p->nodes[s->index[i]] = NULL;
    }
    int at = s->index[0] + 1;
    memmove(p->nodes + at + 1, p->nodes + at, (size_t)(s->index[1] - at) * sizeof *p->nodes);
    p->nodes[at] = split;
    return 0;
}

int nn_siblings_merge(struct nn_planner *p)
{
    for (int i = 0; i < p->node_count; i++) {
        if (!p->nodes[i] || !may_merge(p, p->nodes[i]))
            continue;
        struct siblings s = find(p, i);
        int r = s.count > 1 ? merge(p, &s) : 0;
        if (r < 0)
            return r;
    }
    nn_planner_compact(p);
    return 0;
}
