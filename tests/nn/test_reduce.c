/* Reductions, ArgMax, ArgMin, TopK and CumSum: against their definitions in double precision,
 * on what the ONNX tests leave out. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { X0 = 5, X1 = 7, X2 = 67, COUNT = X0 * X1 * X2 };
static float x[COUNT];

struct reduction {
    const char *name;
    double start;
    double (*join)(double sum, double value);
    double (*finish)(double sum, int count);
};

static double add(double sum, double value)
{
    return sum + value;
}

static double add_magnitude(double sum, double value)
{
    return sum + fabs(value);
}

static double add_square(double sum, double value)
{
    return sum + value * value;
}

static double add_exponential(double sum, double value)
{
    return sum + exp(value);
}

static double multiply(double sum, double value)
{
    return sum * value;
}

static double same(double sum, int count)
{
    (void)count;
    return sum;
}

static double mean(double sum, int count)
{
    return sum / count;
}

static double root(double sum, int count)
{
    (void)count;
    return sqrt(sum);
}

static double logarithm(double sum, int count)
{
    (void)count;
    return log(sum);
}

static const struct reduction reductions[] = {
    {"ReduceL1", 0, add_magnitude, same}, {"ReduceL2", 0, add_square, root},
    {"ReduceLogSum", 0, add, logarithm},  {"ReduceLogSumExp", 0, add_exponential, logarithm},
    {"ReduceMax", -INFINITY, fmax, same}, {"ReduceMean", 0, add, mean},
    {"ReduceMin", INFINITY, fmin, same},  {"ReduceProd", 1, multiply, same},
    {"ReduceSum", 0, add, same},          {"ReduceSumSquare", 0, add_square, same},
};
enum { REDUCTIONS = sizeof reductions / sizeof reductions[0] };

/* "y" is `name` of "x" over the axes whose bit is set. */
static struct onnx reduce(const char *name, int64_t opset, int type, struct onnx_dims dims,
                          int mask)
{
    int64_t axes[8];
    int count = 0;
    for (int d = 0; d < dims.rank; d++)
        if (mask >> d & 1)
            axes[count++] = d % 2 ? d - dims.rank : d; /* some from the end */
    bool as_input = opset >= (strcmp(name, "ReduceSum") == 0 ? 13 : 18);
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", type, dims);
    if (as_input)
        onnx_ints(&o, "axes", DIMS(count), axes);
    onnx_node(&o, name, as_input ? "x axes" : "x", "y");
    if (!as_input)
        onnx_attribute_ints(&o, "axes", count, axes);
    return o;
}

/* Positive, so that logarithms exist, and around 1, so that long products do. */
static void fill(void)
{
    net_fill(x, COUNT, 7);
    for (int i = 0; i < COUNT; i++)
        x[i] = 1 + 0.01f * x[i];
}

static void check_reduction(const struct reduction *r, int64_t opset, int mask, bool keep)
{
    static const int64_t dims[] = {X0, X1, X2};
    struct onnx o = reduce(r->name, opset, 1, DIMS(X0, X1, X2), mask);
    onnx_attribute_int(&o, "keepdims", keep);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    static double want[COUNT];
    int results = 1, count = 1;
    struct onnx_dims shape = {0};
    for (int d = 0; d < 3; d++) {
        bool gone = mask >> d & 1;
        results *= gone ? 1 : (int)dims[d];
        count *= gone ? (int)dims[d] : 1;
        if (!gone || keep)
            shape.dim[shape.rank++] = gone ? 1 : dims[d];
    }
    for (int i = 0; i < results; i++)
        want[i] = r->start;
    for (int i = 0; i < COUNT; i++) {
        int at[] = {i / (X1 * X2), i / X2 % X1, i % X2}, to = 0;
        for (int d = 0; d < 3; d++)
            if (!(mask >> d & 1))
                to = to * (int)dims[d] + at[d];
        want[to] = r->join(want[to], x[i]);
    }
    net_expect_shape(&net, 0, shape);
    for (int i = 0; i < results; i++) {
        double exact = r->finish(want[i], count), got = net_floats(&net, 0)[i];
        ck_assert_msg(fabs(got - exact) <= 1e-5 + 2e-5 * fabs(exact),
                      "%s, axes %d: [%d] is %g, not %g", r->name, mask, i, got, exact);
    }
    net_free(&net);
}

START_TEST(every_reduction_over_every_set_of_axes)
{
    fill();
    for (int r = 0; r < REDUCTIONS; r++)
        for (int mask = 1; mask < 8; mask++)
            check_reduction(&reductions[r], mask % 2 ? 11 : 18, mask, mask % 3 != 0);
}
END_TEST

