/* What a model's `vigil.` metadata says: how to feed it and how to read its scores.
 *
 * Each key is taken from the overrides (configuration, sidecar), else from the model's
 * metadata_props, else from the shapes or a default; what was assumed is listed.
 *
 * docs/models.md has the keys, their values and their defaults. In short (* may differ by
 * label):
 *
 *   task layout window size     what the input is
 *   pixels mean scale resize    how a picture becomes input: x = (pixel - mean) x scale
 *   fps stride                  which frames, and how often a window
 *   precision threads           how weights may be stored, how many threads a run is split over
 *   labels head                 what the output is
 *   enter* exit* min_duration_ms* cooldown_ms* kind* background
 *                               when scores are an event (pipeline/events.h)
 *
 * An override that is none of these keys is an error; other metadata of the model is left
 * alone.
 *
 * Strings come from the model and are hostile: bounded, checked, and escaped in messages.
 *
 * Thread: a modelinfo is read-only once made. */
#ifndef PIPELINE_MODELINFO_H
#define PIPELINE_MODELINFO_H

#include <glib.h>

#include "nn/plan.h"
#include "pipeline/modelkeys.h"
#include "record/record.h"

#define MODELINFO_LABELS_MAX 256
#define MODELINFO_WINDOW_MAX 1024
#define MODELINFO_SIDE_MAX   4096 /* pixels of the model's input, each way */

enum modelinfo_task { MODELINFO_CLASSIFY_WINDOW, MODELINFO_CLASSIFY_FRAME };
enum modelinfo_pixels { MODELINFO_RGB, MODELINFO_BGR, MODELINFO_GRAY };
enum modelinfo_resize { MODELINFO_STRETCH, MODELINFO_LETTERBOX, MODELINFO_CROP };
enum modelinfo_head { MODELINFO_SCORES, MODELINFO_SOFTMAX, MODELINFO_SIGMOID };

struct modelinfo_label {
    char name[RECORD_LABEL_SIZE];
    enum record_kind kind;
    bool background;
    double enter, exit; /* 0 < exit <= enter <= 1 */
    int64_t min_duration_ns;
    int64_t cooldown_ns;
};

struct modelinfo {
    enum modelinfo_task task;
    struct nn_shape
        input;        /* concrete: batch 1, window, channels and size in the model's order */
    int time_axis;    /* of input; -1 for classify-frame */
    bool interleaved; /* channels last */
    int window;       /* frames; 1 for classify-frame */
    int channels, width, height;
    enum modelinfo_pixels pixels;
    float mean[3], scale[3]; /* of `channels` */
    enum modelinfo_resize resize;
    double fps; /* 0: every frame */
    int stride;
    enum nn_precision precision;
    int threads;
    enum modelinfo_head head;
    int label_count;
    struct modelinfo_label *labels;
    GStrv assumed; /* "vigil.fps: every frame"; NULL-terminated, may be empty */
};

/* Reads and checks. overrides (char * to char *, may be NULL) is borrowed. Returns 0, -EINVAL
 * or -ENOTSUP (a task or input we lack) with one line naming key and value, -ENOMEM. */
int modelinfo_create(const struct nn_model *model, GHashTable *overrides,
                     struct modelinfo **ret_info, struct nn_error *err);

/* The same for what is fed alone: a model of any task and any outputs will do, and there are no
 * labels. `shape` (NULL: none is given) is of an input whose own is open. */
int modelinfo_create_input(const struct nn_model *model, const struct nn_shape *shape,
                           GHashTable *overrides, struct modelinfo **ret_info,
                           struct nn_error *err);
void modelinfo_destroy(struct modelinfo *info); /* NULL is fine */

/* Plans the model for its input and holds output 0 against the labels: one score per label. */
int modelinfo_plan(const struct modelinfo *info, struct nn_model *model,
                   enum nn_kernel_choice kernels, struct nn_plan **ret_plan,
                   struct nn_error *err);

/* Output 0 to scores as head says; writes label_count of them. */
void modelinfo_scores(const struct modelinfo *info, const struct nn_tensor *output,
                      float *ret_scores);

/* Names of the enumerations, as the keys spell them. */
const char *modelinfo_task_name(enum modelinfo_task task);
const char *modelinfo_pixels_name(enum modelinfo_pixels pixels);
const char *modelinfo_resize_name(enum modelinfo_resize resize);
const char *modelinfo_head_name(enum modelinfo_head head);
/* "NTCHW", "NTHWC", "NCHW" or "NHWC" */
const char *modelinfo_layout_name(const struct modelinfo *info);

#endif
