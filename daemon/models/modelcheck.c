#include "daemon/models/modelcheck.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX        1e15 /* bytes, multiplications: more than any model has */
#define METRICS_DEPTH_MAX 4
#define METRICS_MAX       256 /* members and elements at each level */

/* What a value must be. `max` bounds text in bytes, numbers in size (whole ones are at least
 * -1, which is an open dimension), arrays and objects in members. */
struct rule {
    const char *name; /* NULL ends a table */
    enum { TEXT, INTEGER, NUMBER, FLAG, LIST, OBJECT, TEXTS } kind;
    double max;
    const struct rule *of; /* LIST: one element; OBJECT: the members */
};

static const struct rule label = {"labels", TEXT, RECORD_LABEL_SIZE - 1, NULL};
static const struct rule line = {"assumed", TEXT, 256, NULL};
static const struct rule number = {"mean or scale", NUMBER, 1e9, NULL};
static const struct rule dimension = {"shape", INTEGER, 1 << 30, NULL};

static const struct rule value_members[] = {
    {"name", TEXT, 256, NULL},
    {"type", TEXT, 32, NULL},
    {"shape", LIST, 8, &dimension},
    {NULL, TEXT, 0, NULL},
};
static const struct rule value = {"inputs or outputs", OBJECT, 3, value_members};

static const struct rule threshold_members[] = {
    {"label", TEXT, RECORD_LABEL_SIZE - 1, NULL},
    {"kind", TEXT, 16, NULL},
    {"background", FLAG, 0, NULL},
    {"enter", NUMBER, 1, NULL},
    {"exit", NUMBER, 1, NULL},
    {"min_duration_ms", INTEGER, NUMBER_MAX, NULL},
    {"cooldown_ms", INTEGER, NUMBER_MAX, NULL},
    {NULL, TEXT, 0, NULL},
};
static const struct rule threshold = {"thresholds", OBJECT, 7, threshold_members};

static const struct rule members[] = {
    {"sha256", TEXT, 64, NULL},
    {"file_bytes", INTEGER, NUMBER_MAX, NULL},
    {"task", TEXT, 32, NULL},
    {"labels", LIST, 256, &label},
    {"pixels", TEXT, 8, NULL},
    {"layout", TEXT, 8, NULL},
    {"width", INTEGER, 65536, NULL},
    {"height", INTEGER, 65536, NULL},
    {"channels", INTEGER, 16, NULL},
    {"resize", TEXT, 16, NULL},
    {"mean", LIST, 16, &number},
    {"scale", LIST, 16, &number},
    {"head", TEXT, 16, NULL},
    {"precision", TEXT, 16, NULL},
    {"threads", INTEGER, 65536, NULL},
    {"window", INTEGER, 65536, NULL},
    {"fps", NUMBER, 1000, NULL},
    {"stride", INTEGER, 65536, NULL},
    {"thresholds", LIST, 256, &threshold},
    {"inputs", LIST, 16, &value},
    {"outputs", LIST, 16, &value},
    {"nodes", INTEGER, NUMBER_MAX, NULL},
    {"parameters", INTEGER, NUMBER_MAX, NULL},
    {"arena_bytes", INTEGER, NUMBER_MAX, NULL},
    {"weight_bytes", INTEGER, NUMBER_MAX, NULL},
    {"metadata", TEXTS, 128, NULL},
    {"assumed", LIST, 64, &line},
    {NULL, TEXT, 0, NULL},
};

static json_t *copy(const struct rule *rule, const json_t *said, struct record_error *err);

static json_t *name_broken_rule(const struct rule *rule, struct record_error *err)
{
    static const char *const kinds[] = {
        [TEXT] = "a text",
        [INTEGER] = "a whole number",
        [NUMBER] = "a number",
        [FLAG] = "a truth",
        [LIST] = "a list",
        [OBJECT] = "an object",
        [TEXTS] = "an object of texts",
    };
    snprintf(err->text, sizeof err->text, "%s is not %s within its bounds", rule->name,
             kinds[rule->kind]);
    return NULL;
}

