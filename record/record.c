#include "record/record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/member.h"
#include "record/text.h"

static const char *const kind_names[RECORD_KIND_COUNT] = {
    [RECORD_ACTIVITY] = "activity", [RECORD_OBJECT] = "object", [RECORD_MOTION] = "motion",
    [RECORD_ANOMALY] = "anomaly",   [RECORD_SOUND] = "sound",   [RECORD_STREAM] = "stream",
};

/* On the wire; the phase's own name begins after the dot. */
static const char *const type_names[] = {
    [RECORD_STARTED] = "detection.started",
    [RECORD_UPDATED] = "detection.updated",
    [RECORD_ENDED] = "detection.ended",
};

/* --- names ------------------------------------------------------------------------------- */

const char *record_kind_name(enum record_kind kind)
{
    return kind_names[kind];
}

int record_kind_from_name(const char *name)
{
    return member_find_name(kind_names, RECORD_KIND_COUNT, name);
}

const char *record_phase_name(enum record_phase phase)
{
    return strchr(type_names[phase], '.') + 1;
}

static int phase_from_type(const char *type)
{
    return member_find_name(type_names, 3, type);
}

bool record_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t length = strlen(name);
    return length > 0 && length < RECORD_NAME_SIZE && strspn(name, allowed) == length &&
           name[0] != '_' && name[0] != '-';
}

bool record_label_is_valid(const char *label)
{
    size_t length = strlen(label);
    return length > 0 && length < RECORD_LABEL_SIZE && text_is_printable(label, length);
}

/* --- identity ---------------------------------------------------------------------------- */

static const char id_alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void record_id_format(int64_t ms, const uint8_t random[10], char ret_id[RECORD_ID_SIZE])
{
    uint64_t time = (uint64_t)ms & 0xffffffffffff;
    for (int i = 9; i >= 0; i--, time >>= 5)
        ret_id[i] = id_alphabet[time & 31];
    /* 80 bits are 16 characters: two groups of 40 bits and 8 characters. */
    for (int group = 0; group < 2; group++) {
        uint64_t bits = 0;
        for (int i = 0; i < 5; i++)
            bits = bits << 8 | random[group * 5 + i];
        for (int i = 7; i >= 0; i--, bits >>= 5)
            ret_id[10 + group * 8 + i] = id_alphabet[bits & 31];
    }
    ret_id[RECORD_ID_SIZE - 1] = 0;
}

bool record_id_is_valid(const char *id)
{
    /* 26 characters hold 130 bits, an id 128: the first is at most 7. */
    return strlen(id) == RECORD_ID_SIZE - 1 && strspn(id, id_alphabet) == RECORD_ID_SIZE - 1 &&
           id[0] <= '7';
}

/* --- writing ----------------------------------------------------------------------------- */

void record_init(struct record *record)
{
    memset(record, 0, sizeof *record);
    record->seq = -1;
    record->track = -1;
    record->latency_ms = -1;
    record->time_ms = RECORD_NO_TIME;
    record->pts_ns = RECORD_NO_TIME;
    record->start_ms = RECORD_NO_TIME;
    record->end_ms = RECORD_NO_TIME;
    record->window_first_pts_ns = RECORD_NO_TIME;
    record->window_last_pts_ns = RECORD_NO_TIME;
}

/* Edges are rounded, not sizes, so that a box at the border still ends inside 0..1. */
static json_t *box_to_json(const double box[4])
{
    double left = round(box[0] * 1e4), top = round(box[1] * 1e4);
    double width = round((box[0] + box[2]) * 1e4) - left;
    double height = round((box[1] + box[3]) * 1e4) - top;
    return json_pack("[o, o, o, o]", member_real_value(left / 1e4, 1e4),
                     member_real_value(top / 1e4, 1e4), member_real_value(width / 1e4, 1e4),
                     member_real_value(height / 1e4, 1e4));
}

static json_t *zones_to_json(const struct record *record)
{
    json_t *zones = json_array();
    for (int i = 0; zones && i < record->zone_count; i++) {
        if (json_array_append_new(zones, json_string(record->zones[i])) < 0) {
            json_decref(zones);
            return NULL;
        }
    }
    return zones;
}

static json_t *evidence_to_json(const struct record *record)
{
    json_t *window = json_object();
    if (json_object_set_new(window, "first_pts_ns",
                            member_integer_value(record->window_first_pts_ns)) ||
        json_object_set_new(window, "last_pts_ns",
                            member_integer_value(record->window_last_pts_ns)) ||
        json_object_set_new(window, "frames", json_integer(record->window_frames))) {
        json_decref(window);
        return NULL;
    }
    return window;
}

