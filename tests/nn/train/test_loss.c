/* Losses against what can be worked out by hand, what Keras's documentation prints, and their
 * gradients against differences of their values. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/train/loss.h"
#include "nn/train/random.h"
#include "tests/suite.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static double value_of(const struct train_loss *loss, const struct train_loss_batch *batch,
                       const double *x, double *gradient)
{
    double value;
    struct nn_error err;
    if (train_loss_check(loss, batch->width, &err) < 0 ||
        train_loss_double(loss, batch, x, gradient, &value, &err) < 0)
        ck_abort_msg("%s", err.text);
    return value;
}

/* A batch of `samples` rows. */
static struct train_loss_batch plain(int samples, int width, const float *targets)
{
    return (struct train_loss_batch){
        .samples = samples, .rows = 1, .width = width, .targets = targets};
}

/* --- Values --------------------------------------------------------------------------------- */

START_TEST(values_are_those_of_keras)
{
    /* The examples of https://keras.io/api/losses, with and without sample weights. */
    static const float hot[] = {0, 1, 0, 0, 0, 1}, two[] = {0, 1, 0, 0}, bits[] = {0, 1, 0, 0};
    static const int32_t labels[] = {1, 2};
    static const double p3[] = {0.05, 0.95, 0, 0.1, 0.8, 0.1},
                        x4[] = {-18.6, 0.51, 2.94, -12.8};
    static const double p2[] = {0.6, 0.4, 0.4, 0.6}, ones[] = {1, 1, 1, 0};
    static const float w37[] = {0.3f, 0.7f}, w73[] = {0.7f, 0.3f}, w10[] = {1, 0};
    static const struct {
        struct train_loss loss;
        int samples, width;
        const double *x;
        const float *targets, *weights;
        double value, tolerance;
    } cases[] = {
        {{TRAIN_LOSS_SPARSE}, 2, 3, p3, NULL, NULL, 1.1769392, 1e-6},
        {{TRAIN_LOSS_SPARSE}, 2, 3, p3, NULL, w37, 0.8135988, 1e-6},
        {{TRAIN_LOSS_CATEGORICAL}, 2, 3, p3, hot, NULL, 1.1769392, 1e-6},
        {{TRAIN_LOSS_CATEGORICAL}, 2, 3, p3, hot, w37, 0.8135988, 1e-6},
        {{TRAIN_LOSS_BINARY, .logits = true}, 1, 4, x4, bits, NULL, 0.865, 1e-3},
        {{TRAIN_LOSS_BINARY}, 2, 2, p2, two, NULL, 0.815, 1e-3},
        {{TRAIN_LOSS_BINARY}, 2, 2, p2, two, w10, 0.458, 1e-3},
        {{TRAIN_LOSS_SQUARED}, 2, 2, ones, two, NULL, 0.5, 1e-7},
        {{TRAIN_LOSS_SQUARED}, 2, 2, ones, two, w73, 0.25, 1e-7},
        {{TRAIN_LOSS_ABSOLUTE}, 2, 2, ones, two, NULL, 0.5, 1e-7},
        {{TRAIN_LOSS_ABSOLUTE}, 2, 2, ones, two, w73, 0.25, 1e-7},
        {{TRAIN_LOSS_HUBER, .delta = 1}, 2, 2, p2, two, NULL, 0.155, 1e-7},
        {{TRAIN_LOSS_HUBER, .delta = 1}, 2, 2, p2, two, w10, 0.09, 1e-7},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct train_loss_batch batch =
            plain(cases[i].samples, cases[i].width, cases[i].targets);
        batch.labels = labels;
        batch.weights = cases[i].weights;
        double value = value_of(&cases[i].loss, &batch, cases[i].x, NULL);
        if (!(fabs(value - cases[i].value) <= cases[i].tolerance))
            ck_abort_msg("case %d: %.9g, not %.9g", i, value, cases[i].value);
    }
}
END_TEST

