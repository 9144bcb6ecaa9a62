#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "api/query.h"
#include "tests/suite.h"

static struct api_target target;
static struct api_query query;
static struct api_error err;
static const char *code;

static int parse(const struct api_parameter_rule *rules, const char *raw)
{
    ck_assert_msg(api_target_parse(raw, &target, &err) == 0, "%s: %s", raw, err.text);
    return api_query_parse(rules, &target, &query, &code, &err);
}

START_TEST(nothing_asked_means_everything_newest_first)
{
    ck_assert_int_eq(parse(api_query_detections, "/x"), 0);
    ck_assert_str_eq(query.detections.stream, "");
    ck_assert_int_eq(query.detections.kind, -1);
    ck_assert_int_eq(query.detections.since_ms, RECORD_NO_TIME);
    ck_assert_int_eq(query.detections.limit, RECORD_PAGE_DEFAULT);
    ck_assert(!query.detections.ascending);
    ck_assert_int_eq(query.last_event_id, API_NO_EVENT_ID);
}
END_TEST

START_TEST(values_that_fit_are_taken)
{
    static const struct {
        const char *value;
        double score;
    } scores[] = {{"0", 0},
                  {"1", 1},
                  {"1.0", 1},
                  {"0.93", 0.93},
                  {".5", 0.5},
                  {"1.", 1},
                  {"0.12345678", 0.12345678}};
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        char raw[64];
        snprintf(raw, sizeof raw, "/x?min_score=%s", scores[i].value);
        ck_assert_int_eq(parse(api_query_detections, raw), 0);
        ck_assert_double_eq(query.detections.min_score, scores[i].score);
    }
    ck_assert_int_eq(parse(api_query_detections, "/x?limit=500&state=ended&order=desc"), 0);
    ck_assert_int_eq(query.detections.limit, 500);
    ck_assert_int_eq(query.detections.state, RECORD_STATE_ENDED);
    ck_assert(!query.detections.ascending);
    ck_assert_int_eq(parse(api_query_events, "/x?last_event_id=9223372036854775807"), 0);
    ck_assert_int_eq(query.last_event_id, INT64_MAX);
}
END_TEST