json_t *record_to_json(const struct record *record)
{
    json_t *object = json_object();
    int failed = object ? 0 : -1;
#define PUT(name, value) failed = failed ? failed : json_object_set_new(object, name, value)
    PUT("type", json_string(type_names[record->phase]));
    PUT("id", json_string(record->id));
    if (record->seq >= 0)
        PUT("seq", json_integer(record->seq));
    if (record->node[0])
        PUT("node", json_string(record->node));
    PUT("stream", json_string(record->stream));
    PUT("kind", json_string(kind_names[record->kind]));
    PUT("label", json_string(record->label));
    PUT("score", member_real_value(record->score, 1e4));
    PUT("box", record->has_box ? box_to_json(record->box) : json_null());
    if (record->track >= 0)
        PUT("track", json_integer(record->track));
    PUT("zones", zones_to_json(record));
    PUT("time", member_time_value(record->time_ms));
    PUT("pts_ns", member_integer_value(record->pts_ns));
    PUT("start", member_time_value(record->start_ms));
    PUT("end", member_time_value(record->end_ms));
    PUT("window", evidence_to_json(record));
    if (record->model[0])
        PUT("model", json_string(record->model));
    if (record->latency_ms >= 0)
        PUT("latency_ms", member_real_value(record->latency_ms, 10));
    if (record->damaged)
        PUT("damaged", json_true());
#undef PUT
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

char *record_to_text(const struct record *record)
{
    json_t *object = record_to_json(record);
    char *text = object ? json_dumps(object, RECORD_JSON_FLAGS) : NULL;
    json_decref(object);
    return text;
}

/* --- reading ----------------------------------------------------------------------------- */

static void read_box(struct member_reader *reader, struct record *record)
{
    const json_t *box = member_array(reader, "box", MEMBER_OPTIONAL, 4);
    if (!box)
        return;
    bool good = json_array_size(box) == 4;
    for (size_t i = 0; good && i < 4; i++) {
        const json_t *value = json_array_get(box, i);
        record->box[i] = json_number_value(value);
        good = json_is_number(value) && record->box[i] >= 0 && record->box[i] <= 1;
    }
    /* Decimal fractions add up to a little more than 1. */
    const double slack = 1e-9;
    if (!good || record->box[0] + record->box[2] > 1 + slack ||
        record->box[1] + record->box[3] > 1 + slack)
        member_fail(reader, "box", "not [x, y, width, height] inside 0 and 1");
    else
        record->has_box = true;
}

static void read_zones(struct member_reader *reader, struct record *record)
{
    const json_t *zones = member_array(reader, "zones", MEMBER_OPTIONAL, RECORD_ZONES_MAX);
    for (size_t i = 0; zones && i < json_array_size(zones); i++) {
        const char *zone = json_string_value(json_array_get(zones, i));
        if (!zone || !record_name_is_valid(zone)) {
            member_fail(reader, "zones", "element %zu is not a name", i);
            return;
        }
        strcpy(record->zones[record->zone_count++], zone);
    }
}

static void read_evidence(struct member_reader *reader, struct record *record)
{
    const json_t *object =
        member_get(reader, "window", MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    struct member_reader window;
    member_reader_init(&window, object, reader->err);
    member_integer(&window, "first_pts_ns", MEMBER_OPTIONAL, 0, INT64_MAX,
                   &record->window_first_pts_ns);
    member_integer(&window, "last_pts_ns", MEMBER_OPTIONAL, 0, INT64_MAX,
                   &record->window_last_pts_ns);
    member_int(&window, "frames", MEMBER_OPTIONAL, 0, 1000000, &record->window_frames);
    if (record->window_last_pts_ns < record->window_first_pts_ns)
        member_fail(&window, "last_pts_ns", "before first_pts_ns");
    reader->status = window.status;
}

int record_from_json(const json_t *object, struct record *ret_record, struct record_error *err)
{
    struct record record;
    record_init(&record);
    struct member_reader reader;
    member_reader_init(&reader, object, err);

    int phase = 0, kind = 0;
    member_enum(&reader, "type", phase_from_type, &phase);
    record.phase = (enum record_phase)phase;
    member_string(&reader, "id", MEMBER_REQUIRED, record.id, sizeof record.id);
    if (!record_id_is_valid(record.id))
        member_fail(&reader, "id", "not 26 characters of Crockford's base 32");
    member_integer(&reader, "seq", MEMBER_OPTIONAL, 0, INT64_MAX, &record.seq);
    member_name(&reader, "node", MEMBER_OPTIONAL, record.node);
    member_name(&reader, "stream", MEMBER_REQUIRED, record.stream);
    member_enum(&reader, "kind", record_kind_from_name, &kind);
    record.kind = (enum record_kind)kind;
    member_string(&reader, "label", MEMBER_REQUIRED, record.label, sizeof record.label);
    if (!record.label[0])
        member_fail(&reader, "label", "empty");
    member_real(&reader, "score", MEMBER_REQUIRED, 0, 1, &record.score);
    read_box(&reader, &record);
    member_integer(&reader, "track", MEMBER_OPTIONAL, 0, INT64_MAX, &record.track);
    read_zones(&reader, &record);
    member_time(&reader, "time", MEMBER_REQUIRED, &record.time_ms);
    member_integer(&reader, "pts_ns", MEMBER_OPTIONAL, 0, INT64_MAX, &record.pts_ns);
    member_time(&reader, "start", MEMBER_REQUIRED, &record.start_ms);
    member_time(&reader, "end", MEMBER_OPTIONAL, &record.end_ms);
    bool has_end = record.end_ms != RECORD_NO_TIME;
    if (has_end != (record.phase == RECORD_ENDED))
        member_fail(&reader, "end", "given exactly when the detection has ended");
    if (has_end && record.end_ms < record.start_ms)
        member_fail(&reader, "end", "before start");
    read_evidence(&reader, &record);
    member_string(&reader, "model", MEMBER_OPTIONAL, record.model, sizeof record.model);
    member_real(&reader, "latency_ms", MEMBER_OPTIONAL, 0, 1e9, &record.latency_ms);
    member_bool(&reader, "damaged", MEMBER_OPTIONAL, &record.damaged);
    if (reader.status == 0)
        *ret_record = record;
    return reader.status;
}

int record_from_text(const char *text, size_t size, struct record *ret_record,
                     struct record_error *err)
{
    json_t *object = member_parse(text, size, RECORD_TEXT_MAX, err);
    if (!object)
        return -EINVAL;
    int status = record_from_json(object, ret_record, err);
    json_decref(object);
    return status;
}
