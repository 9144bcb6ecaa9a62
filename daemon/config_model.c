#include "daemon/config_model.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/text.h"

#define GROUP  "vigil"
#define PREFIX "vigil."

const char *const config_model_keys[] = {
    "path",       "task",  "layout", "window",          "size",        "labels",
    "pixels",     "mean",  "scale",  "resize",          "fps",         "stride",
    "head",       "enter", "exit",   "min_duration_ms", "cooldown_ms", "kind",
    "background", NULL};

/* Each key is set once, so there is always room. */
G_STATIC_ASSERT(G_N_ELEMENTS(config_model_keys) - 2 <= MESSAGE_OVERRIDES_MAX);

__attribute__((format(printf, 4, 5))) static int refuse(struct config_error *err, int code,
                                                        const char *key, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    g_strlcpy(err->key, key, sizeof err->key);
    return code;
}

int config_override_add(struct message_override *overrides, int *count, const char *key,
                        const char *value, struct config_error *err)
{
    const char *const *keys = config_model_keys + 1;
    if (g_str_has_prefix(key, PREFIX))
        key += strlen(PREFIX);
    if (!g_strv_contains(keys, key)) {
        const char *nearest = config_nearest(key, keys);
        g_autofree char *all = g_strjoinv(", ", (char **)keys);
        return refuse(err, -EINVAL, key, "unknown key \"%.60s\"; %s%s", key,
                      nearest ? "did you mean " : "known: ", nearest ? nearest : all);
    }
    struct message_override item;
    size_t length = strlen(value);
    if (length >= sizeof item.value)
        return refuse(err, -EINVAL, key, "%s is longer than %zu bytes", key,
                      sizeof item.value - 1);
    if (!text_is_printable(value, length))
        return refuse(err, -EINVAL, key, "%s holds characters that cannot be printed", key);
    g_snprintf(item.key, sizeof item.key, PREFIX "%s", key);
    strcpy(item.value, value);
    for (int i = 0; i < *count; i++)
        if (strcmp(overrides[i].key, item.key) == 0)
            return 0;
    overrides[(*count)++] = item;
    return 0;
}

/* O_NONBLOCK: opening a named pipe must not wait for its other end. */
static int read_text(const char *path, char **ret_text, gsize *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return -EMEDIUMTYPE;
    }
    char *text = g_malloc(CONFIG_SIDECAR_MAX + 1);
    ssize_t size = read(fd, text, CONFIG_SIDECAR_MAX + 1);
    int r = size < 0 ? -errno : size > CONFIG_SIDECAR_MAX ? -EFBIG : 0;
    close(fd);
    if (r < 0) {
        g_free(text);
        return r;
    }
    *ret_text = text;
    *ret_size = (gsize)size;
    return 0;
}

int config_sidecar_read(const char *model_path, struct message_override *overrides, int *count,
                        struct config_error *err)
{
    g_autofree char *path = g_strconcat(model_path, ".modelinfo", NULL);
    g_autofree char *text = NULL;
    gsize size = 0;
    int r = read_text(path, &text, &size);
    if (r < 0)
        return r == -ENOENT ? 0
                            : refuse(err, r, "", "%s: cannot be read: %s", path,
                                     r == -EMEDIUMTYPE ? "it is not a file" : g_strerror(-r));
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) keys = NULL;
    if (g_key_file_load_from_data(file, text, size, G_KEY_FILE_NONE, &error))
        keys = g_key_file_get_keys(file, GROUP, NULL, &error);
    for (char **key = keys; key && *key; key++) {
        g_autofree char *value = g_key_file_get_string(file, GROUP, *key, &error);
        struct config_error why;
        if (!value)
            break;
        if (config_override_add(overrides, count, *key, value, &why) < 0)
            return refuse(err, -EINVAL, why.key, "%s: %s", path, why.text);
    }
    return error ? refuse(err, -EINVAL, "", "%s: %s", path, error->message) : 0;
}
