#include "cli/judge.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/shape.h"
#include "nn/session.h"
#include "pipeline/modelfile.h"
#include "record/text.h"

/* --- the model ---------------------------------------------------------------------------- */

static int load(struct judge *judge, const char *given)
{
    struct nn_error err = {{0}};
    judge->path = cli_find_model(given);
    int result = cli_check_model(given, judge->path);
    if (result != CLI_OK)
        return result;
    if (modelfile_read(judge->path, &judge->bytes, &err) < 0)
        return cli_fail(CLI_NO_INPUT, "%s", err.text);
    judge->sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, judge->bytes);
    int r = modelfile_load(judge->bytes, &judge->model, &err);
    if (r < 0)
        return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s", judge->path,
                        err.text);
    judge->overrides = modelkeys_overrides_new();
    r = modelfile_read_sidecar(judge->path, judge->overrides, &err);
    return r < 0 ? cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", err.text) : CLI_OK;
}

/* "%s takes A, the samples are B" */
static int refuse_shape(const struct judge *judge, const struct train_dataset *data)
{
    g_autofree char *takes = shape_text(&nn_model_input(judge->model, 0)->shape);
    g_autofree char *are = shape_text(&data->shape);
    return cli_fail(CLI_CONFIG,
                    "%s: its input '%s' is %s, the first the batch; the samples are %s",
                    judge->path, nn_model_input(judge->model, 0)->name, takes, are);
}

/* What open dimensions of the input are: those of a picture, or of T of them, whose channels are
 * last where the model says so or has nothing else that fits. */
static struct nn_shape open_shape(const struct judge *judge, const struct modelkeys *keys,
                                  const struct nn_shape *sample)
{
    const struct nn_shape *own = &nn_model_input(judge->model, 0)->shape;
    const char *layout = modelkeys_text(keys, MODELKEY_LAYOUT);
    struct nn_shape shape = {.rank = sample->rank + 1, .dim = {1}};
    memcpy(shape.dim + 1, sample->dim, (size_t)sample->rank * sizeof *sample->dim);
    int channels = sample->rank - 2; /* their axis of the input, where they come first */
    int64_t there = own->rank == shape.rank ? own->dim[channels] : NN_DIM_DYNAMIC;
    bool last = layout ? g_str_has_suffix(layout, "HWC")
                       : there != NN_DIM_DYNAMIC && there != sample->dim[channels - 1];
    if (last) {
        shape.dim[channels] = sample->dim[channels];
        shape.dim[channels + 1] = sample->dim[channels + 1];
        shape.dim[channels + 2] = sample->dim[channels - 1];
    }
    return shape;
}

