#include "tests/suite.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "record/message.h"

/* One text of each type, as written. */
static const char *const texts[] = {
    "{\"type\":\"stream.start\",\"stream\":\"door\",\"node\":\"nvr1\","
    "\"uri\":\"rtsp://cam/1\",\"user\":\"u\",\"password\":\"p\\\"w\",\"model\":\"scene\","
    "\"model_sha256\":\"\",\"live\":true,\"loop\":false,\"windows\":true,\"start_ms\":0,"
    "\"overrides\":{\"vigil.fps\":\"5\",\"vigil.enter\":\"0.7\"}}",
    "{\"type\":\"stream.model\",\"stream\":\"door\",\"model\":\"fights\",\"model_sha256\":\"\","
    "\"overrides\":{\"vigil.fps\":\"12\"}}",
    "{\"type\":\"stream.stop\",\"stream\":\"door\"}",
    "{\"type\":\"resolved\",\"request\":7,\"addresses\":[\"192.0.2.1\",\"fe80::1%eth0\"]}",
    "{\"type\":\"snapshot\",\"request\":8,\"stream\":\"door\"}",
    "{\"type\":\"quit\"}",
    "{\"type\":\"ready\",\"pid\":4242,\"locked\":true,\"version\":\"0.1.0\"}",
    "{\"type\":\"resolve\",\"request\":7,\"stream\":\"door\",\"host\":\"cam.example\"}",
    "{\"type\":\"stream.status\",\"stream\":\"door\",\"state\":\"backoff\","
    "\"reason\":\"no_data\",\"detail\":\"no packet for 3 s\","
    "\"since\":\"2026-11-20T12:00:03.100Z\",\"degraded\":true,\"overloaded\":false,"
    "\"codec\":\"h264\",\"profile\":\"high\",\"audio\":\"PCMU\",\"width\":640,\"height\":360,"
    "\"fps\":14.98,\"bitrate_bps\":1950000.0,\"timestamp_faults\":6,"
    "\"gop\":{\"count\":4,\"frames\":{\"last\":30,\"mean\":29.5,\"max\":31},"
    "\"seconds\":{\"last\":2.0,\"mean\":1.967,\"max\":2.067},\"reordered\":true,"
    "\"open\":false},"
    "\"received\":10,\"analysed\":5,\"skipped\":4,\"dropped\":1,\"damaged\":0,\"windows\":2,"
    "\"records_lost\":7,\"reconnects\":3,\"attempts\":9,"
    "\"lost\":{\"no_data\":2,\"disconnected\":1},"
    "\"connected\":\"2026-11-20T12:00:00.000Z\","
    "\"first_packet\":\"2026-11-20T12:00:00.100Z\",\"first_key\":null,"
    "\"first_analysed\":null,\"last_frame\":null,\"latency_ms\":38.2,"
    "\"latency_p50_ms\":31.5,\"latency_p99_ms\":80.1,\"decode_ms\":1.25,"
    "\"inference_ms\":null,\"decode_cpu_ms\":12.5,\"analysis_cpu_ms\":3.5,"
    "\"model\":\"scene@1f3a9c2e\",\"histograms\":{"
    "\"decode\":{\"counts\":[0,0,0,3,7,0,0,0,0,0,0,0,0,0,0,0,0],\"sum\":0.0125},"
    "\"inference\":{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"sum\":0.0},"
    "\"latency\":{\"counts\":[0,0,0,0,0,0,0,0,4,1,0,0,0,0,0,0,1],\"sum\":11.5}}}",
    "{\"type\":\"detection.started\",\"id\":\"01J00000000000000000000000\",\"stream\":\"s\","
    "\"kind\":\"stream\",\"label\":\"covered\",\"score\":1.0,\"box\":null,\"zones\":[],"
    "\"time\":\"1970-01-01T00:00:00.000Z\",\"pts_ns\":0,"
    "\"start\":\"1970-01-01T00:00:00.000Z\",\"end\":null,"
    "\"window\":{\"first_pts_ns\":0,\"last_pts_ns\":0,\"frames\":1}}",
    "{\"type\":\"window\",\"stream\":\"door\",\"first_pts_ns\":0,\"last_pts_ns\":933000000,"
    "\"frames\":8,\"scores\":{\"quiet\":0.987654,\"movement\":0.012346,\"big\":1e300}}",
    "{\"type\":\"snapshot.done\",\"request\":8,\"stream\":\"door\",\"size_bytes\":0,\"pts_ns\":"
    "null,"
    "\"detail\":\"no picture yet\"}",
    "{\"type\":\"stream.done\",\"stream\":\"door\"}",
};
#define TEXT_COUNT ((int)(sizeof texts / sizeof texts[0]))

