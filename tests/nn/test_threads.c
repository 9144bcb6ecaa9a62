/* Threads within a run: every part is done once, runs side by side do not get in each other's
 * way, and what comes out is the same bytes for any number of them. This program says that
 * there are PROCESSORS processors, so that plans on any machine use several threads, and where
 * they are. */
#include <errno.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "nn/plan_parts.h"
#include "nn/threads.h"
#include "tests/nn/net.h"

enum { PROCESSORS = 3 };

/* And could be: more than one cpu_set_t holds. */
enum { POSSIBLE = 2 * CPU_SETSIZE };

/* In place of the C library's. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    if (size < POSSIBLE / 8) {
        errno = EINVAL; /* as the kernel does */
        return -1;
    }
    memset(set, 0, size);
    for (int i = 0; i < PROCESSORS; i++)
        CPU_SET(i, set);
    return 0;
}

/* Threads are on the first processor until they are sent elsewhere. By the kernel's numbers. */
static atomic_int processor_of[1 << 22];

int sched_getcpu(void)
{
    return atomic_load(&processor_of[gettid()]);
}

int sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *set)
{
    int first = 0;
    if (thread <= 0 || size < POSSIBLE / 8 || CPU_COUNT(set) == 0)
        abort();
    while (!CPU_ISSET(first, set))
        first++;
    atomic_store(&processor_of[thread], first);
    return 0;
}

/* --- The helpers themselves -------------------------------------------------------------- */

struct count {
    atomic_int done[2000];           /* of each item */
    atomic_bool busy[PROCESSORS];    /* of each thread */
    atomic_int parts_of[PROCESSORS]; /* that each thread did */
    atomic_bool wrong;
    int64_t most; /* items of a part */
};

static void count_items(void *data, int64_t first, int64_t end, int thread)
{
    struct count *c = data;
    if (thread < 0 || thread >= PROCESSORS || first >= end || end - first > c->most ||
        atomic_exchange(&c->busy[thread], true)) {
        atomic_store(&c->wrong, true);
        return;
    }
    for (int64_t i = first; i < end; i++)
        atomic_fetch_add(&c->done[i], 1);
    atomic_fetch_add(&c->parts_of[thread], 1);
    atomic_store(&c->busy[thread], false);
}

static struct nn_threads *make_threads(int count)
{
    struct nn_threads *threads = NULL;
    ck_assert_int_eq(nn_threads_create(count, &threads), 0);
    return threads;
}

START_TEST(every_item_is_done_once_by_one_thread_at_a_time)
{
    struct nn_threads *threads = make_threads(_i);
    struct count *c = calloc(1, sizeof *c);
    ck_assert(nn_threads_begin(threads));
    for (int64_t items = 1; items <= 2000; items += 1 + items / 3) {
        for (c->most = 1; c->most <= items; c->most += 1 + 3 * c->most) {
            memset(c->done, 0, sizeof c->done);
            nn_threads_run(threads, items, c->most, 1e9, count_items, c);
            for (int64_t i = 0; i < 2000; i++)
                ck_assert_int_eq(atomic_load(&c->done[i]), i < items);
        }
    }
    ck_assert(!atomic_load(&c->wrong));
    nn_threads_end(threads, true);
    nn_threads_destroy(threads);
    free(c);
}
END_TEST

/* Parts that wait for each other: there must be as many threads at work. */
struct meeting {
    atomic_int there;
    int wanted;
};

static void meet(void *data, int64_t first, int64_t end, int thread)
{
    struct meeting *m = data;
    (void)first;
    (void)end;
    (void)thread;
    int turn = atomic_fetch_add(&m->there, 1) / m->wanted;
    while (atomic_load(&m->there) < (turn + 1) * m->wanted)
        sched_yield();
}

START_TEST(helpers_help)
{
    struct nn_threads *threads = make_threads(_i);
    struct meeting m = {.wanted = _i};
    ck_assert(nn_threads_begin(threads));
    for (int i = 0; i < 20; i++)
        nn_threads_run(threads, _i, 1, 1e9, meet, &m);
    ck_assert_int_eq(atomic_load(&m.there), 20 * _i);
    nn_threads_end(threads, true);
    nn_threads_destroy(threads);
}
END_TEST

