/* What a summary is asked by, and how it is written. */
#include "record/summary.h"

#include <errno.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(a_summary_is_asked_by_names_with_commas_between)
{
    static const struct {
        const char *text;
        unsigned by; /* 0: refused */
    } asked[] = {
        {"stream", RECORD_BY_STREAM},
        {"label", RECORD_BY_LABEL},
        {"hour", RECORD_BY_HOUR},
        {"day", RECORD_BY_DAY},
        {"day,label,stream", RECORD_BY_STREAM | RECORD_BY_LABEL | RECORD_BY_DAY},
        {"hour,day", 0},
        {"stream,stream", 0},
        {"stream,", 0},
        {",stream", 0},
        {"", 0},
        {"streams", 0},
        {"Stream", 0},
        {"stream label", 0},
    };
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        unsigned by = 4711;
        int status = record_by_parse(asked[i].text, &by);
        ck_assert_msg(status == (asked[i].by ? 0 : -EINVAL), "%s", asked[i].text);
        ck_assert_uint_eq(by, asked[i].by ? asked[i].by : 4711);
    }
}
END_TEST

START_TEST(a_group_shows_only_what_it_was_counted_by)
{
    struct record_group groups[2] = {
        {.time_ms = 1767225600000, .stream = "door", .label = "say \"hi\"", .count = 7},
        {.time_ms = RECORD_NO_TIME, .stream = "gate", .count = 1}};
    struct record_summary summary = {
        .by = RECORD_BY_STREAM | RECORD_BY_HOUR, .total = 8, .count = 2, .groups = groups};
    char *text = record_summary_to_text(&summary);
    ck_assert_str_eq(text, "{\"by\":[\"stream\",\"hour\"],\"total\":8,\"groups\":["
                           "{\"time\":\"2026-01-01T00:00:00.000Z\",\"stream\":\"door\","
                           "\"label\":\"say \\\"hi\\\"\",\"count\":7},"
                           "{\"stream\":\"gate\",\"count\":1}]}");
    free(text);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("summary");
    tcase_add_test(all, a_summary_is_asked_by_names_with_commas_between);
    tcase_add_test(all, a_group_shows_only_what_it_was_counted_by);
    return suite_run("record/summary", &all, 1);
}