START_TEST(cross_entropy_of_logits_is_what_the_formula_says)
{
    /* Logits log 1 .. log 4 are probabilities 0.1 .. 0.4; shifted, they are the same. */
    double x[8], g[8];
    for (int k = 0; k < 4; k++) {
        x[k] = log(k + 1.0);
        x[4 + k] = x[k] - 700.0;
    }
    static const int32_t labels[] = {2, 0};
    struct train_loss_batch batch = {.samples = 2, .rows = 1, .width = 4, .labels = labels};
    struct train_loss loss = {TRAIN_LOSS_SPARSE, .logits = true};
    ck_assert_double_eq_tol(value_of(&loss, &batch, x, g), -(log(0.3) + log(0.1)) / 2, 1e-12);
    static const double want[] = {0.1, 0.2, -0.7, 0.4, -0.9, 0.2, 0.3, 0.4};
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq_tol(g[i], want[i] / 2, 1e-12);
}
END_TEST

START_TEST(label_smoothing_moves_a_share_to_every_class)
{
    static const double x[] = {0.0, 1.0986122886681098}; /* log 3: 1/4 and 3/4 */
    static const int32_t label[] = {1};
    static const float hot[] = {0, 1}, one[] = {1};
    double g[2];
    struct train_loss_batch batch = plain(1, 2, hot);
    batch.labels = label;
    double want = -0.05 * log(0.25) - 0.95 * log(0.75);
    struct train_loss sparse = {TRAIN_LOSS_SPARSE, .logits = true, .smoothing = 0.1};
    struct train_loss dense = {TRAIN_LOSS_CATEGORICAL, .logits = true, .smoothing = 0.1};
    ck_assert_double_eq_tol(value_of(&sparse, &batch, x, g), want, 1e-12);
    ck_assert_double_eq_tol(g[1], 0.75 - 0.95, 1e-12);
    ck_assert_double_eq_tol(value_of(&dense, &batch, x, g), want, 1e-12);
    ck_assert_double_eq_tol(g[0], 0.25 - 0.05, 1e-12);

    struct train_loss binary = {TRAIN_LOSS_BINARY, .logits = true, .smoothing = 0.1};
    batch = plain(1, 1, one);
    ck_assert_double_eq_tol(value_of(&binary, &batch, x + 1, g), want, 1e-12);
    ck_assert_double_eq_tol(g[0], 0.75 - 0.95, 1e-12);
}
END_TEST

START_TEST(weights_multiply_and_the_divisor_is_the_count)
{
    /* Two samples of two rows, three classes equally likely: log 3 for each row. */
    static const double x[12] = {0};
    static const int32_t labels[] = {0, 1, 2, 2};
    static const float hot[] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1}, weights[] = {2.0f, 0.5f};
    static const double class_weights[] = {1.0, 3.0, 10.0};
    struct train_loss_batch batch = {.samples = 2,
                                     .rows = 2,
                                     .width = 3,
                                     .labels = labels,
                                     .targets = hot,
                                     .weights = weights};
    double want = (2.0 * 1.0 + 2.0 * 3.0 + 0.5 * 10.0 + 0.5 * 10.0) / 4 * log(3.0);
    for (int k = 0; k < 2; k++) {
        struct train_loss loss = {k ? TRAIN_LOSS_CATEGORICAL : TRAIN_LOSS_SPARSE,
                                  .logits = true, .class_weights = class_weights,
                                  .class_count = 3};
        double g[12];
        ck_assert_double_eq_tol(value_of(&loss, &batch, x, g), want, 1e-12);
        ck_assert_double_eq_tol(g[4], 2.0 * 3.0 / 4 * (1.0 / 3 - 1.0), 1e-12);
    }

    /* Of equal targets the first says which class it is. */
    static const float mixed[] = {0, 0.5f, 0.5f};
    struct train_loss soft = {TRAIN_LOSS_CATEGORICAL, .logits = true,
                              .class_weights = class_weights, .class_count = 3};
    batch = plain(1, 3, mixed);
    ck_assert_double_eq_tol(value_of(&soft, &batch, x, NULL), 3.0 * log(3.0), 1e-12);

    /* Each element of a binary row has its own class. */
    static const float bits[] = {0, 1, 1, 0.4f};
    static const double both[] = {1.0, 5.0};
    struct train_loss loss = {TRAIN_LOSS_BINARY, .logits = true, .class_weights = both,
                              .class_count = 2};
    batch = plain(1, 4, bits);
    ck_assert_double_eq_tol(value_of(&loss, &batch, x, NULL), 12.0 / 4 * log(2.0), 1e-12);
}
END_TEST