START_TEST(without_axes_all_go_or_none_when_the_node_says_so)
{
    fill();
    struct onnx o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(X0, X1, X2));
    onnx_node(&o, "ReduceMax", "x", "all");
    onnx_node(&o, "ReduceSumSquare", "x", "none");
    onnx_attribute_int(&o, "noop_with_empty_axes", 1);
    onnx_output(&o, "all", 1, SCALAR);
    onnx_output(&o, "none", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(1, 1, 1));
    net_expect_shape(&net, 1, DIMS(X0, X1, X2));
    float max = x[0];
    for (int i = 0; i < COUNT; i++) {
        max = fmaxf(max, x[i]);
        ck_assert_float_eq_tol(net_floats(&net, 1)[i], x[i] * x[i], 1e-6f);
    }
    ck_assert_float_eq(net_floats(&net, 0)[0], max);
    net_free(&net);
}
END_TEST

START_TEST(nothing_reduces_to_what_the_standard_says)
{
    static const float want[REDUCTIONS] = {0,   0,        -INFINITY, -INFINITY, -INFINITY,
                                           NAN, INFINITY, 1,         0,         0};
    for (int r = 0; r < REDUCTIONS; r++) {
        struct onnx o = reduce(reductions[r].name, 18, 1, DIMS(2, 0, 3), 2);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(2, 1, 3));
        for (int i = 0; i < 6; i++) {
            float got = net_floats(&net, 0)[i];
            ck_assert_msg(isnan(want[r]) ? isnan(got) : got == want[r], "%s of nothing is %g",
                          reductions[r].name, got);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(large_and_infinite_exponents_neither_overflow_nor_vanish)
{
    const float rows[4][3] = {{1000, 1000, 999},
                              {-1000, -1000, -1001},
                              {-INFINITY, -INFINITY, -INFINITY},
                              {0, INFINITY, -INFINITY}};
    const float want[] = {1000.862f, -999.138f, -INFINITY, INFINITY};
    struct onnx o = reduce("ReduceLogSumExp", 18, 1, DIMS(4, 3), 2);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, rows);
    net_run(&net);
    for (int i = 0; i < 4; i++) {
        float got = net_floats(&net, 0)[i];
        ck_assert_msg(isinf(want[i]) ? got == want[i] : fabsf(got - want[i]) < 2e-3f,
                      "row %d: %g", i, got);
    }
    net_free(&net);
}
END_TEST

START_TEST(a_nan_is_the_maximum_and_the_minimum)
{
    static const char *const names[] = {"ReduceMax", "ReduceMin"};
    float values[100] = {0};
    values[70] = NAN;
    for (int n = 0; n < 2; n++) {
        for (int mask = 1; mask < 3; mask++) {
            struct onnx o =
                reduce(names[n], 18, 1, mask == 1 ? DIMS(100, 1) : DIMS(1, 100), mask);
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            net_set(&net, 0, values);
            net_run(&net);
            ck_assert_msg(isnan(net_floats(&net, 0)[0]), "%s lost it", names[n]);
            net_free(&net);
        }
    }
}
END_TEST

START_TEST(integers_are_reduced_exactly)
{
    const int64_t big = INT64_C(1) << 53;
    const int64_t values[6] = {big + 1, 2, -3, 4, -5, 6};
    const struct {
        const char *name;
        int64_t want[2];
    } cases[] = {{"ReduceSum", {big, 5}},     {"ReduceMax", {big + 1, 6}},
                 {"ReduceMin", {-3, -5}},     {"ReduceProd", {-6 * (big + 1), -120}},
                 {"ReduceL1", {big + 6, 15}}, {"ReduceMean", {big / 3, 1}},
                 {"ReduceL2", {big, 8}},      {"ReduceSumSquare", {2 * big + 1 + 13, 77}}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = reduce(cases[c].name, 18, 7, DIMS(2, 3), 2);
        onnx_output(&o, "y", 7, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_run(&net);
        const int64_t *y = nn_session_output(net.session, 0)->data;
        for (int i = 0; i < 2; i++)
            ck_assert_msg(y[i] == cases[c].want[i], "%s: %lld, not %lld", cases[c].name,
                          (long long)y[i], (long long)cases[c].want[i]);
        net_free(&net);
    }
}
END_TEST

START_TEST(a_reduction_runs_per_frame_unless_time_goes)
{
    for (int mask = 1; mask < 8; mask++) {
        struct onnx o = reduce("ReduceMax", 18, 1, DIMS(4, 8, 6), mask);
        onnx_attribute_int(&o, "keepdims", 0);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 1});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, (mask & 2) == 0);
        net_free(&net);
    }
}
END_TEST

