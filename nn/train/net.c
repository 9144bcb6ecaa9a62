#include "nn/train/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/constants.h"
#include "nn/graph.h"
#include "nn/kernels/kernels.h"
#include "nn/planner.h"
#include "nn/threads.h"
#include "nn/train/freeze.h"
#include "nn/train/random.h"
#include "nn/train/row.h"

#define LIMIT_BYTES ((size_t)1 << 40)

/* A value of the graph. */
struct value {
    struct nn_tensor tensor;
    void *gradient; /* NULL: nobody wants it */
    bool learns;    /* a parameter has a part in it */
    bool written;   /* backward: the gradient holds what came so far */
    bool outside;   /* an input of the model or an initializer that may change */
    bool constant;
    int readers;
    int same; /* the value whose bytes these are, or -1 */
};

struct step {
    const struct train_row *row; /* NULL: the operator's own forward, nothing to learn */
    struct train_call call;
    struct nn_tensor *tensors; /* the call's inputs */
    int *inputs, *outputs;     /* values or NN_VALUE_NONE */
    void **input_gradients;
    const void **output_gradients;
    bool learns;
    bool idle; /* all that it makes is empty */
};

struct train_net {
    struct nn_model *model;
    struct nn_pool pool;
    struct nn_constants constants;
    struct nn_threads *threads;
    const struct nn_kernels *kernels;
    bool doubles;
    int thread_count;
    size_t number_bytes;

    bool *frozen; /* by value */
    struct value *values;
    int value_count; /* the model's, then those of graphs within its nodes */
    struct step *steps;
    int step_count;
    struct train_net_parameter *parameters;
    size_t parameter_count;
    struct train_head head;
    int head_value;
    char *extra;      /* gradients that are to be added to others */
    size_t run_bytes; /* of values and gradients */
};

static int no_memory(const struct train_net *net, struct nn_error *err)
{
    return nn_error_set(err, nn_pool_errno(&net->pool), "no memory for a network of this size");
}

static const struct train_row *find_row(const struct train_net *net, const char *op)
{
    return net->doubles ? train_row_find_double(op) : train_row_find_float(op);
}

static bool bit(uint32_t bits, int index)
{
    return index < 32 && (bits >> index & 1);
}

/* --- From the model ---------------------------------------------------------------------- */

/* Whether input `index` is added to a product: a bias, even if it is a lone number. */
static bool is_bias(const struct nn_model *m, const struct nn_node *node, int index)
{
    for (int i = 0; i < m->node_count && strcmp(node->op->name, "Add") == 0; i++)
        if (strcmp(m->nodes[i].op->name, "MatMul") == 0 &&
            m->nodes[i].outputs[0] == node->inputs[1 - index])
            return true;
    return false;
}

/* What an initializer is to those that read it. */
enum role { CONSTANT, STATISTIC, PARAMETER };

/* What input `index` of a node is, by the node's row and by what its output is read as. */
static enum role role_of(const struct train_net *net, const struct nn_node *node, int index,
                         const enum role *roles)
{
    const struct nn_model *m = net->model;
    const struct train_row *row = find_row(net, node->op->name);
    int value = node->inputs[index];
    if (!row)
        return CONSTANT;
    if (bit(row->fixed, index))
        return bit(row->statistics, index) ? STATISTIC : CONSTANT;
    for (int j = 0; j < node->output_count && row->moves; j++)
        if (node->outputs[j] != NN_VALUE_NONE && roles[node->outputs[j]] == PARAMETER)
            return PARAMETER;
    bool lone = bit(row->arrays, index) &&
                nn_shape_count(&m->values[value].declared.shape) == 1 &&
                !is_bias(m, node, index);
    return bit(row->parameters, index) && !lone ? PARAMETER : CONSTANT;
}

/* Of every value, from the last node to the first. */
static enum role *find_roles(struct train_net *net)
{
    const struct nn_model *m = net->model;
    enum role *roles = nn_pool_array(&net->pool, (size_t)m->value_count, sizeof *roles);
    for (int i = m->node_count - 1; i >= 0 && roles; i--)
        for (int j = 0; j < m->nodes[i].input_count; j++) {
            int value = m->nodes[i].inputs[j];
            if (value == NN_VALUE_NONE)
                continue;
            enum role role = role_of(net, &m->nodes[i], j, roles);
            roles[value] = role > roles[value] ? role : roles[value];
        }
    return roles;
}

