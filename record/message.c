/* One row per message type: its name on the wire, its writer and its reader. A record is the
 * only message whose type has several names ("detection.started", ...). */
#include "record/message.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "record/member.h"
#include "record/text.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* --- pieces several messages share -------------------------------------------------------- */

/* Details quote other libraries: what they say must not cost us the message. */
static json_t *detail_to_json(const char *detail)
{
    char text[MESSAGE_DETAIL_SIZE];
    text_copy_printable(text, sizeof text, detail);
    return json_string(text);
}

/* --- parent to worker --------------------------------------------------------------------- */

static json_t *write_overrides(const struct message_stream_start *start)
{
    json_t *overrides = json_object();
    for (int i = 0; overrides && i < start->override_count; i++) {
        if (json_object_set_new(overrides, start->overrides[i].key,
                                json_string(start->overrides[i].value)) < 0) {
            json_decref(overrides);
            return NULL;
        }
    }
    return overrides;
}

static json_t *write_model(const struct message *message)
{
    const struct message_stream_start *start = &message->start;
    return json_pack("{s:s, s:s, s:s, s:o}", "stream", start->stream, "model", start->model,
                     "model_sha256", start->model_sha256, "overrides", write_overrides(start));
}

static json_t *write_start(const struct message *message)
{
    const struct message_stream_start *start = &message->start;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:o, s:o}", "stream",
                     start->stream, "node", start->node, "uri", start->uri, "user", start->user,
                     "password", start->password, "model", start->model, "model_sha256",
                     start->model_sha256, "live", start->live, "loop", start->loop, "windows",
                     start->windows, "start_ms", member_integer_value(start->start_ms),
                     "overrides", write_overrides(start));
}

static void read_overrides(struct member_reader *reader, struct message_stream_start *start)
{
    const json_t *object =
        member_get(reader, "overrides", MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    if (json_object_size(object) > MESSAGE_OVERRIDES_MAX) {
        member_fail(reader, "overrides", "more than %d members", MESSAGE_OVERRIDES_MAX);
        return;
    }
    struct member_reader overrides;
    member_reader_init(&overrides, object, reader->err);
    for (void *at = json_object_iter((json_t *)object); at && overrides.status == 0;
         at = json_object_iter_next((json_t *)object, at)) {
        const char *key = json_object_iter_key(at);
        size_t length = strlen(key), i = (size_t)start->override_count++;
        if (length >= sizeof start->overrides[i].key || !text_is_printable(key, length)) {
            member_fail(reader, "overrides", "the name of a member is not a metadata key");
            return;
        }
        memcpy(start->overrides[i].key, key, length + 1);
        member_string(&overrides, start->overrides[i].key, MEMBER_REQUIRED,
                      start->overrides[i].value, sizeof start->overrides[i].value);
    }
    reader->status = overrides.status;
}

static bool is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static void read_model(struct member_reader *reader, struct message *message)
{
    struct message_stream_start *start = &message->start;
    start->start_ms = RECORD_NO_TIME;
    member_name(reader, "stream", MEMBER_REQUIRED, start->stream);
    member_name(reader, "model", MEMBER_REQUIRED, start->model);
    member_string(reader, "model_sha256", MEMBER_OPTIONAL, start->model_sha256,
                  sizeof start->model_sha256);
    if (*start->model_sha256 && !is_sha256(start->model_sha256))
        member_fail(reader, "model_sha256", "not 64 hexadecimal digits");
    read_overrides(reader, start);
}

static void read_start(struct member_reader *reader, struct message *message)
{
    struct message_stream_start *start = &message->start;
    read_model(reader, message);
    member_string(reader, "node", MEMBER_OPTIONAL, start->node, sizeof start->node);
    if (start->node[0] && !record_name_is_valid(start->node))
        member_fail(reader, "node", "not a name");
    member_string(reader, "uri", MEMBER_REQUIRED, start->uri, sizeof start->uri);
    member_string(reader, "user", MEMBER_OPTIONAL, start->user, sizeof start->user);
    member_string(reader, "password", MEMBER_OPTIONAL, start->password, sizeof start->password);
    member_bool(reader, "live", MEMBER_OPTIONAL, &start->live);
    member_bool(reader, "loop", MEMBER_OPTIONAL, &start->loop);
    member_bool(reader, "windows", MEMBER_OPTIONAL, &start->windows);
    member_integer(reader, "start_ms", MEMBER_OPTIONAL, 0, INT64_C(253402300799999),
                   &start->start_ms);
}

static json_t *write_stream_name(const struct message *message)
{
    return json_pack("{s:s}", "stream", message->stop.stream);
}

static void read_stream_name(struct member_reader *reader, struct message *message)
{
    member_name(reader, "stream", MEMBER_REQUIRED, message->stop.stream);
}

static json_t *write_resolved(const struct message *message)
{
    const struct message_resolved *resolved = &message->resolved;
    json_t *addresses = json_array();
    for (int i = 0; addresses && i < resolved->address_count; i++) {
        if (json_array_append_new(addresses, json_string(resolved->addresses[i])) < 0) {
            json_decref(addresses);
            return NULL;
        }
    }
    return json_pack("{s:I, s:o}", "request", (json_int_t)resolved->request, "addresses",
                     addresses);
}

/* Characters of a host name, or of a numeric address with its scope ("fe80::1%eth0"). */
static bool is_host(const char *host, size_t size)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:%";
    size_t length = strlen(host);
    return length > 0 && length < size && strspn(host, allowed) == length;
}

