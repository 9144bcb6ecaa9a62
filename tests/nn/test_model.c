/* What nn_model_load accepts, and what it refuses and how it says so. */
#include <errno.h>

#include "tests/nn/net.h"

/* Add of two inputs; the tests below break it in one place each. */
static struct onnx small(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1, 4));
    onnx_floats(&b, "w", DIMS(4), (float[]){1, 2, 3, 4});
    onnx_node(&b, "Add", "x w", "sum");
    onnx_node(&b, "LeakyRelu", "sum", "y");
    onnx_attribute_float(&b, "alpha", 0.5f);
    onnx_output(&b, "y", 1, DIMS(1, 4));
    return b;
}

START_TEST(a_model_tells_what_the_file_says)
{
    struct onnx b = onnx_start(13);
    onnx_metadata(&b, "vigil.labels", "quiet,movement");
    onnx_metadata(&b, "vigil.note", "two\nlines");
    onnx_input(&b, "x", 1, DIMS(-1, 4));
    onnx_floats(&b, "w", DIMS(4), (float[]){1, 2, 3, 4});
    onnx_node(&b, "Add", "x w", "y");
    onnx_output(&b, "y", 1, DIMS(-1, 4));
    struct nn_model *model = net_load(&b);
    ck_assert_uint_eq(nn_model_input_count(model), 1);
    ck_assert_str_eq(nn_model_input(model, 0)->name, "x");
    ck_assert_int_eq(nn_model_input(model, 0)->type, NN_TYPE_FLOAT);
    ck_assert_int_eq(nn_model_input(model, 0)->shape.rank, 2);
    ck_assert_int_eq(nn_model_input(model, 0)->shape.dim[0], NN_DIM_DYNAMIC);
    ck_assert_int_eq(nn_model_input(model, 0)->shape.dim[1], 4);
    ck_assert_uint_eq(nn_model_output_count(model), 1);
    ck_assert_str_eq(nn_model_output(model, 0)->name, "y");
    ck_assert_uint_eq(nn_model_node_count(model), 1);
    ck_assert_uint_eq(nn_model_metadata_count(model), 2);
    ck_assert_str_eq(nn_model_metadata(model, "vigil.labels"), "quiet,movement");
    ck_assert_str_eq(nn_model_metadata(model, "vigil.note"), "two\nlines");
    ck_assert_ptr_null(nn_model_metadata(model, "vigil.none"));
    const char *key, *value;
    nn_model_metadata_at(model, 1, &key, &value);
    ck_assert_str_eq(key, "vigil.note");
    nn_model_unref(nn_model_ref(model));
    ck_assert_str_eq(nn_model_input(model, 0)->name, "x");
    nn_model_unref(model);
}
END_TEST

START_TEST(an_initializer_listed_as_input_is_not_an_input)
{
    struct onnx b = onnx_start(9);
    b.ir_version = 3;
    onnx_input(&b, "x", 1, DIMS(2));
    onnx_input(&b, "w", 1, DIMS(2));
    onnx_floats(&b, "w", DIMS(2), (float[]){10, 20});
    onnx_node(&b, "Add", "x w", "y");
    onnx_output(&b, "y", 1, DIMS(2));
    struct net net = net_make(&b);
    ck_assert_uint_eq(nn_model_input_count(net.model), 1);
    net_set(&net, 0, (float[]){1, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){11, 22});
    net_free(&net);
}
END_TEST

START_TEST(nodes_in_any_order_are_sorted)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2));
    onnx_node(&b, "Add", "p q", "y");
    onnx_node(&b, "Mul", "p p", "q");
    onnx_node(&b, "Relu", "r", "p");
    onnx_node(&b, "Identity", "x", "r");
    onnx_output(&b, "y", 1, DIMS(2));
    struct net net = net_make(&b);
    net_set(&net, 0, (float[]){3, -4});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){12, 0});
    net_free(&net);
}
END_TEST

