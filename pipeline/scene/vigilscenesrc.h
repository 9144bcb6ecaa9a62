/* vigilscenesrc: a camera that does not exist (pipeline/scene/scene.h), as a GStreamer source.
 *
 * Each buffer carries a struct scene_meta (pipeline/scene/scenemeta.h) and, for every person
 * and vehicle, a GstVideoRegionOfInterestMeta whose type is "person" or "vehicle", whose id is
 * the object's, with a parameter structure "vigil-scene" { moving = boolean }.
 *
 * Properties, all to be set before READY → PAUSED:
 *     seed            everything follows from it
 *     scene           street | room
 *     movement        people and vehicles come by
 *     nuisances       flags: lighting+weather+insect, all, none
 *     faults          flags: covered+moved+defocused+frozen, all, none
 *     noise           sensor noise, standard deviation in grey levels
 *     is-live         frames come at their time, as from a camera; else as fast as asked for
 *     truth-location  file for one line of JSON per frame (scene_meta_to_json)
 * Size, rate and format by caps: I420, NV12 or RGB. Not live it can seek. num-buffers ends it.
 */
#ifndef PIPELINE_VIGILSCENESRC_H
#define PIPELINE_VIGILSCENESRC_H

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define VIGIL_TYPE_SCENE_SRC (vigil_scene_src_get_type())
G_DECLARE_FINAL_TYPE(VigilSceneSrc, vigil_scene_src, VIGIL, SCENE_SRC, GstPushSrc)

G_END_DECLS

#endif
