/* Integers of 8 bits where a model says that they are enough: quantised models are written with
 * operators on floats between DequantizeLinear and QuantizeLinear (Q and DQ below).
 *
 *   moves      what only moves numbers, or takes the greatest, does so with bytes: a DQ before
 *              it becomes a DQ behind it. A Q that meets a DQ of the same scale undoes it: both
 *              go.
 *   products   DQ → Conv, Gemm or MatMul (→ activation) → Q is one step with integers. Without
 *              the Q its result is floats.
 *   tables     a function of one element between DQ and Q has 256 results; so has a Q that meets
 *              a DQ of another scale
 *   sums       DQ → Add (→ ReLU or Clip) → Q
 *
 * A result differs from that of the graph as written by at most one step: float32 sums are
 * rounded there, and here are none. The reference kernels run the graph as written. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/constants.h"
#include "nn/planner.h"

struct rewriter {
    struct nn_planner *p;
    int *readers, *producer; /* nn_planner_edges */
    int *reader;             /* of each value, the node that reads it last */
};

/* What a byte stands for: (byte - zero) · scale, everywhere alike. */
struct step {
    enum nn_type type;
    float scale;
    int zero;
};

/* --- what is there ------------------------------------------------------------------------ */

static const struct nn_tensor *tensor_of(const struct nn_planner *p, int value)
{
    return value == NN_VALUE_NONE ? NULL : &p->values[value].tensor;
}

static int input_of(const struct nn_plan_node *node, int index)
{
    return index < node->input_count ? node->inputs[index] : NN_VALUE_NONE;
}

/* Whether constants say what the bytes of a Q or DQ stand for, one by one or all alike (not by
 * blocks), and nothing between them and float32 is rounded. */
static bool is_plain(const struct nn_planner *p, const struct nn_plan_node *node,
                     const struct nn_tensor *bytes)
{
    const struct nn_tensor *zero = tensor_of(p, input_of(node, 2));
    return nn_type_is_byte(bytes->type) && tensor_of(p, node->inputs[1])->data &&
           (!zero || zero->data) && nn_node_int(node->node, "block_size", 0) == 0 &&
           nn_node_int(node->node, "precision", 0) != NN_ONNX_FLOAT16 &&
           nn_node_int(node->node, "output_dtype", 0) != NN_ONNX_FLOAT16;
}

/* The step of a Q or DQ; false where it has several, or a run decides it. */
static bool find_step(const struct nn_planner *p, const struct nn_plan_node *node,
                      struct step *ret_step)
{
    bool quantizes = node->op == &nn_op_quantize_linear;
    const struct nn_tensor *bytes =
        tensor_of(p, quantizes ? node->outputs[0] : node->inputs[0]);
    const struct nn_tensor *numbers =
        tensor_of(p, quantizes ? node->inputs[0] : node->outputs[0]);
    const struct nn_tensor *scale = tensor_of(p, node->inputs[1]);
    const struct nn_tensor *zero = tensor_of(p, input_of(node, 2));
    if (!is_plain(p, node, bytes) || numbers->type != NN_TYPE_FLOAT || numbers->late ||
        nn_shape_count(&scale->shape) != 1)
        return false;
    struct step step = {.type = bytes->type, .scale = *(const float *)scale->data};
    if (zero)
        step.zero = nn_tensor_byte(zero, 0);
    if (!(step.scale > 0 && step.scale < 1e30f))
        return false;
    *ret_step = step;
    return true;
}

static bool steps_equal(const struct step *a, const struct step *b)
{
    return a->type == b->type && a->scale == b->scale && a->zero == b->zero;
}

/* The DQ that makes a value. */
static const struct nn_plan_node *dequantizer(const struct rewriter *r, int value)
{
    int at = value == NN_VALUE_NONE ? -1 : r->producer[value];
    const struct nn_plan_node *node = at < 0 ? NULL : r->p->nodes[at];
    return node && node->op == &nn_op_dequantize_linear ? node : NULL;
}

/* The same, of one step. */
static const struct nn_plan_node *dequantizer_by_step(const struct rewriter *r, int value,
                                                      struct step *ret_step)
{
    const struct nn_plan_node *dq = dequantizer(r, value);
    return dq && find_step(r->p, dq, ret_step) ? dq : NULL;
}

