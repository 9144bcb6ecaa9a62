#include "cli/bench_run.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "nn/session.h"

enum { WARM_UP_RUNS = 5, LEAST_RUNS = 10 };

/* One thread at work. */
struct lane {
    const struct bench_job *job;
    struct nn_session *session;
    GArray *times;            /* of double, in ms */
    pthread_barrier_t *ready; /* every thread is warm */
    struct nn_error err;
    int result;
    double start_ms, end_ms;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Something that is no special case to any kernel: neither zeros nor denormals. */
static void fill(void *data, enum nn_type type, int64_t count)
{
    guint32 state = 1;
    for (int64_t i = 0; i < count && type == NN_TYPE_FLOAT; i++) {
        state = state * 1664525u + 1013904223u;
        ((float *)data)[i] = (float)(state >> 8) / (float)(1 << 24);
    }
    if (type != NN_TYPE_FLOAT)
        memset(data, 0, (size_t)count * nn_type_size(type));
}

static void fill_inputs(struct nn_session *session, const struct nn_plan *plan, size_t count)
{
    struct nn_plan_info info;
    nn_plan_describe(plan, &info);
    for (size_t i = 0; i < count; i++) {
        const struct nn_tensor *t = nn_session_input(session, i);
        fill(t->data, t->type, nn_shape_count(&t->shape));
    }
    if (info.window > 0)
        fill(nn_session_frame_buffer(session), NN_TYPE_FLOAT, (int64_t)info.frame_elements);
}

/* What is timed, once. */
static int run_once(const struct bench_job *job, struct nn_session *session,
                    struct nn_error *err)
{
    int r = 0;
    switch (job->what) {
    case BENCH_WHOLE:
        return nn_session_run(session, err);
    case BENCH_FRAME:
        return nn_session_push_frame(session, err);
    case BENCH_WINDOW:
        return nn_session_run_window(session, err);
    case BENCH_STREAM:
        for (int i = 0; i < job->stride && r == 0; i++)
            r = nn_session_push_frame(session, err);
        return r < 0 ? r : nn_session_run_window(session, err);
    }
    return -EINVAL;
}

/* Until the first window is full, and every page and cache has been seen. */
static int warm_up(const struct bench_job *job, struct nn_session *session,
                   struct nn_error *err)
{
    struct nn_plan_info info;
    int r = 0;
    nn_plan_describe(job->plan, &info);
    for (int i = 0; i < info.window && job->what != BENCH_WHOLE && r == 0; i++)
        r = nn_session_push_frame(session, err);
    for (int i = 0; i < WARM_UP_RUNS && r == 0; i++)
        r = run_once(job, session, err);
    return r;
}

static bool is_enough(const struct bench_job *job, guint done, double since_ms)
{
    if (job->runs > 0)
        return done >= (guint)job->runs;
    return done >= BENCH_RUNS_MAX ||
           (done >= LEAST_RUNS && now_ms() - since_ms >= job->seconds * 1e3);
}

static gpointer run_lane(gpointer data)
{
    struct lane *lane = data;
    double frames = lane->job->what == BENCH_STREAM ? lane->job->stride : 1;
    lane->result = warm_up(lane->job, lane->session, &lane->err);
    pthread_barrier_wait(lane->ready);
    double before = lane->start_ms = now_ms();
    while (lane->result == 0 && !is_enough(lane->job, lane->times->len, lane->start_ms)) {
        lane->result = run_once(lane->job, lane->session, &lane->err);
        double after = now_ms(), took = (after - before) / frames;
        g_array_append_val(lane->times, took);
        before = after;
    }
    lane->end_ms = now_ms();
    return NULL;
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarize(GArray *times, double elapsed_ms, struct bench_times *ret_times)
{
    g_array_sort(times, by_time);
    const double *t = (const double *)(const void *)times->data;
    guint n = times->len;
    *ret_times = (struct bench_times){
        .runs = n,
        .median_ms = n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2,
        .min_ms = t[0],
        .p95_ms = t[(n * 95 + 99) / 100 - 1], /* the nearest rank */
        .per_second = elapsed_ms > 0 ? n / elapsed_ms * 1e3 : 0,
    };
}

static int run_lanes(const struct bench_job *job, struct lane *lanes,
                     struct bench_times *ret_times, struct nn_error *err)
{
    g_autofree GThread **threads = g_new0(GThread *, job->sessions);
    pthread_barrier_t ready;
    if (pthread_barrier_init(&ready, NULL, (unsigned)job->sessions) != 0)
        return nn_error_set(err, -ENOMEM, "no memory for threads");
    for (int i = 0; i < job->sessions; i++) {
        lanes[i].ready = &ready;
        threads[i] = g_thread_new("bench", run_lane, &lanes[i]);
    }
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(double));
    double start = 0, end = 0;
    int r = 0;
    for (int i = 0; i < job->sessions; i++) {
        g_thread_join(threads[i]);
        g_array_append_vals(all, lanes[i].times->data, lanes[i].times->len);
        start = i == 0 ? lanes[i].start_ms : MIN(start, lanes[i].start_ms);
        end = MAX(end, lanes[i].end_ms);
        if (lanes[i].result < 0 && r == 0) {
            r = lanes[i].result;
            *err = lanes[i].err;
        }
    }
    pthread_barrier_destroy(&ready);
    if (r == 0)
        summarize(all, end - start, ret_times);
    return r;
}

int bench_measure(const struct bench_job *job, struct bench_times *ret_times,
                  struct nn_error *err)
{
    g_autofree struct lane *lanes = g_new0(struct lane, job->sessions);
    int r = 0;
    for (int i = 0; i < job->sessions; i++) {
        lanes[i] = (struct lane){.job = job};
        lanes[i].times = g_array_sized_new(FALSE, FALSE, sizeof(double),
                                           job->runs > 0 ? (guint)job->runs : 4096);
        if (r == 0)
            r = nn_session_create(job->plan, &lanes[i].session, err);
        if (r == 0)
            fill_inputs(lanes[i].session, job->plan, job->input_count);
    }
    if (r == 0)
        r = run_lanes(job, lanes, ret_times, err);
    for (int i = 0; i < job->sessions; i++) {
        nn_session_destroy(lanes[i].session);
        g_array_free(lanes[i].times, TRUE);
    }
    return r;
}
