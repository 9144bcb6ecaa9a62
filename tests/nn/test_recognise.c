/* Operators that exporters take apart are put together again: every form that is known gives
 * one layer and what its parts give; near misses are left alone and give the same as well. */
#include <math.h>

#include "tests/nn/net.h"

enum { B = 2, S = 6, D = 16, COUNT = B * S * D };
static float x[2 * COUNT], scale[D], bias[D];

static void fill(void)
{
    net_fill(x, 2 * COUNT, 1);
    net_fill(scale, D, 2);
    net_fill(bias, D, 3);
    for (int i = 0; i < 2 * COUNT; i++)
        x[i] = 4 * x[i] + 1;
}

static struct onnx start(int64_t opset)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(B, S, D));
    onnx_floats(&o, "scale", DIMS(D), scale);
    onnx_floats(&o, "bias", DIMS(D), bias);
    return o;
}

static void number(struct onnx *o, const char *name, float value)
{
    onnx_floats(o, name, SCALAR, &value);
}

/* Layers that run by themselves; *ret_found: of kind `op`. */
static int running(const struct nn_plan *plan, const char *op, int *ret_found)
{
    int count = 0;
    *ret_found = 0;
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        count += layer->fused_into < 0;
        *ret_found += layer->fused_into < 0 && strcmp(layer->op, op) == 0;
        ck_assert(layer->fused_into < 0 ||
                  nn_plan_layer(plan, (size_t)layer->fused_into)->fused_into < 0);
    }
    return count;
}

/* The model's output "y" with the best kernels and, part by part, with the reference. `layers`:
 * how many must run, one of them `op`; 0: none may be it. */
static void check(struct onnx *o, const char *op, int layers)
{
    onnx_output(o, "y", 1, SCALAR);
    struct nn_model *model = net_load(o);
    struct net best = net_plan(nn_model_ref(model), NULL);
    struct net parts = net_plan(
        model, &(struct nn_plan_options){.kernels = NN_KERNELS_REFERENCE, .time_axis = -1});
    int found, count = running(best.plan, op, &found);
    if (layers > 0)
        ck_assert_msg(found == 1 && count == layers, "%d %s among %d layers", found, op, count);
    else
        ck_assert_msg(found == 0, "%s was seen where there is none", op);
    ck_assert(layers == 0 || running(parts.plan, op, &found) > count);
    for (size_t i = 0; i < nn_model_input_count(best.model); i++) {
        net_set(&best, i, x + i * 5);
        net_set(&parts, i, x + i * 5);
    }
    net_run(&best);
    net_run(&parts);
    const struct nn_tensor *a = nn_session_output(best.session, 0);
    const struct nn_tensor *b = nn_session_output(parts.session, 0);
    ck_assert(nn_shape_equal(&a->shape, &b->shape));
    for (int64_t i = 0; i < nn_shape_count(&a->shape); i++) {
        float got = ((const float *)a->data)[i], want = ((const float *)b->data)[i];
        ck_assert_msg(fabsf(got - want) <= 1e-5f + 1e-5f * fabsf(want), "%s: [%d] %g, not %g",
                      op, (int)i, got, want);
    }
    net_free(&best);
    net_free(&parts);
}

/* "n" = d / sqrt(mean(d²) + ε), d = "d". */
static void root(struct onnx *o, bool by_mul, bool by_reciprocal)
{
    number(o, "two", 2);
    number(o, "epsilon", 0.01f);
    onnx_node(o, by_mul ? "Mul" : "Pow", by_mul ? "d d" : "d two", "square");
    onnx_node(o, "ReduceMean", "square", "variance");
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){-1});
    onnx_node(o, "Add", "variance epsilon", "sum");
    onnx_node(o, "Sqrt", "sum", "root");
    if (by_reciprocal)
        onnx_node(o, "Reciprocal", "root", "inverse");
    onnx_node(o, by_reciprocal ? "Mul" : "Div", by_reciprocal ? "inverse d" : "d root", "n");
}

static void center(struct onnx *o)
{
    onnx_node(o, "ReduceMean", "x", "mean");
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){-1});
    onnx_node(o, "Sub", "x mean", "d");
}

START_TEST(layer_norms_in_every_form)
{
    fill();
    for (int form = 0; form < 4; form++) {
        for (int parameters = 0; parameters < 3; parameters++) {
            static const char *const last[] = {"n", "m", "b"};
            struct onnx o = start(13);
            center(&o);
            root(&o, form & 1, form & 2);
            if (parameters > 0)
                onnx_node(&o, "Mul", "scale n", "m");
            if (parameters > 1)
                onnx_node(&o, "Add", "m bias", "b");
            onnx_node(&o, "Identity", last[parameters], "y");
            check(&o, "LayerNormalization", 2);
        }
    }
}
END_TEST

