/* Every row that learns, held against finite differences in double; then its version in float
 * against that in double, and for other numbers of threads against itself. */
#include <math.h>
#include <string.h>

#include "nn/train/net.h"
#include "nn/train/row.h"
#include "tests/nn/net.h"
#include "tests/nn/train/cases.h"

/* A graph under test, once in double or float. The loss is a fixed random projection of the
 * head, so its gradient there is that projection. */
struct trial {
    struct train_net *net;
    size_t input_count, head_count;
    bool doubles;
};

static double number_at(const struct trial *t, const void *numbers, size_t i)
{
    return t->doubles ? ((const double *)numbers)[i] : (double)((const float *)numbers)[i];
}

static void set_number(const struct trial *t, void *numbers, size_t i, double value)
{
    if (t->doubles)
        ((double *)numbers)[i] = value;
    else
        ((float *)numbers)[i] = (float)value;
}

/* Numbers in -1..1, none of them closer than 1.6 / count to another or 0.8 / count to zero: away
 * from the kinks of ReLU and of maxima. They are floats. */
static void spread(const struct trial *t, void *to, size_t count, uint32_t seed)
{
    size_t *order = malloc((count + 1) * sizeof *order);
    ck_assert_ptr_nonnull(order);
    for (size_t i = 0; i < count; i++) {
        size_t j = net_next(&seed) % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < count; i++) {
        double jitter = 0.2 * ((double)net_next(&seed) / (double)(1 << 24) - 0.5);
        double at = (2 * (double)order[i] + 1 + jitter) / (double)count - 1;
        set_number(t, to, i, (float)(at + (count % 2 ? 0.5 / (double)count : 0)));
    }
    free(order);
}

static void fill_input(const struct trial *t, size_t index)
{
    const struct nn_tensor *x = train_net_input(t->net, index);
    size_t count = (size_t)nn_shape_count(&x->shape);
    if (x->type == NN_TYPE_FLOAT)
        spread(t, x->data, count, 7 + (uint32_t)index);
    for (size_t j = 0; j < count && x->type == NN_TYPE_INT64; j++)
        ((int64_t *)x->data)[j] = (int64_t)(j * 7 % 5);
}

static struct trial start(const struct gradient_case *c, bool doubles, int threads)
{
    struct trial t = {.doubles = doubles};
    struct onnx builder = c->build();
    struct nn_model *model = net_load(&builder);
    struct nn_error err = {{0}};
    struct train_options options = {
        .doubles = doubles, .input_gradients = true, .threads = threads};
    int r = train_net_create(model, &options, &t.net, &err);
    ck_assert_msg(r == 0, "%s: %s", c->name, err.text);
    t.input_count = nn_model_input_count(model);
    nn_model_unref(model);
    for (size_t i = 0; i < t.input_count; i++)
        fill_input(&t, i);
    for (size_t i = 0; i < train_net_parameter_count(t.net); i++) {
        const struct train_net_parameter *p = train_net_parameter(t.net, i);
        if (p->gradient)
            spread(&t, p->value, p->count, 100 + (uint32_t)i);
    }
    t.head_count = (size_t)nn_shape_count(&train_net_head(t.net)->shape);
    return t;
}

static double projection(size_t i)
{
    return (double)((i * 2654435761u >> 8) % 2000) / 1000 - 1;
}

