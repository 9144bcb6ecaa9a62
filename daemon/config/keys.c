#include "daemon/config/keys.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/address.h"
#include "daemon/config/config.h"
#include "daemon/config/default.h"
#include "record/text.h"

#define MODEL_THREADS_MAX 64        /* NN_PLAN_THREADS_MAX */
#define MEGABYTES_MAX     100000000 /* 100 TB: whatever a disk may be */
#define OF(member)        offsetof(struct config, member)
#define OF_STREAM(member) offsetof(struct config_stream_fields, member)

/* The listener's own check, so that `config check` says what a start would. */
static int check_listen(const char *value, struct config_error *err)
{
    union api_address address;
    struct api_error why;
    int r = api_address_parse(value, &address, &why);
    if (r < 0)
        g_strlcpy(err->text, why.text, sizeof err->text);
    return r;
}

static const struct config_key server_keys[] = {
    {"listen", CONFIG_TEXT, .offset = OF(listen), .fixed = true, .fallback = "127.0.0.1:8470",
     .check = check_listen,
     .meaning = "Address and port of the API; loopback only. Port 0 takes any free one."},
    {"node", CONFIG_NAME, .offset = OF(node), .fixed = true,
     .make_fallback = config_default_node, .fallback_note = "the host's name",
     .meaning = "Name of this machine in every record."},
    {"media_roots", CONFIG_FOLDERS, .offset = OF(media_roots),
     .meaning = "Folders that `file://` streams may come from, `;` between, at most 16."},
    {NULL},
};

static const struct config_key store_keys[] = {
    {"path", CONFIG_PATH, .offset = OF(database), .fixed = true,
     .make_fallback = config_default_database,
     .fallback_note = "`vigil.db` in `$STATE_DIRECTORY`, else in `/var/lib/vigil`",
     .meaning = "The database file; SQLite keeps two more beside it."},
    {"retention_days", CONFIG_INTEGER, .min = 0, .max = 36500, .offset = OF(retention_days),
     .fallback = "30",
     .meaning = "Days after its end at which a detection is removed; 0 keeps all. A stream may "
                "have its own."},
    {"retention_mb", CONFIG_INTEGER, .min = 0, .max = MEGABYTES_MAX, .offset = OF(retention_mb),
     .fallback = "0",
     .meaning = "Megabytes (of 1048576 bytes) the database file may use, its free pages not "
                "counted; beyond, the detections that ended first are removed. 0: any number."},
    {"retention_updates_hours", CONFIG_INTEGER, .min = 0, .max = 876000,
     .offset = OF(retention_updates_hours), .fallback = "24",
     .meaning =
         "Hours after which, of a detection's records, only the first and the latest are "
         "kept, so that one that stays open does not grow; 0 keeps all."},
    {NULL},
};

static const struct config_key worker_keys[] = {
    {"program", CONFIG_PATH, .offset = OF(worker), .fixed = true,
     .make_fallback = config_default_worker,
     .fallback_note = "`vigil-worker` beside vigild, else the installed one",
     .meaning = "The program that connects to cameras and runs models."},
    {"ready_timeout", CONFIG_DURATION, .min = 1000, .max = 600000, .offset = OF(ready_timeout),
     .fixed = true, .fallback = "20 s",
     .meaning = "How long a worker may take to warm up before it is replaced."},
    {"streams_per_worker", CONFIG_INTEGER, .min = 1, .max = 64,
     .offset = OF(streams_per_worker), .fixed = true, .fallback = "1",
     .meaning =
         "Streams that share a worker. More than one saves memory; a stream that crashes "
         "its worker then interrupts the others in it for a moment, and a camera that "
         "takes the worker over has their pictures and passwords."},
    {"tls_ca", CONFIG_PATH, .offset = OF(tls_ca), .fixed = true,
     .fallback_note = "whom the system trusts",
     .meaning =
         "A file of certificates (PEM): who may sign those of cameras met by `rtsps://`, "
         "instead of whom the system trusts."},
    {NULL},
};

