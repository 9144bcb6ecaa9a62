/* Sound: WAVE files of every format, and of none; what log_mel makes of it, against a discrete
 * Fourier transform and mels written down here, in double. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/net.h"
#include "nn/train/random.h"
#include "nn/train/wav.h"
#include "tests/nn/train/design.h"
#include "tests/suite.h"

/* --- files -------------------------------------------------------------------------------- */

enum { ROOM = 4096 };

struct file {
    uint8_t bytes[ROOM];
    size_t size;
};

static void put(struct file *f, const void *bytes, size_t size)
{
    ck_assert_uint_le(f->size + size, ROOM);
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static void put_number(struct file *f, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put(f, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

static void set32(struct file *f, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        f->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

/* The size in the file's header. */
static void close_riff(struct file *f)
{
    set32(f, 4, (uint32_t)(f->size - 8));
}

static void put_chunk(struct file *f, const char *name, const void *bytes, size_t size)
{
    put(f, name, 4);
    put_number(f, size, 4);
    put(f, bytes, size);
    if (size % 2)
        put_number(f, 0, 1);
}

static void put_format(struct file *f, int tag, int channels, int bits, bool extensible)
{
    static const uint8_t rest[14] = {0, 0, 0,    0, 0x10, 0,    0x80,
                                     0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};
    put(f, "fmt ", 4);
    put_number(f, extensible ? 40 : 16, 4);
    put_number(f, extensible ? 0xfffe : (uint64_t)tag, 2);
    put_number(f, (uint64_t)channels, 2);
    put_number(f, 8000, 4);
    put_number(f, (uint64_t)(8000 * channels * bits / 8), 4);
    put_number(f, (uint64_t)(channels * bits / 8), 2);
    put_number(f, (uint64_t)bits, 2);
    if (!extensible)
        return;
    put_number(f, 22, 2);
    put_number(f, (uint64_t)bits, 2);
    put_number(f, 4, 4);
    put_number(f, (uint64_t)tag, 2);
    put(f, rest, sizeof rest);
}

static struct file begin(void)
{
    struct file f = {.size = 0};
    put(&f, "RIFF\0\0\0\0WAVE", 12);
    return f;
}

static struct file make(int tag, int channels, int bits, const void *data, size_t size)
{
    struct file f = begin();
    put_format(&f, tag, channels, bits, false);
    put_chunk(&f, "data", data, size);
    close_riff(&f);
    return f;
}

/* Mono or not: the frames are these. */
static void expect_frames(const struct file *f, const float *want, size_t count)
{
    struct nn_error err = {""};
    struct train_wav wav;
    int r = train_wav_parse(f->bytes, f->size, "sound", &wav, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    ck_assert_int_eq(wav.rate, 8000);
    ck_assert_uint_eq(wav.count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(wav.frames[i] == want[i], "frame %zu: %g, not %g", i,
                      (double)wav.frames[i], (double)want[i]);
    free(wav.frames);
}

static void expect_refused(const struct file *f, const char *words)
{
    struct nn_error err = {""};
    struct train_wav wav;
    ck_assert_int_eq(train_wav_parse(f->bytes, f->size, "sound", &wav, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, words), "'%s' lacks '%s'", err.text, words);
    ck_assert_msg(strstr(err.text, "'sound'"), "'%s' names no file", err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
}

START_TEST(every_format_has_its_numbers)
{
    const struct file f8 = make(1, 1, 8, (uint8_t[]){0, 128, 255, 64}, 4);
    expect_frames(&f8, (float[]){-1, 0, 127 / 128.0f, -0.5f}, 4);
    const struct file f16 = make(1, 1, 16, (uint8_t[]){0, 0x80, 0xff, 0x7f, 0, 0x40}, 6);
    expect_frames(&f16, (float[]){-1, 32767 / 32768.0f, 0.5f}, 3);
    const struct file f24 =
        make(1, 1, 24, (uint8_t[]){0, 0, 0x80, 0, 0, 0xc0, 1, 0, 0, 0xff, 0xff, 0xff}, 12);
    expect_frames(&f24, (float[]){-1, -0.5f, 0x1p-23f, -0x1p-23f}, 4);
    const struct file f32 = make(1, 1, 32, (uint8_t[]){0, 0, 0, 0x80, 0, 0, 0, 0x20}, 8);
    expect_frames(&f32, (float[]){-1, 0.25f}, 2);
    const float floats[] = {0.125f, -2.5f};
    const struct file floating = make(3, 1, 32, floats, sizeof floats);
    expect_frames(&floating, floats, 2);
    const struct file none = make(1, 1, 16, "", 0);
    expect_frames(&none, NULL, 0);
}
END_TEST

START_TEST(channels_are_averaged)
{
    const struct file two = make(1, 2, 16, (uint8_t[]){0, 0x40, 0, 0, 0, 0xc0, 0, 0x80}, 8);
    expect_frames(&two, (float[]){0.25f, -0.75f}, 2);
}
END_TEST

START_TEST(other_chunks_are_passed_over)
{
    struct file f = begin();
    put_chunk(&f, "LIST", "odd", 3);
    put_format(&f, 1, 1, 16, true);
    put_chunk(&f, "fact", "four", 4);
    put_chunk(&f, "data", (uint8_t[]){0, 0x40}, 2);
    put_chunk(&f, "id3 ", "x", 1);
    f.size--; /* without the byte that makes it even */
    close_riff(&f);
    expect_frames(&f, (float[]){0.5f}, 1);
    put(&f, "what follows is not of the file", 31);
    expect_frames(&f, (float[]){0.5f}, 1);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct file f = begin();
    put_format(&f, 1, 1, 16, true);
    put_chunk(&f, "data", (uint8_t[]){0, 0x40, 1, 2}, 4);
    close_riff(&f);
    const struct file whole = f;
    for (f.size = 0; f.size < whole.size; f.size++)
        expect_refused(&f, f.size < 12 ? "no RIFF" : "is cut");
    /* And where the header knows it. */
    for (f.size = 12; f.size < whole.size; f.size++) {
        set32(&f, 4, (uint32_t)(f.size - 8));
        expect_refused(&f, "'sound'");
    }
}
END_TEST

START_TEST(headers_that_make_no_sense_are_refused)
{
    const uint8_t data[] = {0, 0, 0, 0};
    struct file f = make(6, 1, 8, data, 4);
    expect_refused(&f, "0x0006 with 8 bits");
    f = make(1, 1, 12, data, 4);
    expect_refused(&f, "12 bits");
    f = make(3, 1, 16, data, 4);
    expect_refused(&f, "16 bits");
    f = make(1, 0, 16, data, 4);
    expect_refused(&f, "0 channels");
    f = make(1, 65, 8, data, 0);
    expect_refused(&f, "65 channels");
    f = make(1, 1, 24, data, 4);
    expect_refused(&f, "4 bytes of data are not frames of 3");
    f = make(1, 1, 16, data, 4);
    set32(&f, 24, 0);
    expect_refused(&f, "0 frames a second");
    set32(&f, 24, UINT32_MAX);
    expect_refused(&f, "4294967295 frames a second");
    f = make(1, 1, 16, data, 4);
    f.bytes[32] = 4;
    expect_refused(&f, "take 4 bytes");
    set32(&f, 16, UINT32_MAX);
    expect_refused(&f, "promises 4294967295 bytes");
    f = begin();
    put_chunk(&f, "data", data, 4);
    close_riff(&f);
    expect_refused(&f, "before it says");
    f = begin();
    put_format(&f, 1, 1, 16, false);
    close_riff(&f);
    expect_refused(&f, "no chunk 'data'");
    put_format(&f, 1, 1, 16, false);
    close_riff(&f);
    expect_refused(&f, "two chunks 'fmt '");
    f = make(1, 1, 16, data, 4);
    put_chunk(&f, "data", data, 4);
    close_riff(&f);
    expect_refused(&f, "two chunks 'data'");
    f = begin();
    put_format(&f, 1, 1, 16, true);
    f.bytes[f.size - 1] ^= 1; /* a subformat of another family */
    put_chunk(&f, "data", data, 4);
    close_riff(&f);
    expect_refused(&f, "0xfffe");
    f = make(3, 1, 32, &(float){NAN}, 4);
    expect_refused(&f, "frame 1 is no number");
}
END_TEST

START_TEST(changed_bytes_do_no_harm)
{
    struct train_random random = train_random_start(7);
    struct file good = begin();
    put_format(&good, 1, 2, 24, true);
    put_chunk(&good, "data", (uint8_t[24]){1, 2, 3}, 24);
    close_riff(&good);
    for (int i = 0; i < 20000; i++) {
        struct nn_error err = {""};
        struct train_wav wav;
        struct file f = good;
        for (int n = 0; n < 3; n++)
            f.bytes[train_random_below(&random, f.size)] = (uint8_t)train_random_next(&random);
        f.size -= train_random_below(&random, 4);
        /* What lies behind its end must not be read. */
        uint8_t *exact = malloc(f.size);
        memcpy(exact, f.bytes, f.size);
        if (train_wav_parse(exact, f.size, "sound", &wav, &err) == 0)
            free(wav.frames);
        free(exact);
    }
}
END_TEST

/* --- log_mel ------------------------------------------------------------------------------ */

enum { SOUND = 700, WINDOW = 100, HOP = 40, BANDS = 12, RATE = 4000 };
enum { FRAMES = (SOUND - WINDOW) / HOP + 1, BINS = WINDOW / 2 + 1 };

static double edge(int number)
{
    double top = 2595 * log10(1 + RATE / 2.0 / 700);
    return 700 * (pow(10, top * number / (BANDS + 1) / 2595) - 1);
}

/* By the definition. */
static double log_mel_of(const float *sound, int frame, int band)
{
    const double low = edge(band), peak = edge(band + 1), high = edge(band + 2);
    double sum = 0;
    for (int k = 0; k < BINS; k++) {
        double re = 0, im = 0, hertz = (double)k * RATE / WINDOW, share;
        if (hertz <= low || hertz >= high)
            continue;
        share = hertz <= peak ? (hertz - low) / (peak - low) : (high - hertz) / (high - peak);
        for (int t = 0; t < WINDOW; t++) {
            double angle = 2 * acos(-1) * k * t / WINDOW,
                   hann = pow(sin(acos(-1) * t / WINDOW), 2);
            re += hann * cos(angle) * (double)sound[frame * HOP + t];
            im += hann * sin(angle) * (double)sound[frame * HOP + t];
        }
        sum += share * (re * re + im * im);
    }
    sum *= 16.0 / WINDOW / WINDOW;
    return log(sum > 1e-6 ? sum : 1e-6);
}

static const char layers[] = "log_mel 12 4000 window 100 stride 40";

START_TEST(log_mel_is_what_its_definition_says)
{
    struct net net = design_net("700x1", layers, 2);
    net_expect_shape(&net, 0, DIMS(2, FRAMES, BANDS));
    design_run(&net, 3);
    const float *sound = nn_session_input(net.session, 0)->data;
    for (int n = 0; n < 2; n++)
        for (int frame = 0; frame < FRAMES; frame++)
            for (int band = 0; band < BANDS; band++) {
                double got = (double)net_floats(&net, 0)[(n * FRAMES + frame) * BANDS + band],
                       want = log_mel_of(sound + n * SOUND, frame, band);
                ck_assert_msg(fabs(got - want) < 2e-5, "frame %d, band %d: %g, not %g", frame,
                              band, got, want);
            }
    net_free(&net);
}
END_TEST

START_TEST(a_tone_of_full_scale_has_power_one_and_silence_the_floor)
{
    struct net net = design_net("1000x1", "log_mel 4 1000 window 200 stride 100", 2);
    float *sound = nn_session_input(net.session, 0)->data;
    memset(sound, 0, 2000 * sizeof *sound);
    /* The peak of the second of four bands, whose edges are multiples of mel(500) / 5. */
    double peak = 700 * (pow(10, 2 * log10(1 + 500 / 700.0) / 5) - 1);
    double hertz = round(peak / 5) * 5;
    for (int t = 0; t < 1000; t++)
        sound[t] = (float)sin(2 * acos(-1) * hertz * t / 1000);
    net_run(&net);
    const float *bands = net_floats(&net, 0);
    /* Hann's window puts a quarter of the power into either neighbour. */
    for (int frame = 0; frame < 9; frame++) {
        ck_assert_double_gt((double)bands[frame * 4 + 1], log(1.4));
        ck_assert_double_lt((double)bands[frame * 4 + 1], log(1.5) + 1e-4);
        ck_assert_double_lt((double)bands[frame * 4 + 3], log(1e-4));
    }
    for (int i = 36; i < 72; i++)
        ck_assert_double_eq_tol((double)bands[i], log(1e-6), 1e-5);
    net_free(&net);
}
END_TEST

START_TEST(relative_power_does_not_hang_on_loudness)
{
    struct net net = design_net("700x1", "log_mel 12 4000 window 100 stride 40 relative", 3);
    float *sound = nn_session_input(net.session, 0)->data;
    double square = 0;
    net_fill(sound, SOUND, 3);
    for (int t = 0; t < SOUND; t++) {
        square += (double)sound[t] * (double)sound[t] / SOUND;
        sound[SOUND + t] = sound[t] / 64;
        sound[2 * SOUND + t] = 0;
    }
    net_run(&net);
    const float *bands = net_floats(&net, 0);
    for (int frame = 0; frame < FRAMES; frame++)
        for (int band = 0; band < BANDS; band++) {
            int at = frame * BANDS + band;
            /* Far above the floor, dividing is subtracting. */
            ck_assert_double_eq_tol((double)bands[at],
                                    log_mel_of(sound, frame, band) - log(square), 2e-5);
            ck_assert_double_eq_tol((double)bands[FRAMES * BANDS + at], (double)bands[at],
                                    2e-5);
            ck_assert_double_eq_tol((double)bands[2 * FRAMES * BANDS + at], log(1e-6), 1e-5);
        }
    net_free(&net);
}
END_TEST

START_TEST(what_is_below_the_floor_is_as_the_floor)
{
    struct net net = design_net("700x1", "log_mel 12 4000 window 100 stride 40", 1),
               high = design_net("700x1", "log_mel 12 4000 window 100 stride 40 floor 0.05", 1);
    int below = 0;
    design_run(&net, 3);
    design_run(&high, 3);
    for (int i = 0; i < FRAMES * BANDS; i++) {
        float plain = net_floats(&net, 0)[i], floored = net_floats(&high, 0)[i];
        below += plain < logf(0.05f);
        ck_assert_float_eq_tol(floored, plain < logf(0.05f) ? logf(0.05f) : plain, 1e-6f);
    }
    ck_assert_int_gt(below, 0);
    ck_assert_int_lt(below, FRAMES * BANDS);
    net_free(&net);
    net_free(&high);
}
END_TEST

START_TEST(windows_are_of_25_ms_every_10_ms)
{
    struct net net = design_net("8000x1", "log_mel 40 8000", 1);
    net_expect_shape(&net, 0, DIMS(1, (8000 - 200) / 80 + 1, 40));
    net_free(&net);
}
END_TEST

/* What is learned is what stands behind it: its numbers are none of the net's parameters, and the
 * net that learns hears the same. */
START_TEST(log_mel_does_not_learn)
{
    struct train_design *design =
        design_make("700x1", "log_mel 12 4000 window 100 stride 40; flatten; dense 3", 1);
    struct nn_model *model = design_load(design);
    struct nn_shape shape = {3, {2, SOUND, 1}};
    struct train_options options = {.input_shapes = &shape};
    struct train_net *net = NULL;
    struct nn_error err = {""};
    ck_assert_int_eq(train_design_row(design, 0)->trainable, 0);
    ck_assert_int_eq(train_design_row(design, 0)->statistics, 0);
    ck_assert_msg(train_net_create(model, &options, &net, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(train_net_parameter_count(net), 2);
    ck_assert_str_eq(train_net_parameter(net, 0)->name, "dense.weight");
    struct net served = design_plan(nn_model_ref(model), 2);
    design_run(&served, 5);
    memcpy(train_net_input(net, 0)->data, nn_session_input(served.session, 0)->data,
           2 * SOUND * sizeof(float));
    ck_assert_int_eq(train_net_forward(net, true, 1, &err), 0);
    const float *learns = train_net_output(net, 0)->data;
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(learns[i], net_floats(&served, 0)[i], 1e-4f);
    train_net_destroy(net);
    net_free(&served);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

START_TEST(what_cannot_be_heard_is_refused)
{
    static const struct {
        const char *input, *layers, *words;
    } cases[] = {
        {"8000x2", "log_mel 40 8000", "SAMPLESx1, not 8000x2"},
        {"28x28x1", "log_mel 40 8000", "SAMPLESx1, not 28x28x1"},
        {"100x1", "log_mel 40 8000", "200 samples, its input of 100"},
        {"8000x1", "log_mel 102 8000", "102 bands of 101"},
        {"8000x1", "log_mel 80 8000", "lies between the frequencies"},
        {"8000x1", "log_mel 4 50", "say window"},
        {"8000x1", "log_mel 4 8000 window 1", "say window"},
        {"8000x1", "log_mel 40", "HERTZ is missing"},
        {"8000x1", "log_mel 40 8000 window", "window is missing"},
        {"8000x1", "log_mel 40 8000 same", "has no 'same'"},
        {"8000x1", "log_mel 40 8000 floor 0", "between 0 and 1"},
        {"8000x1", "log_mel 40 8000 floor 1", "between 0 and 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct train_design *design = NULL;
        struct nn_error err = {""};
        ck_assert_int_eq(train_design_create(cases[i].input, cases[i].layers, 1, &design, &err),
                         -EINVAL);
        ck_assert_msg(strstr(err.text, cases[i].words), "%s: '%s'", cases[i].words, err.text);
        ck_assert_msg(strstr(err.text, "log_mel"), "'%s'", err.text);
    }
}
END_TEST

int main(void)
{
    TCase *files = tcase_create("files"), *heard = tcase_create("log_mel");
    tcase_add_test(files, every_format_has_its_numbers);
    tcase_add_test(files, channels_are_averaged);
    tcase_add_test(files, other_chunks_are_passed_over);
    tcase_add_test(files, a_file_cut_anywhere_is_refused);
    tcase_add_test(files, headers_that_make_no_sense_are_refused);
    tcase_add_test(files, changed_bytes_do_no_harm);
    tcase_add_test(heard, log_mel_is_what_its_definition_says);
    tcase_add_test(heard, a_tone_of_full_scale_has_power_one_and_silence_the_floor);
    tcase_add_test(heard, relative_power_does_not_hang_on_loudness);
    tcase_add_test(heard, what_is_below_the_floor_is_as_the_floor);
    tcase_add_test(heard, windows_are_of_25_ms_every_10_ms);
    tcase_add_test(heard, log_mel_does_not_learn);
    tcase_add_test(heard, what_cannot_be_heard_is_refused);
    TCase *cases[] = {files, heard};
    return suite_run("nn/train/sound", cases, 2);
}