START_TEST(axes_that_do_not_fit_are_refused)
{
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_node(&o, "ReduceL2", "x", "y");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){2});
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "axis 2");
    o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_node(&o, "ReduceL2", "x", "y");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "no attribute 'axes'");
    o = reduce("ReduceProd", 18, 9, DIMS(2, 3), 1);
    onnx_output(&o, "y", 9, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "bool");
}
END_TEST

/* Selection. */

static void run_ints(struct onnx *o, const void *values, int64_t *ret_y, size_t count,
                     size_t output)
{
    struct net net = net_make(o);
    net_set(&net, 0, values);
    net_run(&net);
    const struct nn_tensor *y = nn_session_output(net.session, output);
    ck_assert_int_eq(y->type, NN_TYPE_INT64);
    ck_assert_int_eq(nn_shape_count(&y->shape), (int64_t)count);
    memcpy(ret_y, y->data, count * sizeof *ret_y);
    net_free(&net);
}

START_TEST(arg_max_takes_the_first_or_the_last_of_equals)
{
    /* Columns 0..2 along axis 1; -0 equals 0 and NaN is above all. */
    const float values[2][4][3] = {{{-0.0f, 1, 2}, {0, 5, 2}, {-1, NAN, 1}, {0, 9, 2}},
                                   {{1, 1, 1}, {2, 1, 0}, {2, 1, -INFINITY}, {0, 1, 1}}};
    const struct {
        const char *op;
        int64_t last, want[6];
    } cases[] = {{"ArgMax", 0, {0, 2, 0, 1, 0, 0}},
                 {"ArgMax", 1, {3, 2, 3, 2, 3, 3}},
                 {"ArgMin", 0, {2, 0, 2, 3, 0, 2}},
                 {"ArgMin", 1, {2, 0, 2, 3, 3, 2}}};
    for (size_t c = 0; c < 4; c++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(2, 4, 3));
        onnx_node(&o, cases[c].op, "x", "y");
        onnx_attribute_int(&o, "axis", -2);
        onnx_attribute_int(&o, "keepdims", 0);
        onnx_attribute_int(&o, "select_last_index", cases[c].last);
        onnx_output(&o, "y", 7, SCALAR);
        int64_t y[6];
        run_ints(&o, values, y, 6, 0);
        for (int i = 0; i < 6; i++)
            ck_assert_msg(y[i] == cases[c].want[i], "%s, last %d: [%d] is %d", cases[c].op,
                          (int)cases[c].last, i, (int)y[i]);
    }
}
END_TEST

START_TEST(arg_max_finds_the_place_in_long_rows_and_columns)
{
    enum { N = 200 };
    static float values[N * N];
    for (int along = 0; along < 2; along++) {
        memset(values, 0, sizeof values);
        for (int i = 0; i < N; i++) {
            int place = i * 37 % N;
            values[along ? i * N + place : place * N + i] = 1;
        }
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(N, N));
        onnx_node(&o, "ArgMax", "x", "y");
        onnx_attribute_int(&o, "axis", along);
        onnx_output(&o, "y", 7, SCALAR);
        int64_t y[N];
        run_ints(&o, values, y, N, 0);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(y[i], i * 37 % N);
    }
}
END_TEST

/* Against sorting by repeated selection. */
static void check_topk(const float *values, int n, int64_t k, bool largest)
{
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(n, 3));
    onnx_ints(&o, "k", DIMS(1), &k);
    onnx_node(&o, "TopK", "x k", "values indices");
    onnx_attribute_int(&o, "axis", 0);
    onnx_attribute_int(&o, "largest", largest);
    onnx_output(&o, "values", 1, SCALAR);
    onnx_output(&o, "indices", 7, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    const int64_t *indices = nn_session_output(net.session, 1)->data;
    for (int column = 0; column < 3; column++) {
        bool taken[200] = {false};
        for (int64_t i = 0; i < k; i++) {
            int best = -1;
            for (int j = 0; j < n; j++) {
                float a = values[j * 3 + column], b = best < 0 ? 0 : values[best * 3 + column];
                if (!taken[j] && (best < 0 || (largest ? a > b : a < b)))
                    best = j;
            }
            taken[best] = true;
            ck_assert_int_eq(indices[i * 3 + column], best);
            ck_assert_float_eq(net_floats(&net, 0)[i * 3 + column], values[best * 3 + column]);
        }
    }
    net_free(&net);
}

