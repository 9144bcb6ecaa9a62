/* Winograd convolution against the sum that defines it, in double precision: every size around
 * the borders of tiles, vectors and strips, with every set of kernels that has it. */
#include <math.h>

#include "nn/ops/winograd.h"
#include "tests/nn/net.h"

struct shape {
    size_t m;
    int64_t images, in, out, height, width;
    int64_t top, left, bottom, right; /* padding */
    bool pool, bias, residual;
    enum nn_activation activation;
    enum nn_winograd_lanes lanes;
};

static struct nn_spatial geometry(const struct shape *c)
{
    return (struct nn_spatial){
        .axes = 2,
        .in = {1, c->height, c->width},
        .out = {1, c->height + c->top + c->bottom - 2, c->width + c->left + c->right - 2},
        .kernel = {1, 3, 3},
        .stride = {1, 1, 1},
        .dilation = {1, 1, 1},
        .pad_before = {0, c->top, c->left},
        .pad_after = {0, c->bottom, c->right},
    };
}

struct data {
    float *x, *w, *bias, *residual, *y;
    size_t outputs;
    int64_t rows, columns; /* of y */
};

static struct data make_data(const struct shape *c)
{
    struct nn_spatial s = geometry(c);
    struct data d = {.rows = c->pool ? s.out[1] / 2 : s.out[1],
                     .columns = c->pool ? s.out[2] / 2 : s.out[2]};
    d.outputs = (size_t)(c->images * c->out * d.rows * d.columns);
    d.x = net_draw((size_t)(c->images * c->in * c->height * c->width), 1);
    d.w = net_draw((size_t)(c->out * c->in * 9), 2);
    d.bias = net_draw((size_t)c->out, 3);
    d.residual = net_draw(d.outputs, 4);
    d.y = malloc((d.outputs + 1) * sizeof *d.y);
    ck_assert_ptr_nonnull(d.y);
    return d;
}

static void free_data(struct data *d)
{
    free(d->x);
    free(d->w);
    free(d->bias);
    free(d->residual);
    free(d->y);
}

/* Runs it into d->y, everything `shift` floats off a cache line. */
static void run(const struct shape *c, const struct data *d, const struct nn_kernels *k,
                size_t shift)
{
    struct nn_spatial s = geometry(c);
    struct nn_winograd w = nn_winograd_init((struct nn_winograd_way){c->m, c->lanes}, k, &s,
                                            c->images, c->in, c->out, c->pool);
    struct nn_op_call call = {.kernels = k,
                              .activation = c->activation,
                              .activation_alpha = 0.25f,
                              .activation_beta = 0.5f};
    size_t weights = nn_winograd_weight_floats(&w),
           x_count = (size_t)(c->images * c->in) * (size_t)(c->height * c->width);
    size_t workspace = nn_winograd_workspace_floats(&w, k, 1);
    float *packed = aligned_alloc(64, (weights * sizeof(float) + 127) / 64 * 64);
    float *scratch = aligned_alloc(64, (workspace * sizeof(float) + 63) / 64 * 64);
    float *x = malloc((x_count + shift) * sizeof *x);
    ck_assert(packed && scratch && x);
    memcpy(x + shift, d->x, x_count * sizeof *x);
    for (size_t i = 0; i < workspace; i++)
        scratch[i] = NAN; /* undefined means undefined */
    nn_winograd_pack(&w, d->w, packed);
    for (size_t i = 0; i <= d->outputs; i++)
        d->y[i] = 12345;
    nn_winograd_run(&w, &call, x + shift, packed, c->bias ? d->bias : NULL,
                    c->residual ? d->residual : NULL, d->y, scratch);
    ck_assert_msg(d->y[d->outputs] == 12345, "wrote behind its output");
    free(packed);
    free(scratch);
    free(x);
}

static double convolve(const struct shape *c, const struct data *d, int64_t image,
                       int64_t channel, int64_t row, int64_t column)
{
    double sum = c->bias ? d->bias[channel] : 0;
    for (int64_t i = 0; i < c->in; i++)
        for (int64_t t = 0; t < 9; t++) {
            int64_t y = row + t / 3 - c->top, x = column + t % 3 - c->left;
            if (y >= 0 && y < c->height && x >= 0 && x < c->width)
                sum += (double)d->w[(channel * c->in + i) * 9 + t] *
                       d->x[((image * c->in + i) * c->height + y) * c->width + x];
        }
    return sum;
}