START_TEST(rms_norms_in_every_form)
{
    fill();
    for (int form = 0; form < 4; form++) {
        struct onnx o = start(13);
        onnx_node(&o, "Neg", "x", "d");
        root(&o, form & 1, form & 2);
        onnx_node(&o, "Mul", "n scale", "m");
        onnx_node(&o, "Add", "m bias", "y");
        check(&o, "RMSNormalization", 3);
    }
}
END_TEST

START_TEST(what_is_only_like_a_norm_is_left_alone)
{
    fill();
    struct onnx o = start(13); /* a part is wanted outside */
    center(&o);
    root(&o, false, false);
    onnx_node(&o, "Add", "n variance", "y");
    check(&o, "LayerNormalization", 0);

    o = start(13); /* another x */
    onnx_node(&o, "Neg", "x", "other");
    onnx_node(&o, "ReduceMean", "other", "mean");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){-1});
    onnx_node(&o, "Sub", "x mean", "d");
    root(&o, false, false);
    onnx_node(&o, "Mul", "n scale", "y");
    check(&o, "LayerNormalization", 0);

    o = start(13); /* another axis: no rows */
    number(&o, "epsilon", 0.01f);
    onnx_node(&o, "Mul", "x x", "square");
    onnx_node(&o, "ReduceMean", "square", "variance");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
    onnx_node(&o, "Add", "variance epsilon", "sum");
    onnx_node(&o, "Sqrt", "sum", "root");
    onnx_node(&o, "Div", "x root", "y");
    check(&o, "RMSNormalization", 0);
}
END_TEST

START_TEST(a_scale_that_widens_the_result_stays_outside)
{
    static const float wide[3 * D] = {1, 2, 3};
    fill();
    struct onnx o = start(13);
    onnx_floats(&o, "wide", DIMS(3, 1, 1, D), wide);
    center(&o);
    root(&o, false, false);
    onnx_node(&o, "Mul", "n wide", "y");
    check(&o, "LayerNormalization", 2);
}
END_TEST

/* Gates. */

static void product(struct onnx *o, int order)
{
    static const char *const first[] = {"x gate", "x half", "gate half", "half gate"};
    static const char *const second[] = {"p half", "p gate", "x p", "p x"};
    onnx_node(o, "Mul", first[order], "p");
    onnx_node(o, "Mul", second[order], "y");
}

START_TEST(gelu_by_the_error_function)
{
    fill();
    for (int form = 0; form < 8; form++) {
        struct onnx o = start(13);
        number(&o, "one", 1);
        number(&o, "half", 0.5f);
        number(&o, "root", form < 4 ? 1.41421356f : 0.70710678f);
        onnx_node(&o, form < 4 ? "Div" : "Mul", "x root", "inner");
        onnx_node(&o, "Erf", "inner", "erf");
        onnx_node(&o, "Add", form % 2 ? "erf one" : "one erf", "gate");
        product(&o, form % 4);
        check(&o, "Gelu", 1);
    }
}
END_TEST

static struct onnx gelu_tanh(float cubic, bool by_pow, int order)
{
    struct onnx o = start(13);
    number(&o, "one", 1);
    number(&o, "half", 0.5f);
    number(&o, "three", 3);
    number(&o, "cubic", cubic);
    number(&o, "root", 0.7978845608f);
    if (by_pow) {
        onnx_node(&o, "Pow", "x three", "cube");
    } else {
        onnx_node(&o, "Mul", "x x", "square");
        onnx_node(&o, "Mul", order % 2 ? "square x" : "x square", "cube");
    }
    onnx_node(&o, "Mul", "cubic cube", "c");
    onnx_node(&o, "Add", order % 2 ? "x c" : "c x", "s");
    onnx_node(&o, "Mul", "s root", "inner");
    onnx_node(&o, "Tanh", "inner", "t");
    onnx_node(&o, "Add", "t one", "gate");
    product(&o, order);
    return o;
}

START_TEST(gelu_by_tanh)
{
    fill();
    for (int form = 0; form < 8; form++) {
        struct onnx o = gelu_tanh(0.044715f, form / 4, form % 4);
        check(&o, "Gelu", 1);
    }
    struct onnx o = gelu_tanh(0.05f, true, 0);
    check(&o, "Gelu", 0);
}
END_TEST

