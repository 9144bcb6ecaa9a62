#include "pipeline/modelkeys.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "record/text.h"

#define PREFIX "vigil."

static const char *const names[MODELKEY_COUNT] = {
    [MODELKEY_TASK] = "vigil.task",
    [MODELKEY_LAYOUT] = "vigil.layout",
    [MODELKEY_WINDOW] = "vigil.window",
    [MODELKEY_SIZE] = "vigil.size",
    [MODELKEY_LABELS] = "vigil.labels",
    [MODELKEY_PIXELS] = "vigil.pixels",
    [MODELKEY_MEAN] = "vigil.mean",
    [MODELKEY_SCALE] = "vigil.scale",
    [MODELKEY_RESIZE] = "vigil.resize",
    [MODELKEY_FPS] = "vigil.fps",
    [MODELKEY_STRIDE] = "vigil.stride",
    [MODELKEY_PRECISION] = "vigil.precision",
    [MODELKEY_THREADS] = "vigil.threads",
    [MODELKEY_HEAD] = "vigil.head",
    [MODELKEY_ENTER] = "vigil.enter",
    [MODELKEY_EXIT] = "vigil.exit",
    [MODELKEY_MIN_DURATION] = "vigil.min_duration_ms",
    [MODELKEY_COOLDOWN] = "vigil.cooldown_ms",
    [MODELKEY_KIND] = "vigil.kind",
    [MODELKEY_BACKGROUND] = "vigil.background",
};

const char *modelkeys_show(const char *text, char buffer[MODELKEYS_SHOWN_SIZE])
{
    size_t i = 0;
    for (; text[i] && i < MODELKEYS_SHOWN_SIZE - 1; i++)
        buffer[i] = g_ascii_isprint(text[i]) && text[i] != '"' ? text[i] : '?';
    buffer[i] = 0;
    return buffer;
}

int modelkeys_refuse(const struct modelkeys *keys, int code, const char *format, ...)
{
    va_list args;
    if (keys->err) {
        va_start(args, format);
        g_vsnprintf(keys->err->text, sizeof keys->err->text, format, args);
        va_end(args);
    }
    return code;
}

int modelkeys_refuse_value(const struct modelkeys *keys, enum modelkey key, const char *value,
                           const char *wanted)
{
    char shown[MODELKEYS_SHOWN_SIZE];
    return modelkeys_refuse(keys, -EINVAL, "%s \"%s\": %s", names[key],
                            modelkeys_show(value, shown), wanted);
}

void modelkeys_assume(const struct modelkeys *keys, enum modelkey key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(keys->assumed, g_strdup_printf("%s: %s", names[key], what));
}

GHashTable *modelkeys_overrides_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void modelkeys_overrides_add(GHashTable *overrides, const char *name, const char *value)
{
    char *full =
        g_str_has_prefix(name, PREFIX) ? g_strdup(name) : g_strconcat(PREFIX, name, NULL);
    if (g_hash_table_contains(overrides, full))
        g_free(full);
    else
        g_hash_table_insert(overrides, full, g_strdup(value));
}

int modelkeys_check_name(const char *name, struct nn_error *err)
{
    const char *bare[MODELKEY_COUNT + 1] = {NULL};
    for (int key = 0; key < MODELKEY_COUNT; key++)
        bare[key] = names[key] + strlen(PREFIX);
    name += g_str_has_prefix(name, PREFIX) ? strlen(PREFIX) : 0;
    if (g_strv_contains(bare, name))
        return 0;
    char shown[MODELKEYS_SHOWN_SIZE];
    const char *nearest = text_nearest(name, bare);
    return nn_error_set(err, -EINVAL, PREFIX "%s is no key of a model%s%s%s",
                        modelkeys_show(name, shown), nearest ? "; did you mean " PREFIX : "",
                        nearest ? nearest : "", nearest ? "?" : "");
}

