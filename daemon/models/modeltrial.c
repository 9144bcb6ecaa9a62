#include "daemon/models/modeltrial.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/change.h"
#include "daemon/models/models.h"
#include "daemon/workers/oneshot.h"

struct model_trial {
    struct model_trial_options options;
    size_t model; /* index of the one that is tried: opened, then inspected */
    struct opening *opening;
    struct oneshot *worker;
    bool stopped;
};

/* Where the model was named, and what is wrong with it. */
static int explain(const struct model_trial *trial, const char *problem,
                   struct config_error *err)
{
    const struct config *next = trial->options.next;
    const struct config_model *model = &next->models[trial->model];
    g_autofree char *section = g_strdup_printf("model %s", model->name);
    const struct config_setting *path = config_find_setting(next, section, "path");
    g_autofree char *text =
        g_strdup_printf("%s: model %s would not run: %s",
                        path && path->origin ? path->origin : section, model->name, problem);
    *err = (struct config_error){.key = "path"};
    g_strlcpy(err->text, text, sizeof err->text);
    return -EINVAL;
}

/* To the next model that is not as it was; false after the last. */
static bool find_next(struct model_trial *trial)
{
    const struct config *next = trial->options.next;
    for (; trial->model < next->model_count; trial->model++) {
        const struct config_model *model = &next->models[trial->model];
        const struct config_model *was = config_find_model(trial->options.running, model->name);
        if (model->file.exists && !(was && config_model_equal(was, model)))
            return true;
    }
    return false;
}

static void opened(void *owner, int fd, const struct stat *status);

/* Tries the model at hand. */
static void begin(struct model_trial *trial)
{
    const char *path = trial->options.next->models[trial->model].path;
    trial->opening = opener_open(trial->options.opener, path, opened, trial);
}

static void finish(struct model_trial *trial, const struct config_error *err)
{
    trial->options.done(trial->options.owner, err);
    g_free(trial);
}

static void tried(void *owner, const struct oneshot_result *result)
{
    struct model_trial *trial = owner;
    struct config_error err = {{0}};
    int r = 0;
    trial->worker = NULL;
    if (trial->stopped)
        r = explain(trial, "vigild is stopping", &err);
    else if (result->too_late)
        r = explain(trial, "it could not be inspected in time", &err);
    else if (result->status != 0)
        r = explain(trial,
                    *result->problem ? result->problem : "the worker that inspected it died",
                    &err);
    trial->model++;
    if (r == 0 && find_next(trial))
        begin(trial);
    else
        finish(trial, r < 0 ? &err : NULL);
}

static void opened(void *owner, int fd, const struct stat *status)
{
    struct model_trial *trial = owner;
    struct config_error err = {{0}};
    struct oneshot_options options = {
        .loop = trial->options.loop,
        .program = trial->options.running->worker,
        .verb = "--inspect",
        .model = &trial->options.next->models[trial->model],
        .input = fd,
        .output = -1,
        .text_max = MODELS_OUTPUT_MAX,
        .deadline_ms = MODELTRIAL_DEADLINE_MS,
        .done = tried,
        .owner = trial,
    };
    (void)status;
    trial->opening = NULL;
    int r = 0;
    if (fd < 0)
        r = explain(trial, opener_error_text(fd), &err);
    else if (oneshot_start(&options, &trial->worker) < 0)
        r = explain(trial, "the worker that would try it does not start", &err);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        finish(trial, &err);
}

int model_trial_start(const struct model_trial_options *options, struct model_trial **ret_trial)
{
    struct model_trial *trial = g_new0(struct model_trial, 1);
    trial->options = *options;
    if (!find_next(trial)) {
        g_free(trial);
        return 0;
    }
    begin(trial);
    *ret_trial = trial;
    return 1;
}

void model_trial_stop(struct model_trial *trial)
{
    struct config_error err = {{0}};
    trial->stopped = true;
    if (trial->worker) {
        oneshot_kill(trial->worker);
        return;
    }
    opening_cancel(g_steal_pointer(&trial->opening));
    explain(trial, "vigild is stopping", &err);
    finish(trial, &err);
}