static int read_text(const char *text, struct message *message, struct record_error *err)
{
    return message_from_text(text, strlen(text), message, err);
}

START_TEST(every_message_is_written_as_it_was_read)
{
    struct message message;
    struct record_error err;
    ck_assert_msg(read_text(texts[_i], &message, &err) == 0, "%s", err.text);
    ck_assert_int_eq(message.type, _i);
    char *text = message_to_text(&message);
    ck_assert_str_eq(text, texts[_i]);
    free(text);
}
END_TEST

START_TEST(a_message_cut_anywhere_is_refused)
{
    struct message message = {.type = 99};
    for (size_t size = 0; size < strlen(texts[_i]); size++)
        ck_assert_int_eq(message_from_text(texts[_i], size, &message, NULL), -EINVAL);
    ck_assert_int_eq(message.type, 99);
}
END_TEST

START_TEST(a_start_message_fills_every_field)
{
    struct message message;
    ck_assert_int_eq(read_text(texts[MESSAGE_STREAM_START], &message, NULL), 0);
    struct message_stream_start *start = &message.start;
    ck_assert_str_eq(start->uri, "rtsp://cam/1");
    ck_assert_str_eq(start->password, "p\"w");
    ck_assert_str_eq(start->model, "scene");
    ck_assert(start->live && !start->loop && start->windows);
    ck_assert_int_eq(start->start_ms, 0);
    ck_assert_int_eq(start->override_count, 2);
    ck_assert_str_eq(start->overrides[1].key, "vigil.enter");
    ck_assert_str_eq(start->overrides[1].value, "0.7");
}
END_TEST

START_TEST(a_status_message_fills_every_field)
{
    struct message message;
    ck_assert_int_eq(read_text(texts[MESSAGE_STREAM_STATUS], &message, NULL), 0);
    struct message_stream_status *status = &message.status;
    ck_assert_int_eq(status->state, STREAM_BACKOFF);
    ck_assert_int_eq(status->reason, REASON_NO_DATA);
    ck_assert_int_eq(status->received, 10);
    ck_assert_int_eq(status->reconnects, 3);
    ck_assert_int_eq(status->first_packet_ms, 1795176000100);
    ck_assert_int_eq(status->first_key_ms, RECORD_NO_TIME);
    ck_assert_double_eq(status->latency_ms, 38.2);
    ck_assert(status->inference_ms < 0);
    ck_assert_int_eq(status->since_ms, 1795176003100);
    ck_assert_str_eq(status->profile, "high");
    ck_assert_str_eq(status->audio, "PCMU");
    ck_assert_int_eq(status->gop.count, 4);
    ck_assert_int_eq(status->gop.max_frames, 31);
    ck_assert_double_eq(status->gop.mean_seconds, 1.967);
    ck_assert(status->gop.reordered && !status->gop.open);
    ck_assert_int_eq(status->records_lost, 7);
    ck_assert_int_eq(status->attempts, 9);
    ck_assert_int_eq(status->lost[REASON_NO_DATA], 2);
    ck_assert_int_eq(status->lost[REASON_REFUSED], 0);
    ck_assert_double_eq(status->latency_p99_ms, 80.1);
    ck_assert_int_eq(status->decode.counts[4], 7);
    ck_assert_int_eq(histogram_count(&status->latency), 6);
}
END_TEST

