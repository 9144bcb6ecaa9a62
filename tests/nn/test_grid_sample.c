/* GridSample against the formulas of the specification, one output at a time; AffineGrid. */
#include <errno.h>
#include <math.h>

#include "tests/nn/windows.h"

struct grid {
    int axes;
    int64_t in[3], out[3], batch, channels;
    const char *mode, *padding;
    bool align;
};

/* --- the definition ----------------------------------------------------------------------- */

static double reflect(double x, double low, double high)
{
    for (int i = 0; i < 100 && (x < low || x > high); i++)
        x = x < low ? 2 * low - x : 2 * high - x;
    return x;
}

static double place_of(const struct grid *g, int axis, double coordinate)
{
    double in = (double)g->in[axis], low = g->align ? 0 : -0.5,
           high = in - (g->align ? 1 : 0.5);
    double x = g->align ? (coordinate + 1) / 2 * (in - 1) : ((coordinate + 1) * in - 1) / 2;
    if (strcmp(g->mode, "nearest") == 0)
        x = g->axes == 3 ? round(x) : nearbyint(x);
    bool cubic_border = strcmp(g->mode, "cubic") == 0 && strcmp(g->padding, "border") == 0;
    if ((x >= low && x <= high) || cubic_border)
        return x;
    if (strcmp(g->padding, "border") == 0)
        return fmin(fmax(x, 0), in - 1);
    return strcmp(g->padding, "reflection") == 0 ? reflect(x, low, high) : x;
}

static double pixel(const struct grid *g, const float *x, const int64_t *at)
{
    int64_t index = 0;
    for (int a = 0; a < g->axes; a++) {
        int64_t i = at[a], last = g->in[a] - 1;
        if ((i < 0 || i > last) && strcmp(g->padding, "zeros") == 0)
            return 0;
        if (strcmp(g->padding, "reflection") == 0)
            i = (int64_t)reflect((double)i, g->align ? 0 : -0.5,
                                 (double)last + (g->align ? 0 : 0.5));
        i = i < 0 ? 0 : i > last ? last : i;
        index = index * g->in[a] + i;
    }
    return x[index];
}

static double keys(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
           : x < 2 ? a * (x * x * x - 5 * x * x + 8 * x - 4)
                   : 0;
}

/* Sums over the neighbours along `axis` and the axes behind it. */
static double interpolate(const struct grid *g, const float *x, const double *place, int axis,
                          int64_t *at)
{
    if (axis == g->axes)
        return pixel(g, x, at);
    double sum = 0;
    for (int64_t i = (int64_t)floor(place[axis]) - 1; i <= floor(place[axis]) + 2; i++) {
        double d = place[axis] - (double)i;
        double w = strcmp(g->mode, "cubic") == 0 ? keys(d) : fmax(0, 1 - fabs(d));
        at[axis] = i;
        if (w != 0)
            sum += w * interpolate(g, x, place, axis + 1, at);
    }
    return sum;
}

/* --- the comparison ----------------------------------------------------------------------- */

