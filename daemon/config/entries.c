/* GKeyFile keeps no line numbers, so the text is also scanned line by line, which is where
 * syntax errors and duplicates are found. */
#include "daemon/config/entries.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/keys.h"
#include "record/file.h"
#include "record/text.h"

struct config_entries {
    GHashTable *entries; /* by "section\nkey" */
    GPtrArray *headers;  /* of named sections, in order */
    GHashTable *known;   /* their texts */
};

/* Where a file is being read. */
struct position {
    const char *label, *folder;
    GKeyFile *file;   /* NULL: GKeyFile refused it, the line at fault is looked for */
    GHashTable *seen; /* of this file: "section\nkey" to its line */
    const struct config_section *section;
    char *header;
    char *origin; /* "vigil.conf:12" */
    int line;
};

static void entry_free(gpointer data)
{
    struct config_entry *entry = data;
    g_free(entry->value);
    g_free(entry->origin);
    g_free(entry->folder);
    g_free(entry);
}

static void header_free(gpointer data)
{
    struct config_header *header = data;
    g_free(header->text);
    g_free(header->origin);
    g_free(header);
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

struct config_entries *config_entries_create(void)
{
    struct config_entries *entries = g_new0(struct config_entries, 1);
    entries->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
    entries->headers = g_ptr_array_new_with_free_func(header_free);
    entries->known = g_hash_table_new(g_str_hash, g_str_equal);
    return entries;
}

void config_entries_destroy(struct config_entries *entries)
{
    if (!entries)
        return;
    g_hash_table_unref(entries->known);
    g_ptr_array_unref(entries->headers);
    g_hash_table_unref(entries->entries);
    g_free(entries);
}

static char *place_of(const char *section, const char *key)
{
    return g_strdup_printf("%s\n%s", section, key);
}

void config_entries_set(struct config_entries *entries, const char *section, const char *key,
                        const char *value, const char *origin, const char *folder)
{
    struct config_entry *entry = g_new0(struct config_entry, 1);
    *entry = (struct config_entry){g_strdup(value), g_strdup(origin), g_strdup(folder)};
    g_hash_table_replace(entries->entries, place_of(section, key), entry);
}

const struct config_entry *config_entries_find(const struct config_entries *entries,
                                               const char *section, const char *key)
{
    g_autofree char *place = place_of(section, key);
    return g_hash_table_lookup(entries->entries, place);
}

const struct config_header *config_entries_named(const struct config_entries *entries,
                                                 const char *kind, size_t index)
{
    size_t length = strlen(kind);
    for (guint i = 0; i < entries->headers->len; i++) {
        const struct config_header *header = entries->headers->pdata[i];
        if (strncmp(header->text, kind, length) == 0 && header->text[length] == ' ' &&
            index-- == 0)
            return header;
    }
    return NULL;
}

/* --- lines ------------------------------------------------------------------------------ */

/* The section's row for "server" or "stream NAME"; NULL with the mistake explained. */
static const struct config_section *find_section(const char *header, const char *origin,
                                                 struct config_error *err)
{
    g_auto(GStrv) words = g_strsplit(header, " ", 2);
    const char *kind = words[0] ? words[0] : "";
    const struct config_section *section = config_section_find(kind);
    const char *names[8] = {NULL};
    for (size_t i = 0; config_sections[i].name && i < G_N_ELEMENTS(names) - 1; i++)
        names[i] = config_sections[i].name;
    if (!section) {
        const char *nearest = text_nearest(kind, names);
        refuse(err, origin, "", "unknown section [%.80s]; %s%s%s", header,
               nearest ? "did you mean ["
                       : "known: server, store, worker, jobs, model NAME, stream NAME",
               nearest ? nearest : "", nearest ? "]?" : "");
        return NULL;
    }
    if (section->named && !words[1])
        refuse(err, origin, "", "section [%s] needs a name: [%s NAME]", header, header);
    else if (!section->named && words[1])
        refuse(err, origin, "", "section [%s] takes no name; write [%s]", header, kind);
    else if (section->named && !record_name_is_valid(words[1]))
        refuse(err, origin, "",
               "[%.80s]: a name is 1 to 64 of a-z, 0-9, _ and -, and "
               "starts with a letter or digit",
               header);
    else
        return section;
    return NULL;
}

static int open_section(struct config_entries *entries, struct position *at, const char *line,
                        struct config_error *err)
{
    size_t length = strlen(line);
    if (line[length - 1] != ']')
        return refuse(err, at->origin, "", "a section is written [name] on its own line");
    g_free(at->header);
    at->header = g_strndup(line + 1, length - 2);
    at->section = find_section(at->header, at->origin, err);
    if (!at->section)
        return -EINVAL;
    if (at->section->named && at->file && !g_hash_table_contains(entries->known, at->header)) {
        struct config_header *header = g_new0(struct config_header, 1);
        header->text = g_strdup(at->header);
        header->name = header->text + strlen(at->section->name) + 1;
        header->origin = g_strdup(at->origin);
        g_ptr_array_add(entries->headers, header);
        g_hash_table_add(entries->known, header->text);
    }
    return 0;
}

/* A '#' behind white space is a comment in other formats; taken as it stands it would be part
 * of a path or a label and only show much later. */
static bool holds_comment(const char *raw)
{
    for (const char *p = raw; *p; p++)
        if (g_ascii_isspace(*p) && p[1] == '#')
            return true;
    return false;
}

static int add_pair(struct config_entries *entries, struct position *at, const char *line,
                    struct config_error *err)
{
    const char *equals = strchr(line, '=');
    if (!equals || equals == line)
        return refuse(err, at->origin, "",
                      "this line is no [section], key = value or # comment");
    g_autofree char *key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
    if (!at->section)
        return refuse(err, at->origin, key, "%.60s stands before any [section]", key);
    if (!config_key_find(at->section, key)) {
        struct config_error why;
        g_autofree char *where = g_strdup_printf(" in [%s]", at->header);
        config_key_unknown(at->section, key, "key", where, &why);
        return refuse(err, at->origin, key, "%s", why.text);
    }
    if (holds_comment(equals + 1))
        return refuse(
            err, at->origin, key,
            "a # comment needs a line of its own; a # that is part of %s stands right "
            "behind the = or behind \\s, which is a space",
            key);
    g_autofree char *place = place_of(at->header, key);
    int earlier = GPOINTER_TO_INT(g_hash_table_lookup(at->seen, place));
    if (earlier)
        return refuse(err, at->origin, key, "%s in [%s] is already set on line %d; remove one",
                      key, at->header, earlier);
    g_hash_table_insert(at->seen, g_steal_pointer(&place), GINT_TO_POINTER(at->line));
    if (!at->file)
        return 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *value = g_key_file_get_string(at->file, at->header, key, &error);
    if (error)
        return refuse(err, at->origin, key,
                      "the value of %s holds an unknown escape; write \\\\ for a backslash",
                      key);
    config_entries_set(entries, at->header, key, value, at->origin, at->folder);
    return 0;
}

static int add_line(struct config_entries *entries, struct position *at, char *text,
                    struct config_error *err)
{
    const char *end;
    if (!g_utf8_validate(text, -1, &end))
        return refuse(err, at->origin, "", "byte %td of the line is not UTF-8", end - text + 1);
    const char *line = g_strstrip(text);
    if (!*line || *line == '#')
        return 0;
    return *line == '[' ? open_section(entries, at, line, err)
                        : add_pair(entries, at, line, err);
}

/* One pass over the lines of a text GKeyFile has accepted or refused: says which line is at
 * fault, and adds what the good ones hold. */
static int add_lines(struct config_entries *entries, struct position *at, const char *text,
                     struct config_error *err)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    int r = 0;
    at->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (at->line = 1; r == 0 && lines[at->line - 1]; at->line++) {
        g_free(at->origin);
        at->origin = g_strdup_printf("%s:%d", at->label, at->line);
        r = add_line(entries, at, lines[at->line - 1], err);
    }
    g_hash_table_unref(at->seen);
    g_free(at->origin);
    g_free(at->header);
    return r;
}

