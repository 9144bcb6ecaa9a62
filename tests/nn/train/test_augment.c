/* Each change of a sample: what it does, how often, and to which frames. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/augment.h"
#include "tests/suite.h"

enum { FRAMES = 5, CHANNELS = 3, HEIGHT = 8, WIDTH = 9 };
enum { PLANE = HEIGHT * WIDTH, FRAME = CHANNELS * PLANE, ALL = FRAMES * FRAME };

static const struct nn_shape window = {4, {FRAMES, CHANNELS, HEIGHT, WIDTH}};
static const struct nn_shape picture = {3, {CHANNELS, HEIGHT, WIDTH}};

/* Whole levels, each pixel and frame another. */
static void fill(float *values)
{
    for (int i = 0; i < ALL; i++)
        values[i] = (float)(20 + (i * 37 + i / FRAME * 11) % 200);
}

/* Changes a window that is filled like this, by the draw of one seed. */
static void change(const struct train_augment *a, uint64_t seed, float *values)
{
    float scratch[ALL];
    struct train_random random = train_random_start(seed);
    fill(values);
    train_augment_apply(a, &random, &window, values, scratch);
}

static float at(const float *values, int frame, int channel, int row, int column)
{
    return values[((frame * CHANNELS + channel) * HEIGHT + row) * WIDTH + column];
}

START_TEST(nothing_asked_for_changes_nothing)
{
    const struct train_augment none = {0};
    float values[ALL], before[ALL];
    fill(before);
    ck_assert(!train_augment_is_on(&none));
    change(&none, 1, values);
    ck_assert_mem_eq(values, before, sizeof before);
}
END_TEST

START_TEST(a_flip_mirrors_exactly)
{
    for (int vertical = 0; vertical < 2; vertical++) {
        const struct train_augment a = {.flip = !vertical, .flip_vertical = vertical};
        float values[ALL], before[ALL];
        fill(before);
        change(&a, 1, values);
        for (int f = 0; f < FRAMES; f++)
            for (int c = 0; c < CHANNELS; c++)
                for (int y = 0; y < HEIGHT; y++)
                    for (int x = 0; x < WIDTH; x++)
                        ck_assert_float_eq(at(values, f, c, y, x),
                                           vertical ? at(before, f, c, HEIGHT - 1 - y, x)
                                                    : at(before, f, c, y, WIDTH - 1 - x));
    }
}
END_TEST

/* Of many draws, about as many as the chance says; the rest is left as it is. */
START_TEST(chances_are_what_they_say)
{
    const struct train_augment cases[] = {
        {.flip = 0.3}, {.flip_vertical = 0.3}, {.reverse = 0.3}};
    float values[ALL], before[ALL];
    fill(before);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int changed = 0;
        for (uint64_t seed = 0; seed < 1000; seed++) {
            change(&cases[i], seed, values);
            changed += memcmp(values, before, sizeof before) != 0;
        }
        ck_assert_int_ge(changed, 240); /* four deviations: 58 */
        ck_assert_int_le(changed, 360);
    }
}
END_TEST

/* All but noise: what happens to one frame happens to all. Frames begin alike. */
START_TEST(one_draw_is_for_all_frames)
{
    const struct train_augment a = {.flip = 0.5,
                                    .flip_vertical = 0.5,
                                    .shift = 0.3,
                                    .scale = 0.5,
                                    .rotation = 40,
                                    .brightness = 0.2,
                                    .contrast = 0.3,
                                    .saturation = 0.5,
                                    .blur = 1,
                                    .occlusion = 0.5};
    float values[ALL], scratch[ALL], before[ALL];
    for (uint64_t seed = 0; seed < 50; seed++) {
        fill(before);
        for (int f = 1; f < FRAMES; f++)
            memcpy(before + (ptrdiff_t)f * FRAME, before, FRAME * sizeof *before);
        memcpy(values, before, sizeof values);
        struct train_random random = train_random_start(seed);
        train_augment_apply(&a, &random, &window, values, scratch);
        ck_assert_mem_ne(values, before, FRAME * sizeof *values);
        for (int f = 1; f < FRAMES; f++)
            ck_assert_mem_eq(values + (ptrdiff_t)f * FRAME, values, FRAME * sizeof *values);
    }
}
END_TEST

