/* vigil bench: how fast a model runs here. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench_run.h"
#include "cli/cli.h"
#include "cli/model_file.h"
#include "cli/output.h"

#define DEFAULT_SECONDS 2.0
#define BATCH_MAX       4096
#define WINDOW_MAX      4096
#define NOT_GIVEN       G_MININT
/* Runs of a quiet machine differ by a few per cent. */
#define DISTURBED 1.3
/* The parts of a stream are measured in turns, so that a change of the clock or of what else
 * the machine does meets all of them. */
#define ROUNDS 5

struct bench {
    struct model_file file;
    struct nn_plan *plan;
    struct nn_plan_info info;
    gint threads, sessions;
    gint time_axis;                   /* or NOT_GIVEN */
    gint batch, runs, window, stride; /* NOT_GIVEN until options are checked, then 0 */
    gboolean stream, as_json;
    enum nn_precision precision;
    char *precision_name, **shapes;
    struct bench_times times;
    struct bench_times frame, part; /* --stream: a frame alone, a window alone */
};

/* 0 stands for what was not given; that somebody gives it is a mistake. */
static bool take(gint *option, gint max)
{
    if (*option != NOT_GIVEN)
        return *option >= 1 && *option <= max;
    *option = 0;
    return true;
}

static int check_options(struct bench *b)
{
    if (b->threads < 1 || b->threads > NN_PLAN_THREADS_MAX)
        return cli_fail(CLI_USAGE, "--threads is 1 to %d", NN_PLAN_THREADS_MAX);
    if (b->sessions < 1 || b->sessions > BENCH_SESSIONS_MAX)
        return cli_fail(CLI_USAGE, "--sessions is 1 to %d", BENCH_SESSIONS_MAX);
    if (!take(&b->runs, BENCH_RUNS_MAX))
        return cli_fail(CLI_USAGE, "--runs is 1 to %d", BENCH_RUNS_MAX);
    if (!take(&b->batch, BATCH_MAX))
        return cli_fail(CLI_USAGE, "--batch is 1 to %d", BATCH_MAX);
    if (!take(&b->window, WINDOW_MAX) || !take(&b->stride, WINDOW_MAX))
        return cli_fail(CLI_USAGE, "--window and --stride are 1 to %d", WINDOW_MAX);
    if (b->precision_name && !g_strv_contains(nn_precision_names, b->precision_name))
        return cli_fail(CLI_USAGE, "--precision is fp32, fast or int8, not %s",
                        b->precision_name);
    if (b->time_axis != NOT_GIVEN && (b->time_axis < 0 || b->time_axis >= NN_MAX_RANK))
        return cli_fail(CLI_USAGE, "--time-axis is 0 to %d", NN_MAX_RANK - 1);
    if (!b->stream && (b->window || b->stride || b->time_axis != NOT_GIVEN))
        return cli_fail(CLI_USAGE, "--window, --stride and --time-axis go with --stream");
    if (b->stream && b->batch > 1)
        return cli_fail(CLI_USAGE,
                        "--stream is one stream a session: give --sessions, not --batch");
    return CLI_OK;
}

/* What the metadata or the option says; else after the batch, where that is not a channel. */
static int find_time_axis(const struct bench *b, int *ret_axis)
{
    const struct model_file *file = &b->file;
    int rank = nn_model_input_count(file->model) > 0 ? file->shapes[0].rank : 0;
    if (file->time_axis >= 0)
        *ret_axis = file->time_axis;
    else if (file->info)
        return cli_fail(CLI_CONFIG,
                        "%s: it looks at single frames: measure it without --stream",
                        file->path);
    else if (rank == 3 || rank == 5)
        *ret_axis = 1;
    else
        return cli_fail(CLI_CONFIG, "%s: which axis of its input is time? Give --time-axis",
                        file->path);
    return CLI_OK;
}

