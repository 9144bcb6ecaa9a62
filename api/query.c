#include "api/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/live.h"
#include "api/page.h"
#include "record/text.h"

/* Values become part of a sentence; a long one is cut. */
#define SHOWN_SIZE 64

/* Of one route; more would only not be offered as what was probably meant. */
#define PARAMETERS_MAX 16

static int read_name(char ret_name[RECORD_NAME_SIZE], const char *value)
{
    if (!record_name_is_valid(value))
        return -EINVAL;
    memcpy(ret_name, value, strlen(value) + 1);
    return 0;
}

static int read_stream(struct api_query *query, const char *value)
{
    return read_name(query->detections.stream, value);
}

static int read_zone(struct api_query *query, const char *value)
{
    return read_name(query->detections.zone, value);
}

static int read_kind(struct api_query *query, const char *value)
{
    query->detections.kind = record_kind_from_name(value);
    return query->detections.kind < 0 ? -EINVAL : 0;
}

static int read_label(struct api_query *query, const char *value)
{
    if (!record_label_is_valid(value))
        return -EINVAL;
    memcpy(query->detections.label, value, strlen(value) + 1);
    return 0;
}

/* "0.5", "1", ".25": no sign, exponent, hexadecimal or locale, which strtod would take. */
static int read_min_score(struct api_query *query, const char *value)
{
    int64_t number = 0, scale = 1;
    bool fraction = false, digits = false;
    if (strlen(value) > 10)
        return -EINVAL;
    for (; *value; value++) {
        if (*value == '.' && !fraction) {
            fraction = true;
        } else if (*value >= '0' && *value <= '9') {
            digits = true;
            number = number * 10 + (*value - '0');
            scale *= fraction ? 10 : 1;
        } else {
            return -EINVAL;
        }
    }
    if (!digits || number > scale)
        return -EINVAL;
    query->detections.min_score = (double)number / (double)scale;
    return 0;
}

/* An offset's `+` that was not percent-encoded has arrived as a space. Nothing else in a time
 * is one, so it is taken for what was meant. */
static int read_time(const char *value, int64_t *ret_ms)
{
    char text[64];
    size_t size = strlen(value);
    if (size >= sizeof text)
        return -EINVAL;
    memcpy(text, value, size + 1);
    if (size > 6 && text[size - 6] == ' ')
        text[size - 6] = '+';
    return record_time_parse(text, ret_ms);
}

static int read_since(struct api_query *query, const char *value)
{
    return read_time(value, &query->detections.since_ms);
}

static int read_until(struct api_query *query, const char *value)
{
    return read_time(value, &query->detections.until_ms);
}

static int read_state(struct api_query *query, const char *value)
{
    if (strcmp(value, "active") == 0)
        query->detections.state = RECORD_STATE_ACTIVE;
    else if (strcmp(value, "ended") == 0)
        query->detections.state = RECORD_STATE_ENDED;
    else
        return -EINVAL;
    return 0;
}

static int read_order(struct api_query *query, const char *value)
{
    query->detections.ascending = strcmp(value, "asc") == 0;
    return query->detections.ascending || strcmp(value, "desc") == 0 ? 0 : -EINVAL;
}

/* Digits only, no sign or space; at most `max`. */
static int read_integer(const char *value, int64_t max, int64_t *ret)
{
    int64_t number = 0;
    if (!*value)
        return -EINVAL;
    for (; *value; value++) {
        if (*value < '0' || *value > '9')
            return -EINVAL;
        int digit = *value - '0';
        if (number > max / 10 || number * 10 > max - digit)
            return -EINVAL;
        number = number * 10 + digit;
    }
    *ret = number;
    return 0;
}

static int read_limit(struct api_query *query, const char *value)
{
    int64_t limit;
    if (read_integer(value, RECORD_PAGE_MAX, &limit) < 0 || limit < 1)
        return -EINVAL;
    query->detections.limit = (int)limit;
    return 0;
}

/* What a cursor means is the store's business; what it may look like is not. */
static int read_cursor(struct api_query *query, const char *value)
{
    size_t size = strlen(value);
    if (size < 1 || size >= RECORD_CURSOR_SIZE)
        return -EINVAL;
    memcpy(query->detections.cursor, value, size + 1);
    return 0;
}

static int read_by(struct api_query *query, const char *value)
{
    return record_by_parse(value, &query->by);
}

int api_query_read_event_id(const char *value, int64_t *ret_id)
{
    return read_integer(value, INT64_MAX, ret_id);
}

static int read_fps(struct api_query *query, const char *value)
{
    int64_t fps;
    if (read_integer(value, API_LIVE_FPS_MAX, &fps) < 0 || fps < 1)
        return -EINVAL;
    query->fps = (int)fps;
    return 0;
}

static int read_refresh(struct api_query *query, const char *value)
{
    int64_t seconds;
    if (read_integer(value, API_PAGE_REFRESH_MAX, &seconds) < 0)
        return -EINVAL;
    query->refresh_s = (int)seconds;
    return 0;
}

static int read_last_event_id(struct api_query *query, const char *value)
{
    return api_query_read_event_id(value, &query->last_event_id);
}