static void read_resolved(struct member_reader *reader, struct message *message)
{
    struct message_resolved *resolved = &message->resolved;
    member_integer(reader, "request", MEMBER_REQUIRED, 0, INT64_MAX, &resolved->request);
    const json_t *addresses =
        member_array(reader, "addresses", MEMBER_REQUIRED, MESSAGE_ADDRESSES_MAX);
    for (size_t i = 0; addresses && i < json_array_size(addresses); i++) {
        const char *address = json_string_value(json_array_get(addresses, i));
        if (!address || !is_host(address, MESSAGE_ADDRESS_SIZE)) {
            member_fail(reader, "addresses", "element %zu is not an address", i);
            return;
        }
        strcpy(resolved->addresses[resolved->address_count++], address);
    }
}

static json_t *write_snapshot(const struct message *message)
{
    return json_pack("{s:I, s:s}", "request", (json_int_t)message->snapshot.request, "stream",
                     message->snapshot.stream);
}

static void read_snapshot(struct member_reader *reader, struct message *message)
{
    member_integer(reader, "request", MEMBER_REQUIRED, 0, INT64_MAX,
                   &message->snapshot.request);
    member_name(reader, "stream", MEMBER_REQUIRED, message->snapshot.stream);
}

static json_t *write_nothing(const struct message *message)
{
    (void)message;
    return json_object();
}

static void read_nothing(struct member_reader *reader, struct message *message)
{
    (void)reader;
    (void)message;
}

/* --- worker to parent --------------------------------------------------------------------- */

static json_t *write_ready(const struct message *message)
{
    return json_pack("{s:i, s:b, s:s}", "pid", message->ready.pid, "locked",
                     message->ready.locked, "version", message->ready.version);
}

static void read_ready(struct member_reader *reader, struct message *message)
{
    struct message_ready *ready = &message->ready;
    member_int(reader, "pid", MEMBER_REQUIRED, 0, INT_MAX, &ready->pid);
    member_bool(reader, "locked", MEMBER_REQUIRED, &ready->locked);
    member_string(reader, "version", MEMBER_REQUIRED, ready->version, sizeof ready->version);
}

static json_t *write_resolve(const struct message *message)
{
    return json_pack("{s:I, s:s, s:s}", "request", (json_int_t)message->resolve.request,
                     "stream", message->resolve.stream, "host", message->resolve.host);
}

static void read_resolve(struct member_reader *reader, struct message *message)
{
    struct message_resolve *resolve = &message->resolve;
    member_integer(reader, "request", MEMBER_REQUIRED, 0, INT64_MAX, &resolve->request);
    member_name(reader, "stream", MEMBER_REQUIRED, resolve->stream);
    member_string(reader, "host", MEMBER_REQUIRED, resolve->host, sizeof resolve->host);
    if (!is_host(resolve->host, sizeof resolve->host))
        member_fail(reader, "host", "not a host name");
}

static json_t *write_status(const struct message *message)
{
    return message_status_write(&message->status);
}

static void read_status(struct member_reader *reader, struct message *message)
{
    message_status_read(reader, &message->status);
}

static json_t *write_record(const struct message *message)
{
    return record_to_json(&message->record);
}

/* Scores by label: NULL when two labels are the same, since one would hide the other. */
static json_t *scores_to_json(const struct message_window *window)
{
    json_t *scores = json_object();
    for (int i = 0; scores && i < window->score_count; i++) {
        if (json_object_get(scores, window->labels[i]) ||
            json_object_set_new(scores, window->labels[i],
                                member_real_value(window->scores[i], 1e6)) < 0) {
            json_decref(scores);
            return NULL;
        }
    }
    return scores;
}

json_t *message_window_to_json(const struct message_window *window)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:o}", "type", "window", "stream",
                     window->stream, "first_pts_ns", (json_int_t)window->first_pts_ns,
                     "last_pts_ns", (json_int_t)window->last_pts_ns, "frames", window->frames,
                     "scores", scores_to_json(window));
}

static json_t *write_window(const struct message *message)
{
    return message_window_to_json(&message->window);
}