static const struct config_key job_keys[] = {
    {"data", CONFIG_PATH, .offset = OF(jobs_data), .fallback_note = "there are no jobs",
     .meaning = "The folder in which recipes and their data are. Jobs name what is below it."},
    {"models", CONFIG_PATH, .offset = OF(jobs_models), .fallback_note = "there are no jobs",
     .meaning = "The folder that trained models and reports are written into."},
    {"at_once", CONFIG_INTEGER, .min = 1, .max = 16, .offset = OF(jobs_at_once),
     .fallback = "1", .meaning = "Jobs that run at a time; the others wait."},
    {"program", CONFIG_PATH, .offset = OF(jobs_program), .make_fallback = config_default_vigil,
     .fallback_note = "`vigil` beside vigild, else the installed one",
     .meaning = "The program that a job runs."},
    {NULL},
};

/* As nn/plan.h has them: known whatever the model. */
static int check_precision(const char *value, struct config_error *err)
{
    static const char *const precisions[] = {"fp32", "fast", "int8", NULL};
    if (g_strv_contains(precisions, value))
        return 0;
    g_strlcpy(err->text, "precision must be fp32, fast or int8", sizeof err->text);
    return -EINVAL;
}

/* What the values of most mean is the worker's to check, with the model at hand. */
static const struct config_key model_keys[] = {
    {"path", CONFIG_PATH, .make_fallback = config_default_scene,
     .fallback_note = "of `scene`: the model that comes with vigil; else must be given",
     .meaning = "The ONNX file."},
    {"task", CONFIG_TEXT, .meaning = "`classify-window` or `classify-frame`."},
    {"layout", CONFIG_TEXT, .meaning = "`NTCHW`, `NTHWC`, `NCHW` or `NHWC`."},
    {"window", CONFIG_TEXT, .meaning = "Frames in one window."},
    {"size", CONFIG_TEXT, .meaning = "`WIDTHxHEIGHT` of the input."},
    {"labels", CONFIG_TEXT, .meaning = "One name per score, `,` between."},
    {"pixels", CONFIG_TEXT, .meaning = "`RGB`, `BGR` or `GRAY`."},
    {"mean", CONFIG_TEXT, .meaning = "Subtracted from each channel: one number or one each."},
    {"scale", CONFIG_TEXT, .meaning = "Then multiplied with: one number or one each."},
    {"resize", CONFIG_TEXT, .meaning = "`stretch`, `letterbox` or `crop`."},
    {"fps", CONFIG_TEXT, .meaning = "Frames a second the model wants; 0: every frame."},
    {"stride", CONFIG_TEXT, .meaning = "Frames from one window to the next."},
    {"precision", CONFIG_TEXT, .check = check_precision,
     .meaning = "How large dense weights are stored: `fp32`, `fast` or `int8`."},
    {"threads", CONFIG_INTEGER, .min = 1, .max = MODEL_THREADS_MAX,
     .meaning =
         "Threads that one run of the model is split over, at most one for each processor; "
         "1 if it is not said."},
    {"head", CONFIG_TEXT, .meaning = "`scores`, `softmax` or `sigmoid`."},
    {"enter", CONFIG_TEXT, .meaning = "Score that starts an event; may differ by label."},
    {"exit", CONFIG_TEXT, .meaning = "Score that keeps it going; may differ by label."},
    {"min_duration_ms", CONFIG_TEXT,
     .meaning = "How long before it is announced; may differ by label."},
    {"cooldown_ms", CONFIG_TEXT,
     .meaning = "Longest gap inside one event; may differ by label."},
    {"kind", CONFIG_TEXT, .meaning = "Kind of the events; may differ by label."},
    {"background", CONFIG_TEXT, .meaning = "Labels that never make an event."},
    {NULL},
};

