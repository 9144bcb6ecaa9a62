/* Optimizers against PyTorch's numbers and against their definitions in double; bytes that do not
 * depend on threads or on a pause; memory. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/threads.h"
#include "nn/train/optimizer.h"
#include "nn/train/random.h"
#include "tests/nn/allocator.h"
#include "tests/suite.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static struct train_optimizer *make(const struct train_optimizer_options *options,
                                    const struct train_parameter *parameters, size_t count)
{
    struct train_optimizer *optimizer;
    struct nn_error err;
    if (train_optimizer_create(options, parameters, count, &optimizer, &err) < 0)
        ck_abort_msg("%s", err.text);
    return optimizer;
}

static void step(struct train_optimizer *optimizer, double rate)
{
    struct nn_error err;
    if (train_optimizer_step(optimizer, rate, NULL, &err) < 0)
        ck_abort_msg("%s", err.text);
}

/* --- PyTorch's numbers ---------------------------------------------------------------------- */

/* What PyTorch 1.13 prints for
 *
 *     def run(make, clip=lambda p: None):
 *         x = torch.tensor([1.0, -2.0, 0.5, 3.0, -0.25], requires_grad=True)
 *         a = torch.tensor([1.0, 0.1, 3.0, 0.5, 2.0])
 *         c = torch.tensor([0.3, -1.0, 0.0, 2.0, 0.7])
 *         o = make([x])
 *         for _ in range(20):
 *             x.grad = (a * x + 0.3 * torch.roll(x, -1) - c).detach()
 *             clip(x)
 *             o.step()
 *         print('{' + ', '.join('%.9gf' % v for v in x.tolist()) + '},')
 *     t = torch.optim
 *     run(lambda p: t.SGD(p, 0.05))
 *     run(lambda p: t.SGD(p, 0.05, momentum=0.9))
 *     run(lambda p: t.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.1))
 *     run(lambda p: t.RMSprop(p, 0.05, alpha=0.9, eps=1e-7))
 *     run(lambda p: t.RMSprop(p, 0.05, alpha=0.9, eps=1e-7, momentum=0.5, weight_decay=0.1))
 *     run(lambda p: t.Adam(p, 0.05, eps=1e-7))
 *     run(lambda p: t.Adam(p, 0.05, eps=1e-7, weight_decay=0.1))
 *     run(lambda p: t.AdamW(p, 0.05, eps=1e-7, weight_decay=0.1))
 *     run(lambda p: t.SGD(p, 0.05), lambda x: clip_grad_norm_([x], 0.5))
 *     run(lambda p: t.SGD(p, 0.05), lambda x: clip_grad_value_([x], 0.4)) */