/* The Q that alone reads a value. */
static struct nn_plan_node *quantizer(const struct rewriter *r, int value)
{
    struct step step;
    int at = r->readers[value] == 1 ? r->reader[value] : -1;
    struct nn_plan_node *node = at < 0 ? NULL : r->p->nodes[at];
    return node && node->op == &nn_op_quantize_linear && node->inputs[0] == value &&
                   find_step(r->p, node, &step)
               ? node
               : NULL;
}

static int find_edges(struct rewriter *r)
{
    struct nn_planner *p = r->p;
    size_t count = (size_t)p->value_capacity + 1;
    free(r->readers);
    r->readers = malloc(3 * count * sizeof *r->readers);
    if (!r->readers)
        return nn_planner_no_memory(p);
    r->producer = r->readers + count;
    r->reader = r->producer + count;
    nn_planner_edges(p, r->readers, r->producer);
    for (size_t i = 0; i < count; i++)
        r->reader[i] = -1;
    for (int i = 0; i < p->node_count; i++)
        for (int j = 0; j < p->nodes[i]->input_count; j++)
            if (p->nodes[i]->inputs[j] != NN_VALUE_NONE)
                r->reader[p->nodes[i]->inputs[j]] = i;
    return 0;
}

/* Whether the operator takes these inputs, and what it makes of them then. */
static bool infers(struct nn_planner *p, const struct nn_plan_node *node,
                   struct nn_tensor *tensors)
{
    struct nn_tensor *outputs = tensors + node->input_count;
    nn_planner_inputs(p, node, tensors);
    for (int j = 0; j < node->output_count; j++)
        outputs[j] = (struct nn_tensor){0};
    struct nn_op_call call =
        nn_plan_node_call(node, p->model->opset, p->kernels, tensors, outputs, p->pool, NULL);
    return node->op->infer(&call) == 0;
}

/* --- moves -------------------------------------------------------------------------------- */

/* Whether a Pad repeats what is there, or puts 0 around it, for which each step has a byte. */
static bool pads_plainly(const struct nn_planner *p, const struct nn_plan_node *node)
{
    const struct nn_tensor *with = tensor_of(p, input_of(node, 2));
    return strcmp(nn_node_string(node->node, "mode", "constant"), "constant") != 0 || !with ||
           (with->type == NN_TYPE_FLOAT && with->data && nn_shape_count(&with->shape) == 1 &&
            *(const float *)with->data == 0);
}

/* How many of the first inputs are moved; 0: the node does something else. */
static int moved_inputs(const struct nn_planner *p, const struct nn_plan_node *node)
{
    static const struct nn_op *const of_one[] = {
        &nn_op_depth_to_space, &nn_op_expand,    &nn_op_flatten,        &nn_op_gather,
        &nn_op_identity,       &nn_op_max_pool,  &nn_op_reshape,        &nn_op_resize,
        &nn_op_slice,          &nn_op_split,     &nn_op_space_to_depth, &nn_op_squeeze,
        &nn_op_tile,           &nn_op_transpose, &nn_op_unsqueeze,
    };
    if (node->op == &nn_op_concat)
        return node->input_count;
    if (node->op == &nn_op_max_pool && node->output_count > 1)
        return 0;
    if (node->op == &nn_op_pad)
        return pads_plainly(p, node);
    for (size_t i = 0; i < sizeof of_one / sizeof of_one[0]; i++)
        if (node->op == of_one[i])
            return 1;
    return 0;
}

/* The sweep over moves makes a new list of nodes. */
struct sweep {
    struct rewriter *r;
    struct nn_plan_node **nodes;
    int count;
    struct nn_plan_node **made_by_dq; /* of each value, the DQ that makes it */
    int *alias;                       /* of each value, what is read instead */
    struct nn_tensor *tensors;
};

/* A DQ of `bytes` that makes `value`, as `like` does. */
static int emit_dequantizer(struct sweep *s, const struct nn_plan_node *like, int bytes,
                            int value)
{
    struct nn_planner *p = s->r->p;
    struct nn_plan_node *node = nn_pool_alloc(&p->scratch, sizeof *node);
    int *edges = nn_pool_array(&p->scratch, 4, sizeof *edges);
    if (!node || !edges)
        return nn_planner_no_memory(p);
    *node = *like;
    node->inputs = edges;
    node->outputs = edges + like->input_count;
    memcpy(edges, like->inputs, (size_t)like->input_count * sizeof *edges);
    node->inputs[0] = bytes;
    node->outputs[0] = value;
    node->layer = -1;
    s->made_by_dq[value] = node;
    s->nodes[s->count++] = node;
    return 0;
}