static void read_window(struct member_reader *reader, struct message *message)
{
    struct message_window *window = &message->window;
    member_name(reader, "stream", MEMBER_REQUIRED, window->stream);
    member_integer(reader, "first_pts_ns", MEMBER_REQUIRED, 0, INT64_MAX,
                   &window->first_pts_ns);
    member_integer(reader, "last_pts_ns", MEMBER_REQUIRED, window->first_pts_ns, INT64_MAX,
                   &window->last_pts_ns);
    member_int(reader, "frames", MEMBER_REQUIRED, 1, 1000000, &window->frames);
    const json_t *scores =
        member_get(reader, "scores", MEMBER_REQUIRED, JSON_OBJECT, "an object");
    if (scores && json_object_size(scores) > MESSAGE_LABELS_MAX)
        member_fail(reader, "scores", "more than %d members", MESSAGE_LABELS_MAX);
    if (reader->status != 0)
        return;
    for (void *at = json_object_iter((json_t *)scores); at;
         at = json_object_iter_next((json_t *)scores, at)) {
        const char *label = json_object_iter_key(at);
        const json_t *score = json_object_iter_value(at);
        if (!record_label_is_valid(label) || !json_is_number(score)) {
            member_fail(reader, "scores", "a member is not a label with a number");
            return;
        }
        strcpy(window->labels[window->score_count], label);
        window->scores[window->score_count++] = json_number_value(score);
    }
}

static json_t *write_snapshot_done(const struct message *message)
{
    const struct message_snapshot_done *done = &message->snapshot_done;
    return json_pack("{s:I, s:s, s:I, s:o, s:o}", "request", (json_int_t)done->request,
                     "stream", done->stream, "size_bytes", (json_int_t)done->size_bytes,
                     "pts_ns", member_integer_value(done->pts_ns), "detail",
                     detail_to_json(done->detail));
}

static void read_snapshot_done(struct member_reader *reader, struct message *message)
{
    struct message_snapshot_done *done = &message->snapshot_done;
    done->pts_ns = RECORD_NO_TIME;
    member_integer(reader, "request", MEMBER_REQUIRED, 0, INT64_MAX, &done->request);
    member_name(reader, "stream", MEMBER_REQUIRED, done->stream);
    member_integer(reader, "size_bytes", MEMBER_REQUIRED, 0, INT64_MAX, &done->size_bytes);
    member_integer(reader, "pts_ns", MEMBER_OPTIONAL, 0, INT64_MAX, &done->pts_ns);
    member_string(reader, "detail", MEMBER_OPTIONAL, done->detail, sizeof done->detail);
}

/* --- the table ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    json_t *(*write)(const struct message *message);
    void (*read)(struct member_reader *reader, struct message *message);
} types[] = {
    [MESSAGE_STREAM_START] = {"stream.start", write_start, read_start},
    [MESSAGE_STREAM_MODEL] = {"stream.model", write_model, read_model},
    [MESSAGE_STREAM_STOP] = {"stream.stop", write_stream_name, read_stream_name},
    [MESSAGE_RESOLVED] = {"resolved", write_resolved, read_resolved},
    [MESSAGE_SNAPSHOT] = {"snapshot", write_snapshot, read_snapshot},
    [MESSAGE_QUIT] = {"quit", write_nothing, read_nothing},
    [MESSAGE_READY] = {"ready", write_ready, read_ready},
    [MESSAGE_RESOLVE] = {"resolve", write_resolve, read_resolve},
    [MESSAGE_STREAM_STATUS] = {"stream.status", write_status, read_status},
    [MESSAGE_RECORD] = {NULL, write_record, NULL},
    [MESSAGE_WINDOW] = {"window", write_window, read_window},
    [MESSAGE_SNAPSHOT_DONE] = {"snapshot.done", write_snapshot_done, read_snapshot_done},
    [MESSAGE_STREAM_DONE] = {"stream.done", write_stream_name, read_stream_name},
};

char *message_to_text(const struct message *message)
{
    json_t *members = types[message->type].write(message);
    json_t *object = members && types[message->type].name
                         ? json_pack("{s:s}", "type", types[message->type].name)
                         : json_object();
    char *text = NULL;
    if (members && object && json_object_update(object, members) == 0)
        text = json_dumps(object, RECORD_JSON_FLAGS);
    json_decref(object);
    json_decref(members);
    if (text && strlen(text) > MESSAGE_TEXT_MAX) {
        free(text);
        return NULL;
    }
    return text;
}

static int message_from_json(const json_t *object, struct message *ret_message,
                             struct record_error *err)
{
    struct member_reader reader;
    member_reader_init(&reader, object, err);
    const json_t *type = member_get(&reader, "type", MEMBER_REQUIRED, JSON_STRING, "a string");
    if (!type)
        return reader.status;

    const char *name = json_string_value(type);
    struct message message = {.type = MESSAGE_RECORD};
    if (strncmp(name, "detection.", strlen("detection.")) == 0) {
        int status = record_from_json(object, &message.record, err);
        if (status == 0)
            *ret_message = message;
        return status;
    }
    int found = 0;
    while (found < COUNT(types) && (!types[found].name || strcmp(types[found].name, name) != 0))
        found++;
    if (found == COUNT(types)) {
        member_fail(&reader, "type", "not a message we know");
        return reader.status;
    }
    message.type = (enum message_type)found;
    types[found].read(&reader, &message);
    if (reader.status == 0)
        *ret_message = message;
    return reader.status;
}

int message_from_text(const char *text, size_t size, struct message *ret_message,
                      struct record_error *err)
{
    json_t *object = member_parse(text, size, MESSAGE_TEXT_MAX, err);
    if (!object)
        return -EINVAL;
    int status = message_from_json(object, ret_message, err);
    json_decref(object);
    return status;
}