/* An initializer's numbers as the net has them. */
static void *copy_numbers(struct train_net *net, const struct nn_tensor *from)
{
    int64_t count = nn_shape_count(&from->shape);
    void *to = nn_pool_array(&net->pool, (size_t)count, net->number_bytes);
    if (to && net->doubles)
        for (int64_t i = 0; i < count; i++)
            ((double *)to)[i] = ((const float *)from->data)[i];
    else if (to)
        memcpy(to, from->data, (size_t)count * sizeof(float));
    return to;
}

static int find_parameters(struct train_net *net, struct nn_error *err)
{
    const struct nn_model *m = net->model;
    net->parameters =
        nn_pool_array(&net->pool, (size_t)m->value_count, sizeof *net->parameters);
    const enum role *roles = find_roles(net);
    if (!net->parameters || !roles)
        return no_memory(net, err);
    for (int v = 0; v < m->value_count; v++) {
        const struct nn_tensor *declared = &m->values[v].declared;
        enum role role = roles[v];
        if (!declared->data || declared->type != NN_TYPE_FLOAT || role == CONSTANT ||
            net->frozen[v])
            continue;
        struct train_net_parameter *p = &net->parameters[net->parameter_count++];
        *p = (struct train_net_parameter){.name = m->values[v].name,
                                          .shape = declared->shape,
                                          .count = (size_t)nn_shape_count(&declared->shape),
                                          .value = copy_numbers(net, declared)};
        if (role == PARAMETER)
            p->gradient = nn_pool_array(&net->pool, p->count, net->number_bytes);
        if (!p->value || (role == PARAMETER && !p->gradient))
            return no_memory(net, err);
        net->values[v] = (struct value){
            .tensor = {.type = NN_TYPE_FLOAT, .shape = declared->shape, .data = p->value},
            .gradient = p->gradient,
            .learns = role == PARAMETER,
            .outside = true,
            .same = -1};
    }
    return 0;
}

static int input_shape(const struct nn_value_info *info, const struct nn_shape *given,
                       struct nn_shape *ret_shape, struct nn_error *err)
{
    *ret_shape = given ? *given : info->shape;
    if (!given && ret_shape->rank > 0 && ret_shape->dim[0] == NN_DIM_DYNAMIC)
        ret_shape->dim[0] = 1;
    if (ret_shape->rank != info->shape.rank)
        return nn_error_set(err, -EINVAL, "input '%.80s' has %d dimensions, not %d", info->name,
                            info->shape.rank, ret_shape->rank);
    for (int d = 0; d < ret_shape->rank; d++)
        if (ret_shape->dim[d] < 1 ||
            (d > 0 && info->shape.dim[d] > 0 && info->shape.dim[d] != ret_shape->dim[d]))
            return nn_error_set(err, -EINVAL, "input '%.80s': dimension %d cannot be %lld",
                                info->name, d, (long long)ret_shape->dim[d]);
    return 0;
}

/* The planner's trace: shapes of all values, what is constant computed, what nobody reads left
 * out. Parameters are no constants to it. */
static int trace(struct train_net *net, const struct train_options *options,
                 struct nn_planner *p, struct nn_error *err)
{
    struct nn_model *m = net->model;
    p->value_count = p->value_capacity = m->value_count;
    p->values = nn_pool_array(&p->scratch, (size_t)m->value_count, sizeof *p->values);
    if (!p->values)
        return no_memory(net, err);
    for (int v = 0; v < m->value_count; v++) {
        const struct nn_tensor *declared = &m->values[v].declared;
        if (!declared->data)
            continue;
        p->values[v].tensor = *declared;
        p->values[v].place =
            (struct nn_place){.kind = NN_PLACE_CONSTANT, .constant = declared->data};
        if (net->values[v].outside) {
            p->values[v].tensor.data = NULL;
            p->values[v].place = (struct nn_place){.kind = NN_PLACE_INPUT};
        }
    }
    for (int i = 0; i < m->input_count; i++) {
        int v = m->inputs[i];
        struct nn_tensor *t = &p->values[v].tensor;
        t->type = m->input_info[i].type;
        int r = input_shape(&m->input_info[i],
                            options->input_shapes ? &options->input_shapes[i] : NULL, &t->shape,
                            err);
        if (r < 0)
            return r;
        p->values[v].place = (struct nn_place){.kind = NN_PLACE_INPUT};
        net->values[v].outside = true;
        net->values[v].learns = options->input_gradients && t->type == NN_TYPE_FLOAT;
    }
    return nn_trace(p);
}

