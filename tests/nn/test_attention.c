/* Attention against its definition in double precision: layouts, shared heads, masks, the past,
 * and more keys than a block of scores holds. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

struct shape {
    int batch, heads, kv_heads, queries, past, fresh, size, value_size;
};

struct variant {
    bool flat, causal, lengths;
    int mask; /* 0: none, 1: float (queries, keys), 2: bool (batch, 1, 1, half of the keys) */
    float cap;
};

enum { MOST = 200000 };
static float q[MOST], k[MOST], v[MOST], past_k[MOST], past_v[MOST], mask[MOST];
static uint8_t flags[MOST];

/* Element of a head's row, flat or not. */
static float at(const float *values, bool flat, int heads, int count, int size, int b, int h,
                int s, int i)
{
    return flat ? values[((b * count + s) * heads + h) * size + i]
                : values[((b * heads + h) * count + s) * size + i];
}

static struct onnx_dims dims(bool flat, int batch, int heads, int count, int size)
{
    return flat ? DIMS(batch, count, heads * size) : DIMS(batch, heads, count, size);
}

static struct onnx build(const struct shape *s, const struct variant *t)
{
    int total = s->past + s->fresh;
    struct onnx o = onnx_start(24);
    onnx_input(&o, "q", 1, dims(t->flat, s->batch, s->heads, s->queries, s->size));
    onnx_input(&o, "k", 1, dims(t->flat, s->batch, s->kv_heads, s->fresh, s->size));
    onnx_input(&o, "v", 1, dims(t->flat, s->batch, s->kv_heads, s->fresh, s->value_size));
    onnx_floats(&o, "past_k", DIMS(s->batch, s->kv_heads, s->past, s->size), past_k);
    onnx_floats(&o, "past_v", DIMS(s->batch, s->kv_heads, s->past, s->value_size), past_v);
    onnx_floats(&o, "mask", DIMS(s->queries, total), mask);
    onnx_initializer(&o, onnx_tensor("flags", 9, DIMS(s->batch, 1, 1, (total + 1) / 2), flags,
                                     (size_t)s->batch * (size_t)((total + 1) / 2)));
    if (t->lengths)
        onnx_input(&o, "lengths", 7, DIMS(s->batch));
    char inputs[64];
    snprintf(inputs, sizeof inputs, "q k v %s %s %s",
             t->mask == 1   ? "mask"
             : t->mask == 2 ? "flags"
                            : "-",
             s->past ? "past_k past_v" : "- -", t->lengths ? "lengths" : "-");
    onnx_node(&o, "Attention", inputs, "y present_k present_v");
    onnx_attribute_int(&o, "is_causal", t->causal);
    onnx_attribute_float(&o, "softcap", t->cap);
    if (t->flat) {
        onnx_attribute_int(&o, "q_num_heads", s->heads);
        onnx_attribute_int(&o, "kv_num_heads", s->kv_heads);
    }
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "present_k", 1, SCALAR);
    return o;
}

/* Key j of the past and the new ones. */
static double key(const struct shape *s, const struct variant *t, int b, int h, int j, int i)
{
    return j < s->past ? at(past_k, false, s->kv_heads, s->past, s->size, b, h, j, i)
                       : at(k, t->flat, s->kv_heads, s->fresh, s->size, b, h, j - s->past, i);
}

static double value(const struct shape *s, const struct variant *t, int b, int h, int j, int i)
{
    return j < s->past
               ? at(past_v, false, s->kv_heads, s->past, s->value_size, b, h, j, i)
               : at(v, t->flat, s->kv_heads, s->fresh, s->value_size, b, h, j - s->past, i);
}