START_TEST(twenty_steps_are_those_of_pytorch)
{
    static const struct {
        enum train_optimizer_kind kind;
        double momentum, weight_decay, clip_norm, clip_value;
        bool nesterov;
        float x[5];
    } runs[] = {
        {TRAIN_OPTIMIZER_SGD,
         .x = {1.02065623f, -2.74551821f, -0.297870696f, 3.39271259f, 0.14562349f}},
        {TRAIN_OPTIMIZER_SGD, 0.9,
         .x = {1.85310757f, -5.6378212f, -0.450774938f, 4.12686396f, -0.0628918931f}},
        {TRAIN_OPTIMIZER_SGD, 0.9, 0.1, .nesterov = true,
         .x = {1.41168439f, -4.25523901f, -0.3371692f, 3.26654577f, 0.0893973261f}},
        {TRAIN_OPTIMIZER_RMSPROP,
         .x = {1.28653157f, -3.30625296f, -0.352258921f, 3.84206605f, 0.160362884f}},
        {TRAIN_OPTIMIZER_RMSPROP, 0.5, 0.1,
         .x = {1.34388828f, -3.94270086f, -0.315436959f, 3.26298237f, 0.143055111f}},
        {TRAIN_OPTIMIZER_ADAM,
         .x = {1.17083633f, -2.96938157f, -0.363949805f, 3.82048345f, 0.310948581f}},
        {TRAIN_OPTIMIZER_ADAM, 0.0, 0.1,
         .x = {1.11192513f, -2.94243073f, -0.351210445f, 3.26725626f, 0.326389104f}},
        {TRAIN_OPTIMIZER_ADAMW, 0.0, 0.1,
         .x = {1.10133934f, -2.73518777f, -0.355435133f, 3.55706739f, 0.307357341f}},
        {TRAIN_OPTIMIZER_SGD, .clip_norm = 0.5,
         .x = {0.985670209f, -2.2014358f, 0.0928106979f, 3.11960173f, -0.0819571912f}},
        {TRAIN_OPTIMIZER_SGD, .clip_value = 0.4,
         .x = {0.978866875f, -2.39999962f, 0.0999998897f, 3.37348628f, 0.111176081f}},
    };
    static const float a[] = {1.0f, 0.1f, 3.0f, 0.5f, 2.0f}, c[] = {0.3f, -1.0f, 0, 2.0f, 0.7f};
    for (int i = 0; i < COUNT(runs); i++) {
        float x[] = {1.0f, -2.0f, 0.5f, 3.0f, -0.25f}, g[5];
        struct train_optimizer_options options = train_optimizer_defaults(runs[i].kind);
        options.momentum = runs[i].momentum;
        options.nesterov = runs[i].nesterov;
        options.weight_decay = runs[i].weight_decay;
        options.clip_norm = runs[i].clip_norm;
        options.clip_value = runs[i].clip_value;
        struct train_parameter p = {"x", x, g, 5, .decays = true};
        struct train_optimizer *optimizer = make(&options, &p, 1);
        for (int t = 0; t < 20; t++) {
            for (int k = 0; k < 5; k++)
                g[k] = a[k] * x[k] + 0.3f * x[(k + 1) % 5] - c[k];
            step(optimizer, 0.05);
        }
        for (int k = 0; k < 5; k++)
            if (!(fabsf(x[k] - runs[i].x[k]) <= 3e-6f))
                ck_abort_msg("run %d, x[%d]: %.9g, not %.9g", i, k, (double)x[k],
                             (double)runs[i].x[k]);
        train_optimizer_destroy(optimizer);
    }
}
END_TEST

/* --- Against the definitions ---------------------------------------------------------------- */

/* Sizes around those of blocks and of vectors; the last two are what has no gradient and what
 * has no elements. */
enum { PARAMETERS = 6, MOST = 5003 };
static const size_t sizes[PARAMETERS] = {1, 1023, MOST, 1025, 7, 0};

struct net {
    float x[PARAMETERS][MOST], g[PARAMETERS][MOST];
    struct train_parameter list[PARAMETERS];
};

static void start_net(struct net *net, uint64_t seed)
{
    static const char *const names[PARAMETERS] = {"one", "odd", "long", "more", "rest", "none"};
    struct train_random random = train_random_start(seed);
    for (int p = 0; p < PARAMETERS; p++) {
        train_random_normals(&random, 1.0, net->x[p], sizes[p]);
        net->list[p] = (struct train_parameter){names[p], net->x[p], net->g[p], sizes[p],
                                                .decays = p % 2 == 0};
    }
    net->list[4].gradient = NULL;
}

/* Gradients of step t, and what moves by itself. */
static void draw(struct net *net, uint64_t t)
{
    struct train_random random = train_random_fork(9, TRAIN_RANDOM_WEIGHTS, t, 0);
    for (int p = 0; p < PARAMETERS; p++)
        train_random_normals(&random, 0.5, p == 4 ? net->x[p] : net->g[p], sizes[p]);
}

struct reference {
    double x, a, b, average;
};