START_TEST(parts_of_a_batch_add_up_to_it)
{
    enum { SAMPLES = 7, ROWS = 2, WIDTH = 3, CUT = 3, ROW = ROWS * WIDTH };
    struct train_random random = train_random_start(4);
    double x[SAMPLES * ROW], whole[SAMPLES * ROW], parts[SAMPLES * ROW];
    float targets[SAMPLES * ROW], weights[SAMPLES];
    for (int i = 0; i < SAMPLES * ROW; i++) {
        x[i] = train_random_normal(&random);
        targets[i] = train_random_uniform_float(&random);
    }
    for (int i = 0; i < SAMPLES; i++)
        weights[i] = train_random_uniform_float(&random);
    struct train_loss_batch batch = {.samples = SAMPLES,
                                     .rows = ROWS,
                                     .width = WIDTH,
                                     .targets = targets,
                                     .weights = weights};
    for (int kind = 0; kind <= TRAIN_LOSS_HUBER; kind++) {
        struct train_loss loss = {(enum train_loss_kind)kind, .delta = 1};
        if (kind == TRAIN_LOSS_SPARSE)
            continue;
        loss.logits = kind < TRAIN_LOSS_SQUARED;
        struct train_loss_batch first = batch, rest = batch;
        first.samples = CUT;
        rest.samples = SAMPLES - CUT;
        first.whole = rest.whole = SAMPLES;
        rest.targets += CUT * ROW;
        rest.weights += CUT;
        double value = value_of(&loss, &batch, x, whole);
        ck_assert_double_eq_tol(value_of(&loss, &first, x, parts) +
                                    value_of(&loss, &rest, x + CUT * ROW, parts + CUT * ROW),
                                value, 1e-14);
        ck_assert_mem_eq(parts, whole, sizeof whole);
    }
}
END_TEST

/* --- Far out -------------------------------------------------------------------------------- */

START_TEST(logits_of_any_size_have_a_finite_loss)
{
    static const float big[] = {1e4f, -1e4f, 0.0f, FLT_MAX, -FLT_MAX, 1e30f};
    static const int32_t labels[] = {0, 1};
    float g[6];
    double value;
    struct nn_error err;
    struct train_loss loss = {TRAIN_LOSS_SPARSE, .logits = true};
    struct train_loss_batch batch = {.samples = 2, .rows = 1, .width = 3, .labels = labels};
    ck_assert_int_eq(train_loss_float(&loss, &batch, big, g, &value, &err), 0);
    /* The first is right, the second as wrong as it can be. */
    ck_assert_double_eq_tol(value / FLT_MAX, 1.0, 1e-12);
    static const float want[] = {0, 0, 0, 0.5f, -0.5f, 0};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(g[i], want[i]);

    static const float bits[] = {0, 1, 1,
                                 0, 1, 0}; /* wrong, wrong, log 2, wrong, wrong, wrong */
    struct train_loss binary = {TRAIN_LOSS_BINARY, .logits = true};
    batch = plain(6, 1, bits);
    ck_assert_int_eq(train_loss_float(&binary, &batch, big, g, &value, &err), 0);
    double sum = 1e4 + 1e4 + log(2.0) + 2.0 * FLT_MAX + (double)1e30f;
    ck_assert_double_eq_tol(value * 6 / sum, 1.0, 1e-12);
    static const float slopes[] = {1, -1, -0.5f, 1, -1, 1};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(g[i] * 6, slopes[i], 1e-6f);
}
END_TEST

START_TEST(a_logit_of_minus_infinity_rules_a_class_out)
{
    static const double x[] = {0.0, -INFINITY, 0.0};
    static const float hot[] = {1, 0, 0};
    double g[3];
    struct train_loss loss = {TRAIN_LOSS_CATEGORICAL, .logits = true};
    struct train_loss_batch batch = plain(1, 3, hot);
    ck_assert_double_eq_tol(value_of(&loss, &batch, x, g), log(2.0), 1e-12);
    ck_assert_double_eq(g[0], -0.5);
    ck_assert_double_eq(g[1], 0.0);
    ck_assert_double_eq(g[2], 0.5);
}
END_TEST

