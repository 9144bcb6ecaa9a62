#include "cli/known.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "record/text.h"

#define NAMES_SHOWN 12 /* more than these are no help on one line */

/* The names of an answer of the API; freed with g_ptr_array_unref(). NULL when there may be
 * others that it cannot tell. The strings are the answer's. */
typedef GPtrArray *collect(const json_t *answer);

static GPtrArray *collect_streams(const json_t *answer)
{
    GPtrArray *names = g_ptr_array_new();
    size_t index;
    json_t *stream;
    json_array_foreach (json_object_get(answer, "streams"), index, stream) {
        const char *name = json_string_value(json_object_get(stream, "name"));
        if (name)
            g_ptr_array_add(names, (gpointer)name);
    }
    return names;
}

static void collect_thresholds(const json_t *thresholds, GPtrArray *labels)
{
    size_t index;
    json_t *threshold;
    json_array_foreach (thresholds, index, threshold) {
        const char *label = json_string_value(json_object_get(threshold, "label"));
        bool background = json_is_true(json_object_get(threshold, "background"));
        if (label && !background &&
            !g_ptr_array_find_with_equal_func(labels, label, g_str_equal, NULL))
            g_ptr_array_add(labels, (gpointer)label);
    }
}

/* What is the background of a model is its label and never a detection. */
static GPtrArray *collect_labels(const json_t *answer)
{
    GPtrArray *labels = g_ptr_array_new();
    size_t index;
    json_t *model;
    json_array_foreach (json_object_get(answer, "models"), index, model) {
        const json_t *thresholds = json_object_get(model, "thresholds");
        if (!json_is_array(thresholds)) {
            g_ptr_array_unref(labels);
            return NULL;
        }
        collect_thresholds(thresholds, labels);
    }
    return labels;
}

static const struct kind {
    const char *filter; /* of GET /detections */
    const char *path;   /* where the names are */
    collect *collect;
    const char *absent; /* "there is no stream" */
    const char *none;   /* said instead of the names when there are none */
} kinds[] = {
    {"stream", "/streams", collect_streams, "there is no stream",
     "none is watched yet; vigil streams add NAME URI adds one"},
    {"label", "/models", collect_labels, "no model detects", "the models detect nothing"},
};

/* "front, gate". */
static char *list(const GPtrArray *names)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < names->len && i < NAMES_SHOWN; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "", (const char *)names->pdata[i]);
    if (names->len > NAMES_SHOWN)
        g_string_append_printf(text, ", and %u more", names->len - NAMES_SHOWN);
    return g_string_free(text, FALSE);
}

/* One line about a name that is not there; the exit code for it. */
static int refuse(const struct kind *kind, const char *name, GPtrArray *names)
{
    g_autofree char *all = list(names);
    g_ptr_array_add(names, NULL);
    const char *nearest = text_nearest(name, (const char *const *)names->pdata);
    return cli_fail(CLI_CHECK_FAILED, "%s \"%s\" (%s)%s%s%s", kind->absent, name,
                    *all ? all : kind->none, nearest ? "; did you mean " : "",
                    nearest ? nearest : "", nearest ? "?" : "");
}

static void tell_gone(const struct kind *kind, const char *name, const GPtrArray *names)
{
    g_autofree char *all = list(names);
    g_autofree char *text =
        g_strdup_printf("%s \"%s\" now (%s), only detections from before; waiting for it",
                        kind->absent, name, *all ? all : kind->none);
    g_autofree char *line = output_printable(text);
    fprintf(stderr, "vigil: %s\n", line);
}

/* Whether a detection of that name is stored. */
static int ask_stored(struct client *client, const struct kind *kind, const char *name,
                      bool *ret_stored)
{
    g_autofree char *query = client_query(kind->filter, name, "limit", "1", NULL);
    g_autofree char *path = g_strconcat("/detections", query, NULL);
    json_t *answer = NULL;
    int result = client_request(client, "GET", path, NULL, &answer);
    if (result == CLI_OK)
        *ret_stored = json_array_size(json_object_get(answer, "detections")) > 0;
    json_decref(answer);
    return result;
}

static int check_name(struct client *client, const struct kind *kind, const char *name,
                      bool waits)
{
    json_t *answer = NULL;
    bool stored = false;
    int result = client_get_optional(client, kind->path, &answer);
    GPtrArray *names = answer ? kind->collect(answer) : NULL;
    if (names && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
        result = ask_stored(client, kind, name, &stored);
        if (result == CLI_OK && !stored)
            result = refuse(kind, name, names);
        else if (result == CLI_OK && waits)
            tell_gone(kind, name, names);
    }
    g_clear_pointer(&names, g_ptr_array_unref);
    json_decref(answer);
    return result;
}

int known_check(struct client *client, const char *stream, const char *label, bool waits)
{
    const char *const given[G_N_ELEMENTS(kinds)] = {stream, label};
    int result = CLI_OK;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds) && result == CLI_OK; i++)
        if (given[i] && *given[i])
            result = check_name(client, &kinds[i], given[i], waits);
    return result;
}