static const struct config_key stream_keys[] = {
    {"uri", CONFIG_TEXT, .offset = OF_STREAM(uri), .fallback_note = "must be given",
     .meaning = "`rtsp://`, `rtsps://`, `file:///absolute/path` or `scene://NAME`."},
    {"user", CONFIG_TEXT, .offset = OF_STREAM(user), .secret = true,
     .meaning = "The camera's user, unless the address has it."},
    {"password", CONFIG_TEXT, .offset = OF_STREAM(password), .secret = true,
     .meaning = "The camera's password, unless the address has it."},
    {"model", CONFIG_NAME, .offset = OF_STREAM(model), .fallback = "scene",
     .meaning = "Name of the model that looks at it."},
    {"enabled", CONFIG_BOOLEAN, .offset = OF_STREAM(enabled), .fallback = "true",
     .meaning = "Whether it runs."},
    {"loop", CONFIG_BOOLEAN, .offset = OF_STREAM(loop), .fallback = "false",
     .meaning = "Whether a file or scene starts again at its end."},
    {"retention_days", CONFIG_INTEGER, .min = 0, .max = 36500,
     .offset = OF_STREAM(retention_days), .fallback_note = "that of `[store]`",
     .meaning =
         "Days after its end at which a detection of this stream is removed; 0 keeps all."},
    {"retention_mb", CONFIG_INTEGER, .min = 0, .max = MEGABYTES_MAX,
     .offset = OF_STREAM(retention_mb), .fallback = "0",
     .meaning =
         "Megabytes (of 1048576 bytes) the JSON texts of this stream's records may have "
         "together; beyond, its detections that ended first are removed. 0: any number."},
    {NULL},
};

const struct config_section config_sections[] = {
    {"server", false, "The API and what concerns all of vigild.", server_keys},
    {"store", false, "Where detections are kept, and how long.", store_keys},
    {"worker", false, "The processes that look at streams.", worker_keys},
    {"jobs", false,
     "Trainings and evaluations that the API starts. They run at idle priority, and only when "
     "both folders are "
     "named.",
     job_keys},
    {"model", true,
     "A model that streams may name. `scene` is built in; a section of that name changes it. "
     "Keys but `path` replace the `vigil.` metadata of the file (docs/models.md) and win over "
     "`MODEL.onnx.modelinfo`; what is left out stays the model's own.",
     model_keys},
    {"stream", true,
     "A stream. The same keys are the members of a stream's JSON in the API, where a section "
     "of that name wins over what the API was told.",
     stream_keys},
    {NULL},
};

/* One set of keys is looked through with arrays of this size, and a model has each key once. */
G_STATIC_ASSERT(G_N_ELEMENTS(model_keys) <= CONFIG_KEYS_MAX);
G_STATIC_ASSERT(G_N_ELEMENTS(stream_keys) <= CONFIG_KEYS_MAX);
G_STATIC_ASSERT(G_N_ELEMENTS(model_keys) - 2 <= MESSAGE_OVERRIDES_MAX);

const struct config_section *config_section_find(const char *name)
{
    const struct config_section *section = config_sections;
    while (section->name && strcmp(section->name, name) != 0)
        section++;
    return section->name ? section : NULL;
}

const struct config_key *config_key_find(const struct config_section *section, const char *name)
{
    const struct config_key *key = section->keys;
    while (key->name && strcmp(key->name, name) != 0)
        key++;
    return key->name ? key : NULL;
}

int config_key_unknown(const struct config_section *section, const char *name, const char *noun,
                       const char *where, struct config_error *err)
{
    const char *names[CONFIG_KEYS_MAX] = {NULL};
    for (size_t i = 0; section->keys[i].name; i++)
        names[i] = section->keys[i].name;
    const char *nearest = text_nearest(name, names);
    g_autofree char *all = g_strjoinv(", ", (char **)names);
    snprintf(err->text, sizeof err->text, "unknown %s \"%.60s\"%s; %s%s", noun, name, where,
             nearest ? "did you mean " : "known: ", nearest ? nearest : all);
    g_strlcpy(err->key, name, sizeof err->key);
    return -EINVAL;
}
