/* What the code says about its API, as JSON, for check_openapi.py: the route table, and records
 * as they are written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/server.h"
#include "record/message.h"

static json_t *dump_routes(void)
{
    json_t *routes = json_array();
    struct api_route_info info;
    for (size_t i = 0; api_server_get_route(i, &info) == 0; i++) {
        json_t *parameters = json_array();
        for (int j = 0; j < info.parameter_count; j++)
            json_array_append_new(parameters, json_string(info.parameters[j]));
        json_array_append_new(routes,
                              json_pack("{s:s, s:s, s:s, s:b, s:o}", "method", info.method,
                                        "path", info.path, "scope", info.scope, "body",
                                        info.has_body, "parameters", parameters));
    }
    return routes;
}

static json_t *dump_records(void)
{
    struct record record;
    record_init(&record);
    record_id_format(1763640001240, (const uint8_t[10]){1, 2, 3, 255}, record.id);
    strcpy(record.stream, "door");
    strcpy(record.label, "movement");
    record.seq = 1;
    record.time_ms = record.start_ms = 1763640001240;
    json_t *records = json_array();
    json_array_append_new(records, record_to_json(&record));
    record.phase = RECORD_ENDED;
    record.kind = RECORD_STREAM;
    strcpy(record.node, "nvr1");
    strcpy(record.model, "scene@1f3a9c2e");
    strcpy(record.zones[0], "gate");
    record.zone_count = 1;
    record.has_box = true;
    record.box[2] = record.box[3] = 0.5;
    record.track = 17;
    record.end_ms = record.time_ms;
    record.pts_ns = record.window_first_pts_ns = record.window_last_pts_ns = 1000000;
    record.window_frames = 16;
    record.latency_ms = 38.2;
    record.damaged = true;
    json_array_append_new(records, record_to_json(&record));
    return records;
}

static json_t *dump_names(const char *(*name)(int), int count)
{
    json_t *names = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(names, json_string(name(i)));
    return names;
}

static const char *state_name(int i)
{
    return stream_state_name((enum stream_state)i);
}

static const char *reason_name(int i)
{
    return stream_reason_name((enum stream_reason)i);
}

static const char *kind_name(int i)
{
    return record_kind_name((enum record_kind)i);
}

int main(void)
{
    struct message_stream_status status;
    message_status_init(&status);
    snprintf(status.stream, sizeof status.stream, "door");
    snprintf(status.model, sizeof status.model, "scene@1f3a9c2e");
    status.gop = (struct message_gop){.count = 1, .last_frames = 30, .last_seconds = 2};
    status.lost[REASON_NO_DATA] = 1;
    json_t *all =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "routes", dump_routes(), "records",
                  dump_records(), "status", message_status_to_json(&status), "states",
                  dump_names(state_name, STREAM_ENDED + 1), "reasons",
                  dump_names(reason_name, REASON_COUNT), "kinds",
                  dump_names(kind_name, RECORD_KIND_COUNT));
    if (!all || json_dumpf(all, stdout, JSON_INDENT(1)) < 0)
        return EXIT_FAILURE;
    json_decref(all);
    return EXIT_SUCCESS;
}