START_TEST(typed_and_raw_elements_are_read_alike)
{
    struct onnx b = onnx_start(13);
    struct onnx_bytes w = {0};
    onnx_put_int(&w, 1, 3);
    onnx_put_int(&w, 2, 1);
    float packed[] = {1.5f, -2, 8};
    onnx_put_bytes(&w, 4, packed, sizeof packed);
    onnx_put_text(&w, 8, "w");
    onnx_initializer(&b, w);
    struct onnx_bytes small_ints = {0};
    onnx_put_int(&small_ints, 1, 2);
    onnx_put_int(&small_ints, 2, 3); /* int8, one varint each, not packed */
    onnx_put_int(&small_ints, 5, -128);
    onnx_put_int(&small_ints, 5, 127);
    onnx_put_text(&small_ints, 8, "i");
    onnx_initializer(&b, small_ints);
    onnx_node(&b, "Identity", "w", "y");
    onnx_node(&b, "Identity", "i", "z");
    onnx_output(&b, "y", 1, DIMS(3));
    onnx_output(&b, "z", 3, DIMS(2));
    struct net net = net_make(&b);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), packed);
    const int8_t *z = nn_session_output(net.session, 1)->data;
    ck_assert_int_eq(z[0], -128);
    ck_assert_int_eq(z[1], 127);
    net_free(&net);
}
END_TEST

/* --- Refused ---------------------------------------------------------------------------- */

START_TEST(bytes_that_are_no_model_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"", 0},
        {"\0", 1},
        {"not a model at all, but text that goes on for a while", 53},
        {"\x89PNG\r\n\x1a\n", 8},
        {"\x08\x08", 2},                             /* a model without a graph */
        {"\x3a\xff\xff\xff\xff\xff\xff\xff\x7f", 9}, /* a graph of 2^56 bytes */
        {"\x3a\x02\x0a\x7f", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nn_model *model = NULL;
        struct nn_error err = {{0}};
        ck_assert_int_eq(nn_model_load(cases[i].bytes, cases[i].size, &model, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, "not an ONNX model"), "case %zu: %s", i, err.text);
        ck_assert_ptr_null(model);
    }
}
END_TEST

START_TEST(a_model_cut_short_at_any_byte_is_refused)
{
    struct onnx b = small();
    struct onnx_bytes bytes = onnx_finish(&b);
    for (size_t size = 0; size <= bytes.size; size++) {
        /* A copy of exactly that size, so that the sanitizer sees any byte read beyond. */
        uint8_t *cut = malloc(size + !size);
        memcpy(cut, bytes.data, size);
        struct nn_model *model = NULL;
        int r = nn_model_load(cut, size, &model, NULL);
        ck_assert_msg((r == 0) == (size == bytes.size), "%zu of %zu bytes: %d", size,
                      bytes.size, r);
        nn_model_unref(model);
        free(cut);
    }
    free(bytes.data);
}
END_TEST

START_TEST(a_model_with_any_byte_changed_does_no_harm)
{
    struct onnx b = small();
    struct onnx_bytes bytes = onnx_finish(&b);
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f};
    int loaded = 0;
    for (size_t at = 0; at < bytes.size; at++)
        for (size_t c = 0; c < sizeof changes; c++) {
            bytes.data[at] ^= changes[c];
            struct nn_model *model = NULL;
            struct nn_plan *plan = NULL;
            struct nn_session *session = NULL;
            struct nn_plan_options options = {.time_axis = -1, .limit_bytes = 1 << 20};
            if (nn_model_load(bytes.data, bytes.size, &model, NULL) == 0 &&
                nn_plan_create(model, &options, &plan, NULL) == 0 &&
                nn_session_create(plan, &session, NULL) == 0)
                loaded += nn_session_run(session, NULL) == 0;
            nn_session_destroy(session);
            nn_plan_unref(plan);
            nn_model_unref(model);
            bytes.data[at] ^= changes[c];
        }
    ck_assert_int_gt(loaded, 0);
    free(bytes.data);
}
END_TEST

START_TEST(an_unknown_operator_is_named)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2));
    onnx_node(&b, "Frobnicate", "x", "y");
    onnx_output(&b, "y", 1, DIMS(2));
    net_expect_refused(&b, -ENOTSUP, "node 'y': operator Frobnicate is not supported");
}
END_TEST