START_TEST(a_status_with_nothing_but_its_state_is_all_unknown)
{
    struct message message;
    ck_assert_int_eq(read_text("{\"type\":\"stream.status\",\"stream\":\"s\","
                               "\"state\":\"connecting\",\"reason\":\"none\"}",
                               &message, NULL),
                     0);
    struct message_stream_status *status = &message.status, unknown;
    message_status_init(&unknown);
    strcpy(unknown.stream, "s");
    json_t *read = message_status_to_json(status), *made = message_status_to_json(&unknown);
    ck_assert(json_equal(read, made));
    ck_assert(json_is_null(json_object_get(read, "gop")));
    ck_assert(json_is_null(json_object_get(read, "bitrate_bps")));
    ck_assert(json_is_null(json_object_get(read, "since")));
    ck_assert_int_eq(json_object_size(json_object_get(read, "lost")), 0);
    ck_assert_ptr_null(json_object_get(read, "histograms"));
    json_decref(read);
    json_decref(made);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"", "not valid JSON"},
    {"null", "not valid JSON"},
    {"[]", "not a JSON object"},
    {"{}", "\"type\": missing"},
    {"{\"type\":null}", "\"type\": not a string"},
    {"{\"type\":\"\"}", "\"type\": not a message"},
    {"{\"type\":\"detection.\"}", "\"type\": not a value"},
    {"{\"type\":\"stream.explode\"}", "\"type\": not a message"},
    {"{\"type\":\"quit\",\"type\":\"quit\"}", "member given twice"},
    {"{\"type\":\"stream.stop\",\"stream\":\"../x\"}", "\"stream\": not a name"},
    {"{\"type\":\"stream.start\",\"stream\":\"s\",\"model\":\"m\"}", "\"uri\": missing"},
    {"{\"type\":\"stream.model\",\"stream\":\"s\"}", "\"model\": missing"},
    {"{\"type\":\"stream.model\",\"stream\":\"s\",\"model\":\"m\",\"model_sha256\":\"x\"}",
     "model_sha256"},
    {"{\"type\":\"stream.start\",\"stream\":\"s\",\"uri\":\"scene://a\\n\",\"model\":\"m\"}",
     "\"uri\": holds"},
    {"{\"type\":\"stream.start\",\"stream\":\"s\",\"uri\":\"scene://a\",\"model\":\"m\","
     "\"overrides\":{\"vigil.fps\":5}}",
     "\"vigil.fps\": not a string"},
    {"{\"type\":\"stream.start\",\"stream\":\"s\",\"uri\":\"scene://a\",\"model\":\"m\","
     "\"overrides\":{\"0123456789012345678901234567890123456789012345678\":\"\"}}",
     "not a metadata key"},
    {"{\"type\":\"stream.start\",\"stream\":\"s\",\"uri\":\"scene://a\",\"model\":\"m\","
     "\"model_sha256\":\"01234567\"}",
     "not 64 hexadecimal digits"},
    {"{\"type\":\"resolved\",\"request\":1,\"addresses\":[1]}", "element 0"},
    {"{\"type\":\"resolved\",\"request\":1,\"addresses\":[\"a b\"]}", "element 0"},
    {"{\"type\":\"resolved\",\"request\":1,\"addresses\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\","
     "\"\",\"\"]}",
     "more than 8"},
    {"{\"type\":\"resolve\",\"request\":1,\"stream\":\"s\",\"host\":\"a/b\"}", "\"host\""},
    {"{\"type\":\"resolve\",\"request\":-1,\"stream\":\"s\",\"host\":\"a\"}", "\"request\""},
    {"{\"type\":\"ready\",\"pid\":2147483648,\"locked\":true,\"version\":\"1\"}", "\"pid\""},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"happy\",\"reason\":\"none\"}",
     "\"state\""},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"detail\":\"\\u001b]0;x\\u0007\"}",
     "\"detail\": holds"},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"dropped\":-1}",
     "\"dropped\""},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"lost\":{\"happy\":1}}",
     "\"lost\": a member is not a reason"},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"lost\":{\"dns\":-1}}",
     "\"dns\""},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"gop\":{\"count\":0,\"reordered\":false,\"open\":false,\"frames\":{},\"seconds\":{}}}",
     "\"count\": not within"},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"gop\":{\"count\":1,\"reordered\":false,\"open\":false,"
     "\"frames\":{\"last\":1,\"mean\":1,\"max\":1},\"seconds\":{\"last\":1,\"mean\":-1}}}",
     "\"mean\": not within"},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"histograms\":{\"decode\":{\"counts\":[1]}}}",
     "\"counts\": not 17"},
    {"{\"type\":\"stream.status\",\"stream\":\"s\",\"state\":\"live\",\"reason\":\"none\","
     "\"fps\":-1}",
     "\"fps\""},
    {"{\"type\":\"window\",\"stream\":\"s\",\"first_pts_ns\":5,\"last_pts_ns\":4,\"frames\":1,"
     "\"scores\":{}}",
     "\"last_pts_ns\""},
    {"{\"type\":\"window\",\"stream\":\"s\",\"first_pts_ns\":5,\"last_pts_ns\":5,\"frames\":1,"
     "\"scores\":{\"\":1}}",
     "\"scores\""},
    {"{\"type\":\"window\",\"stream\":\"s\",\"first_pts_ns\":5,\"last_pts_ns\":5,\"frames\":1,"
     "\"scores\":{\"a\":null}}",
     "\"scores\""},
};

