#include "daemon/config/value.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "record/text.h"

/* Largest first: a number is shown in the largest unit that divides it. */
static const struct unit {
    const char *name;
    int64_t factor;
} size_units[] = {{"TiB", INT64_C(1) << 40},
                  {"GiB", INT64_C(1) << 30},
                  {"MiB", 1 << 20},
                  {"KiB", 1 << 10},
                  {"B", 1},
                  {NULL}},
  duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
                      {"s", 1000},     {"ms", 1},      {NULL}};

__attribute__((format(printf, 3, 4))) static int refuse(const struct config_key *key,
                                                        struct config_error *err,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    g_strlcpy(err->key, key->name, sizeof err->key);
    return -EINVAL;
}

static const struct unit *units_of(const struct config_key *key)
{
    return key->type == CONFIG_SIZE ? size_units : duration_units;
}

static char *format_scaled(const struct unit *units, int64_t number)
{
    while (units->factor > 1 && (number == 0 || number % units->factor != 0))
        units++;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s", number / units->factor, units->name);
}

/* A whole number and a unit: "90 s", "512MiB". */
static bool parse_scaled(const struct unit *units, const char *text, int64_t *ret_number)
{
    const char *end = text + strspn(text, "0123456789");
    g_autofree char *digits = g_strndup(text, (gsize)(end - text));
    gint64 number;
    if (!g_ascii_string_to_signed(digits, 10, 0, G_MAXINT64, &number, NULL))
        return false;
    end += strspn(end, " \t");
    while (units->name && strcmp(units->name, end) != 0)
        units++;
    return units->name && !__builtin_mul_overflow(number, units->factor, ret_number);
}

static int parse_boolean(const char *text)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (int value = 0; value < 2; value++)
        for (size_t i = 0; i < G_N_ELEMENTS(words[0]); i++)
            if (g_ascii_strcasecmp(text, words[value][i]) == 0)
                return value;
    return -EINVAL;
}

static int check_path(const struct config_key *key, const char *text, struct config_error *err)
{
    if (!*text && key->type == CONFIG_PATH) /* no folders are a list, too */
        return refuse(key, err, "%s is empty; leave the key out for its default", key->name);
    if (!text_is_printable(text, strlen(text)))
        return refuse(key, err, "%s holds characters that cannot be printed", key->name);
    return 0;
}

static int parse_number(const struct config_key *key, const char *text, int64_t *ret_number,
                        struct config_error *err)
{
    gint64 number;
    if (!g_ascii_string_to_signed(text, 10, key->min, key->max, &number, NULL))
        return refuse(key, err,
                      "%s must be a whole number from %" G_GINT64_FORMAT
                      " to %" G_GINT64_FORMAT,
                      key->name, key->min, key->max);
    *ret_number = number;
    return 0;
}

int config_value_parse(const struct config_key *key, const char *text,
                       struct config_value *ret_value, struct config_error *err)
{
    struct config_value value = {.text = text};
    int r = 0;
    switch (key->type) {
    case CONFIG_TEXT:
        break;
    case CONFIG_NAME:
        if (!record_name_is_valid(text))
            r = refuse(key, err,
                       "%s must be 1 to 64 of a-z, 0-9, _ and -, and start with a letter or "
                       "digit",
                       key->name);
        break;
    case CONFIG_PATH:
    case CONFIG_FOLDERS:
        r = check_path(key, text, err);
        break;
    case CONFIG_INTEGER:
        r = parse_number(key, text, &value.number, err);
        break;
    case CONFIG_BOOLEAN:
        value.number = parse_boolean(text);
        if (value.number < 0)
            r = refuse(key, err, "%s must be true or false", key->name);
        break;
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        if (!parse_scaled(units_of(key), text, &value.number) || value.number < key->min ||
            value.number > key->max) {
            g_autofree char *what = config_value_describe(key);
            r = refuse(key, err, "%s must be a %s", key->name, what);
        }
        break;
    }
    if (r == 0 && key->check && key->check(text, err) < 0) {
        g_strlcpy(err->key, key->name, sizeof err->key);
        r = -EINVAL;
    }
    if (r == 0)
        *ret_value = value;
    return r;
}

char *config_value_format(const struct config_key *key, const struct config_value *value)
{
    switch (key->type) {
    case CONFIG_INTEGER:
        return g_strdup_printf("%" G_GINT64_FORMAT, value->number);
    case CONFIG_BOOLEAN:
        return g_strdup(value->number ? "true" : "false");
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return format_scaled(units_of(key), value->number);
    default:
        return g_strdup(value->text);
    }
}

char *config_value_describe(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_NAME:
        return g_strdup("name");
    case CONFIG_PATH:
        return g_strdup("path");
    case CONFIG_FOLDERS:
        return g_strdup("folders");
    case CONFIG_INTEGER:
        return g_strdup_printf("whole number, %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                               key->min, key->max);
    case CONFIG_BOOLEAN:
        return g_strdup("`true` or `false`");
    case CONFIG_SIZE:
    case CONFIG_DURATION: {
        g_autofree char *min = format_scaled(units_of(key), key->min);
        g_autofree char *max = format_scaled(units_of(key), key->max);
        return g_strdup_printf("%s with its unit, %s to %s",
                               key->type == CONFIG_SIZE ? "size" : "duration", min, max);
    }
    default:
        return g_strdup("text");
    }
}
