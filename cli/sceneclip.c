#include "cli/sceneclip.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gstdio.h>

#include "cli/cli.h"
#include "cli/clipcache.h"
#include "nn/train/random.h"

/* Pictures that tell one version of the renderer from another, in the key of what is kept. */
#define PROBES 4

/* Sizes and frame rates of cheap cameras' second streams. */
static const int sizes[][2] = {{640, 360}, {768, 432}, {512, 384}, {480, 272}, {320, 240}};
static const int rates[] = {8, 8, 10, 10, 12, 12, 15, 15, 25};
static const int key_intervals[] = {8, 15, 30, 50, 120, 250};
static const int bitrates[] = {100, 200, 400, 800};
#define QUALITY_CLEAN 4

/* --- what a seed decides ------------------------------------------------------------------- */

static int below(struct train_random *random, int count)
{
    return (int)train_random_below(random, (uint64_t)count);
}

static double range(struct train_random *random, double low, double high)
{
    return low + (high - low) * train_random_uniform(random);
}

#define ONE_OF(random, table) (table)[below(random, (int)G_N_ELEMENTS(table))]

/* A tenth has no noise at all, as cameras behind a denoiser; half a little. */
static double draw_noise(struct train_random *random)
{
    double kind = train_random_uniform(random);
    return kind < 0.1 ? 0 : kind < 0.6 ? range(random, 0.3, 1.5) : range(random, 1, 4);
}

/* Half of the seeds show a part of the picture. */
static void draw_view(struct train_random *random, int least_width, int least_height,
                      struct sceneclip_plan *plan)
{
    const struct scene_params *p = &plan->params;
    double least =
        fmax(0.3, fmax((double)least_width / p->width, (double)least_height / p->height));
    bool part = train_random_uniform(random) < 0.5 && least < 0.9;
    double share = part ? range(random, least, 0.9) : 1;
    /* Lines of whole words in all planes, as vigil-encode takes them; never below what was
     * asked for. */
    plan->width = MIN(8 * (int)ceil(p->width * share / 8), p->width);
    plan->height = MIN(2 * (int)ceil(p->height * share / 2), p->height);
    plan->x = 2 * below(random, (p->width - plan->width) / 2 + 1);
    plan->y = 2 * below(random, (p->height - plan->height) / 2 + 1);
}

/* Three of ten are as good as not encoded at all: scenes that are streamed are not. */
static void draw_encoder(struct train_random *random, struct sceneclip_plan *plan)
{
    bool lossy = train_random_uniform(random) < 0.7;
    bool constant = train_random_uniform(random) < 0.7;
    int quality = 18 + below(random, 17), kbits = ONE_OF(random, bitrates);
    int preset = 1 + below(random, 3);
    plan->preset = lossy ? preset : 1; /* which only says how small it gets */
    plan->key_interval = ONE_OF(random, key_intervals);
    plan->b_frames = below(random, 3);
    plan->quality = !lossy ? QUALITY_CLEAN : constant ? quality : 0;
    plan->kbits = lossy && !constant ? kbits : 0;
}

void sceneclip_plan(uint64_t seed, int least_width, int least_height,
                    struct sceneclip_plan *ret_plan)
{
    struct train_random random = train_random_start(seed);
    const int *size = ONE_OF(&random, sizes);
    struct sceneclip_plan plan = {.params = {.seed = seed,
                                             .indoors = below(&random, 2) == 1,
                                             .width = size[0],
                                             .height = size[1],
                                             .fps_n = ONE_OF(&random, rates),
                                             .fps_d = 1,
                                             .features = SCENE_FEATURES_ALL}};
    plan.params.noise = draw_noise(&random);
    draw_view(&random, least_width, least_height, &plan);
    draw_encoder(&random, &plan);
    *ret_plan = plan;
}

int sceneclip_sample(int all, int camera_fps, double fps, int *ret_frames)
{
    int count = 0, next = 0;
    for (int i = 0; i < all; i++) {
        int k = fps > 0 ? (int)floor(i * fps / camera_fps + 1e-6) : i;
        if (k < next)
            continue;
        ret_frames[count++] = i;
        next = k + 1;
    }
    return count;
}

/* --- the key of what is kept ---------------------------------------------------------------- */

static void digest_picture(GChecksum *sum, const struct scene_canvas *picture)
{
    for (int p = 0; p < 3; p++)
        for (int row = 0; row < picture->planes[p].height; row++)
            g_checksum_update(sum, picture->planes[p].data + row * picture->planes[p].stride,
                              picture->planes[p].width);
}

