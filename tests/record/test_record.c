#include "tests/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "record/record.h"

/* The record of docs and API examples. Texts below are made from it by replacing one part. */
static const char full[] =
    "{\"type\":\"detection.ended\",\"id\":\"01J00000000000000000000000\",\"seq\":1841,"
    "\"node\":\"nvr1\",\"stream\":\"front-door\",\"kind\":\"activity\",\"label\":\"movement\","
    "\"score\":0.93,\"box\":[0.12,0.4,0.1,0.33],\"track\":17,\"zones\":[\"gate\",\"yard\"],"
    "\"time\":\"2026-11-20T12:00:01.240Z\",\"pts_ns\":1240000000,"
    "\"start\":\"2026-11-20T12:00:00.000Z\",\"end\":\"2026-11-20T12:00:01.000Z\","
    "\"window\":{\"first_pts_ns\":240000000,\"last_pts_ns\":1240000000,\"frames\":16},"
    "\"model\":\"scene@1f3a9c2e\",\"latency_ms\":38.2,\"damaged\":true}";

static const char least[] =
    "{\"type\":\"detection.started\",\"id\":\"01J00000000000000000000000\",\"stream\":\"s\","
    "\"kind\":\"stream\",\"label\":\"covered\",\"score\":1.0,\"box\":null,\"zones\":[],"
    "\"time\":\"1970-01-01T00:00:00.000Z\",\"pts_ns\":null,"
    "\"start\":\"1970-01-01T00:00:00.000Z\",\"end\":null,"
    "\"window\":{\"first_pts_ns\":null,\"last_pts_ns\":null,\"frames\":0}}";

static int read_text(const char *text, struct record *record, struct record_error *err)
{
    return record_from_text(text, strlen(text), record, err);
}

/* `full` with the first `from` replaced by `to`; static, one at a time. */
static const char *with(const char *from, const char *to)
{
    static char text[RECORD_TEXT_MAX + 2048];
    const char *at = strstr(full, from);
    ck_assert_msg(at != NULL, "%s is not in the record", from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - full), full, to, at + strlen(from));
    return text;
}

START_TEST(a_record_is_written_as_it_was_read)
{
    static const char *const texts[] = {full, least};
    struct record record;
    struct record_error err;
    ck_assert_msg(read_text(texts[_i], &record, &err) == 0, "%s", err.text);
    char *text = record_to_text(&record);
    ck_assert_str_eq(text, texts[_i]);
    free(text);
}
END_TEST

START_TEST(every_member_reaches_its_field)
{
    struct record record;
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    ck_assert_int_eq(record.phase, RECORD_ENDED);
    ck_assert_str_eq(record.id, "01J00000000000000000000000");
    ck_assert_int_eq(record.seq, 1841);
    ck_assert_str_eq(record.node, "nvr1");
    ck_assert_str_eq(record.stream, "front-door");
    ck_assert_int_eq(record.kind, RECORD_ACTIVITY);
    ck_assert_str_eq(record.label, "movement");
    ck_assert_double_eq(record.score, 0.93);
    ck_assert(record.has_box);
    ck_assert_double_eq(record.box[3], 0.33);
    ck_assert_int_eq(record.track, 17);
    ck_assert_int_eq(record.zone_count, 2);
    ck_assert_str_eq(record.zones[1], "yard");
    ck_assert_int_eq(record.time_ms, 1795176001240);
    ck_assert_int_eq(record.pts_ns, 1240000000);
    ck_assert_int_eq(record.start_ms, 1795176000000);
    ck_assert_int_eq(record.end_ms, 1795176001000);
    ck_assert_int_eq(record.window_first_pts_ns, 240000000);
    ck_assert_int_eq(record.window_last_pts_ns, 1240000000);
    ck_assert_int_eq(record.window_frames, 16);
    ck_assert_str_eq(record.model, "scene@1f3a9c2e");
    ck_assert_double_eq(record.latency_ms, 38.2);
    ck_assert(record.damaged);
}
END_TEST

START_TEST(what_may_be_absent_is_absent_after_reading)
{
    struct record record, empty;
    record_init(&empty);
    ck_assert_int_eq(read_text(least, &record, NULL), 0);
    ck_assert_int_eq(record.seq, empty.seq);
    ck_assert_int_eq(record.track, -1);
    ck_assert_int_eq(record.pts_ns, RECORD_NO_TIME);
    ck_assert_int_eq(record.end_ms, RECORD_NO_TIME);
    ck_assert(!record.has_box);
    ck_assert(record.latency_ms < 0);
    ck_assert_str_eq(record.model, "");
}
END_TEST

