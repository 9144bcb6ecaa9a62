#include "record/member.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "record/text.h"

__attribute__((format(printf, 2, 3))) static void explain(struct record_error *err,
                                                          const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
}

/* jansson's own depth limit is fixed at 2048, which is more stack than a thread should risk on
 * a stranger's text. Brackets inside strings do not count. */
static bool is_too_deep(const char *text, size_t size)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > MEMBER_DEPTH_MAX)
            return true;
        else if (!quoted && (c == '}' || c == ']'))
            depth--;
    }
    return false;
}

json_t *member_parse(const char *text, size_t size, size_t size_max, struct record_error *err)
{
    if (size > size_max) {
        explain(err, "%zu bytes are more than the %zu allowed", size, size_max);
        return NULL;
    }
    if (is_too_deep(text, size)) {
        explain(err, "more than %d objects and arrays within each other", MEMBER_DEPTH_MAX);
        return NULL;
    }
    /* The library's own message quotes the text, which may be hostile: the position is enough.
     */
    json_error_t error;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        if (json_error_code(&error) == json_error_out_of_memory)
            explain(err, "out of memory");
        else
            explain(err, "not valid JSON at byte %d%s", error.position,
                    json_error_code(&error) == json_error_duplicate_key ? ": member given twice"
                                                                        : "");
        return NULL;
    }
    if (!json_is_object(object)) {
        explain(err, "not a JSON object");
        json_decref(object);
        return NULL;
    }
    return object;
}

void member_reader_init(struct member_reader *reader, const json_t *object,
                        struct record_error *err)
{
    *reader = (struct member_reader){.object = object, .err = err};
    if (!json_is_object(object)) {
        explain(err, "not a JSON object");
        reader->status = -EINVAL;
    }
}

void member_fail(struct member_reader *reader, const char *name, const char *format, ...)
{
    if (reader->status != 0)
        return;
    reader->status = -EINVAL;
    char why[128];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    explain(reader->err, "member \"%s\": %s", name, why);
}

/* The member's value, or NULL when it is absent (a failure if required). */
static const json_t *find(struct member_reader *reader, const char *name,
                          enum member_presence presence)
{
    if (reader->status != 0)
        return NULL;
    const json_t *value = json_object_get(reader->object, name);
    if (value && (presence == MEMBER_REQUIRED || !json_is_null(value)))
        return value;
    if (presence == MEMBER_REQUIRED)
        member_fail(reader, name, "missing");
    return NULL;
}

const json_t *member_get(struct member_reader *reader, const char *name,
                         enum member_presence presence, json_type type, const char *type_name)
{
    const json_t *value = find(reader, name, presence);
    if (!value || json_typeof(value) == type)
        return value;
    member_fail(reader, name, "not %s", type_name);
    return NULL;
}

void member_string(struct member_reader *reader, const char *name,
                   enum member_presence presence, char *ret_text, size_t size)
{
    const json_t *value = member_get(reader, name, presence, JSON_STRING, "a string");
    if (!value)
        return;
    size_t length = json_string_length(value);
    if (length >= size)
        member_fail(reader, name, "longer than %zu bytes", size - 1);
    else if (!text_is_printable(json_string_value(value), length))
        member_fail(reader, name, "holds characters that cannot be printed");
    else
        memcpy(ret_text, json_string_value(value), length + 1);
}

void member_name(struct member_reader *reader, const char *name, enum member_presence presence,
                 char ret_name[RECORD_NAME_SIZE])
{
    const json_t *value = member_get(reader, name, presence, JSON_STRING, "a string");
    if (!value)
        return;
    if (!record_name_is_valid(json_string_value(value)))
        member_fail(reader, name, "not a name (a-z, 0-9, _ and -, at most %d)",
                    RECORD_NAME_SIZE - 1);
    else
        memcpy(ret_name, json_string_value(value), json_string_length(value) + 1);
}

void member_integer(struct member_reader *reader, const char *name,
                    enum member_presence presence, int64_t min, int64_t max, int64_t *ret_value)
{
    const json_t *value = member_get(reader, name, presence, JSON_INTEGER, "an integer");
    if (!value)
        return;
    json_int_t number = json_integer_value(value);
    if (number < min || number > max)
        member_fail(reader, name, "not within %lld and %lld", (long long)min, (long long)max);
    else
        *ret_value = number;
}

void member_int(struct member_reader *reader, const char *name, enum member_presence presence,
                int min, int max, int *ret_value)
{
    int64_t value = *ret_value;
    member_integer(reader, name, presence, min, max, &value);
    *ret_value = (int)value;
}

void member_real(struct member_reader *reader, const char *name, enum member_presence presence,
                 double min, double max, double *ret_value)
{
    const json_t *value = find(reader, name, presence);
    if (!value)
        return;
    double number = json_number_value(value);
    if (!json_is_number(value))
        member_fail(reader, name, "not a number");
    else if (!(number >= min && number <= max))
        member_fail(reader, name, "not within %g and %g", min, max);
    else
        *ret_value = number;
}

void member_bool(struct member_reader *reader, const char *name, enum member_presence presence,
                 bool *ret_value)
{
    const json_t *value = find(reader, name, presence);
    if (!value)
        return;
    if (!json_is_boolean(value))
        member_fail(reader, name, "not true or false");
    else
        *ret_value = json_is_true(value);
}

void member_time(struct member_reader *reader, const char *name, enum member_presence presence,
                 int64_t *ret_ms)
{
    const json_t *value = member_get(reader, name, presence, JSON_STRING, "a string");
    if (value && record_time_parse(json_string_value(value), ret_ms) < 0)
        member_fail(reader, name, "not an RFC 3339 time of the years 1970 to 9999");
}

void member_enum(struct member_reader *reader, const char *name, int (*from_name)(const char *),
                 int *ret_value)
{
    const json_t *value = member_get(reader, name, MEMBER_REQUIRED, JSON_STRING, "a string");
    if (!value)
        return;
    int found = from_name(json_string_value(value));
    if (found < 0)
        member_fail(reader, name, "not a value we know");
    else
        *ret_value = found;
}

const json_t *member_array(struct member_reader *reader, const char *name,
                           enum member_presence presence, size_t max)
{
    const json_t *value = member_get(reader, name, presence, JSON_ARRAY, "an array");
    if (!value || json_array_size(value) <= max)
        return value;
    member_fail(reader, name, "more than %zu elements", max);
    return NULL;
}

json_t *member_time_value(int64_t ms)
{
    if (ms == RECORD_NO_TIME)
        return json_null();
    char text[RECORD_TIME_SIZE];
    record_time_format(ms, text);
    return json_string(text);
}

json_t *member_integer_value(int64_t value)
{
    return value == RECORD_NO_TIME ? json_null() : json_integer(value);
}

json_t *member_real_value(double value, double scale)
{
    /* Adding zero turns a negative zero into zero. A real this large has no decimals to round,
     * and scaling it could overflow. */
    return json_real(fabs(value) < 9e9 ? round(value * scale) / scale + 0.0 : value);
}

int member_find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -EINVAL;
}