START_TEST(helpers_stay_away_from_as_many_runs_as_threads)
{
    struct nn_threads *threads = make_threads(3);
    struct count *c = calloc(1, sizeof *c);
    c->most = 1;
    ck_assert(nn_threads_begin(threads));
    ck_assert(!nn_threads_begin(threads)); /* another has them */
    ck_assert(!nn_threads_begin(threads));
    for (int i = 0; i < 20; i++)
        nn_threads_run(threads, 1000, 1, 1e9, count_items, c);
    ck_assert_int_eq(atomic_load(&c->parts_of[0]), 20 * 1000);

    nn_threads_end(threads, false);
    struct meeting two = {.wanted = 2};
    nn_threads_run(threads, 100, 1, 1e9, meet, &two);
    for (int i = 0; i < 20; i++)
        nn_threads_run(threads, 1000, 1, 1e9, count_items, c);
    ck_assert_int_eq(atomic_load(&c->parts_of[2]), 0);

    nn_threads_end(threads, true);
    ck_assert(nn_threads_begin(threads)); /* whoever comes next */
    nn_threads_end(threads, true);
    nn_threads_end(threads, false);
    nn_threads_destroy(threads);
    free(c);
}
END_TEST

struct places {
    struct meeting meeting;
    atomic_int of[PROCESSORS];
};

static void say_where(void *data, int64_t first, int64_t end, int thread)
{
    struct places *p = data;
    atomic_store(&p->of[thread], sched_getcpu());
    meet(&p->meeting, first, end, thread);
}

START_TEST(threads_come_to_be_on_different_processors)
{
    struct nn_threads *threads = make_threads(PROCESSORS);
    struct places p = {.meeting.wanted = PROCESSORS};
    for (int processor = 0; processor < PROCESSORS; processor++) {
        atomic_store(&processor_of[gettid()], processor);
        ck_assert(nn_threads_begin(threads));
        /* Two that are sent away at once may come to the same one. */
        for (int i = 0; i <= PROCESSORS; i++)
            nn_threads_run(threads, PROCESSORS, 1, 1e9, say_where, &p);
        nn_threads_end(threads, true);
        ck_assert_int_eq(p.of[0], processor);
        for (int i = 1; i < PROCESSORS; i++)
            for (int j = 0; j < i; j++)
                ck_assert_int_ne(p.of[i], p.of[j]);
    }
    nn_threads_destroy(threads);
}
END_TEST

/* The state of each helper of this process, by a letter; returns how many there are. */
static int helper_states(char *states)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], line[512] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        const char *name = fgets(line, sizeof line, file) ? strstr(line, "(nn-helper) ") : NULL;
        if (name && count < NN_PLAN_THREADS_MAX)
            states[count++] = name[strlen("(nn-helper) ")];
        fclose(file);
    }
    closedir(tasks);
    return count;
}

/* Until as many helpers are there, all asleep. */
static void wait_for_sleep(int helpers)
{
    char states[NN_PLAN_THREADS_MAX];
    for (;;) {
        int count = helper_states(states), asleep = 0;
        for (int i = 0; i < count; i++)
            asleep += states[i] == 'S';
        if (count == helpers && asleep == helpers)
            return;
        sched_yield();
    }
}

START_TEST(helpers_without_work_sleep_and_wake_up_again)
{
    struct nn_threads *threads = make_threads(PROCESSORS);
    struct meeting m = {.wanted = PROCESSORS};
    ck_assert(nn_threads_begin(threads));
    for (int i = 0; i < 10; i++) {
        wait_for_sleep(PROCESSORS - 1);
        nn_threads_run(threads, PROCESSORS, 1, 1e9, meet, &m);
    }
    nn_threads_end(threads, true);
    nn_threads_destroy(threads);
    wait_for_sleep(0); /* and none is left */
}
END_TEST

/* How often the helpers of this process went to sleep. */
static long helper_sleeps(void)
{
    DIR *tasks = opendir("/proc/self/task");
    long sum = 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], line[128];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        bool helper = false;
        while (file && fgets(line, sizeof line, file)) {
            long count;
            helper = helper || strcmp(line, "Name:\tnn-helper\n") == 0;
            if (helper && sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
                sum += count;
        }
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return sum;
}