#define EXPECTED_NAME  "1 to 64 of a-z, 0-9, _ and -, not beginning with _ or -"
#define EXPECTED_KIND  "one of activity, object, motion, anomaly, sound, stream"
#define EXPECTED_LABEL "1 to 64 bytes of printable text"
#define EXPECTED_TIME  "an RFC 3339 time, like 2026-11-20T12:00:01Z"

const struct api_parameter_rule api_query_none[] = {{.name = NULL}};

const struct api_parameter_rule api_query_detections[] = {
    {"stream", read_stream, EXPECTED_NAME},
    {"kind", read_kind, EXPECTED_KIND},
    {"label", read_label, EXPECTED_LABEL},
    {"zone", read_zone, EXPECTED_NAME},
    {"min_score", read_min_score, "a number from 0 to 1"},
    {"since", read_since, EXPECTED_TIME},
    {"until", read_until, EXPECTED_TIME},
    {"state", read_state, "active or ended"},
    {"order", read_order, "asc or desc"},
    {"limit", read_limit, "a whole number from 1 to 500"},
    {"cursor", read_cursor, "the `next` of the page before"},
    {.name = NULL},
};

const struct api_parameter_rule api_query_summary[] = {
    {"by", read_by, "of stream, label, and hour or day, with commas between"},
    {"stream", read_stream, EXPECTED_NAME},
    {"kind", read_kind, EXPECTED_KIND},
    {"label", read_label, EXPECTED_LABEL},
    {"zone", read_zone, EXPECTED_NAME},
    {"min_score", read_min_score, "a number from 0 to 1"},
    {"since", read_since, EXPECTED_TIME},
    {"until", read_until, EXPECTED_TIME},
    {"state", read_state, "active or ended"},
    {.name = NULL},
};

const struct api_parameter_rule api_query_events[] = {
    {"stream", read_stream, EXPECTED_NAME},
    {"kind", read_kind, EXPECTED_KIND},
    {"label", read_label, EXPECTED_LABEL},
    {"last_event_id", read_last_event_id, "the id of an event received before"},
    {.name = NULL},
};

const struct api_parameter_rule api_query_progress[] = {
    {"last_event_id", read_last_event_id, "the id of an event received before"},
    {.name = NULL},
};

const struct api_parameter_rule api_query_page[] = {
    {"refresh", read_refresh, "a whole number of seconds from 0 (never) to 3600"},
    {NULL, NULL, NULL},
};

const struct api_parameter_rule api_query_live[] = {
    {"fps", read_fps, "a whole number from 1 to 5"},
    {NULL, NULL, NULL},
};

static const struct api_parameter_rule *find_rule(const struct api_parameter_rule *rules,
                                                  const char *name)
{
    for (; rules->name; rules++) {
        if (strcmp(rules->name, name) == 0)
            return rules;
    }
    return NULL;
}

/* A filter whose name is misspelt is the commonest mistake in an address. */
static void write_unknown(const struct api_parameter_rule *rules, const char *name,
                          struct api_error *err)
{
    const char *names[PARAMETERS_MAX + 1];
    char shown[SHOWN_SIZE];
    int count = 0;
    for (; rules[count].name && count < PARAMETERS_MAX; count++)
        names[count] = rules[count].name;
    names[count] = NULL;
    const char *nearest = text_nearest(name, names);
    text_copy_printable(shown, sizeof shown, name);
    snprintf(err->text, sizeof err->text, "there is no parameter '%s' here%s%s", shown,
             nearest ? "; did you mean " : "", nearest ? nearest : "");
}

static bool is_repeated(const struct api_target *target, int index)
{
    for (int i = 0; i < index; i++) {
        if (strcmp(target->parameters[i].name, target->parameters[index].name) == 0)
            return true;
    }
    return false;
}

int api_query_parse(const struct api_parameter_rule *rules, const struct api_target *target,
                    struct api_query *ret_query, const char **ret_code, struct api_error *err)
{
    struct api_query query = {.last_event_id = API_NO_EVENT_ID,
                              .fps = API_LIVE_FPS_DEFAULT,
                              .refresh_s = API_PAGE_REFRESH_DEFAULT};
    record_query_init(&query.detections);
    for (int i = 0; i < target->parameter_count; i++) {
        const struct api_parameter *parameter = &target->parameters[i];
        const struct api_parameter_rule *rule = find_rule(rules, parameter->name);
        char shown[SHOWN_SIZE];
        if (!rule) {
            *ret_code = "parameter_unknown";
            write_unknown(rules, parameter->name, err);
            return -EINVAL;
        }
        if (is_repeated(target, i)) {
            *ret_code = "parameter_repeated";
            snprintf(err->text, sizeof err->text, "%s is given more than once", rule->name);
            return -EINVAL;
        }
        if (rule->read(&query, parameter->value) < 0) {
            text_copy_printable(shown, sizeof shown, parameter->value);
            *ret_code = rule->read == read_cursor ? "cursor_invalid" : "parameter_invalid";
            snprintf(err->text, sizeof err->text, "%s must be %s, not '%s'", rule->name,
                     rule->expected, shown);
            return -EINVAL;
        }
    }
    *ret_query = query;
    return 0;
}