static double loss(const struct trial *t)
{
    struct nn_error err = {{0}};
    int r = train_net_forward(t->net, true, 5, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    double sum = 0;
    for (size_t i = 0; i < t->head_count; i++)
        sum += projection(i) * number_at(t, train_net_head(t->net)->values, i);
    return sum;
}

/* What may change: float inputs, then parameters. */
struct learned {
    const char *name;
    void *value;
    const void *gradient;
    size_t count;
};

static bool learned_at(const struct trial *t, size_t index, struct learned *ret_learned)
{
    if (index < t->input_count) {
        const struct nn_tensor *x = train_net_input(t->net, index);
        *ret_learned =
            (struct learned){"input", x->data, train_net_input_gradient(t->net, index),
                             (size_t)nn_shape_count(&x->shape)};
        return true;
    }
    if (index - t->input_count >= train_net_parameter_count(t->net))
        return false;
    const struct train_net_parameter *p = train_net_parameter(t->net, index - t->input_count);
    *ret_learned = (struct learned){p->name, p->value, p->gradient, p->count};
    return true;
}

/* Not a number anywhere: backward writes every one. */
static void spoil_gradients(const struct trial *t)
{
    struct learned l;
    for (size_t i = 0; learned_at(t, i, &l); i++)
        if (l.gradient)
            memset((void *)l.gradient, 0xff,
                   l.count * (t->doubles ? sizeof(double) : sizeof(float)));
}

static void find_gradients(const struct trial *t)
{
    loss(t);
    for (size_t i = 0; i < t->head_count; i++)
        set_number(t, train_net_head(t->net)->gradient, i, projection(i));
    spoil_gradients(t);
    train_net_backward(t->net);
}

static void check_differences(const struct gradient_case *c, const struct trial *t,
                              const struct learned *l)
{
    const double h = 1e-5;
    double *found = malloc((l->count + 1) * sizeof *found), largest = 0;
    ck_assert_ptr_nonnull(found);
    for (size_t i = 0; i < l->count; i++) {
        found[i] = number_at(t, l->gradient, i);
        largest = fabs(found[i]) > largest ? fabs(found[i]) : largest;
    }
    ck_assert_msg(largest > 0 || c->may_be_zero, "%s: no gradient for %s", c->name, l->name);
    size_t every = l->count / 150 + 1;
    for (size_t i = 0; i < l->count; i += every) {
        double value = number_at(t, l->value, i);
        set_number(t, l->value, i, value + h);
        double above = loss(t);
        set_number(t, l->value, i, value - h);
        double below = loss(t);
        set_number(t, l->value, i, value);
        double want = (above - below) / (2 * h);
        ck_assert_msg(fabs(found[i] - want) <= 1e-6 * (largest > 1 ? largest : 1),
                      "%s: %s[%zu]: gradient %.9g, finite difference %.9g", c->name, l->name, i,
                      found[i], want);
    }
    free(found);
}

START_TEST(gradients_are_those_of_finite_differences)
{
    const struct gradient_case *c = gradient_case_at((size_t)_i);
    struct trial t = start(c, true, 1);
    struct learned l;
    find_gradients(&t);
    for (size_t i = 0; learned_at(&t, i, &l); i++)
        if (l.gradient)
            check_differences(c, &t, &l);
    train_net_destroy(t.net);
}
END_TEST

START_TEST(floats_give_what_doubles_give)
{
    const struct gradient_case *c = gradient_case_at((size_t)_i);
    struct trial a = start(c, false, 1), b = start(c, true, 1);
    struct learned l, m;
    find_gradients(&a);
    find_gradients(&b);
    for (size_t i = 0; learned_at(&a, i, &l) && learned_at(&b, i, &m); i++) {
        double largest = 0;
        for (size_t j = 0; j < m.count && m.gradient; j++)
            largest = fmax(largest, fabs(number_at(&b, m.gradient, j)));
        for (size_t j = 0; j < m.count && m.gradient; j++) {
            double got = number_at(&a, l.gradient, j), want = number_at(&b, m.gradient, j);
            ck_assert_msg(fabs(got - want) <= 2e-5 * largest, "%s: %s[%zu]: %.8g, not %.8g",
                          c->name, l.name, j, got, want);
        }
    }
    train_net_destroy(a.net);
    train_net_destroy(b.net);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    const struct gradient_case *c = gradient_case_at((size_t)_i);
    struct trial a = start(c, false, 1);
    struct learned l, m;
    find_gradients(&a);
    for (int threads = 2; threads <= 3; threads++) {
        struct trial b = start(c, false, threads);
        find_gradients(&b);
        ck_assert_mem_eq(train_net_head(a.net)->values, train_net_head(b.net)->values,
                         a.head_count * sizeof(float));
        for (size_t i = 0; learned_at(&a, i, &l) && learned_at(&b, i, &m); i++)
            if (l.gradient)
                ck_assert_mem_eq(l.gradient, m.gradient, l.count * sizeof(float));
        train_net_destroy(b.net);
    }
    train_net_destroy(a.net);
}
END_TEST

/* What is trained is what runs: forward, not for learning, with the file's own numbers. */
START_TEST(values_are_those_of_inference)
{
    const struct gradient_case *c = gradient_case_at((size_t)_i);
    struct onnx builder = c->build();
    struct nn_model *model = net_load(&builder);
    struct nn_error err = {{0}};
    struct train_options options = {.input_gradients = true};
    struct trial t = {0};
    ck_assert_msg(train_net_create(model, &options, &t.net, &err) == 0, "%s", err.text);
    size_t inputs = nn_model_input_count(model);
    struct net net = net_plan(model, NULL);
    for (size_t i = 0; i < inputs; i++) {
        fill_input(&t, i);
        net_set(&net, i, train_net_input(t.net, i)->data);
    }
    ck_assert_msg(train_net_forward(t.net, false, 0, &err) == 0, "%s", err.text);
    net_run(&net);
    const struct nn_tensor *y = train_net_output(t.net, 0);
    ck_assert(nn_shape_equal(&y->shape, &nn_session_output(net.session, 0)->shape));
    const float *got = y->data, *want = net_floats(&net, 0);
    float largest = 1;
    for (int64_t i = 0; i < nn_shape_count(&y->shape); i++)
        largest = fmaxf(largest, fabsf(want[i]));
    for (int64_t i = 0; i < nn_shape_count(&y->shape); i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= 1e-5f * largest, "%s[%d]: %.8g, not %.8g",
                      c->name, (int)i, (double)got[i], (double)want[i]);
    train_net_destroy(t.net);
    net_free(&net);
}
END_TEST

START_TEST(every_row_has_a_case)
{
    const struct train_row *row;
    for (size_t i = 0; (row = train_row_at_double(i)); i++) {
        bool found = false;
        for (size_t j = 0; j < gradient_case_count(); j++) {
            struct onnx builder = gradient_case_at(j)->build();
            struct nn_model *model = net_load(&builder);
            found |= gradient_case_has(model, row->op);
            nn_model_unref(model);
        }
        ck_assert_msg(found, "no case has %s", row->op);
        ck_assert_ptr_eq(train_row_find_double(row->op), row);
        ck_assert_ptr_nonnull(train_row_find_float(row->op));
        ck_assert_ptr_nonnull(nn_op_find(row->op));
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("gradients");
    int count = (int)gradient_case_count();
    tcase_set_timeout(all, 120);
    tcase_add_test(all, every_row_has_a_case);
    tcase_add_loop_test(all, gradients_are_those_of_finite_differences, 0, count);
    tcase_add_loop_test(all, floats_give_what_doubles_give, 0, count);
    tcase_add_loop_test(all, values_are_those_of_inference, 0, count);
    tcase_add_loop_test(all, any_number_of_threads_gives_the_same_bytes, 0, count);
    return suite_run("nn/train/gradients", &all, 1);
}
