/* Size, ConstantOfShape, Range, Expand, Tile, Pad, Split, Trilu: against plain loops, over
 * opsets, with sizes that a run decides, and what is refused. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

/* One node over float input "x", with constant lists of integers named "i", "j". */
static struct onnx over_x(int opset, const char *op, const char *inputs, struct onnx_dims x)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, x);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, op, inputs, "y");
    return o;
}

static void add_list(struct onnx *o, const char *name, int count, const int64_t *values)
{
    onnx_ints(o, name, DIMS(count), values);
}

/* --- Size, ConstantOfShape, Range ------------------------------------------------------- */

START_TEST(size_counts_and_is_folded)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 0, 3));
    onnx_input(&o, "z", 1, SCALAR);
    onnx_node(&o, "Size", "x", "a");
    onnx_node(&o, "Size", "z", "b");
    onnx_output(&o, "a", 7, SCALAR);
    onnx_output(&o, "b", 7, SCALAR);
    struct net net = net_make(&o);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.window_nodes, 0);
    net_run(&net);
    net_expect_shape(&net, 0, SCALAR);
    ck_assert_int_eq(*(int64_t *)nn_session_output(net.session, 0)->data, 0);
    ck_assert_int_eq(*(int64_t *)nn_session_output(net.session, 1)->data, 1);
    net_free(&net);
}
END_TEST

START_TEST(a_constant_of_a_shape_has_any_type)
{
    const uint16_t value = 0xabcd;
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1));
    add_list(&o, "s", 2, (int64_t[]){2, 2});
    add_list(&o, "none", 0, NULL);
    onnx_node(&o, "ConstantOfShape", "s", "y");
    onnx_attribute_tensor(&o, "value", onnx_tensor("", 4, DIMS(1), &value, 2));
    onnx_node(&o, "ConstantOfShape", "none", "z");
    onnx_output(&o, "y", 4, SCALAR);
    onnx_output(&o, "z", 1, SCALAR);
    struct net net = net_make(&o);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(2, 2));
    ck_assert_int_eq(nn_session_output(net.session, 0)->type, NN_TYPE_UINT16);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(((uint16_t *)nn_session_output(net.session, 0)->data)[i], value);
    net_expect_floats(&net, 1, SCALAR, (float[]){0});
    net_free(&net);
}
END_TEST

/* "start limit delta" of a type, from constants. */
static struct onnx range_of(int type, size_t element, const void *numbers)
{
    struct onnx o = onnx_start(13);
    const char *names[] = {"s", "l", "d"};
    for (size_t i = 0; i < 3; i++)
        onnx_initializer(&o, onnx_tensor(names[i], type, SCALAR,
                                         (const char *)numbers + i * element, element));
    onnx_node(&o, "Range", "s l d", "y");
    onnx_output(&o, "y", type, SCALAR);
    return o;
}

START_TEST(ranges_end_before_their_limit_and_may_be_empty)
{
    static const struct {
        int64_t numbers[3], count, last;
    } cases[] = {{{0, 5, 2}, 3, 4},
                 {{0, 6, 2}, 3, 4},
                 {{5, 0, -2}, 3, 1},
                 {{5, 0, 1}, 0, 0},
                 {{0, 5, -1}, 0, 0},
                 {{3, 3, 1}, 0, 0},
                 {{-2, 3, 4}, 2, 2},
                 {{INT64_MIN, INT64_MAX, INT64_MAX}, 3, INT64_MAX - 1},
                 {{INT64_MAX, INT64_MIN, INT64_MIN}, 2, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = range_of(7, 8, cases[i].numbers);
        struct net net = net_make(&o);
        net_run(&net);
        const int64_t *y = nn_session_output(net.session, 0)->data;
        net_expect_shape(&net, 0, DIMS(cases[i].count));
        if (cases[i].count > 0)
            ck_assert_int_eq(y[0], cases[i].numbers[0]);
        if (cases[i].count > 0)
            ck_assert_int_eq(y[cases[i].count - 1], cases[i].last);
        net_free(&net);
    }
}
END_TEST

START_TEST(ranges_of_floats_and_short_integers)
{
    struct onnx o = range_of(1, 4, (float[]){1, 0, -0.3f});
    struct net net = net_make(&o);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(4), (float[]){1, 0.7f, 0.4f, 0.1f});
    net_free(&net);
    o = range_of(5, 2, (int16_t[]){-32768, 32767, 32767});
    net = net_make(&o);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(3));
    ck_assert_int_eq(((int16_t *)nn_session_output(net.session, 0)->data)[2], 32766);
    net_free(&net);
}
END_TEST