/* What was asked for, else what the model is run with. */
static enum nn_precision find_precision(const struct bench *b)
{
    int precision = 0;
    if (!b->precision_name)
        return b->file.info ? b->file.info->precision : NN_PRECISION_FP32;
    while (strcmp(nn_precision_names[precision], b->precision_name) != 0)
        precision++;
    return precision;
}

static int make_plan(struct bench *b)
{
    int axis = -1, result = b->stream ? find_time_axis(b, &axis) : CLI_OK;
    if (result != CLI_OK)
        return result;
    b->precision = find_precision(b);
    const struct nn_plan_options options = {.input_shapes = b->file.shapes,
                                            .precision = b->precision,
                                            .threads = b->threads,
                                            .time_axis = axis,
                                            .window = b->window};
    struct nn_error err;
    int r = nn_plan_create(b->file.model, &options, &b->plan, &err);
    if (r < 0)
        return model_file_fail(&b->file, r, &err);
    nn_plan_describe(b->plan, &b->info);
    if (b->stream && b->stride == 0)
        b->stride = b->file.info ? b->file.info->stride : 1;
    return CLI_OK;
}

/* Keeps the best of several rounds: the one with the least median. */
static int measure(const struct bench *b, enum bench_what what, double seconds,
                   struct bench_times *best)
{
    const struct bench_job job = {.plan = b->plan,
                                  .input_count = nn_model_input_count(b->file.model),
                                  .what = what,
                                  .stride = b->stride,
                                  .sessions = b->sessions,
                                  .runs = b->runs,
                                  .seconds = seconds};
    struct bench_times times;
    struct nn_error err;
    if (bench_measure(&job, &times, &err) < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", b->file.path, err.text);
    if (best->runs == 0 || times.median_ms < best->median_ms)
        *best = times;
    return CLI_OK;
}

static int measure_all(struct bench *b)
{
    if (!b->stream)
        return measure(b, BENCH_WHOLE, DEFAULT_SECONDS, &b->times);
    int result = CLI_OK, rounds = b->runs > 0 ? 1 : ROUNDS;
    double seconds = DEFAULT_SECONDS / (3 * ROUNDS);
    for (int i = 0; i < rounds && result == CLI_OK; i++) {
        result = measure(b, BENCH_STREAM, seconds, &b->times);
        if (result == CLI_OK)
            result = measure(b, BENCH_FRAME, seconds, &b->frame);
        if (result == CLI_OK)
            result = measure(b, BENCH_WINDOW, seconds, &b->part);
    }
    return result;
}

/* What a frame would cost if its parts cost what they cost alone. */
static double parts_ms(const struct bench *b)
{
    return b->frame.median_ms + b->part.median_ms / b->stride;
}

/* Examples in one run. */
static int batch_of(const struct bench *b)
{
    const struct model_file *file = &b->file;
    bool has = nn_model_input_count(file->model) > 0 && file->shapes[0].rank > 0;
    return has ? (int)file->shapes[0].dim[0] : 1;
}

/* Runs, or frames of streams, of all sessions together. */
static double per_second(const struct bench *b)
{
    return b->times.per_second * (b->stream ? b->stride : 1);
}

/* Six decimals; of milliseconds those are nanoseconds, and more would say nothing. */
static json_t *rounded_json(double value)
{
    return json_real(round(value * 1e6) / 1e6);
}

static void print_json(const struct bench *b)
{
    g_autofree char *path = g_utf8_make_valid(b->file.path, -1);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:o, s:o, s:o, s:f, s:I, s:I}", "file", path,
        "kernels", b->info.kernels, "precision", nn_precision_names[b->precision], "threads",
        b->info.threads, "sessions", b->sessions, "batch", batch_of(b), "runs",
        (json_int_t)b->times.runs, "median_ms", rounded_json(b->times.median_ms), "min_ms",
        rounded_json(b->times.min_ms), "p95_ms", rounded_json(b->times.p95_ms), "per_second",
        round(per_second(b) * 1e3) / 1e3, "arena_bytes", (json_int_t)b->info.arena_bytes,
        "weight_bytes", (json_int_t)b->info.weight_bytes);
    if (b->precision != NN_PRECISION_FP32)
        json_object_set_new(object, "weight_error", rounded_json(b->info.weight_error));
    if (b->stream) {
        json_object_set_new(object, "window", json_integer(b->info.window));
        json_object_set_new(object, "stride", json_integer(b->stride));
        json_object_set_new(object, "frame_ms", rounded_json(b->frame.median_ms));
        json_object_set_new(object, "window_ms", rounded_json(b->part.median_ms));
        json_object_set_new(object, "ratio", rounded_json(b->times.median_ms / parts_ms(b)));
    }
    output_json_line(object);
    json_decref(object);
}