START_TEST(members_nobody_knows_are_ignored)
{
    struct record record;
    ck_assert_int_eq(
        read_text(with("{", "{\"new\":{\"deep\":[1,[2,[3]]]},\"other\":null,"), &record, NULL),
        0);
}
END_TEST

static const struct {
    const char *from, *to, *says;
} bad[] = {
    {"\"type\":\"detection.ended\",", "", "\"type\": missing"},
    {"detection.ended", "detection.gone", "\"type\": not a value"},
    {"\"detection.ended\"", "7", "\"type\": not a string"},
    {"01J0", "O1J0", "\"id\": not 26"},
    {"01J0", "81J0", "\"id\": not 26"},
    {"01J0", "1J0", "\"id\": not 26"},
    {"01J0", "001J0", "\"id\": longer"},
    {"1841", "-1", "\"seq\": not within"},
    {"1841", "1841.0", "\"seq\": not an integer"},
    {"1841", "9223372036854775808", "not valid JSON"},
    {"nvr1", "NVR1", "\"node\": not a name"},
    {"front-door", "-door", "\"stream\": not a name"},
    {"front-door", "", "\"stream\": not a name"},
    {"front-door", "a/../b", "\"stream\": not a name"},
    {"\"front-door\"", "null", "\"stream\": not a string"},
    {"activity", "party", "\"kind\": not a value"},
    {"movement", "", "\"label\": empty"},
    {"movement", "\\u001b[2J", "\"label\": holds characters"},
    {"movement", "\\u202egpj", "\"label\": holds characters"},
    {"movement", "a\\u0000b", "not valid JSON"},
    {"movement", "\xff", "not valid JSON"},
    {"movement", "0123456789012345678901234567890123456789012345678901234567890123456789",
     "\"label\": longer than 64"},
    {"0.93", "1.01", "\"score\": not within"},
    {"0.93", "-0.1", "\"score\": not within"},
    {"0.93", "\"0.93\"", "\"score\": not a number"},
    {"0.93", "1e999", "not valid JSON"},
    {"0.93", "NaN", "not valid JSON"},
    {"[0.12,", "[", "\"box\": not"},
    {"[0.12,", "[0.1,0.1,", "\"box\": more than 4"},
    {"[0.12,", "[-0.1,", "\"box\": not"},
    {"[0.12,", "[0.95,", "\"box\": not"},
    {"[0.12,", "[null,", "\"box\": not"},
    {"17", "-17", "\"track\": not within"},
    {"\"gate\"", "7", "\"zones\": element 0"},
    {"\"yard\"", "\"Yard\"", "\"zones\": element 1"},
    {"\"gate\"",
     "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\","
     "\"m\",\"n\",\"o\",\"p\"",
     "\"zones\": more than 16"},
    {"\"2026-11-20T12:00:01.240Z\"", "\"yesterday\"", "\"time\": not an RFC 3339"},
    {"\"2026-11-20T12:00:01.240Z\"", "null", "\"time\": not a string"},
    {"1240000000", "-1", "\"pts_ns\": not within"},
    {"\"end\":\"2026-11-20T12:00:01.000Z\",", "", "\"end\": given exactly"},
    {"detection.ended", "detection.updated", "\"end\": given exactly"},
    {"12:00:01.000Z", "11:59:59.999Z", "\"end\": before start"},
    {"_ns\":240000000", "_ns\":1240000001", "\"last_pts_ns\": before"},
    {"\"frames\":16", "\"frames\":1000001", "\"frames\": not within"},
    {"{\"first_pts_ns\":240000000,\"last_pts_ns\":1240000000,\"frames\":16}", "[]",
     "\"window\": not an object"},
    {"38.2", "-38.2", "\"latency_ms\": not within"},
    {"true", "1", "\"damaged\": not true or false"},
    {"\"seq\":1841", "\"id\":\"01J00000000000000000000000\"", "member given twice"},
    {"1841", "[[[[[[[[1]]]]]]]]", "within each other"},
    {"{\"type\"", "[{\"type\"", "not valid JSON"},
};

