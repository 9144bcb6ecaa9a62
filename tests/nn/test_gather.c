/* GatherElements, GatherND, ScatterElements, ScatterND against their definitions written as
 * plain loops, over types and reductions, and indices that lead nowhere. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

/* Row-major place of an index. */
static int64_t place_of(struct onnx_dims dims, const int64_t *index)
{
    int64_t at = 0;
    for (int d = 0; d < dims.rank; d++)
        at = at * dims.dim[d] + index[d];
    return at;
}

static void index_of(struct onnx_dims dims, int64_t place, int64_t *index)
{
    for (int d = dims.rank - 1; d >= 0; d--) {
        index[d] = place % dims.dim[d];
        place /= dims.dim[d];
    }
}

static double reduced(const char *how, double a, double b)
{
    return strcmp(how, "add") == 0   ? a + b
           : strcmp(how, "mul") == 0 ? a * b
           : strcmp(how, "max") == 0 ? (a > b ? a : b)
           : strcmp(how, "min") == 0 ? (a < b ? a : b)
                                     : b;
}

/* --- Elements --------------------------------------------------------------------------- */

struct elements {
    struct onnx_dims data, indices;
    int axis;
    int64_t index[400];
    float values[400], updates[400];
};

static struct elements random_elements(uint32_t *seed)
{
    struct elements e = {.data.rank = (int)net_pick(seed, 1, 4)};
    e.axis = (int)net_pick(seed, 0, e.data.rank - 1);
    e.indices.rank = e.data.rank;
    for (int d = 0; d < e.data.rank; d++) {
        e.data.dim[d] = net_pick(seed, 1, 4);
        e.indices.dim[d] = net_pick(seed, 1, d == e.axis ? 4 : e.data.dim[d]);
    }
    int64_t extent = e.data.dim[e.axis];
    for (size_t i = 0; i < onnx_dims_count(e.indices); i++)
        e.index[i] = net_pick(seed, -extent, extent - 1);
    net_fill(e.values, 400, *seed);
    net_fill(e.updates, 400, *seed + 1);
    return e;
}

/* Where element i of the indices leads to. */
static int64_t element_place(const struct elements *e, int64_t i)
{
    int64_t index[4];
    index_of(e->indices, i, index);
    index[e->axis] = e->index[i] + (e->index[i] < 0 ? e->data.dim[e->axis] : 0);
    return place_of(e->data, index);
}

START_TEST(elements_are_gathered_as_defined)
{
    uint32_t seed = 3;
    for (int n = 0; n < 200; n++) {
        struct elements e = random_elements(&seed);
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, e.data);
        onnx_input(&o, "i", 7, e.indices);
        onnx_node(&o, "GatherElements", "x i", "y");
        onnx_attribute_int(&o, "axis", e.axis - (n % 2 ? e.data.rank : 0));
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, e.values);
        net_set(&net, 1, e.index);
        net_run(&net);
        net_expect_shape(&net, 0, e.indices);
        for (int64_t i = 0; i < (int64_t)onnx_dims_count(e.indices); i++)
            ck_assert_float_eq(net_floats(&net, 0)[i], e.values[element_place(&e, i)]);
        net_free(&net);
    }
}
END_TEST

static const char *const reductions[] = {"none", "add", "mul", "max", "min"};

START_TEST(elements_are_scattered_in_order_with_every_reduction)
{
    uint32_t seed = 4;
    for (int n = 0; n < 200; n++) {
        struct elements e = random_elements(&seed);
        const char *how = reductions[n % 5];
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, e.data);
        onnx_input(&o, "i", 7, e.indices);
        onnx_input(&o, "u", 1, e.indices);
        onnx_node(&o, "ScatterElements", "x i u", "y");
        onnx_attribute_int(&o, "axis", e.axis);
        onnx_attribute_text(&o, "reduction", how);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, e.values);
        net_set(&net, 1, e.index);
        net_set(&net, 2, e.updates);
        net_run(&net);
        for (int64_t i = 0; i < (int64_t)onnx_dims_count(e.indices); i++) {
            float *to = &e.values[element_place(&e, i)];
            *to = (float)reduced(how, (double)*to, (double)e.updates[i]);
        }
        net_expect_floats(&net, 0, e.data, e.values);
        net_free(&net);
    }
}
END_TEST