START_TEST(impossible_ranges_and_shapes_are_refused)
{
    struct onnx o = range_of(7, 8, (int64_t[]){0, 5, 0});
    net_expect_refused(&o, -EINVAL, "node 'y' (Range): delta is zero");
    o = range_of(1, 4, (float[]){0, NAN, 1});
    net_expect_refused(&o, -EINVAL, "are no numbers");
    o = range_of(7, 8, (int64_t[]){INT64_MIN, INT64_MAX, 1});
    net_expect_refused(&o, -E2BIG, "output 0 would be too large");
    o = range_of(1, 4, (float[]){0, 1e30f, 1});
    net_expect_refused(&o, -E2BIG, "output 0 would be too large");
    o = range_of(2, 1, "\0\5\1");
    net_expect_refused(&o, -EINVAL, "a range of uint8 does not exist");
    o = onnx_start(13);
    add_list(&o, "s", 2, (int64_t[]){2, -1});
    onnx_node(&o, "ConstantOfShape", "s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "the shape has a negative dimension");
    o = onnx_start(13);
    add_list(&o, "s", 3, (int64_t[]){1 << 20, 1 << 20, 1 << 30});
    onnx_node(&o, "ConstantOfShape", "s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -E2BIG, "output 0 would be too large");
}
END_TEST

/* --- Expand, Tile ----------------------------------------------------------------------- */

START_TEST(expand_broadcasts_both_ways)
{
    struct onnx o = over_x(13, "Expand", "x i", DIMS(3, 1));
    add_list(&o, "i", 3, (int64_t[]){2, 1, 2});
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 3, 2), (float[]){1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3});
    net_free(&net);
    o = over_x(13, "Expand", "x i", DIMS(3, 2));
    add_list(&o, "i", 1, (int64_t[]){3});
    net_expect_refused(&o, -EINVAL, "does not broadcast with shape");
    o = over_x(13, "Expand", "x i", DIMS(3, 1));
    add_list(&o, "i", 1, (int64_t[]){-1});
    net_expect_refused(&o, -EINVAL, "shape has a negative dimension");
}
END_TEST

