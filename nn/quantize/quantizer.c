#include "nn/quantize/quantize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/quantize/parts.h"

/* --- watching values ---------------------------------------------------------------------- */

/* A session of the draft's network that shows these values of q->model; takes `values`. */
static int watch_open(struct nn_watch *watch, const struct nn_quantizer *q,
                      const struct nn_draft *draft, int *values, int count,
                      struct nn_error *err)
{
    struct nn_plan *plan = NULL;
    ProtobufCBinaryData *names = calloc((size_t)count + 1, sizeof *names);
    *watch = (struct nn_watch){.count = count, .values = values};
    watch->outputs = calloc((size_t)count + 1, sizeof *watch->outputs);
    if (!values || !names || !watch->outputs) {
        free(names);
        return nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    }
    for (int i = 0; i < count; i++)
        names[i] = nn_onnx_bytes(q->model->values[values[i]].name);
    int r =
        nn_draft_plan(draft, names, (size_t)count, q->input_shapes, watch->outputs, &plan, err);
    if (r == 0)
        r = nn_session_create(plan, &watch->session, err);
    nn_plan_unref(plan);
    free(names);
    return r;
}

static void watch_close(struct nn_watch *watch)
{
    nn_session_destroy(watch->session);
    free(watch->values);
    free(watch->outputs);
    *watch = (struct nn_watch){0};
}

static const struct nn_tensor *watch_tensor(const struct nn_watch *watch, int index)
{
    return nn_session_output(watch->session, watch->outputs[index]);
}

/* --- making ------------------------------------------------------------------------------- */

/* q->model and q->view of the draft as it is now. */
static int reload(struct nn_quantizer *q, struct nn_error *err)
{
    void *data = NULL;
    size_t size = 0;
    struct nn_model *model = NULL;
    int r = nn_draft_pack(&q->draft, &data, &size, err);
    if (r == 0)
        r = nn_model_load(data, size, &model, err);
    free(data);
    if (r == 0)
        r = nn_draft_sort(&q->draft, model, err);
    nn_view_finish(&q->view);
    nn_model_unref(q->model);
    q->model = model;
    if (r == 0 && nn_view_init(&q->view, model) < 0)
        r = nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    return r;
}

static int take_shapes(struct nn_quantizer *q, const struct nn_shape *shapes,
                       struct nn_error *err)
{
    q->input_count = (int)nn_model_input_count(q->model);
    if (!shapes)
        return 0;
    q->input_shapes = calloc((size_t)q->input_count + 1, sizeof *q->input_shapes);
    if (!q->input_shapes)
        return nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    memcpy(q->input_shapes, shapes, (size_t)q->input_count * sizeof *shapes);
    return 0;
}

/* What the network is made of, as 8-bit numbers can be put into it. */
static int prepare(struct nn_quantizer *q, const void *data, size_t size,
                   const struct nn_shape *shapes, size_t limit_bytes, struct nn_error *err)
{
    /* The loader's checks come first: what is rewritten is a valid model. */
    int r = nn_model_load(data, size, &q->model, err);
    if (r == 0)
        r = take_shapes(q, shapes, err);
    if (r == 0)
        r = nn_draft_open(&q->draft, data, size, err);
    q->opset_before = q->draft.opset;
    q->draft.limit_bytes = limit_bytes;
    if (r == 0)
        r = nn_draft_raise(&q->draft, q->input_shapes, err);
    if (r == 0)
        r = reload(q, err);
    if (r == 0)
        r = nn_draft_fold(&q->draft, q->model, err);
    return r < 0 ? r : reload(q, err);
}

/* What a run shows: 8-bit values that no move makes, of which the ranges of all follow, and
 * what convolutions read besides. */