/* --- Steps ------------------------------------------------------------------------------- */

static bool is_view(const struct step *step)
{
    return step->row && step->row->view;
}

/* A value's bytes: those of its input for a view, else its own. Doubles stand for float32. */
static int place_value(struct train_net *net, struct value *v)
{
    if (v->tensor.data)
        return 0;
    if (v->same >= 0) {
        v->tensor.data = net->values[v->same].tensor.data;
        return 0;
    }
    size_t bytes = v->tensor.type == NN_TYPE_FLOAT
                       ? (size_t)nn_shape_count(&v->tensor.shape) * net->number_bytes
                       : nn_tensor_bytes(&v->tensor);
    v->tensor.data = nn_pool_alloc(&net->pool, bytes);
    net->run_bytes += bytes;
    return v->tensor.data ? 0 : -ENOMEM;
}

static int place_gradient(struct train_net *net, struct value *v)
{
    if (v->gradient || !v->learns)
        return 0;
    if (v->same >= 0 && net->values[v->same].learns && net->values[v->same].readers == 1) {
        v->gradient = net->values[v->same].gradient;
        return 0;
    }
    size_t bytes = (size_t)nn_shape_count(&v->tensor.shape) * net->number_bytes;
    v->gradient = nn_pool_alloc(&net->pool, bytes);
    net->run_bytes += bytes;
    return v->gradient ? 0 : -ENOMEM;
}

static bool has_floats(const struct train_net *net, const int *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != NN_VALUE_NONE && net->values[values[i]].tensor.type == NN_TYPE_FLOAT)
            return true;
    return false;
}

/* Whether one of them learns without having a number. */
static bool has_empty(const struct train_net *net, const int *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != NN_VALUE_NONE && net->values[values[i]].learns &&
            nn_shape_count(&net->values[values[i]].tensor.shape) == 0)
            return true;
    return false;
}

static int add_step(struct train_net *net, const struct nn_planner *p,
                    const struct nn_plan_node *node, struct nn_error *err)
{
    if (node->body_count > 0 || nn_plan_node_is_late(node, p->values))
        return nn_error_set(err, -ENOTSUP,
                            "node '%.80s' (%s): what it does, or the size of what it makes, is "
                            "known in a run only; a network that learns must know it before",
                            node->node->name, node->op->name);
    struct step *s = &net->steps[net->step_count++];
    size_t in = (size_t)node->input_count, out = (size_t)node->output_count;
    s->tensors = nn_pool_array(&net->pool, in + out, sizeof *s->tensors);
    s->inputs = nn_pool_array(&net->pool, in + out, sizeof *s->inputs);
    s->input_gradients = nn_pool_array(&net->pool, in, sizeof *s->input_gradients);
    s->output_gradients = nn_pool_array(&net->pool, out, sizeof *s->output_gradients);
    if (!s->tensors || !s->inputs || !s->input_gradients || !s->output_gradients)
        return no_memory(net, err);
    s->outputs = s->inputs + in;
    memcpy(s->inputs, node->inputs, in * sizeof *s->inputs);
    memcpy(s->outputs, node->outputs, out * sizeof *s->outputs);
    struct nn_plan_node copy = *node;
    s->call.op = nn_plan_node_call(&copy, p->model->opset, net->kernels, s->tensors,
                                   s->tensors + in, &net->pool, err);
    s->call.op.threads = net->thread_count;
    s->call.op.helpers = net->threads;
    bool makes = has_floats(net, s->outputs, out), meets = has_floats(net, s->inputs, in);
    bool frozen = train_freeze_has(node, net->frozen);
    s->row = makes ? find_row(net, node->op->name) : NULL;
    /* What is frozen computes as it will in use. */
    if (frozen && s->row && !s->row->view)
        s->row = NULL;
    for (size_t i = 0; i < in; i++)
        if (s->inputs[i] != NN_VALUE_NONE) {
            struct value *v = &net->values[s->inputs[i]];
            v->readers++;
            s->learns |= v->learns && !frozen && !(s->row && bit(s->row->fixed, (int)i));
            if (v->constant && i < 32)
                s->call.op.constant_inputs |= 1u << i;
        }
    if (s->learns && !s->row)
        return nn_error_set(err, -ENOTSUP,
                            "node '%.80s' (%s): nothing can be learned through this operator; "
                            "freeze what is before it",
                            node->node->name, node->op->name);
    for (size_t j = 0; j < out; j++)
        if (s->outputs[j] != NN_VALUE_NONE) {
            struct value *v = &net->values[s->outputs[j]];
            v->learns = s->learns && v->tensor.type == NN_TYPE_FLOAT;
            if (is_view(s) && j == 0)
                v->same = s->inputs[0];
        }
    if (has_empty(net, s->inputs, in) || has_empty(net, s->outputs, out))
        return nn_error_set(err, -ENOTSUP,
                            "node '%.80s' (%s): nothing can be learned of what is empty",
                            node->node->name, node->op->name);
    if (!s->row && (makes || meets) && net->doubles)
        return nn_error_set(err, -ENOTSUP, "node '%.80s' (%s): there is no version in double",
                            node->node->name, node->op->name);
    return 0;
}