START_TEST(tiles_agree_with_plain_loops)
{
    uint32_t seed = 5;
    for (int n = 0; n < 200; n++) {
        struct onnx_dims x = {.rank = (int)net_pick(&seed, 1, 4)}, y = x;
        int64_t repeats[4];
        for (int d = 0; d < x.rank; d++) {
            x.dim[d] = net_pick(&seed, 1, 4);
            repeats[d] = net_pick(&seed, n % 7 ? 1 : 0, 3);
            y.dim[d] = x.dim[d] * repeats[d];
        }
        struct onnx o = over_x(13, "Tile", "x i", x);
        add_list(&o, "i", x.rank, repeats);
        struct net net = net_make(&o);
        float *in = nn_session_input(net.session, 0)->data;
        net_fill(in, onnx_dims_count(x), seed);
        net_run(&net);
        net_expect_shape(&net, 0, y);
        for (int64_t i = 0; i < (int64_t)onnx_dims_count(y); i++) {
            int64_t at = 0, step = 1, rest = i;
            for (int d = x.rank - 1; d >= 0; d--) {
                at += rest % y.dim[d] % x.dim[d] * step;
                step *= x.dim[d];
                rest /= y.dim[d];
            }
            if (net_floats(&net, 0)[i] != in[at])
                ck_abort_msg("element %lld is not input %lld", (long long)i, (long long)at);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(bad_repeats_are_refused)
{
    struct onnx o = over_x(13, "Tile", "x i", DIMS(2, 2));
    add_list(&o, "i", 1, (int64_t[]){2});
    net_expect_refused(&o, -EINVAL, "repeats has 1 entries for a tensor of rank 2");
    o = over_x(13, "Tile", "x i", DIMS(2));
    add_list(&o, "i", 1, (int64_t[]){-2});
    net_expect_refused(&o, -EINVAL, "-2 repeats");
    o = over_x(13, "Tile", "x i", DIMS(2));
    add_list(&o, "i", 1, (int64_t[]){INT64_MAX});
    net_expect_refused(&o, -EINVAL, "repeats");
    o = over_x(1, "Tile", "x i j", DIMS(2));
    add_list(&o, "i", 1, (int64_t[]){2});
    add_list(&o, "j", 1, (int64_t[]){0});
    net_expect_refused(&o, -ENOTSUP, "the tiles of opset 1");
}
END_TEST

/* --- Pad -------------------------------------------------------------------------------- */

/* Where element i of a padded axis of extent n comes from: a walk outwards from the near edge.
 * -1: from nowhere. */
static int64_t walk_to(const char *mode, int64_t n, int64_t before, int64_t i)
{
    int64_t steps = i < before ? before - i : i - (before + n - 1);
    int64_t at = i < before ? 0 : n - 1, direction = i < before ? -1 : 1;
    if (i >= before && i < before + n)
        return i - before;
    if (strcmp(mode, "constant") == 0)
        return -1;
    for (; steps > 0; steps--) {
        bool out = at + direction < 0 || at + direction >= n;
        if (strcmp(mode, "edge") == 0 || n == 1)
            continue;
        if (strcmp(mode, "wrap") == 0) {
            at = out ? (direction < 0 ? n - 1 : 0) : at + direction;
        } else {
            direction = out ? -direction : direction;
            at += direction;
        }
    }
    return at;
}

START_TEST(pads_agree_with_a_walk_in_every_mode)
{
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    uint32_t seed = (uint32_t)_i;
    for (int n = 0; n < 200; n++) {
        const char *mode = modes[_i];
        struct onnx_dims x = {.rank = (int)net_pick(&seed, 1, 4)}, y = x;
        int64_t pads[8], crop[4];
        for (int d = 0; d < x.rank; d++) {
            x.dim[d] = net_pick(&seed, 1, 5);
            bool still = net_pick(&seed, 0, 2) == 0;
            pads[d] = still ? 0 : net_pick(&seed, -2, 7);
            pads[x.rank + d] = still ? 0 : net_pick(&seed, -1, 7);
            int64_t left = x.dim[d] + (pads[d] < 0 ? pads[d] : 0) +
                           (pads[x.rank + d] < 0 ? pads[x.rank + d] : 0);
            if (left < 1)
                pads[d] = pads[x.rank + d] = 0;
            crop[d] = pads[d] < 0 ? -pads[d] : 0;
            y.dim[d] = x.dim[d] + pads[d] + pads[x.rank + d];
        }
        struct onnx o = over_x(19, "Pad", "x i v", x);
        onnx_attribute_text(&o, "mode", mode);
        add_list(&o, "i", 2 * x.rank, pads);
        onnx_floats(&o, "v", SCALAR, (float[]){-9});
        struct net net = net_make(&o);
        float *in = nn_session_input(net.session, 0)->data;
        net_fill(in, onnx_dims_count(x), seed);
        net_run(&net);
        net_expect_shape(&net, 0, y);
        for (int64_t i = 0; i < (int64_t)onnx_dims_count(y); i++) {
            int64_t at = 0, step = 1, rest = i;
            for (int d = x.rank - 1; d >= 0; d--) {
                int64_t before = pads[d] > 0 ? pads[d] : 0;
                int64_t after = pads[x.rank + d] > 0 ? pads[x.rank + d] : 0;
                int64_t from =
                    walk_to(mode, y.dim[d] - before - after, before, rest % y.dim[d]);
                at = from < 0 || at < 0 ? -1 : at + (crop[d] + from) * step;
                step *= x.dim[d];
                rest /= y.dim[d];
            }
            if (net_floats(&net, 0)[i] != (at < 0 ? -9 : in[at]))
                ck_abort_msg("element %lld is not input %lld", (long long)i, (long long)at);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(pads_of_every_opset_and_of_chosen_axes)
{
    static const int64_t pads[] = {0, 1, 0, 2};
    const float want[] = {7, 1, 2, 7, 7, 7, 3, 4, 7, 7};
    for (int opset = 1; opset <= 25; opset++) {
        const char *inputs = opset < 11 ? "x" : opset < 18 ? "x i v" : "x i v j";
        struct onnx o = over_x(opset, "Pad", inputs, DIMS(2, 2));
        if (opset < 11) {
            onnx_attribute_ints(&o, opset < 2 ? "paddings" : "pads", 4, pads);
            onnx_attribute_float(&o, "value", 7);
        } else {
            add_list(&o, "i", opset < 18 ? 4 : 2, opset < 18 ? pads : (int64_t[]){1, 2});
            add_list(&o, "j", 1, (int64_t[]){-1});
            onnx_floats(&o, "v", SCALAR, (float[]){7});
        }
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){1, 2, 3, 4});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2, 5), want);
        net_free(&net);
    }
}
END_TEST

START_TEST(pads_of_every_element_size)
{
    static const int types[] = {NN_TYPE_BOOL, NN_TYPE_INT16, NN_TYPE_INT32, NN_TYPE_INT64};
    for (int i = 0; i < 4; i++) {
        size_t bytes = nn_type_size((enum nn_type)types[i]);
        const int64_t one = 1;
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", types[i], DIMS(1));
        add_list(&o, "i", 2, (int64_t[]){1, 2});
        onnx_initializer(&o, onnx_tensor("v", types[i], DIMS(1), &one, bytes));
        onnx_node(&o, "Pad", "x i v", "y");
        onnx_output(&o, "y", types[i], SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (int64_t[]){0});
        net_run(&net);
        const char *y = nn_session_output(net.session, 0)->data;
        for (size_t e = 0; e < 4; e++)
            ck_assert_mem_eq(y + e * bytes, &(int64_t){e != 1}, bytes);
        net_free(&net);
    }
}
END_TEST

START_TEST(impossible_pads_are_refused)
{
    static const struct {
        int opset, count;
        const char *mode, *text;
        int64_t pads[4];
    } cases[] = {
        {13, 4, "wrap", "mode 'wrap' does not exist", {0, 0, 0, 0}},
        {19, 4, "mirror", "mode 'mirror' does not exist", {0, 0, 0, 0}},
        {13, 3, "constant", "3 pads for 2 axes", {0, 0, 0}},
        {13, 4, "constant", "the pads of axis 1 crop more than there is", {0, -2, 0, -1}},
        {13, 4, "edge", "axis 1 has nothing to repeat", {0, -2, 0, 1}},
        {13, 4, "constant", "the pads of axis 0 are impossible", {INT64_MAX, 0, 0, 0}},
        {13, 4, "constant", "the pads of axis 1 are impossible", {0, 0, 0, INT64_MIN}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = over_x(cases[i].opset, "Pad", "x i", DIMS(2, 2));
        onnx_attribute_text(&o, "mode", cases[i].mode);
        add_list(&o, "i", cases[i].count, cases[i].pads);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
    struct onnx o = over_x(18, "Pad", "x i - j", DIMS(2, 2));
    add_list(&o, "i", 4, (int64_t[]){0, 0, 0, 0});
    add_list(&o, "j", 2, (int64_t[]){1, -1});
    net_expect_refused(&o, -EINVAL, "axis 1 is named twice");
    o = over_x(13, "Pad", "x i v", DIMS(2));
    add_list(&o, "i", 2, (int64_t[]){0, 0});
    add_list(&o, "v", 1, (int64_t[]){0});
    net_expect_refused(&o, -EINVAL, "constant_value must be one float32");
}
END_TEST

/* --- Split, Trilu ----------------------------------------------------------------------- */

static struct net split_of(int opset, const char *outputs, int64_t columns, int parts,
                           const int64_t *extents)
{
    struct onnx o = onnx_start(opset);
    bool listed = extents && opset >= 13;
    onnx_input(&o, "x", 1, DIMS(2, columns));
    onnx_node(&o, "Split", listed ? "x i" : "x", outputs);
    onnx_attribute_int(&o, "axis", -1);
    if (extents && !listed)
        onnx_attribute_ints(&o, "split", parts, extents);
    if (!extents && opset >= 18)
        onnx_attribute_int(&o, "num_outputs", parts);
    if (listed)
        add_list(&o, "i", parts, extents);
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "c", 1, SCALAR);
    return net_make(&o);
}

START_TEST(splits_of_every_opset_leave_out_what_nobody_names)
{
    for (int opset = 2; opset <= 25; opset++) {
        struct net net = split_of(opset, "a - c", 6, 3, (int64_t[]){1, 3, 2});
        net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2, 1), (float[]){1, 7});
        net_expect_floats(&net, 1, DIMS(2, 2), (float[]){5, 6, 11, 12});
        net_free(&net);
        net = split_of(opset, "a - c", 6, 3, NULL);
        net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2, 2), (float[]){1, 2, 7, 8});
        net_expect_floats(&net, 1, DIMS(2, 2), (float[]){5, 6, 11, 12});
        net_free(&net);
    }
}
END_TEST