/* Whether all that the node moves comes from DQs of one step. */
static const struct nn_plan_node *common_dequantizer(const struct sweep *s,
                                                     const struct nn_plan_node *node, int moved)
{
    struct step first = {0}, other;
    const struct nn_plan_node *dq = NULL;
    for (int i = 0; i < moved; i++) {
        const struct nn_plan_node *own =
            node->inputs[i] == NN_VALUE_NONE ? NULL : s->made_by_dq[node->inputs[i]];
        if (!own || !find_step(s->r->p, own, &other) || (dq && !steps_equal(&first, &other)))
            return NULL;
        first = other;
        dq = own;
    }
    return dq;
}

/* 1 when the node now moves bytes and has been emitted. */
static int move_bytes(struct sweep *s, struct nn_plan_node *node)
{
    struct nn_planner *p = s->r->p;
    int moved = moved_inputs(p, node);
    const struct nn_plan_node *dq = common_dequantizer(s, node, moved);
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE && p->values[node->outputs[j]].tensor.late)
            return 0;
    if (!dq || node->activation != NN_ACTIVATION_NONE ||
        p->value_capacity - p->value_count < node->output_count)
        return 0;
    struct nn_plan_node bytes = *node;
    int zero = node->op == &nn_op_pad ? input_of(dq, 2) : NN_VALUE_NONE;
    if (zero != NN_VALUE_NONE && node->input_count < 3)
        bytes.input_count = 3;
    size_t edge_count = (size_t)(bytes.input_count + node->output_count);
    int *edges = nn_pool_array(&p->scratch, edge_count, sizeof *edges);
    if (!edges)
        return nn_planner_no_memory(p);
    bytes.inputs = edges;
    bytes.outputs = edges + bytes.input_count;
    for (int i = 0; i < node->input_count; i++)
        bytes.inputs[i] =
            i < moved ? s->made_by_dq[node->inputs[i]]->inputs[0] : node->inputs[i];
    const struct nn_tensor *with =
        node->op == &nn_op_pad ? tensor_of(p, input_of(node, 2)) : NULL;
    if (with && with->data && nn_constants_note_read(p->constants, with->data) < 0)
        return nn_planner_no_memory(p);
    if (node->op == &nn_op_pad && bytes.input_count > 2)
        bytes.inputs[2] = zero;
    if (!infers(p, &bytes, s->tensors))
        return 0;
    for (int j = 0; j < node->output_count; j++) {
        struct nn_tensor t = {.type = p->values[dq->inputs[0]].tensor.type};
        bytes.outputs[j] = NN_VALUE_NONE;
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        t.shape = p->values[node->outputs[j]].tensor.shape;
        bytes.outputs[j] = nn_planner_add_value(p, &t);
    }
    const int *outputs = node->outputs;
    *node = bytes;
    s->nodes[s->count++] = node;
    int r = 1;
    for (int j = 0; j < node->output_count && r == 1; j++)
        if (outputs[j] != NN_VALUE_NONE)
            r = emit_dequantizer(s, dq, node->outputs[j], outputs[j]) < 0 ? -ENOMEM : 1;
    return r;
}

static bool is_output(const struct nn_planner *p, int value)
{
    for (int i = 0; i < p->model->output_count; i++)
        if (p->model->outputs[i] == value)
            return true;
    return false;
}

/* Whether a Q undoes the DQ before it: its readers then read what that one read. */
static bool undoes(struct sweep *s, const struct nn_plan_node *node)
{
    struct step own, before;
    struct nn_planner *p = s->r->p;
    if (node->op != &nn_op_quantize_linear || is_output(p, node->outputs[0]))
        return false;
    const struct nn_plan_node *dq = s->made_by_dq[node->inputs[0]];
    if (!dq || !find_step(p, dq, &before) || !find_step(p, node, &own) ||
        !steps_equal(&own, &before))
        return false;
    s->alias[node->outputs[0]] = dq->inputs[0];
    nn_layers_merge(p, node, dq);
    return true;
}

static int sweep_moves(struct sweep *s)
{
    struct nn_planner *p = s->r->p;
    for (int i = 0; i < p->node_count; i++) {
        struct nn_plan_node *node = p->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] != NN_VALUE_NONE && s->alias[node->inputs[j]] != NN_VALUE_NONE)
                node->inputs[j] = s->alias[node->inputs[j]];
        if (undoes(s, node))
            continue;
        int r = moved_inputs(p, node) > 0 ? move_bytes(s, node) : 0;
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        s->nodes[s->count++] = node;
        if (node->op == &nn_op_dequantize_linear)
            s->made_by_dq[node->outputs[0]] = node;
    }
    p->nodes = s->nodes;
    p->node_count = p->node_capacity = s->count;
    return 0;
}

