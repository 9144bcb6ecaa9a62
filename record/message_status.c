/* One table says what a status is made of; writer and reader go through it. */
#include "record/message_status.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "record/text.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *const state_names[] = {
    [STREAM_CONNECTING] = "connecting", [STREAM_LIVE] = "live",
    [STREAM_STALLED] = "stalled",       [STREAM_BACKOFF] = "backoff",
    [STREAM_DISABLED] = "disabled",     [STREAM_FAILED] = "failed",
    [STREAM_ENDED] = "ended",
};

static const char *const reason_names[REASON_COUNT] = {
    [REASON_NONE] = "none",
    [REASON_NO_DATA] = "no_data",
    [REASON_NO_PICTURE] = "no_picture",
    [REASON_AUTH_FAILED] = "auth_failed",
    [REASON_NOT_FOUND] = "not_found",
    [REASON_REFUSED] = "refused",
    [REASON_DNS] = "dns",
    [REASON_TIMEOUT] = "timeout",
    [REASON_TLS] = "tls",
    [REASON_DISCONNECTED] = "disconnected",
    [REASON_UNSUPPORTED_CODEC] = "unsupported_codec",
    [REASON_TRANSPORT] = "transport",
    [REASON_TOO_LARGE] = "too_large",
    [REASON_UNREADABLE] = "unreadable",
    [REASON_MODEL] = "model",
    [REASON_CRASHED] = "crashed",
    [REASON_INTERNAL] = "internal",
};

const char *stream_state_name(enum stream_state state)
{
    return state_names[state];
}

int stream_state_from_name(const char *name)
{
    return member_find_name(state_names, COUNT(state_names), name);
}

const char *stream_reason_name(enum stream_reason reason)
{
    return reason_names[reason];
}

int stream_reason_from_name(const char *name)
{
    return member_find_name(reason_names, COUNT(reason_names), name);
}

/* --- kinds of members --------------------------------------------------------------------- */

struct field;

/* Writes or reads the field at `at`; a writer returns NULL without memory. */
struct kind {
    json_t *(*write)(const struct field *field, const void *at);
    void (*read)(const struct field *field, struct member_reader *reader, void *at);
};

struct field {
    const char *name;
    const struct kind *kind;
    size_t offset;
    size_t size;  /* of a text */
    double scale; /* of a measure: 10 for one decimal */
};

static json_t *write_name(const struct field *field, const void *at)
{
    (void)field;
    return json_string(at);
}

static void read_name(const struct field *field, struct member_reader *reader, void *at)
{
    member_name(reader, field->name, MEMBER_REQUIRED, at);
}

static json_t *write_state(const struct field *field, const void *at)
{
    (void)field;
    return json_string(state_names[*(const enum stream_state *)at]);
}

static void read_state(const struct field *field, struct member_reader *reader, void *at)
{
    int state = 0;
    member_enum(reader, field->name, stream_state_from_name, &state);
    *(enum stream_state *)at = (enum stream_state)state;
}

static json_t *write_reason(const struct field *field, const void *at)
{
    (void)field;
    return json_string(reason_names[*(const enum stream_reason *)at]);
}

static void read_reason(const struct field *field, struct member_reader *reader, void *at)
{
    int reason = 0;
    member_enum(reader, field->name, stream_reason_from_name, &reason);
    *(enum stream_reason *)at = (enum stream_reason)reason;
}

/* Details quote other libraries: what they say must not cost us the message. */
static json_t *write_detail(const struct field *field, const void *at)
{
    (void)field;
    char text[MESSAGE_DETAIL_SIZE];
    text_copy_printable(text, sizeof text, at);
    return json_string(text);
}

static json_t *write_text(const struct field *field, const void *at)
{
    (void)field;
    return *(const char *)at ? json_string(at) : json_null();
}

static void read_text(const struct field *field, struct member_reader *reader, void *at)
{
    member_string(reader, field->name, MEMBER_OPTIONAL, at, field->size);
}

static json_t *write_flag(const struct field *field, const void *at)
{
    (void)field;
    return json_boolean(*(const bool *)at);
}

static void read_flag(const struct field *field, struct member_reader *reader, void *at)
{
    member_bool(reader, field->name, MEMBER_OPTIONAL, at);
}

static json_t *write_side(const struct field *field, const void *at)
{
    (void)field;
    return json_integer(*(const int *)at);
}

static void read_side(const struct field *field, struct member_reader *reader, void *at)
{
    member_int(reader, field->name, MEMBER_OPTIONAL, 0, 65535, at);
}

static json_t *write_count(const struct field *field, const void *at)
{
    (void)field;
    return json_integer(*(const int64_t *)at);
}

static void read_count(const struct field *field, struct member_reader *reader, void *at)
{
    member_integer(reader, field->name, MEMBER_OPTIONAL, 0, INT64_MAX, at);
}

static json_t *write_time(const struct field *field, const void *at)
{
    (void)field;
    return member_time_value(*(const int64_t *)at);
}

