#include "daemon/config/change.h"

#include <errno.h>
#include <string.h>

#include "daemon/config/keys.h"
#include "daemon/config/private.h"

static int check_fixed(const struct config *running, const struct config *next,
                       const char *section, const char *key, struct config_error *err)
{
    /* A key without a default is no setting until somebody sets it. */
    static const struct config_setting unset = {.value = NULL};
    const struct config_setting *was = config_find_setting(running, section, key);
    const struct config_setting *will_be = config_find_setting(next, section, key);
    was = was ? was : &unset;
    will_be = will_be ? will_be : &unset;
    /* A host that was given another name need not be restarted for it. */
    if (g_strcmp0(was->value, will_be->value) == 0 || (!was->origin && !will_be->origin))
        return 0;
    return config_refuse(
        err, will_be->origin ? will_be->origin : "default", key,
        "[%s] %s cannot change while vigild runs (it is %.200s); restart it, or "
        "set it back",
        section, key, was->value ? was->value : "not set");
}

static int check_model(const struct config *running, const struct config_model *model,
                       const struct config *next, struct config_error *err)
{
    const struct config_model *was = config_find_model(running, model->name);
    bool was_missing = was && !was->file.exists && strcmp(was->path, model->path) == 0;
    if (model->file.exists || was_missing)
        return 0;
    g_autofree char *section = g_strdup_printf("model %s", model->name);
    const struct config_setting *path = config_find_setting(next, section, "path");
    return config_refuse(err, path->origin ? path->origin : section, "path",
                         "the file of model %s cannot be opened: %.300s", model->name,
                         model->path);
}

int config_check_change(const struct config *running, const struct config *next,
                        struct config_error *err)
{
    int r = 0;
    for (const struct config_section *section = config_sections; section->name; section++)
        for (const struct config_key *key = section->keys;
             r == 0 && !section->named && key->name; key++)
            if (key->fixed)
                r = check_fixed(running, next, section->name, key->name, err);
    for (size_t i = 0; r == 0 && i < next->model_count; i++)
        r = check_model(running, &next->models[i], next, err);
    return r;
}

static void swap(void *a, void *b, size_t size)
{
    char held[sizeof(struct config)];
    memcpy(held, a, size);
    memcpy(a, b, size);
    memcpy(b, held, size);
}

static size_t member_size(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
        return sizeof(char *);
    case CONFIG_FOLDERS:
        return sizeof(struct config_roots);
    default:
        return sizeof(int64_t);
    }
}

void config_swap(struct config *running, struct config *next)
{
    swap(running, next, sizeof *running);
    for (const struct config_section *section = config_sections; section->name; section++)
        for (const struct config_key *key = section->keys; !section->named && key->name; key++)
            if (key->fixed)
                swap((char *)running + key->offset, (char *)next + key->offset,
                     member_size(key));
}

bool config_model_equal(const struct config_model *a, const struct config_model *b)
{
    if (strcmp(a->path, b->path) != 0 || a->override_count != b->override_count ||
        a->file.exists != b->file.exists || a->file.device != b->file.device ||
        a->file.inode != b->file.inode || a->file.size != b->file.size ||
        a->file.modified_ns != b->file.modified_ns)
        return false;
    for (int i = 0; i < a->override_count; i++)
        if (strcmp(a->overrides[i].key, b->overrides[i].key) != 0 ||
            strcmp(a->overrides[i].value, b->overrides[i].value) != 0)
            return false;
    return true;
}
