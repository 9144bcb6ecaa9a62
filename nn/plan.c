#include "nn/plan_parts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/kernels/kernels.h"
#include "nn/packed_file.h"
#include "nn/rewindow.h"
#include "nn/threads.h"

#define DEFAULT_LIMIT_BYTES ((size_t)1 << 30)

/* `time`: an axis whose extent is `window`, whatever the model declares; -1: none. */
static int input_shape(const struct nn_value_info *info, const struct nn_shape *given, int time,
                       int window, struct nn_shape *ret_shape, struct nn_error *err)
{
    struct nn_shape shape = given ? *given : info->shape;
    if (given && given->rank != info->shape.rank)
        return nn_error_set(err, -EINVAL, "input '%.80s' has %d dimensions, not %d", info->name,
                            info->shape.rank, given->rank);
    for (int d = 0; d < shape.rank; d++) {
        if (d == time) {
            shape.dim[d] = window;
            continue;
        }
        if (!given && d == 0 && shape.dim[d] == NN_DIM_DYNAMIC)
            shape.dim[d] = 1;
        if (shape.dim[d] < 0)
            return nn_error_set(err, -EINVAL,
                                "input '%.80s': dimension %d is open, give a shape", info->name,
                                d);
        if (info->shape.dim[d] != NN_DIM_DYNAMIC && info->shape.dim[d] != shape.dim[d] &&
            !(given && d == 0))
            return nn_error_set(
                err, -EINVAL, "input '%.80s': dimension %d is %lld in the model, not %lld",
                info->name, d, (long long)info->shape.dim[d], (long long)shape.dim[d]);
    }
    *ret_shape = shape;
    return 0;
}

/* An input that the caller fixed becomes a constant of the plan. */
static int fix_input(struct nn_planner *p, int value, const struct nn_value_info *info,
                     const struct nn_tensor *given)
{
    if (given->type != info->type || !nn_shape_equal(&given->shape, &info->shape))
        return nn_error_set(p->err, -EINVAL, "the value of input '%.80s' has another shape",
                            info->name);
    size_t bytes = nn_tensor_bytes(given);
    void *copy = nn_pool_alloc(p->pool, bytes);
    if (!copy)
        return nn_planner_no_memory(p);
    memcpy(copy, given->data, bytes);
    p->values[value].tensor.data = copy;
    p->values[value].place = (struct nn_place){.kind = NN_PLACE_CONSTANT, .constant = copy};
    return 0;
}

