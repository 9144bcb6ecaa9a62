/* Gemm and MatMul against sums in double precision. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

static void check(const float *y, const double *want, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(y[i] - want[i]) <= tolerance))
            ck_abort_msg("[%zu] of %zu: %.9g, not %.9g", i, count, y[i], want[i]);
    }
}

struct gemm {
    int64_t m, n, k;
    bool ta, tb;
    float alpha, beta;
    int c_rank; /* -1: no C */
    int64_t c_rows, c_columns;
    const char *activation; /* a node behind it, or NULL */
};

static void check_gemm(const struct gemm *g, enum nn_kernel_choice kernels)
{
    enum { MOST = 80 * 80 };
    static float a[MOST], b[MOST], c[MOST];
    static double want[MOST];
    net_fill(a, MOST, 1);
    net_fill(b, MOST, 2);
    net_fill(c, MOST, 3);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, g->ta ? DIMS(g->k, g->m) : DIMS(g->m, g->k));
    onnx_floats(&o, "b", g->tb ? DIMS(g->n, g->k) : DIMS(g->k, g->n), b);
    struct onnx_dims c_dims = {g->c_rank, {g->c_rows, g->c_columns}};
    if (g->c_rank == 1)
        c_dims.dim[0] = g->c_columns;
    if (g->c_rank >= 0)
        onnx_floats(&o, "c", c_dims, c);
    onnx_node(&o, "Gemm", g->c_rank >= 0 ? "a b c" : "a b", g->activation ? "g" : "y");
    onnx_attribute_int(&o, "transA", g->ta);
    onnx_attribute_int(&o, "transB", g->tb);
    onnx_attribute_float(&o, "alpha", g->alpha);
    onnx_attribute_float(&o, "beta", g->beta);
    if (g->activation)
        onnx_node(&o, g->activation, "g", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_expect_shape(&net, 0, DIMS(g->m, g->n));
    net_set(&net, 0, a);
    net_run(&net);
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < g->k; p++)
                sum += (double)a[g->ta ? p * g->m + i : i * g->k + p] *
                       b[g->tb ? j * g->k + p : p * g->n + j];
            sum *= g->alpha;
            if (g->c_rank >= 0)
                sum += (double)g->beta *
                       c[(g->c_rows == 1 ? 0 : i) * g->c_columns + (g->c_columns == 1 ? 0 : j)];
            want[i * g->n + j] = g->activation && sum < 0 ? 0 : sum;
        }
    }
    check(net_floats(&net, 0), want, (size_t)(g->m * g->n), 2e-7 * (double)(g->k + 3));
    net_free(&net);
}