/* Relu into the Conv or Gemm before it, if that is its only reader. */
static void fold_relu(struct train_net *net)
{
    int kept = 0;
    for (int i = 0; i < net->step_count; i++) {
        struct step *s = &net->steps[i], *before = kept > 0 ? &net->steps[kept - 1] : NULL;
        const char *op = s->call.op.op->name;
        bool folds = strcmp(op, "Relu") == 0 && before && before->outputs[0] == s->inputs[0] &&
                     net->values[s->inputs[0]].readers == 1 &&
                     (strcmp(before->call.op.op->name, "Conv") == 0 ||
                      strcmp(before->call.op.op->name, "Gemm") == 0) &&
                     before->call.op.activation == NN_ACTIVATION_NONE;
        if (folds) {
            before->call.op.activation = NN_ACTIVATION_RELU;
            before->outputs[0] = s->outputs[0];
        } else {
            net->steps[kept++] = *s;
        }
    }
    net->step_count = kept;
}

/* A MaxPool that alone reads what a folded ReLU gives sees to it that no gradient goes to where
 * that is zero: it reads those numbers anyway. */
static void pass_gradients(struct train_net *net)
{
    for (int i = 1; i < net->step_count; i++) {
        struct step *pool = &net->steps[i], *before = &net->steps[i - 1];
        if (strcmp(pool->call.op.op->name, "MaxPool") == 0 && pool->row &&
            before->call.op.activation == NN_ACTIVATION_RELU &&
            pool->inputs[0] == before->outputs[0] &&
            net->values[pool->inputs[0]].readers == 1) {
            pool->call.op.activation = NN_ACTIVATION_RELU;
            before->call.passed = true;
        }
    }
}

static void find_head(struct train_net *net, enum train_head_kind wanted)
{
    int v = net->model->outputs[0];
    net->head.kind = TRAIN_HEAD_PLAIN;
    for (int i = 0; i < net->step_count; i++) {
        const struct step *s = &net->steps[i];
        if (s->outputs[0] != v || !net->values[v].learns)
            continue;
        const struct nn_shape *shape = &net->values[v].tensor.shape;
        bool flat = s->call.op.opset < 13;
        int64_t axis = nn_op_int(&s->call.op, "axis", flat ? 1 : -1);
        if (strcmp(s->call.op.op->name, "Sigmoid") == 0 && wanted == TRAIN_HEAD_SIGMOID)
            net->head.kind = TRAIN_HEAD_SIGMOID;
        else if (strcmp(s->call.op.op->name, "Softmax") == 0 && wanted == TRAIN_HEAD_SOFTMAX &&
                 (axis == -1 || axis == shape->rank - 1))
            net->head.kind = TRAIN_HEAD_SOFTMAX;
        if (net->head.kind != TRAIN_HEAD_PLAIN)
            v = s->inputs[0];
        break;
    }
    net->head_value = v;
}