START_TEST(the_same_seed_gives_the_same_sample)
{
    const struct train_augment a = {.flip = 0.5,
                                    .rotation = 9,
                                    .contrast = 0.2,
                                    .noise = 5,
                                    .blur = 1,
                                    .occlusion = 0.3,
                                    .drop = 0.2,
                                    .time_stretch = 0.3};
    float one[ALL], two[ALL], other[ALL];
    change(&a, 5, one);
    change(&a, 5, two);
    change(&a, 6, other);
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert_mem_ne(one, other, sizeof one);
}
END_TEST

/* The centre of a bright spot moves by up to a share of the sides, either way. */
static void spot(float *values, double row, double column)
{
    for (int i = 0; i < 32 * 32; i++) {
        double y = i / 32 - row, x = i % 32 - column;
        values[i] = (float)(200 * exp(-(x * x + y * y) / 4));
    }
}

/* Where it is, and how far its light reaches. */
static void find_spot(const float *values, double *ret_row, double *ret_column,
                      double *ret_spread)
{
    double sum = 0, row = 0, column = 0, squares = 0;
    for (int i = 0; i < 32 * 32; i++) {
        double y = i / 32, x = i % 32;
        sum += (double)values[i];
        row += y * (double)values[i];
        column += x * (double)values[i];
        squares += (x * x + y * y) * (double)values[i];
    }
    *ret_row = row / sum;
    *ret_column = column / sum;
    *ret_spread = sqrt((squares / sum - *ret_row * *ret_row - *ret_column * *ret_column) / 2);
}

struct range {
    double least, most, sum;
};

static void widen(struct range *r, double value)
{
    r->least = value < r->least ? value : r->least;
    r->most = value > r->most ? value : r->most;
    r->sum += value;
}

static const struct nn_shape board = {3, {1, 32, 32}};
enum { DRAWS = 400 };

static void move_spot(const struct train_augment *a, uint64_t seed, double row, double column,
                      double *ret_row, double *ret_column, double *ret_spread)
{
    float values[32 * 32], scratch[32 * 32];
    struct train_random random = train_random_start(seed);
    spot(values, row, column);
    train_augment_apply(a, &random, &board, values, scratch);
    find_spot(values, ret_row, ret_column, ret_spread);
}

START_TEST(shifts_go_up_to_their_share_either_way)
{
    const struct train_augment a = {.shift = 0.25};
    struct range rows = {100, -100, 0}, columns = {100, -100, 0};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        double row, column, spread;
        move_spot(&a, seed, 15.5, 15.5, &row, &column, &spread);
        widen(&rows, row - 15.5);
        widen(&columns, column - 15.5);
    }
    for (int i = 0; i < 2; i++) {
        const struct range *r = i ? &columns : &rows;
        ck_assert_double_le(r->most, 8.05);
        ck_assert_double_ge(r->most, 7.5);
        ck_assert_double_ge(r->least, -8.05);
        ck_assert_double_le(r->least, -7.5);
        ck_assert_double_le(fabs(r->sum / DRAWS), 0.9); /* four deviations */
    }
}
END_TEST

START_TEST(scales_are_about_the_middle_and_even_in_their_logarithm)
{
    const struct train_augment a = {.scale = 1};
    struct range scales = {100, -100, 0};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        double row, column, spread;
        move_spot(&a, seed, 15.5, 19.5, &row, &column, &spread);
        ck_assert_double_eq_tol(row, 15.5, 0.05);
        widen(&scales, log2((column - 15.5) / 4));
        ck_assert_double_eq_tol(spread / sqrt(2), (column - 15.5) / 4, 0.2);
    }
    ck_assert_double_eq_tol(scales.most, 1, 0.05);
    ck_assert_double_eq_tol(scales.least, -1, 0.05);
    ck_assert_double_le(fabs(scales.sum / DRAWS), 0.12);
}
END_TEST

START_TEST(rotations_keep_the_distance_from_the_middle)
{
    const struct train_augment a = {.rotation = 30};
    struct range angles = {100, -100, 0};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        double row, column, spread;
        move_spot(&a, seed, 15.5, 21.5, &row, &column, &spread);
        ck_assert_double_eq_tol(hypot(row - 15.5, column - 15.5), 6, 0.05);
        widen(&angles, atan2(row - 15.5, column - 15.5) * 180 / M_PI);
    }
    ck_assert_double_eq_tol(angles.most, 30, 1);
    ck_assert_double_eq_tol(angles.least, -30, 1);
    ck_assert_double_le(fabs(angles.sum / DRAWS), 3.5);
}
END_TEST