static double score(const struct shape *s, const struct variant *t, int b, int h, int query,
                    int j, int64_t length)
{
    int total = s->past + s->fresh, half = (total + 1) / 2;
    double sum = 0;
    for (int i = 0; i < s->size; i++)
        sum += (double)at(q, t->flat, s->heads, s->queries, s->size, b, h, query, i) *
               key(s, t, b, h / (s->heads / s->kv_heads), j, i);
    sum /= sqrt(s->size);
    if (t->cap > 0)
        sum = t->cap * tanh(sum / t->cap);
    if (t->mask == 1)
        sum += mask[query * total + j];
    if (t->mask == 2 && (j >= half || !flags[b * half + j]))
        return -INFINITY;
    int64_t offset = s->past ? s->past : t->lengths ? length - s->queries : 0;
    return j >= length || (t->causal && j > query + offset) ? -INFINITY : sum;
}

static void check_head(const struct shape *s, const struct variant *t, const float *y, int b,
                       int h, int64_t length)
{
    int total = s->past + s->fresh;
    static double shares[4096];
    for (int query = 0; query < s->queries; query++) {
        double max = -INFINITY, sum = 0;
        for (int j = 0; j < total; j++) {
            shares[j] = score(s, t, b, h, query, j, length);
            max = fmax(max, shares[j]);
        }
        for (int j = 0; j < total; j++) {
            shares[j] = isinf(shares[j]) ? 0 : exp(shares[j] - max);
            sum += shares[j];
        }
        for (int i = 0; i < s->value_size; i++) {
            double want = 0;
            for (int j = 0; j < total && sum > 0; j++)
                want += shares[j] / sum * value(s, t, b, h / (s->heads / s->kv_heads), j, i);
            float got = at(y, t->flat, s->heads, s->queries, s->value_size, b, h, query, i);
            ck_assert_msg(fabs(got - want) < 3e-6,
                          "image %d, head %d, query %d, %d: %g, not %g", b, h, query, i, got,
                          want);
        }
    }
}

static void check(const struct shape *s, const struct variant *t)
{
    int total = s->past + s->fresh;
    struct onnx o = build(s, t);
    struct net net = net_make(&o);
    int64_t lengths[4];
    for (int b = 0; b < s->batch; b++)
        lengths[b] = t->lengths ? (total + b) / 2 : total;
    net_set(&net, 0, q);
    net_set(&net, 1, k);
    net_set(&net, 2, v);
    if (t->lengths)
        net_set(&net, 3, lengths);
    net_run(&net);
    net_expect_shape(&net, 0, dims(t->flat, s->batch, s->heads, s->queries, s->value_size));
    net_expect_shape(&net, 1, DIMS(s->batch, s->kv_heads, total, s->size));
    for (int b = 0; b < s->batch; b++) {
        for (int h = 0; h < s->heads; h++)
            check_head(s, t, net_floats(&net, 0), b, h, lengths[b]);
        for (int i = 0; i < s->kv_heads * total * s->size; i++)
            ck_assert_float_eq(
                net_floats(&net, 1)[b * s->kv_heads * total * s->size + i],
                (float)key(s, t, b, i / (total * s->size), i / s->size % total, i % s->size));
    }
    net_free(&net);
}

static void fill(void)
{
    net_fill(q, MOST, 1);
    net_fill(k, MOST, 2);
    net_fill(v, MOST, 3);
    net_fill(past_k, MOST, 4);
    net_fill(past_v, MOST, 5);
    net_fill(mask, MOST, 6);
    for (int i = 0; i < MOST; i++) {
        q[i] *= 3;
        mask[i] = mask[i] > 0.5f ? -INFINITY : mask[i];
        flags[i] = q[i] > 0;
    }
}

START_TEST(every_layout_and_mask_gives_what_the_definition_says)
{
    static const struct shape shapes[] = {{1, 1, 1, 1, 0, 1, 1, 1},   {2, 3, 3, 4, 0, 6, 8, 8},
                                          {2, 6, 2, 5, 0, 7, 3, 5},   {1, 4, 1, 3, 5, 2, 8, 4},
                                          {2, 2, 2, 1, 9, 1, 16, 16}, {1, 2, 1, 4, 3, 4, 5, 2}};
    fill();
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int i = 0; i < 2 * 2 * 3 * 2 * 2; i++)
            check(&shapes[s], &(struct variant){.flat = i % 2,
                                                .causal = i / 2 % 2,
                                                .mask = i / 4 % 3,
                                                .lengths = i / 12 % 2,
                                                .cap = i / 24 ? 1.5f : 0});
}
END_TEST

