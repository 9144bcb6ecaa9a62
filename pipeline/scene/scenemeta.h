/* Ground truth on a buffer: what vigilscenesrc knows of the picture it rendered.
 *
 * Coordinates are parts of the picture, so the meta stays true when the picture is scaled or
 * converted, and it is copied with the buffer. It does not survive an encoder: for clips use
 * vigilscenesrc's truth-location.
 *
 * Thread: as for any GstMeta. */
#ifndef PIPELINE_SCENEMETA_H
#define PIPELINE_SCENEMETA_H

#include <gst/gst.h>

#include "pipeline/scene/scene.h"

struct scene_meta {
    GstMeta meta;
    struct scene_truth truth;
};

GType scene_meta_api_get_type(void); /* "VigilSceneMetaAPI" */
const GstMetaInfo *scene_meta_get_info(void);

/* Copies the truth; the buffer must be writable. NULL when it cannot be added. */
struct scene_meta *scene_meta_add(GstBuffer *buffer, const struct scene_truth *truth);
/* NULL when there is none. Borrowed from the buffer. */
const struct scene_meta *scene_meta_get(GstBuffer *buffer);

/* One line of JSON, ended by a newline; g_free it:
 *     {"frame":7,"pts_ns":466666666,"labels":["movement"],"insect":false,
 *      "objects":[{"id":1,"kind":"person","box":[0.1,0.4,0.05,0.3],"moving":true}]} */
char *scene_meta_to_json(const struct scene_truth *truth, guint64 frame, GstClockTime pts);

#endif