START_TEST(probabilities_are_divided_by_their_sum_and_clipped)
{
    static const float hot[] = {0, 1};
    double g[2];
    struct train_loss loss = {TRAIN_LOSS_CATEGORICAL};
    struct train_loss_batch batch = plain(1, 2, hot);
    ck_assert_double_eq_tol(value_of(&loss, &batch, (double[]){3.0, 1.0}, g), log(4.0), 1e-12);
    ck_assert_double_eq_tol(value_of(&loss, &batch, (double[]){1.0, 0.0}, g), -log(1e-7), 1e-9);
    ck_assert_double_eq(g[1], 0.0);
    ck_assert_double_eq_tol(value_of(&loss, &batch, (double[]){0.0, 1.0}, g), 1e-7, 1e-12);

    struct train_loss binary = {TRAIN_LOSS_BINARY};
    ck_assert_double_eq_tol(value_of(&binary, &batch, (double[]){1.0, 0.0}, g), -log(1e-7),
                            1e-9);
    ck_assert_double_eq(g[0], 0.0);
    ck_assert_double_eq(g[1], 0.0);
    ck_assert_double_eq_tol(value_of(&binary, &batch, (double[]){0.0, 1.0}, g), 1e-7, 1e-12);
}
END_TEST

START_TEST(not_a_number_in_gives_not_a_number_out)
{
    static const int32_t labels[] = {0, 0};
    static const float targets[] = {1, 0, 0, 1, 0, 0}, none[6] = {0}, zero[] = {0, 0};
    for (int kind = 0; kind <= TRAIN_LOSS_HUBER; kind++)
        for (int logits = 0; logits < (kind < TRAIN_LOSS_SQUARED ? 2 : 1); logits++)
            for (int at = 0; at < 3; at++)
                for (int variant = 0; variant < 3; variant++) {
                    double x[] = {0.2, 0.3, 0.5, 0.2, 0.3, 0.5}, g[6];
                    x[3 + at] = NAN;
                    struct train_loss loss = {(enum train_loss_kind)kind, .logits = logits,
                                              .delta = 0.1};
                    struct train_loss_batch batch = plain(2, 3, variant == 2 ? none : targets);
                    batch.labels = labels;
                    batch.weights = variant == 1 ? zero : NULL;
                    double value = value_of(&loss, &batch, x, g);
                    if (!isnan(value) || !isnan(g[3 + at]))
                        ck_abort_msg("%s, logits %d, at %d: %g, gradient %g",
                                     train_loss_name(loss.kind), logits, at, value, g[3 + at]);
                    for (int k = 0; k < 3; k++)
                        ck_assert_double_finite(g[k]);
                }
}
END_TEST

/* --- Gradients ------------------------------------------------------------------------------ */

enum { SAMPLES = 3, ROWS = 2, WIDTH = 4, ELEMENTS = SAMPLES * ROWS * WIDTH };

struct problem {
    struct train_loss loss;
    struct train_loss_batch batch;
    double x[ELEMENTS], class_weights[WIDTH];
    float targets[ELEMENTS], weights[SAMPLES];
    int32_t labels[SAMPLES * ROWS];
};

/* x keeps away from the kinks: 0 and delta of d, and where probabilities are clipped. */
static void draw(struct problem *p, enum train_loss_kind kind, bool logits, bool smooth,
                 bool weighed, struct train_random *random)
{
    bool classes = kind < TRAIN_LOSS_SQUARED;
    p->loss = (struct train_loss){kind, .logits = logits, .delta = 0.7};
    p->batch = (struct train_loss_batch){.samples = SAMPLES, .rows = ROWS, .width = WIDTH};
    p->batch.labels = p->labels;
    p->batch.targets = p->targets;
    for (int i = 0; i < ELEMENTS; i++) {
        p->targets[i] = train_random_uniform_float(random);
        if (logits)
            p->x[i] = 3.0 * train_random_normal(random);
        else if (classes)
            p->x[i] = 0.05 + 0.9 * train_random_uniform(random);
        else
            do
                p->x[i] = 2.0 * train_random_uniform(random) - 0.5;
            while (fabs(p->x[i] - p->targets[i]) < 0.01 ||
                   fabs(fabs(p->x[i] - p->targets[i]) - p->loss.delta) < 0.01);
    }
    for (int i = 0; i < SAMPLES * ROWS; i++)
        p->labels[i] = (int32_t)train_random_below(random, WIDTH);
    p->loss.smoothing = smooth ? 0.2 : 0.0;
    if (!weighed)
        return;
    for (int i = 0; i < SAMPLES; i++)
        p->weights[i] = 0.1f + train_random_uniform_float(random);
    for (int i = 0; i < WIDTH; i++)
        p->class_weights[i] = 0.1 + train_random_uniform(random);
    p->batch.weights = p->weights;
    p->batch.whole = 2 * SAMPLES;
    p->loss.class_weights = classes ? p->class_weights : NULL;
    p->loss.class_count = kind == TRAIN_LOSS_BINARY ? 2 : WIDTH;
}