START_TEST(queries_beyond_a_block_see_the_same_keys)
{
    const struct shape s = {1, 2, 1, 100, 500, 1500, 4, 4};
    fill();
    for (int causal = 0; causal < 2; causal++)
        check(&s, &(struct variant){.causal = causal, .flat = causal});
}
END_TEST

START_TEST(lengths_beyond_the_keys_are_an_error_of_the_run)
{
    const struct shape s = {1, 1, 1, 2, 0, 3, 2, 2};
    static const int64_t wrong[] = {4, -1, INT64_MIN, INT64_MAX};
    struct onnx o = build(&s, &(struct variant){.lengths = true, .causal = true});
    struct net net = net_make(&o);
    for (int i = 0; i < 4; i++) {
        net_set(&net, 3, &wrong[i]);
        net_expect_run_fails(&net, "nonpad_kv_seqlen");
    }
    net_free(&net);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    const struct {
        struct onnx_dims q, k, v, mask;
        int64_t heads, kv_heads;
        const char *text;
    } cases[] = {
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 5, 4), DIMS(1, 2, 5), DIMS(3, 5), 0, 0, "ranks"},
        {DIMS(1, 3, 3, 4), DIMS(1, 2, 5, 4), DIMS(1, 2, 5, 4), DIMS(3, 5), 0, 0, "3 heads"},
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 5, 3), DIMS(1, 2, 5, 4), DIMS(3, 5), 0, 0,
         "do not match"},
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 5, 4), DIMS(1, 2, 4, 4), DIMS(3, 5), 0, 0,
         "do not match"},
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 0, 4), DIMS(1, 2, 0, 4), DIMS(3, 0), 0, 0, "no key"},
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 5, 4), DIMS(1, 2, 5, 4), DIMS(3, 6), 0, 0, "5 keys"},
        {DIMS(1, 2, 3, 4), DIMS(1, 2, 5, 4), DIMS(1, 2, 5, 4), DIMS(2, 5), 0, 0, "broadcast"},
        {DIMS(1, 3, 8), DIMS(1, 5, 8), DIMS(1, 5, 8), DIMS(3, 5), 0, 0, "0 heads"},
        {DIMS(1, 3, 8), DIMS(1, 5, 8), DIMS(1, 5, 8), DIMS(3, 5), 3, 3, "do not divide"},
        {DIMS(1, 3, 8), DIMS(1, 5, 8), DIMS(1, 5, 8), DIMS(3, 5), -2, -2, "heads"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(23);
        onnx_input(&o, "q", 1, cases[c].q);
        onnx_input(&o, "k", 1, cases[c].k);
        onnx_input(&o, "v", 1, cases[c].v);
        onnx_input(&o, "mask", 1, cases[c].mask);
        onnx_node(&o, "Attention", "q k v mask", "y");
        onnx_attribute_int(&o, "q_num_heads", cases[c].heads);
        onnx_attribute_int(&o, "kv_num_heads", cases[c].kv_heads);
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, cases[c].text);
    }
}
END_TEST

START_TEST(frames_in_the_batch_are_looked_at_one_by_one)
{
    for (int time = 0; time < 2; time++) {
        struct onnx o = onnx_start(23);
        onnx_input(&o, "x", 1, DIMS(8, 8, 6));
        onnx_node(&o, "Attention", "x x x", "y");
        onnx_attribute_int(&o, "q_num_heads", 2);
        onnx_attribute_int(&o, "kv_num_heads", 2);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = time});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, time == 0);
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("attention");
    tcase_add_test(all, every_layout_and_mask_gives_what_the_definition_says);
    tcase_add_test(all, queries_beyond_a_block_see_the_same_keys);
    tcase_add_test(all, lengths_beyond_the_keys_are_an_error_of_the_run);
    tcase_add_test(all, what_does_not_fit_is_refused);
    tcase_add_test(all, frames_in_the_batch_are_looked_at_one_by_one);
    return suite_run("nn/attention", &all, 1);
}