static void move(const struct train_optimizer_options *o, struct reference *e, double g,
                 bool decays, double clip, double rate, int t)
{
    g *= clip;
    if (o->clip_value > 0.0)
        g = fmin(fmax(g, -o->clip_value), o->clip_value);
    if (decays && o->kind == TRAIN_OPTIMIZER_ADAMW)
        e->x -= rate * o->weight_decay * e->x;
    else if (decays)
        g += o->weight_decay * e->x;

    switch (o->kind) {
    case TRAIN_OPTIMIZER_SGD:
        e->a = t == 1 ? g : o->momentum * e->a + g;
        e->x -= rate * (o->nesterov ? g + o->momentum * e->a : e->a);
        break;
    case TRAIN_OPTIMIZER_RMSPROP:
        e->a = o->rho * e->a + (1.0 - o->rho) * pow(g, 2);
        e->b = o->momentum * e->b + g / (sqrt(e->a) + o->epsilon);
        e->x -= rate * e->b;
        break;
    case TRAIN_OPTIMIZER_ADAM:
    case TRAIN_OPTIMIZER_ADAMW:
        e->a = o->beta1 * e->a + (1.0 - o->beta1) * g;
        e->b = o->beta2 * e->b + (1.0 - o->beta2) * pow(g, 2);
        double mean = e->a / (1.0 - pow(o->beta1, t)), square = e->b / (1.0 - pow(o->beta2, t));
        e->x -= rate * mean / (sqrt(square) + o->epsilon);
        break;
    }
}

static void follow(const struct train_optimizer_options *o, struct reference *e, int t)
{
    double stays = fmin(o->average, (1.0 + t) / (10.0 + t));
    e->average = stays * e->average + (1.0 - stays) * e->x;
}

static void check_definition(const struct train_optimizer_options *o)
{
    static struct net net;
    static struct reference want[PARAMETERS][MOST];
    enum { STEPS = 25 };
    start_net(&net, 1);
    for (int p = 0; p < PARAMETERS; p++)
        for (size_t i = 0; i < sizes[p]; i++)
            want[p][i] = (struct reference){.x = net.x[p][i], .average = net.x[p][i]};
    struct train_optimizer *optimizer = make(o, net.list, PARAMETERS);
    for (int t = 1; t <= STEPS; t++) {
        double sum = 0.0, rate = 0.01 / t;
        draw(&net, (uint64_t)t);
        for (int p = 0; p < PARAMETERS; p++)
            for (size_t i = 0; p != 4 && i < sizes[p]; i++)
                sum += (double)net.g[p][i] * net.g[p][i];
        double clip = o->clip_norm > 0.0 ? fmin(1.0, o->clip_norm / (sqrt(sum) + 1e-6)) : 1.0;
        for (int p = 0; p < PARAMETERS; p++)
            for (size_t i = 0; i < sizes[p]; i++) {
                if (p == 4)
                    want[p][i].x = net.x[p][i];
                else
                    move(o, &want[p][i], net.g[p][i], net.list[p].decays, clip, rate, t);
                follow(o, &want[p][i], t);
            }
        step(optimizer, rate);
        if (o->clip_norm > 0.0)
            ck_assert_double_eq_tol(train_optimizer_norm(optimizer), sqrt(sum), 1e-9);
    }

    for (int turn = 0; turn < 2; turn++) {
        for (int p = 0; p < PARAMETERS; p++)
            for (size_t i = 0; i < sizes[p]; i++) {
                double value = turn == 0 ? want[p][i].x : want[p][i].average;
                if (!(fabs(net.x[p][i] - value) <= 1e-5))
                    ck_abort_msg("%s%s, %s[%zu]: %.9g, not %.9g", train_optimizer_name(o->kind),
                                 turn ? ", averaged" : "", net.list[p].name, i,
                                 (double)net.x[p][i], value);
            }
        if (o->average == 0.0)
            break;
        train_optimizer_swap(optimizer);
    }
    train_optimizer_destroy(optimizer);
}

/* Every kind with everything it can be told. */
static int variants(struct train_optimizer_options ret_list[40])
{
    int n = 0;
    for (int kind = 0; kind <= TRAIN_OPTIMIZER_ADAMW; kind++)
        for (int momentum = 0; momentum < 3; momentum++)
            for (int rest = 0; rest < 4; rest++) {
                struct train_optimizer_options o =
                    train_optimizer_defaults((enum train_optimizer_kind)kind);
                if (momentum > (kind == 0 ? 2 : kind == 1 ? 1 : 0))
                    continue;
                o.momentum = momentum > 0 ? 0.8 : 0.0;
                o.nesterov = momentum == 2;
                o.weight_decay = rest > 0 ? 0.3 : 0.0;
                o.clip_norm = rest == 1 ? 3.0 : rest == 2 ? 1e3 : 0.0;
                o.clip_value = rest == 3 ? 0.2 : 0.0;
                o.average = rest == 1 || rest == 2 ? 0.6 : 0.0;
                ret_list[n++] = o;
            }
    return n;
}