static size_t gradient_bytes(const struct train_net *net, const struct value *v)
{
    return (size_t)nn_shape_count(&v->tensor.shape) * net->number_bytes;
}

/* Bytes of a step's outputs and their gradients; its calls know where everything is. */
static int place_step(struct train_net *net, struct step *s, size_t *extra)
{
    struct nn_op_call *op = &s->call.op;
    size_t apart = 0;
    for (int j = 0; j < op->input_count; j++) {
        if (s->inputs[j] == NN_VALUE_NONE)
            continue;
        const struct value *v = &net->values[s->inputs[j]];
        s->tensors[j] = v->tensor;
        if (v->learns && v->readers > 1)
            apart += gradient_bytes(net, v);
    }
    *extra = apart > *extra ? apart : *extra;
    for (int j = 0; j < op->output_count; j++) {
        if (s->outputs[j] == NN_VALUE_NONE)
            continue;
        struct value *v = &net->values[s->outputs[j]];
        if (place_value(net, v) < 0 || place_gradient(net, v) < 0)
            return -ENOMEM;
        op->outputs[j] = v->tensor;
    }
    int r = 0;
    s->idle = nn_outputs_are_empty(op->outputs, op->output_count);
    if (s->idle)
        return 0;
    if (s->row && s->row->prepare)
        r = s->row->prepare(&s->call);
    else if (!s->row)
        r = nn_plan_prepare(op);
    if (r < 0)
        return r;
    s->call.saved = nn_pool_alloc(&net->pool, s->call.saved_bytes);
    return s->call.saved ? 0 : -ENOMEM;
}

static int place_all(struct train_net *net, struct nn_error *err)
{
    size_t extra = 0, workspace = 0;
    int r = 0;
    for (int i = 0; i < net->model->input_count && r == 0; i++) {
        struct value *v = &net->values[net->model->inputs[i]];
        r = place_value(net, v) < 0 || place_gradient(net, v) < 0 ? -ENOMEM : 0;
    }
    for (int i = 0; i < net->step_count && r == 0; i++) {
        struct step *s = &net->steps[i];
        r = place_step(net, s, &extra);
        workspace =
            s->call.op.workspace_bytes > workspace ? s->call.op.workspace_bytes : workspace;
    }
    if (r < 0)
        return r == -ENOMEM ? no_memory(net, err) : r;
    void *shared = nn_pool_alloc(&net->pool, workspace);
    net->extra = nn_pool_alloc(&net->pool, extra);
    net->run_bytes += workspace + extra;
    if (!shared || !net->extra)
        return no_memory(net, err);
    for (int i = 0; i < net->step_count; i++)
        net->steps[i].call.op.workspace = shared;
    return 0;
}

/* What the trace found. It may have more values than the model: those of graphs within nodes. */
static int take_values(struct train_net *net, const struct nn_planner *p, struct nn_error *err)
{
    size_t count = (size_t)p->value_count, known = (size_t)net->model->value_count;
    struct value *values = nn_pool_array(&net->pool, count, sizeof *values);
    bool *frozen = nn_pool_array(&net->pool, count, sizeof *frozen);
    if (!values || !frozen)
        return no_memory(net, err);
    memcpy(values, net->values, known * sizeof *values);
    memcpy(frozen, net->frozen, known * sizeof *frozen);
    train_freeze_nodes(p, frozen);
    net->frozen = frozen;
    for (size_t v = 0; v < count; v++) {
        struct nn_tensor t = p->values[v].tensor;
        if (values[v].outside)
            t.data = values[v].tensor.data;
        else if (t.data && t.type == NN_TYPE_FLOAT && net->doubles) {
            t.data = copy_numbers(net, &t);
            if (!t.data)
                return no_memory(net, err);
        }
        values[v].tensor = t;
        values[v].constant = !values[v].outside && t.data;
        values[v].same = -1;
    }
    net->values = values;
    net->value_count = p->value_count;
    return 0;
}