static int rewrite_moves(struct rewriter *r)
{
    struct nn_planner *p = r->p;
    size_t edges = 0;
    for (int i = 0; i < p->node_count; i++)
        edges += 1 + (size_t)p->nodes[i]->output_count;
    int e = edges > INT32_MAX ? -E2BIG : nn_planner_reserve(p, (int)edges);
    if (e < 0)
        return e;
    struct sweep s = {.r = r};
    size_t values = (size_t)p->value_capacity;
    s.nodes = nn_pool_array(&p->scratch, edges, sizeof *s.nodes);
    s.made_by_dq = nn_pool_array(&p->scratch, values, sizeof *s.made_by_dq);
    s.alias = nn_pool_array(&p->scratch, values, sizeof *s.alias);
    s.tensors = nn_pool_array(&p->scratch, nn_planner_widest(p), sizeof *s.tensors);
    if (!s.nodes || !s.made_by_dq || !s.alias || !s.tensors)
        return nn_planner_no_memory(p);
    for (size_t i = 0; i < values; i++)
        s.alias[i] = NN_VALUE_NONE;
    return sweep_moves(&s);
}

/* --- steps with integers ------------------------------------------------------------------ */

/* Puts `made`, whose row and activation are set, with these inputs in the place of a node and
 * of the Q behind it. `behind` (may be NULL) is what lies between the two. 0, also where the
 * row does not take the inputs. */
static int replace(struct rewriter *r, struct nn_plan_node *node, struct nn_plan_node made,
                   const int *inputs, int input_count, const struct nn_plan_node *behind,
                   const struct nn_plan_node *q)
{
    struct nn_planner *p = r->p;
    int output = q ? q->outputs[0] : node->outputs[0];
    size_t edges = (size_t)input_count + 1;
    struct nn_tensor *tensors = nn_pool_array(&p->scratch, edges, sizeof *tensors);
    made.inputs = nn_pool_array(&p->scratch, edges, sizeof *made.inputs);
    if (!made.inputs || !tensors)
        return nn_planner_no_memory(p);
    memcpy(made.inputs, inputs, (size_t)input_count * sizeof *inputs);
    made.input_count = input_count;
    made.outputs = made.inputs + input_count;
    made.outputs[0] = output;
    const struct nn_tensor *wanted = &p->values[output].tensor;
    if (!infers(p, &made, tensors) || tensors[input_count].type != wanted->type ||
        !nn_shape_equal(&tensors[input_count].shape, &wanted->shape))
        return 0;
    int at = r->producer[node->outputs[0]];
    const struct nn_plan_node *gone[] = {behind, q};
    for (int i = 0; i < 2; i++) {
        if (!gone[i] || gone[i] == node)
            continue;
        nn_layers_merge(p, gone[i], node);
        p->nodes[r->producer[gone[i]->outputs[0]]] = NULL;
    }
    for (int i = 0; i < node->input_count; i++) { /* DQs that nobody else reads will go */
        int value = node->inputs[i], from = value == NN_VALUE_NONE ? -1 : r->producer[value];
        if (from >= 0 && r->readers[value] == 1 && p->nodes[from] &&
            p->nodes[from]->op == &nn_op_dequantize_linear)
            nn_layers_merge(p, p->nodes[from], node);
    }
    r->producer[output] = at;
    *node = made;
    return 0;
}

/* The weight of a product: constant bytes behind a DQ with one scale, or one for each of the
 * output's channels (dimension `axis` of the weight). */
static const struct nn_plan_node *quantised_weight(const struct rewriter *r, int value,
                                                   int axis)
{
    const struct nn_plan_node *dq = dequantizer(r, value);
    if (!dq)
        return NULL;
    const struct nn_tensor *w = tensor_of(r->p, dq->inputs[0]),
                           *scale = tensor_of(r->p, dq->inputs[1]);
    int64_t own = nn_node_int(dq->node, "axis", 1);
    bool is_whole = nn_shape_count(&scale->shape) == 1;
    return w->data && is_plain(r->p, dq, w) &&
                   (is_whole || own == axis || own == axis - w->shape.rank)
               ? dq
               : NULL;
}

/* Whether no sum of products with the weight can leave int32, x being `below` to `above` steps
 * from its zero. */
