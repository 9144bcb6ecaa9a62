#include "cli/recordings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "record/file.h"

#define TABLE_BYTES_MAX   (64 << 20)
#define PATTERN_BYTES_MAX 256

struct listing {
    const struct recordings_kind *kind;
    GRegex *pattern; /* NULL: none */
    GPtrArray *list; /* of struct recording */
};

static void free_recording(gpointer data)
{
    struct recording *recording = data;
    g_free(recording->path);
    g_free(recording->label);
    g_free(recording->source);
    g_free(recording);
}

/* Takes its texts. */
static struct recording *add(struct listing *l, char *path, char *label, char *source)
{
    struct recording *recording = g_new0(struct recording, 1);
    *recording =
        (struct recording){.path = path, .label = label, .source = source, .end = HUGE_VAL};
    g_ptr_array_add(l->list, recording);
    return recording;
}

static gint by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- folders ------------------------------------------------------------------------------- */

/* Names in a folder, sorted; NULL with a line said. */
static GPtrArray *list_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    if (!dir) {
        cli_fail(CLI_NO_INPUT, "%s: the folder cannot be read: %s", folder, cli_reason(error));
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir));)
        if (*name != '.')
            g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_text);
    return names;
}

static bool is_one(const struct listing *l, const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_REGULAR) && l->kind->is_one(path);
}

static int add_class(struct listing *l, const char *folder, const char *label)
{
    g_autoptr(GPtrArray) names = list_folder(folder);
    for (guint i = 0; names && i < names->len; i++) {
        char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (is_one(l, path))
            add(l, path, g_strdup(label), g_strdup(path));
        else
            g_free(path);
    }
    return names ? CLI_OK : CLI_NO_INPUT;
}

static int add_classes(struct listing *l, const char *folder, const GPtrArray *names)
{
    guint before = l->list->len;
    int result = CLI_OK;
    for (guint i = 0; result == CLI_OK && i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            result = add_class(l, path, names->pdata[i]);
    }
    if (result == CLI_OK && l->list->len == before)
        return cli_fail(CLI_NO_INPUT,
                        "%s: no folder in it has a %s (%s): a folder for each class is what is "
                        "read",
                        folder, l->kind->word, l->kind->suffixes);
    return result;
}

/* A file whose name fits the pattern; whether it does. */
static bool add_named(struct listing *l, const char *path)
{
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *name = g_path_get_basename(path);
    if (!is_one(l, path) || !g_regex_match(l->pattern, name, 0, &match))
        return false;
    char *source = g_match_info_fetch_named(match, "source");
    add(l, g_strdup(path), g_match_info_fetch_named(match, "label"),
        source ? source : g_strdup(path));
    return true;
}

/* Files of the folder itself, by their names. */
static int add_all_named(struct listing *l, const char *folder, const GPtrArray *names)
{
    bool any = false;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        any |= add_named(l, path);
    }
    return any ? CLI_OK
               : cli_fail(CLI_NO_INPUT, "%s: no %s in it (%s) has a name like %s", folder,
                          l->kind->word, l->kind->suffixes, l->kind->pattern);
}

static int add_folder(struct listing *l, const char *folder)
{
    g_autoptr(GPtrArray) names = list_folder(folder);
    if (!names)
        return CLI_NO_INPUT;
    return l->pattern ? add_all_named(l, folder, names) : add_classes(l, folder, names);
}

/* The words of a pattern as groups of a regular expression, all else as it is. */
static int read_pattern(struct listing *l)
{
    static const struct {
        const char *word, *means;
    } words[] = {{"{label}", "(?<label>.+?)"}, {"{source}", "(?<source>.+?)"}, {"*", ".*"}};
    const char *pattern = l->kind->pattern;
    if (!pattern)
        return CLI_OK;
    g_autoptr(GString) expression = g_string_new("^");
    for (const char *at = pattern; *at;) {
        size_t i = 0;
        while (i < G_N_ELEMENTS(words) && !g_str_has_prefix(at, words[i].word))
            i++;
        g_autofree char *plain = g_regex_escape_string(at, 1);
        g_string_append(expression, i < G_N_ELEMENTS(words) ? words[i].means : plain);
        at += i < G_N_ELEMENTS(words) ? strlen(words[i].word) : 1;
    }
    g_string_append_c(expression, '$');
    g_autoptr(GError) error = NULL;
    if (strlen(pattern) <= PATTERN_BYTES_MAX && strstr(pattern, "{label}") &&
        !strchr(pattern, '/'))
        l->pattern = g_regex_new(expression->str, G_REGEX_RAW | G_REGEX_DOTALL, 0, &error);
    return l->pattern
               ? CLI_OK
               : cli_fail(CLI_CONFIG,
                          "[data] pattern: '%s' should be a file's name with {label} and, "
                          "if wanted, {source} once, and * for any text, as "
                          "{label}_{source}_*.wav",
                          pattern);
}

/* --- tables -------------------------------------------------------------------------------- */