START_TEST(a_bad_member_is_refused_in_a_line_naming_it)
{
    struct record record = {.track = 4711};
    struct record_error err = {0};
    const char *text = with(bad[_i].from, bad[_i].to);
    ck_assert_msg(read_text(text, &record, &err) == -EINVAL, "%s was accepted", bad[_i].to);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "\"%s\" does not say \"%s\"",
                  err.text, bad[_i].says);
    ck_assert_int_eq(record.track, 4711);
    ck_assert_int_eq(read_text(text, &record, NULL), -EINVAL);
}
END_TEST

START_TEST(a_record_cut_anywhere_is_refused)
{
    struct record record;
    for (size_t size = 0; size < strlen(full); size++)
        ck_assert_int_eq(record_from_text(full, size, &record, NULL), -EINVAL);
}
END_TEST

START_TEST(text_over_the_maximum_is_refused_unread)
{
    static char text[RECORD_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    memcpy(text, full, strlen(full));
    struct record record;
    struct record_error err;
    ck_assert_int_eq(record_from_text(text, RECORD_TEXT_MAX, &record, &err), 0);
    ck_assert_int_eq(record_from_text(text, RECORD_TEXT_MAX + 1, &record, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "8193 bytes"));
}
END_TEST

START_TEST(the_largest_record_fits_its_maximum_and_is_read_back)
{
    struct record record;
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    memset(record.label, '"', RECORD_LABEL_SIZE - 1);
    memset(record.model, '\\', RECORD_MODEL_SIZE - 1);
    memset(record.node, 'n', RECORD_NAME_SIZE - 1);
    memset(record.stream, 's', RECORD_NAME_SIZE - 1);
    record.zone_count = RECORD_ZONES_MAX;
    for (int i = 0; i < RECORD_ZONES_MAX; i++)
        memset(record.zones[i], 'z', RECORD_NAME_SIZE - 1);
    for (int i = 0; i < RECORD_ZONES_MAX; i++)
        record.zones[i][RECORD_NAME_SIZE - 1] = 0;
    record.seq = record.track = record.pts_ns = record.window_last_pts_ns = INT64_MAX;
    char *text = record_to_text(&record);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_le(strlen(text), RECORD_TEXT_MAX);
    ck_assert_int_eq(read_text(text, &record, NULL), 0);
    free(text);
}
END_TEST

START_TEST(numbers_have_fixed_decimals)
{
    struct record record;
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    record.score = 0.12345678;
    record.latency_ms = 38.26;
    record.has_box = true;
    double box[4] = {1.0 / 3, 0.66666, 2.0 / 3, 0.33334};
    memcpy(record.box, box, sizeof box);
    char *text = record_to_text(&record);
    ck_assert_ptr_nonnull(strstr(text, "\"score\":0.1235,"));
    ck_assert_ptr_nonnull(strstr(text, "\"latency_ms\":38.3,"));
    /* 0.3333 and 0.6667 would end at 1.0001 if sizes were rounded alone. */
    ck_assert_ptr_nonnull(strstr(text, "\"box\":[0.3333,0.6667,0.6667,0.3333],"));
    struct record again;
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    char *same = record_to_text(&again);
    ck_assert_str_eq(text, same);
    free(same);
    free(text);
}
END_TEST

START_TEST(every_box_inside_the_picture_stays_inside_when_written)
{
    struct record record;
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    uint64_t state = 1;
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005 + 1442695040888963407;
            double value = (double)(state >> 11) / 9007199254740992.0;
            record.box[k] = k < 2 ? value : (1 - record.box[k - 2]) * (i % 2 ? value : 1);
        }
        char *text = record_to_text(&record);
        struct record again;
        struct record_error err;
        ck_assert_msg(read_text(text, &again, &err) == 0, "%s: %s", text, err.text);
        char *same = record_to_text(&again);
        ck_assert_str_eq(text, same);
        free(same);
        free(text);
    }
}
END_TEST

START_TEST(what_no_reader_would_take_is_not_written)
{
    struct record record;
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    record.score = NAN;
    ck_assert_ptr_null(record_to_text(&record));
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    record.box[2] = INFINITY;
    ck_assert_ptr_null(record_to_text(&record));
    ck_assert_int_eq(read_text(full, &record, NULL), 0);
    strcpy(record.label, "\xff");
    ck_assert_ptr_null(record_to_text(&record));
}
END_TEST

