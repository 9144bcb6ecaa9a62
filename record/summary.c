#include "record/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/member.h"

static const char *const by_names[] = {"stream", "label", "hour", "day"};
#define BY_COUNT (sizeof by_names / sizeof by_names[0])

void record_summary_finish(struct record_summary *summary)
{
    free(summary->groups);
    memset(summary, 0, sizeof *summary);
}

int record_by_parse(const char *text, unsigned *ret_by)
{
    unsigned by = 0;
    for (;; text++) {
        size_t length = strcspn(text, ",");
        unsigned flag = 0;
        for (size_t i = 0; i < BY_COUNT; i++)
            if (strlen(by_names[i]) == length && memcmp(text, by_names[i], length) == 0)
                flag = 1u << i;
        if (flag == 0 || by & flag)
            return -EINVAL;
        by |= flag;
        text += length;
        if (!*text)
            break;
    }
    if ((by & RECORD_BY_HOUR) && (by & RECORD_BY_DAY))
        return -EINVAL;
    *ret_by = by;
    return 0;
}

static json_t *group_to_json(const struct record_group *group)
{
    json_t *object = json_object();
    int r = object ? 0 : -1;
    if (r == 0 && group->time_ms != RECORD_NO_TIME)
        r = json_object_set_new(object, "time", member_time_value(group->time_ms));
    if (r == 0 && group->stream[0])
        r = json_object_set_new(object, "stream", json_string(group->stream));
    if (r == 0 && group->label[0])
        r = json_object_set_new(object, "label", json_string(group->label));
    if (r == 0)
        r = json_object_set_new(object, "count", json_integer(group->count));
    if (r == 0)
        return object;
    json_decref(object);
    return NULL;
}

char *record_summary_to_text(const struct record_summary *summary)
{
    json_t *by = json_array(), *groups = json_array();
    int r = by && groups ? 0 : -1;
    for (size_t i = 0; r == 0 && i < BY_COUNT; i++)
        if (summary->by >> i & 1)
            r = json_array_append_new(by, json_string(by_names[i]));
    for (size_t i = 0; r == 0 && i < summary->count; i++)
        r = json_array_append_new(groups, group_to_json(&summary->groups[i]));
    json_t *object = r == 0 ? json_pack("{s:O, s:I, s:O}", "by", by, "total",
                                        (json_int_t)summary->total, "groups", groups)
                            : NULL;
    char *text = object ? json_dumps(object, RECORD_JSON_FLAGS) : NULL;
    json_decref(object);
    json_decref(by);
    json_decref(groups);
    return text;
}