static void print_times(const char *what, const struct bench_times *times)
{
    printf("%-22s median %.4f ms, least %.4f, 95 %% within %.4f (%" G_GINT64_FORMAT " run%s)\n",
           what, times->median_ms, times->min_ms, times->p95_ms, times->runs,
           times->runs == 1 ? "" : "s");
}

/* Nothing of a machine that is busy with something else should be taken for the model's. */
static void print_disturbance(const struct bench *b)
{
    double ratio = b->times.median_ms / b->times.min_ms;
    if (ratio > DISTURBED)
        printf("%-22s the median is %.1f times the least: something else ran here%s; measure "
               "again when it is quiet\n",
               "disturbed", ratio,
               b->sessions > (int)g_get_num_processors() ? ", and sessions wait for processors"
                                                         : "");
}

static void print_text(const struct bench *b)
{
    g_autofree char *path = output_printable(b->file.path);
    printf("%s: %s kernels, %s, ", path, b->info.kernels,
           b->precision == NN_PRECISION_FP32 ? "weights as in the model"
                                             : nn_precision_names[b->precision]);
    if (b->sessions > 1)
        printf("%d sessions side by side, each on a thread of its own", b->sessions);
    else if (b->info.threads > 1)
        printf("one session on %d threads", b->info.threads);
    else
        printf("one session on one thread");
    if (b->sessions > 1 && b->info.threads > 1)
        printf("; %d more help%s a run that finds %s free", b->info.threads - 1,
               b->info.threads == 2 ? "s" : "", b->info.threads == 2 ? "it" : "them");
    putchar('\n');
    if (b->threads > b->info.threads)
        printf("%d threads were asked for: this machine has %d processor%s to run them\n",
               b->threads, b->info.threads, b->info.threads == 1 ? "" : "s");
    for (guint i = 0; i < b->file.assumed->len && !b->file.info; i++) {
        g_autofree char *line = output_printable(b->file.assumed->pdata[i]);
        printf("%s\n", line);
    }
    if (b->info.weight_error > 0)
        printf(
            "weights are stored in fewer bits: a layer's outputs change by %.1e of the largest "
            "at most, as measured\n",
            b->info.weight_error);
    else if (b->precision != NN_PRECISION_FP32)
        puts("no weights are stored in fewer bits");
    if (b->stream) {
        printf("windows of %d frames, one every %d\n", b->info.window, b->stride);
        print_times("per frame of a stream", &b->times);
        print_times("a frame alone", &b->frame);
        print_times("a window alone", &b->part);
        printf("%-22s %.2f of a frame alone and its share of a window alone (%.4f ms)\n",
               "ratio", b->times.median_ms / parts_ms(b), parts_ms(b));
    } else {
        g_autofree char *what = g_strdup_printf("per run, batch %d", batch_of(b));
        print_times(what, &b->times);
    }
    print_disturbance(b);
    printf("%-22s %.1f %s a second in all\n", "throughput", per_second(b),
           b->stream ? "frames" : "runs");
    printf("%-22s arena %zu bytes for each session, %zu bytes of packed weights and plan for "
           "all\n",
           "memory", b->info.arena_bytes, b->info.weight_bytes);
}

