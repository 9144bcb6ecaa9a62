#include "cli/scenelabel.h"

#include <math.h>

/* Visible area of all that moves, as a part of the picture: less is unclear. At 128 by 72 pixels
 * it is 28 of them. */
#define AREA_CLEAR 0.003

/* Labels in the order in which one hides the others, and in how many eighths of a window each
 * must be to be its name; in fewer it only begins or ends there. */
static const struct {
    enum scene_label label;
    int eighths;
} ranks[] = {
    {SCENE_LABEL_COVERED, 6},  {SCENE_LABEL_DEFOCUSED, 6}, {SCENE_LABEL_MOVED, 3},
    {SCENE_LABEL_MOVEMENT, 4}, {SCENE_LABEL_WEATHER, 5},   {SCENE_LABEL_LIGHTING, 3},
};
enum { RANKS = sizeof ranks / sizeof *ranks };

/* How long two stretches overlap. */
static double overlap(double a, double a_size, double b, double b_size)
{
    double from = fmax(a, b), to = fmin(a + a_size, b + b_size);
    return to > from ? to - from : 0;
}

unsigned scenelabel_frame(const struct scene_truth *truth, const struct scenelabel_view *view)
{
    unsigned bits = truth->labels & ~(1u << SCENE_LABEL_MOVEMENT) & ~(1u << SCENE_LABEL_QUIET);
    double area = 0;
    for (size_t i = 0; i < truth->object_count; i++) {
        const struct scene_object *o = &truth->objects[i];
        if (o->moving)
            area += overlap((double)o->x, (double)o->w, view->x, view->width) *
                    overlap((double)o->y, (double)o->h, view->y, view->height);
    }
    area /= view->width * view->height;
    if (area >= AREA_CLEAR)
        bits |= 1u << SCENE_LABEL_MOVEMENT;
    else if (area > 0)
        bits |= SCENELABEL_UNCLEAR;
    if (truth->insect)
        bits |= SCENELABEL_INSECT;
    return bits ? bits : 1u << SCENE_LABEL_QUIET;
}

int scenelabel_window(const uint32_t *bits, int count, bool still)
{
    int frames[SCENE_LABELS] = {0};
    for (int i = 0; i < count; i++) {
        if (bits[i] & (SCENELABEL_INSECT | SCENELABEL_UNCLEAR))
            return -1;
        for (int label = 0; label < SCENE_LABELS; label++)
            frames[label] += (bits[i] >> label) & 1;
    }
    if (still)
        return frames[SCENE_LABEL_COVERED] || frames[SCENE_LABEL_DEFOCUSED]
                   ? -1
                   : SCENE_LABEL_FROZEN;
    /* A freeze begins or ends here, or an encoder makes the copies differ. */
    if (frames[SCENE_LABEL_FROZEN])
        return -1;
    for (int i = 0; i < RANKS; i++) {
        int in = frames[ranks[i].label];
        if (in > 0)
            return 8 * in >= ranks[i].eighths * count ? (int)ranks[i].label : -1;
    }
    return SCENE_LABEL_QUIET;
}
