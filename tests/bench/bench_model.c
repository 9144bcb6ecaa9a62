/* vigil's side of a comparison with another engine: one model, run on request.
 *
 *     bench_model [--stream] [--fast] [--threads=N] FILE.onnx
 *
 * Writes a line of JSON about the model, or {"error": ...} and ends. Then reads the bytes of
 * all inputs, in the model's order, and answers requests, a line each:
 *
 *     runs N      N runs, each with its input copied in and its outputs copied out: [ms, ...]
 *     outputs     the outputs of the last run: [[...], ...]
 *
 * With --stream a run is one frame of a stream in which every frame completes a window: the
 * frames of the given window come again and again, in order.
 *
 * --fast lets the plan store dense weights in fewer bits (NN_PRECISION_FAST), --threads splits
 * a run over N threads.
 *
 * The floor in the first line is what no program could go below on this processor with such
 * arithmetic: for each layer the longer of its arithmetic at the measured peak and its weights
 * at the measured bandwidth. A 3x3 convolution of stride 1 is counted as Winograd's F(4,3), a
 * quarter of the products; what transforms cost, and all that is no product, is left out. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/graph.h"
#include "nn/kernels/kernels.h"
#include "nn/pages.h"
#include "nn/session.h"
#include "tests/file.h"

struct side {
    struct nn_model *model;
    struct nn_plan *plan;
    struct nn_session *session;
    struct nn_plan_info info;
    size_t inputs, outputs;
    void **given, **taken; /* inputs as they came, outputs of the last run */
    bool stream;
    enum nn_precision precision;
    int threads;
    size_t frame; /* of the next push, in the given window */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *must_have(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void print_json(json_t *value)
{
    char *text = must_have(json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)));
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(value);
}

static int fail(const char *text)
{
    print_json(json_pack("{s:s}", "error", text));
    return 1;
}

/* The floor. */

/* Of our own product of matrices in the first two caches. Short pieces and many, here and
 * below: on a busy machine some are left in peace. */
static double peak_flops(const struct nn_kernels *k)
{
    enum { ROWS = 64, DEPTH = 2 * NN_PANEL_DEPTH, RUNS = 2000 };
    float *x = must_have(calloc(DEPTH * (ROWS + NN_PANEL_COLUMNS), sizeof *x));
    float *y = must_have(calloc(ROWS * NN_PANEL_COLUMNS, sizeof *y));
    const struct nn_panel panel = {.y = y,
                                   .x = x,
                                   .weight = x + ROWS * DEPTH,
                                   .rows = ROWS,
                                   .depth = DEPTH,
                                   .columns = NN_PANEL_COLUMNS,
                                   .x_step = DEPTH,
                                   .y_step = NN_PANEL_COLUMNS};
    double best = 1e300;
    for (int i = 0; i < RUNS; i++) {
        double before = now_ms();
        k->panel(&panel);
        double took = now_ms() - before;
        best = took < best ? took : best;
    }
    free(x);
    free(y);
    return 2.0 * ROWS * DEPTH * NN_PANEL_COLUMNS / (best / 1e3);
}

/* Bytes a second of reading what has the size of the model's weights over and over, so that
 * they come from the cache they fit into. */
static double read_bandwidth(const struct nn_kernels *k, size_t bytes)
{
    enum { RUNS = 20, PIECE = 1 << 20 };
    size_t size = bytes + NN_HUGE_PAGE, count = bytes / sizeof(float) + 1024;
    float *weights = must_have(
        aligned_alloc(NN_HUGE_PAGE, size / NN_HUGE_PAGE * NN_HUGE_PAGE + NN_HUGE_PAGE));
    nn_pages_prefer_huge(weights, size);
    for (size_t i = 0; i < count; i++)
        weights[i] = 1;
    volatile float sum = 0;
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        for (size_t at = 0; at < count; at += PIECE) {
            size_t n = count - at < PIECE ? count - at : PIECE;
            double before = now_ms();
            sum = k->sum(weights + at, n);
            double rate = (double)(n * sizeof *weights) / (now_ms() - before) * 1e3;
            /* The clock is too coarse for the end of the last piece. */
            best = rate > best && (n == PIECE || count < PIECE) ? rate : best;
        }
    }
    (void)sum;
    free(weights);
    return best;
}