static double activate(enum nn_activation activation, double x)
{
    switch (activation) {
    case NN_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case NN_ACTIVATION_LEAKY_RELU:
        return x < 0 ? 0.25 * x : x;
    case NN_ACTIVATION_CLIP:
        return x < 0.25 ? 0.25 : x > 0.5 ? 0.5 : x;
    case NN_ACTIVATION_TANH:
        return tanh(x);
    default:
        return x;
    }
}

static double expected(const struct shape *c, const struct data *d, size_t at)
{
    int64_t column = (int64_t)at % d->columns, row = (int64_t)at / d->columns % d->rows;
    int64_t plane = (int64_t)at / d->columns / d->rows;
    int64_t image = plane / c->out, channel = plane % c->out;
    double extra = c->residual ? d->residual[at] : 0;
    if (!c->pool)
        return activate(c->activation, convolve(c, d, image, channel, row, column) + extra);
    double most = -INFINITY;
    for (int64_t i = 0; i < 4; i++)
        most =
            fmax(most, activate(c->activation, convolve(c, d, image, channel, 2 * row + i / 2,
                                                        2 * column + i % 2)));
    return most;
}

/* The promise of kernels.h: 1e-5 of the largest output. With tiles and with channels for
 * lanes. */
static void check(const struct shape *c, const struct nn_kernels *k)
{
    struct data d = make_data(c);
    double largest = 1e-3;
    double *want = malloc((d.outputs + 1) * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (size_t i = 0; i < d.outputs; i++) {
        want[i] = expected(c, &d, i);
        largest = fmax(largest, fabs(want[i]));
    }
    for (int lanes = 0; lanes < 2; lanes++) {
        struct shape way = *c;
        way.lanes = lanes ? NN_WINOGRAD_CHANNELS : NN_WINOGRAD_TILES;
        run(&way, &d, k, 0);
        for (size_t i = 0; i < d.outputs; i++)
            if (!(fabs(d.y[i] - want[i]) <= 1e-5 * largest))
                ck_abort_msg(
                    "%s F(%d,3)%s, %dx%d of %d channels to %d: [%zu] is %.9g, not %.9g",
                    k->name, (int)c->m, lanes ? " by channels" : "", (int)c->height,
                    (int)c->width, (int)c->in, (int)c->out, i, d.y[i], want[i]);
    }
    free(want);
    free_data(&d);
}

static const struct nn_kernels *table(int loop)
{
    const struct nn_kernels *k = nn_kernels_at((size_t)loop);
    ck_assert_ptr_nonnull(k);
    return k;
}

START_TEST(every_size_around_tiles_and_vectors_is_right)
{
    for (int64_t height = 1; height <= 12; height++) {
        for (int64_t width = 1; width <= 70; width += width < 20 ? 1 : 7) {
            struct shape c = {.m = height % 2 ? 4 : 2,
                              .images = 1 + width % 2,
                              .in = 1 + width % 7,
                              .out = 1 + height % 3,
                              .height = height,
                              .width = width,
                              .top = height < 3 ? 2 : height % 3,
                              .left = width < 3 ? 2 : width % 2,
                              .bottom = width % 3,
                              .right = height % 2,
                              .bias = width % 4 > 0};
            check(&c, table(_i));
            c.m = 6 - c.m;
            check(&c, table(_i));
        }
    }
}
END_TEST

START_TEST(every_number_of_channels_and_panels_is_right)
{
    static const int64_t ins[] = {1, 4, 5, 31, 257, 300}, outs[] = {1, 3, 8, 9, 32, 33, 70};
    for (size_t i = 0; i < sizeof ins / sizeof ins[0]; i++)
        for (size_t o = 0; o < sizeof outs / sizeof outs[0]; o++)
            for (size_t m = 2; m <= 4; m += 2)
                check(&(struct shape){.m = m,
                                      .images = 1,
                                      .in = ins[i],
                                      .out = outs[o],
                                      .height = 9,
                                      .width = 11,
                                      .top = 1,
                                      .left = 1,
                                      .bottom = 1,
                                      .right = 1,
                                      .bias = true},
                      table(_i));
}
END_TEST

START_TEST(activations_residuals_and_pooling_are_right)
{
    static const enum nn_activation activations[] = {NN_ACTIVATION_NONE, NN_ACTIVATION_RELU,
                                                     NN_ACTIVATION_LEAKY_RELU,
                                                     NN_ACTIVATION_CLIP, NN_ACTIVATION_TANH};
    for (size_t a = 0; a < sizeof activations / sizeof activations[0]; a++)
        for (int64_t size = 4; size <= 24; size++)
            for (int mode = 0; mode < 3; mode++)
                check(&(struct shape){.m = size % 2 ? 2 : 4,
                                      .images = 2,
                                      .in = 2 + size % 5,
                                      .out = 9,
                                      .height = size,
                                      .width = 4 + (size * 7) % 19,
                                      .top = size % 2,
                                      .bias = true,
                                      .pool = mode == 1,
                                      .residual = mode == 2,
                                      .activation = activations[a]},
                      table(_i));
}
END_TEST

START_TEST(one_strip_after_another_is_right)
{
    check(&(struct shape){.m = 4, .images = 2, .in = 6, .out = 10, .height = 61, .width = 83},
          table(_i));
    check(
        &(struct shape){
            .m = 2, .images = 1, .in = 3, .out = 5, .height = 64, .width = 65, .pool = true},
        table(_i));
}
END_TEST

static void check_batch(enum nn_winograd_lanes lanes, const struct nn_kernels *k)
{
    const struct shape batch = {.m = 4,
                                .lanes = lanes,
                                .images = 3,
                                .in = 7,
                                .out = 12,
                                .height = 15,
                                .width = 21,
                                .top = 1,
                                .bias = true,
                                .activation = NN_ACTIVATION_RELU};
    struct shape alone = batch;
    alone.images = 1;
    struct data all = make_data(&batch), one = make_data(&alone);
    size_t in = (size_t)(batch.in * batch.height * batch.width);
    run(&batch, &all, k, 0);
    for (size_t i = 0; i < 3; i++) {
        memcpy(one.x, all.x + i * in, in * sizeof(float));
        run(&alone, &one, k, i);
        ck_assert_mem_eq(one.y, all.y + i * one.outputs, one.outputs * sizeof(float));
    }
    free_data(&all);
    free_data(&one);
}

START_TEST(an_image_gives_the_same_bytes_alone_in_a_batch_and_anywhere_in_memory)
{
    check_batch(NN_WINOGRAD_TILES, table(_i));
    check_batch(NN_WINOGRAD_CHANNELS, table(_i));
}
END_TEST

START_TEST(all_kernels_that_have_it_give_the_same_bytes)
{
    for (size_t way = 0; way < 4; way++) {
        struct shape c = {.m = way % 2 ? 4 : 2,
                          .lanes = way / 2 ? NN_WINOGRAD_CHANNELS : NN_WINOGRAD_TILES,
                          .images = 1,
                          .in = 20,
                          .out = 12,
                          .height = 40,
                          .width = 37};
        struct data first = make_data(&c), other = make_data(&c);
        run(&c, &first, table(1), 0);
        for (int t = 2; nn_kernels_at((size_t)t); t++) {
            run(&c, &other, table(t), 0);
            ck_assert_mem_eq(other.y, first.y, first.outputs * sizeof(float));
        }
        free_data(&first);
        free_data(&other);
    }
}
END_TEST

int main(void)
{
    int tables = 1; /* the scalar one has no Winograd */
    while (nn_kernels_at((size_t)tables))
        tables++;
    TCase *all = tcase_create("winograd");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, every_size_around_tiles_and_vectors_is_right, 1, tables);
    tcase_add_loop_test(all, every_number_of_channels_and_panels_is_right, 1, tables);
    tcase_add_loop_test(all, activations_residuals_and_pooling_are_right, 1, tables);
    tcase_add_loop_test(all, one_strip_after_another_is_right, 1, tables);
    tcase_add_loop_test(
        all, an_image_gives_the_same_bytes_alone_in_a_batch_and_anywhere_in_memory, 1, tables);
    if (tables > 1)
        tcase_add_test(all, all_kernels_that_have_it_give_the_same_bytes);
    return suite_run("nn/winograd", &all, 1);
}