static double mean_of(const float *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)values[i];
    return sum / count;
}

static double deviation_of(const float *values, int count)
{
    double mean = mean_of(values, count), sum = 0;
    for (int i = 0; i < count; i++)
        sum += ((double)values[i] - mean) * ((double)values[i] - mean);
    return sqrt(sum / count);
}

START_TEST(brightness_is_added_and_contrast_is_about_the_mean)
{
    const struct train_augment bright = {.brightness = 0.05}, contrast = {.contrast = 0.1};
    float values[ALL], before[ALL];
    struct range added = {1000, -1000, 0}, factors = {100, -100, 0};
    fill(before);
    double mean = mean_of(before, ALL), deviation = deviation_of(before, ALL);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        change(&bright, seed, values);
        widen(&added, (double)values[0] - (double)before[0]);
        ck_assert_float_eq_tol(values[ALL - 1] - before[ALL - 1], values[0] - before[0], 1e-3f);
        change(&contrast, seed, values);
        ck_assert_double_eq_tol(mean_of(values, ALL), mean, 1e-3);
        widen(&factors, deviation_of(values, ALL) / deviation);
    }
    ck_assert_double_eq_tol(added.most, 12.75, 0.3);
    ck_assert_double_eq_tol(added.least, -12.75, 0.3);
    ck_assert_double_eq_tol(factors.most, 1.1, 0.002);
    ck_assert_double_eq_tol(factors.least, 0.9, 0.002);
    ck_assert_double_le(fabs(added.sum / DRAWS), 1.5);
}
END_TEST

START_TEST(saturation_leaves_grey_and_moves_colours_about_it)
{
    const struct train_augment a = {.saturation = 0.5};
    const float colour[3] = {120, 100, 90};
    float values[FRAME], scratch[FRAME];
    struct range factors = {100, -100, 0};
    double grey = 0.299 * 120 + 0.587 * 100 + 0.114 * 90;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct train_random random = train_random_start(seed);
        for (int i = 0; i < FRAME; i++)
            values[i] = i % PLANE < PLANE / 2 ? 77 : colour[i / PLANE];
        train_augment_apply(&a, &random, &picture, values, scratch);
        double factor = ((double)values[PLANE - 1] - grey) / (120 - grey);
        widen(&factors, factor);
        for (int c = 0; c < CHANNELS; c++) {
            ck_assert_float_eq_tol(values[c * PLANE], 77, 1e-3f);
            ck_assert_double_eq_tol((double)values[c * PLANE + PLANE - 1],
                                    grey + factor * ((double)colour[c] - grey), 1e-2);
        }
    }
    ck_assert_double_eq_tol(factors.most, 1.5, 0.02);
    ck_assert_double_eq_tol(factors.least, 0.5, 0.02);
}
END_TEST

/* The deviation of noise is itself drawn, evenly from 0 up. */
START_TEST(noise_is_of_each_pixel_and_frame)
{
    const struct train_augment a = {.noise = 10};
    float values[ALL], difference[ALL], before[ALL];
    struct range deviations = {100, -100, 0};
    double means = 0;
    fill(before);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        change(&a, seed, values);
        for (int i = 0; i < ALL; i++)
            difference[i] = values[i] - before[i];
        widen(&deviations, deviation_of(difference, ALL));
        means += mean_of(difference, ALL);
        ck_assert_mem_ne(difference, difference + FRAME, FRAME * sizeof *difference);
    }
    ck_assert_double_le(deviations.most, 10.8);
    ck_assert_double_ge(deviations.most, 9);
    ck_assert_double_le(deviations.least, 0.5);
    ck_assert_double_eq_tol(deviations.sum / DRAWS, 5, 0.6);
    ck_assert_double_le(fabs(means / DRAWS), 0.05);
}
END_TEST

START_TEST(blur_spreads_and_keeps_the_light)
{
    const struct train_augment a = {.blur = 2};
    struct range spreads = {100, -100, 0};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        double row, column, spread;
        move_spot(&a, seed, 15.5, 15.5, &row, &column, &spread);
        ck_assert_double_eq_tol(row, 15.5, 1e-3);
        ck_assert_double_eq_tol(column, 15.5, 1e-3);
        widen(&spreads, sqrt(fmax(spread * spread - 2, 0)));
    }
    ck_assert_double_eq_tol(spreads.most, 2, 0.1);
    ck_assert_double_eq_tol(spreads.sum / DRAWS, 1, 0.15);
    float flat[FRAME], scratch[FRAME];
    struct train_random random = train_random_start(1);
    for (int i = 0; i < FRAME; i++)
        flat[i] = 100;
    train_augment_apply(&a, &random, &picture, flat, scratch);
    for (int i = 0; i < FRAME; i++)
        ck_assert_float_eq_tol(flat[i], 100, 1e-3f);
}
END_TEST