static char *find_key(const struct clipreader *reader, const struct sceneclip_plan *plan,
                      struct scene *scene)
{
    const struct scene_params *p = &plan->params;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *text = g_strdup_printf(
        "scene %" G_GUINT64_FORMAT " %dx%d %d fps %g %d+%d+%dx%d %d %d %d %d %d %d s\n%s\n%s",
        p->seed, p->width, p->height, p->fps_n, p->noise, plan->x, plan->y, plan->width,
        plan->height, plan->quality, plan->kbits, plan->preset, plan->key_interval,
        plan->b_frames, SCENECLIP_SECONDS, reader->how, VIGIL_VERSION);
    g_checksum_update(sum, (const guchar *)text, -1);
    for (int i = 0; i < PROBES; i++) {
        const struct scene_canvas *picture;
        struct scene_truth truth;
        scene_render(scene, (uint64_t)(p->fps_n * SCENECLIP_SECONDS * (i + 1) / (PROBES + 1)),
                     &picture, &truth);
        digest_picture(sum, picture);
        g_checksum_update(sum, (const guchar *)&truth.labels, sizeof truth.labels);
    }
    return g_strdup(g_checksum_get_string(sum));
}

/* --- rendered, pressed and seen again ------------------------------------------------------- */

static GSubprocess *start_encoder(const struct sceneclip_plan *plan, int out, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv,
                    cli_find("../pipeline/vigil-encode", VIGIL_LIBEXECDIR "/vigil-encode"));
    const struct {
        const char *name;
        int value;
    } numbers[] = {{"width", plan->width},       {"height", plan->height},
                   {"fps", plan->params.fps_n},  {"preset", plan->preset},
                   {"b-frames", plan->b_frames}, {"key-interval", plan->key_interval}};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        g_ptr_array_add(argv, g_strdup_printf("--%s=%d", numbers[i].name, numbers[i].value));
    g_ptr_array_add(argv, plan->kbits > 0 ? g_strdup_printf("--kbits=%d", plan->kbits)
                                          : g_strdup_printf("--quality=%d", plan->quality));
    g_ptr_array_add(argv, NULL);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE);
    g_subprocess_launcher_take_stdout_fd(launcher, out);
    return g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata, error);
}

/* The part of a picture that is seen: planes without padding. */
static void cut_picture(const struct sceneclip_plan *plan, const struct scene_canvas *picture,
                        guint8 *ret_bytes)
{
    for (int p = 0; p < 3; p++) {
        const struct scene_plane *plane = &picture->planes[p];
        int half = p > 0 ? 2 : 1;
        size_t width = (size_t)(plan->width / half);
        for (int row = 0; row < plan->height / half; row++, ret_bytes += width)
            memcpy(ret_bytes,
                   plane->data + (size_t)(plan->y / half + row) * (size_t)plane->stride +
                       plan->x / half,
                   width);
    }
}

/* Renders all of it into the encoder; ret_bits: of each frame. False when the encoder gave up. */
static bool render(const struct sceneclip_plan *plan, struct scene *scene, GOutputStream *to,
                   uint32_t *ret_bits)
{
    const struct scene_params *p = &plan->params;
    const struct scenelabel_view view = {
        (double)plan->x / p->width, (double)plan->y / p->height, (double)plan->width / p->width,
        (double)plan->height / p->height};
    gsize size = (gsize)(plan->width * plan->height * 3 / 2);
    g_autofree guint8 *bytes = g_malloc(size);
    bool written = true;
    for (int i = 0; i < p->fps_n * SCENECLIP_SECONDS && written; i++) {
        const struct scene_canvas *picture;
        struct scene_truth truth;
        scene_render(scene, (uint64_t)i, &picture, &truth);
        ret_bits[i] = scenelabel_frame(&truth, &view);
        cut_picture(plan, picture, bytes);
        written = g_output_stream_write_all(to, bytes, size, NULL, NULL, NULL);
    }
    return written;
}

/* Into `out`, which is taken. */
static int encode(const struct sceneclip_plan *plan, struct scene *scene, int out,
                  uint32_t *ret_bits)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) encoder = start_encoder(plan, out, &error);
    if (!encoder)
        return cli_fail(CLI_INTERNAL, "cannot start vigil-encode: %s", error->message);
    /* An encoder that gave up says why; we are told by the write that fails. */
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    GOutputStream *to = g_subprocess_get_stdin_pipe(encoder);
    bool whole = render(plan, scene, to, ret_bits) && g_output_stream_close(to, NULL, NULL);
    signal(SIGPIPE, before);
    g_subprocess_wait(encoder, NULL, NULL);
    return whole && g_subprocess_get_successful(encoder)
               ? CLI_OK
               : cli_fail(CLI_INTERNAL, "vigil-encode gave up: scene %" G_GUINT64_FORMAT,
                          plan->params.seed);
}