START_TEST(top_k_is_sorted_and_equals_keep_their_order)
{
    float values[200 * 3];
    net_fill(values, 600, 3);
    for (int i = 0; i < 600; i++)
        values[i] = roundf(values[i] * 10); /* many equals */
    static const int sizes[] = {1, 2, 7, 64, 65, 200};
    for (size_t s = 0; s < 6; s++)
        for (int largest = 0; largest < 2; largest++)
            for (int64_t k = 0; k <= sizes[s]; k += k < 5 ? 1 : sizes[s] / 3 + 1)
                check_topk(values, sizes[s], k, largest);
}
END_TEST

START_TEST(the_first_top_k_took_k_as_an_attribute)
{
    const int64_t values[5] = {INT64_MIN, 3, INT64_MAX, 3, -1};
    struct onnx o = onnx_start(1);
    onnx_input(&o, "x", 7, DIMS(5));
    onnx_node(&o, "TopK", "x", "- y");
    onnx_attribute_int(&o, "k", 3);
    onnx_output(&o, "y", 7, SCALAR);
    int64_t y[3];
    run_ints(&o, values, y, 3, 0);
    ck_assert(y[0] == 2 && y[1] == 1 && y[2] == 3);
}
END_TEST

START_TEST(more_than_there_are_cannot_be_selected)
{
    for (int64_t k = -1; k < 5; k += 5) {
        struct onnx o = onnx_start(11);
        onnx_input(&o, "x", 1, DIMS(3));
        onnx_ints(&o, "k", DIMS(1), &k);
        onnx_node(&o, "TopK", "x k", "y");
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, "of 3 elements");
    }
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(3, 0));
    onnx_node(&o, "ArgMax", "x", "y");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 7, SCALAR);
    net_expect_refused(&o, -EINVAL, "no elements to choose from");
}
END_TEST

START_TEST(sums_run_along_their_axis_forwards_and_backwards)
{
    const int32_t values[2][3][2] = {{{1, 2}, {3, 4}, {INT32_MAX, 6}},
                                     {{7, 8}, {9, 10}, {11, 12}}};
    const int64_t axis = -2;
    for (int mode = 0; mode < 4; mode++) {
        bool exclusive = mode & 1, back = mode & 2;
        struct onnx o = onnx_start(14);
        onnx_input(&o, "x", 6, DIMS(2, 3, 2));
        onnx_ints(&o, "axis", SCALAR, &axis);
        onnx_node(&o, "CumSum", "x axis", "y");
        onnx_attribute_int(&o, "exclusive", exclusive);
        onnx_attribute_int(&o, "reverse", back);
        onnx_output(&o, "y", 6, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_run(&net);
        const int32_t *y = nn_session_output(net.session, 0)->data;
        for (int i = 0; i < 12; i++) {
            uint32_t want = 0;
            int at = i / 2 % 3;
            for (int j = 0; j < 3; j++)
                if ((back ? j >= at : j <= at) && !(exclusive && j == at))
                    want += (uint32_t)values[i / 6][j][i % 2];
            ck_assert_int_eq(y[i], (int32_t)want);
        }
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("reduce");
    tcase_add_test(all, every_reduction_over_every_set_of_axes);
    tcase_add_test(all, without_axes_all_go_or_none_when_the_node_says_so);
    tcase_add_test(all, nothing_reduces_to_what_the_standard_says);
    tcase_add_test(all, large_and_infinite_exponents_neither_overflow_nor_vanish);
    tcase_add_test(all, a_nan_is_the_maximum_and_the_minimum);
    tcase_add_test(all, integers_are_reduced_exactly);
    tcase_add_test(all, a_reduction_runs_per_frame_unless_time_goes);
    tcase_add_test(all, axes_that_do_not_fit_are_refused);
    TCase *select = tcase_create("select");
    tcase_add_test(select, arg_max_takes_the_first_or_the_last_of_equals);
    tcase_add_test(select, arg_max_finds_the_place_in_long_rows_and_columns);
    tcase_add_test(select, top_k_is_sorted_and_equals_keep_their_order);
    tcase_add_test(select, the_first_top_k_took_k_as_an_attribute);
    tcase_add_test(select, more_than_there_are_cannot_be_selected);
    tcase_add_test(select, sums_run_along_their_axis_forwards_and_backwards);
    TCase *cases[] = {all, select};
    return suite_run("nn/reduce", cases, 2);
}