static void read_time(const struct field *field, struct member_reader *reader, void *at)
{
    member_time(reader, field->name, MEMBER_OPTIONAL, at);
}

/* Below zero: unknown. */
static json_t *write_measure(const struct field *field, const void *at)
{
    double value = *(const double *)at;
    return value < 0 ? json_null() : member_real_value(value, field->scale);
}

static void read_measure(const struct field *field, struct member_reader *reader, void *at)
{
    member_real(reader, field->name, MEMBER_OPTIONAL, 0, 1e15, at);
}

static json_t *write_reasons(const struct field *field, const void *at)
{
    (void)field;
    const int64_t *counts = at;
    json_t *object = json_object();
    for (int i = 0; object && i < REASON_COUNT; i++) {
        if (counts[i] &&
            json_object_set_new(object, reason_names[i], json_integer(counts[i])) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static void read_reasons(const struct field *field, struct member_reader *reader, void *at)
{
    int64_t *counts = at;
    const json_t *object =
        member_get(reader, field->name, MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    struct member_reader inner;
    member_reader_init(&inner, object, reader->err);
    for (void *member = json_object_iter((json_t *)object); member && inner.status == 0;
         member = json_object_iter_next((json_t *)object, member)) {
        const char *name = json_object_iter_key(member);
        int reason = stream_reason_from_name(name);
        if (reason < 0)
            member_fail(&inner, field->name, "a member is not a reason");
        else
            member_integer(&inner, name, MEMBER_REQUIRED, 0, INT64_MAX, &counts[reason]);
    }
    reader->status = inner.status;
}

static json_t *write_gop(const struct field *field, const void *at)
{
    (void)field;
    const struct message_gop *gop = at;
    if (gop->count == 0)
        return json_null();
    return json_pack("{s:I, s:{s:I, s:o, s:I}, s:{s:o, s:o, s:o}, s:b, s:b}", "count",
                     (json_int_t)gop->count, "frames", "last", (json_int_t)gop->last_frames,
                     "mean", member_real_value(gop->mean_frames, 10), "max",
                     (json_int_t)gop->max_frames, "seconds", "last",
                     member_real_value(gop->last_seconds, 1000), "mean",
                     member_real_value(gop->mean_seconds, 1000), "max",
                     member_real_value(gop->max_seconds, 1000), "reordered", gop->reordered,
                     "open", gop->open);
}

static void read_gop(const struct field *field, struct member_reader *reader, void *at)
{
    struct message_gop *gop = at;
    const json_t *object =
        member_get(reader, field->name, MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    struct member_reader inner, part;
    member_reader_init(&inner, object, reader->err);
    member_integer(&inner, "count", MEMBER_REQUIRED, 1, INT64_MAX, &gop->count);
    member_bool(&inner, "reordered", MEMBER_REQUIRED, &gop->reordered);
    member_bool(&inner, "open", MEMBER_REQUIRED, &gop->open);
    const json_t *frames =
        member_get(&inner, "frames", MEMBER_REQUIRED, JSON_OBJECT, "an object");
    const json_t *seconds =
        member_get(&inner, "seconds", MEMBER_REQUIRED, JSON_OBJECT, "an object");
    if (inner.status == 0) {
        member_reader_init(&part, frames, reader->err);
        member_integer(&part, "last", MEMBER_REQUIRED, 0, INT64_MAX, &gop->last_frames);
        member_real(&part, "mean", MEMBER_REQUIRED, 0, 1e15, &gop->mean_frames);
        member_integer(&part, "max", MEMBER_REQUIRED, 0, INT64_MAX, &gop->max_frames);
        inner.status = part.status;
    }
    if (inner.status == 0) {
        member_reader_init(&part, seconds, reader->err);
        member_real(&part, "last", MEMBER_REQUIRED, 0, 1e15, &gop->last_seconds);
        member_real(&part, "mean", MEMBER_REQUIRED, 0, 1e15, &gop->mean_seconds);
        member_real(&part, "max", MEMBER_REQUIRED, 0, 1e15, &gop->max_seconds);
        inner.status = part.status;
    }
    reader->status = inner.status;
}

/* --- the table ---------------------------------------------------------------------------- */

#define AT(member)   offsetof(struct message_stream_status, member)
#define SIZE(member) sizeof(((struct message_stream_status *)0)->member)

static const struct kind a_name = {write_name, read_name};
static const struct kind a_state = {write_state, read_state};
static const struct kind a_reason = {write_reason, read_reason};
static const struct kind a_detail = {write_detail, read_text};
static const struct kind a_text = {write_text, read_text};
static const struct kind a_flag = {write_flag, read_flag};
static const struct kind a_side = {write_side, read_side};
static const struct kind a_count = {write_count, read_count};
static const struct kind a_time = {write_time, read_time};
static const struct kind a_measure = {write_measure, read_measure};
static const struct kind a_reasons = {write_reasons, read_reasons};
static const struct kind a_gop = {write_gop, read_gop};

static const struct field fields[] = {
    {"stream", &a_name, AT(stream)},
    {"state", &a_state, AT(state)},
    {"reason", &a_reason, AT(reason)},
    {"detail", &a_detail, AT(detail), SIZE(detail)},
    {"since", &a_time, AT(since_ms)},
    {"degraded", &a_flag, AT(degraded)},
    {"overloaded", &a_flag, AT(overloaded)},
    {"codec", &a_text, AT(codec), SIZE(codec)},
    {"profile", &a_text, AT(profile), SIZE(profile)},
    {"audio", &a_text, AT(audio), SIZE(audio)},
    {"width", &a_side, AT(width)},
    {"height", &a_side, AT(height)},
    {"fps", &a_measure, AT(fps), .scale = 100},
    {"bitrate_bps", &a_measure, AT(bitrate_bps), .scale = 1},
    {"timestamp_faults", &a_count, AT(timestamp_faults)},
    {"gop", &a_gop, AT(gop)},
    {"received", &a_count, AT(received)},
    {"analysed", &a_count, AT(analysed)},
    {"skipped", &a_count, AT(skipped)},
    {"dropped", &a_count, AT(dropped)},
    {"damaged", &a_count, AT(damaged)},
    {"windows", &a_count, AT(windows)},
    {"records_lost", &a_count, AT(records_lost)},
    {"reconnects", &a_count, AT(reconnects)},
    {"attempts", &a_count, AT(attempts)},
    {"lost", &a_reasons, AT(lost)},
    {"connected", &a_time, AT(connected_ms)},
    {"first_packet", &a_time, AT(first_packet_ms)},
    {"first_key", &a_time, AT(first_key_ms)},
    {"first_analysed", &a_time, AT(first_analysed_ms)},
    {"last_frame", &a_time, AT(last_frame_ms)},
    {"latency_ms", &a_measure, AT(latency_ms), .scale = 10},
    {"latency_p50_ms", &a_measure, AT(latency_p50_ms), .scale = 10},
    {"latency_p99_ms", &a_measure, AT(latency_p99_ms), .scale = 10},
    {"decode_ms", &a_measure, AT(decode_ms), .scale = 1000},
    {"inference_ms", &a_measure, AT(inference_ms), .scale = 1000},
    {"decode_cpu_ms", &a_measure, AT(decode_cpu_ms), .scale = 10},
    {"analysis_cpu_ms", &a_measure, AT(analysis_cpu_ms), .scale = 10},
    {"model", &a_text, AT(model), SIZE(model)},
};

static const struct {
    const char *name;
    size_t offset;
} histograms[] = {
    {"decode", AT(decode)},
    {"inference", AT(inference)},
    {"latency", AT(latency)},
};

void message_status_init(struct message_stream_status *status)
{
    memset(status, 0, sizeof *status);
    int64_t *const times[] = {&status->since_ms,          &status->connected_ms,
                              &status->first_packet_ms,   &status->first_key_ms,
                              &status->first_analysed_ms, &status->last_frame_ms};
    double *const measures[] = {&status->bitrate_bps,    &status->latency_ms,
                                &status->latency_p50_ms, &status->latency_p99_ms,
                                &status->decode_ms,      &status->inference_ms};
    for (int i = 0; i < COUNT(times); i++)
        *times[i] = RECORD_NO_TIME;
    for (int i = 0; i < COUNT(measures); i++)
        *measures[i] = -1;
}

/* Takes `value`, which may be NULL. */
static bool put(json_t *object, const char *name, json_t *value)
{
    return value && json_object_set_new(object, name, value) == 0;
}

json_t *message_status_to_json(const struct message_stream_status *status)
{
    json_t *object = json_object();
    for (int i = 0; object && i < COUNT(fields); i++) {
        const struct field *field = &fields[i];
        if (!put(object, field->name,
                 field->kind->write(field, (const char *)status + field->offset))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *message_status_write(const struct message_stream_status *status)
{
    json_t *object = message_status_to_json(status);
    json_t *all = json_object();
    bool good = object && all;
    for (int i = 0; good && i < COUNT(histograms); i++) {
        const void *histogram = (const char *)status + histograms[i].offset;
        good = put(all, histograms[i].name, histogram_to_json(histogram));
    }
    if (good && json_object_set(object, "histograms", all) == 0) {
        json_decref(all);
        return object;
    }
    json_decref(all);
    json_decref(object);
    return NULL;
}

void message_status_read(struct member_reader *reader, struct message_stream_status *ret_status)
{
    message_status_init(ret_status);
    for (int i = 0; i < COUNT(fields) && reader->status == 0; i++)
        fields[i].kind->read(&fields[i], reader, (char *)ret_status + fields[i].offset);
    const json_t *object =
        member_get(reader, "histograms", MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    struct member_reader inner;
    member_reader_init(&inner, object, reader->err);
    for (int i = 0; i < COUNT(histograms) && inner.status == 0; i++) {
        void *histogram = (char *)ret_status + histograms[i].offset;
        histogram_read(&inner, histograms[i].name, histogram);
    }
    reader->status = inner.status;
}