START_TEST(every_variant_is_its_definition)
{
    struct train_optimizer_options list[40];
    int n = variants(list);
    ck_assert_int_eq(n, (3 + 2 + 1 + 1) * 4);
    for (int i = 0; i < n; i++)
        check_definition(&list[i]);
}
END_TEST

START_TEST(averages_change_places_with_parameters_and_back)
{
    static struct net net, before;
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD);
    start_net(&net, 1);
    struct train_optimizer *optimizer = make(&o, net.list, PARAMETERS);
    memcpy(&before, &net, sizeof net);
    train_optimizer_swap(optimizer); /* there are none */
    ck_assert_mem_eq(&net, &before, sizeof net);
    train_optimizer_destroy(optimizer);

    o.average = 0.9;
    optimizer = make(&o, net.list, PARAMETERS);
    draw(&net, 1);
    step(optimizer, 0.5);
    memcpy(&before, &net, sizeof net);
    train_optimizer_swap(optimizer);
    ck_assert_mem_ne(&net, &before, sizeof net);
    train_optimizer_swap(optimizer);
    ck_assert_mem_eq(&net, &before, sizeof net);
    train_optimizer_destroy(optimizer);
}
END_TEST

/* --- Same bytes ----------------------------------------------------------------------------- */

START_TEST(a_restored_optimizer_goes_on_with_the_same_bytes)
{
    static struct net whole, parted;
    struct train_optimizer_options list[40];
    int n = variants(list);
    for (int v = 0; v < n; v++) {
        start_net(&whole, 2);
        start_net(&parted, 2);
        struct train_optimizer *one = make(&list[v], whole.list, PARAMETERS);
        struct train_optimizer *other = make(&list[v], parted.list, PARAMETERS);
        for (int t = 0; t < 12; t++) {
            draw(&whole, (uint64_t)t);
            step(one, 0.1);
            draw(&parted, (uint64_t)t);
            step(other, 0.1);
            if (t != 5)
                continue;
            struct train_optimizer *fresh = make(&list[v], parted.list, PARAMETERS);
            struct train_optimizer_state from = train_optimizer_state(other);
            struct train_optimizer_state to = train_optimizer_state(fresh);
            ck_assert_uint_eq(from.count, to.count);
            for (size_t i = 0; i < from.count; i++) {
                ck_assert_str_eq(from.arrays[i].name, to.arrays[i].name);
                ck_assert_uint_eq(from.arrays[i].count, to.arrays[i].count);
                memcpy(to.arrays[i].data, from.arrays[i].data,
                       from.arrays[i].count * sizeof(float));
            }
            *to.steps = *from.steps;
            train_optimizer_destroy(other);
            other = fresh;
        }
        ck_assert_mem_eq(whole.x, parted.x, sizeof whole.x);
        ck_assert_uint_eq(train_optimizer_steps(other), 12);
        struct train_optimizer_state a = train_optimizer_state(one);
        struct train_optimizer_state b = train_optimizer_state(other);
        for (size_t i = 0; i < a.count; i++)
            ck_assert_mem_eq(a.arrays[i].data, b.arrays[i].data,
                             a.arrays[i].count * sizeof(float));
        train_optimizer_destroy(one);
        train_optimizer_destroy(other);
    }
}
END_TEST

START_TEST(state_is_named_by_parameter_and_moment)
{
    static struct net net;
    start_net(&net, 1);
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAM);
    o.average = 0.9;
    struct train_optimizer *optimizer = make(&o, net.list, PARAMETERS);
    struct train_optimizer_state state = train_optimizer_state(optimizer);
    ck_assert_uint_eq(state.count, 5 * 3 + 1); /* what has no gradient has no moments */
    ck_assert_str_eq(state.arrays[0].name, "one/mean");
    ck_assert_str_eq(state.arrays[1].name, "one/square");
    ck_assert_str_eq(state.arrays[2].name, "one/average");
    ck_assert_str_eq(state.arrays[12].name, "rest/average");
    ck_assert_uint_eq(state.arrays[3].count, 1023);
    ck_assert_float_eq(state.arrays[2].data[0], net.x[0][0]);
    train_optimizer_destroy(optimizer);
}
END_TEST