static void check_gradient(struct problem *p)
{
    double g[ELEMENTS], scale = 0.0;
    value_of(&p->loss, &p->batch, p->x, g);
    for (int i = 0; i < ELEMENTS; i++)
        scale = fmax(scale, fabs(g[i]));
    for (int i = 0; i < ELEMENTS; i++) {
        double x = p->x[i], h = 1e-4, around[4];
        for (int k = 0; k < 4; k++) {
            p->x[i] = x + (k - 1.5) * h;
            around[k] = value_of(&p->loss, &p->batch, p->x, NULL);
        }
        p->x[i] = x;
        /* Of fourth order, at -1.5, -0.5, 0.5 and 1.5 h. */
        double slope = (27.0 * (around[2] - around[1]) - (around[3] - around[0])) / (24.0 * h);
        if (!(fabs(slope - g[i]) <= 1e-6 * fmax(fabs(g[i]), 1e-3 * scale)))
            ck_abort_msg("%s%s, element %d: %.12g, not %.12g", train_loss_name(p->loss.kind),
                         p->loss.logits ? " of logits" : "", i, g[i], slope);
    }

    /* And float is that rounded. */
    float x[ELEMENTS], gradient[ELEMENTS];
    double rounded[ELEMENTS], value;
    for (int i = 0; i < ELEMENTS; i++)
        rounded[i] = x[i] = (float)p->x[i];
    double want = value_of(&p->loss, &p->batch, rounded, g);
    ck_assert_int_eq(train_loss_float(&p->loss, &p->batch, x, gradient, &value, NULL), 0);
    ck_assert_double_eq(value, want);
    for (int i = 0; i < ELEMENTS; i++)
        ck_assert_float_eq(gradient[i], (float)g[i]);
    ck_assert_int_eq(train_loss_float(&p->loss, &p->batch, x, x, &value, NULL), 0);
    ck_assert_mem_eq(x, gradient, sizeof x); /* in place */
}

START_TEST(gradients_are_the_slopes_of_the_values)
{
    struct train_random random = train_random_start((uint64_t)_i);
    for (int kind = 0; kind <= TRAIN_LOSS_HUBER; kind++)
        for (int choice = 0; choice < (kind < TRAIN_LOSS_SQUARED ? 8 : 2); choice++) {
            static struct problem p;
            draw(&p, (enum train_loss_kind)kind, choice >> 1 & 1, choice >> 2, choice & 1,
                 &random);
            check_gradient(&p);
        }
}
END_TEST

/* --- What is refused ------------------------------------------------------------------------ */

START_TEST(a_label_that_no_output_stands_for_is_refused)
{
    static const float x[8] = {0};
    for (int32_t wrong = -1; wrong <= 4; wrong += 5) {
        float g[8] = {9};
        double value = 9;
        int32_t labels[] = {0, 3, wrong, 0};
        struct nn_error err;
        struct train_loss loss = {TRAIN_LOSS_SPARSE, .logits = true};
        struct train_loss_batch batch = {.samples = 2, .rows = 1, .width = 4};
        batch.labels = labels;
        ck_assert_int_eq(train_loss_float(&loss, &batch, x, g, &value, &err), 0);
        batch.labels = labels + 1;
        g[0] = 9;
        value = 9;
        ck_assert_int_eq(train_loss_float(&loss, &batch, x, g, &value, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "sample 1 of the batch"));
        ck_assert(g[0] == 9 && value == 9);
    }
}
END_TEST