START_TEST(runs_with_little_to_do_wake_nobody)
{
    struct nn_threads *threads = make_threads(PROCESSORS);
    struct count *c = calloc(1, sizeof *c);
    c->most = 1;
    wait_for_sleep(PROCESSORS - 1);
    long before = helper_sleeps();
    ck_assert_int_ge(before, PROCESSORS - 1);
    for (int i = 0; i < 100; i++) {
        ck_assert(nn_threads_begin(threads));
        nn_threads_run(threads, 10, 1, 6e5, count_items, c);
        nn_threads_run(threads, 10, 1, 6e5, count_items, c);
        nn_threads_end(threads, true);
    }
    ck_assert_int_lt(helper_sleeps(), before + PROCESSORS); /* of going to sleep at first */
    ck_assert_int_eq(atomic_load(&c->parts_of[0]), 100 * 20);

    /* What has much to do wakes them at the end, and the next one at once. */
    ck_assert(nn_threads_begin(threads));
    for (int i = 0; i < 10; i++)
        nn_threads_run(threads, 10, 1, 6e5, count_items, c);
    nn_threads_end(threads, true);
    wait_for_sleep(PROCESSORS - 1);
    ck_assert(nn_threads_begin(threads));
    struct meeting m = {.wanted = PROCESSORS};
    nn_threads_run(threads, PROCESSORS, 1, 1, meet, &m);
    nn_threads_end(threads, true);
    nn_threads_destroy(threads);
    free(c);
}
END_TEST

/* --- Plans ------------------------------------------------------------------------------- */

static struct net plan_for(struct nn_model *model, int threads, enum nn_kernel_choice kernels,
                           enum nn_precision precision)
{
    struct net net = net_plan(
        nn_model_ref(model),
        &(struct nn_plan_options){
            .threads = threads, .kernels = kernels, .precision = precision, .time_axis = -1});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.threads, threads < PROCESSORS ? threads : PROCESSORS);
    ck_assert_int_eq(net.plan->threads != NULL, threads > 1);
    return net;
}

static void run_filled(struct net *net, uint32_t seed)
{
    const struct nn_tensor *x = nn_session_input(net->session, 0);
    net_fill(x->data, (size_t)nn_shape_count(&x->shape), seed);
    net_run(net);
}

static void expect_same(struct nn_model *model, enum nn_kernel_choice kernels,
                        enum nn_precision precision, const char *what)
{
    struct net alone = plan_for(model, 1, kernels, precision);
    run_filled(&alone, 1);
    const struct nn_tensor *y = nn_session_output(alone.session, 0);
    for (int threads = 2; threads <= PROCESSORS; threads++) {
        struct net net = plan_for(model, threads, kernels, precision);
        for (int run = 0; run < 2; run++) {
            run_filled(&net, 1);
            const void *got = nn_session_output(net.session, 0)->data;
            ck_assert_msg(memcmp(y->data, got, nn_tensor_bytes(y)) == 0, "%s: %d threads", what,
                          threads);
        }
        net_free(&net);
    }
    net_free(&alone);
}

/* Takes the model. */
static void expect_same_bytes(struct nn_model *model, const char *what)
{
    expect_same(model, NN_KERNELS_BEST, NN_PRECISION_FP32, what);
    expect_same(model, NN_KERNELS_REFERENCE, NN_PRECISION_FP32, what);
    nn_model_unref(model);
}

static float *random_floats(size_t count, uint32_t seed)
{
    float *values = malloc(count * sizeof *values);
    ck_assert(values != NULL);
    net_fill(values, count, seed);
    return values;
}

static void add_weights(struct onnx *o, const char *name, struct onnx_dims dims, uint32_t seed)
{
    float *values = random_floats(onnx_dims_count(dims), seed);
    onnx_floats(o, name, dims, values);
    free(values);
}

struct layer {
    const char *what;
    int64_t batch, in, out, height, width, kernel, stride, pad, group, dilation;
};

