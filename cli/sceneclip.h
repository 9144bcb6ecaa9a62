/* A minute of a rendered camera (pipeline/scene/scene.h) as a network sees it: what a seed
 * decides about it, its frames, and what is true of each.
 *
 * The place, its size, its frame rate, its noise, which part of it is in the picture (so that far
 * figures become near ones) and the encoder that its pictures go through all follow from the
 * seed. Pictures are rendered here, pressed by vigil-encode (pipeline/encode.c), and met again
 * as those of any clip: by a sandboxed worker (cli/clipreader.h). What comes out is kept in the
 * cache of clips (cli/clipcache.h).
 *
 * Thread: single-threaded. */
#ifndef CLI_SCENECLIP_H
#define CLI_SCENECLIP_H

#include "cli/clipreader.h"
#include "cli/scenelabel.h"
#include "pipeline/scene/scene.h"

#define SCENECLIP_SECONDS 60

/* What a seed decides. */
struct sceneclip_plan {
    struct scene_params params;
    int x, y, width, height; /* of the part that is seen, pixels: even, the width of eights */
    /* Of x264: a constant rate factor, or, where that is 0, kilobits a second. */
    int quality, kbits;
    int preset, key_interval, b_frames;
};

/* The parts that are seen are never smaller than the network's picture: enlarged they would
 * look as a lens out of focus does. */
void sceneclip_plan(uint64_t seed, int least_width, int least_height,
                    struct sceneclip_plan *ret_plan);

/* Which of a camera's frames a network at `fps` (0: every one) sees, as pipeline/sampler.h takes
 * them: the first at or after each of its times. Returns how many, of `all` at most. */
int sceneclip_sample(int all, int camera_fps, double fps, int *ret_frames);

/* Frames with their truth, one behind the other. */
struct sceneclip {
    GBytes *bytes;
    int count;
    size_t pixels; /* numbers of a frame */
};

/* CLI_OK, or an exit code of cli.h with a line said on stderr. */
int sceneclip_open(struct clipreader *reader, uint64_t seed, struct sceneclip *ret_clip);
void sceneclip_close(struct sceneclip *clip); /* a zeroed clip is fine */

/* A frame's numbers, in levels x 256: a still picture and one with the faintest noise differ in
 * less than a level once they are small. */
const uint16_t *sceneclip_frame(const struct sceneclip *clip, int at);
/* As scenelabel_frame. */
uint32_t sceneclip_bits(const struct sceneclip *clip, int at);

#endif