START_TEST(swish_mish_and_both_forms_of_hard_swish)
{
    fill();
    struct onnx o = start(13);
    onnx_node(&o, "Sigmoid", "x", "gate");
    onnx_node(&o, "Mul", "gate x", "y");
    check(&o, "Swish", 1);

    o = start(13);
    onnx_node(&o, "Softplus", "x", "soft");
    onnx_node(&o, "Tanh", "soft", "gate");
    onnx_node(&o, "Mul", "x gate", "y");
    check(&o, "Mish", 1);

    o = start(13);
    onnx_node(&o, "HardSigmoid", "x", "gate");
    onnx_attribute_float(&o, "alpha", 1.0f / 6);
    onnx_node(&o, "Mul", "x gate", "y");
    check(&o, "HardSwish", 1);

    for (int form = 0; form < 2; form++) {
        o = start(13);
        number(&o, "zero", 0);
        number(&o, "three", 3);
        number(&o, "six", 6);
        onnx_node(&o, "Add", "x three", "s");
        onnx_node(&o, "Clip", "s zero six", "gate");
        onnx_node(&o, form ? "Div" : "Mul", form ? "gate six" : "x gate", "p");
        onnx_node(&o, form ? "Mul" : "Div", form ? "x p" : "p six", "y");
        check(&o, "HardSwish", 1);
    }
}
END_TEST

START_TEST(what_is_only_like_a_gate_is_left_alone)
{
    fill();
    struct onnx o = start(13); /* the gate of something else */
    onnx_node(&o, "Neg", "x", "other");
    onnx_node(&o, "Sigmoid", "other", "gate");
    onnx_node(&o, "Mul", "gate x", "y");
    check(&o, "Swish", 0);

    o = start(13); /* the gate is wanted outside */
    onnx_node(&o, "Sigmoid", "x", "gate");
    onnx_node(&o, "Mul", "gate x", "p");
    onnx_node(&o, "Add", "gate p", "y");
    check(&o, "Swish", 0);

    o = start(13); /* six over the product, not under it */
    number(&o, "zero", 0);
    number(&o, "three", 3);
    number(&o, "six", 6);
    onnx_node(&o, "Add", "x three", "s");
    onnx_node(&o, "Clip", "s zero six", "gate");
    onnx_node(&o, "Mul", "x gate", "p");
    onnx_node(&o, "Div", "six p", "y");
    check(&o, "HardSwish", 0);

    o = start(13); /* HardSigmoid as it comes */
    onnx_node(&o, "HardSigmoid", "x", "gate");
    onnx_node(&o, "Mul", "x gate", "y");
    check(&o, "HardSwish", 0);

    o = start(13); /* a product that has a shape of its own */
    onnx_floats(&o, "wide", DIMS(1, 1, 1, 1), (float[]){1});
    onnx_node(&o, "Sigmoid", "x", "gate");
    onnx_node(&o, "Mul", "gate x", "p");
    onnx_node(&o, "Mul", "p wide", "y");
    check(&o, "Swish", 2);
}
END_TEST

START_TEST(a_gate_behind_a_product_is_folded_into_it)
{
    static float weight[D * 8];
    net_fill(weight, D * 8, 7);
    fill();
    struct onnx o = start(13);
    onnx_floats(&o, "w", DIMS(D, 8), weight);
    onnx_node(&o, "MatMul", "x w", "h");
    onnx_node(&o, "Sigmoid", "h", "gate");
    onnx_node(&o, "Mul", "h gate", "y");
    check(&o, "MatMul", 1);
}
END_TEST

/* Attention. */

enum { HEADS = 2, SIZE = 8 };

/* x as heads: (batch, heads, sequence, size), or with `columns` each head transposed. */
static void heads(struct onnx *o, const char *name, bool columns)
{
    char split[16];
    snprintf(split, sizeof split, "%s_split", name);
    onnx_node(o, "Reshape", "x split", split);
    onnx_node(o, "Transpose", split, name);
    onnx_attribute_ints(o, "perm", 4,
                        columns ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3});
}

/* mask 0: none, 1: (sequence, sequence), 2: (1, 1, 1, sequence); scaled 0: scores by Div, 1: by
 * Mul, 2: Q and K each. */