START_TEST(results_do_not_depend_on_threads)
{
    enum { SIZE = 600000, SMALL = 777 };
    float *x[2], *g[2];
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAMW);
    o.clip_norm = 1.0;
    o.average = 0.9;
    struct train_optimizer *optimizers[2];
    for (int k = 0; k < 2; k++) {
        x[k] = calloc(SIZE + SMALL, sizeof(float));
        g[k] = calloc(SIZE + SMALL, sizeof(float));
        struct train_random random = train_random_start(1);
        train_random_normals(&random, 1.0, x[k], SIZE + SMALL);
        struct train_parameter list[] = {{"small", x[k], g[k], SMALL},
                                         {"large", x[k] + SMALL, g[k] + SMALL, SIZE, true}};
        optimizers[k] = make(&o, list, 2);
    }
    for (int count = 2; count <= 4; count++) {
        struct nn_threads *threads;
        ck_assert_int_eq(nn_threads_create(count, &threads), 0);
        for (uint64_t t = 0; t < 5; t++)
            for (int k = 0; k < 2; k++) {
                struct train_random random = train_random_fork(1, 0, t, (uint64_t)count);
                train_random_normals(&random, 1.0, g[k], SIZE + SMALL);
                bool begun = k == 1 && nn_threads_begin(threads);
                ck_assert_int_eq(begun, k);
                ck_assert_int_eq(
                    train_optimizer_step(optimizers[k], 0.01, begun ? threads : NULL, NULL), 0);
                if (begun)
                    nn_threads_end(threads, true);
            }
        nn_threads_destroy(threads);
        ck_assert_mem_eq(x[0], x[1], (SIZE + SMALL) * sizeof(float));
        ck_assert_double_eq(train_optimizer_norm(optimizers[0]),
                            train_optimizer_norm(optimizers[1]));
    }
    struct train_optimizer_state a = train_optimizer_state(optimizers[0]);
    struct train_optimizer_state b = train_optimizer_state(optimizers[1]);
    for (size_t i = 0; i < a.count; i++)
        ck_assert_mem_eq(a.arrays[i].data, b.arrays[i].data, a.arrays[i].count * sizeof(float));
    for (int k = 0; k < 2; k++) {
        train_optimizer_destroy(optimizers[k]);
        free(x[k]);
        free(g[k]);
    }
}
END_TEST

/* --- Numbers at the edge -------------------------------------------------------------------- */

START_TEST(moments_without_gradient_end_at_zero)
{
    struct train_optimizer_options list[40];
    int n = variants(list);
    for (int v = 0; v < n; v++) {
        float x[] = {1.0f, 2.0f}, g[] = {0.5f, -0.25f};
        struct train_optimizer_options o = list[v];
        o.weight_decay = o.average = 0.0;
        o.beta2 = 0.9;
        struct train_parameter p = {"x", x, g, 2};
        struct train_optimizer *optimizer = make(&o, &p, 1);
        step(optimizer, 0.1);
        g[0] = g[1] = 0.0f;
        for (int t = 0; t < 2000; t++)
            step(optimizer, 0.1);
        struct train_optimizer_state state = train_optimizer_state(optimizer);
        for (size_t i = 0; i < state.count; i++)
            ck_assert(state.arrays[i].data[0] == 0.0f && state.arrays[i].data[1] == 0.0f);
        ck_assert(isfinite(x[0]) && isfinite(x[1]));
        train_optimizer_destroy(optimizer);
    }
}
END_TEST