START_TEST(the_last_of_equal_parts_may_be_shorter_since_opset_18)
{
    struct net net = split_of(18, "a b c d", 5, 4, NULL);
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){1, 2, 6, 7});
    net_expect_floats(&net, 1, DIMS(2, 1), (float[]){5, 10}); /* 2, 2, 1 and none */
    net_free(&net);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(5));
    onnx_node(&o, "Split", "x", "y z");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "5 do not divide into 2 equal parts");
}
END_TEST

START_TEST(parts_that_are_not_the_whole_are_refused)
{
    static const struct {
        int count;
        int64_t extents[3];
        const char *text;
    } cases[] = {{2, {2, 2}, "the parts do not add up to 5"},
                 {2, {6, -1}, "the parts do not add up to 5"},
                 {2, {INT64_MAX, INT64_MAX}, "the parts do not add up to 5"},
                 {3, {1, 1, 3}, "there are 2 outputs for 3 parts"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(5));
        add_list(&o, "i", cases[i].count, cases[i].extents);
        onnx_node(&o, "Split", "x i", "y z");
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
    struct onnx o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(5));
    onnx_node(&o, "Split", "x", "y z");
    onnx_attribute_int(&o, "num_outputs", 3);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "there are 2 outputs for 3 parts");
}
END_TEST