/* Each type with numbers whose sum and product wrap in none. */
START_TEST(integers_of_every_type_are_reduced)
{
    static const enum nn_type types[] = {NN_TYPE_INT8,   NN_TYPE_INT16, NN_TYPE_INT32,
                                         NN_TYPE_INT64,  NN_TYPE_UINT8, NN_TYPE_UINT16,
                                         NN_TYPE_UINT32, NN_TYPE_UINT64};
    static const int64_t want[5][3] = {
        {5, 3, 9}, {2 + 7 + 5, 3, 4 + 9}, {2 * 7 * 5, 3, 4 * 9}, {7, 3, 9}, {2, 3, 4}};
    for (size_t t = 0; t < 8; t++)
        for (int how = 0; how < 5; how++) {
            size_t bytes = nn_type_size(types[t]);
            const int64_t x[] = {2, 3, 4}, u[] = {7, 9, 5};
            char raw[2][24] = {{0}};
            struct onnx o = onnx_start(18);
            for (size_t i = 0; i < 3; i++) {
                memcpy(raw[0] + i * bytes, &x[i], bytes);
                memcpy(raw[1] + i * bytes, &u[i], bytes);
            }
            onnx_input(&o, "x", (int)types[t], DIMS(3));
            onnx_input(&o, "u", (int)types[t], DIMS(3));
            onnx_ints(&o, "i", DIMS(3, 1), (int64_t[]){0, 2, -3});
            onnx_node(&o, "ScatterND", "x i u", "y");
            onnx_attribute_text(&o, "reduction", reductions[how]);
            onnx_output(&o, "y", (int)types[t], SCALAR);
            struct net net = net_make(&o);
            net_set(&net, 0, raw[0]);
            net_set(&net, 1, raw[1]);
            net_run(&net);
            const char *y = nn_session_output(net.session, 0)->data;
            for (size_t i = 0; i < 3; i++)
                ck_assert_mem_eq(y + i * bytes, &want[how][i], bytes);
            net_free(&net);
        }
}
END_TEST

START_TEST(a_nan_stays_the_greatest_and_the_least)
{
    for (int how = 3; how < 5; how++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(2));
        onnx_floats(&o, "u", DIMS(2), (float[]){1, NAN});
        onnx_ints(&o, "i", DIMS(2, 1), (int64_t[]){0, 1});
        onnx_node(&o, "ScatterND", "x i u", "y");
        onnx_attribute_text(&o, "reduction", reductions[how]);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){NAN, 1});
        net_run(&net);
        ck_assert(isnan(net_floats(&net, 0)[0]) && isnan(net_floats(&net, 0)[1]));
        net_free(&net);
    }
}
END_TEST

/* --- Slices ----------------------------------------------------------------------------- */