/* Types, shapes and places of the inputs, one behind the other. */
static int plan_inputs(struct nn_plan *plan, struct nn_planner *p,
                       const struct nn_plan_options *options, size_t limit)
{
    const struct nn_model *m = p->model;
    plan->inputs = nn_pool_array(&plan->pool, (size_t)m->input_count, sizeof *plan->inputs);
    plan->input_places =
        nn_pool_array(&plan->pool, (size_t)m->input_count, sizeof *plan->input_places);
    if (!plan->inputs || !plan->input_places)
        return nn_planner_no_memory(p);
    plan->input_count = m->input_count;
    for (int i = 0; i < m->input_count; i++) {
        struct nn_value_info *info = &plan->inputs[i];
        *info = m->input_info[i];
        const struct nn_shape *given = options->input_shapes ? &options->input_shapes[i] : NULL;
        int time = i == 0 && options->window > 0 ? options->time_axis : -1;
        int r =
            input_shape(&m->input_info[i], given, time, options->window, &info->shape, p->err);
        if (r < 0)
            return r;
        int64_t count = nn_shape_count(&info->shape);
        size_t bytes = nn_arena_aligned((size_t)count * nn_type_size(info->type));
        if (count < 0 || count > INT32_MAX || bytes > limit - plan->input_bytes)
            return nn_error_set(p->err, -E2BIG, "input '%.80s' is too large", info->name);
        plan->input_places[i] =
            (struct nn_place){.kind = NN_PLACE_INPUT, .offset = plan->input_bytes};
        plan->input_bytes += bytes;
        p->values[m->inputs[i]].tensor.type = info->type;
        p->values[m->inputs[i]].tensor.shape = info->shape;
        p->values[m->inputs[i]].place = plan->input_places[i];
        if (options->input_values && options->input_values[i].data)
            r = fix_input(p, m->inputs[i], info, &options->input_values[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_time_axis(struct nn_plan *plan, const struct nn_plan_options *options,
                           struct nn_error *err)
{
    const struct nn_value_info *input = plan->input_count > 0 ? &plan->inputs[0] : NULL;
    int axis = options->time_axis;
    if (!input)
        return nn_error_set(err, -EINVAL, "a model without inputs has no time axis");
    if (axis >= input->shape.rank)
        return nn_error_set(err, -EINVAL, "input '%.80s' has %d dimensions, no time axis %d",
                            input->name, input->shape.rank, axis);
    if (input->type != NN_TYPE_FLOAT)
        return nn_error_set(err, -ENOTSUP, "frames are float32, input '%.80s' is %s",
                            input->name, nn_type_name(input->type));
    if (nn_shape_count(&input->shape) == 0)
        return nn_error_set(err, -EINVAL, "input '%.80s' is empty", input->name);
    if (options->input_values && options->input_values[0].data)
        return nn_error_set(err, -EINVAL, "input '%.80s' is the frames, not a constant",
                            input->name);
    plan->time_axis = axis;
    plan->frames = (int)input->shape.dim[axis];
    plan->frame_elements = (size_t)(nn_shape_count(&input->shape) / plan->frames);
    plan->frame_offset = plan->input_bytes;
    plan->input_bytes += nn_arena_aligned(plan->frame_elements * sizeof(float));
    return 0;
}

/* One program over the nodes of one side of the cut. Its values are a copy: shapes, places and
 * reads belong to that side. */
static int build_program(struct nn_planner *p, bool frame, const struct nn_place *frame_input,
                         size_t limit, struct nn_plan_value **ret_values,
                         struct nn_program *ret_program)
{
    size_t count = (size_t)p->value_count;
    struct nn_plan_value *values = nn_pool_array(&p->scratch, count, sizeof *values);
    const struct nn_plan_node **nodes =
        nn_pool_array(&p->scratch, (size_t)p->node_count, sizeof *nodes);
    if (!values || !nodes)
        return nn_planner_no_memory(p);
    memcpy(values, p->values, count * sizeof *values);
    int node_count = 0;
    for (int i = 0; i < p->node_count; i++) {
        if (p->in_frame && p->in_frame[i] != frame)
            continue;
        nodes[node_count++] = p->nodes[i];
        for (int j = 0; j < p->nodes[i]->input_count; j++)
            if (p->nodes[i]->inputs[j] != NN_VALUE_NONE)
                values[p->nodes[i]->inputs[j]].reads++;
    }
    if (frame) {
        for (size_t v = 0; v < count; v++)
            values[v].tensor = nn_planner_frame_tensor(p, (int)v);
        for (int i = 0; i < p->crossing_count; i++)
            values[p->crossing[i]].reads++;
        values[p->model->inputs[0]].place = *frame_input;
    } else {
        for (int i = 0; i < p->crossing_count; i++)
            values[p->crossing[i]].place = (struct nn_place){0};
        for (int i = 0; i < p->model->output_count; i++)
            values[p->model->outputs[i]].reads++;
    }
    struct nn_program_parts parts = {
        .nodes = nodes,
        .node_count = node_count,
        .values = values,
        .value_count = p->value_count,
        .sources = p->crossing,
        .source_count = frame ? 0 : p->crossing_count,
        .opset = p->model->opset,
        .kernels = p->kernels,
        .precision = p->precision,
        .threads = p->threads,
        .pool = p->pool,
        .constants = p->constants,
        .layers = p->layers,
        .arena_limit_bytes = limit,
        .err = p->err,
    };
    *ret_values = values;
    return nn_program_build(&parts, ret_program);
}

static int plan_rings(struct nn_plan *plan, struct nn_planner *p, size_t limit,
                      const struct nn_plan_value *in_frame,
                      const struct nn_plan_value *in_window)
{
    plan->rings = nn_pool_array(&plan->pool, (size_t)p->crossing_count, sizeof *plan->rings);
    if (!plan->rings)
        return nn_planner_no_memory(p);
    for (int i = 0; i < p->crossing_count; i++) {
        int value = p->crossing[i];
        const struct nn_tensor *piece = &in_frame[value].tensor;
        int axis = p->axis[value];
        struct nn_ring *ring = &plan->rings[plan->ring_count++];
        *ring = (struct nn_ring){
            .from = in_frame[value].place,
            .to = in_window[value].place,
            .before = (size_t)nn_shape_extent(&piece->shape, 0, axis),
            .piece_bytes = (size_t)nn_shape_extent(&piece->shape, axis, piece->shape.rank) *
                           nn_type_size(piece->type),
            .offset = plan->ring_bytes,
        };
        /* Fits: the whole value is in the arena of the window program. */
        plan->ring_bytes +=
            nn_arena_aligned(ring->before * ring->piece_bytes * (size_t)plan->frames);
        if (plan->ring_bytes > limit)
            return nn_error_set(p->err, -E2BIG, "one window of features needs over %zu MiB",
                                limit >> 20);
    }
    return 0;
}

static int plan_outputs(struct nn_plan *plan, struct nn_planner *p,
                        const struct nn_plan_value *values)
{
    const struct nn_model *m = p->model;
    plan->outputs = nn_pool_array(&plan->pool, (size_t)m->output_count, sizeof *plan->outputs);
    plan->output_places =
        nn_pool_array(&plan->pool, (size_t)m->output_count, sizeof *plan->output_places);
    plan->output_made_by =
        nn_pool_array(&plan->pool, (size_t)m->output_count, sizeof *plan->output_made_by);
    if (!plan->outputs || !plan->output_places || !plan->output_made_by)
        return nn_planner_no_memory(p);
    plan->output_count = m->output_count;
    for (int i = 0; i < m->output_count; i++) {
        const struct nn_plan_value *value = &values[m->outputs[i]];
        plan->outputs[i] = (struct nn_value_info){.name = m->output_info[i].name,
                                                  .type = value->tensor.type,
                                                  .shape = value->tensor.shape,
                                                  .late = value->tensor.late};
        plan->output_places[i] = value->place;
        plan->output_made_by[i] = value->made_by;
    }
    return 0;
}

static int plan_programs(struct nn_plan *plan, struct nn_planner *p, size_t limit)
{
    struct nn_plan_value *in_frame = NULL, *in_window = NULL;
    struct nn_place frame_input = {.kind = NN_PLACE_INPUT, .offset = plan->frame_offset};
    int r = 0;
    if (plan->frames > 0)
        r = build_program(p, true, &frame_input, limit, &in_frame, &plan->frame);
    if (r == 0)
        r = build_program(p, false, NULL, limit, &in_window, &plan->window);
    if (r == 0 && plan->frames > 0)
        r = plan_rings(plan, p, limit, in_frame, in_window);
    if (r == 0)
        r = plan_outputs(plan, p, in_window);
    plan->arena_bytes = plan->frame.arena_bytes > plan->window.arena_bytes
                            ? plan->frame.arena_bytes
                            : plan->window.arena_bytes;
    return r;
}

/* The planner's values, the plan's inputs, and what follows from both. */
static int trace_plan(struct nn_plan *plan, struct nn_planner *p,
                      const struct nn_plan_options *options, size_t limit)
{
    const struct nn_model *m = p->model;
    p->value_count = p->value_capacity = m->value_count;
    p->values = nn_pool_array(&p->scratch, (size_t)p->value_capacity, sizeof *p->values);
    if (!p->values)
        return nn_planner_no_memory(p);
    for (int i = 0; i < m->value_count; i++)
        if (m->values[i].declared.data)
            p->values[i] = (struct nn_plan_value){
                .tensor = m->values[i].declared,
                .place = {.kind = NN_PLACE_CONSTANT, .constant = m->values[i].declared.data}};

    int r = plan_inputs(plan, p, options, limit);
    if (r == 0 && options->time_axis >= 0)
        r = check_time_axis(plan, options, p->err);
    return r < 0 ? r : nn_trace(p);
}

static int make_plan(struct nn_plan *plan, struct nn_planner *p,
                     const struct nn_plan_options *options, size_t limit)
{
    const struct nn_model *m = p->model;
    int r = trace_plan(plan, p, options, limit);
    if (r == 0 && p->rewindow)
        r = nn_rewindow_check(p->rewindow, p);
    if (r == 0)
        r = nn_layers_list(p);
    p->frames = plan->frames;
    if (r == 0 && p->rewrites)
        r = nn_recognise(p);
    if (r == 0 && p->rewrites)
        r = nn_fuse(p);
    if (r == 0 && p->rewrites)
        r = nn_qdq(p);
    if (r == 0 && p->rewrites)
        r = nn_siblings_merge(p);
    if (r == 0 && plan->frames > 0)
        r = nn_cut_time(p, m->inputs[0], plan->time_axis);
    if (r == 0)
        nn_layers_settle(p);
    plan->layers = p->layers;
    plan->layer_count = p->layer_count;
    if (r == 0)
        r = plan_programs(plan, p, limit);
    for (int i = 0; i < p->node_count && r == 0; i++) {
        if (p->in_frame && p->in_frame[i])
            plan->frame_nodes++;
        else
            plan->window_nodes++;
    }
    return r;
}

static int start_plan(struct nn_model *model, size_t limit, struct nn_plan **ret_plan,
                      struct nn_error *err)
{
    struct nn_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return nn_error_set(err, -ENOMEM, "no memory for a plan");
    atomic_init(&plan->references, 1);
    pthread_mutex_init(&plan->starting, NULL);
    plan->model = nn_model_ref(model);
    nn_pool_init(&plan->pool, limit);
    plan->constants =
        (struct nn_constants){.model = model, .packed = model->packed, .pool = &plan->pool};
    *ret_plan = plan;
    return 0;
}

/* Which numbers of the model are its number of frames, from a plan at that number. */
static int survey(struct nn_model *model, const struct nn_plan_options *options, int64_t own,
                  size_t limit, struct nn_rewindow *rewindow, struct nn_error *err)
{
    struct nn_plan *plan = NULL;
    int r = start_plan(model, limit, &plan, err);
    if (r < 0)
        return r;
    struct nn_plan_options at_own = *options;
    at_own.window = (int)own;
    struct nn_planner planner = {.model = model,
                                 .kernels = nn_kernels_scalar(),
                                 .pool = &plan->pool,
                                 .constants = &plan->constants,
                                 .err = err};
    nn_pool_init(&planner.scratch, DEFAULT_LIMIT_BYTES);
    r = trace_plan(plan, &planner, &at_own, limit);
    if (r == 0)
        r = nn_cut_time(&planner, model->inputs[0], options->time_axis);
    if (r == 0)
        r = nn_rewindow_init(rewindow, options->window, &planner);
    nn_pool_finish(&planner.scratch);
    nn_plan_unref(plan);
    return r;
}

/* The extent the model itself declares for the time axis; 0: open, or there is none. */
static int64_t own_window(const struct nn_model *model, const struct nn_plan_options *options)
{
    if (options->time_axis < 0 || model->input_count == 0 ||
        options->time_axis >= model->input_info[0].shape.rank)
        return 0;
    int64_t own = model->input_info[0].shape.dim[options->time_axis];
    return own > 0 && own <= INT32_MAX ? own : 0;
}

/* The weights of a packed model are those of its own kernels, precision and window. Those of
 * the reference are never packed: they belong to the graph as it is written. */
static int check_packed(const struct nn_packed *packed, const struct nn_kernels *kernels,
                        bool reference, enum nn_precision precision, bool other_window,
                        struct nn_error *err)
{
    if (packed && reference)
        return nn_error_set(err, -ENOTSUP,
                            "a packed model does not run with reference kernels");
    if (packed && other_window)
        return nn_error_set(err, -ENOTSUP, "a packed model runs with its own window only");
    if (packed && strcmp(nn_packed_kernels(packed), kernels->name) != 0)
        return nn_error_set(err, -ENOTSUP, "a model packed for %s does not run with %s kernels",
                            nn_packed_kernels(packed), kernels->name);
    if (packed && nn_packed_precision(packed) != precision)
        return nn_error_set(err, -ENOTSUP, "a model packed as %s does not run as %s",
                            nn_precision_names[nn_packed_precision(packed)],
                            nn_precision_names[precision]);
    return 0;
}

/* More threads than processors would wait for each other. */
static int count_threads(const struct nn_plan_options *options, int *ret_threads,
                         struct nn_error *err)
{
    int threads = options->threads, processors = nn_threads_processors();
    if (threads < 0 || threads > NN_PLAN_THREADS_MAX)
        return nn_error_set(err, -EINVAL, "a run has 1 to %d threads, not %d",
                            NN_PLAN_THREADS_MAX, threads);
    threads = threads < processors ? threads : processors;
    *ret_threads = threads > 1 ? threads : 1;
    return 0;
}

int nn_plan_create(struct nn_model *model, const struct nn_plan_options *options,
                   struct nn_plan **ret_plan, struct nn_error *err)
{
    static const struct nn_plan_options defaults = {.time_axis = -1};
    if (!options)
        options = &defaults;
    size_t limit = options->limit_bytes ? options->limit_bytes : DEFAULT_LIMIT_BYTES;
    int64_t own = own_window(model, options);
    bool other_window = options->window > 0 && own > 0 && options->window != own;
    struct nn_rewindow rewindow = {.frames = 0};
    struct nn_plan *plan = NULL;
    bool reference = options->kernels == NN_KERNELS_REFERENCE;
    const struct nn_kernels *kernels = reference ? nn_kernels_scalar() : nn_kernels_best();
    /* The reference kernels are what others are compared with. */
    enum nn_precision precision = reference ? NN_PRECISION_FP32 : options->precision;
    int threads = 1, r = count_threads(options, &threads, err);
    if (r == 0)
        r = check_packed(model->packed, kernels, reference, precision, other_window, err);
    if (r == 0 && other_window)
        r = survey(model, options, own, limit, &rewindow, err);
    if (r == 0)
        r = start_plan(model, limit, &plan, err);
    if (r == 0) {
        plan->kernels = kernels;
        plan->reference = reference;
        plan->precision = precision;
        plan->thread_count = threads;
        struct nn_planner planner = {.model = model,
                                     .kernels = plan->kernels,
                                     .precision = precision,
                                     .threads = threads,
                                     .rewrites = !reference,
                                     .rewindow = other_window ? &rewindow : NULL,
                                     .pool = &plan->pool,
                                     .constants = &plan->constants,
                                     .err = err};
        nn_pool_init(&planner.scratch, DEFAULT_LIMIT_BYTES);
        r = make_plan(plan, &planner, options, limit);
        nn_pool_finish(&planner.scratch);
    }
    nn_rewindow_finish(&rewindow);
    if (r < 0)
        nn_plan_unref(plan);
    else
        *ret_plan = plan;
    return r;
}

int nn_plan_start_threads(struct nn_plan *plan, struct nn_error *err)
{
    int r = 0;
    pthread_mutex_lock(&plan->starting);
    if (plan->thread_count > 1 && !plan->threads)
        r = nn_threads_create(plan->thread_count, &plan->threads);
    pthread_mutex_unlock(&plan->starting);
    return r < 0 ? nn_error_set(err, r, "%d threads cannot be started", plan->thread_count) : 0;
}

struct nn_plan *nn_plan_ref(struct nn_plan *plan)
{
    atomic_fetch_add(&plan->references, 1);
    return plan;
}

void nn_plan_unref(struct nn_plan *plan)
{
    if (!plan || atomic_fetch_sub(&plan->references, 1) > 1)
        return;
    nn_threads_destroy(plan->threads);
    pthread_mutex_destroy(&plan->starting);
    nn_pool_finish(&plan->pool);
    nn_constants_finish(&plan->constants);
    nn_model_unref(plan->model);
    free(plan);
}

const struct nn_value_info *nn_plan_input(const struct nn_plan *plan, size_t index)
{
    return &plan->inputs[index];
}

const struct nn_value_info *nn_plan_output(const struct nn_plan *plan, size_t index)
{
    return &plan->outputs[index];
}

static double weight_error(const struct nn_program *program)
{
    double worst = 0;
    for (int s = 0; s < program->step_count; s++)
        worst = fmax(worst, program->steps[s].call.weight_error);
    return worst;
}

void nn_plan_describe(const struct nn_plan *plan, struct nn_plan_info *ret_info)
{
    *ret_info = (struct nn_plan_info){
        .kernels = plan->kernels->name,
        .arena_bytes = nn_session_bytes(plan),
        .weight_bytes = plan->pool.used_bytes,
        .weight_error = fmax(weight_error(&plan->frame), weight_error(&plan->window)),
        .threads = plan->thread_count,
        .window = plan->frames,
        .frame_elements = plan->frame_elements,
        .frame_nodes = plan->frame_nodes,
        .window_nodes = plan->window_nodes,
    };
    for (int i = 0; i < plan->layer_count; i++) {
        ret_info->parameters += plan->layers[i].parameters;
        ret_info->parameter_bytes += plan->layers[i].parameter_bytes;
    }
}

size_t nn_plan_layer_count(const struct nn_plan *plan)
{
    return (size_t)plan->layer_count;
}

const struct nn_plan_layer *nn_plan_layer(const struct nn_plan *plan, size_t index)
{
    return &plan->layers[index];
}