static struct onnx attention(int mask, int scaled, bool turned, int64_t opset)
{
    static float values[S * S];
    struct onnx o = start(opset);
    for (int i = 0; i < S * S; i++)
        values[i] = i % S > i / S ? -10000 : 0;
    onnx_ints(&o, "split", DIMS(4), (int64_t[]){B, S, HEADS, SIZE});
    onnx_floats(&o, "mask", mask == 1 ? DIMS(S, S) : DIMS(1, 1, 1, S), values);
    number(&o, "factor", scaled == 0 ? 2.82842712f : scaled == 1 ? 0.353553391f : 0.594603558f);
    heads(&o, "q", false);
    heads(&o, "v", false);
    heads(&o, turned ? "k" : "rows", turned);
    if (!turned) {
        onnx_node(&o, "Transpose", "rows", "k");
        onnx_attribute_ints(&o, "perm", 4, (int64_t[]){0, 1, 3, 2});
    }
    if (scaled == 2) {
        onnx_node(&o, "Mul", "q factor", "q2");
        onnx_node(&o, "Mul", "factor k", "k2");
    }
    onnx_node(&o, "MatMul", scaled == 2 ? "q2 k2" : "q k", "scores");
    if (scaled < 2)
        onnx_node(&o, scaled ? "Mul" : "Div", "scores factor", "scaled");
    const char *last = scaled < 2 ? "scaled" : "scores";
    char both[32];
    snprintf(both, sizeof both, "mask %s", last);
    if (mask)
        onnx_node(&o, "Add", both, "masked");
    onnx_node(&o, "Softmax", mask ? "masked" : last, "shares");
    onnx_attribute_int(&o, "axis", opset < 13 ? 3 : -1);
    onnx_node(&o, "MatMul", "shares v", "y");
    return o;
}

START_TEST(attention_with_heads_in_every_form)
{
    fill();
    for (int form = 0; form < 36; form++) {
        struct onnx o = attention(form % 3, form / 3 % 3, form / 9 % 2, form / 18 ? 13 : 11);
        check(&o, "Attention", 7); /* three Reshapes and three Transposes */
    }
}
END_TEST

START_TEST(attention_of_single_heads)
{
    fill();
    struct onnx o = start(13);
    onnx_node(&o, "Transpose", "x", "k");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "MatMul", "x k", "scores");
    onnx_node(&o, "Softmax", "scores", "shares");
    onnx_node(&o, "MatMul", "shares x", "y");
    check(&o, "Attention", 1);
}
END_TEST

START_TEST(what_is_only_like_attention_is_left_alone)
{
    fill();
    struct onnx o = start(13); /* shared out among the queries */
    onnx_node(&o, "Transpose", "x", "k");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "MatMul", "x k", "scores");
    onnx_node(&o, "Softmax", "scores", "shares");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "MatMul", "shares x", "y");
    check(&o, "Attention", 0);

    o = start(13); /* one mask value for all keys of a query */
    onnx_floats(&o, "mask", DIMS(S, 1), x);
    onnx_node(&o, "Transpose", "x", "k");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "MatMul", "x k", "scores");
    onnx_node(&o, "Add", "scores mask", "masked");
    onnx_node(&o, "Softmax", "masked", "shares");
    onnx_node(&o, "MatMul", "shares x", "y");
    check(&o, "Attention", 0);

    o = start(13); /* one set of values for the whole batch */
    onnx_input(&o, "v", 1, DIMS(S, D));
    onnx_node(&o, "Transpose", "x", "k");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "MatMul", "x k", "scores");
    onnx_node(&o, "Softmax", "scores", "shares");
    onnx_node(&o, "MatMul", "shares v", "y");
    check(&o, "Attention", 0);

    /* A mask that makes more queries, or more keys, of one. */
    for (int keys = 0; keys < 2; keys++) {
        o = start(13);
        onnx_floats(&o, "mask", DIMS(S, S), x);
        onnx_node(&o, "ReduceMean", "x", "one");
        onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
        onnx_node(&o, "Transpose", keys ? "one" : "x", "k");
        onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
        onnx_node(&o, "MatMul", keys ? "x k" : "one k", "scores");
        onnx_node(&o, "Add", "scores mask", "masked");
        onnx_node(&o, "Softmax", "masked", "shares");
        onnx_node(&o, "MatMul", "shares x", "y");
        check(&o, "Attention", 0);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("recognise");
    tcase_add_test(all, layer_norms_in_every_form);
    tcase_add_test(all, rms_norms_in_every_form);
    tcase_add_test(all, what_is_only_like_a_norm_is_left_alone);
    tcase_add_test(all, a_scale_that_widens_the_result_stays_outside);
    tcase_add_test(all, gelu_by_the_error_function);
    tcase_add_test(all, gelu_by_tanh);
    tcase_add_test(all, swish_mish_and_both_forms_of_hard_swish);
    tcase_add_test(all, what_is_only_like_a_gate_is_left_alone);
    tcase_add_test(all, a_gate_behind_a_product_is_folded_into_it);
    tcase_add_test(all, attention_with_heads_in_every_form);
    tcase_add_test(all, attention_of_single_heads);
    tcase_add_test(all, what_is_only_like_attention_is_left_alone);
    return suite_run("nn/recognise", &all, 1);
}