START_TEST(a_bad_message_is_refused_in_a_line_naming_the_member)
{
    struct message message;
    struct record_error err = {0};
    ck_assert_msg(read_text(bad[_i].text, &message, &err) == -EINVAL, "%s", bad[_i].text);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "\"%s\" does not say \"%s\"",
                  err.text, bad[_i].says);
}
END_TEST

/* A string of the worst characters: each takes two bytes when written. */
static void fill(char *text, size_t size)
{
    memset(text, '"', size - 1);
    text[size - 1] = 0;
}

START_TEST(a_window_of_256_of_the_longest_labels_fits_a_packet)
{
    static struct message message = {.type = MESSAGE_WINDOW};
    struct message_window *window = &message.window;
    memset(window->stream, 's', RECORD_NAME_SIZE - 1);
    window->first_pts_ns = window->last_pts_ns = INT64_MAX;
    window->frames = 1000000;
    window->score_count = MESSAGE_LABELS_MAX;
    for (int i = 0; i < MESSAGE_LABELS_MAX; i++) {
        fill(window->labels[i], RECORD_LABEL_SIZE);
        window->labels[i][0] = (char)('a' + i / 16);
        window->labels[i][1] = (char)('a' + i % 16);
        window->scores[i] = -1.2345678901234567e-300;
    }
    char *text = message_to_text(&message);
    ck_assert_ptr_nonnull(text);
    struct message again;
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    ck_assert_int_eq(again.window.score_count, MESSAGE_LABELS_MAX);
    ck_assert_str_eq(again.window.labels[255], window->labels[255]);
    free(text);
}
END_TEST