START_TEST(an_id_is_48_bits_of_time_then_80_bits_of_hash)
{
    char id[RECORD_ID_SIZE];
    uint8_t zeros[10] = {0}, ones[10], counting[10];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 10; i++)
        counting[i] = (uint8_t)(i + 1);
    record_id_format(0, zeros, id);
    ck_assert_str_eq(id, "00000000000000000000000000");
    record_id_format(0xffffffffffff, ones, id);
    ck_assert_str_eq(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    /* The example of the ULID specification, and 80 bits computed apart. */
    record_id_format(1469918176385, counting, id);
    ck_assert_str_eq(id, "01ARYZ6S41041061050R3GG28A");
    ck_assert(record_id_is_valid(id));
}
END_TEST

START_TEST(ids_that_are_not_ours_are_invalid)
{
    static const char *const ids[] = {"",
                                      "01J0",
                                      "01J0000000000000000000000",
                                      "01J000000000000000000000000",
                                      "01j00000000000000000000000",
                                      "01I00000000000000000000000",
                                      "81J00000000000000000000000"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ck_assert_msg(!record_id_is_valid(ids[i]), "%s", ids[i]);
}
END_TEST

START_TEST(names_are_lower_case_words_of_at_most_64)
{
    char longest[RECORD_NAME_SIZE + 1];
    memset(longest, 'a', sizeof longest);
    longest[64] = 0;
    ck_assert(record_name_is_valid(longest));
    ck_assert(record_name_is_valid("a"));
    ck_assert(record_name_is_valid("0-front_door"));
    static const char *const names[] = {"",   "A",   "-a",  "_a", "a b",
                                        "a.", "a/b", "a\n", "ä",  ".."};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(!record_name_is_valid(names[i]), "%s", names[i]);
    longest[64] = 'a';
    longest[65] = 0;
    ck_assert(!record_name_is_valid(longest));
}
END_TEST

START_TEST(kinds_and_phases_have_the_names_of_the_api)
{
    static const char *const kinds[] = {"activity", "object", "motion",
                                        "anomaly",  "sound",  "stream"};
    for (int i = 0; i < RECORD_KIND_COUNT; i++) {
        ck_assert_str_eq(record_kind_name((enum record_kind)i), kinds[i]);
        ck_assert_int_eq(record_kind_from_name(kinds[i]), i);
    }
    ck_assert_int_eq(record_kind_from_name("Activity"), -EINVAL);
    ck_assert_str_eq(record_phase_name(RECORD_STARTED), "started");
    ck_assert_str_eq(record_phase_name(RECORD_UPDATED), "updated");
    ck_assert_str_eq(record_phase_name(RECORD_ENDED), "ended");
}
END_TEST

int main(void)
{
    TCase *reading = tcase_create("reading"), *writing = tcase_create("writing");
    tcase_set_timeout(writing, 30);
    tcase_add_loop_test(reading, a_record_is_written_as_it_was_read, 0, 2);
    tcase_add_test(reading, every_member_reaches_its_field);
    tcase_add_test(reading, what_may_be_absent_is_absent_after_reading);
    tcase_add_test(reading, members_nobody_knows_are_ignored);
    tcase_add_loop_test(reading, a_bad_member_is_refused_in_a_line_naming_it, 0,
                        sizeof bad / sizeof bad[0]);
    tcase_add_test(reading, a_record_cut_anywhere_is_refused);
    tcase_add_test(reading, text_over_the_maximum_is_refused_unread);
    tcase_add_test(writing, the_largest_record_fits_its_maximum_and_is_read_back);
    tcase_add_test(writing, numbers_have_fixed_decimals);
    tcase_add_test(writing, every_box_inside_the_picture_stays_inside_when_written);
    tcase_add_test(writing, what_no_reader_would_take_is_not_written);
    tcase_add_test(writing, an_id_is_48_bits_of_time_then_80_bits_of_hash);
    tcase_add_test(writing, ids_that_are_not_ours_are_invalid);
    tcase_add_test(writing, names_are_lower_case_words_of_at_most_64);
    tcase_add_test(writing, kinds_and_phases_have_the_names_of_the_api);
    TCase *cases[] = {reading, writing};
    return suite_run("record/record", cases, 2);
}