START_TEST(triangles_agree_with_plain_loops_on_every_diagonal)
{
    for (int64_t k = -5; k <= 6; k++)
        for (int upper = 0; upper < 2; upper++) {
            struct onnx o = over_x(14, "Trilu", "x i", DIMS(2, 3, 4));
            onnx_attribute_int(&o, "upper", upper);
            onnx_ints(&o, "i", SCALAR, &k);
            struct net net = net_make(&o);
            float *x = nn_session_input(net.session, 0)->data;
            net_fill(x, 24, 3);
            net_run(&net);
            for (int i = 0; i < 24; i++) {
                int64_t above = i % 4 - i / 4 % 3 - k; /* columns right of the diagonal */
                bool stays = upper ? above >= 0 : above <= 0;
                ck_assert_float_eq(net_floats(&net, 0)[i], stays ? x[i] : 0);
            }
            net_free(&net);
        }
    struct onnx o = over_x(14, "Trilu", "x", DIMS(4));
    net_expect_refused(&o, -EINVAL, "the input has 1 dimensions");
}
END_TEST

/* --- Sizes that a run decides ----------------------------------------------------------- */

/* "n": how many of the 6 inputs are not zero, as a list of one. */
static struct onnx counted(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6));
    onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
    onnx_node(&o, "NonZero", "x", "places");
    onnx_node(&o, "Shape", "places", "shape");
    onnx_node(&o, "Gather", "shape one", "n");
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

static void expect_counted(struct onnx *o, const float *want, int count)
{
    struct net net = net_make(o);
    net_set(&net, 0, (float[]){1, 0, 2, 0, 0, 3});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(count), want);
    net_free(&net);
}