static bool all_one(const struct nn_attribute *a)
{
    for (int i = 0; a && i < a->count; i++)
        if (a->ints[i] != 1)
            return false;
    return true;
}

/* Whether Winograd's F(4,3) computes this convolution. */
static bool has_winograd(const struct nn_model *model, const struct nn_node *node)
{
    if (strcmp(node->op->name, "Conv") != 0 || nn_node_int(node, "group", 1) != 1)
        return false;
    const struct nn_shape *w = &model->values[node->inputs[1]].declared.shape;
    return w->rank == 4 && w->dim[2] == 3 && w->dim[3] == 3 &&
           all_one(nn_node_attribute(node, "strides")) &&
           all_one(nn_node_attribute(node, "dilations"));
}

static double counted_macs(const struct side *s, const struct nn_plan_layer *layer)
{
    for (int i = 0; i < s->model->node_count; i++) {
        const struct nn_node *node = &s->model->nodes[i];
        if (strcmp(node->name, layer->name) == 0 && has_winograd(s->model, node))
            return layer->macs / 4;
    }
    return layer->macs + layer->frame_macs;
}

static json_t *describe_floor(const struct side *s)
{
    const struct nn_kernels *k = nn_kernels_best();
    double macs = 0, counted = 0, bytes = 0, floor_ms = 0;
    for (size_t i = 0; i < nn_plan_layer_count(s->plan); i++)
        bytes += (double)nn_plan_layer(s->plan, i)->parameters * sizeof(float);
    double peak = peak_flops(k), bandwidth = read_bandwidth(k, (size_t)bytes);
    for (size_t i = 0; i < nn_plan_layer_count(s->plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(s->plan, i);
        double own = counted_macs(s, layer), arithmetic = 2 * own / peak;
        double reading = (double)layer->parameters * sizeof(float) / bandwidth;
        macs += layer->macs + layer->frame_macs;
        counted += own;
        floor_ms += 1e3 * (arithmetic > reading ? arithmetic : reading);
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "macs", macs, "counted_macs", counted,
                     "weight_bytes", bytes, "peak_gflops", peak / 1e9, "read_gbytes",
                     bandwidth / 1e9, "ms", floor_ms);
}

/* The model. */

static int prepare(struct side *s, const char *path, struct nn_error *err)
{
    size_t size = 0;
    void *data = file_whole(path, &size);
    if (!data)
        return nn_error_set(err, -EINVAL, "%s cannot be read", path);
    int r = nn_model_load(data, size, &s->model, err);
    free(data);
    const struct nn_plan_options options = {
        .time_axis = s->stream ? 1 : -1, .precision = s->precision, .threads = s->threads};
    if (r == 0)
        r = nn_plan_create(s->model, &options, &s->plan, err);
    if (r == 0)
        r = nn_session_create(s->plan, &s->session, err);
    if (r < 0)
        return r;
    nn_plan_describe(s->plan, &s->info);
    s->inputs = nn_model_input_count(s->model);
    s->outputs = nn_model_output_count(s->model);
    s->given = must_have(calloc(s->inputs + 1, sizeof *s->given));
    s->taken = must_have(calloc(s->outputs + 1, sizeof *s->taken));
    for (size_t i = 0; i < s->inputs; i++)
        s->given[i] =
            must_have(calloc(1, nn_tensor_bytes(nn_session_input(s->session, i)) + 1));
    for (size_t i = 0; i < s->outputs; i++)
        s->taken[i] =
            must_have(calloc(1, nn_tensor_bytes(nn_session_output(s->session, i)) + 1));
    return 0;
}

static void describe(const struct side *s)
{
    json_t *inputs = json_array();
    for (size_t i = 0; i < s->inputs; i++) {
        const struct nn_tensor *t = nn_session_input(s->session, i);
        json_t *shape = json_array();
        for (int d = 0; d < t->shape.rank; d++)
            json_array_append_new(shape, json_integer(t->shape.dim[d]));
        json_array_append_new(inputs, json_pack("{s:s, s:s, s:o}", "name",
                                                nn_plan_input(s->plan, i)->name, "type",
                                                nn_type_name(t->type), "shape", shape));
    }
    json_t *outputs = json_array();
    for (size_t i = 0; i < s->outputs; i++)
        json_array_append_new(outputs, json_string(nn_plan_output(s->plan, i)->name));
    print_json(json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:f}", "kernels", s->info.kernels,
                         "inputs", inputs, "outputs", outputs, "floor", describe_floor(s),
                         "arena_bytes", (json_int_t)s->info.arena_bytes, "packed_bytes",
                         (json_int_t)s->info.weight_bytes, "weight_error",
                         s->info.weight_error));
}