START_TEST(an_occlusion_is_a_rectangle_of_one_grey)
{
    const struct train_augment a = {.occlusion = 0.5};
    float values[ALL], before[ALL];
    struct range heights = {100, -100, 0}, widths = {100, -100, 0};
    fill(before);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        int top = HEIGHT, bottom = -1, left = WIDTH, right = -1, count = 0;
        float grey = NAN;
        change(&a, seed, values);
        for (int i = 0; i < PLANE; i++) {
            int y = i / WIDTH, x = i % WIDTH;
            bool hit = false;
            for (int p = 0; p < FRAMES * CHANNELS; p++)
                hit |= values[p * PLANE + i] != before[p * PLANE + i];
            if (!hit)
                continue;
            top = y < top ? y : top;
            bottom = y > bottom ? y : bottom;
            left = x < left ? x : left;
            right = x > right ? x : right;
            grey = values[i];
            count++;
            for (int p = 0; p < FRAMES * CHANNELS; p++)
                ck_assert_float_eq(values[p * PLANE + i], values[i]);
        }
        widen(&heights, count ? bottom - top + 1 : 0);
        widen(&widths, count ? right - left + 1 : 0);
        ck_assert(count == 0 || count == (bottom - top + 1) * (right - left + 1));
        ck_assert(count == 0 || values[top * WIDTH + left] == grey);
    }
    ck_assert_double_eq(heights.most, 3); /* below half of 8, in whole rows */
    ck_assert_double_eq(widths.most, 4);
    ck_assert_double_eq(heights.least, 0);
}
END_TEST

/* Which of the original frames each one is. */
static void find_frames(const struct train_augment *a, uint64_t seed, int *ret_frames)
{
    float values[ALL], before[ALL];
    fill(before);
    change(a, seed, values);
    for (int f = 0; f < FRAMES; f++) {
        ret_frames[f] = -1;
        for (int g = 0; g < FRAMES; g++)
            if (memcmp(values + (ptrdiff_t)f * FRAME, before + (ptrdiff_t)g * FRAME,
                       FRAME * sizeof *values) == 0)
                ret_frames[f] = g;
        ck_assert_int_ge(ret_frames[f], 0);
    }
}

START_TEST(frames_are_reversed_shifted_stretched_and_dropped)
{
    int frames[FRAMES], dropped = 0;
    struct range shifts = {100, -100, 0};
    bool slower = false, faster = false;
    find_frames(&(struct train_augment){.reverse = 1}, 1, frames);
    for (int f = 0; f < FRAMES; f++)
        ck_assert_int_eq(frames[f], FRAMES - 1 - f);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        find_frames(&(struct train_augment){.time_shift = 2}, seed, frames);
        int shift = frames[2] - 2;
        widen(&shifts, shift);
        for (int f = 0; f < FRAMES; f++) {
            int want = f + shift;
            ck_assert_int_eq(frames[f], want < 0 ? 0 : want >= FRAMES ? FRAMES - 1 : want);
        }
        find_frames(&(struct train_augment){.time_stretch = 1}, seed, frames);
        ck_assert_int_eq(frames[2], 2);
        slower |= frames[0] == 1 && frames[4] == 3;
        faster |= frames[1] == 0 && frames[3] == 4;
        for (int f = 1; f < FRAMES; f++)
            ck_assert_int_ge(frames[f], frames[f - 1]);
        find_frames(&(struct train_augment){.drop = 0.25}, seed, frames);
        ck_assert_int_eq(frames[0], 0);
        for (int f = 1; f < FRAMES; f++) {
            dropped += frames[f] != f;
            ck_assert(frames[f] == f || frames[f] == frames[f - 1]);
        }
    }
    ck_assert_double_eq(shifts.most, 2);
    ck_assert_double_eq(shifts.least, -2);
    ck_assert(slower && faster);
    ck_assert_int_ge(dropped, 330); /* of 1600, four deviations: 70 */
    ck_assert_int_le(dropped, 470);
}
END_TEST