/* Large enough to be shared, all of them, and each way that Conv has. */
static const struct layer layers[] = {
    {"many strips of F(4,3)", 1, 16, 24, 60, 61, 3, 1, 1, 1, 1},
    {"F(4,3) in a batch", 3, 16, 24, 30, 31, 3, 1, 0, 1, 1},
    {"few channels", 1, 3, 32, 90, 90, 3, 1, 1, 1, 1},
    {"two strips of F(4,3)", 1, 64, 200, 29, 29, 3, 1, 0, 1, 1},
    {"a strip of F(2,3)", 1, 256, 200, 7, 7, 3, 1, 1, 1, 1},
    {"1x1, large", 1, 48, 20, 55, 55, 1, 1, 0, 1, 1},
    {"1x1, small", 1, 96, 200, 11, 11, 1, 1, 0, 1, 1},
    {"1x1, deep", 1, 300, 100, 15, 15, 1, 1, 0, 1, 1},
    {"1x1, by sums", 2, 300, 100, 5, 5, 1, 1, 0, 1, 1},
    {"3x3 by two, in strips", 1, 3, 20, 130, 131, 3, 2, 1, 1, 1},
    {"strips of two images, dilated", 2, 16, 24, 110, 111, 3, 2, 2, 1, 2},
    {"3x3 by two", 1, 24, 40, 65, 67, 3, 2, 1, 1, 1},
    {"small, by two", 1, 64, 64, 20, 22, 3, 2, 1, 1, 1},
    {"5x5, dilated", 1, 12, 20, 40, 44, 5, 1, 2, 1, 2},
    {"wide kernel, many channels", 1, 40, 33, 30, 30, 5, 1, 2, 1, 1},
    {"depthwise", 1, 64, 64, 60, 60, 3, 1, 1, 64, 1},
    {"depthwise 5x5 by two, batch", 2, 40, 40, 50, 52, 5, 2, 2, 40, 1},
    {"depthwise of one channel, batch", 40, 1, 1, 60, 60, 3, 1, 1, 1, 1},
    {"depthwise 7x7", 1, 40, 40, 40, 40, 7, 1, 3, 40, 1},
    {"two groups", 1, 32, 48, 40, 40, 3, 1, 1, 2, 1},
    {"nine groups, laid out", 2, 36, 72, 30, 30, 3, 2, 1, 9, 1},
};

static struct nn_model *conv_model(const struct layer *l, bool pooled, const char *activation)
{
    struct onnx o = onnx_start(17);
    int64_t k = l->kernel;
    onnx_input(&o, "x", 1, DIMS(l->batch, l->in, l->height, l->width));
    onnx_output(&o, "y", 1, SCALAR);
    add_weights(&o, "w", DIMS(l->out, l->in / l->group, k, k), 3);
    add_weights(&o, "b", DIMS(l->out), 4);
    onnx_node(&o, "Conv", "x w b", "c");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){k, k});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){l->stride, l->stride});
    onnx_attribute_ints(&o, "dilations", 2, (int64_t[]){l->dilation, l->dilation});
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){l->pad, l->pad, l->pad, l->pad});
    onnx_attribute_int(&o, "group", l->group);
    onnx_node(&o, activation, "c", pooled ? "a" : "y");
    if (pooled) {
        onnx_node(&o, "MaxPool", "a", "y");
        onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
        onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    }
    return net_load(&o);
}

START_TEST(convolutions_give_the_same_bytes)
{
    const struct layer *l = &layers[_i];
    expect_same_bytes(conv_model(l, false, "Relu"), l->what);
    expect_same_bytes(conv_model(l, true, "Tanh"), l->what);
}
END_TEST

/* A residual makes the last step of a convolution read what others do not write. */
START_TEST(residuals_give_the_same_bytes)
{
    struct onnx o = onnx_start(17);
    onnx_input(&o, "x", 1, DIMS(1, 32, 28, 30));
    onnx_output(&o, "y", 1, SCALAR);
    add_weights(&o, "w", DIMS(32, 32, 3, 3), 3);
    add_weights(&o, "v", DIMS(32, 1, 3, 3), 5);
    onnx_node(&o, "Conv", "x w", "c");
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1, 1, 1, 1});
    onnx_node(&o, "Add", "c x", "s");
    onnx_node(&o, "Conv", "s v", "d");
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1, 1, 1, 1});
    onnx_attribute_int(&o, "group", 32);
    onnx_node(&o, "Add", "d x", "e");
    onnx_node(&o, "Sigmoid", "e", "y");
    expect_same_bytes(net_load(&o), "residuals");
}
END_TEST

/* Pooling that no convolution takes in, with planes of its own for each thread. */
START_TEST(pooling_gives_the_same_bytes)
{
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    struct onnx o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(2, 30, 40, 41));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, ops[_i], "x", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){5, 5});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){1, 1});
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){2, 2, 2, 2});
    expect_same_bytes(net_load(&o), ops[_i]);
}
END_TEST

struct product {
    const char *what;
    int64_t rows, depth, columns;
    int transposed;
};

