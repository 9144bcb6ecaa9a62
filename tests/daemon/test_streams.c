#include "tests/suite.h"

#include <glib.h>
#include <string.h>

#include "daemon/streams.h"

static struct streams *streams;

static void setup(void)
{
    streams = streams_create();
}

static void teardown(void)
{
    streams_destroy(streams);
}

static struct stream_entry *put(const char *name)
{
    struct config_stream config = {.scheme = CONFIG_SCENE, .enabled = true};
    snprintf(config.name, sizeof config.name, "%s", name);
    snprintf(config.uri, sizeof config.uri, "scene://street");
    return streams_put(streams, &config, false);
}

static void report(struct stream_entry *entry, enum stream_state state,
                   enum stream_reason reason, int64_t received)
{
    struct message_stream_status status;
    message_status_init(&status);
    snprintf(status.stream, sizeof status.stream, "%s", entry->config.name);
    status.state = state;
    status.reason = reason;
    status.received = received;
    stream_entry_set_status(entry, &status);
}

START_TEST(streams_are_listed_by_name_and_found)
{
    static const char *const names[] = {"c", "a", "d", "b"};
    for (size_t i = 0; i < 4; i++)
        put(names[i]);
    put("a");
    ck_assert_uint_eq(streams_count(streams), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(streams_at(streams, i)->config.name[0], 'a' + (int)i);
    streams_remove(streams, "b");
    streams_remove(streams, "nobody");
    ck_assert_ptr_null(streams_find(streams, "b"));
    ck_assert_str_eq(streams_find(streams, "c")->config.name, "c");
}
END_TEST

START_TEST(counters_go_on_over_the_death_of_a_worker_and_a_new_configuration)
{
    struct stream_entry *entry = put("a");
    report(entry, STREAM_LIVE, REASON_NONE, 10);
    report(entry, STREAM_LIVE, REASON_NONE, 25);
    ck_assert_int_eq(stream_entry_totals(entry).received, 25);
    report(entry, STREAM_BACKOFF, REASON_CRASHED, 0);
    ck_assert_int_eq(stream_entry_totals(entry).received, 25);
    report(entry, STREAM_LIVE, REASON_NONE, 5);
    ck_assert_int_eq(stream_entry_totals(entry).received, 30);
    entry = put("a");
    report(entry, STREAM_LIVE, REASON_NONE, 1);
    ck_assert_int_eq(stream_entry_totals(entry).received, 31);
    ck_assert_int_eq(entry->restarts, 1);
}
END_TEST

START_TEST(histograms_and_reasons_go_on_over_the_death_of_a_worker)
{
    struct stream_entry *entry = put("a");
    struct message_stream_status status;
    message_status_init(&status);
    snprintf(status.stream, sizeof status.stream, "a");
    status.state = STREAM_LIVE;
    for (int worker = 1; worker <= 2; worker++) {
        for (int i = 1; i <= 3; i++) {
            status.received = i;
            status.lost[REASON_TIMEOUT] = i - 1;
            status.decode_cpu_ms = i;
            histogram_add(&status.latency, 0.04);
            stream_entry_set_status(entry, &status);
        }
        ck_assert_int_eq(histogram_count(&status.latency), 3);
        memset(&status.latency, 0, sizeof status.latency);
        report(entry, STREAM_BACKOFF, REASON_CRASHED, 0);
        struct stream_totals totals = stream_entry_totals(entry);
        ck_assert_int_eq(histogram_count(&totals.latency), 3 * worker);
        ck_assert_double_eq_tol(totals.latency.sum_seconds, 0.12 * worker, 1e-9);
        ck_assert_int_eq(totals.lost[REASON_TIMEOUT], 2 * worker);
        ck_assert_double_eq_tol(totals.decode_cpu_ms, 3 * worker, 1e-9);
    }
}
END_TEST

START_TEST(attempts_go_on_over_the_death_of_a_worker_that_reached_nothing)
{
    struct stream_entry *entry = put("a");
    struct message_stream_status status;
    message_status_init(&status);
    snprintf(status.stream, sizeof status.stream, "a");
    status.state = STREAM_BACKOFF;
    status.reason = REASON_REFUSED;
    for (int worker = 1; worker <= 2; worker++) {
        status.attempts = 5;
        stream_entry_set_status(entry, &status);
        report(entry, STREAM_BACKOFF, REASON_CRASHED, 0);
        ck_assert_int_eq(stream_entry_totals(entry).attempts, 5 * worker);
    }
}
END_TEST

START_TEST(a_worker_that_lies_about_its_counters_does_no_harm)
{
    struct stream_entry *entry = put("a");
    report(entry, STREAM_LIVE, REASON_NONE, INT64_MAX);
    report(entry, STREAM_LIVE, REASON_NONE, 1);
    report(entry, STREAM_LIVE, REASON_NONE, INT64_MAX);
    ck_assert_int_eq(stream_entry_totals(entry).received, INT64_MAX);
}
END_TEST

START_TEST(records_are_limited_by_rate_and_come_back_with_time)
{
    struct stream_entry *entry = put("a");
    int allowed = 0;
    for (int i = 0; i < 2 * STREAMS_RECORDS_BURST; i++)
        allowed += stream_entry_allows_record(entry, 5000);
    ck_assert_int_eq(allowed, STREAMS_RECORDS_BURST);
    ck_assert(!stream_entry_allows_record(entry, 5000));
    for (int i = 0; i < STREAMS_RECORDS_PER_SECOND; i++)
        ck_assert(stream_entry_allows_record(entry, 6000));
    ck_assert(!stream_entry_allows_record(entry, 6000));
    for (int i = 0; i < STREAMS_RECORDS_BURST; i++)
        ck_assert(stream_entry_allows_record(entry, 6000 + 3600000));
    ck_assert(!stream_entry_allows_record(entry, 6000 + 3600000));
}
END_TEST

START_TEST(the_json_holds_what_the_api_promises_and_no_credentials)
{
    struct stream_entry *entry = put("a");
    snprintf(entry->config.user, sizeof entry->config.user, "joe");
    snprintf(entry->config.password, sizeof entry->config.password, "secret");
    json_t *object = stream_entry_to_json(entry, 4711);
    char *text = json_dumps(object, 0);
    ck_assert_ptr_null(strstr(text, "joe"));
    ck_assert_ptr_null(strstr(text, "secret"));
    ck_assert(json_is_true(json_object_get(object, "credentials")));
    ck_assert_str_eq(json_string_value(json_object_get(object, "source")), "api");
    const json_t *status = json_object_get(object, "status");
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "connecting");
    ck_assert_int_eq(json_integer_value(json_object_get(status, "worker_pid")), 4711);
    free(text);
    json_decref(object);
    entry->config.enabled = false;
    streams_put(streams, &entry->config, true);
    object = stream_entry_to_json(entry, -1);
    status = json_object_get(object, "status");
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "disabled");
    ck_assert(json_is_null(json_object_get(status, "worker_pid")));
    ck_assert_str_eq(json_string_value(json_object_get(object, "source")), "file");
    json_decref(object);
}
END_TEST