START_TEST(what_else_is_missing_is_named_too)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1));
    onnx_node(&b, "Frobnicate", "x", "a");
    onnx_node(&b, "Relu", "a", "b");
    onnx_node(&b, "Warble", "b", "c");
    onnx_node(&b, "Frobnicate", "c", "d");
    onnx_node(&b, "Warble", "d", "e");
    onnx_node(&b, "no\x1b[name", "e", "f");
    onnx_node(&b, "", "f", "g");
    onnx_node(&b, "Twiddle", "g", "y");
    onnx_output(&b, "y", 1, SCALAR);
    net_expect_refused(&b, -ENOTSUP,
                       "node 'a': operator Frobnicate is not supported; "
                       "also missing: Warble, Twiddle");
}
END_TEST

START_TEST(an_operator_of_another_domain_is_named_with_it)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2));
    onnx_node(&b, "Relu", "x", "y");
    onnx_put_text(&b.node, 7, "com.example");
    onnx_output(&b, "y", 1, DIMS(2));
    net_expect_refused(&b, -ENOTSUP, "com.example.Relu");
}
END_TEST

START_TEST(an_unknown_attribute_is_named)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "x", "z");
    onnx_attribute_int(&b, "speed", 3);
    net_expect_refused(&b, -ENOTSUP, "node 'z' (Relu): attribute 'speed'");
}
END_TEST

START_TEST(an_attribute_of_another_opset_is_refused)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1, 2));
    onnx_node(&b, "Squeeze", "x", "y");
    onnx_attribute_ints(&b, "axes", 1, (int64_t[]){0});
    onnx_output(&b, "y", 1, DIMS(2));
    net_expect_refused(&b, -EINVAL, "opset 13 has no attribute 'axes'");
}
END_TEST

START_TEST(an_attribute_of_another_type_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "LeakyRelu", "x", "z");
    onnx_attribute_int(&b, "alpha", 3);
    net_expect_refused(&b, -EINVAL, "attribute 'alpha' is of type 2, not 1");
}
END_TEST

START_TEST(an_attribute_given_twice_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "LeakyRelu", "x", "z");
    onnx_attribute_float(&b, "alpha", 3);
    onnx_attribute_float(&b, "alpha", 4);
    net_expect_refused(&b, -EINVAL, "attribute 'alpha' twice");
}
END_TEST

START_TEST(a_graph_as_attribute_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "x", "z");
    struct onnx_bytes graph = {0};
    onnx_put_text(&graph, 6, "");
    onnx_attribute(&b, "body", 5, graph);
    net_expect_refused(&b, -ENOTSUP, "'body' is a graph");
}
END_TEST

START_TEST(a_wrong_number_of_inputs_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "x w", "z");
    net_expect_refused(&b, -EINVAL, "node 'z' (Relu): 2 inputs, the operator takes 1 to 1");
    b = small();
    onnx_node(&b, "Add", "x", "z");
    net_expect_refused(&b, -EINVAL, "1 inputs, the operator takes 2 to 2");
    b = small();
    onnx_node(&b, "Add", "x -", "z");
    net_expect_refused(&b, -EINVAL, "input 1 is missing");
    b = small();
    onnx_node(&b, "Relu", "x", "z z2");
    net_expect_refused(&b, -EINVAL, "2 outputs, the operator gives 1 to 1");
}
END_TEST

START_TEST(an_edge_from_nowhere_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "nobody", "z");
    net_expect_refused(&b, -EINVAL, "node 'z' (Relu): nothing produces its input 0");
}
END_TEST

START_TEST(an_output_from_nowhere_is_refused)
{
    struct onnx b = small();
    onnx_output(&b, "nobody", 1, DIMS(2));
    net_expect_refused(&b, -EINVAL, "nothing produces output 1");
}
END_TEST