START_TEST(gemm_equals_its_definition_in_every_form)
{
    static const int64_t sizes[] = {1, 2, 5, 16, 33, 80};
    for (int n = 0; n < 6 * 6 * 6 * 4; n++) {
        struct gemm g = {
            .m = sizes[n % 6],
            .n = sizes[n / 6 % 6],
            .k = sizes[n / 36 % 6],
            .ta = n / 216 % 2,
            .tb = n / 432,
            .alpha = n % 3 ? 1 : 0.5f,
            .beta = n % 5 ? 1 : -2,
            .c_rank = n % 4 - 1,
            .c_rows = 1,
            .c_columns = 1,
            .activation = n % 7 ? NULL : "Relu",
        };
        if (g.c_rank == 2 && n % 8 > 3)
            g.c_rows = g.m;
        if (g.c_rank >= 1 && n % 9 < 6)
            g.c_columns = g.n;
        check_gemm(&g, n % 5 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

/* One row by (DEPTH, COLUMNS), large enough to be stored in fewer bits. */
enum { DEPTH = 1100, COLUMNS = 300 };

struct stored {
    float y[COLUMNS];
    struct nn_plan_info info;
};

static struct stored run_dense(const float *weight, bool transposed, int64_t rows,
                               enum nn_precision precision)
{
    static float a[4 * DEPTH], bias[COLUMNS];
    struct stored stored;
    struct onnx o = onnx_start(13);
    net_fill(a, 4 * DEPTH, 1);
    net_fill(bias, COLUMNS, 3);
    onnx_input(&o, "a", 1, DIMS(rows, DEPTH));
    onnx_floats(&o, "b", transposed ? DIMS(COLUMNS, DEPTH) : DIMS(DEPTH, COLUMNS), weight);
    onnx_floats(&o, "c", DIMS(COLUMNS), bias);
    onnx_node(&o, "Gemm", "a b c", "y");
    onnx_attribute_int(&o, "transB", transposed);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_plan(
        net_load(&o), &(struct nn_plan_options){.precision = precision, .time_axis = -1});
    net_set(&net, 0, a);
    net_run(&net);
    memcpy(stored.y, net_floats(&net, 0), sizeof stored.y);
    nn_plan_describe(net.plan, &stored.info);
    net_free(&net);
    return stored;
}

/* |a - b| at most, in units of the largest |b|. */
static double relative_difference(const struct stored *a, const struct stored *b)
{
    double most = 0, largest = 0;
    for (int i = 0; i < COLUMNS; i++) {
        double off = fabs((double)a->y[i] - b->y[i]), size = fabs(b->y[i]);
        most = off > most ? off : most;
        largest = size > largest ? size : largest;
    }
    return most / largest;
}

static float *random_weights(void)
{
    static float weight[DEPTH * COLUMNS];
    net_fill(weight, DEPTH * COLUMNS, 2);
    return weight;
}

START_TEST(fast_weights_take_sixteen_bits_and_change_outputs_by_less_than_a_thousandth)
{
    const float *weight = random_weights();
    struct stored exact = run_dense(weight, _i, 1, NN_PRECISION_FP32);
    struct stored fast = run_dense(weight, _i, 1, NN_PRECISION_FAST);
    ck_assert(exact.info.weight_error == 0);
    ck_assert(fast.info.weight_error > 1e-5 && fast.info.weight_error <= 1e-3);
    double off = relative_difference(&fast, &exact);
    ck_assert_msg(off > 0 && off <= 1e-3, "off by %g", off);
    ck_assert_uint_lt(exact.info.weight_bytes, 8192);
    ck_assert_uint_gt(fast.info.weight_bytes, 2 * DEPTH * COLUMNS);
    ck_assert_uint_lt(fast.info.weight_bytes, 2 * DEPTH * (COLUMNS + 20) + 8192);
}
END_TEST

START_TEST(int8_weights_take_eight_bits_whatever_that_changes)
{
    const float *weight = random_weights();
    struct stored exact = run_dense(weight, _i, 1, NN_PRECISION_FP32);
    struct stored int8 = run_dense(weight, _i, 1, NN_PRECISION_INT8);
    double off = relative_difference(&int8, &exact);
    ck_assert_msg(off > 1e-3 && off < 2e-2, "off by %g", off);
    ck_assert(int8.info.weight_error > 1e-3 && int8.info.weight_error < 2e-2);
    ck_assert_uint_lt(int8.info.weight_bytes, DEPTH * (COLUMNS + 20) + 8192);
}
END_TEST

START_TEST(fast_takes_eight_bits_where_they_are_enough)
{
    float *weight = random_weights();
    for (int i = 0; i < DEPTH * COLUMNS; i++)
        weight[i] = roundf(weight[i] * 127) / 512;
    for (int j = 0; j < COLUMNS; j++) /* of every column the largest */
        weight[j] = weight[j * DEPTH] = 127.0f / 512;
    struct stored exact = run_dense(weight, _i, 1, NN_PRECISION_FP32);
    struct stored fast = run_dense(weight, _i, 1, NN_PRECISION_FAST);
    ck_assert(relative_difference(&fast, &exact) < 1e-5);
    ck_assert_uint_lt(fast.info.weight_bytes, DEPTH * (COLUMNS + 20) + 8192);
}
END_TEST

START_TEST(weights_that_are_not_finite_and_products_of_several_rows_stay_float32)
{
    float *weight = random_weights();
    struct stored exact = run_dense(weight, _i, 4, NN_PRECISION_FP32);
    struct stored fast = run_dense(weight, _i, 4, NN_PRECISION_FAST);
    ck_assert_mem_eq(exact.y, fast.y, sizeof exact.y);
    ck_assert(fast.info.weight_error == 0);
    weight[DEPTH * COLUMNS - 1] = INFINITY;
    exact = run_dense(weight, _i, 1, NN_PRECISION_FP32);
    for (int p = NN_PRECISION_FAST; p <= NN_PRECISION_INT8; p++) {
        fast = run_dense(weight, _i, 1, (enum nn_precision)p);
        ck_assert_mem_eq(exact.y, fast.y, sizeof exact.y);
        ck_assert_uint_lt(fast.info.weight_bytes, 8192);
    }
}
END_TEST

START_TEST(a_beta_of_zero_keeps_even_infinity_out)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(2, 2));
    onnx_input(&o, "c", 1, DIMS(2));
    onnx_floats(&o, "b", DIMS(2, 2), (float[]){1, 0, 0, 1});
    onnx_node(&o, "Gemm", "a b c", "y");
    onnx_attribute_float(&o, "beta", 0);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4});
    net_set(&net, 1, (float[]){INFINITY, NAN});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){1, 2, 3, 4});
    net_free(&net);
}
END_TEST

