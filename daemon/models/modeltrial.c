#include "daemon/models/modeltrial.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/change.h"
#include "daemon/models/models.h"
#include "daemon/workers/oneshot.h"
#include "record/file.h"

struct model_trial {
    struct model_trial_options options;
    size_t model; /* index of the one that is tried */
    struct oneshot *worker;
    bool stopped;
};

/* Where the model was named, and what is wrong with it. */
static int refuse(const struct model_trial *trial, const char *problem,
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

static void tried(void *owner, const struct oneshot_result *result);

/* Tries the model at hand. */
static int begin(struct model_trial *trial, struct config_error *err)
{
    const struct config *next = trial->options.next;
    const struct config_model *model = &next->models[trial->model];
    int fd = file_open(model->path);
    if (fd < 0)
        return refuse(trial, file_error_text(fd), err);
    struct oneshot_options options = {
        .loop = trial->options.loop,
        .program = trial->options.running->worker,
        .verb = "--inspect",
        .model = model,
        .input = fd,
        .output = -1,
        .text_max = MODELS_OUTPUT_MAX,
        .deadline_ms = MODELTRIAL_DEADLINE_MS,
        .done = tried,
        .owner = trial,
    };
    int r = oneshot_start(&options, &trial->worker);
    close(fd);
    return r < 0 ? refuse(trial, "the worker that would try it does not start", err) : 0;
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

static void tried(void *owner, const struct oneshot_result *result)
{
    struct model_trial *trial = owner;
    struct config_error err = {{0}};
    int r = 0;
    if (trial->stopped)
        r = refuse(trial, "vigild is stopping", &err);
    else if (result->too_late)
        r = refuse(trial, "it could not be inspected in time", &err);
    else if (result->status != 0)
        r = refuse(trial,
                   *result->problem ? result->problem : "the worker that inspected it died",
                   &err);
    trial->model++;
    bool more = r == 0 && find_next(trial);
    if (more && (r = begin(trial, &err)) == 0)
        return;
    trial->options.done(trial->options.owner, r < 0 ? &err : NULL);
    g_free(trial);
}

int model_trial_start(const struct model_trial_options *options, struct model_trial **ret_trial,
                      struct config_error *err)
{
    struct model_trial *trial = g_new0(struct model_trial, 1);
    trial->options = *options;
    int r = find_next(trial) ? 1 : 0;
    if (r == 1 && begin(trial, err) < 0)
        r = -EINVAL;
    if (r <= 0)
        g_free(trial);
    else
        *ret_trial = trial;
    return r;
}

void model_trial_stop(struct model_trial *trial)
{
    trial->stopped = true;
    oneshot_kill(trial->worker);
}