START_TEST(an_output_given_twice_is_refused)
{
    struct onnx b = small();
    onnx_output(&b, "y", 1, DIMS(1, 4));
    net_expect_refused(&b, -EINVAL, "'y' is an output twice");
}
END_TEST

START_TEST(a_graph_without_outputs_is_refused)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2));
    onnx_node(&b, "Relu", "x", "y");
    net_expect_refused(&b, -EINVAL, "no output");
}
END_TEST

START_TEST(a_cycle_is_refused_by_name)
{
    struct onnx b = small();
    onnx_node(&b, "Add", "x b", "a");
    onnx_node(&b, "Relu", "a", "b");
    net_expect_refused(&b, -EINVAL, "node 'a' (Add) waits for itself: a cycle");
    b = small();
    onnx_node(&b, "Relu", "self", "self");
    net_expect_refused(&b, -EINVAL, "node 'self' (Relu) waits for itself");
}
END_TEST

START_TEST(a_name_defined_twice_is_refused)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "x", "sum");
    net_expect_refused(&b, -EINVAL, "'sum' is defined twice");
    b = small();
    onnx_floats(&b, "w", DIMS(1), (float[]){1});
    net_expect_refused(&b, -EINVAL, "'w' is defined twice");
    b = small();
    onnx_input(&b, "x", 1, DIMS(2));
    net_expect_refused(&b, -EINVAL, "'x' is defined twice");
    b = small();
    onnx_node(&b, "Relu", "w", "x");
    net_expect_refused(&b, -EINVAL, "'x' is defined twice");
}
END_TEST

START_TEST(names_must_be_printable_text)
{
    static const char *const names[] = {"a\nb",
                                        "\xff",
                                        "\xc0\xaf",
                                        "\xed\xa0\x80",
                                        "\x7f",
                                        "\xc2\x85",
                                        "\xf5\x80\x80\x80",
                                        "\xe2\x82",
                                        "\xe0\x9f\xbf",
                                        "\xf0\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct onnx b = small();
        onnx_node(&b, "Relu", "x", names[i]);
        net_expect_refused(&b, -EINVAL, "not UTF-8 text");
    }
    struct onnx b = small();
    onnx_node(&b, "Relu", "x", "größe-模型-🎥");
    struct nn_model *model = net_load(&b);
    nn_model_unref(model);
}
END_TEST

START_TEST(a_name_with_a_nul_matches_nothing)
{
    struct onnx b = small();
    onnx_node(&b, "Relu", "x", "z");
    onnx_put_bytes(&b.node, 1, "x\0y", 3);
    net_expect_refused(&b, -EINVAL, "2 inputs");
    b = small();
    onnx_node(&b, "Add", "x", "z");
    onnx_put_bytes(&b.node, 1, "x\0y", 3);
    net_expect_refused(&b, -EINVAL, "nothing produces its input 1");
}
END_TEST

START_TEST(a_tensor_whose_elements_do_not_match_its_shape_is_refused)
{
    float data[4] = {0};
    struct onnx b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(5), data, sizeof data));
    net_expect_refused(&b, -EINVAL, "tensor 't' holds 4 elements, its shape says 5");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(3), data, sizeof data));
    net_expect_refused(&b, -EINVAL, "tensor 't' holds 4 elements, its shape says 3");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(4), data, sizeof data - 1));
    net_expect_refused(&b, -EINVAL, "tensor 't' is cut short");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(-4), data, sizeof data));
    net_expect_refused(&b, -EINVAL, "tensor 't' has an impossible shape");
    b = small();
    onnx_initializer(
        &b, onnx_tensor("t", 1, DIMS(INT64_C(1) << 40, INT64_C(1) << 40), data, sizeof data));
    net_expect_refused(&b, -EINVAL, "tensor 't' has an impossible shape");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(INT64_C(1) << 40), data, sizeof data));
    net_expect_refused(&b, -EINVAL, "tensor 't' holds 4 elements");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 1, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), data, 4));
    net_expect_refused(&b, -ENOTSUP, "tensor 't' has 9 dimensions");
}
END_TEST

