#include "nn/train/augment.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Blurs reach so many deviations. */
#define BLUR_REACH 3
#define BLUR_MAX   16.0

struct sample {
    int64_t frames, channels, height, width;
    float *values, *scratch;
};

/* What an operation changes. */
enum {
    PICTURES = 1,
    WINDOWS = 2,
    SOUNDS = 4,
    SEEN = PICTURES | WINDOWS,
    TIMED = WINDOWS | SOUNDS
};

static const struct limit {
    const char *name;
    size_t place;
    double most;
    unsigned of;
} limits[] = {
    {"flip", offsetof(struct train_augment, flip), 1, SEEN},
    {"flip_vertical", offsetof(struct train_augment, flip_vertical), 1, SEEN},
    {"shift", offsetof(struct train_augment, shift), 0.5, SEEN},
    {"scale", offsetof(struct train_augment, scale), 3, SEEN},
    {"rotation", offsetof(struct train_augment, rotation), 180, SEEN},
    {"brightness", offsetof(struct train_augment, brightness), 1, SEEN},
    {"contrast", offsetof(struct train_augment, contrast), 1, SEEN},
    {"saturation", offsetof(struct train_augment, saturation), 1, SEEN},
    {"noise", offsetof(struct train_augment, noise), 255, SEEN | SOUNDS},
    {"blur", offsetof(struct train_augment, blur), BLUR_MAX, SEEN},
    {"occlusion", offsetof(struct train_augment, occlusion), 1, SEEN},
    {"reverse", offsetof(struct train_augment, reverse), 1, WINDOWS},
    {"time_shift", offsetof(struct train_augment, time_shift), 1000, TIMED},
    {"time_stretch", offsetof(struct train_augment, time_stretch), 3, TIMED},
    {"drop", offsetof(struct train_augment, drop), 1, WINDOWS},
    {"gain", offsetof(struct train_augment, gain), 60, SOUNDS},
};
enum { LIMITS = sizeof limits / sizeof *limits };

static double value_of(const struct train_augment *a, const struct limit *limit)
{
    return *(const double *)((const char *)a + limit->place);
}

static unsigned kind_of(const struct nn_shape *shape)
{
    return shape->rank == 4                         ? WINDOWS
           : shape->rank == 3                       ? PICTURES
           : shape->rank == 2 && shape->dim[1] == 1 ? SOUNDS
                                                    : 0;
}

static const char *kinds_text(unsigned kinds)
{
    return kinds == SEEN      ? "pictures"
           : kinds == WINDOWS ? "windows of pictures"
           : kinds == SOUNDS  ? "sounds"
           : kinds == TIMED   ? "windows of pictures and sounds"
                              : "pictures and sounds";
}

int train_augment_check(const struct train_augment *a, const struct nn_shape *shape,
                        struct nn_error *err)
{
    for (size_t i = 0; i < LIMITS; i++) {
        double value = value_of(a, &limits[i]);
        if (!(value >= 0 && value <= limits[i].most))
            return nn_error_set(err, -EINVAL, "%s should be a number from 0 to %g",
                                limits[i].name, limits[i].most);
        if (value > 0 && !(limits[i].of & kind_of(shape)))
            return nn_error_set(err, -EINVAL, "%s is for %s, which these samples are not",
                                limits[i].name, kinds_text(limits[i].of));
    }
    return 0;
}

bool train_augment_is_on(const struct train_augment *a)
{
    for (size_t i = 0; i < LIMITS; i++)
        if (value_of(a, &limits[i]) > 0)
            return true;
    return false;
}

/* -1 to 1. */
static double either_way(struct train_random *random)
{
    return 2 * train_random_uniform(random) - 1;
}

static bool by_chance(struct train_random *random, double chance)
{
    return train_random_uniform(random) < chance;
}

/* --- Frames -------------------------------------------------------------------------------- */

static void change_frames(const struct train_augment *a, struct train_random *random,
                          const struct sample *s)
{
    double stretch = exp(either_way(random) * log1p(a->time_stretch));
    double shift = either_way(random) * a->time_shift;
    bool reverse = by_chance(random, a->reverse);
    size_t frame = (size_t)(s->channels * s->height * s->width);
    double middle = (double)(s->frames - 1) / 2;
    int64_t before = 0;
    memcpy(s->scratch, s->values, (size_t)s->frames * frame * sizeof *s->values);
    for (int64_t t = 0; t < s->frames; t++) {
        double at = middle + ((double)t - middle) * stretch + shift;
        int64_t from = llround(at);
        from = from < 0 ? 0 : from >= s->frames ? s->frames - 1 : from;
        if (by_chance(random, a->drop) && t > 0)
            from = before;
        before = from;
        memcpy(s->values + (size_t)(reverse ? s->frames - 1 - t : t) * frame,
               s->scratch + (size_t)from * frame, frame * sizeof *s->values);
    }
}

/* --- Geometry ------------------------------------------------------------------------------ */