static const struct product products[] = {
    {"one row, by outputs", 1, 3000, 203, 1},    {"one row, by columns", 1, 900, 1111, 0},
    {"one row, in pieces", 1, 20000, 61, 0},     {"one row, few outputs", 1, 70000, 30, 1},
    {"one row, some columns", 1, 20000, 130, 0}, {"rows by panels", 70, 300, 200, 0},
    {"rows by one panel", 200, 300, 20, 1},
};

START_TEST(products_give_the_same_bytes)
{
    const struct product *p = &products[_i];
    struct onnx o = onnx_start(17);
    onnx_input(&o, "x", 1, DIMS(p->rows, p->depth));
    onnx_output(&o, "y", 1, SCALAR);
    if (p->transposed)
        add_weights(&o, "w", DIMS(p->columns, p->depth), 3);
    else
        add_weights(&o, "w", DIMS(p->depth, p->columns), 3);
    add_weights(&o, "b", DIMS(p->columns), 4);
    onnx_node(&o, "Gemm", "x w b", "y");
    onnx_attribute_int(&o, "transB", p->transposed);
    onnx_attribute_float(&o, "beta", 0.5f);
    struct nn_model *model = net_load(&o);
    expect_same(model, NN_KERNELS_BEST, NN_PRECISION_FAST, p->what);
    expect_same_bytes(model, p->what);
}
END_TEST

/* --- Random graphs ------------------------------------------------------------------------ */

/* Convolutions and poolings, one behind the other, and a dense layer. */
static struct nn_model *random_model(uint32_t random)
{
    struct onnx o = onnx_start(17);
    int64_t batch = net_pick(&random, 1, 2), channels = net_pick(&random, 1, 20);
    int64_t side = net_pick(&random, 24, 48);
    char last[16] = "x", next[16], weight[16], inputs[40];
    onnx_input(&o, "x", 1, DIMS(batch, channels, side, side));
    onnx_output(&o, "y", 1, SCALAR);
    int64_t count = net_pick(&random, 1, 4);
    for (int64_t i = 0; i < count; i++) {
        int64_t kernel = net_pick(&random, 0, 2) * 2 + 1, stride = net_pick(&random, 1, 2);
        bool depthwise = channels > 1 && net_pick(&random, 0, 3) == 0;
        int64_t out = depthwise ? channels : net_pick(&random, 8, 70), pad = kernel / 2;
        snprintf(weight, sizeof weight, "w%d", (int)i);
        snprintf(next, sizeof next, "v%d", (int)i);
        snprintf(inputs, sizeof inputs, "%s %s", last, weight);
        bool pool = net_pick(&random, 0, 4) == 0;
        if (!pool)
            add_weights(&o, weight, DIMS(out, depthwise ? 1 : channels, kernel, kernel),
                        random);
        onnx_node(&o, pool ? "AveragePool" : "Conv", pool ? last : inputs, next);
        onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){kernel, kernel});
        onnx_attribute_ints(&o, "strides", 2, (int64_t[]){stride, stride});
        onnx_attribute_ints(&o, "pads", 4, (int64_t[]){pad, pad, pad, pad});
        if (!pool)
            onnx_attribute_int(&o, "group", depthwise ? channels : 1);
        channels = pool ? channels : out;
        side = (side - 1) / stride + 1;
        snprintf(last, sizeof last, "%s", next);
    }
    int64_t features = channels * side * side, outputs = net_pick(&random, 1, 40);
    add_weights(&o, "d", DIMS(features, outputs), random);
    onnx_node(&o, "Flatten", last, "f");
    onnx_node(&o, "MatMul", "f d", "y");
    return net_load(&o);
}

START_TEST(random_graphs_give_the_same_bytes)
{
    char what[32];
    snprintf(what, sizeof what, "graph %d", _i);
    expect_same_bytes(random_model((uint32_t)_i), what);
}
END_TEST

/* --- Sessions ----------------------------------------------------------------------------- */

START_TEST(sessions_share_the_helpers_of_their_plan)
{
    struct nn_model *model = conv_model(&layers[0], false, "Relu");
    struct net net = plan_for(model, NN_PLAN_THREADS_MAX, NN_KERNELS_BEST, NN_PRECISION_FP32);
    struct nn_session *more[3];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(nn_session_create(net.plan, &more[i], NULL), 0);
    wait_for_sleep(PROCESSORS - 1);
    for (int i = 0; i < 3; i++)
        nn_session_destroy(more[i]);
    net_free(&net);
    wait_for_sleep(0);

    /* A plan that nobody runs has none. */
    struct nn_plan *plan = NULL;
    ck_assert_int_eq(nn_plan_create(model,
                                    &(struct nn_plan_options){.threads = 3, .time_axis = -1},
                                    &plan, NULL),
                     0);
    ck_assert(!plan->threads);
    nn_plan_unref(plan);
    nn_model_unref(model);
}
END_TEST