START_TEST(what_cannot_be_asked_for_is_refused_by_name)
{
    static const double few[] = {1.0, 1.0}, bad[] = {1.0, -1.0, 1.0}, odd[] = {1, NAN, 1};
    static const struct {
        struct train_loss loss;
        int width;
        const char *text;
    } cases[] = {
        {{TRAIN_LOSS_SPARSE}, 1, "binary_crossentropy is for that"},
        {{TRAIN_LOSS_CATEGORICAL, .smoothing = 1.5}, 3, "from 0 to 1"},
        {{TRAIN_LOSS_CATEGORICAL, .smoothing = NAN}, 3, "from 0 to 1"},
        {{TRAIN_LOSS_SQUARED, .smoothing = 0.1}, 3, "no label smoothing"},
        {{TRAIN_LOSS_SQUARED, .logits = true}, 3, "no logits"},
        {{TRAIN_LOSS_HUBER, .delta = 0}, 3, "delta"},
        {{TRAIN_LOSS_CATEGORICAL, .class_weights = few, .class_count = 2},
         3,
         "2 class weights"},
        {{TRAIN_LOSS_CATEGORICAL, .class_weights = bad, .class_count = 3}, 3, "weight 1 is -1"},
        {{TRAIN_LOSS_CATEGORICAL, .class_weights = odd, .class_count = 3},
         3,
         "weight 1 is nan"},
        {{TRAIN_LOSS_BINARY, .class_weights = bad, .class_count = 3}, 3, "2 classes"},
        {{TRAIN_LOSS_ABSOLUTE, .class_weights = few, .class_count = 2}, 2, "no classes"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct nn_error err = {""};
        ck_assert_int_eq(train_loss_check(&cases[i].loss, cases[i].width, &err), -EINVAL);
        if (!strstr(err.text, cases[i].text))
            ck_abort_msg("case %d: %s", i, err.text);
    }
}
END_TEST

START_TEST(names_are_those_of_keras)
{
    enum train_loss_kind kind;
    struct nn_error err;
    for (int i = 0; i <= TRAIN_LOSS_HUBER; i++) {
        ck_assert_int_eq(train_loss_find(train_loss_name((enum train_loss_kind)i), &kind, &err),
                         0);
        ck_assert_int_eq(kind, i);
        ck_assert_int_eq(train_loss_find("hinge", &kind, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, train_loss_name((enum train_loss_kind)i)));
    }
    ck_assert_int_eq(train_loss_find("mse", &kind, &err), 0);
    ck_assert_int_eq(kind, TRAIN_LOSS_SQUARED);
    ck_assert_int_eq(train_loss_find("mae", &kind, &err), 0);
    ck_assert_int_eq(kind, TRAIN_LOSS_ABSOLUTE);
}
END_TEST

int main(void)
{
    TCase *values = tcase_create("values"), *far = tcase_create("far out");
    tcase_add_test(values, values_are_those_of_keras);
    tcase_add_test(values, cross_entropy_of_logits_is_what_the_formula_says);
    tcase_add_test(values, label_smoothing_moves_a_share_to_every_class);
    tcase_add_test(values, weights_multiply_and_the_divisor_is_the_count);
    tcase_add_test(values, parts_of_a_batch_add_up_to_it);
    tcase_add_test(far, logits_of_any_size_have_a_finite_loss);
    tcase_add_test(far, a_logit_of_minus_infinity_rules_a_class_out);
    tcase_add_test(far, probabilities_are_divided_by_their_sum_and_clipped);
    tcase_add_test(far, not_a_number_in_gives_not_a_number_out);
    TCase *gradients = tcase_create("gradients"), *refused = tcase_create("refused");
    tcase_add_loop_test(gradients, gradients_are_the_slopes_of_the_values, 1, 21);
    tcase_add_test(refused, a_label_that_no_output_stands_for_is_refused);
    tcase_add_test(refused, what_cannot_be_asked_for_is_refused_by_name);
    tcase_add_test(refused, names_are_those_of_keras);
    TCase *cases[] = {values, far, gradients, refused};
    return suite_run("nn/train/loss", cases, COUNT(cases));
}