static struct onnx build(const struct grid *g)
{
    struct onnx_dims grid = {.rank = g->axes + 2, .dim = {g->batch}};
    memcpy(grid.dim + 1, g->out, (size_t)g->axes * sizeof *g->out);
    grid.dim[g->axes + 1] = g->axes;
    struct onnx o = onnx_start(20);
    onnx_input(&o, "x", 1, windows_dims(g->batch, g->channels, g->axes, g->in));
    onnx_input(&o, "g", 1, grid);
    onnx_node(&o, "GridSample", "x g", "y");
    onnx_attribute_text(&o, "mode", g->mode);
    onnx_attribute_text(&o, "padding_mode", g->padding);
    onnx_attribute_int(&o, "align_corners", g->align);
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

static void check(const struct grid *g, enum nn_kernel_choice kernels)
{
    struct onnx o = build(g);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_expect_shape(&net, 0, windows_dims(g->batch, g->channels, g->axes, g->out));
    const struct nn_tensor *tx = nn_session_input(net.session, 0),
                           *tg = nn_session_input(net.session, 1);
    float *x = tx->data, *grid = tg->data;
    net_fill(x, (size_t)nn_shape_count(&tx->shape), 1);
    net_fill(grid, (size_t)nn_shape_count(&tg->shape), 2);
    for (int64_t i = 0; i < nn_shape_count(&tg->shape); i++)
        grid[i] *= 1.7f;
    net_run(&net);
    int64_t places = windows_count(&(struct windows){.axes = g->axes}, g->out);
    int64_t size = windows_count(&(struct windows){.axes = g->axes}, g->in);
    const float *y = net_floats(&net, 0);
    for (int64_t i = 0; i < g->batch * g->channels * places; i++) {
        const float *c = grid + (i / places / g->channels * places + i % places) * g->axes;
        double place[4];
        int64_t at[4];
        for (int a = 0; a < g->axes; a++)
            place[a] = place_of(g, a, c[g->axes - 1 - a]);
        double want = interpolate(g, x + i / places * size, place, 0, at);
        if (!(fabs(y[i] - want) <= 1e-5))
            ck_abort_msg("%s %s %d, %d axes: [%d] is %.9g, not %.9g", g->mode, g->padding,
                         g->align, g->axes, (int)i, y[i], want);
    }
    net_free(&net);
}

START_TEST(random_grids_equal_their_definition)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 60; n++) {
        struct grid g = {
            .axes = (int)net_pick(&seed, 1, 3),
            .batch = net_pick(&seed, 1, 2),
            .channels = net_pick(&seed, 1, 3),
            .mode = modes[net_pick(&seed, 0, 2)],
            .padding = paddings[net_pick(&seed, 0, 2)],
            .align = net_pick(&seed, 0, 1),
        };
        for (int a = 0; a < 3; a++) {
            g.in[a] = net_pick(&seed, 1, 7);
            g.out[a] = net_pick(&seed, 1, g.axes == 3 ? 9 : 24); /* beyond one block */
        }
        check(&g, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(coordinates_that_are_no_numbers_do_no_harm)
{
    static const char *const modes[] = {"bilinear", "nearest", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 3e9f, -1};
    for (int i = 0; i < 18; i++) {
        struct grid g = {.axes = 2,
                         .in = {3, i % 2 ? 1 : 4},
                         .out = {7, 7},
                         .batch = 1,
                         .channels = 1,
                         .mode = modes[i % 3],
                         .padding = paddings[i / 3 % 3],
                         .align = i > 8};
        struct onnx o = build(&g);
        struct net net = net_make(&o);
        float *grid = nn_session_input(net.session, 1)->data;
        for (int k = 0; k < 98; k++)
            grid[k] = odd[k % 2 ? k / 2 % 7 : k / 14];
        for (int k = 0; k < 3 * g.in[1]; k++)
            ((float *)nn_session_input(net.session, 0)->data)[k] = 1;
        net_run(&net);
        for (int k = 0; k < 49; k++)
            ck_assert(net_floats(&net, 0)[k] >= 0 && net_floats(&net, 0)[k] <= 1.0001f);
        net_free(&net);
    }
}
END_TEST

/* A grid that changes nothing, through both operators. */
START_TEST(an_affine_grid_of_the_identity_gives_the_image_back)
{
    for (int align = 0; align < 2; align++)
        for (int axes = 2; axes <= 3; axes++) {
            static const float theta[2][12] = {{1, 0, 0, 0, 1, 0},
                                               {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}};
            const int64_t size[] = {1, 2, 4, 3, 5};
            struct onnx o = onnx_start(20);
            onnx_input(&o, "x", 1, windows_dims(1, 2, axes, size + 2));
            onnx_floats(&o, "theta", DIMS(1, axes, axes + 1), theta[axes - 2]);
            onnx_ints(&o, "size", DIMS(axes + 2), size);
            onnx_node(&o, "AffineGrid", "theta size", "g");
            onnx_attribute_int(&o, "align_corners", align);
            onnx_node(&o, "GridSample", "x g", "y");
            onnx_attribute_int(&o, "align_corners", align);
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            float x[120];
            net_fill(x, 120, 3);
            net_set(&net, 0, x);
            net_run(&net);
            net_expect_floats(&net, 0, windows_dims(1, 2, axes, size + 2), x);
            net_free(&net);
        }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        struct onnx_dims x, grid;
        int code;
        const char *text;
    } cases[] = {
        {{4, {1, 2, 4, 4}}, {4, {1, 3, 3, 3}}, -EINVAL, "a grid must have"},
        {{4, {1, 2, 4, 4}}, {4, {2, 3, 3, 2}}, -EINVAL, "a grid must have"},
        {{4, {1, 2, 4, 4}}, {5, {1, 3, 3, 3, 2}}, -EINVAL, "a grid must have"},
        {{4, {1, 2, 0, 4}}, {4, {1, 3, 3, 2}}, -EINVAL, "its image is empty"},
        {{6, {1, 2, 1, 1, 1, 1}}, {6, {1, 1, 1, 1, 1, 4}}, -ENOTSUP, "4 spatial dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(20);
        onnx_input(&o, "x", 1, cases[i].x);
        onnx_input(&o, "g", 1, cases[i].grid);
        onnx_output(&o, "y", 1, SCALAR);
        onnx_node(&o, "GridSample", "x g", "y");
        net_expect_refused(&o, cases[i].code, cases[i].text);
    }
    struct grid g = {.axes = 2,
                     .in = {2, 2},
                     .out = {2, 2},
                     .batch = 1,
                     .channels = 1,
                     .mode = "area",
                     .padding = "zeros"};
    struct onnx o = build(&g);
    net_expect_refused(&o, -EINVAL, "mode is 'area'");
    g.mode = "cubic";
    g.padding = "wrap";
    o = build(&g);
    net_expect_refused(&o, -EINVAL, "padding_mode is 'wrap'");
    for (int64_t last = -1; last <= 3; last += 4) {
        o = onnx_start(20);
        onnx_input(&o, "theta", 1, DIMS(1, 2, last < 0 ? 3 : 4));
        onnx_ints(&o, "size", DIMS(4), (int64_t[]){1, 1, 3, last});
        onnx_output(&o, "y", 1, SCALAR);
        onnx_node(&o, "AffineGrid", "theta size", "y");
        net_expect_refused(&o, -EINVAL, last < 0 ? "size has the value -1" : "theta must be");
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("grid_sample");
    tcase_add_loop_test(all, random_grids_equal_their_definition, 0, 8);
    tcase_add_test(all, coordinates_that_are_no_numbers_do_no_harm);
    tcase_add_test(all, an_affine_grid_of_the_identity_gives_the_image_back);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/grid_sample", &all, 1);
}