/* --- sources ---------------------------------------------------------------------------- */

int config_entries_add_file(struct config_entries *entries, const char *path,
                            struct config_error *err)
{
    char *text;
    size_t size;
    int r = file_read_path(path, CONFIG_FILE_MAX, &text, &size);
    if (r < 0) {
        refuse(err, path, "", "cannot be read: %s",
               r == -EFBIG ? "it is larger than 1 MiB" : file_error_text(r));
        return r == -ENOENT || r == -EACCES ? -ENOENT : -EINVAL;
    }
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_path_get_dirname(path);
    if (strlen(text) != size) {
        r = refuse(err, path, "", "byte %zu is zero; this is no configuration file",
                   strlen(text) + 1);
    } else {
        bool parsed = g_key_file_load_from_data(file, text, size, G_KEY_FILE_NONE, &error);
        struct position at = {.label = path, .folder = folder, .file = parsed ? file : NULL};
        r = add_lines(entries, &at, text, err);
        if (r == 0 && !parsed)
            r = refuse(err, path, "", "%s", error->message);
    }
    free(text);
    return r;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int config_entries_add_folder(struct config_entries *entries, const char *folder,
                              struct config_error *err)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    if (!dir)
        return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)
                   ? 0
                   : refuse(err, folder, "", "cannot be read: %s", error->message);
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
        int r = config_entries_add_file(entries, file, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_variable(struct config_entries *entries, const struct config_section *section,
                        const char *variable, size_t prefix, const char *value,
                        struct config_error *err)
{
    g_autofree char *key = g_ascii_strdown(variable + prefix, -1);
    struct config_error why;
    if (!config_key_find(section, key)) {
        g_autofree char *where = g_strdup_printf(" in [%s]", section->name);
        config_key_unknown(section, key, "key", where, &why);
        return refuse(err, variable, key, "%s", why.text);
    }
    if (!g_utf8_validate(value, -1, NULL))
        return refuse(err, variable, key, "the value is not UTF-8");
    config_entries_set(entries, section->name, key, value, variable, NULL);
    return 0;
}

int config_entries_add_environment(struct config_entries *entries,
                                   const char *const *environment, struct config_error *err)
{
    for (; environment && *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        for (const struct config_section *section = config_sections; equals && section->name;
             section++) {
            g_autofree char *name = g_ascii_strup(section->name, -1);
            g_autofree char *prefix = g_strdup_printf("VIGIL_%s_", name);
            if (section->named || !g_str_has_prefix(*environment, prefix))
                continue;
            g_autofree char *variable = g_strndup(*environment, (gsize)(equals - *environment));
            int r = add_variable(entries, section, variable, strlen(prefix), equals + 1, err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
