#include "daemon/config/show.h"

#include <string.h>

#include "daemon/config/keys.h"
#include "daemon/config/value.h"

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

char *config_summary(const struct config *config)
{
    size_t disabled = 0;
    for (size_t i = 0; i < config->stream_count; i++)
        disabled += !config->streams[i].enabled;
    g_autofree char *off =
        disabled ? g_strdup_printf(" (%zu disabled)", disabled) : g_strdup("");
    g_autofree char *kept =
        config->retention_days
            ? g_strdup_printf("%" G_GINT64_FORMAT " days", config->retention_days)
            : g_strdup("for ever");
    return g_strdup_printf("listens on %s, keeps detections %s in %s, %zu model%s, "
                           "%zu stream%s%s",
                           config->listen, kept, config->database, config->model_count,
                           plural(config->model_count), config->stream_count,
                           plural(config->stream_count), off);
}

/* As add_pair of entries.c reads it again: a # must not pass for a comment. */
static void append_pair(GString *out, const char *key, const char *value)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_key_file_set_string(file, "x", "x", value);
    g_autofree char *raw = g_key_file_get_value(file, "x", "x", NULL);
    g_string_append_printf(out, "%s =%s", key, *raw == '#' ? "" : " ");
    for (const char *p = raw; *p; p++) {
        if (*p == ' ' && p[1] == '#')
            g_string_append(out, "\\s");
        else
            g_string_append_c(out, *p);
    }
    g_string_append_c(out, '\n');
}

char *config_show(const struct config *config, bool defaults, bool origins)
{
    GString *out = g_string_new(NULL);
    const char *section = "";
    for (guint i = 0; i < config->settings->len; i++) {
        const struct config_setting *setting = config->settings->pdata[i];
        const char *origin = setting->origin ? setting->origin : "default";
        if (!setting->origin && !defaults)
            continue;
        if (strcmp(section, setting->section) != 0)
            g_string_append_printf(out, "%s[%s]\n", *section ? "\n" : "", setting->section);
        section = setting->section;
        if (!setting->value)
            g_string_append_printf(out, "# %s is set (%s)\n", setting->key, origin);
        else if (origins)
            g_string_append_printf(out, "# %s\n", origin);
        if (setting->value)
            append_pair(out, setting->key, setting->value);
    }
    return g_string_free(out, FALSE);
}

static void append_default(GString *out, const struct config_key *key)
{
    if (key->fallback)
        g_string_append_printf(out, "`%s`", key->fallback);
    else if (key->fallback_note)
        g_string_append(out, key->fallback_note);
}

char *config_reference(void)
{
    GString *out = g_string_new(NULL);
    for (const struct config_section *section = config_sections; section->name; section++) {
        g_string_append_printf(out,
                               "### `[%s%s]`\n\n%s\n\n"
                               "| key | value | default | meaning |\n|---|---|---|---|\n",
                               section->name, section->named ? " NAME" : "", section->meaning);
        for (const struct config_key *key = section->keys; key->name; key++) {
            g_autofree char *what = config_value_describe(key);
            g_string_append_printf(out, "| `%s` | %s | ", key->name, what);
            append_default(out, key);
            g_string_append_printf(out, " | %s%s%s |\n", key->meaning,
                                   key->secret ? " Never shown." : "",
                                   key->fixed ? " Needs a restart to change." : "");
        }
        g_string_append_c(out, '\n');
    }
    g_string_truncate(out, out->len - 1);
    return g_string_free(out, FALSE);
}