START_TEST(before_opset_7_c_broadcasts_only_when_told)
{
    for (int broadcast = 0; broadcast <= 1; broadcast++) {
        struct onnx o = onnx_start(6);
        onnx_input(&o, "a", 1, DIMS(2, 2));
        onnx_floats(&o, "b", DIMS(2, 2), (float[]){1, 0, 0, 1});
        onnx_floats(&o, "c", DIMS(2), (float[]){10, 20});
        onnx_node(&o, "Gemm", "a b c", "y");
        onnx_attribute_int(&o, "broadcast", broadcast);
        onnx_output(&o, "y", 1, SCALAR);
        if (!broadcast) {
            net_expect_refused(&o, -EINVAL, "does not broadcast");
            continue;
        }
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){1, 2, 3, 4});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2, 2), (float[]){11, 22, 13, 24});
        net_free(&net);
    }
}
END_TEST

/* A batch index, counted through `whole` from the right, as an offset into `part`. */
static int64_t broadcast_index(int64_t at, struct onnx_dims whole, struct onnx_dims part)
{
    int64_t index = 0, step = 1;
    for (int i = 1; i <= part.rank; i++) {
        int64_t extent = whole.dim[whole.rank - i];
        if (part.dim[part.rank - i] != 1)
            index += at % extent * step;
        step *= part.dim[part.rank - i];
        at /= extent;
    }
    return index;
}

static struct onnx_dims with_matrix(struct onnx_dims batch, int64_t rows, int64_t columns)
{
    batch.dim[batch.rank++] = rows;
    batch.dim[batch.rank++] = columns;
    return batch;
}

START_TEST(matmul_broadcasts_its_leading_dimensions)
{
    const struct {
        struct onnx_dims a, b, y;
    } batches[] = {
        {SCALAR, SCALAR, SCALAR},
        {DIMS(3), SCALAR, DIMS(3)},
        {SCALAR, DIMS(3), DIMS(3)},
        {DIMS(2, 3), DIMS(3), DIMS(2, 3)},
        {DIMS(2, 1), DIMS(1, 3), DIMS(2, 3)},
        {DIMS(2, 3), DIMS(2, 3), DIMS(2, 3)},
        {DIMS(1, 3), DIMS(4, 2, 1), DIMS(4, 2, 3)},
    };
    static float a[4096], b[4096];
    net_fill(a, 4096, 1);
    net_fill(b, 4096, 2);
    for (size_t c = 0; c < sizeof batches / sizeof batches[0]; c++) {
        for (int64_t m = 1; m <= 5; m += 4) {
            const int64_t n = 7, k = 6;
            struct onnx o = onnx_start(13);
            onnx_input(&o, "a", 1, with_matrix(batches[c].a, m, k));
            onnx_input(&o, "b", 1, with_matrix(batches[c].b, k, n));
            onnx_node(&o, "MatMul", "a b", "y");
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            net_expect_shape(&net, 0, with_matrix(batches[c].y, m, n));
            net_set(&net, 0, a);
            net_set(&net, 1, b);
            net_run(&net);
            int64_t count = (int64_t)onnx_dims_count(batches[c].y);
            for (int64_t i = 0; i < count * m * n; i++) {
                const float *pa =
                    a + broadcast_index(i / m / n, batches[c].y, batches[c].a) * m * k;
                const float *pb =
                    b + broadcast_index(i / m / n, batches[c].y, batches[c].b) * k * n;
                double want = 0;
                for (int64_t p = 0; p < k; p++)
                    want += (double)pa[i / n % m * k + p] * pb[p * n + i % n];
                check(net_floats(&net, 0) + i, &want, 1, 1e-6);
            }
            net_free(&net);
        }
    }
}
END_TEST

