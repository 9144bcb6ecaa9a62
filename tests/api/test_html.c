#include "api/html.h"

#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

#define HOSTILE "</td><script>alert('x')</script>\"&"
#define ESCAPED "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"

static json_t *stream(const char *name, const char *state, const char *detail)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:i, s:i, s:f, s:s}}", "name", name,
                     "uri", detail, "model", detail, "status", "state", state, "reason", detail,
                     "detail", detail, "width", 1920, "height", 1080, "fps", 14.96, "codec",
                     detail);
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (; (text = strstr(text, part)); text++)
        found++;
    return found;
}

START_TEST(every_text_is_escaped_wherever_it_stands)
{
    json_t *streams = json_pack("[o]", stream(HOSTILE, "live", HOSTILE));
    struct record record;
    record_init(&record);
    snprintf(record.id, sizeof record.id, "%.26s", HOSTILE);
    snprintf(record.stream, sizeof record.stream, "%s", HOSTILE);
    snprintf(record.label, sizeof record.label, "%s", HOSTILE);
    record.start_ms = 1763640001240;
    struct api_html_page page = {
        .version = HOSTILE, .streams = streams, .detections = &record, .detection_count = 1};
    char *text = api_html_write(&page);
    ck_assert_int_eq(count(text, "<script"), 0);
    ck_assert_int_eq(count(text, "alert('"), 0);
    /* Name (heading, text beside the picture, two addresses), reason, detail, model; stream and
     * label of the detection; version. The codec is cut short, the address has breaks. */
    ck_assert_int_eq(count(text, ESCAPED), 10);
    ck_assert_ptr_nonnull(strstr(text, "<dt>address</dt><dd>&lt;/<wbr>td&gt;&lt;script&gt;"));
    free(text);
    /* A state is a class too. */
    json_array_set_new(streams, 0, stream("a", HOSTILE, "b"));
    text = api_html_write(&page);
    ck_assert_int_eq(count(text, "<script"), 0);
    ck_assert_ptr_nonnull(strstr(text, "<article class=\"stream " ESCAPED "\">"));
    free(text);
    json_decref(streams);
}
END_TEST

START_TEST(only_live_streams_have_a_picture)
{
    json_t *streams =
        json_pack("[o, o]", stream("door", "live", ""), stream("yard", "backoff", ""));
    struct api_html_page page = {.version = "1", .streams = streams};
    char *text = api_html_write(&page);
    ck_assert_ptr_nonnull(strstr(text, "src=\"/api/v1/streams/door/snapshot.jpg\""));
    ck_assert_ptr_nonnull(strstr(text, "href=\"/api/v1/streams/door/live.mjpeg\""));
    ck_assert_int_eq(count(text, "<img"), 1);
    ck_assert_ptr_nonnull(strstr(text, "1 of 2 streams live"));
    free(text);
    json_decref(streams);
}
END_TEST

START_TEST(what_is_not_known_is_said_so)
{
    struct api_html_page page = {.version = "1", .detection_count = -1};
    char *text = api_html_write(&page);
    ck_assert_ptr_nonnull(strstr(text, "They cannot be told at the moment."));
    ck_assert_ptr_nonnull(strstr(text, "They cannot be read at the moment."));
    free(text);
    page = (struct api_html_page){.version = "1", .streams = json_array()};
    text = api_html_write(&page);
    ck_assert_int_eq(count(text, "There are none."), 2);
    free(text);
    json_decref((json_t *)page.streams);
}
END_TEST

START_TEST(times_are_local_and_durations_readable)
{
    struct record records[4];
    static const int64_t lasted[] = {1240, 61000, 3723000, -1};
    for (int i = 0; i < 4; i++) {
        record_init(&records[i]);
        records[i].start_ms = 1763640001240;
        records[i].end_ms = lasted[i] < 0 ? RECORD_NO_TIME : records[i].start_ms + lasted[i];
    }
    setenv("TZ", "UTC-2", 1);
    struct api_html_page page = {.version = "1", .detections = records, .detection_count = 4};
    char *text = api_html_write(&page);
    static const char *const parts[] = {
        "<th>began, UTC</th>",
        "<time datetime=\"2025-11-20T12:00:01.240Z\">2025-11-20 14:00:01</time>",
        ">1.2 s<",
        ">1:01 min<",
        ">1:02 h<",
        "<b>still on</b>"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ck_assert_msg(strstr(text, parts[i]), "%s is not in %s", parts[i], text);
    free(text);
}
END_TEST

START_TEST(a_time_of_another_zone_than_the_heading_says_so)
{
    struct record records[2];
    for (int i = 0; i < 2; i++) {
        record_init(&records[i]);
        records[i].end_ms = RECORD_NO_TIME;
    }
    records[0].start_ms = 1761440401000; /* 2025-10-26T01:00:01Z: the second of two hours */
    records[1].start_ms = 1761438601000; /* half an hour before, by summer time */
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    struct api_html_page page = {.version = "1", .detections = records, .detection_count = 2};
    char *text = api_html_write(&page);
    static const char *const parts[] = {"<th>began, CET</th>", ">2025-10-26 02:00:01</time>",
                                        ">2025-10-26 02:30:01 CEST</time>"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ck_assert_msg(strstr(text, parts[i]), "%s is not in %s", parts[i], text);
    free(text);
}
END_TEST

START_TEST(an_address_breaks_between_its_parts)
{
    json_t *streams = json_pack("[o]", stream("a", "live", "rtsp://h/x/y?a=1&b=2"));
    struct api_html_page page = {.version = "1", .streams = streams};
    char *text = api_html_write(&page);
    ck_assert_ptr_nonnull(
        strstr(text, "<dd>rtsp://<wbr>h/<wbr>x/<wbr>y<wbr>?a=1<wbr>&amp;b=2</dd>"));
    free(text);
    json_decref(streams);
}
END_TEST

START_TEST(one_frame_is_not_several)
{
    json_t *streams = json_pack("[o]", stream("a", "live", "x"));
    struct api_html_page page = {.version = "1", .streams = streams};
    static const struct {
        int dropped;
        const char *text;
    } rows[] = {{1, "<dd>1 frame</dd>"}, {2, "<dd>2 frames</dd>"}};
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(json_object_get(json_array_get(streams, 0), "status"), "dropped",
                            json_integer(rows[i].dropped));
        char *text = api_html_write(&page);
        ck_assert_ptr_nonnull(strstr(text, rows[i].text));
        free(text);
    }
    json_decref(streams);
}
END_TEST

int main(void)
{
    TCase *html = tcase_create("html");
    tcase_add_test(html, every_text_is_escaped_wherever_it_stands);
    tcase_add_test(html, only_live_streams_have_a_picture);
    tcase_add_test(html, what_is_not_known_is_said_so);
    tcase_add_test(html, times_are_local_and_durations_readable);
    tcase_add_test(html, a_time_of_another_zone_than_the_heading_says_so);
    tcase_add_test(html, an_address_breaks_between_its_parts);
    tcase_add_test(html, one_frame_is_not_several);
    return suite_run("api/html", &html, 1);
}