static int build(struct train_net *net, const struct train_options *options,
                 struct nn_planner *p, struct nn_error *err)
{
    int r = trace(net, options, p, err);
    if (r < 0)
        return r;
    r = take_values(net, p, err);
    if (r < 0)
        return r;
    struct value *values = net->values;
    net->steps = nn_pool_array(&net->pool, (size_t)p->node_count, sizeof *net->steps);
    if (!net->steps)
        return no_memory(net, err);
    for (int i = 0; i < p->node_count && r == 0; i++)
        r = add_step(net, p, p->nodes[i], err);
    if (r < 0)
        return r;
    for (int i = 0; i < net->model->output_count; i++)
        values[net->model->outputs[i]].readers++;
    fold_relu(net);
    pass_gradients(net);
    find_head(net, options->head);
    if (!values[net->head_value].learns)
        return nn_error_set(err, -EINVAL, "there is nothing to learn before output '%.80s'",
                            net->model->output_info[0].name);
    r = place_all(net, err);
    if (r < 0)
        return r;
    net->head.shape = values[net->head_value].tensor.shape;
    net->head.values = values[net->head_value].tensor.data;
    net->head.gradient = values[net->head_value].gradient;
    return 0;
}

int train_net_create(struct nn_model *model, const struct train_options *options,
                     struct train_net **ret_net, struct nn_error *err)
{
    static const struct train_options defaults = {0};
    if (!options)
        options = &defaults;
    struct train_net *net = calloc(1, sizeof *net);
    if (!net)
        return nn_error_set(err, -ENOMEM, "no memory for a network");
    net->model = nn_model_ref(model);
    nn_pool_init(&net->pool, LIMIT_BYTES);
    net->constants = (struct nn_constants){.model = model, .pool = &net->pool};
    net->kernels = options->kernels ? options->kernels : nn_kernels_best();
    net->doubles = options->doubles;
    net->number_bytes = options->doubles ? sizeof(double) : sizeof(float);
    net->thread_count = options->threads > 1 ? options->threads : 1;
    net->values = nn_pool_array(&net->pool, (size_t)model->value_count, sizeof *net->values);
    net->frozen = nn_pool_array(&net->pool, (size_t)model->value_count, sizeof *net->frozen);

    struct nn_planner planner = {.model = model,
                                 .kernels = net->kernels,
                                 .pool = &net->pool,
                                 .constants = &net->constants,
                                 .err = err};
    nn_pool_init(&planner.scratch, LIMIT_BYTES);
    int r = net->values && net->frozen ? 0 : no_memory(net, err);
    if (r == 0 && options->freeze)
        r = train_freeze(model, options->freeze, net->frozen, err);
    if (r == 0 && net->thread_count > 1)
        r = nn_threads_create(net->thread_count, &net->threads);
    if (r == 0)
        r = find_parameters(net, err);
    if (r == 0)
        r = build(net, options, &planner, err);
    nn_pool_finish(&planner.scratch);
    if (r < 0) {
        train_net_destroy(net);
        return r;
    }
    *ret_net = net;
    return 0;
}

void train_net_destroy(struct train_net *net)
{
    if (!net)
        return;
    nn_threads_destroy(net->threads);
    nn_constants_finish(&net->constants);
    nn_pool_finish(&net->pool);
    nn_model_unref(net->model);
    free(net);
}

/* --- Running ----------------------------------------------------------------------------- */

size_t train_net_parameter_count(const struct train_net *net)
{
    return net->parameter_count;
}

const struct train_net_parameter *train_net_parameter(const struct train_net *net, size_t index)
{
    return &net->parameters[index];
}

const struct nn_tensor *train_net_input(const struct train_net *net, size_t index)
{
    return &net->values[net->model->inputs[index]].tensor;
}

const void *train_net_input_gradient(const struct train_net *net, size_t index)
{
    return net->values[net->model->inputs[index]].gradient;
}

const struct nn_tensor *train_net_output(const struct train_net *net, size_t index)
{
    return &net->values[net->model->outputs[index]].tensor;
}