START_TEST(matmul_treats_lists_as_a_row_on_the_left_and_a_column_on_the_right)
{
    const float list[] = {1, 2}, matrix[] = {1, 2, 3, 4};
    const struct {
        struct onnx_dims a, b, y;
        float want[2];
    } cases[] = {
        {DIMS(2), DIMS(2), SCALAR, {5}},
        {DIMS(2), DIMS(2, 2), DIMS(2), {7, 10}},
        {DIMS(2, 2), DIMS(2), DIMS(2), {5, 11}},
        {DIMS(2), DIMS(1, 2, 2), DIMS(1, 2), {7, 10}},
        {DIMS(1, 2, 2), DIMS(2), DIMS(1, 2), {5, 11}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, cases[c].a);
        onnx_input(&o, "b", 1, cases[c].b);
        onnx_node(&o, "MatMul", "a b", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, cases[c].a.rank == 1 ? list : matrix);
        net_set(&net, 1, cases[c].b.rank == 1 ? list : matrix);
        net_run(&net);
        net_expect_floats(&net, 0, cases[c].y, cases[c].want);
        net_free(&net);
    }
}
END_TEST

/* The arena holds an earlier value's bytes where y is put. */
START_TEST(a_product_over_nothing_is_zero)
{
    static const char *const ops[] = {"MatMul", "Gemm"};
    static const struct onnx_dims batches[] = {{2, {2, 0}}, {3, {1, 2, 0}}};
    for (int c = 0; c < 3; c++) {
        struct onnx_dims a = batches[c == 2];
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(2, 3));
        onnx_input(&o, "a", 1, a);
        onnx_input(&o, "b", 1, DIMS(0, 3));
        onnx_node(&o, "Sigmoid", "x", "s");
        onnx_node(&o, "ReduceMean", "s", "m");
        onnx_node(&o, ops[c == 1], "a b", "y");
        onnx_output(&o, "m", 1, SCALAR);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6});
        net_run(&net);
        net_expect_floats(&net, 1, c == 2 ? DIMS(1, 2, 3) : DIMS(2, 3), (float[6]){0});
        net_free(&net);
    }
}
END_TEST

START_TEST(a_gemm_over_nothing_is_its_scaled_bias)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(2, 0));
    onnx_input(&o, "b", 1, DIMS(0, 2));
    onnx_input(&o, "c", 1, DIMS(2));
    onnx_node(&o, "Gemm", "a b c", "y");
    onnx_attribute_float(&o, "beta", 2);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 2, (float[]){3, 4});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){6, 8, 6, 8});
    net_free(&net);
}
END_TEST

/* relu(x · b + row), folded or, as the product is wanted too, in parts. */
static struct net with_row(struct onnx_dims b_dims, struct onnx_dims row_dims, bool swapped,
                           bool apart, int *ret_layers)
{
    static float x[2 * 3 * 40], b[2 * 40 * 24], row[24 * 3];
    net_fill(x, sizeof x / sizeof *x, 11);
    net_fill(b, sizeof b / sizeof *b, 12);
    net_fill(row, sizeof row / sizeof *row, 13);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3, 40));
    onnx_floats(&o, "b", b_dims, b);
    onnx_floats(&o, "row", row_dims, row);
    onnx_node(&o, "MatMul", "x b", "product");
    onnx_node(&o, "Add", swapped ? "row product" : "product row", "sum");
    onnx_node(&o, "Relu", "sum", "y");
    onnx_output(&o, "y", 1, SCALAR);
    if (apart)
        onnx_output(&o, "product", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    *ret_layers = 0;
    for (size_t l = 0; l < nn_plan_layer_count(net.plan); l++)
        *ret_layers += nn_plan_layer(net.plan, l)->fused_into < 0;
    return net;
}