static int read_pictures(struct judge *judge, const struct modelkeys *keys,
                         const struct train_dataset *data)
{
    const struct nn_shape *sample = &data->shape;
    if (sample->rank != 3 && sample->rank != 4)
        return refuse_shape(judge, data);
    struct nn_shape given = open_shape(judge, keys, sample);
    struct nn_error err = {{0}};
    int r = modelinfo_create_input(judge->model, judge->decoded ? NULL : &given,
                                   judge->overrides, &judge->info, &err);
    if (r < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", judge->path, err.text);
    const struct modelinfo *info = judge->info;
    const int64_t *picture = sample->dim + sample->rank - 3;
    if (!judge->decoded &&
        (info->channels != picture[0] || info->height != picture[1] ||
         info->width != picture[2] || info->window != (sample->rank == 4 ? sample->dim[0] : 1)))
        return refuse_shape(judge, data);
    judge->input = info->input;
    judge->head = info->head;
    return CLI_OK;
}

/* Whether the input takes a sample, with `skip` (-1: none) of its axes, of extent 1, left out. */
static bool takes(const struct nn_shape *own, const struct nn_shape *sample, int skip,
                  struct nn_shape *ret_input)
{
    struct nn_shape input = {.rank = 1, .dim = {1}};
    if (skip >= 0 && sample->dim[skip] != 1)
        return false;
    for (int d = 0; d < sample->rank; d++)
        if (d != skip)
            input.dim[input.rank++] = sample->dim[d];
    if (own->rank != input.rank)
        return false;
    for (int d = 0; d < own->rank; d++)
        if (own->dim[d] != NN_DIM_DYNAMIC && own->dim[d] != input.dim[d])
            return false;
    *ret_input = input;
    return true;
}

static int read_numbers(struct judge *judge, const struct modelkeys *keys,
                        const struct train_dataset *data)
{
    const struct nn_value_info *input = nn_model_input(judge->model, 0);
    const struct nn_shape *sample = &data->shape;
    if (input->type != NN_TYPE_FLOAT && input->type != NN_TYPE_INT64)
        return cli_fail(CLI_CONFIG, "%s: its input is %s: float32 and int64 are supported",
                        judge->path, nn_type_name(input->type));
    if (!takes(&input->shape, sample, -1, &judge->input) &&
        !takes(&input->shape, sample, sample->rank - 1, &judge->input) &&
        !takes(&input->shape, sample, 0, &judge->input))
        return refuse_shape(judge, data);
    static const float most = 1e9F;
    const char *const heads[] = {modelinfo_head_name(MODELINFO_SCORES),
                                 modelinfo_head_name(MODELINFO_SOFTMAX),
                                 modelinfo_head_name(MODELINFO_SIGMOID), NULL};
    int head = MODELINFO_SCORES;
    judge->scale = 1;
    if (modelkeys_numbers(keys, MODELKEY_MEAN, 1, -most, most, &judge->mean) < 0 ||
        modelkeys_numbers(keys, MODELKEY_SCALE, 1, -most, most, &judge->scale) < 0 ||
        modelkeys_choice(keys, MODELKEY_HEAD, heads, &head) < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", judge->path, keys->err->text);
    judge->head = head;
    return CLI_OK;
}

static int plan(struct judge *judge)
{
    const struct nn_plan_options options = {
        .input_shapes = &judge->input,
        .precision = judge->info ? judge->info->precision : NN_PRECISION_FP32,
        .time_axis = judge->info ? judge->info->time_axis : -1};
    struct nn_error err = {{0}};
    int r = nn_plan_create(judge->model, &options, &judge->plan, &err);
    if (r < 0)
        return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s", judge->path,
                        err.text);
    const struct nn_value_info *output = nn_plan_output(judge->plan, 0);
    int64_t count = nn_shape_count(&output->shape);
    int long_axes = 0;
    for (int d = 0; d < output->shape.rank; d++)
        long_axes += output->shape.dim[d] != 1;
    g_autofree char *shape = shape_text(&output->shape);
    if (output->type != NN_TYPE_FLOAT || output->late || long_axes > 1 || count < 1 ||
        count > TRAIN_CLASSES_MAX)
        return cli_fail(
            CLI_CONFIG,
            "%s: its output '%s' is %s %s, not a score for each of up to %d classes",
            judge->path, output->name, nn_type_name(output->type), shape, TRAIN_CLASSES_MAX);
    judge->scores = (int)count;
    judge->label_count = count == 1 ? 2 : (int)count;
    return CLI_OK;
}

/* --- labels ------------------------------------------------------------------------------- */

/* The data's classes in their order. */
static int assume_labels(struct judge *judge, const struct train_dataset *data)
{
    if (data->classes.count != judge->label_count)
        return cli_fail(
            CLI_CONFIG,
            "%s: it gives %d scores and does not name them (vigil.labels), the data "
            "has %d classes: which is which cannot be known",
            judge->path, judge->scores, data->classes.count);
    for (int i = 0; i < judge->label_count; i++)
        judge->labels[i] = g_utf8_make_valid(data->classes.names[i], -1);
    judge->labels_assumed = true;
    return CLI_OK;
}

/* A model with one label and its score: the other one is the data's other class. */
static int add_other_label(struct judge *judge, const struct train_dataset *data,
                           const char *named)
{
    int of = train_names_find(&data->classes, named, strlen(named));
    if (data->classes.count != 2 || of < 0)
        return cli_fail(CLI_CONFIG,
                        "%s: its one label \"%s\" should be one of two classes of the data, "
                        "which has %d%s",
                        judge->path, named, data->classes.count,
                        of < 0 ? ", and not this one" : "");
    judge->labels[of] = g_utf8_make_valid(named, -1);
    judge->labels[1 - of] = g_utf8_make_valid(data->classes.names[1 - of], -1);
    judge->swapped = of == 0;
    return CLI_OK;
}

static int name_labels(struct judge *judge, const struct modelkeys *keys,
                       const struct train_dataset *data)
{
    const char *text = modelkeys_text(keys, MODELKEY_LABELS);
    judge->labels = g_new0(char *, judge->label_count + 1);
    if (!text || !*text)
        return assume_labels(judge, data);
    g_auto(GStrv) names = g_strsplit(text, ",", -1);
    guint count = g_strv_length(names);
    for (guint i = 0; i < count; i++)
        g_strstrip(names[i]);
    if (judge->scores == 1 && count == 1)
        return add_other_label(judge, data, names[0]);
    if (count != (guint)judge->label_count)
        return cli_fail(CLI_CONFIG, "%s: vigil.labels names %u, the model gives %d scores",
                        judge->path, count, judge->scores);
    for (guint i = 0; i < count; i++) {
        if (!*names[i] || g_strv_contains((const char *const *)judge->labels, names[i]))
            return cli_fail(CLI_CONFIG, "%s: vigil.labels: \"%s\" %s", judge->path, names[i],
                            *names[i] ? "stands there twice" : "is no name");
        judge->labels[i] = g_utf8_make_valid(names[i], -1);
    }
    return CLI_OK;
}

static int refuse_class(const struct judge *judge, const char *name)
{
    const char *nearest = text_nearest(name, (const char *const *)judge->labels);
    g_autofree char *list = g_strjoinv(", ", judge->labels);
    return cli_fail(CLI_CONFIG, "%s: class \"%s\" of the data is no label of the model%s%s%s",
                    judge->path, name, nearest ? "; did you mean " : ", which has ",
                    nearest ? nearest : list, nearest ? "?" : "");
}

/* The second of two, unless it is what there is when there is nothing. */
static int find_positive(const struct judge *judge, const struct modelkeys *keys)
{
    const char *text = modelkeys_text(keys, MODELKEY_BACKGROUND);
    g_auto(GStrv) background = g_strsplit(text ? text : "", ",", -1);
    for (char **name = background; *name; name++)
        g_strstrip(*name);
    const char *const *names = (const char *const *)background;
    return judge->swapped ||
                   (judge->label_count == 2 && g_strv_contains(names, judge->labels[1]) &&
                    !g_strv_contains(names, judge->labels[0]))
               ? 0
               : 1;
}

/* Classes without samples may be unknown to the model. */
static int match_classes(struct judge *judge, const struct train_dataset *data)
{
    judge->label_of = g_new(int, MAX(data->classes.count, 1));
    for (int c = 0; c < data->classes.count; c++) {
        g_autofree char *name = g_utf8_make_valid(data->classes.names[c], -1);
        judge->label_of[c] = -1;
        for (int i = 0; i < judge->label_count; i++)
            if (strcmp(judge->labels[i], name) == 0)
                judge->label_of[c] = i;
    }
    for (int i = 0; i < data->count; i++)
        if (judge->label_of[data->labels[i]] < 0)
            return refuse_class(judge, data->classes.names[data->labels[i]]);
    return CLI_OK;
}

int judge_open(struct judge *judge, const char *model)
{
    struct nn_error err = {{0}};
    *judge = (struct judge){0};
    int result = load(judge, model);
    if (result != CLI_OK)
        return result;
    const struct modelkeys keys = {
        .model = judge->model, .overrides = judge->overrides, .err = &err};
    if (modelkeys_check(&keys) < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", judge->path, err.text);
    if (nn_model_input_count(judge->model) != 1 || nn_model_output_count(judge->model) < 1)
        return cli_fail(CLI_CONFIG,
                        "%s: it has %zu inputs and %zu outputs: one input, and scores as the "
                        "first output, are supported",
                        judge->path, nn_model_input_count(judge->model),
                        nn_model_output_count(judge->model));
    return CLI_OK;
}

void judge_settle(const struct judge *judge, struct recipe *recipe)
{
    const struct modelkeys keys = {.model = judge->model, .overrides = judge->overrides};
    if (modelkeys_text(&keys, MODELKEY_FPS))
        recipe->fps = 0;
    if (modelkeys_text(&keys, MODELKEY_STRIDE))
        recipe->stride = 0;
    if (modelkeys_text(&keys, MODELKEY_RESIZE))
        g_clear_pointer(&recipe->resize, g_free);
}

int judge_match(struct judge *judge, const struct train_dataset *data, bool decoded)
{
    struct nn_error err = {{0}};
    const struct modelkeys keys = {
        .model = judge->model, .overrides = judge->overrides, .err = &err};
    judge->decoded = decoded;
    int result =
        data->pictures ? read_pictures(judge, &keys, data) : read_numbers(judge, &keys, data);
    if (result == CLI_OK)
        result = plan(judge);
    if (result == CLI_OK)
        result = name_labels(judge, &keys, data);
    if (result != CLI_OK)
        return result;
    judge->positive = find_positive(judge, &keys);
    return match_classes(judge, data);
}

void judge_finish(struct judge *judge)
{
    nn_plan_unref(judge->plan);
    modelinfo_destroy(judge->info);
    nn_model_unref(judge->model);
    g_clear_pointer(&judge->overrides, g_hash_table_unref);
    g_strfreev(judge->labels);
    g_free(judge->label_of);
    g_clear_pointer(&judge->bytes, g_bytes_unref);
    g_free(judge->sha256);
    g_free(judge->path);
    *judge = (struct judge){0};
}

/* --- running ------------------------------------------------------------------------------ */

/* What is in the order of the input already. */
static void feed_decoded(const struct modelinfo *info, const float *sample, float *input)
{
    const size_t channels = (size_t)info->channels,
                 plane = (size_t)info->width * (size_t)info->height,
                 count = (size_t)nn_shape_count(&info->input);
    for (size_t i = 0; i < count; i++) {
        const size_t c = info->interleaved ? i % channels : i / plane % channels;
        input[i] = (sample[i] - info->mean[c]) * info->scale[c];
    }
}

/* Frames of [C,H,W], one or several, as the model wants them. */
static void feed_pictures(const struct modelinfo *info, const float *sample, float *input)
{
    const size_t channels = (size_t)info->channels,
                 plane = (size_t)info->width * (size_t)info->height, frame = channels * plane;
    for (int t = 0; t < info->window; t++, sample += frame, input += frame)
        for (size_t c = 0; c < channels; c++) {
            const size_t from = info->pixels == MODELINFO_BGR ? channels - 1 - c : c;
            const size_t step = info->interleaved ? channels : 1;
            float *to = input + (info->interleaved ? c : c * plane);
            for (size_t i = 0; i < plane; i++)
                to[i * step] = (sample[from * plane + i] - info->mean[c]) * info->scale[c];
        }
}

/* False for a token that cannot be one. */
static bool feed_numbers(const struct judge *judge, const float *sample,
                         const struct nn_tensor *input)
{
    int64_t count = nn_shape_count(&input->shape);
    for (int64_t i = 0; i < count; i++) {
        float value = (sample[i] - judge->mean) * judge->scale;
        if (input->type == NN_TYPE_FLOAT)
            ((float *)input->data)[i] = value;
        else if (fabsf(value) < 1e9F)
            ((int64_t *)input->data)[i] = (int64_t)value;
        else
            return false;
    }
    return true;
}

static void take_scores(const struct judge *judge, const struct nn_tensor *output,
                        float *scores)
{
    const struct modelinfo head = {.head = judge->head, .label_count = judge->scores};
    float one;
    modelinfo_scores(&head, output, judge->scores == 1 ? &one : scores);
    if (judge->scores == 1) {
        scores[!judge->swapped] = one;
        scores[judge->swapped] = 1 - one;
    }
}

/* What threads share: samples are handed out in their order. */
struct run {
    const struct judge *judge;
    const struct train_selection *selection;
    float *scores;
    int next, failed; /* atomic; failed: at least one did */

    GMutex lock;
    int failed_at; /* the first that did, so that the message is the same each time */
    struct nn_error err;
};

static void fail(struct run *run, int at, const struct nn_error *err)
{
    g_mutex_lock(&run->lock);
    if (!run->failed || at < run->failed_at) {
        run->failed_at = at;
        run->err = *err;
    }
    g_atomic_int_set(&run->failed, 1);
    g_mutex_unlock(&run->lock);
}

static int judge_sample(const struct run *run, struct nn_session *session, int at,
                        float *values, struct nn_error *err)
{
    const struct judge *judge = run->judge;
    const struct nn_tensor *input = nn_session_input(session, 0);
    int sample = run->selection->samples[at];
    int r = train_dataset_read(run->selection->data, sample, values, err);
    if (r < 0)
        return r;
    if (judge->decoded)
        feed_decoded(judge->info, values, input->data);
    else if (judge->info)
        feed_pictures(judge->info, values, input->data);
    else if (!feed_numbers(judge, values, input))
        return nn_error_set(err, -EINVAL, "sample %d holds what is no number of a word",
                            sample + 1);
    struct nn_error why = {{0}};
    r = nn_session_run(session, &why);
    if (r < 0)
        return nn_error_set(err, r, "%s: sample %d: %s", judge->path, sample + 1, why.text);
    take_scores(judge, nn_session_output(session, 0),
                run->scores + (size_t)at * (size_t)judge->label_count);
    return 0;
}

static gpointer work(gpointer data)
{
    struct run *run = data;
    struct nn_error err = {{0}};
    struct nn_session *session = NULL;
    g_autofree float *values =
        g_new(float, (gsize)nn_shape_count(&run->selection->data->shape));
    if (nn_session_create(run->judge->plan, &session, &err) < 0)
        fail(run, 0, &err);
    while (!g_atomic_int_get(&run->failed)) {
        int at = g_atomic_int_add(&run->next, 1);
        if (at >= run->selection->count)
            break;
        if (judge_sample(run, session, at, values, &err) < 0)
            fail(run, at, &err);
    }
    nn_session_destroy(session);
    return NULL;
}

int judge_run(const struct judge *judge, const struct train_selection *selection, int threads,
              int *ret_labels, float *ret_scores)
{
    struct run run = {.judge = judge, .selection = selection, .scores = ret_scores};
    int more = MAX(MIN(threads, selection->count) - 1, 0);
    g_autofree GThread **started = g_new(GThread *, more + 1);
    for (int i = 0; i < selection->count; i++)
        ret_labels[i] = judge->label_of[selection->data->labels[selection->samples[i]]];
    g_mutex_init(&run.lock);
    for (int i = 0; i < more; i++)
        started[i] = g_thread_new("judge", work, &run);
    work(&run);
    for (int i = 0; i < more; i++)
        g_thread_join(started[i]);
    g_mutex_clear(&run.lock);
    return run.failed ? cli_fail(CLI_NO_INPUT, "%s", run.err.text) : CLI_OK;
}