const struct train_head *train_net_head(const struct train_net *net)
{
    return &net->head;
}

struct nn_threads *train_net_threads(const struct train_net *net)
{
    return net->threads;
}

size_t train_net_bytes(const struct train_net *net)
{
    return net->run_bytes;
}

static int run_step(struct train_net *net, struct step *s, bool training, uint64_t seed,
                    struct nn_error *err)
{
    struct train_random random =
        train_random_fork(seed, TRAIN_RANDOM_DROPOUT, 0, (uint64_t)(s - net->steps));
    s->call.op.err = err;
    s->call.training = training;
    s->call.seed = train_random_next(&random);
    if (is_view(s) || s->idle)
        return 0;
    return s->row ? s->row->forward(&s->call) : s->call.op.op->forward(&s->call.op);
}

int train_net_forward(struct train_net *net, bool training, uint64_t seed, struct nn_error *err)
{
    int r = 0;
    bool helped = net->threads && nn_threads_begin(net->threads);
    for (int i = 0; i < net->step_count && r == 0; i++)
        r = run_step(net, &net->steps[i], training, seed, err);
    if (net->threads)
        nn_threads_end(net->threads, helped);
    return r;
}

static void add_gradient(const struct train_net *net, void *to, const void *from, size_t count)
{
    if (net->doubles)
        for (size_t i = 0; i < count; i++)
            ((double *)to)[i] += ((const double *)from)[i];
    else
        net->kernels->add(to, to, from, count);
}

/* A view's gradient is its output's, under another shape; where the input has other readers it
 * has a place of its own, and is added to theirs. */
static void view_back(struct train_net *net, struct step *s)
{
    struct value *in = &net->values[s->inputs[0]], *out = &net->values[s->outputs[0]];
    size_t count = (size_t)nn_shape_count(&in->tensor.shape);
    if (in->gradient != out->gradient && in->written)
        add_gradient(net, in->gradient, out->gradient, count);
    else if (in->gradient != out->gradient)
        memcpy(in->gradient, out->gradient, count * net->number_bytes);
    in->written = true;
}

/* Of each input whose gradient is wanted: it is written to its place if nothing is there yet, as
 * is nearly always so; else apart, and added. */
static void step_back(struct train_net *net, struct step *s)
{
    struct train_call *call = &s->call;
    char *apart = net->extra;
    for (int i = 0; i < call->op.input_count; i++) {
        struct value *v = s->inputs[i] == NN_VALUE_NONE ? NULL : &net->values[s->inputs[i]];
        s->input_gradients[i] = NULL;
        if (!v || !v->learns || bit(s->row->fixed, i))
            continue;
        s->input_gradients[i] = v->written ? apart : v->gradient;
        apart += v->written ? gradient_bytes(net, v) : 0;
        v->written = true;
    }
    call->input_gradients = s->input_gradients;
    call->output_gradients = s->output_gradients;
    s->row->backward(call);
    call->output_gradients = NULL;
    for (int i = 0; i < call->op.input_count; i++) {
        if (!s->input_gradients[i])
            continue;
        const struct value *v = &net->values[s->inputs[i]];
        if (s->input_gradients[i] != v->gradient)
            add_gradient(net, v->gradient, s->input_gradients[i],
                         (size_t)nn_shape_count(&v->tensor.shape));
    }
}

void train_net_backward(struct train_net *net)
{
    bool helped = net->threads && nn_threads_begin(net->threads);
    for (int v = 0; v < net->value_count; v++)
        net->values[v].written = v == net->head_value;
    for (int i = net->step_count - 1; i >= 0; i--) {
        struct step *s = &net->steps[i];
        bool reached = false;
        for (int j = 0; j < s->call.op.output_count; j++) {
            struct value *v =
                s->outputs[j] == NN_VALUE_NONE ? NULL : &net->values[s->outputs[j]];
            s->output_gradients[j] = v && v->written ? v->gradient : NULL;
            reached |= s->output_gradients[j] != NULL;
        }
        if (!reached || !s->learns)
            continue;
        if (is_view(s))
            view_back(net, s);
        else
            step_back(net, s);
    }
    if (net->threads)
        nn_threads_end(net->threads, helped);
}