/* Where in the source an output pixel (r, c) is: row = a·r + b·c + e, column = d·r + f·c + g. */
struct place {
    double row_by_row, row_by_column, row;
    double column_by_row, column_by_column, column;
};

static struct place draw_place(const struct train_augment *a, struct train_random *random,
                               const struct sample *s)
{
    double angle = either_way(random) * a->rotation * (M_PI / 180);
    double scale = exp(either_way(random) * log1p(a->scale));
    double across = by_chance(random, a->flip) ? -1 : 1;
    double down = by_chance(random, a->flip_vertical) ? -1 : 1;
    double middle_row = (double)(s->height - 1) / 2, middle_column = (double)(s->width - 1) / 2;
    double shift_row = either_way(random) * a->shift * (double)s->height;
    double shift_column = either_way(random) * a->shift * (double)s->width;
    struct place p = {.row_by_row = cos(angle) / scale * down,
                      .row_by_column = sin(angle) / scale * across,
                      .column_by_row = -sin(angle) / scale * down,
                      .column_by_column = cos(angle) / scale * across};
    p.row =
        middle_row + shift_row - p.row_by_row * middle_row - p.row_by_column * middle_column;
    p.column = middle_column + shift_column - p.column_by_row * middle_row -
               p.column_by_column * middle_column;
    return p;
}

static double within(double at, int64_t size)
{
    double last = (double)(size - 1);
    return at < 0 ? 0 : at > last ? last : at;
}

/* Bilinear; beyond the edge is the edge. */
static void resample(const struct place *p, const struct sample *s)
{
    int64_t planes = s->frames * s->channels, plane = s->height * s->width;
    memcpy(s->scratch, s->values, (size_t)(planes * plane) * sizeof *s->values);
    for (int64_t r = 0; r < s->height; r++)
        for (int64_t c = 0; c < s->width; c++) {
            double row = within(
                p->row_by_row * (double)r + p->row_by_column * (double)c + p->row, s->height);
            double column = within(p->column_by_row * (double)r +
                                       p->column_by_column * (double)c + p->column,
                                   s->width);
            int64_t y = (int64_t)row, x = (int64_t)column;
            int64_t below = y + 1 < s->height ? s->width : 0, right = x + 1 < s->width;
            float v = (float)(row - (double)y), u = (float)(column - (double)x);
            const float *from = s->scratch + y * s->width + x;
            float *to = s->values + r * s->width + c;
            for (int64_t i = 0; i < planes; i++, from += plane, to += plane) {
                float upper = from[0] + u * (from[right] - from[0]);
                float lower = from[below] + u * (from[below + right] - from[below]);
                *to = upper + v * (lower - upper);
            }
        }
}

/* --- Light --------------------------------------------------------------------------------- */

static void change_light(const struct train_augment *a, struct train_random *random,
                         const struct sample *s)
{
    float saturation = (float)(1 + either_way(random) * a->saturation);
    float contrast = (float)(1 + either_way(random) * a->contrast);
    float brightness = (float)(255 * either_way(random) * a->brightness);
    int64_t plane = s->height * s->width, all = s->frames * s->channels * plane;
    for (int64_t t = 0; t < s->frames && s->channels == 3 && a->saturation > 0; t++) {
        float *red = s->values + t * 3 * plane, *green = red + plane, *blue = green + plane;
        for (int64_t i = 0; i < plane; i++) {
            /* Rec. ITU-R BT.601. */
            float grey = 0.299f * red[i] + 0.587f * green[i] + 0.114f * blue[i];
            red[i] = grey + saturation * (red[i] - grey);
            green[i] = grey + saturation * (green[i] - grey);
            blue[i] = grey + saturation * (blue[i] - grey);
        }
    }
    double sum = 0;
    for (int64_t i = 0; i < all; i++)
        sum += (double)s->values[i];
    float mean = (float)(sum / (double)all);
    for (int64_t i = 0; i < all; i++)
        s->values[i] = mean + contrast * (s->values[i] - mean) + brightness;
}

/* --- Blur, occlusion, noise ---------------------------------------------------------------- */

/* `count` numbers, `step` apart, to scratch and back, smoothed; beyond the ends are the ends. */
static void smooth(float *values, float *scratch, int64_t count, int64_t step,
                   const float *weights, int64_t reach)
{
    for (int64_t i = 0; i < count; i++)
        scratch[i] = values[i * step];
    for (int64_t i = 0; i < count; i++) {
        float sum = 0;
        for (int64_t j = -reach; j <= reach; j++) {
            int64_t at = i + j;
            sum += weights[j < 0 ? -j : j] * scratch[at < 0 ? 0 : at >= count ? count - 1 : at];
        }
        values[i * step] = sum;
    }
}