static json_t *copy_list(const struct rule *rule, const json_t *said, struct record_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < json_array_size(said); i++) {
        if (json_array_append_new(list, copy(rule->of, json_array_get(said, i), err)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *copy_members(const struct rule *rules, const json_t *said,
                            struct record_error *err)
{
    json_t *object = json_object();
    for (; object && rules->name; rules++) {
        const json_t *member = json_object_get(said, rules->name);
        if (member && json_object_set_new(object, rules->name, copy(rules, member, err)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* Names and values are the model's own. */
static json_t *copy_texts(const struct rule *rule, const json_t *said, struct record_error *err)
{
    const char *name;
    json_t *text;
    json_object_foreach ((json_t *)said, name, text) {
        if (strlen(name) > 256 || json_string_length(text) > 64 * 1024 || !json_is_string(text))
            return name_broken_rule(rule, err);
    }
    return json_deep_copy(said);
}

static json_t *copy(const struct rule *rule, const json_t *said, struct record_error *err)
{
    double size = json_number_value(said);
    switch (rule->kind) {
    case TEXT:
        if (json_is_string(said) && json_string_length(said) <= (size_t)rule->max)
            return json_deep_copy(said);
        break;
    case INTEGER:
    case NUMBER:
        if ((json_is_integer(said) || (rule->kind == NUMBER && json_is_real(said))) &&
            size >= (rule->kind == NUMBER ? -rule->max : -1) && size <= rule->max)
            return json_deep_copy(said);
        break;
    case FLAG:
        if (json_is_boolean(said))
            return json_deep_copy(said);
        break;
    case LIST:
        if (json_is_array(said) && json_array_size(said) <= (size_t)rule->max)
            return copy_list(rule, said, err);
        break;
    case OBJECT:
        if (json_is_object(said))
            return copy_members(rule->of, said, err);
        break;
    case TEXTS:
        if (json_is_object(said) && json_object_size(said) <= (size_t)rule->max)
            return copy_texts(rule, said, err);
        break;
    }
    return name_broken_rule(rule, err);
}

/* Whoever made the model chose the shape, so any is taken that is small. */
static bool is_small(const json_t *metrics, int depth)
{
    size_t index;
    const char *name;
    json_t *member;
    if (depth > METRICS_DEPTH_MAX || json_object_size(metrics) > METRICS_MAX ||
        json_array_size(metrics) > METRICS_MAX)
        return false;
    json_object_foreach ((json_t *)metrics, name, member) {
        if (!is_small(member, depth + 1))
            return false;
    }
    json_array_foreach (metrics, index, member) {
        if (!is_small(member, depth + 1))
            return false;
    }
    return true;
}

/* Metrics that cannot be read stay what they are, a text among the metadata. */
static int add_metrics(json_t *info)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(info, "metadata"), "vigil.metrics"));
    json_t *metrics = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int r = json_is_object(metrics) && is_small(metrics, 1)
                ? json_object_set(info, "metrics", metrics)
                : 0;
    json_decref(metrics);
    return r;
}

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

int modelcheck_copy(const json_t *said, json_t **ret_info, struct record_error *err)
{
    snprintf(err->text, sizeof err->text,
             json_is_object(said) ? "there is no memory for it" : "it is no JSON object");
    json_t *info = json_is_object(said) ? copy_members(members, said, err) : NULL;
    const char *hash = json_string_value(json_object_get(info, "sha256"));
    if (info && hash && !is_hash(hash)) {
        json_decref(info);
        info = name_broken_rule(&members[0], err);
    }
    if (info && add_metrics(info) < 0) {
        json_decref(info);
        info = NULL;
    }
    if (!info)
        return -EINVAL;
    *ret_info = info;
    return 0;
}