START_TEST(a_row_added_to_a_product_is_folded_into_it)
{
    const struct {
        struct onnx_dims b, row;
        int layers;
    } cases[] = {{DIMS(40, 24), DIMS(24), 1},    {DIMS(40, 24), DIMS(1, 1, 24), 1},
                 {DIMS(2, 40, 24), DIMS(24), 1}, {DIMS(40, 24), DIMS(3, 1), 3},
                 {DIMS(40, 24), DIMS(3, 24), 3}, {DIMS(40, 24), DIMS(1, 1, 1, 24), 3},
                 {DIMS(40, 24), DIMS(1), 3},     {DIMS(40), DIMS(3), 3}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            int layers, parts;
            struct net one = with_row(cases[c].b, cases[c].row, swapped, false, &layers);
            struct net two = with_row(cases[c].b, cases[c].row, swapped, true, &parts);
            ck_assert_msg(layers == cases[c].layers && parts == 3, "case %zu: %d layers", c,
                          layers);
            const struct nn_tensor *y = nn_session_output(one.session, 0);
            for (int64_t i = 0; i < nn_shape_count(&y->shape); i++)
                ck_assert_float_eq_tol(net_floats(&one, 0)[i], net_floats(&two, 0)[i], 2e-6f);
            net_free(&one);
            net_free(&two);
        }
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        const char *op;
        struct onnx_dims a, b;
        const char *text;
    } cases[] = {
        {"Gemm", {2, {2, 3}}, {2, {2, 3}}, "3 columns and 2 rows"},
        {"Gemm", {3, {1, 2, 3}}, {2, {3, 2}}, "ranks 3 and 2"},
        {"MatMul", {2, {2, 3}}, {2, {2, 3}}, "3 columns and 2 rows"},
        {"MatMul", {3, {2, 2, 3}}, {3, {3, 3, 2}}, "2 and 3 do not broadcast"},
        {"MatMul", {0}, {2, {3, 2}}, "no rows"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, cases[c].a);
        onnx_input(&o, "b", 1, cases[c].b);
        onnx_node(&o, cases[c].op, "a b", "y");
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, cases[c].text);
    }
}
END_TEST

START_TEST(rows_may_be_frames_but_summed_values_may_not)
{
    static float b[8 * 6 * 5];
    const struct {
        const char *op;
        struct onnx_dims a, b;
        int time_axis;
        bool per_frame;
    } cases[] = {
        {"Gemm", DIMS(8, 6), DIMS(6, 5), 0, true},
        {"Gemm", DIMS(6, 8), DIMS(8, 5), 1, false},
        {"MatMul", DIMS(1, 8, 6), DIMS(6, 5), 1, true},
        {"MatMul", DIMS(1, 6, 8), DIMS(8, 5), 2, false},
        {"MatMul", DIMS(8, 3, 6), DIMS(6, 5), 0, true},
        {"MatMul", DIMS(8, 3, 6), DIMS(1, 6, 5), 0, true},
        {"MatMul", DIMS(8, 3, 6), DIMS(8, 6, 5), 0, false}, /* b differs from frame to frame */
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, cases[c].a);
        onnx_floats(&o, "b", cases[c].b, b);
        onnx_node(&o, cases[c].op, "a b", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net =
            net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = cases[c].time_axis});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_msg(info.frame_nodes == cases[c].per_frame, "case %zu", c);
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("gemm");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, gemm_equals_its_definition_in_every_form);
    tcase_add_loop_test(
        all, fast_weights_take_sixteen_bits_and_change_outputs_by_less_than_a_thousandth, 0, 2);
    tcase_add_loop_test(all, int8_weights_take_eight_bits_whatever_that_changes, 0, 2);
    tcase_add_loop_test(all, fast_takes_eight_bits_where_they_are_enough, 0, 2);
    tcase_add_loop_test(
        all, weights_that_are_not_finite_and_products_of_several_rows_stay_float32, 0, 2);
    tcase_add_test(all, a_beta_of_zero_keeps_even_infinity_out);
    tcase_add_test(all, before_opset_7_c_broadcasts_only_when_told);
    tcase_add_test(all, matmul_broadcasts_its_leading_dimensions);
    tcase_add_test(all, matmul_treats_lists_as_a_row_on_the_left_and_a_column_on_the_right);
    tcase_add_test(all, a_product_over_nothing_is_zero);
    tcase_add_test(all, a_row_added_to_a_product_is_folded_into_it);
    tcase_add_test(all, a_gemm_over_nothing_is_its_scaled_bias);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    tcase_add_test(all, rows_may_be_frames_but_summed_values_may_not);
    return suite_run("nn/gemm", &all, 1);
}