START_TEST(the_largest_and_smallest_gradients_are_clipped_by_norm)
{
    float x[] = {0.0f, 0.0f, 0.0f}, g[] = {FLT_MAX, -FLT_MAX, 0.0f};
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD);
    o.clip_norm = 1.0;
    struct train_parameter p = {"x", x, g, 3};
    struct train_optimizer *optimizer = make(&o, &p, 1);
    ck_assert_double_nan(train_optimizer_norm(optimizer));
    step(optimizer, 1.0);
    ck_assert_double_eq_tol(train_optimizer_norm(optimizer) / FLT_MAX, sqrt(2.0), 1e-12);
    ck_assert_float_eq_tol(x[0], -(float)sqrt(0.5), 1e-6f);
    train_optimizer_destroy(optimizer);

    /* And of the smallest: what keeps the divisor from 0 counts as much as they do. */
    g[0] = x[0] = x[1] = 0.0f;
    g[1] = 1e-6f;
    o.clip_norm = 1e-6;
    optimizer = make(&o, &p, 1);
    step(optimizer, 1.0);
    ck_assert_float_eq_tol(x[1], -0.5e-6f, 1e-12f);
    train_optimizer_destroy(optimizer);
}
END_TEST

START_TEST(a_norm_that_is_not_finite_is_refused_with_step_and_parameter)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < COUNT(bad); i++) {
        static struct net net, before;
        start_net(&net, 3);
        struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAM);
        o.clip_norm = 1.0;
        o.average = 0.9;
        struct train_optimizer *optimizer = make(&o, net.list, PARAMETERS);
        draw(&net, 1);
        step(optimizer, 0.1);
        net.g[2][MOST - 1] = bad[i];
        memcpy(&before, &net, sizeof net);
        struct nn_error err;
        ck_assert_int_eq(train_optimizer_step(optimizer, 0.1, NULL, &err), -EDOM);
        if (strncmp(err.text, "step 2: the gradient of long ", 29) != 0)
            ck_abort_msg("%s", err.text);
        ck_assert_mem_eq(net.x, before.x, sizeof net.x);
        ck_assert_uint_eq(train_optimizer_steps(optimizer), 1);
        train_optimizer_destroy(optimizer);
    }
}
END_TEST

START_TEST(clipping_by_value_does_not_hide_what_is_not_a_number)
{
    float x[] = {0.0f, 0.0f}, g[] = {NAN, INFINITY};
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD);
    o.clip_value = 0.5;
    struct train_parameter p = {"x", x, g, 2};
    struct train_optimizer *optimizer = make(&o, &p, 1);
    step(optimizer, 1.0);
    ck_assert_float_nan(x[0]);
    ck_assert_float_eq(x[1], -0.5f);
    train_optimizer_destroy(optimizer);
}
END_TEST

START_TEST(what_is_not_finite_is_found_and_named)
{
    static struct net net;
    struct nn_error err;
    start_net(&net, 1);
    draw(&net, 1);
    ck_assert_int_eq(train_parameters_check(net.list, PARAMETERS, &err), 0);
    net.g[3][1024] = INFINITY;
    ck_assert_int_eq(train_parameters_check(net.list, PARAMETERS, &err), -EDOM);
    ck_assert_ptr_eq(strstr(err.text, "the gradient of more"), err.text);
    net.x[1][5] = NAN;
    ck_assert_int_eq(train_parameters_check(net.list, PARAMETERS, &err), -EDOM);
    ck_assert_ptr_eq(strstr(err.text, "odd"), err.text);
}
END_TEST

/* --- Memory and options --------------------------------------------------------------------- */

START_TEST(a_step_allocates_nothing_and_no_memory_is_an_error)
{
    static struct net net;
    start_net(&net, 1);
    draw(&net, 1);
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAM);
    o.clip_norm = 1.0;
    o.weight_decay = 0.1;
    o.average = 0.9;
    struct train_optimizer *optimizer = make(&o, net.list, PARAMETERS);
    long before = allocations;
    step(optimizer, 0.1);
    ck_assert_int_eq(allocations, before);
    train_optimizer_destroy(optimizer);
    if (!OWN_ALLOCATOR)
        return;

    int failures = 0;
    for (int n = 0;; n++) {
        struct nn_error err = {""};
        optimizer = NULL;
        fail_at = n;
        int r = train_optimizer_create(&o, net.list, PARAMETERS, &optimizer, &err);
        bool all = fail_at >= 0;
        fail_at = -1;
        if (all) {
            ck_assert_int_eq(r, 0);
            break;
        }
        ck_assert_int_eq(r, -ENOMEM);
        ck_assert(!optimizer && strstr(err.text, "no memory for adam"));
        failures++;
    }
    ck_assert_int_gt(failures, 3);
    train_optimizer_destroy(optimizer);
    train_optimizer_destroy(NULL);
}
END_TEST