enum { SESSIONS = 4, RUNS = 20 };

struct stream {
    struct nn_plan *plan;
    const float *want;
    size_t bytes;
    atomic_bool *wrong;
};

static void *run_stream(void *data)
{
    const struct stream *s = data;
    struct nn_session *session = NULL;
    if (nn_session_create(s->plan, &session, NULL) < 0) {
        atomic_store(s->wrong, true);
        return NULL;
    }
    const struct nn_tensor *x = nn_session_input(session, 0);
    net_fill(x->data, (size_t)nn_shape_count(&x->shape), 1);
    for (int i = 0; i < RUNS; i++) {
        int r = nn_session_run(session, NULL);
        if (r < 0 || memcmp(nn_session_output(session, 0)->data, s->want, s->bytes) != 0)
            atomic_store(s->wrong, true);
    }
    nn_session_destroy(session);
    return NULL;
}

START_TEST(sessions_side_by_side_give_what_one_gives)
{
    struct nn_model *model = conv_model(&layers[1], true, "Relu");
    struct net alone = plan_for(model, 1, NN_KERNELS_BEST, NN_PRECISION_FP32);
    struct net net = plan_for(model, 3, NN_KERNELS_BEST, NN_PRECISION_FP32);
    run_filled(&alone, 1);
    atomic_bool wrong = false;
    struct stream stream = {.plan = net.plan,
                            .want = net_floats(&alone, 0),
                            .bytes = nn_tensor_bytes(nn_session_output(alone.session, 0)),
                            .wrong = &wrong};
    pthread_t threads[SESSIONS];
    for (int i = 0; i < SESSIONS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_stream, &stream), 0);
    for (int i = 0; i < SESSIONS; i++)
        pthread_join(threads[i], NULL);
    ck_assert(!atomic_load(&wrong));
    net_free(&net);
    net_free(&alone);
    nn_model_unref(model);
}
END_TEST

START_TEST(a_number_of_threads_out_of_range_is_refused)
{
    struct nn_model *model = conv_model(&layers[0], false, "Relu");
    for (int i = 0; i < 2; i++) {
        struct nn_plan_options options = {.threads = i ? -1 : NN_PLAN_THREADS_MAX + 1,
                                          .time_axis = -1};
        struct nn_plan *plan = NULL;
        struct nn_error err = {{0}};
        ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, "1 to 64 threads") != NULL, "%s", err.text);
    }
    nn_model_unref(model);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static TCase *helpers_case(void)
{
    TCase *c = tcase_create("helpers");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, every_item_is_done_once_by_one_thread_at_a_time, 2, PROCESSORS + 1);
    tcase_add_loop_test(c, helpers_help, 2, PROCESSORS + 1);
    tcase_add_test(c, helpers_stay_away_from_as_many_runs_as_threads);
    tcase_add_test(c, threads_come_to_be_on_different_processors);
    tcase_add_test(c, helpers_without_work_sleep_and_wake_up_again);
    tcase_add_test(c, runs_with_little_to_do_wake_nobody);
    return c;
}

static TCase *bytes_case(void)
{
    TCase *c = tcase_create("bytes");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, convolutions_give_the_same_bytes, 0, COUNT(layers));
    tcase_add_test(c, residuals_give_the_same_bytes);
    tcase_add_loop_test(c, pooling_gives_the_same_bytes, 0, 3);
    tcase_add_loop_test(c, products_give_the_same_bytes, 0, COUNT(products));
    tcase_add_loop_test(c, random_graphs_give_the_same_bytes, 0, 25);
    return c;
}

static TCase *sessions_case(void)
{
    TCase *c = tcase_create("sessions");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, sessions_share_the_helpers_of_their_plan);
    tcase_add_test(c, sessions_side_by_side_give_what_one_gives);
    tcase_add_test(c, a_number_of_threads_out_of_range_is_refused);
    return c;
}

int main(void)
{
    TCase *cases[] = {helpers_case(), bytes_case(), sessions_case()};
    return suite_run("nn/threads", cases, 3);
}
