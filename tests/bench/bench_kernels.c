/* How fast convolutions run, one line for each shape: the method the plan chose, time, and
 * GFLOP/s in two ways. "direct" counts what the definition takes, two operations for each tap:
 * a comparison between methods. "done" counts what the method really multiplies and adds, and
 * is shown as a share of this core's measured peak: how good the kernel is.
 *
 *     bench_kernels [SECONDS] [PART]     SECONDS for all shapes (4); names that hold PART only
 *
 * Each time is the least of many runs, all shapes in turns, so that what else the machine does
 * meets them alike. VIGIL_KERNELS chooses the table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/kernels/kernels.h"
#include "nn/session.h"
#include "tests/nn/onnx_builder.h"

struct shape {
    const char *name;
    int64_t in, size, out, kernel, stride, pad, groups;
    bool pool; /* Relu always, then MaxPool 2×2 */
};

static const struct shape shapes[] = {
    {"224 net, layer 1", 3, 224, 32, 3, 1, 0, 1, true},
    {"224 net, layer 2", 32, 111, 64, 3, 1, 0, 1, true},
    {"224 net, layer 3", 64, 54, 128, 3, 1, 0, 1, true},
    {"64 net, layer 1", 3, 64, 32, 3, 1, 0, 1, true},
    {"64 net, layer 2", 32, 31, 64, 3, 1, 0, 1, true},
    {"64 net, layer 3", 64, 14, 128, 3, 1, 0, 1, true},
    {"28 net, layer 1", 1, 28, 32, 3, 1, 0, 1, true},
    {"28 net, layer 2", 32, 13, 64, 3, 1, 0, 1, true},
    {"28 net, layer 3", 64, 5, 64, 3, 1, 0, 1, false},
    {"3x3 64 of 56", 64, 56, 64, 3, 1, 1, 1, false},
    {"3x3 128 of 28", 128, 28, 128, 3, 1, 1, 1, false},
    {"3x3 256 of 14", 256, 14, 256, 3, 1, 1, 1, false},
    {"3x3 512 of 7", 512, 7, 512, 3, 1, 1, 1, false},
    {"SqueezeNet, first", 3, 224, 64, 3, 2, 0, 1, false},
    {"SqueezeNet, squeeze", 128, 55, 16, 1, 1, 0, 1, false},
    {"SqueezeNet, expand 1x1", 16, 55, 64, 1, 1, 0, 1, false},
    {"SqueezeNet, expand 3x3", 16, 55, 64, 3, 1, 1, 1, false},
    {"SqueezeNet, deep 3x3", 64, 13, 256, 3, 1, 1, 1, false},
    {"SqueezeNet, classes", 512, 13, 1000, 1, 1, 0, 1, false},
    {"FastestDet, 1x1 of 44", 24, 44, 24, 1, 1, 0, 1, false},
    {"FastestDet, 1x1 of 22", 48, 22, 48, 1, 1, 0, 1, false},
    {"FastestDet, 1x1 of 11", 96, 11, 96, 1, 1, 0, 1, false},
    {"FastestDet, depthwise", 48, 22, 48, 3, 1, 1, 48, false},
    {"FastestDet, depthwise /2", 24, 88, 24, 3, 2, 1, 24, false},
    {"FastestDet, depthwise 5x5", 96, 22, 96, 5, 1, 2, 96, false},
    {"YuNet, depthwise", 64, 80, 64, 3, 1, 1, 64, false},
    {"UltraFace, depthwise", 64, 40, 64, 3, 1, 1, 64, false},
    {"UltraFace, depthwise /2", 32, 80, 32, 3, 2, 1, 32, false},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

struct bench {
    const struct shape *shape;
    struct nn_model *model;
    struct nn_plan *plan;
    struct nn_session *session;
    double least;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(float *values, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)seed / 2147483648.0f;
    }
}

static void stop(const struct nn_error *err)
{
    fprintf(stderr, "bench_kernels: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static struct onnx_bytes build(const struct shape *s)
{
    struct onnx_dims weight = DIMS(s->out, s->in / s->groups, s->kernel, s->kernel);
    size_t floats = (size_t)(s->out * s->in / s->groups * s->kernel * s->kernel);
    float *values = malloc(floats * sizeof *values);
    if (!values)
        abort();
    fill(values, floats, 1);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, s->in, s->size, s->size));
    onnx_floats(&o, "w", weight, values);
    onnx_floats(&o, "b", DIMS(s->out), values);
    onnx_node(&o, "Conv", "x w b", "c");
    onnx_attribute_int(&o, "group", s->groups);
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){s->stride, s->stride});
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){s->pad, s->pad, s->pad, s->pad});
    onnx_node(&o, "Relu", "c", s->pool ? "r" : "y");
    if (s->pool) {
        onnx_node(&o, "MaxPool", "r", "y");
        onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
        onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    }
    onnx_output(&o, "y", 1, SCALAR);
    free(values);
    return onnx_finish(&o);
}

