/* Every source adds entries (section, key, value, where it was said) to one list, in order of
 * rising rank, a later one replacing an earlier; then the list is read once into the struct.
 * So each mistake knows its place, whatever source it came from.
 *
 * GKeyFile decides what a value is (escapes, UTF-8); it keeps no line numbers, so the text is
 * also scanned line by line, which is where syntax errors and duplicates are found. */
#include "daemon/config.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config_model.h"

#define RETENTION_DAYS_DEFAULT 30
#define RETENTION_DAYS_MAX     36500

struct entry {
    char *section; /* "server", "stream front-door" */
    char *key;
    char *value;
    char *origin; /* "vigil.conf:12", "VIGIL_SERVER_LISTEN", "--listen" */
    char *folder; /* relative paths start here; NULL: the current one */
};

static const char *const server_keys[] = {"listen", "node", "media_roots", NULL};
static const char *const store_keys[] = {"path", "retention_days", NULL};
static const char *const worker_keys[] = {"program", NULL};
static const char *const stream_keys[] = {"uri",     "user", "password", "model",
                                          "enabled", "loop", NULL};
/* `named` sections stand once per name: [stream front-door]. */
static const struct section {
    const char *name;
    bool named;
    const char *const *keys;
} sections[] = {
    {"server", false, server_keys}, {"store", false, store_keys},
    {"worker", false, worker_keys}, {"model", true, config_model_keys},
    {"stream", true, stream_keys},
};

static void entry_free(gpointer data)
{
    struct entry *entry = data;
    g_free(entry->section);
    g_free(entry->key);
    g_free(entry->value);
    g_free(entry->origin);
    g_free(entry->folder);
    g_free(entry);
}