/* Running. */

static int push_next(struct side *s, struct nn_error *err)
{
    size_t bytes = s->info.frame_elements * sizeof(float);
    memcpy(nn_session_frame_buffer(s->session), (char *)s->given[0] + s->frame * bytes, bytes);
    s->frame = (s->frame + 1) % (size_t)s->info.window;
    return nn_session_push_frame(s->session, err);
}

static int run_once(struct side *s, struct nn_error *err)
{
    int r = 0;
    for (size_t i = s->stream ? 1 : 0; i < s->inputs; i++) {
        const struct nn_tensor *t = nn_session_input(s->session, i);
        memcpy(t->data, s->given[i], nn_tensor_bytes(t));
    }
    if (s->stream) {
        do
            r = push_next(s, err);
        while (r == 0 && nn_session_frames(s->session) < s->info.window);
    }
    if (r == 0)
        r = s->stream ? nn_session_run_window(s->session, err)
                      : nn_session_run(s->session, err);
    for (size_t i = 0; i < s->outputs && r == 0; i++) {
        const struct nn_tensor *t = nn_session_output(s->session, i);
        memcpy(s->taken[i], t->data, nn_tensor_bytes(t));
    }
    return r;
}

static int answer_runs(struct side *s, int runs)
{
    json_t *times = json_array();
    for (int i = 0; i < runs; i++) {
        struct nn_error err;
        double before = now_ms();
        int r = run_once(s, &err);
        double took = now_ms() - before;
        if (r < 0) {
            json_decref(times);
            return fail(err.text);
        }
        json_array_append_new(times, json_real(took));
    }
    print_json(times);
    return 0;
}

/* A stream stands at the end of the given window when its next frame is the first. */
static int answer_outputs(struct side *s)
{
    struct nn_error err;
    while (s->stream && s->frame != 0)
        if (run_once(s, &err) < 0)
            return fail(err.text);
    json_t *all = json_array();
    for (size_t i = 0; i < s->outputs; i++) {
        const struct nn_tensor *t = nn_session_output(s->session, i);
        json_t *values = json_array();
        const float *from = s->taken[i];
        for (int64_t n = 0; t->type == NN_TYPE_FLOAT && n < nn_shape_count(&t->shape); n++)
            json_array_append_new(values, json_real((double)from[n]));
        json_array_append_new(all, values);
    }
    print_json(all);
    return 0;
}

static int serve(struct side *s)
{
    for (size_t i = 0; i < s->inputs; i++) {
        size_t bytes = nn_tensor_bytes(nn_session_input(s->session, i));
        if (bytes > 0 && fread(s->given[i], bytes, 1, stdin) != 1)
            return fail("the inputs end early");
    }
    char line[64];
    int r = 0, runs;
    while (r == 0 && fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "runs %d", &runs) == 1)
            r = answer_runs(s, runs);
        else if (strcmp(line, "outputs\n") == 0)
            r = answer_outputs(s);
        else
            r = fail("a request is 'runs N' or 'outputs'");
    }
    return r;
}

int main(int argc, char **argv)
{
    struct side s = {0};
    struct nn_error err;
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--stream") == 0)
            s.stream = true;
        else if (strcmp(argv[at], "--fast") == 0)
            s.precision = NN_PRECISION_FAST;
        else if (strncmp(argv[at], "--threads=", 10) == 0)
            s.threads = atoi(argv[at] + 10);
        else
            return fail("the options are --stream, --fast and --threads");
    }
    if (at + 1 != argc)
        return fail("give one ONNX file");
    int r = prepare(&s, argv[at], &err);
    if (r < 0) {
        r = fail(err.text);
    } else {
        describe(&s);
        r = serve(&s);
    }
    for (size_t i = 0; i < s.inputs && s.given; i++)
        free(s.given[i]);
    for (size_t i = 0; i < s.outputs && s.taken; i++)
        free(s.taken[i]);
    free(s.given);
    free(s.taken);
    nn_session_destroy(s.session);
    nn_plan_unref(s.plan);
    nn_model_unref(s.model);
    return r;
}