int modelkeys_check(const struct modelkeys *keys)
{
    GHashTableIter iter;
    gpointer name;
    int r = 0;
    if (!keys->overrides)
        return 0;
    g_hash_table_iter_init(&iter, keys->overrides);
    while (r == 0 && g_hash_table_iter_next(&iter, &name, NULL))
        r = modelkeys_check_name(name, keys->err);
    return r;
}

bool modelkeys_is_overridden(const struct modelkeys *keys, enum modelkey key)
{
    return keys->overrides && g_hash_table_contains(keys->overrides, names[key]);
}

const char *modelkeys_text(const struct modelkeys *keys, enum modelkey key)
{
    return modelkeys_is_overridden(keys, key) ? g_hash_table_lookup(keys->overrides, names[key])
                                              : nn_model_metadata(keys->model, names[key]);
}

bool modelkeys_parse_number(const char *text, double *ret_number)
{
    char *end;
    double number = g_ascii_strtod(text, &end);
    if (end == text || !isfinite(number))
        return false;
    while (g_ascii_isspace(*end))
        end++;
    if (*end)
        return false;
    *ret_number = number;
    return true;
}

static int refuse_range(const struct modelkeys *keys, enum modelkey key, const char *value,
                        const char *what, double min, double max)
{
    g_autofree char *wanted = g_strdup_printf("should be %s, %g to %g", what, min, max);
    return modelkeys_refuse_value(keys, key, value, wanted);
}

int modelkeys_number(const struct modelkeys *keys, enum modelkey key, double min, double max,
                     bool whole, double *number)
{
    const char *text = modelkeys_text(keys, key);
    double parsed;
    if (!text)
        return 0;
    if (!modelkeys_parse_number(text, &parsed) || parsed < min || parsed > max ||
        (whole && parsed != floor(parsed)))
        return refuse_range(keys, key, text, whole ? "a whole number" : "a number", min, max);
    *number = parsed;
    return 0;
}

int modelkeys_choice(const struct modelkeys *keys, enum modelkey key,
                     const char *const *choices, int *choice)
{
    const char *text = modelkeys_text(keys, key);
    if (!text)
        return 0;
    for (int i = 0; choices[i]; i++)
        if (g_str_equal(text, choices[i])) {
            *choice = i;
            return 0;
        }
    g_autofree char *list = g_strjoinv(", ", (char **)choices);
    g_autofree char *wanted = g_strconcat("should be one of ", list, NULL);
    return modelkeys_refuse_value(keys, key, text, wanted);
}

int modelkeys_numbers(const struct modelkeys *keys, enum modelkey key, int count, double min,
                      double max, float *numbers)
{
    const char *text = modelkeys_text(keys, key);
    if (!text)
        return 0;
    g_auto(GStrv) parts = g_strsplit(text, ",", count + 1);
    int given = (int)g_strv_length(parts);
    if (given != 1 && given != count)
        return modelkeys_refuse_value(keys, key, text,
                                      "should be one number, or one per channel");
    for (int i = 0; i < count; i++) {
        double number;
        if (!modelkeys_parse_number(parts[given == 1 ? 0 : i], &number) || number < min ||
            number > max)
            return refuse_range(keys, key, text, "numbers", min, max);
        numbers[i] = (float)number;
    }
    return 0;
}

int modelkeys_size(const struct modelkeys *keys, enum modelkey key, int max, int *width,
                   int *height)
{
    const char *text = modelkeys_text(keys, key);
    if (!text)
        return 0;
    g_auto(GStrv) sides = g_strsplit(text, "x", 3);
    double side[2];
    if (g_strv_length(sides) != 2)
        return modelkeys_refuse_value(keys, key, text, "should be WIDTHxHEIGHT in pixels");
    for (int i = 0; i < 2; i++)
        if (!modelkeys_parse_number(sides[i], &side[i]) || side[i] < 1 || side[i] > max ||
            side[i] != floor(side[i]))
            return refuse_range(keys, key, text, "WIDTHxHEIGHT in pixels", 1, max);
    *width = (int)side[0];
    *height = (int)side[1];
    return 0;
}