START_TEST(a_tensor_of_a_type_we_lack_is_refused)
{
    struct onnx b = small();
    onnx_initializer(&b, onnx_tensor("t", 16, DIMS(1), "12", 2));
    net_expect_refused(&b, -ENOTSUP, "tensor 't' is bfloat16");
    b = small();
    onnx_initializer(&b, onnx_tensor("t", 99, DIMS(1), "12345678", 8));
    net_expect_refused(&b, -ENOTSUP, "tensor 't' is an unknown type");
    b = small();
    onnx_input(&b, "t", 8, DIMS(1));
    net_expect_refused(&b, -ENOTSUP, "'t' is string");
}
END_TEST

START_TEST(weights_in_another_file_are_refused)
{
    struct onnx b = small();
    struct onnx_bytes t = onnx_tensor("t", 1, DIMS(1), "1234", 4), entry = {0};
    onnx_put_text(&entry, 1, "location");
    onnx_put_text(&entry, 2, "../../etc/passwd");
    onnx_put_message(&t, 13, &entry);
    onnx_initializer(&b, t);
    net_expect_refused(&b, -ENOTSUP, "tensor 't' lies in an external file");
    b = small();
    t = onnx_tensor("t", 1, DIMS(1), "1234", 4);
    onnx_put_int(&t, 14, 1);
    onnx_initializer(&b, t);
    net_expect_refused(&b, -ENOTSUP, "tensor 't' lies in an external file");
}
END_TEST

START_TEST(elements_of_two_kinds_are_refused)
{
    struct onnx b = small();
    struct onnx_bytes t = onnx_tensor("t", 1, DIMS(1), "1234", 4);
    onnx_put_int(&t, 7, 5);
    onnx_initializer(&b, t);
    net_expect_refused(&b, -EINVAL, "elements of two kinds");
    b = small();
    struct onnx_bytes wide = {0};
    onnx_put_int(&wide, 1, 1);
    onnx_put_int(&wide, 2, 2); /* uint8 */
    onnx_put_int(&wide, 5, 256);
    onnx_put_text(&wide, 8, "u");
    onnx_initializer(&b, wide);
    net_expect_refused(&b, -EINVAL, "tensor 'u' has elements outside uint8");
}
END_TEST

START_TEST(opsets_are_checked)
{
    struct onnx b = small();
    b.opset = 26;
    net_expect_refused(&b, -ENOTSUP, "opset 26; up to 25");
    b = small();
    b.opset = -3;
    net_expect_refused(&b, -EINVAL, "opset -3");
    b = small();
    b.opset = 0;
    net_expect_refused(&b, -EINVAL, "does not say which opset");
}
END_TEST

START_TEST(a_file_that_expands_in_memory_is_refused)
{
    /* Two bytes for each empty node, or each empty metadata entry: over a hundred in memory. */
    struct onnx_bytes graph = {0}, model = {0};
    for (int i = 0; i < 500000; i++)
        onnx_put(&graph, "\x0a\x00", 2);
    onnx_put_int(&model, 1, 8);
    onnx_put_message(&model, 7, &graph);
    struct nn_error err = {{0}};
    struct nn_model *loaded = NULL;
    ck_assert_int_eq(nn_model_load(model.data, model.size, &loaded, &err), -E2BIG);
    ck_assert_msg(strstr(err.text, "expands"), "%s", err.text);
    free(model.data);
}
END_TEST

START_TEST(too_many_nodes_are_refused)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1));
    char name[16], before[16] = "x";
    for (int i = 0; i <= 65536; i++) {
        snprintf(name, sizeof name, "v%d", i);
        onnx_node(&b, "Relu", before, name);
        memcpy(before, name, sizeof name);
    }
    onnx_output(&b, name, 1, DIMS(1));
    net_expect_refused(&b, -E2BIG, "over 65536 nodes");
}
END_TEST

