/* What a model's `vigil.` metadata says: how to feed it and how to read its scores.
 *
 * Each key is taken from the overrides (configuration, sidecar), else from the model's
 * metadata_props, else from the shapes or a default; what was assumed is listed.
 *
 *   key                    value                                     without it
 *   vigil.task             classify-window | classify-frame          from the input's rank: 5 |
 * 4 vigil.layout           NTCHW | NTHWC (window), NCHW | NHWC       where 1 or 3 channels
 * stand vigil.window           frames                                    from the shape
 *   vigil.size             WIDTHxHEIGHT                              from the shape
 *   vigil.labels           comma list                                class_0, class_1, ...
 *   vigil.pixels           RGB | BGR | GRAY                          RGB; GRAY with one channel
 *   vigil.mean             per channel or one for all, 0..255        0
 *   vigil.scale            per channel or one for all                1/255
 *   vigil.resize           stretch | letterbox | crop                stretch
 *   vigil.fps              frames per second, 0 = every frame        0
 *   vigil.stride           frames from one window to the next        half the window, at least
 * 1 vigil.head             scores | softmax | sigmoid: what is left  scores to do to get scores
 * from output 0 vigil.enter            score that starts an event *              0.6 vigil.exit
 * score that keeps it *                     two thirds of enter vigil.min_duration_ms  before
 * an event is announced *            0 vigil.cooldown_ms      longest gap inside one event *
 * 1000 vigil.kind             activity | object | motion | anomaly |    stream for covered,
 * moved, sound | stream *                          defocused, frozen; else activity
 *   vigil.background       comma list of labels that make no event   quiet, if there is one
 *
 * Values marked * may differ by label: "0.6,covered:0.9" is 0.6 for all but covered.
 * An override that is none of these keys is an error; other metadata of the model is left
 * alone. x = (pixel - mean) x scale.
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
    enum modelinfo_head head;
    int label_count;
    struct modelinfo_label *labels;
    GStrv assumed; /* "vigil.fps: every frame"; NULL-terminated, may be empty */
};

/* Reads and checks. overrides (char * to char *, may be NULL) is borrowed. Returns 0, -EINVAL
 * or -ENOTSUP (a task or input we lack) with one line naming key and value, -ENOMEM. */
int modelinfo_create(const struct nn_model *model, GHashTable *overrides,
                     struct modelinfo **ret_info, struct nn_error *err);
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

#endif