START_TEST(a_tag_stands_for_one_configuration_and_is_no_help_to_guess_a_password)
{
    struct stream_entry *entry = put("a");
    char first[STREAMS_ETAG_SIZE], second[STREAMS_ETAG_SIZE];
    g_strlcpy(first, entry->etag, sizeof first);
    ck_assert_uint_eq(strlen(first), STREAMS_ETAG_SIZE - 1);
    report(entry, STREAM_LIVE, REASON_NONE, 10);
    put("a");
    ck_assert_str_eq(entry->etag, first);
    struct config_stream config = entry->config;
    g_strlcpy(config.user, "joe", sizeof config.user);
    g_strlcpy(config.password, "secret", sizeof config.password);
    streams_put(streams, &config, false);
    g_strlcpy(second, entry->etag, sizeof second);
    ck_assert_str_ne(second, first);
    g_strlcpy(config.password, "secres", sizeof config.password);
    streams_put(streams, &config, false);
    ck_assert_str_ne(entry->etag, second);
    struct streams *others = streams_create();
    ck_assert_str_ne(streams_put(others, &config, false)->etag, entry->etag);
    streams_destroy(others);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("streams");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, streams_are_listed_by_name_and_found);
    tcase_add_test(tests, counters_go_on_over_the_death_of_a_worker_and_a_new_configuration);
    tcase_add_test(tests, histograms_and_reasons_go_on_over_the_death_of_a_worker);
    tcase_add_test(tests, attempts_go_on_over_the_death_of_a_worker_that_reached_nothing);
    tcase_add_test(tests, a_worker_that_lies_about_its_counters_does_no_harm);
    tcase_add_test(tests, records_are_limited_by_rate_and_come_back_with_time);
    tcase_add_test(tests,
                   a_tag_stands_for_one_configuration_and_is_no_help_to_guess_a_password);
    tcase_add_test(tests, the_json_holds_what_the_api_promises_and_no_credentials);
    return suite_run("daemon/streams", &tests, 1);
}