/* Columns of a table by what they are called. */
struct columns {
    int path, label, source, start, end, count;
};

static int find_columns(const char *table, const char *line, struct columns *ret_columns)
{
    struct columns c = {-1, -1, -1, -1, -1, 0};
    g_auto(GStrv) names = g_strsplit(line, ",", -1);
    for (; names[c.count]; c.count++) {
        const char *name = g_strstrip(names[c.count]);
        int *const places[] = {&c.path, &c.path, &c.label, &c.source, &c.start, &c.end};
        static const char *const known[] = {"path", "clip", "label", "source", "start", "end"};
        for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
            if (strcmp(name, known[i]) == 0)
                *places[i] = c.count;
    }
    *ret_columns = c;
    return c.path >= 0 && c.label >= 0
               ? CLI_OK
               : cli_fail(CLI_CONFIG,
                          "%s, line 1: names the columns: path and label, and, if wanted, "
                          "source, start and end",
                          table);
}

static bool read_seconds(const char *text, double *ret_seconds)
{
    char *end;
    *ret_seconds = g_ascii_strtod(text, &end);
    return end != text && *end == '\0' && *ret_seconds >= 0 && *ret_seconds < 1e9;
}

/* Of a row; "": from the beginning, to the end. */
static int read_times(const struct listing *l, struct recording *recording, const char *start,
                      const char *end, const char *table, guint number)
{
    recording->timed = *start || *end;
    if (*start && !read_seconds(start, &recording->start))
        return cli_fail(CLI_CONFIG, "%s, line %u: start should be seconds", table, number);
    if (*end && (!read_seconds(end, &recording->end) || recording->end <= recording->start))
        return cli_fail(CLI_CONFIG, "%s, line %u: end should be seconds, behind start", table,
                        number);
    return recording->timed && l->kind->no_times
               ? cli_fail(CLI_CONFIG, "%s, line %u: has times: %s", table, number,
                          l->kind->no_times)
               : CLI_OK;
}

static int add_row(struct listing *l, const char *table, guint number, const char *line,
                   const struct columns *c)
{
    g_auto(GStrv) cells = g_strsplit(line, ",", -1);
    if ((int)g_strv_length(cells) != c->count)
        return cli_fail(CLI_CONFIG, "%s, line %u: has %u columns, not %d", table, number,
                        g_strv_length(cells), c->count);
    for (char **cell = cells; *cell; cell++)
        g_strstrip(*cell);
    if (!*cells[c->label])
        return cli_fail(CLI_CONFIG, "%s, line %u: has no label", table, number);
    g_autofree char *beside = g_path_get_dirname(table);
    char *path = g_canonicalize_filename(cells[c->path], beside);
    bool sourced = c->source >= 0 && *cells[c->source];
    struct recording *recording =
        add(l, path, g_strdup(cells[c->label]), g_strdup(sourced ? cells[c->source] : path));
    return read_times(l, recording, c->start >= 0 ? cells[c->start] : "",
                      c->end >= 0 ? cells[c->end] : "", table, number);
}

static int add_table(struct listing *l, const char *table)
{
    char *text = NULL;
    size_t size = 0;
    struct columns columns = {0};
    int e = file_read_path(table, TABLE_BYTES_MAX, &text, &size);
    if (e < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", table, file_error_text(e));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    free(text);
    int result = find_columns(table, *lines ? *lines : "", &columns);
    for (guint i = 1; result == CLI_OK && lines[i]; i++)
        if (*g_strstrip(lines[i]))
            result = add_row(l, table, i + 1, lines[i], &columns);
    return result;
}

/* ------------------------------------------------------------------------------------------- */

int recordings_list(char *const *paths, const struct recordings_kind *kind,
                    GPtrArray **ret_list)
{
    struct listing l = {.kind = kind, .list = g_ptr_array_new_with_free_func(free_recording)};
    int result = read_pattern(&l);
    for (; *paths && result == CLI_OK; paths++) {
        if (g_file_test(*paths, G_FILE_TEST_IS_DIR))
            result = add_folder(&l, *paths);
        else if (!l.pattern || !add_named(&l, *paths))
            result = add_table(&l, *paths);
    }
    if (l.pattern)
        g_regex_unref(l.pattern);
    if (result == CLI_OK)
        *ret_list = l.list;
    else
        g_ptr_array_unref(l.list);
    return result;
}

int recordings_name_classes(const GPtrArray *list, struct train_names *ret_classes)
{
    g_autoptr(GPtrArray) labels = g_ptr_array_new();
    for (guint i = 0; i < list->len; i++)
        g_ptr_array_add(labels, ((struct recording *)list->pdata[i])->label);
    g_ptr_array_sort(labels, by_text);
    for (guint i = 0; i < labels->len; i++)
        if (train_names_add(ret_classes, labels->pdata[i], strlen(labels->pdata[i])) < 0)
            return cli_fail(CLI_CONFIG, "class '%.80s' is one too many, or too long a name",
                            (char *)labels->pdata[i]);
    return CLI_OK;
}
