#include "cli/clipreader.h"

#include <limits.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "cli/cli.h"

/* The worker is given a file. */
static int write_model(struct clipreader *r)
{
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("vigil-network-XXXXXX", &r->model_path, &error);
    if (fd < 0)
        return cli_fail(CLI_INTERNAL, "%s", cli_reason(error));
    close(fd);
    return g_file_set_contents(r->model_path, r->onnx, (gssize)r->size, &error)
               ? CLI_OK
               : cli_fail(CLI_INTERNAL, "cannot write %s: %s", r->model_path,
                          cli_reason(error));
}

static void set(struct clipreader *r, const char *key, const char *value)
{
    modelkeys_overrides_add(r->samples.overrides, key, value);
}

/* What was set stays. */
static void set_others(struct clipreader *r, GHashTable *overrides)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, overrides);
    while (g_hash_table_iter_next(&iter, &key, &value))
        set(r, key, value);
}

/* Pixels as they are: what mean and scale make of them is the training's to do. */
static int settle_input(struct clipreader *r)
{
    int rank = nn_model_input(r->model, 0)->shape.rank;
    struct nn_error err;
    if (rank != 4 && rank != 5)
        return cli_fail(CLI_CONFIG, "the network's input: clips are windows of pictures, as "
                                    "16x64x64x3, or pictures, as 64x64x3");
    g_autofree char *fps = g_strdup_printf("%g", r->fps);
    g_autofree char *stride = g_strdup_printf("%d", r->stride);
    set(r, "mean", "0");
    set(r, "scale", "1");
    if (r->fps > 0)
        set(r, "fps", fps);
    if (r->resize)
        set(r, "resize", r->resize);
    if (rank == 5 && r->stride > 0)
        set(r, "stride", stride);
    if (r->overrides)
        set_others(r, r->overrides);
    if (modelinfo_create_input(r->model, NULL, r->samples.overrides, &r->info, &err) < 0)
        return cli_fail(CLI_CONFIG, "[data]: %s", err.text);
    const struct modelinfo *info = r->info;
    r->window = info->window;
    r->frame = (size_t)info->channels * (size_t)info->height * (size_t)info->width;
    r->how = g_strdup_printf("%dx%dx%d fps=%g resize=%s pixels=%s layout=%s", info->height,
                             info->width, info->channels, info->fps,
                             modelinfo_resize_name(info->resize),
                             modelinfo_pixels_name(info->pixels), modelinfo_layout_name(info));
    return CLI_OK;
}

int clipreader_open(struct clipreader *r)
{
    struct nn_error err;
    samples_init(&r->samples);
    r->samples.overrides = modelkeys_overrides_new();
    int result = write_model(r);
    if (result == CLI_OK && nn_model_load(r->onnx, r->size, &r->model, &err) < 0)
        result = cli_fail(CLI_CONFIG, "%s", err.text);
    if (result == CLI_OK)
        result = settle_input(r);
    if (result != CLI_OK)
        return result;
    r->samples.model_path = r->model_path;
    r->samples.model = r->model;
    r->samples.shapes = &r->info->input;
    r->samples.info = r->info;
    r->samples.frames = true;
    r->samples.most = INT_MAX / 4;
    return CLI_OK;
}

void clipreader_close(struct clipreader *r)
{
    if (r->model_path)
        g_unlink(r->model_path);
    g_free(r->model_path);
    g_free(r->how);
    modelinfo_destroy(r->info);
    nn_model_unref(r->model);
    if (r->samples.overrides) {
        g_hash_table_unref(r->samples.overrides);
        samples_finish(&r->samples);
    }
}

GBytes *clipreader_read(struct clipreader *r, const char *path)
{
    samples_clear(&r->samples);
    if (samples_add(&r->samples, path) != CLI_OK)
        return NULL;
    GByteArray *all = g_byte_array_new();
    for (guint i = 0; i < r->samples.items->len; i++) {
        GBytes **sample = r->samples.items->pdata[i];
        gsize size;
        const guint8 *data = g_bytes_get_data(sample[0], &size);
        g_byte_array_append(all, data, (guint)size);
    }
    samples_clear(&r->samples);
    return g_byte_array_free_to_bytes(all);
}