START_TEST(an_optimizer_of_nothing_does_nothing)
{
    struct train_optimizer_options o = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD);
    o.clip_norm = 1.0;
    struct train_optimizer *optimizer = make(&o, NULL, 0);
    step(optimizer, 1.0);
    ck_assert_double_eq(train_optimizer_norm(optimizer), 0.0);
    train_optimizer_destroy(optimizer);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused_by_name)
{
    const struct train_optimizer_options sgd = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD);
    struct train_optimizer_options o[14];
    static const char *const texts[COUNT(o)] = {
        "the rate",      "the rate", "decay is", "norm to clip", "value to clip",
        "momentum is 1", "rho",      "beta1",    "beta2",        "averages",
        "epsilon",       "by both",  "beta1",    "nesterov"};
    for (int i = 0; i < COUNT(o); i++)
        o[i] = sgd;
    o[0].rate = -1.0;
    o[1].rate = INFINITY;
    o[2].weight_decay = NAN;
    o[3].clip_norm = -1.0;
    o[4].clip_value = INFINITY;
    o[5].momentum = 1.0;
    o[6].rho = -0.1;
    o[7].beta1 = 1.0;
    o[8].beta2 = 2.0;
    o[9].average = 1.0;
    o[10].epsilon = 0.0;
    o[11].clip_norm = o[11].clip_value = 1.0;
    o[12].kind = TRAIN_OPTIMIZER_ADAM;
    o[12].momentum = 0.9;
    o[13].nesterov = true;
    for (int i = 0; i < COUNT(o); i++) {
        struct nn_error err = {""};
        struct train_optimizer *optimizer = NULL;
        ck_assert_int_eq(train_optimizer_create(&o[i], NULL, 0, &optimizer, &err), -EINVAL);
        if (optimizer || !strstr(err.text, texts[i]))
            ck_abort_msg("case %d: %s", i, err.text);
    }

    enum train_optimizer_kind kind;
    struct nn_error err;
    for (int i = 0; i <= TRAIN_OPTIMIZER_ADAMW; i++) {
        const char *name = train_optimizer_name((enum train_optimizer_kind)i);
        ck_assert_int_eq(train_optimizer_find(name, &kind, &err), 0);
        ck_assert_int_eq(kind, i);
        ck_assert_int_eq(train_optimizer_find("lion", &kind, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, name));
    }
}
END_TEST

int main(void)
{
    TCase *numbers = tcase_create("numbers"), *bytes = tcase_create("bytes");
    tcase_add_test(numbers, twenty_steps_are_those_of_pytorch);
    tcase_add_test(numbers, every_variant_is_its_definition);
    tcase_add_test(numbers, averages_change_places_with_parameters_and_back);
    tcase_add_test(bytes, a_restored_optimizer_goes_on_with_the_same_bytes);
    tcase_add_test(bytes, state_is_named_by_parameter_and_moment);
    tcase_add_test(bytes, results_do_not_depend_on_threads);
    TCase *edge = tcase_create("edge"), *memory = tcase_create("memory");
    tcase_add_test(edge, moments_without_gradient_end_at_zero);
    tcase_add_test(edge, the_largest_and_smallest_gradients_are_clipped_by_norm);
    tcase_add_test(edge, a_norm_that_is_not_finite_is_refused_with_step_and_parameter);
    tcase_add_test(edge, clipping_by_value_does_not_hide_what_is_not_a_number);
    tcase_add_test(edge, what_is_not_finite_is_found_and_named);
    tcase_add_test(memory, a_step_allocates_nothing_and_no_memory_is_an_error);
    tcase_add_test(memory, an_optimizer_of_nothing_does_nothing);
    tcase_add_test(memory, options_that_make_no_sense_are_refused_by_name);
    TCase *cases[] = {numbers, bytes, edge, memory};
    return suite_run("nn/train/optimizer", cases, COUNT(cases));
}
