#include "daemon/config/model.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/default.h"
#include "daemon/config/keys.h"
#include "daemon/config/private.h"
#include "daemon/config/value.h"
#include "record/file.h"
#include "record/sidecar.h"
#include "record/text.h"

#define PREFIX "vigil."

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
    const struct config_section *section = config_section_find("model");
    if (g_str_has_prefix(key, PREFIX))
        key += strlen(PREFIX);
    const struct config_key *known = config_key_find(section, key);
    if (strcmp(key, "path") == 0 || !known)
        return config_key_unknown(section, key, "key", "", err);
    struct config_value parsed;
    int r = config_value_parse(known, value, &parsed, err);
    if (r < 0)
        return r;
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

struct sidecar_target {
    struct message_override *overrides;
    int *count;
    struct config_error *err;
};

static int take_sidecar_key(void *data, const char *key, const char *value,
                            struct sidecar_error *err)
{
    struct sidecar_target *target = data;
    int r = config_override_add(target->overrides, target->count, key, value, target->err);
    if (r < 0)
        g_strlcpy(err->text, target->err->text, sizeof err->text);
    return r;
}

int config_sidecar_read(const char *model_path, struct message_override *overrides, int *count,
                        struct config_error *err)
{
    struct config_error why = {{0}};
    struct sidecar_target target = {overrides, count, &why};
    struct sidecar_error problem;
    int r = sidecar_read(model_path, take_sidecar_key, &target, &problem);
    return r < 0 ? refuse(err, r, why.key, "%s", problem.text) : 0;
}

/* What a worker that starts now would be handed. 0 or -errno. */
static int look_at(const char *path, struct config_file *ret_file)
{
    struct stat status;
    int fd = file_open(path);
    int r = fd < 0 ? fd : fstat(fd, &status) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (r == 0)
        *ret_file = (struct config_file){
            .exists = true,
            .device = (int64_t)status.st_dev,
            .inode = (int64_t)status.st_ino,
            .size = status.st_size,
            .modified_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec,
        };
    return r;
}

static int read_overrides(const struct config_entries *entries, const char *section,
                          struct config *config, struct config_model *model,
                          struct config_error *err)
{
    struct config_error why;
    model->overrides = g_new0(struct message_override, MESSAGE_OVERRIDES_MAX);
    for (const struct config_key *key = config_section_find("model")->keys + 1; key->name;
         key++) {
        const struct config_entry *entry = config_entries_find(entries, section, key->name);
        if (!entry)
            continue;
        if (config_override_add(model->overrides, &model->override_count, key->name,
                                entry->value, &why) < 0)
            return config_refuse(err, entry->origin, key->name, "%s", why.text);
        config_note(config, section, key->name, entry->value, entry->origin);
    }
    /* The worker gets a descriptor and could not find what lies beside the model. */
    int own = model->override_count;
    if (config_sidecar_read(model->path, model->overrides, &model->override_count, err) < 0)
        return -EINVAL;
    g_autofree char *sidecar = g_strconcat(model->path, ".modelinfo", NULL);
    for (int i = own; i < model->override_count; i++)
        config_note(config, section, model->overrides[i].key + strlen(PREFIX),
                    model->overrides[i].value, sidecar);
    return 0;
}

static int read_model(const struct config_entries *entries, const char *name,
                      const char *origin, struct config *config, struct config_error *err)
{
    struct config_model *model = &config->models[config->model_count++];
    g_autofree char *section = g_strdup_printf("model %s", name);
    const struct config_entry *path = config_entries_find(entries, section, "path");
    bool built_in = strcmp(name, "scene") == 0;
    g_strlcpy(model->name, name, sizeof model->name);
    if (path ? !*path->value : !built_in)
        return config_refuse(err, path ? path->origin : origin, "path",
                             "[%s] has no path; name its ONNX file", section);
    struct config_value value;
    struct config_error why;
    const struct config_key *key = config_key_find(config_section_find("model"), "path");
    if (path && config_value_parse(key, path->value, &value, &why) < 0)
        return config_refuse(err, path->origin, "path", "%s", why.text);
    model->path =
        path ? config_absolute_path(path->value, path->folder) : config_default_scene();
    int r = look_at(model->path, &model->file);
    if (r < 0)
        config_warn(config, "%s: the file of model %s cannot be opened: %s: %s",
                    path ? path->origin : section, name, model->path, file_error_text(r));
    config_note(config, section, "path", model->path, path ? path->origin : NULL);
    return read_overrides(entries, section, config, model, err);
}

int config_models_read(const struct config_entries *entries, struct config *config,
                       struct config_error *err)
{
    const struct config_header *header;
    config->models = g_new0(struct config_model, CONFIG_MODELS_MAX);
    for (size_t i = 0; (header = config_entries_named(entries, "model", i)); i++) {
        if (i == CONFIG_MODELS_MAX - 1) /* one is kept for `scene` */
            return config_refuse(err, header->origin, "", "more than %d models",
                                 CONFIG_MODELS_MAX - 1);
        int r = read_model(entries, header->name, header->origin, config, err);
        if (r < 0)
            return r;
    }
    return config_find_model(config, "scene") ? 0
                                              : read_model(entries, "scene", "", config, err);
}