START_TEST(sizes_may_be_computed_by_the_run)
{
    struct onnx o = counted();
    onnx_floats(&o, "v", DIMS(1), (float[]){4});
    onnx_node(&o, "Expand", "v n", "y");
    expect_counted(&o, (float[]){4, 4, 4}, 3);

    o = counted();
    onnx_floats(&o, "v", DIMS(2), (float[]){4, 5});
    onnx_node(&o, "Tile", "v n", "y");
    expect_counted(&o, (float[]){4, 5, 4, 5, 4, 5}, 6);

    o = counted();
    const float seven = 7;
    onnx_node(&o, "ConstantOfShape", "n", "y");
    onnx_attribute_tensor(&o, "value", onnx_tensor("", 1, DIMS(1), &seven, 4));
    expect_counted(&o, (float[]){7, 7, 7}, 3);

    o = counted();
    onnx_ints(&o, "zero", SCALAR, (int64_t[]){0});
    onnx_ints(&o, "step", SCALAR, (int64_t[]){1});
    onnx_node(&o, "Squeeze", "n", "limit");
    onnx_node(&o, "Range", "zero limit step", "r");
    onnx_node(&o, "Cast", "r", "y");
    onnx_attribute_int(&o, "to", 1);
    expect_counted(&o, (float[]){0, 1, 2}, 3);

    o = counted();
    onnx_floats(&o, "v", DIMS(2), (float[]){4, 5});
    onnx_ints(&o, "front", DIMS(1), (int64_t[]){1});
    onnx_node(&o, "Concat", "front n", "pads");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Pad", "v pads", "y");
    expect_counted(&o, (float[]){0, 4, 5, 0, 0, 0}, 6);
}
END_TEST

START_TEST(a_size_that_nothing_bounds_is_refused_and_one_that_is_wrong_ends_the_run)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(3, 1));
    onnx_input(&o, "s", 7, DIMS(2));
    onnx_node(&o, "Expand", "x s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "shape is computed at run time and nothing bounds it");
    o = counted();
    onnx_ints(&o, "five", SCALAR, (int64_t[]){5});
    onnx_ints(&o, "step", SCALAR, (int64_t[]){-1});
    onnx_node(&o, "Squeeze", "n", "limit");
    onnx_node(&o, "Range", "five limit step", "r");
    onnx_node(&o, "Cast", "r", "y");
    onnx_attribute_int(&o, "to", 1);
    net_expect_refused(&o, -ENOTSUP, "nothing bounds it from below");
    o = counted();
    onnx_floats(&o, "v", DIMS(1), (float[]){4});
    onnx_node(&o, "Sub", "n one", "less");
    onnx_node(&o, "Sub", "less one", "lesser");
    onnx_node(&o, "Expand", "v lesser", "y");
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 0, 0, 0, 0, 0});
    net_expect_run_fails(&net, "shape has a negative dimension");
    net_free(&net);
}
END_TEST

static TCase *values_case(void)
{
    TCase *c = tcase_create("values");
    tcase_add_test(c, size_counts_and_is_folded);
    tcase_add_test(c, a_constant_of_a_shape_has_any_type);
    tcase_add_test(c, ranges_end_before_their_limit_and_may_be_empty);
    tcase_add_test(c, ranges_of_floats_and_short_integers);
    tcase_add_test(c, impossible_ranges_and_shapes_are_refused);
    tcase_add_test(c, sizes_may_be_computed_by_the_run);
    tcase_add_test(c, a_size_that_nothing_bounds_is_refused_and_one_that_is_wrong_ends_the_run);
    return c;
}

static TCase *moves_case(void)
{
    TCase *c = tcase_create("moves");
    tcase_add_test(c, expand_broadcasts_both_ways);
    tcase_add_test(c, tiles_agree_with_plain_loops);
    tcase_add_test(c, bad_repeats_are_refused);
    tcase_add_loop_test(c, pads_agree_with_a_walk_in_every_mode, 0, 4);
    tcase_add_test(c, pads_of_every_opset_and_of_chosen_axes);
    tcase_add_test(c, pads_of_every_element_size);
    tcase_add_test(c, impossible_pads_are_refused);
    tcase_add_test(c, splits_of_every_opset_leave_out_what_nobody_names);
    tcase_add_test(c, the_last_of_equal_parts_may_be_shorter_since_opset_18);
    tcase_add_test(c, parts_that_are_not_the_whole_are_refused);
    tcase_add_test(c, triangles_agree_with_plain_loops_on_every_diagonal);
    return c;
}

int main(void)
{
    TCase *cases[] = {values_case(), moves_case()};
    return suite_run("nn/shaping", cases, 2);
}