static bool sums_fit(const struct nn_planner *p, const struct nn_plan_node *dq, int axis,
                     int below, int above)
{
    const struct nn_tensor *w = tensor_of(p, dq->inputs[0]);
    const struct nn_tensor *zero = tensor_of(p, input_of(dq, 2));
    int64_t channels = w->shape.dim[axis];
    int64_t inner = nn_shape_extent(&w->shape, axis + 1, w->shape.rank);
    int64_t outer = nn_shape_extent(&w->shape, 0, axis);
    for (int64_t c = 0; c < channels; c++) {
        int64_t positive = 0, negative = 0;
        int z = zero ? nn_tensor_byte(zero, nn_shape_count(&zero->shape) == 1 ? 0 : c) : 0;
        for (int64_t o = 0; o < outer; o++) {
            for (int64_t i = 0; i < inner; i++) {
                int v = nn_tensor_byte(w, (o * channels + c) * inner + i);
                positive += v > z ? v - z : 0;
                negative += v < z ? z - v : 0;
            }
        }
        if (positive * above + negative * below > INT32_MAX ||
            positive * below + negative * above > INT32_MAX)
            return false;
    }
    return true;
}

/* Whether sums of 32 bits times so much are floats. */
static bool scale_fits(double scale)
{
    return scale < FLT_MAX / 4294967296.0;
}

/* The same of a product's sums, in steps of its output (1: as floats). */
static bool scales_fit(const struct nn_planner *p, const struct nn_plan_node *w, double x_scale,
                       double y_scale)
{
    const struct nn_tensor *scales = tensor_of(p, w->inputs[1]);
    for (int64_t i = 0; i < nn_shape_count(&scales->shape); i++)
        if (!scale_fits(x_scale * fabs(((const float *)scales->data)[i]) / y_scale))
            return false;
    return true;
}

/* Gemm as it is written for dense layers: A · B or A · Bᵀ, plus a bias. */
static bool is_plain_gemm(const struct nn_node *node)
{
    return nn_node_float(node, "alpha", 1) == 1 && nn_node_float(node, "beta", 1) == 1 &&
           nn_node_int(node, "transA", 0) == 0;
}

static int fuse_product(struct rewriter *r, struct nn_plan_node *node)
{
    const struct nn_planner *p = r->p;
    const struct nn_op *row = &nn_op_product_bytes;
    int axis = 1;
    struct step step;
    if (node->op == &nn_op_conv) {
        row = &nn_op_conv_bytes;
        axis = 0;
    } else if (node->op == &nn_op_gemm) {
        axis = nn_node_int(node->node, "transB", 0) != 0 ? 0 : 1;
        if (!is_plain_gemm(node->node))
            return 0;
    } else if (node->op != &nn_op_matmul || p->values[node->inputs[1]].tensor.shape.rank != 2) {
        return 0;
    }
    const struct nn_plan_node *x = dequantizer_by_step(r, node->inputs[0], &step);
    const struct nn_plan_node *w = quantised_weight(r, node->inputs[1], axis);
    const struct nn_tensor *bias = tensor_of(p, input_of(node, 2));
    if (!x || !w || node->input_count > 3 || (bias && !bias->data))
        return 0;
    int below = step.zero - (step.type == NN_TYPE_INT8 ? INT8_MIN : 0);
    if (!sums_fit(p, w, axis, below, UINT8_MAX - below))
        return 0;
    const struct nn_plan_node *q = quantizer(r, node->outputs[0]);
    struct step y = {.scale = 1};
    if ((q && !find_step(p, q, &y)) || !scales_fit(p, w, step.scale, y.scale))
        return 0;
    const int inputs[] = {x->inputs[0],
                          x->inputs[1],
                          input_of(x, 2),
                          w->inputs[0],
                          w->inputs[1],
                          input_of(w, 2),
                          q ? q->inputs[1] : NN_VALUE_NONE,
                          q ? input_of(q, 2) : NN_VALUE_NONE,
                          input_of(node, 2)};
    struct nn_plan_node made = *node;
    made.op = row;
    return replace(r, node, made, inputs, 9, NULL, q);
}