START_TEST(an_offset_whose_plus_became_a_space_is_understood)
{
    ck_assert_int_eq(parse(api_query_detections, "/x?since=2026-11-20T14:00:00.5+02:00"), 0);
    int64_t since = query.detections.since_ms;
    ck_assert_int_eq(parse(api_query_detections, "/x?since=2026-11-20T14:00:00.5%2B02:00"), 0);
    ck_assert_int_eq(query.detections.since_ms, since);
    ck_assert_int_eq(parse(api_query_detections, "/x?since=2026-11-20T12:00:00.500Z"), 0);
    ck_assert_int_eq(query.detections.since_ms, since);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error_that_names_it)
{
    static const struct {
        const char *raw, *code, *names;
    } rows[] = {
        {"/x?foo=1", "parameter_unknown", "foo"},
        {"/x?Limit=1", "parameter_unknown", "Limit"},
        {"/x?=1", "parameter_unknown", "''"},
        {"/x?last_event_id=1", "parameter_unknown", "last_event_id"},
        {"/x?limit=1&stream=a&limit=2", "parameter_repeated", "limit"},
        {"/x?limit=1&%6cimit=1", "parameter_repeated", "limit"},
        {"/x?stream=", "parameter_invalid", "stream"},
        {"/x?stream=Door", "parameter_invalid", "stream"},
        {"/x?stream=a%2fb", "parameter_invalid", "stream"},
        {"/x?zone=..", "parameter_invalid", "zone"},
        {"/x?kind=person", "parameter_invalid", "kind"},
        {"/x?kind=ACTIVITY", "parameter_invalid", "kind"},
        {"/x?label=", "parameter_invalid", "label"},
        {"/x?min_score=", "parameter_invalid", "min_score"},
        {"/x?min_score=.", "parameter_invalid", "min_score"},
        {"/x?min_score=1.1", "parameter_invalid", "min_score"},
        {"/x?min_score=-0", "parameter_invalid", "min_score"},
        {"/x?min_score=nan", "parameter_invalid", "min_score"},
        {"/x?min_score=0x1", "parameter_invalid", "min_score"},
        {"/x?min_score=1e-3", "parameter_invalid", "min_score"},
        {"/x?min_score=0.1.1", "parameter_invalid", "min_score"},
        {"/x?min_score=0.12345678901", "parameter_invalid", "min_score"},
        {"/x?since=now", "parameter_invalid", "since"},
        {"/x?since=2026-11-20", "parameter_invalid", "since"},
        {"/x?until=2026-02-30T00:00:00Z", "parameter_invalid", "until"},
        {"/x?state=", "parameter_invalid", "state"},
        {"/x?state=any", "parameter_invalid", "state"},
        {"/x?order=newest", "parameter_invalid", "order"},
        {"/x?limit=", "parameter_invalid", "limit"},
        {"/x?limit=0", "parameter_invalid", "limit"},
        {"/x?limit=501", "parameter_invalid", "limit"},
        {"/x?limit=+5", "parameter_invalid", "limit"},
        {"/x?limit=99999999999999999999", "parameter_invalid", "limit"},
        {"/x?cursor=", "cursor_invalid", "cursor"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_msg(parse(api_query_detections, rows[i].raw) == -EINVAL, "%s", rows[i].raw);
        ck_assert_msg(strcmp(code, rows[i].code) == 0, "%s: %s", rows[i].raw, code);
        ck_assert_msg(strstr(err.text, rows[i].names), "%s: %s", rows[i].raw, err.text);
    }
    ck_assert_int_eq(parse(api_query_none, "/x?a"), -EINVAL);
    ck_assert_int_eq(parse(api_query_events, "/x?last_event_id=9223372036854775808"), -EINVAL);
    ck_assert_int_eq(parse(api_query_events, "/x?limit=1"), -EINVAL);
}
END_TEST

START_TEST(a_misspelt_name_brings_the_one_that_was_meant)
{
    ck_assert_int_eq(parse(api_query_detections, "/x?labl=movement"), -EINVAL);
    ck_assert_str_eq(err.text, "there is no parameter 'labl' here; did you mean label");
    ck_assert_int_eq(parse(api_query_detections, "/x?Limit=1"), -EINVAL);
    ck_assert_str_eq(err.text, "there is no parameter 'Limit' here; did you mean limit");
    ck_assert_int_eq(parse(api_query_live, "/x?fp=1"), -EINVAL);
    ck_assert_str_eq(err.text, "there is no parameter 'fp' here; did you mean fps");
    /* Nothing is like it, or there is nothing at all. */
    ck_assert_int_eq(parse(api_query_detections, "/x?callback=f"), -EINVAL);
    ck_assert_str_eq(err.text, "there is no parameter 'callback' here");
    ck_assert_int_eq(parse(api_query_none, "/x?limit=1"), -EINVAL);
    ck_assert_str_eq(err.text, "there is no parameter 'limit' here");
}
END_TEST

START_TEST(values_at_their_longest_fit_and_one_byte_more_does_not)
{
    static const struct {
        const char *name;
        int size;
    } rows[] = {{"stream", RECORD_NAME_SIZE},
                {"zone", RECORD_NAME_SIZE},
                {"label", RECORD_LABEL_SIZE},
                {"cursor", RECORD_CURSOR_SIZE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char raw[256];
        snprintf(raw, sizeof raw, "/x?%s=%0*d", rows[i].name, rows[i].size - 1, 0);
        ck_assert_int_eq(parse(api_query_detections, raw), 0);
        snprintf(raw, sizeof raw, "/x?%s=%0*d", rows[i].name, rows[i].size, 0);
        ck_assert_int_eq(parse(api_query_detections, raw), -EINVAL);
    }
}
END_TEST

START_TEST(an_error_leaves_the_query_alone)
{
    ck_assert_int_eq(parse(api_query_detections, "/x?limit=7"), 0);
    ck_assert_int_eq(parse(api_query_detections, "/x?limit=8&foo"), -EINVAL);
    ck_assert_int_eq(query.detections.limit, 7);
}
END_TEST

int main(void)
{
    TCase *cases[] = {tcase_create("query")};
    tcase_add_test(cases[0], nothing_asked_means_everything_newest_first);
    tcase_add_test(cases[0], values_that_fit_are_taken);
    tcase_add_test(cases[0], an_offset_whose_plus_became_a_space_is_understood);
    tcase_add_test(cases[0], what_does_not_fit_is_an_error_that_names_it);
    tcase_add_test(cases[0], a_misspelt_name_brings_the_one_that_was_meant);
    tcase_add_test(cases[0], values_at_their_longest_fit_and_one_byte_more_does_not);
    tcase_add_test(cases[0], an_error_leaves_the_query_alone);
    return suite_run("api/query", cases, 1);
}