/* A frame as it is kept: its numbers, then its bits. */
static size_t record_bytes(size_t pixels)
{
    return pixels * sizeof(uint16_t) + sizeof(uint32_t);
}

static GBytes *make_records(size_t pixels, const float *values, int count, const int *frames,
                            const uint32_t *bits)
{
    size_t record = record_bytes(pixels);
    guint8 *bytes = g_malloc((size_t)count * record), *to = bytes;
    for (int k = 0; k < count; k++, to += record, values += pixels) {
        for (size_t i = 0; i < pixels; i++) {
            uint16_t level = (uint16_t)lrintf(CLAMP(values[i], 0, 255) * 256);
            memcpy(to + i * sizeof level, &level, sizeof level);
        }
        memcpy(to + pixels * sizeof(uint16_t), &bits[frames[k]], sizeof *bits);
    }
    return g_bytes_new_take(bytes, (size_t)count * record);
}

static int make(struct clipreader *reader, const struct sceneclip_plan *plan,
                struct scene *scene, GBytes **ret_bytes)
{
    int all = plan->params.fps_n * SCENECLIP_SECONDS;
    g_autofree uint32_t *bits = g_new0(uint32_t, (size_t)all);
    g_autofree int *taken = g_new(int, (size_t)all);
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int file = g_file_open_tmp("vigil-scene-XXXXXX", &path, &error);
    if (file < 0)
        return cli_fail(CLI_INTERNAL, "%s", cli_reason(error));
    int result = encode(plan, scene, file, bits);
    g_autoptr(GBytes) frames = result == CLI_OK ? clipreader_read(reader, path) : NULL;
    g_unlink(path);
    if (!frames)
        return result != CLI_OK ? result : CLI_INTERNAL;
    gsize size;
    const float *values = g_bytes_get_data(frames, &size);
    int count = (int)(size / sizeof *values / reader->frame);
    int wanted = sceneclip_sample(all, plan->params.fps_n, reader->info->fps, taken);
    if (count != wanted)
        return cli_fail(CLI_INTERNAL,
                        "scene %" G_GUINT64_FORMAT ": %d frames came back, not %d",
                        plan->params.seed, count, wanted);
    *ret_bytes = make_records(reader->frame, values, count, taken, bits);
    return CLI_OK;
}

int sceneclip_open(struct clipreader *reader, uint64_t seed, struct sceneclip *ret_clip)
{
    struct sceneclip_plan plan;
    struct scene *scene = NULL;
    size_t record = record_bytes(reader->frame);
    sceneclip_plan(seed, reader->info->width, reader->info->height, &plan);
    int r = scene_create(&plan.params, &scene), result = CLI_OK;
    if (r < 0)
        return cli_fail(CLI_INTERNAL, "scene %" G_GUINT64_FORMAT ": %s", seed, g_strerror(-r));
    g_autofree char *key = find_key(reader, &plan, scene);
    GBytes *bytes = clipcache_get(key, record);
    if (!bytes) {
        result = make(reader, &plan, scene, &bytes);
        if (result == CLI_OK)
            clipcache_put(key, record, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    }
    scene_destroy(scene);
    if (result == CLI_OK)
        *ret_clip =
            (struct sceneclip){bytes, (int)(g_bytes_get_size(bytes) / record), reader->frame};
    return result;
}

void sceneclip_close(struct sceneclip *clip)
{
    g_clear_pointer(&clip->bytes, g_bytes_unref);
}

static const guint8 *record_at(const struct sceneclip *clip, int at)
{
    return (const guint8 *)g_bytes_get_data(clip->bytes, NULL) +
           (size_t)at * record_bytes(clip->pixels);
}

const uint16_t *sceneclip_frame(const struct sceneclip *clip, int at)
{
    /* Records and the header before them are of even bytes. */
    return (const uint16_t *)(const void *)record_at(clip, at);
}

uint32_t sceneclip_bits(const struct sceneclip *clip, int at)
{
    uint32_t bits;
    memcpy(&bits, record_at(clip, at) + clip->pixels * sizeof(uint16_t), sizeof bits);
    return bits;
}