static int run_bench(struct bench *b, const char *given)
{
    int result = check_options(b);
    if (result != CLI_OK)
        return result;
    cli_check_kernels();
    const struct model_file_options options = {
        .shapes = (const char *const *)b->shapes,
        .batch = b->stream ? 1 : b->batch,
        .time_axis = b->time_axis != NOT_GIVEN ? b->time_axis : MODEL_FILE_TIME_GIVEN_BY_MODEL};
    result = model_file_open(given, &options, &b->file);
    if (result != CLI_OK)
        return result;
    result = make_plan(b);
    if (result == CLI_OK)
        result = measure_all(b);
    if (result == CLI_OK && b->as_json)
        print_json(b);
    else if (result == CLI_OK)
        print_text(b);
    nn_plan_unref(b->plan);
    model_file_finish(&b->file);
    return result;
}

int cli_bench(int argc, char **argv)
{
    struct bench b = {.threads = 1,
                      .sessions = 1,
                      .time_axis = NOT_GIVEN,
                      .batch = NOT_GIVEN,
                      .runs = NOT_GIVEN,
                      .window = NOT_GIVEN,
                      .stride = NOT_GIVEN};
    const GOptionEntry entries[] = {
        {"threads", 't', 0, G_OPTION_ARG_INT, &b.threads,
         "Threads that one run is split over, at most one for each processor (1)", "N"},
        {"sessions", 's', 0, G_OPTION_ARG_INT, &b.sessions,
         "Sessions side by side, each on a thread of its own, as streams are (1)", "N"},
        {"batch", 'b', 0, G_OPTION_ARG_INT, &b.batch, "Examples in one run (1)", "N"},
        {"runs", 'r', 0, G_OPTION_ARG_INT, &b.runs,
         "Runs of each session, with --stream windows (default: what two seconds hold)", "N"},
        {"precision", 'p', 0, G_OPTION_ARG_STRING, &b.precision_name,
         "How large dense weights are stored: fp32, fast or int8 (default: the model's, else "
         "fp32)",
         "P"},
        {"stream", 0, 0, G_OPTION_ARG_NONE, &b.stream,
         "Frame by frame, as a stream runs it, with a window every --stride frames", NULL},
        {"window", 'w', 0, G_OPTION_ARG_INT, &b.window,
         "Frames in a window (default: the model's)", "N"},
        {"stride", 0, 0, G_OPTION_ARG_INT, &b.stride,
         "Frames from window to window (default: the model's, else 1)", "N"},
        {"time-axis", 0, 0, G_OPTION_ARG_INT, &b.time_axis,
         "With --stream: the axis of the first input that is time (default: the metadata's, "
         "else 1)",
         "N"},
        {"shape", 0, 0, G_OPTION_ARG_STRING_ARRAY, &b.shapes,
         "The shape of an input the model leaves open, as 1x3x224x224", "[INPUT=]SHAPE"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &b.as_json, "One JSON object", NULL},
        {NULL}};
    int over = cli_parse(
        &argc, &argv, "FILE|NAME",
        "Measures how fast a model runs on this machine, after a warm-up, in wall-clock time. "
        "With --threads a run is split over threads, so that it takes less time; with "
        "--sessions several run at a time, so that more are done.\n"
        "--stream also measures its parts alone: what runs once per frame, and what runs once "
        "per window. A stream should cost little more than their sum. Without --runs the three "
        "are "
        "measured in turns, and the quietest of five rounds counts.\n"
        "VIGIL_KERNELS=avx2 or scalar in the environment measures slower kernels.",
        entries);
    int result = over - 1;
    if (!over && argc != 2)
        result = cli_fail(CLI_USAGE, "give one ONNX file (see: vigil bench --help)");
    else if (!over)
        result = run_bench(&b, argv[1]);
    g_free(b.precision_name);
    g_strfreev(b.shapes);
    return result;
}
