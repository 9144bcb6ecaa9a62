/* From entries to the struct: each section that stands once is read by its rows of the table of
 * keys; models and streams have readers of their own. Each reader also notes what is in force
 * and where it was said. */
#include "daemon/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/entries.h"
#include "daemon/config/model.h"
#include "daemon/config/private.h"
#include "daemon/config/value.h"
#include "record/text.h"

static void setting_free(gpointer data)
{
    struct config_setting *setting = data;
    g_free(setting->section);
    g_free(setting->key);
    g_free(setting->value);
    g_free(setting->origin);
    g_free(setting);
}

int config_refuse(struct config_error *err, const char *origin, const char *key,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    snprintf(err->text, sizeof err->text, "%s: %s", origin, message);
    g_strlcpy(err->key, key, sizeof err->key);
    return -EINVAL;
}

void config_warn(struct config *config, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(config->warnings, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

void config_note(struct config *config, const char *section, const char *key, const char *value,
                 const char *origin)
{
    struct config_setting *setting = g_new0(struct config_setting, 1);
    *setting = (struct config_setting){g_strdup(section), g_strdup(key), g_strdup(value),
                                       g_strdup(origin)};
    g_ptr_array_add(config->settings, setting);
}

char *config_absolute_path(const char *path, const char *folder)
{
    if (g_path_is_absolute(path))
        return g_strdup(path);
    if (folder && g_path_is_absolute(folder))
        return g_build_filename(folder, path, NULL);
    g_autofree char *current = g_get_current_dir();
    bool here = !folder || strcmp(folder, ".") == 0;
    return here ? g_build_filename(current, path, NULL)
                : g_build_filename(current, folder, path, NULL);
}

/* --- sections that stand once ----------------------------------------------------------- */

/* Folders are separated by ';'. A comma is what people write, and what a path rarely holds. */
static int read_folders(const struct config_entry *entry, struct config *config,
                        struct config_roots *ret_roots, struct config_error *err)
{
    g_auto(GStrv) folders = g_strsplit(entry->value, ";", 0);
    for (char **folder = folders; *folder; folder++) {
        if (!*g_strstrip(*folder))
            continue;
        if (ret_roots->count == CONFIG_ROOTS_MAX)
            return config_refuse(err, entry->origin, "media_roots", "more than %d media_roots",
                                 CONFIG_ROOTS_MAX);
        g_autofree char *absolute = config_absolute_path(*folder, entry->folder);
        g_autofree char *path = g_canonicalize_filename(absolute, NULL);
        if (strcmp(path, "/") == 0)
            return config_refuse(err, entry->origin, "media_roots",
                                 "the whole file system cannot be a media root; name a folder");
        bool missing = !g_file_test(path, G_FILE_TEST_IS_DIR);
        if (missing && strchr(*folder, ','))
            return config_refuse(err, entry->origin, "media_roots",
                                 "there is no folder \"%.200s\"; write ; between media_roots",
                                 *folder);
        if (missing)
            config_warn(config,
                        "%s: media root %.300s is no folder now; its streams fail until it is "
                        "there",
                        entry->origin, path);
        ret_roots->paths[ret_roots->count++] = g_steal_pointer(&path);
    }
    return 0;
}

static void note_folders(struct config *config, const char *section,
                         const struct config_key *key, const char *origin)
{
    const struct config_roots *roots =
        (const struct config_roots *)((const char *)config + key->offset);
    GString *list = g_string_new(NULL);
    for (size_t i = 0; i < roots->count; i++)
        g_string_append_printf(list, "%s%s", i ? ";" : "", roots->paths[i]);
    config_note(config, section, key->name, list->str, origin);
    g_string_free(list, TRUE);
}

static bool is_text(const struct config_key *key)
{
    return key->type == CONFIG_TEXT || key->type == CONFIG_NAME || key->type == CONFIG_PATH;
}

static int read_key(const struct config_entries *entries, const char *section,
                    const struct config_key *key, struct config *config,
                    struct config_error *err)
{
    const struct config_entry *entry = config_entries_find(entries, section, key->name);
    g_autofree char *found = !entry && key->make_fallback ? key->make_fallback() : NULL;
    const char *text = entry ? entry->value : found ? found : key->fallback;
    char *member = (char *)config + key->offset;
    struct config_value value = {.text = text};
    struct config_error why;
    /* A default of ours need not stand our checks: a host may have a strange name. */
    if ((entry || key->fallback) && config_value_parse(key, text, &value, &why) < 0)
        return config_refuse(err, entry ? entry->origin : section, key->name, "%s", why.text);
    if (key->type == CONFIG_FOLDERS) {
        int r = entry ? read_folders(entry, config, (struct config_roots *)member, err) : 0;
        if (r == 0)
            note_folders(config, section, key, entry ? entry->origin : NULL);
        return r;
    }
    if (key->type == CONFIG_PATH && entry)
        found = config_absolute_path(text, entry->folder);
    if (found)
        value.text = found;
    if (is_text(key))
        *(char **)member = g_strdup(value.text);
    else
        *(int64_t *)member = value.number;
    g_autofree char *shown = config_value_format(key, &value);
    if (entry || shown)
        config_note(config, section, key->name, key->secret ? NULL : shown,
                    entry ? entry->origin : NULL);
    return 0;
}

static int read_plain(const struct config_entries *entries, struct config *config,
                      struct config_error *err)
{
    for (const struct config_section *section = config_sections; section->name; section++)
        for (const struct config_key *key = section->keys; !section->named && key->name;
             key++) {
            int r = read_key(entries, section->name, key, config, err);
            if (r < 0)
                return r;
        }
    return 0;
}

/* --- streams ---------------------------------------------------------------------------- */

static void note_stream(struct config *config, const struct config_entries *entries,
                        const char *section, const struct config_stream *stream)
{
    const struct config_entry *address = config_entries_find(entries, section, "uri");
    json_t *object = config_stream_to_json(stream, true);
    for (const struct config_key *key = config_section_find("stream")->keys; key->name; key++) {
        const struct config_entry *entry = config_entries_find(entries, section, key->name);
        const json_t *member = json_object_get(object, key->name);
        struct config_value value = {
            .text = json_string_value(member),
            .number =
                json_is_integer(member) ? json_integer_value(member) : json_is_true(member),
        };
        if (!member || (key->secret && !*value.text))
            continue;
        if (key->secret && !entry)
            entry = address; /* it was part of the address */
        g_autofree char *shown = key->secret ? NULL : config_value_format(key, &value);
        config_note(config, section, key->name, shown, entry ? entry->origin : NULL);
    }
    json_decref(object);
}

static int read_stream(const struct config_entries *entries, const struct config_header *header,
                       struct config *config, struct config_error *err)
{
    struct config_stream_fields fields = CONFIG_STREAM_FIELDS_NONE;
    struct config_stream *stream = &config->streams[config->stream_count];
    struct config_error why = {{0}};
    int r = 0;
    for (const struct config_key *key = config_section_find("stream")->keys;
         r == 0 && key->name; key++) {
        const struct config_entry *entry =
            config_entries_find(entries, header->text, key->name);
        if (entry)
            r = config_stream_field_parse(&fields, key->name, entry->value, &why);
    }
    if (r == 0)
        r = config_stream_make(header->name, &fields, &config->media_roots, stream, &why);
    if (r == 0)
        r = config_check_stream(config, stream, &why);
    if (r < 0) {
        const struct config_entry *entry = config_entries_find(entries, header->text, why.key);
        return config_refuse(err, entry ? entry->origin : header->origin, why.key, "[%s] %s",
                             header->text, why.text);
    }
    note_stream(config, entries, header->text, stream);
    config->stream_count++;
    return 0;
}

static int read_streams(const struct config_entries *entries, struct config *config,
                        struct config_error *err)
{
    const struct config_header *header;
    config->streams = g_new0(struct config_stream, CONFIG_STREAMS_MAX);
    for (size_t i = 0; (header = config_entries_named(entries, "stream", i)); i++) {
        if (i == CONFIG_STREAMS_MAX)
            return config_refuse(err, header->origin, "", "more than %d streams",
                                 CONFIG_STREAMS_MAX);
        int r = read_stream(entries, header, config, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- public ------------------------------------------------------------------------------- */

/* conf.d beside the file, then what systemd's LoadCredential= gave us: passwords in a file that
 * only root may read, which a service of a user made for it cannot open. */
static int add_folders(const struct config_options *options, const char *file,
                       struct config_entries *entries, struct config_error *err)
{
    g_autofree char *beside = g_path_get_dirname(file);
    g_autofree char *folder = g_build_filename(beside, "conf.d", NULL);
    const char *credentials =
        g_environ_getenv((char **)options->environment, "CREDENTIALS_DIRECTORY");
    int r = config_entries_add_folder(entries, folder, err);
    return r == 0 && credentials ? config_entries_add_folder(entries, credentials, err) : r;
}

static int collect(const struct config_options *options, struct config_entries *entries,
                   struct config_error *err)
{
    const char *file = options->file ? options->file : CONFIG_FILE_DEFAULT;
    int r = 0;
    if (options->file || access(file, F_OK) == 0)
        r = config_entries_add_file(entries, file, err);
    if (r == 0)
        r = add_folders(options, file, entries, err);
    if (r == 0)
        r = config_entries_add_environment(entries, options->environment, err);
    if (r < 0)
        return r;
    if (options->listen)
        config_entries_set(entries, "server", "listen", options->listen, "--listen", NULL);
    if (options->database)
        config_entries_set(entries, "store", "path", options->database, "--database", NULL);
    return 0;
}

int config_load(const struct config_options *options, struct config *ret_config,
                struct config_error *err)
{
    struct config_entries *entries = config_entries_create();
    struct config config = {
        .settings = g_ptr_array_new_with_free_func(setting_free),
        .warnings = g_ptr_array_new_with_free_func(g_free),
    };
    *err = (struct config_error){0};
    int r = collect(options, entries, err);
    if (r == 0)
        r = read_plain(entries, &config, err);
    if (r == 0)
        r = config_models_read(entries, &config, err);
    if (r == 0)
        r = read_streams(entries, &config, err);
    config_entries_destroy(entries);
    if (r < 0)
        config_finish(&config);
    else
        *ret_config = config;
    return r;
}

void config_finish(struct config *config)
{
    for (size_t i = 0; i < config->media_roots.count; i++)
        g_free(config->media_roots.paths[i]);
    for (size_t i = 0; i < config->model_count; i++) {
        g_free(config->models[i].path);
        g_free(config->models[i].overrides);
    }
    g_free(config->models);
    g_free(config->streams);
    g_free(config->listen);
    g_free(config->node);
    g_free(config->database);
    g_free(config->worker);
    g_free(config->tls_ca);
    g_free(config->jobs_data);
    g_free(config->jobs_models);
    g_free(config->jobs_program);
    g_clear_pointer(&config->settings, g_ptr_array_unref);
    g_clear_pointer(&config->warnings, g_ptr_array_unref);
    *config = (struct config){0};
}

const struct config_model *config_find_model(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

const struct config_setting *config_find_setting(const struct config *config,
                                                 const char *section, const char *key)
{
    for (guint i = 0; i < config->settings->len; i++) {
        const struct config_setting *setting = config->settings->pdata[i];
        if (strcmp(setting->section, section) == 0 && strcmp(setting->key, key) == 0)
            return setting;
    }
    return NULL;
}

int config_check_stream(const struct config *config, const struct config_stream *stream,
                        struct config_error *err)
{
    size_t root;
    char below[MESSAGE_URI_SIZE];
    if (stream->scheme == CONFIG_FILE &&
        config_stream_media(stream->uri, &config->media_roots, &root, below, sizeof below) < 0)
        return config_refuse(err, "uri", "uri", "the file is under no folder of media_roots");
    if (config_find_model(config, stream->model))
        return 0;
    const char *names[CONFIG_MODELS_MAX + 1] = {NULL};
    for (size_t i = 0; i < config->model_count; i++)
        names[i] = config->models[i].name;
    const char *nearest = text_nearest(stream->model, names);
    return config_refuse(err, "model", "model", "there is no model \"%s\"; %s%s", stream->model,
                         nearest ? "did you mean " : "configure it in a section [model NAME]",
                         nearest ? nearest : "");
}