START_TEST(slices_are_gathered_as_defined)
{
    uint32_t seed = 9;
    for (int n = 0; n < 300; n++) {
        struct onnx_dims data = {.rank = (int)net_pick(&seed, 1, 4)};
        int batch = (int)net_pick(&seed, 0, data.rank - 1);
        int depth = (int)net_pick(&seed, 1, data.rank - batch);
        for (int d = 0; d < data.rank; d++)
            data.dim[d] = net_pick(&seed, 1, 4);
        /* Batch dimensions, one more of 1 to 3, and the row. */
        struct onnx_dims indices = {.rank = batch + 2}, out = {0};
        memcpy(indices.dim, data.dim, (size_t)batch * sizeof *data.dim);
        indices.dim[batch] = net_pick(&seed, 1, 3);
        indices.dim[batch + 1] = depth;
        for (int d = 0; d <= batch; d++)
            out.dim[out.rank++] = indices.dim[d];
        for (int d = batch + depth; d < data.rank; d++)
            out.dim[out.rank++] = data.dim[d];
        int64_t index[600];
        float values[256];
        for (size_t i = 0; i < onnx_dims_count(indices); i++) {
            int64_t extent = data.dim[batch + (int)(i % (size_t)depth)];
            index[i] = net_pick(&seed, -extent, extent - 1);
        }
        net_fill(values, 256, seed);
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, data);
        onnx_input(&o, "i", 7, indices);
        onnx_node(&o, "GatherND", "x i", "y");
        onnx_attribute_int(&o, "batch_dims", batch);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_set(&net, 1, index);
        net_run(&net);
        net_expect_shape(&net, 0, out);
        for (int64_t i = 0; i < (int64_t)onnx_dims_count(out); i++) {
            int64_t at[8], from[8], row = 0;
            index_of(out, i, at);
            memcpy(from, at, (size_t)batch * sizeof *at);
            for (int d = 0; d <= batch; d++)
                row = row * indices.dim[d] + at[d];
            for (int d = 0; d < depth; d++) {
                int64_t given = index[row * depth + d];
                from[batch + d] = given + (given < 0 ? data.dim[batch + d] : 0);
            }
            for (int d = batch + depth; d < data.rank; d++)
                from[d] = at[d - depth + 1];
            ck_assert_float_eq(net_floats(&net, 0)[i], values[place_of(data, from)]);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(slices_are_scattered_in_order_with_every_reduction)
{
    for (int how = 0; how < 5; how++) {
        float x[] = {1, 2, 3, 4, 5, 6};
        const float u[] = {7, 8, -1, 9, 3, 3};
        const int64_t rows[] = {2, 0, -1};
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(3, 2));
        onnx_floats(&o, "u", DIMS(3, 2), u);
        onnx_ints(&o, "i", DIMS(3, 1), rows);
        onnx_node(&o, "ScatterND", "x i u", "y");
        onnx_attribute_text(&o, "reduction", reductions[how]);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        for (int i = 0; i < 6; i++) {
            float *to = &x[(rows[i / 2] + 3) % 3 * 2 + i % 2];
            *to = (float)reduced(reductions[how], (double)*to, (double)u[i]);
        }
        net_expect_floats(&net, 0, DIMS(3, 2), x);
        net_free(&net);
    }
}
END_TEST

/* --- Refusals --------------------------------------------------------------------------- */

START_TEST(an_index_outside_ends_the_run)
{
    static const struct {
        const char *op, *inputs;
    } cases[] = {{"Gather", "x i"},
                 {"GatherElements", "x i"},
                 {"GatherND", "x i"},
                 {"ScatterElements", "x i u"},
                 {"ScatterND", "x i s"}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++)
        for (int64_t wrong = -4; wrong <= 3; wrong += 7) {
            struct onnx o = onnx_start(13);
            char text[80];
            onnx_input(&o, "x", 1, DIMS(3, 2));
            onnx_input(&o, "i", 7, DIMS(2, 1));
            onnx_floats(&o, "u", DIMS(2, 1), (float[]){1, 2});
            onnx_floats(&o, "s", DIMS(2, 2), (float[]){1, 2, 3, 4});
            onnx_node(&o, cases[n].op, cases[n].inputs, "y");
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            net_set(&net, 1, (int64_t[]){2, -3});
            net_run(&net);
            net_set(&net, 1, (int64_t[]){0, wrong});
            snprintf(text, sizeof text, "index %d is outside an axis of extent 3", (int)wrong);
            net_expect_run_fails(&net, text);
            net_free(&net);
        }
}
END_TEST

START_TEST(shapes_types_and_reductions_that_do_not_fit_are_refused)
{
    static const struct {
        const char *op, *inputs, *text;
        struct onnx_dims x, i, u;
        int index_type;
        int64_t batch;
        const char *how;
    } cases[] = {
        {"GatherElements",
         "x i",
         "indices are float32",
         {2, {2, 2}},
         {2, {2, 2}},
         {0},
         1,
         0,
         0},
        {"GatherElements", "x i", "have 1 dimensions", {2, {2, 2}}, {1, {2}}, {0}, 7, 0, 0},
        {"GatherElements", "x i", "reach over", {2, {2, 2}}, {2, {2, 3}}, {0}, 7, 0, 0},
        {"GatherND", "x i", "3 indices for 2", {2, {2, 2}}, {1, {3}}, {0}, 7, 0, 0},
        {"GatherND", "x i", "0 indices for 2", {2, {2, 2}}, {2, {2, 0}}, {0}, 7, 0, 0},
        {"GatherND",
         "x i",
         "batch_dims 2 does not fit",
         {2, {2, 2}},
         {2, {2, 1}},
         {0},
         7,
         2,
         0},
        {"GatherND",
         "x i",
         "batch_dims -1 does not fit",
         {2, {2, 2}},
         {2, {2, 1}},
         {0},
         7,
         -1,
         0},
        {"GatherND", "x i", "batch dimension 0", {2, {2, 2}}, {2, {3, 1}}, {0}, 7, 1, 0},
        {"ScatterElements", "x i u", "differ in shape", {1, {3}}, {1, {2}}, {1, {3}}, 7, 0, 0},
        {"ScatterND", "x i u", "another shape", {2, {2, 2}}, {2, {1, 1}}, {2, {1, 3}}, 7, 0, 0},
        {"ScatterND",
         "x i u",
         "'mean' does not exist",
         {1, {2}},
         {2, {1, 1}},
         {1, {1}},
         7,
         0,
         "mean"}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, cases[n].x);
        onnx_input(&o, "i", cases[n].index_type, cases[n].i);
        if (strchr(cases[n].inputs, 'u'))
            onnx_input(&o, "u", 1, cases[n].u);
        onnx_node(&o, cases[n].op, cases[n].inputs, "y");
        if (cases[n].batch)
            onnx_attribute_int(&o, "batch_dims", cases[n].batch);
        if (cases[n].how)
            onnx_attribute_text(&o, "reduction", cases[n].how);
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, cases[n].text);
    }
    struct onnx o = onnx_start(17);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_ints(&o, "i", DIMS(1, 1), (int64_t[]){0});
    onnx_input(&o, "u", 1, DIMS(1));
    onnx_node(&o, "ScatterND", "x i u", "y");
    onnx_attribute_text(&o, "reduction", "max");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "reduction 'max' does not exist");
}
END_TEST

static TCase *gather_case(void)
{
    TCase *c = tcase_create("gather");
    tcase_add_test(c, elements_are_gathered_as_defined);
    tcase_add_test(c, elements_are_scattered_in_order_with_every_reduction);
    tcase_add_test(c, integers_of_every_type_are_reduced);
    tcase_add_test(c, a_nan_stays_the_greatest_and_the_least);
    tcase_add_test(c, slices_are_gathered_as_defined);
    tcase_add_test(c, slices_are_scattered_in_order_with_every_reduction);
    tcase_add_test(c, an_index_outside_ends_the_run);
    tcase_add_test(c, shapes_types_and_reductions_that_do_not_fit_are_refused);
    return c;
}

int main(void)
{
    TCase *cases[] = {gather_case()};
    return suite_run("nn/gather", cases, 1);
}