START_TEST(the_largest_start_and_status_fit_a_packet)
{
    static struct message message = {.type = MESSAGE_STREAM_START}, again;
    struct message_stream_start *start = &message.start;
    strcpy(start->stream, "s");
    strcpy(start->model, "m");
    fill(start->uri, sizeof start->uri);
    fill(start->user, sizeof start->user);
    fill(start->password, sizeof start->password);
    start->start_ms = RECORD_NO_TIME;
    start->override_count = MESSAGE_OVERRIDES_MAX;
    for (int i = 0; i < MESSAGE_OVERRIDES_MAX; i++) {
        fill(start->overrides[i].key, sizeof start->overrides[i].key);
        start->overrides[i].key[0] = (char)('A' + i);
        fill(start->overrides[i].value, sizeof start->overrides[i].value);
    }
    char *text = message_to_text(&message);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    ck_assert_int_eq(again.start.override_count, MESSAGE_OVERRIDES_MAX);
    ck_assert_int_eq(again.start.start_ms, RECORD_NO_TIME);
    free(text);

    message.type = MESSAGE_STREAM_STATUS;
    message_status_init(&message.status);
    strcpy(message.status.stream, "s");
    fill(message.status.detail, sizeof message.status.detail);
    fill(message.status.audio, sizeof message.status.audio);
    fill(message.status.profile, sizeof message.status.profile);
    message.status.received = message.status.gop.count = INT64_MAX;
    for (int i = 0; i < REASON_COUNT; i++)
        message.status.lost[i] = INT64_MAX;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        message.status.decode.counts[i] = INT64_MAX;
    text = message_to_text(&message);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    ck_assert_str_eq(again.status.detail, message.status.detail);
    free(text);
}
END_TEST

START_TEST(a_detail_is_made_printable_not_refused)
{
    struct message message = {.type = MESSAGE_STREAM_STATUS}, again;
    message_status_init(&message.status);
    strcpy(message.status.stream, "s");
    strcpy(message.status.detail, "decoder said: \x1b[31m\xff\n");
    char *text = message_to_text(&message);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    ck_assert_str_eq(again.status.detail, "decoder said: ?[31m??");
    free(text);
}
END_TEST

START_TEST(what_no_reader_would_take_is_not_written)
{
    struct message message;
    ck_assert_int_eq(read_text(texts[MESSAGE_WINDOW], &message, NULL), 0);
    message.window.scores[0] = NAN;
    ck_assert_ptr_null(message_to_text(&message));
    ck_assert_int_eq(read_text(texts[MESSAGE_WINDOW], &message, NULL), 0);
    strcpy(message.window.labels[1], message.window.labels[0]);
    ck_assert_ptr_null(message_to_text(&message));
    ck_assert_int_eq(read_text(texts[MESSAGE_STREAM_START], &message, NULL), 0);
    strcpy(message.start.password, "\xff");
    ck_assert_ptr_null(message_to_text(&message));
}
END_TEST

START_TEST(states_and_reasons_are_found_by_their_names)
{
    for (int i = 0; i <= STREAM_ENDED; i++)
        ck_assert_int_eq(stream_state_from_name(stream_state_name((enum stream_state)i)), i);
    for (int i = 0; i < REASON_COUNT; i++)
        ck_assert_int_eq(stream_reason_from_name(stream_reason_name((enum stream_reason)i)), i);
    ck_assert_int_eq(stream_state_from_name("Live"), -EINVAL);
    ck_assert_int_eq(stream_reason_from_name(""), -EINVAL);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("message");
    tcase_set_timeout(all, 30);
    tcase_add_loop_test(all, every_message_is_written_as_it_was_read, 0, TEXT_COUNT);
    tcase_add_loop_test(all, a_message_cut_anywhere_is_refused, 0, TEXT_COUNT);
    tcase_add_test(all, a_start_message_fills_every_field);
    tcase_add_test(all, a_status_message_fills_every_field);
    tcase_add_test(all, a_status_with_nothing_but_its_state_is_all_unknown);
    tcase_add_loop_test(all, a_bad_message_is_refused_in_a_line_naming_the_member, 0,
                        sizeof bad / sizeof bad[0]);
    tcase_add_test(all, a_window_of_256_of_the_longest_labels_fits_a_packet);
    tcase_add_test(all, the_largest_start_and_status_fit_a_packet);
    tcase_add_test(all, a_detail_is_made_printable_not_refused);
    tcase_add_test(all, what_no_reader_would_take_is_not_written);
    tcase_add_test(all, states_and_reasons_are_found_by_their_names);
    return suite_run("record/message", &all, 1);
}