static void bench_init(struct bench *b, const struct shape *shape)
{
    struct nn_error err = {{0}};
    struct onnx_bytes bytes = build(shape);
    *b = (struct bench){.shape = shape, .least = INFINITY};
    if (nn_model_load(bytes.data, bytes.size, &b->model, &err) < 0 ||
        nn_plan_create(b->model, NULL, &b->plan, &err) < 0 ||
        nn_session_create(b->plan, &b->session, &err) < 0)
        stop(&err);
    free(bytes.data);
    const struct nn_tensor *x = nn_session_input(b->session, 0);
    fill(x->data, (size_t)nn_shape_count(&x->shape), 2);
}

static void bench_finish(struct bench *b)
{
    nn_session_destroy(b->session);
    nn_plan_unref(b->plan);
    nn_model_unref(b->model);
}

/* About a millisecond of runs, after one that fetches the weights. */
static void bench_round(struct bench *b)
{
    nn_session_run(b->session, NULL);
    double start = now(), last = start;
    while (last - start < 1e-3) {
        nn_session_run(b->session, NULL);
        double end = now();
        b->least = fmin(b->least, end - last);
        last = end;
    }
}

/* Operations that Winograd's products take. */
static double winograd_operations(const struct shape *s, int64_t m)
{
    int64_t out = s->size + 2 * s->pad - s->kernel + 1;
    int64_t tiles = ((s->pool ? out / 2 * 2 : out) + m - 1) / m;
    return 2.0 * (double)(tiles * tiles * (m + 2) * (m + 2) * s->in * s->out);
}

static void bench_print(const struct bench *b, double peak)
{
    const struct nn_plan_layer *layer = nn_plan_layer(b->plan, 0);
    double direct = 2 * layer->macs, done = direct;
    if (strstr(layer->method, "F(4,3)"))
        done = winograd_operations(b->shape, 4);
    else if (strstr(layer->method, "F(2,3)"))
        done = winograd_operations(b->shape, 2);
    const struct shape *s = b->shape;
    printf("%-26s %3dx%-3d %4d -> %-4d %-28s %8.4f  %6.1f  %6.1f  %3.0f %%\n", s->name,
           (int)s->size, (int)s->size, (int)s->in, (int)s->out, layer->method, b->least * 1e3,
           direct / b->least * 1e-9, done / b->least * 1e-9, 100 * done / b->least / peak);
}

/* The most products and sums this core does, from the first-level cache: a tile so deep that
 * what is around its loop does not count. */
static double measure_peak(const struct nn_kernels *k)
{
    enum { TAPS = 256, WIDTH = 48, REPEAT = 64 };
    static float x[TAPS + WIDTH], y[16 * WIDTH], w[TAPS * 16];
    static int32_t offset[TAPS];
    for (int t = 0; t < TAPS; t++)
        offset[t] = t;
    const struct nn_tile_end end = {k->tile_rows, NULL, -INFINITY, INFINITY};
    double least = INFINITY;
    for (int round = 0; round < 400; round++) {
        double start = now();
        for (int i = 0; i < REPEAT; i++)
            k->tile(y, WIDTH, x, offset, w, TAPS, WIDTH, &end);
        least = fmin(least, now() - start);
    }
    return 2.0 * TAPS * WIDTH * REPEAT * (double)k->tile_rows / least;
}

int main(int argc, char **argv)
{
    static struct bench benches[SHAPES];
    double seconds = argc > 1 ? atof(argv[1]) : 4;
    const char *part = argc > 2 ? argv[2] : "";
    size_t count = 0;
    for (size_t i = 0; i < SHAPES; i++)
        if (strstr(shapes[i].name, part))
            bench_init(&benches[count++], &shapes[i]);
    double peak = measure_peak(nn_kernels_best()), end = now() + seconds;
    do {
        for (size_t i = 0; i < count; i++)
            bench_round(&benches[i]);
    } while (now() < end);
    printf("%s kernels, peak of this core %.1f GFLOP/s\n", nn_kernels_best()->name,
           peak * 1e-9);
    printf("%-26s %-22s %-28s %8s  %6s  %6s\n", "layer", "input, channels", "method", "ms",
           "direct", "done");
    for (size_t i = 0; i < count; i++) {
        bench_print(&benches[i], peak);
        bench_finish(&benches[i]);
    }
    return EXIT_SUCCESS;
}
