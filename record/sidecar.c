#include "record/sidecar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <glib.h>

#include "record/file.h"

#define GROUP "vigil"

static int refuse(struct sidecar_error *err, int code, const char *path, const char *why)
{
    g_autofree char *text = g_strdup_printf("%s: %s", path, why);
    g_strlcpy(err->text, text, sizeof err->text);
    return code;
}

static int take_keys(GKeyFile *file, const char *path, sidecar_take *take, void *data,
                     struct sidecar_error *err)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) keys = g_key_file_get_keys(file, GROUP, NULL, &error);
    for (char **key = keys; key && *key; key++) {
        struct sidecar_error why = {{0}};
        g_autofree char *value = g_key_file_get_string(file, GROUP, *key, &error);
        if (!value)
            break;
        int r = take(data, *key, value, &why);
        if (r < 0)
            return refuse(err, r, path, why.text);
    }
    return error ? refuse(err, -EINVAL, path, error->message) : 0;
}

int sidecar_read(const char *model_path, sidecar_take *take, void *data,
                 struct sidecar_error *err)
{
    g_autofree char *path = g_strconcat(model_path, ".modelinfo", NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    char *text;
    size_t size;
    int r = file_read_path(path, SIDECAR_BYTES_MAX, &text, &size);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return refuse(err, r, path, file_error_text(r));
    bool parsed = g_key_file_load_from_data(file, text, size, G_KEY_FILE_NONE, &error);
    free(text);
    return parsed ? take_keys(file, path, take, data, err)
                  : refuse(err, -EINVAL, path, error->message);
}