START_TEST(a_long_chain_backwards_is_sorted_in_time)
{
    struct onnx b = onnx_start(13);
    char from[16], to[16];
    onnx_input(&b, "v0", 1, DIMS(1));
    for (int i = 20000; i > 0; i--) {
        snprintf(from, sizeof from, "v%d", i - 1);
        snprintf(to, sizeof to, "v%d", i);
        onnx_node(&b, "Relu", from, to);
    }
    onnx_output(&b, "v20000", 1, DIMS(1));
    struct net net = net_make(&b);
    net_set(&net, 0, (float[]){5});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){5});
    net_free(&net);
}
END_TEST

START_TEST(an_output_is_traced_to_the_node_that_computes_it)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 4));
    onnx_ints(&o, "s", DIMS(2), (int64_t[]){2, 2});
    onnx_node(&o, "Tanh", "x", "t");
    onnx_node(&o, "Reshape", "t s", "r");
    onnx_node(&o, "Identity", "r", "y");
    onnx_node(&o, "Identity", "x", "same");
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "x", 1, SCALAR);
    onnx_output(&o, "same", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    const char *node, *op;
    nn_model_output_source(model, 0, &node, &op);
    ck_assert_str_eq(node, "t");
    ck_assert_str_eq(op, "Tanh");
    nn_model_output_source(model, 1, &node, &op);
    ck_assert_ptr_null(node);
    ck_assert_ptr_null(op);
    nn_model_output_source(model, 2, &node, &op);
    ck_assert_str_eq(node, "same");
    nn_model_unref(model);
}
END_TEST

static TCase *accepted_case(void)
{
    TCase *c = tcase_create("accepted");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_model_tells_what_the_file_says);
    tcase_add_test(c, an_initializer_listed_as_input_is_not_an_input);
    tcase_add_test(c, nodes_in_any_order_are_sorted);
    tcase_add_test(c, typed_and_raw_elements_are_read_alike);
    tcase_add_test(c, a_long_chain_backwards_is_sorted_in_time);
    tcase_add_test(c, an_output_is_traced_to_the_node_that_computes_it);
    return c;
}

static TCase *refused_case(void)
{
    TCase *c = tcase_create("refused");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, bytes_that_are_no_model_are_refused);
    tcase_add_test(c, a_model_cut_short_at_any_byte_is_refused);
    tcase_add_test(c, a_model_with_any_byte_changed_does_no_harm);
    tcase_add_test(c, an_unknown_operator_is_named);
    tcase_add_test(c, what_else_is_missing_is_named_too);
    tcase_add_test(c, an_operator_of_another_domain_is_named_with_it);
    tcase_add_test(c, an_unknown_attribute_is_named);
    tcase_add_test(c, an_attribute_of_another_opset_is_refused);
    tcase_add_test(c, an_attribute_of_another_type_is_refused);
    tcase_add_test(c, an_attribute_given_twice_is_refused);
    tcase_add_test(c, a_graph_as_attribute_is_refused);
    tcase_add_test(c, a_wrong_number_of_inputs_is_refused);
    tcase_add_test(c, an_edge_from_nowhere_is_refused);
    tcase_add_test(c, an_output_from_nowhere_is_refused);
    tcase_add_test(c, an_output_given_twice_is_refused);
    tcase_add_test(c, a_graph_without_outputs_is_refused);
    tcase_add_test(c, a_cycle_is_refused_by_name);
    tcase_add_test(c, a_name_defined_twice_is_refused);
    tcase_add_test(c, names_must_be_printable_text);
    tcase_add_test(c, a_name_with_a_nul_matches_nothing);
    tcase_add_test(c, a_tensor_whose_elements_do_not_match_its_shape_is_refused);
    tcase_add_test(c, a_tensor_of_a_type_we_lack_is_refused);
    tcase_add_test(c, weights_in_another_file_are_refused);
    tcase_add_test(c, elements_of_two_kinds_are_refused);
    tcase_add_test(c, opsets_are_checked);
    tcase_add_test(c, a_file_that_expands_in_memory_is_refused);
    tcase_add_test(c, too_many_nodes_are_refused);
    return c;
}

int main(void)
{
    TCase *cases[] = {accepted_case(), refused_case()};
    return suite_run("nn/model", cases, 2);
}