static int *list_seen(struct nn_quantizer *q, int *ret_count)
{
    const struct nn_model *model = q->model;
    int count = 0, *values = calloc((size_t)model->value_count + 1, sizeof *values);
    bool *listed = calloc((size_t)model->value_count + 1, sizeof *listed);
    if (!values || !listed) {
        free(values);
        free(listed);
        return NULL;
    }
    for (int v = 0; v < model->value_count; v++) {
        int producer = q->view.producer[v];
        listed[v] = q->wanted[v] && (producer < 0 || q->role[producer] != NN_ROLE_MOVE);
        if (listed[v])
            values[count++] = v;
    }
    q->range_count = count;
    for (int i = 0; i < model->node_count; i++) {
        const struct nn_node *node = &model->nodes[i];
        if (q->role[i] != NN_ROLE_PRODUCT || node->op != &nn_op_conv || listed[node->inputs[0]])
            continue;
        listed[node->inputs[0]] = true;
        values[count++] = node->inputs[0];
    }
    free(listed);
    *ret_count = count;
    return values;
}

static int open_seen(struct nn_quantizer *q, struct nn_error *err)
{
    int count = 0, *values = list_seen(q, &count);
    int r = watch_open(&q->seen, q, &q->draft, values, count, err);
    q->ranges = calloc((size_t)q->range_count + 1, sizeof *q->ranges);
    q->means = calloc((size_t)count + 1, sizeof *q->means);
    if (r == 0 && !q->means)
        r = nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    for (int i = 0; i < count && r == 0; i++) {
        /* No plan has checked what reads it, where that is needed by no output. */
        enum nn_type type = watch_tensor(&q->seen, i)->type;
        if (type != NN_TYPE_FLOAT)
            r = nn_error_set(err, -EINVAL, "'%.80s' is %s; what a product reads is float32",
                             q->model->values[values[i]].name, nn_type_name(type));
        else if (i < q->range_count && (!q->ranges || nn_range_init(&q->ranges[i]) < 0))
            r = nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    }
    return r;
}

static void close_seen(struct nn_quantizer *q)
{
    for (int i = 0; q->ranges && i < q->range_count; i++)
        nn_range_finish(&q->ranges[i]);
    for (int i = 0; q->means && i < q->seen.count; i++)
        free(q->means[i].sums);
    free(q->ranges);
    free(q->means);
    watch_close(&q->seen);
}

int nn_quantizer_create(const void *data, size_t size,
                        const struct nn_quantize_options *options,
                        struct nn_quantizer **ret_quantizer, struct nn_error *err)
{
    if (!(options->percentile >= 50 && options->percentile <= 100))
        return nn_error_set(err, -EINVAL, "a percentile of %g is not in 50 to 100",
                            options->percentile);
    struct nn_quantizer *q = calloc(1, sizeof *q);
    if (!q)
        return nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    q->percentile = options->percentile;
    nn_pool_init(&q->draft.pool, 0);
    nn_pool_init(&q->after.pool, 0);
    int r = prepare(q, data, size, options->input_shapes, options->limit_bytes, err);
    if (r == 0)
        r = nn_quantize_choose(q, options->keep, err);
    if (r == 0)
        r = open_seen(q, err);
    if (r < 0)
        nn_quantizer_destroy(q);
    else
        *ret_quantizer = q;
    return r;
}

void nn_quantizer_destroy(struct nn_quantizer *q)
{
    if (!q)
        return;
    watch_close(&q->before_layers);
    watch_close(&q->after_layers);
    close_seen(q);
    nn_draft_finish(&q->after);
    nn_draft_finish(&q->draft);
    nn_view_finish(&q->view);
    nn_model_unref(q->model);
    free(q->input_shapes);
    free(q->role);
    free(q->wanted);
    free(q->group);
    free(q->layers);
    free(q->layer_nodes);
    free(q);
}

/* --- using -------------------------------------------------------------------------------- */

size_t nn_quantizer_input_count(const struct nn_quantizer *q)
{
    return (size_t)q->input_count;
}

const struct nn_tensor *nn_quantizer_input(struct nn_quantizer *q, size_t index)
{
    return nn_session_input(q->seen.session, index);
}

static int add_range(struct nn_quantizer *q, int index, const struct nn_tensor *tensor,
                     struct nn_error *err)
{
    int value = q->seen.values[index], producer = q->view.producer[value];
    int r =
        nn_range_add(&q->ranges[index], tensor->data, (size_t)nn_shape_count(&tensor->shape));
    if (r < 0)
        nn_error_set(err, r, "%s '%.80s' gives what is no finite number",
                     producer < 0 ? "input" : "node",
                     producer < 0 ? q->model->values[value].name
                                  : q->model->nodes[producer].name);
    return r;
}