static void blur(double deviation, const struct sample *s)
{
    float weights[BLUR_REACH * (int)BLUR_MAX + 1];
    int64_t reach = (int64_t)ceil(BLUR_REACH * deviation), plane = s->height * s->width;
    double sum = 0;
    for (int64_t i = 0; i <= reach; i++)
        sum += exp(-(double)(i * i) / (2 * deviation * deviation)) * (i > 0 ? 2 : 1);
    for (int64_t i = 0; i <= reach; i++)
        weights[i] = (float)(exp(-(double)(i * i) / (2 * deviation * deviation)) / sum);
    for (int64_t p = 0; p < s->frames * s->channels; p++) {
        float *x = s->values + p * plane;
        for (int64_t r = 0; r < s->height; r++)
            smooth(x + r * s->width, s->scratch, s->width, 1, weights, reach);
        for (int64_t c = 0; c < s->width; c++)
            smooth(x + c, s->scratch, s->height, s->width, weights, reach);
    }
}

static void occlude(double share, struct train_random *random, const struct sample *s)
{
    double height = train_random_uniform(random) * share * (double)s->height;
    double width = train_random_uniform(random) * share * (double)s->width;
    int64_t top = (int64_t)(train_random_uniform(random) * ((double)s->height - height));
    int64_t left = (int64_t)(train_random_uniform(random) * ((double)s->width - width));
    int64_t bottom = top + (int64_t)height, right = left + (int64_t)width;
    float grey = 255 * train_random_uniform_float(random);
    for (int64_t p = 0; p < s->frames * s->channels; p++)
        for (int64_t r = top; r < bottom; r++)
            for (int64_t c = left; c < right; c++)
                s->values[(p * s->height + r) * s->width + c] = grey;
}

static void add_noise(double deviation, struct train_random *random, const struct sample *s)
{
    int64_t all = s->frames * s->channels * s->height * s->width;
    train_random_normals(random, deviation, s->scratch, (size_t)all);
    for (int64_t i = 0; i < all; i++)
        s->values[i] += s->scratch[i];
}

/* --- Sounds -------------------------------------------------------------------------------- */

/* Faster or slower, and so higher or lower; silence comes in at the ends. */
static void change_sound(const struct train_augment *a, struct train_random *random,
                         int64_t length, float *values, float *scratch)
{
    double speed = exp(either_way(random) * log1p(a->time_stretch));
    double shift = either_way(random) * a->time_shift;
    float gain = (float)pow(10, either_way(random) * a->gain / 20);
    memcpy(scratch, values, (size_t)length * sizeof *values);
    for (int64_t t = 0; t < length; t++) {
        double at = (double)t * speed - shift;
        bool inside = at >= 0 && at <= (double)(length - 1);
        int64_t from = inside ? (int64_t)at : 0, next = from + 1 < length ? from + 1 : from;
        float value =
            scratch[from] + (float)(at - (double)from) * (scratch[next] - scratch[from]);
        values[t] = inside ? gain * value : 0;
    }
    if (a->noise <= 0)
        return;
    double squares = 0;
    for (int64_t t = 0; t < length; t++)
        squares += (double)values[t] * (double)values[t];
    double deviation = a->noise * train_random_uniform(random) * sqrt(squares / (double)length);
    train_random_normals(random, deviation, scratch, (size_t)length);
    for (int64_t t = 0; t < length; t++)
        values[t] += scratch[t];
}

void train_augment_apply(const struct train_augment *a, struct train_random *random,
                         const struct nn_shape *shape, float *values, float *scratch)
{
    if (kind_of(shape) == SOUNDS) {
        change_sound(a, random, shape->dim[0], values, scratch);
        return;
    }
    struct sample s = {.frames = shape->rank == 4 ? shape->dim[0] : 1,
                       .channels = shape->dim[shape->rank - 3],
                       .height = shape->dim[shape->rank - 2],
                       .width = shape->dim[shape->rank - 1],
                       .values = values,
                       .scratch = scratch};
    if (a->reverse > 0 || a->time_shift > 0 || a->time_stretch > 0 || a->drop > 0)
        change_frames(a, random, &s);
    if (a->flip > 0 || a->flip_vertical > 0 || a->shift > 0 || a->scale > 0 ||
        a->rotation > 0) {
        struct place place = draw_place(a, random, &s);
        resample(&place, &s);
    }
    bool light = a->brightness > 0 || a->contrast > 0 || a->saturation > 0;
    if (light)
        change_light(a, random, &s);
    double deviation = a->blur * train_random_uniform(random);
    if (deviation > 0.2) /* less changes nothing that could be seen */
        blur(deviation, &s);
    if (a->occlusion > 0)
        occlude(a->occlusion, random, &s);
    if (a->noise > 0)
        add_noise(a->noise * train_random_uniform(random), random, &s);
    bool clips = light || a->noise > 0;
    for (int64_t i = 0; clips && i < s.frames * s.channels * s.height * s.width; i++)
        values[i] = values[i] < 0 ? 0 : values[i] > 255 ? 255 : values[i];
}
