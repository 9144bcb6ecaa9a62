/* What happens to a finished picture between the world and the recorder: light, weather, the
 * lens and the sensor. Each works in place and gives the same bytes on every machine.
 *
 * Thread: one canvas belongs to one thread at a time. */
#ifndef PIPELINE_SCENEEFFECT_H
#define PIPELINE_SCENEEFFECT_H

#include "pipeline/scene/scenecanvas.h"

/* Multiplies the brightness. */
void scene_effect_light(struct scene_canvas *canvas, float gain);

/* `strength` 0..1 drops or flakes at `time` seconds; `look` gives wind and where they fall. */
void scene_effect_rain(struct scene_canvas *canvas, uint64_t look, float time, float strength);
void scene_effect_snow(struct scene_canvas *canvas, uint64_t look, float time, float strength);

/* An insect on the lens, `time` seconds after it came. */
void scene_effect_insect(struct scene_canvas *canvas, uint64_t look, float time);

/* Something dark (or a pale cloth) before the lens: `progress` 0 none .. 1 all of the picture,
 * coming in from a side that `look` chooses. */
void scene_effect_cover(struct scene_canvas *canvas, uint64_t look, float progress);

/* What a blur needs to hold while it works. */
struct scene_blur {
    uint8_t *copy;
    uint32_t *sums;
};

int scene_blur_init(struct scene_blur *blur,
                    const struct scene_canvas *canvas); /* 0, -ENOMEM */
void scene_blur_finish(struct scene_blur *blur);
/* Two box filters of `radius` luma pixels: nearly what a lens out of focus does. */
void scene_effect_blur(struct scene_canvas *canvas, struct scene_blur *blur, int radius);

/* Sensor noise: a table drawn once, read from a different place for each row and frame. */
struct scene_noise {
    int8_t *table;
};

int scene_noise_init(struct scene_noise *noise, double deviation); /* 0, -ENOMEM */
void scene_noise_finish(struct scene_noise *noise);
/* Changes luma only. `frame` tells one frame's noise from another's. */
void scene_effect_noise(struct scene_canvas *canvas, const struct scene_noise *noise,
                        uint64_t frame);

#endif