int nn_quantizer_observe(struct nn_quantizer *q, struct nn_error *err)
{
    int r = nn_session_run(q->seen.session, err);
    for (int i = 0; i < q->seen.count && r == 0; i++) {
        const struct nn_tensor *tensor = watch_tensor(&q->seen, i);
        if (i < q->range_count)
            r = add_range(q, i, tensor, err);
        if (r == 0 && tensor->shape.rank > 2 && nn_mean_add(&q->means[i], tensor) < 0)
            r = nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    }
    return r;
}

int nn_quantizer_write(struct nn_quantizer *q, void **ret_data, size_t *ret_size,
                       struct nn_error *err)
{
    if (!q->ranges || q->ranges[0].count == 0)
        return nn_error_set(err, -EINVAL, "nothing was observed to take ranges from");
    watch_close(&q->after_layers);
    nn_draft_finish(&q->after);
    int r = nn_draft_copy(&q->after, &q->draft, err);
    if (r == 0)
        r = nn_quantize_emit(q, &q->after, err);
    q->written = r == 0;
    return r < 0 ? r : nn_draft_pack(&q->after, ret_data, ret_size, err);
}

/* The outputs of all layers, of one of both networks. */
static int open_layers(struct nn_quantizer *q, struct nn_watch *watch,
                       const struct nn_draft *draft, struct nn_error *err)
{
    if (watch->session)
        return 0;
    watch_close(watch); /* of a call that failed */
    int *values = calloc((size_t)q->layer_count + 1, sizeof *values);
    for (int i = 0; values && i < q->layer_count; i++)
        values[i] = q->model->nodes[q->layer_nodes[i]].outputs[0];
    return watch_open(watch, q, draft, values, q->layer_count, err);
}

static int run_layers(struct nn_quantizer *q, struct nn_watch *watch, struct nn_error *err)
{
    for (int i = 0; i < q->input_count; i++) {
        const struct nn_tensor *from = nn_session_input(q->seen.session, (size_t)i);
        const struct nn_tensor *to = nn_session_input(watch->session, (size_t)i);
        size_t bytes = nn_tensor_bytes(from);
        if (bytes > 0)
            memcpy(to->data, from->data, bytes);
    }
    return nn_session_run(watch->session, err);
}

static void add_difference(struct nn_quantize_layer *layer, const struct nn_tensor *before,
                           const struct nn_tensor *after)
{
    const float *a = before->data, *b = after->data;
    if (before->type != NN_TYPE_FLOAT || !nn_shape_equal(&before->shape, &after->shape))
        return;
    for (int64_t i = 0; i < nn_shape_count(&before->shape); i++) {
        layer->signal += (double)a[i] * a[i];
        layer->noise += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
}

int nn_quantizer_compare(struct nn_quantizer *q, struct nn_error *err)
{
    if (!q->written)
        return nn_error_set(err, -EINVAL, "there is no quantised model to compare");
    int r = open_layers(q, &q->before_layers, &q->draft, err);
    if (r == 0)
        r = open_layers(q, &q->after_layers, &q->after, err);
    if (r == 0)
        r = run_layers(q, &q->before_layers, err);
    if (r == 0)
        r = run_layers(q, &q->after_layers, err);
    for (int i = 0; i < q->layer_count && r == 0; i++)
        add_difference(&q->layers[i], watch_tensor(&q->before_layers, i),
                       watch_tensor(&q->after_layers, i));
    return r;
}

size_t nn_quantizer_layer_count(const struct nn_quantizer *q)
{
    return (size_t)q->layer_count;
}

const struct nn_quantize_layer *nn_quantizer_layer(const struct nn_quantizer *q, size_t index)
{
    return &q->layers[index];
}

void nn_quantizer_opset(const struct nn_quantizer *q, int *ret_from, int *ret_to)
{
    *ret_from = q->opset_before;
    *ret_to = q->draft.opset;
}
