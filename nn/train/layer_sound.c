/* Sound as what is heard: how much of each band of frequencies there is, frame by frame. */
#include <errno.h>
#include <math.h>

#include "nn/train/layer_build.h"

/* -60 dB of a tone of full scale, about. */
#define POWER_FLOOR 1e-6

/* Of samples: silence stays silence. */
#define SQUARE_FLOOR 1e-10f

#define TURN 6.283185307179586476925287

struct bands {
    int64_t count, rate, window, hop, frames, bins;
};

/* O'Shaughnessy's, as HTK has it. */
static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

static double hertz_of(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

static int settle(struct train_build *b, const struct train_layer *layer,
                  struct bands *ret_bands)
{
    char text[64];
    if (b->shape.rank != 2 || b->shape.dim[1] != 1)
        return train_refuse(b, "it reads sound, SAMPLESx1, not %s",
                            train_shape_text(&b->shape, text, sizeof text));
    struct bands s = {.count = layer->units, .rate = layer->width};
    s.window = layer->size[0] ? layer->size[0] : s.rate / 40;
    s.hop = layer->stride[0] ? layer->stride[0] : s.rate / 100;
    if (s.window < 2 || s.window > TRAIN_LAYERS_WINDOW_MAX || s.hop < 1)
        return train_refuse(b,
                            "windows of %lld samples, %lld apart: say window, 2 to %d, and "
                            "stride",
                            (long long)s.window, (long long)s.hop, TRAIN_LAYERS_WINDOW_MAX);
    if (s.window > b->shape.dim[0])
        return train_refuse(b, "its windows are of %lld samples, its input of %lld",
                            (long long)s.window, (long long)b->shape.dim[0]);
    s.frames = (b->shape.dim[0] - s.window) / s.hop + 1;
    s.bins = s.window / 2 + 1;
    if (s.count > s.bins)
        return train_refuse(b, "%lld bands of %lld frequencies: take fewer, or a longer window",
                            (long long)s.count, (long long)s.bins);
    *ret_bands = s;
    return 0;
}

/* (2·bins, 1, window): the cosines, then the sines, of each frequency under a window of Hann, scaled
 * so that the power of a tone of full scale is 1. */
static const char *waves(struct train_build *b, const struct bands *s)
{
    float *kernel = nn_pool_array(b->pool, (size_t)(2 * s->bins * s->window), sizeof *kernel);
    if (!kernel)
        return NULL;
    for (int64_t k = 0; k < s->bins; k++)
        for (int64_t t = 0; t < s->window; t++) {
            double hann = 0.5 - 0.5 * cos(TURN * (double)t / (double)s->window);
            /* The turns that are whole do not matter, and would cost digits. */
            double angle = TURN * (double)(k * t % s->window) / (double)s->window;
            double scale = hann * 4 / (double)s->window;
            kernel[k * s->window + t] = (float)(scale * cos(angle));
            kernel[(s->bins + k) * s->window + t] = (float)(scale * sin(angle));
        }
    return train_floats(b, kernel, TRAIN_SHAPE(2 * s->bins, 1, s->window));
}

/* How much of a frequency belongs to the band whose edges are these: a triangle of height 1. */
static double share_of(double hertz, double low, double peak, double high)
{
    double rising = (hertz - low) / (peak - low), falling = (high - hertz) / (high - peak);
    double share = rising < falling ? rising : falling;
    return share > 0 ? share : 0;
}

/* (2·bins, bands): the squares of cosine and sine have the same share, and so are added. NULL in
 * *ret_name without memory. */
static int shares(struct train_build *b, const struct bands *s, const char **ret_name)
{
    float *matrix = nn_pool_array(b->pool, (size_t)(2 * s->bins * s->count), sizeof *matrix);
    const double step = mel_of((double)s->rate / 2) / (double)(s->count + 1);
    *ret_name = NULL;
    for (int64_t band = 0; matrix && band < s->count; band++) {
        const double low = hertz_of(step * (double)band),
                     peak = hertz_of(step * (double)(band + 1)),
                     high = hertz_of(step * (double)(band + 2));
        double whole = 0;
        for (int64_t k = 0; k < s->bins; k++) {
            double hertz = (double)k * (double)s->rate / (double)s->window;
            double share = share_of(hertz, low, peak, high);
            matrix[k * s->count + band] = (float)share;
            matrix[(s->bins + k) * s->count + band] = (float)share;
            whole += share;
        }
        if (whole <= 0)
            return train_refuse(b,
                                "band %lld, %.0f to %.0f Hz, lies between the frequencies that "
                                "a window of %lld tells apart: take fewer bands, or a longer "
                                "window",
                                (long long)band + 1, low, high, (long long)s->window);
    }
    if (matrix)
        *ret_name = train_floats(b, matrix, TRAIN_SHAPE(2 * s->bins, s->count));
    return 0;
}

/* As loud as any other: divided by the root of its mean square. (n, 1, samples) */
static void level(struct train_build *b)
{
    const char *x = b->value, *least = train_number(b, SQUARE_FLOOR);
    TRAIN_EMIT(b, "Mul", x, x);
    TRAIN_EMIT(b, "ReduceMean", b->value);
    train_attribute_ints(b, "axes", &(int64_t){2}, 1);
    TRAIN_EMIT(b, "Max", b->value, least);
    TRAIN_EMIT(b, "Sqrt", b->value);
    TRAIN_EMIT(b, "Div", x, b->value);
}

int train_build_log_mel(struct train_build *b, const struct train_layer *layer)
{
    struct bands s;
    const char *bands;
    int r = settle(b, layer, &s);
    if (r < 0)
        return r;
    train_lay_channels_first(b);
    if (layer->relative)
        level(b);
    const char *x = b->value, *kernel = waves(b, &s);
    TRAIN_EMIT(b, "Conv", x, kernel);
    train_attribute_ints(b, "kernel_shape", &s.window, 1);
    train_attribute_ints(b, "strides", &s.hop, 1);
    const char *spectrum = b->value;
    TRAIN_EMIT(b, "Mul", spectrum, spectrum);
    train_transpose(b, (int64_t[]){0, 2, 1}, 3);
    const char *power = b->value;
    r = shares(b, &s, &bands);
    if (r < 0)
        return r;
    TRAIN_EMIT(b, "MatMul", power, bands);
    const char *heard = b->value,
               *least = train_number(b, (float)(layer->floor > 0 ? layer->floor : POWER_FLOOR));
    TRAIN_EMIT(b, "Max", heard, least);
    TRAIN_EMIT(b, "Log", b->value);
    return train_becomes(b, TRAIN_SHAPE(s.frames, s.count), NULL);
}