__attribute__((format(printf, 4, 5))) static int refuse(struct config_error *err,
                                                        const char *origin, const char *key,
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

static struct entry *find_entry(GPtrArray *entries, const char *section, const char *key)
{
    for (guint i = 0; i < entries->len; i++) {
        struct entry *entry = entries->pdata[i];
        if (strcmp(entry->section, section) == 0 && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

static void set_entry(GPtrArray *entries, const char *section, const char *key,
                      const char *value, const char *origin, const char *folder)
{
    struct entry *entry = find_entry(entries, section, key);
    if (!entry) {
        entry = g_new0(struct entry, 1);
        entry->section = g_strdup(section);
        entry->key = g_strdup(key);
        g_ptr_array_add(entries, entry);
    }
    g_free(entry->value);
    g_free(entry->origin);
    g_free(entry->folder);
    entry->value = g_strdup(value);
    entry->origin = g_strdup(origin);
    entry->folder = g_strdup(folder);
}

/* The section's row for "server" or "stream NAME"; NULL with the mistake explained. */
static const struct section *find_section(const char *header, const char *origin,
                                          struct config_error *err)
{
    const char *names[G_N_ELEMENTS(sections) + 1] = {NULL};
    g_auto(GStrv) words = g_strsplit(header, " ", 2);
    for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
        names[i] = sections[i].name;
        if (!words[0] || strcmp(words[0], sections[i].name) != 0)
            continue;
        if (sections[i].named && !words[1]) {
            refuse(err, origin, "", "section [%s] needs a name: [%s NAME]", header, header);
            return NULL;
        }
        if (!sections[i].named && words[1]) {
            refuse(err, origin, "", "section [%s] takes no name; write [%s]", header, words[0]);
            return NULL;
        }
        if (sections[i].named && !record_name_is_valid(words[1])) {
            refuse(err, origin, "",
                   "[%.80s]: a name is 1 to 64 of a-z, 0-9, _ and -, and "
                   "starts with a letter or digit",
                   header);
            return NULL;
        }
        return &sections[i];
    }
    const char *nearest = words[0] ? config_nearest(words[0], names) : NULL;
    refuse(err, origin, "", "unknown section [%.80s]; %s%s%s", header,
           nearest ? "did you mean [" : "known: server, store, worker, model NAME, stream NAME",
           nearest ? nearest : "", nearest ? "]?" : "");
    return NULL;
}

static int check_key(const struct section *section, const char *header, const char *key,
                     const char *origin, struct config_error *err)
{
    for (const char *const *known = section->keys; *known; known++)
        if (strcmp(*known, key) == 0)
            return 0;
    const char *nearest = config_nearest(key, section->keys);
    g_autofree char *all = g_strjoinv(", ", (char **)section->keys);
    return refuse(err, origin, key, "unknown key \"%.60s\" in [%s]; %s%s", key, header,
                  nearest ? "did you mean " : "known: ", nearest ? nearest : all);
}

/* One pass over the lines of a text GKeyFile has accepted or refused: says which line is at
 * fault, and adds what the good ones hold. */
static int add_lines(GPtrArray *entries, GKeyFile *file, const char *text, const char *label,
                     const char *folder, struct config_error *err)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *header = NULL;
    const struct section *section = NULL;
    for (int n = 1; lines[n - 1]; n++) {
        g_autofree char *origin = g_strdup_printf("%s:%d", label, n);
        char *line = g_strstrip(lines[n - 1]);
        if (!*line || *line == '#')
            continue;
        if (*line == '[') {
            size_t length = strlen(line);
            if (line[length - 1] != ']')
                return refuse(err, origin, "", "a section is written [name] on its own line");
            g_free(header);
            header = g_strndup(line + 1, length - 2);
            section = find_section(header, origin, err);
            if (!section)
                return -EINVAL;
            continue;
        }
        char *equals = strchr(line, '=');
        if (!equals || equals == line)
            return refuse(err, origin, "",
                          "this line is no [section], key = value or # "
                          "comment");
        g_autofree char *key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
        if (!section)
            return refuse(err, origin, key, "%.60s stands before any [section]", key);
        int r = check_key(section, header, key, origin, err);
        if (r < 0)
            return r;
        g_autofree char *place = g_strdup_printf("%s\n%s", header, key);
        int earlier = GPOINTER_TO_INT(g_hash_table_lookup(seen, place));
        if (earlier)
            return refuse(err, origin, key, "%s in [%s] is already set on line %d; remove one",
                          key, header, earlier);
        g_hash_table_insert(seen, g_steal_pointer(&place), GINT_TO_POINTER(n));
        if (!file)
            continue;
        g_autoptr(GError) error = NULL;
        g_autofree char *value = g_key_file_get_string(file, header, key, &error);
        if (error)
            return refuse(err, origin, key,
                          "the value of %s is not UTF-8 or holds an unknown "
                          "escape; write \\\\ for a backslash",
                          key);
        set_entry(entries, header, key, value, origin, folder);
    }
    return 0;
}

static int add_file(GPtrArray *entries, const char *path, struct config_error *err)
{
    struct stat status;
    g_autofree char *text = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;
    if (stat(path, &status) == 0 &&
        (!S_ISREG(status.st_mode) || status.st_size > CONFIG_FILE_MAX))
        return refuse(err, path, "", "not a file of at most 1 MiB");
    if (!g_file_get_contents(path, &text, &size, &error)) {
        refuse(err, path, "", "cannot be read: %s", error->message);
        return -ENOENT;
    }
    if (size > CONFIG_FILE_MAX || strlen(text) != size)
        return refuse(err, path, "",
                      "holds a zero byte or more than 1 MiB; this is no "
                      "configuration file");
    g_autoptr(GKeyFile) file = g_key_file_new();
    bool parsed = g_key_file_load_from_data(file, text, size, G_KEY_FILE_NONE, &error);
    g_autofree char *folder = g_path_get_dirname(path);
    int r = add_lines(entries, parsed ? file : NULL, text, path, folder, err);
    if (r == 0 && !parsed)
        r = refuse(err, path, "", "%s", error->message);
    return r;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* conf.d beside `path`, in order of name. */
static int add_folder(GPtrArray *entries, const char *path, struct config_error *err)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *folder = g_build_filename(parent, "conf.d", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    if (!dir)
        return 0;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(name, ".conf") || *name == '.')
            continue;
        if (names->len == CONFIG_FILES_MAX)
            return refuse(err, folder, "", "holds more than %d files", CONFIG_FILES_MAX);
        g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *file = g_build_filename(folder, names->pdata[i], NULL);
        int r = add_file(entries, file, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* VIGIL_SERVER_LISTEN and its like. Other variables that start with VIGIL_ (VIGIL_URL) belong
 * to other programs. */
static int add_environment(GPtrArray *entries, const char *const *environment,
                           struct config_error *err)
{
    for (; environment && *environment; environment++) {
        for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
            if (sections[i].named)
                continue;
            g_autofree char *section = g_ascii_strup(sections[i].name, -1);
            g_autofree char *prefix = g_strdup_printf("VIGIL_%s_", section);
            const char *equals = strchr(*environment, '=');
            if (!equals || !g_str_has_prefix(*environment, prefix))
                continue;
            g_autofree char *variable = g_strndup(*environment, (gsize)(equals - *environment));
            g_autofree char *key = g_ascii_strdown(variable + strlen(prefix), -1);
            int r = check_key(&sections[i], sections[i].name, key, variable, err);
            if (r < 0)
                return r;
            if (!g_utf8_validate(equals + 1, -1, NULL))
                return refuse(err, variable, key, "the value is not UTF-8");
            set_entry(entries, sections[i].name, key, equals + 1, variable, NULL);
        }
    }
    return 0;
}

/* --- from entries to the struct --------------------------------------------------------- */

static char *absolute_path(const char *path, const char *folder)
{
    return folder && !g_path_is_absolute(path) ? g_build_filename(folder, path, NULL)
                                               : g_strdup(path);
}

/* The first of these that exists, else the last: where programs and models stand beside us in
 * the build tree, and where they are installed. */
static char *find_installed(const char *const *candidates)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[MAX(length, 0)] = '\0';
    g_autofree char *folder = g_path_get_dirname(program);
    for (;; candidates++) {
        char *path = absolute_path(*candidates, folder);
        if (!candidates[1] || access(path, R_OK) == 0)
            return path;
        g_free(path);
    }
}

static void default_node(char node[RECORD_NAME_SIZE])
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    size_t n = 0;
    for (const char *p = host; *p && n < RECORD_NAME_SIZE - 1; p++) {
        char c = g_ascii_tolower(*p);
        if (g_ascii_isalnum(c) || (n > 0 && (c == '-' || c == '_')))
            node[n++] = c;
    }
    node[n] = '\0';
    if (n == 0)
        g_strlcpy(node, "vigil", RECORD_NAME_SIZE);
}

static int read_server(GPtrArray *entries, struct config *config, struct config_error *err)
{
    const struct entry *entry = find_entry(entries, "server", "listen");
    g_strlcpy(config->listen, "127.0.0.1:8470", sizeof config->listen);
    if (entry && (!*entry->value || g_strlcpy(config->listen, entry->value,
                                              sizeof config->listen) >= sizeof config->listen))
        return refuse(err, entry->origin, "listen",
                      "listen must be an address and a port, "
                      "such as 127.0.0.1:8470");
    config->listen_origin = entry ? g_strdup(entry->origin) : NULL;
    entry = find_entry(entries, "server", "node");
    default_node(config->node);
    if (entry && !record_name_is_valid(entry->value))
        return refuse(err, entry->origin, "node", "node must be 1 to 64 of a-z, 0-9, _ and -");
    if (entry)
        g_strlcpy(config->node, entry->value, sizeof config->node);
    entry = find_entry(entries, "server", "media_roots");
    g_auto(GStrv) roots = g_strsplit(entry ? entry->value : "", ";", 0);
    for (char **root = roots; *root; root++) {
        if (!*g_strstrip(*root))
            continue;
        if (config->media_roots.count == CONFIG_ROOTS_MAX)
            return refuse(err, entry->origin, "media_roots", "more than %d media_roots",
                          CONFIG_ROOTS_MAX);
        g_autofree char *path = absolute_path(*root, entry->folder);
        char *canonical = g_canonicalize_filename(path, NULL);
        if (strcmp(canonical, "/") == 0) {
            g_free(canonical);
            return refuse(err, entry->origin, "media_roots",
                          "the whole file system cannot be "
                          "a media root; name a folder");
        }
        config->media_roots.paths[config->media_roots.count++] = canonical;
    }
    return 0;
}

static int read_store(GPtrArray *entries, struct config *config, struct config_error *err)
{
    const struct entry *entry = find_entry(entries, "store", "path");
    if (entry && !*entry->value)
        return refuse(err, entry->origin, "path", "path is empty; name the database file");
    const char *state = g_getenv("STATE_DIRECTORY");
    config->database =
        entry ? absolute_path(entry->value, entry->folder)
              : g_build_filename(state && *state ? state : "/var/lib/vigil", "vigil.db", NULL);
    entry = find_entry(entries, "store", "retention_days");
    guint64 days = RETENTION_DAYS_DEFAULT;
    if (entry &&
        !g_ascii_string_to_unsigned(entry->value, 10, 0, RETENTION_DAYS_MAX, &days, NULL))
        return refuse(err, entry->origin, "retention_days",
                      "retention_days must be a whole "
                      "number from 0 (keep all) to %d",
                      RETENTION_DAYS_MAX);
    config->retention_days = (int)days;
    return 0;
}

static int read_worker(GPtrArray *entries, struct config *config, struct config_error *err)
{
    static const char *const places[] = {"vigil-worker", "../pipeline/vigil-worker",
                                         VIGIL_LIBEXECDIR "/vigil-worker", NULL};
    const struct entry *entry = find_entry(entries, "worker", "program");
    if (entry && !*entry->value)
        return refuse(err, entry->origin, "program", "program is empty; name vigil-worker");
    config->worker =
        entry ? absolute_path(entry->value, entry->folder) : find_installed(places);
    return 0;
}

/* The first entry of each section "KIND NAME" in turn; NULL after the last. */
static const struct entry *next_named(GPtrArray *entries, const char *kind, guint *position)
{
    for (guint i = *position; i < entries->len; i++) {
        const struct entry *entry = entries->pdata[i];
        bool first = true;
        for (guint j = 0; j < i && first; j++)
            first = strcmp(((struct entry *)entries->pdata[j])->section, entry->section) != 0;
        if (first && g_str_has_prefix(entry->section, kind)) {
            *position = i + 1;
            return entry;
        }
    }
    return NULL;
}

static int read_model(GPtrArray *entries, const char *section, const char *origin,
                      struct config_model *model, struct config_error *err)
{
    g_strlcpy(model->name, section + strlen("model "), sizeof model->name);
    const struct entry *path = find_entry(entries, section, "path");
    if (path && *path->value)
        model->path = absolute_path(path->value, path->folder);
    else if (path || strcmp(model->name, "scene") != 0)
        return refuse(err, path ? path->origin : origin, "path",
                      "[%s] has no path; name its ONNX file", section);
    model->overrides = g_new0(struct message_override, MESSAGE_OVERRIDES_MAX);
    struct config_error why;
    for (const char *const *key = config_model_keys + 1; *key; key++) {
        const struct entry *entry = find_entry(entries, section, *key);
        if (entry && config_override_add(model->overrides, &model->override_count, *key,
                                         entry->value, &why) < 0)
            return refuse(err, entry->origin, *key, "%s", why.text);
    }
    /* The worker gets a descriptor and could not find what lies beside the model. */
    return model->path && config_sidecar_read(model->path, model->overrides,
                                              &model->override_count, err) < 0
               ? -EINVAL
               : 0;
}

static int read_models(GPtrArray *entries, struct config *config, struct config_error *err)
{
    static const char *const places[] = {"../models/scene.onnx", "../../models/scene.onnx",
                                         VIGIL_DATADIR "/models/scene.onnx", NULL};
    config->models = g_new0(struct config_model, CONFIG_MODELS_MAX);
    guint position = 0;
    const struct entry *first;
    while ((first = next_named(entries, "model ", &position))) {
        if (config->model_count == CONFIG_MODELS_MAX - 1) /* one is kept for `scene` */
            return refuse(err, first->origin, "", "more than %d models", CONFIG_MODELS_MAX - 1);
        int r = read_model(entries, first->section, first->origin,
                           &config->models[config->model_count++], err);
        if (r < 0)
            return r;
    }
    struct config_model *scene = (struct config_model *)config_find_model(config, "scene");
    if (!scene) {
        scene = &config->models[config->model_count++];
        g_strlcpy(scene->name, "scene", sizeof scene->name);
    }
    if (!scene->path)
        scene->path = find_installed(places);
    return 0;
}

static const char *value_of(GPtrArray *entries, const char *section, const char *key)
{
    const struct entry *entry = find_entry(entries, section, key);
    return entry ? entry->value : NULL;
}

static int read_flag(GPtrArray *entries, const char *section, const char *key, int *ret_flag,
                     struct config_error *err)
{
    const struct entry *entry = find_entry(entries, section, key);
    if (!entry)
        return 0;
    bool yes = strcmp(entry->value, "true") == 0 || strcmp(entry->value, "1") == 0;
    if (!yes && strcmp(entry->value, "false") != 0 && strcmp(entry->value, "0") != 0)
        return refuse(err, entry->origin, key, "%s must be true or false", key);
    *ret_flag = yes;
    return 0;
}

static int read_stream(GPtrArray *entries, const char *section, const char *origin,
                       struct config *config, struct config_error *err)
{
    struct config_stream_fields fields = {
        .uri = value_of(entries, section, "uri"),
        .user = value_of(entries, section, "user"),
        .password = value_of(entries, section, "password"),
        .model = value_of(entries, section, "model"),
        .enabled = -1,
        .loop = -1,
    };
    int r = read_flag(entries, section, "enabled", &fields.enabled, err);
    if (r == 0)
        r = read_flag(entries, section, "loop", &fields.loop, err);
    if (r < 0)
        return r;
    struct config_stream *stream = &config->streams[config->stream_count];
    struct config_error why = {{0}};
    r = config_stream_make(section + strlen("stream "), &fields, &config->media_roots, stream,
                           &why);
    if (r == 0)
        r = config_check_stream(config, stream, &why);
    if (r < 0) {
        const struct entry *entry = find_entry(entries, section, why.key);
        return refuse(err, entry ? entry->origin : origin, why.key, "[%s] %s", section,
                      why.text);
    }
    config->stream_count++;
    return 0;
}

static int read_streams(GPtrArray *entries, struct config *config, struct config_error *err)
{
    config->streams = g_new0(struct config_stream, CONFIG_STREAMS_MAX);
    guint position = 0;
    const struct entry *first;
    while ((first = next_named(entries, "stream ", &position))) {
        if (config->stream_count == CONFIG_STREAMS_MAX)
            return refuse(err, first->origin, "", "more than %d streams", CONFIG_STREAMS_MAX);
        int r = read_stream(entries, first->section, first->origin, config, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int config_load(const struct config_options *options, struct config *ret_config,
                struct config_error *err)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    struct config config = {0};
    *err = (struct config_error){0};
    const char *file = options->file;
    int r = 0;
    if (!file && access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        file = CONFIG_FILE_DEFAULT;
    if (file)
        r = add_file(entries, file, err);
    if (r == 0 && file)
        r = add_folder(entries, file, err);
    if (r == 0)
        r = add_environment(entries, options->environment, err);
    if (r < 0)
        return r;
    if (options->listen)
        set_entry(entries, "server", "listen", options->listen, "--listen", NULL);
    if (options->database)
        set_entry(entries, "store", "path", options->database, "--database", NULL);
    r = read_server(entries, &config, err);
    if (r == 0)
        r = read_store(entries, &config, err);
    if (r == 0)
        r = read_worker(entries, &config, err);
    if (r == 0)
        r = read_models(entries, &config, err);
    if (r == 0)
        r = read_streams(entries, &config, err);
    if (r < 0) {
        config_finish(&config);
        return r;
    }
    *ret_config = config;
    return 0;
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
    g_free(config->listen_origin);
    g_free(config->database);
    g_free(config->worker);
    *config = (struct config){0};
}

const struct config_model *config_find_model(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

int config_check_stream(const struct config *config, const struct config_stream *stream,
                        struct config_error *err)
{
    if (config_find_model(config, stream->model))
        return 0;
    const char *names[CONFIG_MODELS_MAX + 1] = {NULL};
    for (size_t i = 0; i < config->model_count; i++)
        names[i] = config->models[i].name;
    const char *nearest = config_nearest(stream->model, names);
    return refuse(err, "model", "model", "there is no model \"%s\"; %s%s", stream->model,
                  nearest ? "did you mean " : "configure it in a section [model NAME]",
                  nearest ? nearest : "");
}