START_TEST(light_and_noise_stay_pixels)
{
    const struct train_augment a = {
        .brightness = 1, .contrast = 1, .saturation = 1, .noise = 255};
    float values[ALL];
    bool low = false, high = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        change(&a, seed, values);
        for (int i = 0; i < ALL; i++) {
            ck_assert(values[i] >= 0 && values[i] <= 255);
            low |= values[i] == 0;
            high |= values[i] == 255;
        }
    }
    ck_assert(low && high);
}
END_TEST

static void expect_refused(struct train_augment a, struct nn_shape shape, const char *text)
{
    struct nn_error err = {{0}};
    ck_assert_int_eq(train_augment_check(&a, &shape, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
}

/* --- sounds ------------------------------------------------------------------------------- */

enum { LENGTH = 2000 };

static const struct nn_shape sound = {2, {LENGTH, 1}};

static void change_sound(const struct train_augment *a, uint64_t seed, float *values)
{
    float scratch[LENGTH];
    struct train_random random = train_random_start(seed);
    ck_assert_int_eq(train_augment_check(a, &sound, NULL), 0);
    train_augment_apply(a, &random, &sound, values, scratch);
}

START_TEST(a_sound_becomes_faster_and_higher_or_slower_and_lower)
{
    const struct train_augment a = {.time_stretch = 0.25};
    struct range pitches = {INFINITY, 0, 0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        float values[LENGTH];
        int first = -1, last = -1, turns = 0;
        for (int t = 0; t < LENGTH; t++)
            values[t] = (float)sin(2 * M_PI * t / 50);
        change_sound(&a, seed, values);
        for (int t = 1; t < LENGTH; t++)
            if (values[t - 1] < 0 && values[t] >= 0) {
                first = first < 0 ? t : first;
                turns += last >= 0;
                last = t;
            }
        widen(&pitches, 50.0 * turns / (last - first));
    }
    ck_assert_double_ge(pitches.least, 0.8 - 0.005);
    ck_assert_double_lt(pitches.least, 0.82);
    ck_assert_double_gt(pitches.most, 1.22);
    ck_assert_double_le(pitches.most, 1.25 + 0.005);
}
END_TEST

START_TEST(a_sound_comes_earlier_or_later_with_silence_at_its_ends)
{
    const struct train_augment a = {.time_shift = 100};
    struct range shifts = {INFINITY, -INFINITY, 0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        float values[LENGTH];
        for (int t = 0; t < LENGTH; t++)
            values[t] = (float)(t + 1);
        change_sound(&a, seed, values);
        double shift = LENGTH / 2 + 1 - (double)values[LENGTH / 2];
        widen(&shifts, shift);
        double worst = 0;
        for (int t = 0; t < LENGTH; t++) {
            double from = t - shift;
            bool silent = from < 0 || from > LENGTH - 1;
            /* At the very end, where the draw's own digits decide, either is right. */
            if (fabs(from) > 0.01 && fabs(from - (LENGTH - 1)) > 0.01)
                worst = fmax(worst, fabs((double)values[t] - (silent ? 0 : from + 1)));
        }
        ck_assert_double_lt(worst, 1e-3);
    }
    ck_assert_double_ge(shifts.least, -100);
    ck_assert_double_lt(shifts.least, -95);
    ck_assert_double_gt(shifts.most, 95);
    ck_assert_double_le(shifts.most, 100);
}
END_TEST

START_TEST(a_sound_becomes_louder_or_softer_all_of_it)
{
    const struct train_augment a = {.gain = 6};
    struct range gains = {INFINITY, -INFINITY, 0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        float values[LENGTH];
        for (int t = 0; t < LENGTH; t++)
            values[t] = (float)cos(t);
        change_sound(&a, seed, values);
        double gain = (double)values[0];
        widen(&gains, 20 * log10(gain));
        double worst = 0;
        for (int t = 0; t < LENGTH; t++)
            worst = fmax(worst, fabs((double)values[t] - gain * cos(t)));
        ck_assert_double_lt(worst, 1e-6);
    }
    ck_assert_double_ge(gains.least, -6 - 1e-4);
    ck_assert_double_lt(gains.least, -5.8);
    ck_assert_double_gt(gains.most, 5.8);
    ck_assert_double_le(gains.most, 6 + 1e-4);
}
END_TEST

START_TEST(noise_of_a_sound_is_a_share_of_how_loud_it_is)
{
    const struct train_augment a = {.noise = 0.5};
    for (int loud = 1; loud <= 100; loud *= 100) {
        struct range shares = {INFINITY, -INFINITY, 0};
        for (uint64_t seed = 0; seed < 300; seed++) {
            float values[LENGTH];
            double squares = 0;
            for (int t = 0; t < LENGTH; t++)
                values[t] = (float)(loud * sqrt(2) * sin(2 * M_PI * t / 50));
            change_sound(&a, seed, values);
            for (int t = 0; t < LENGTH; t++)
                squares += pow((double)values[t] / loud - sqrt(2) * sin(2 * M_PI * t / 50), 2);
            widen(&shares, sqrt(squares / LENGTH));
        }
        ck_assert_double_lt(shares.least, 0.02);
        ck_assert_double_gt(shares.most, 0.46);
        ck_assert_double_lt(shares.most, 0.55);
        ck_assert_double_eq_tol(shares.sum / 300, 0.25, 0.03);
    }
}
END_TEST

START_TEST(what_cannot_be_done_is_refused)
{
    const struct train_augment all = {.flip = 1,
                                      .shift = 0.5,
                                      .scale = 3,
                                      .rotation = 180,
                                      .noise = 255,
                                      .blur = 16,
                                      .reverse = 1,
                                      .time_shift = 1000,
                                      .drop = 1};
    const struct nn_shape line = {1, {9}};
    float values[ALL];
    ck_assert_int_eq(train_augment_check(&all, &window, NULL), 0);
    change(&all, 1, values); /* the largest of all: within its memory */
    ck_assert_int_eq(train_augment_check(&(struct train_augment){0}, &line, NULL), 0);
    expect_refused((struct train_augment){.flip = 1.5}, window, "flip should be a number");
    expect_refused((struct train_augment){.blur = 16.5}, window, "blur should be a number");
    expect_refused((struct train_augment){.noise = NAN}, window, "noise should be a number");
    expect_refused((struct train_augment){.shift = -0.1}, window, "shift should be a number");
    expect_refused((struct train_augment){.flip = 1}, line, "flip is for pictures");
    expect_refused((struct train_augment){.drop = 1}, picture,
                   "drop is for windows of pictures");
    expect_refused((struct train_augment){.drop = 1}, sound, "drop is for windows of pictures");
    expect_refused((struct train_augment){.flip = 1}, sound, "flip is for pictures");
    expect_refused((struct train_augment){.gain = 1}, window, "gain is for sounds");
    expect_refused((struct train_augment){.gain = 61}, sound, "gain should be a number");
    expect_refused((struct train_augment){.time_stretch = 1}, picture,
                   "time_stretch is for windows of pictures and sounds");
    expect_refused((struct train_augment){.time_stretch = 1}, (struct nn_shape){2, {9, 2}},
                   "time_stretch is for windows of pictures and sounds");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("augment");
    tcase_add_test(all, nothing_asked_for_changes_nothing);
    tcase_add_test(all, a_sound_becomes_faster_and_higher_or_slower_and_lower);
    tcase_add_test(all, a_sound_comes_earlier_or_later_with_silence_at_its_ends);
    tcase_add_test(all, a_sound_becomes_louder_or_softer_all_of_it);
    tcase_add_test(all, noise_of_a_sound_is_a_share_of_how_loud_it_is);
    tcase_add_test(all, a_flip_mirrors_exactly);
    tcase_add_test(all, chances_are_what_they_say);
    tcase_add_test(all, one_draw_is_for_all_frames);
    tcase_add_test(all, the_same_seed_gives_the_same_sample);
    tcase_add_test(all, shifts_go_up_to_their_share_either_way);
    tcase_add_test(all, scales_are_about_the_middle_and_even_in_their_logarithm);
    tcase_add_test(all, rotations_keep_the_distance_from_the_middle);
    tcase_add_test(all, brightness_is_added_and_contrast_is_about_the_mean);
    tcase_add_test(all, saturation_leaves_grey_and_moves_colours_about_it);
    tcase_add_test(all, noise_is_of_each_pixel_and_frame);
    tcase_add_test(all, blur_spreads_and_keeps_the_light);
    tcase_add_test(all, an_occlusion_is_a_rectangle_of_one_grey);
    tcase_add_test(all, frames_are_reversed_shifted_stretched_and_dropped);
    tcase_add_test(all, light_and_noise_stay_pixels);
    tcase_add_test(all, what_cannot_be_done_is_refused);
    return suite_run("nn/train/augment", &all, 1);
}