/* A function of one element between DQ and Q; `node` may be the Q itself. */
static int fuse_table(struct rewriter *r, struct nn_plan_node *node)
{
    struct nn_planner *p = r->p;
    struct step step;
    bool requantizes = node->op == &nn_op_quantize_linear;
    const struct nn_plan_node *x = dequantizer_by_step(r, node->inputs[0], &step);
    const struct nn_plan_node *q = requantizes ? node
                                   : x         ? quantizer(r, node->outputs[0])
                                               : NULL;
    if (!x || !q || (requantizes && !find_step(p, node, &step)))
        return 0;
    struct nn_plan_node made = *node;
    made.op = &nn_op_table_bytes;
    int e = requantizes ? 1
                        : nn_fuse_activation_of(p, node, &made.activation,
                                                &made.activation_alpha, &made.activation_beta);
    if (e != 1)
        return e;
    const int inputs[] = {x->inputs[0], x->inputs[1], input_of(x, 2), q->inputs[1],
                          input_of(q, 2)};
    return replace(r, node, made, inputs, 5, NULL, q);
}

/* Add, and a ReLU or Clip behind it. */
static int fuse_sum(struct rewriter *r, struct nn_plan_node *node)
{
    struct nn_planner *p = r->p;
    struct step in[2], out;
    const struct nn_plan_node *a = dequantizer_by_step(r, node->inputs[0], &in[0]);
    const struct nn_plan_node *b = dequantizer_by_step(r, node->inputs[1], &in[1]);
    if (!a || !b)
        return 0;
    int value = node->outputs[0], at = r->readers[value] == 1 ? r->reader[value] : -1;
    const struct nn_plan_node *behind = at < 0 ? NULL : p->nodes[at];
    struct nn_plan_node made = *node;
    made.op = &nn_op_sum_bytes;
    if (behind && (behind->op == &nn_op_relu || behind->op == &nn_op_clip)) {
        int e = nn_fuse_activation_of(p, behind, &made.activation, &made.activation_alpha,
                                      &made.activation_beta);
        if (e != 1)
            return e;
        value = behind->outputs[0];
    } else {
        behind = NULL;
    }
    const struct nn_plan_node *q = quantizer(r, value);
    if (!q || !find_step(p, q, &out) || !scale_fits((double)in[0].scale / out.scale) ||
        !scale_fits((double)in[1].scale / out.scale))
        return 0;
    const int inputs[] = {a->inputs[0], a->inputs[1],   input_of(a, 2), b->inputs[0],
                          b->inputs[1], input_of(b, 2), q->inputs[1],   input_of(q, 2)};
    return replace(r, node, made, inputs, 8, behind, q);
}

static int rewrite_steps(struct rewriter *r)
{
    struct nn_planner *p = r->p;
    int e = find_edges(r);
    for (int i = 0; i < p->node_count && e == 0; i++) {
        struct nn_plan_node *node = p->nodes[i];
        if (!node)
            continue;
        if (node->op == &nn_op_conv || node->op == &nn_op_gemm || node->op == &nn_op_matmul)
            e = fuse_product(r, node);
        else if (node->op == &nn_op_add)
            e = fuse_sum(r, node);
        else if (node->op == &nn_op_quantize_linear || node->op->flags & NN_OP_IS_ACTIVATION)
            e = fuse_table(r, node);
    }
    nn_planner_compact(p);
    return e;
}

static bool is_constant(const struct nn_planner *p, const struct nn_plan_node *node)
{
    for (int j = 0; j < node->input_count; j++)
        if (node->inputs[j] != NN_VALUE_NONE && !p->values[node->inputs[j]].tensor.data)
            return false;
    return true;
}

/* Weights that waited for a step with integers that did not come. */
static int fold_rest(struct nn_planner *p)
{
    for (int i = 0; i < p->node_count; i++) {
        struct nn_plan_node *node = p->nodes[i];
        if (node->op != &nn_op_dequantize_linear || !is_constant(p, node))
            continue;
        int e = nn_trace_fold(p, node);
        if (e < 0)
            return e;
        p->nodes[i] = NULL;
    }
    nn_planner_compact(p);
    return 0;
}

int nn_qdq(struct nn_planner *p)
{
    bool any = false;
    for (int i = 0; i < p->node_count; i++)
        any |= p->nodes[i]->op == &nn_op_dequantize_linear;
    if (!any)
        return 0;
    struct rewriter r = {.p = p};
    int e = rewrite_moves(&r);
    if (e == 0)
        e = rewrite_steps(&r);
    free(r.readers);
    if (e == 0)
        e = nn_trace_drop_unread(p, 0, p->model->outputs, p->model->output_count);
    if (e == 0)
        e = fold_rest(p);
    /* Pooling behind a convolution that a Q stood between. */
    return e < 0 ? e : nn_fuse(p);
}
