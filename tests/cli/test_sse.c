#include "tests/suite.h"

#include <errno.h>
#include <string.h>

#include "cli/sse.h"

static GString *seen;

static int note(void *stop_after, const struct sse_event *event)
{
    g_string_append_printf(seen, "[%s|%s|%s]", event->id, event->event, event->data);
    return stop_after && strcmp(event->data, stop_after) == 0 ? 7 : 0;
}

static const struct {
    const char *bytes, *events;
} streams[] = {
    {"data: a\n\n", "[|message|a]"},
    {"id: 7\nevent: detection.started\ndata: {}\n\n", "[7|detection.started|{}]"},
    {"id:7\ndata:a\n\ndata:b\n\n",
     "[7|message|a][7|message|b]"}, /* the id stays, the type not */
    {"event: x\ndata: a\n\ndata: b\n\n", "[|x|a][|message|b]"},
    {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[|message|a][|message|b][|message|c]"},
    {"data: one\ndata: two\n\n", "[|message|one\ntwo]"},
    {"data:  two blanks\n\n", "[|message| two blanks]"},
    {": heartbeat\n\n: another\n\n", ""},
    {"retry: 2000\n\n", ""},
    {"id: 9\n\n", "[9|message|]"}, /* where the stream stands */
    {"data\n\n", "[|message|]"},
    {"nonsense: x\ndata: a\n\n", "[|message|a]"},
    {"data: a\n", ""}, /* not ended: not an event */
};

START_TEST(bytes_become_events_however_they_are_cut)
{
    size_t size = strlen(streams[_i].bytes);
    for (size_t cut = 0; cut <= size; cut++) {
        struct sse_reader reader;
        sse_reader_init(&reader);
        seen = g_string_new(NULL);
        ck_assert_int_eq(sse_reader_feed(&reader, streams[_i].bytes, cut, note, NULL), 0);
        ck_assert_int_eq(
            sse_reader_feed(&reader, streams[_i].bytes + cut, size - cut, note, NULL), 0);
        ck_assert_str_eq(seen->str, streams[_i].events);
        g_string_free(seen, TRUE);
        sse_reader_finish(&reader);
    }
}
END_TEST

START_TEST(a_taker_that_has_had_enough_gets_nothing_more)
{
    struct sse_reader reader;
    sse_reader_init(&reader);
    seen = g_string_new(NULL);
    static const char bytes[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    ck_assert_int_eq(sse_reader_feed(&reader, bytes, strlen(bytes), note, (void *)"b"), 7);
    ck_assert_str_eq(seen->str, "[|message|a][|message|b]");
    g_string_free(seen, TRUE);
    sse_reader_finish(&reader);
}
END_TEST

START_TEST(endless_lines_and_endless_events_are_errors_not_memory)
{
    static char bytes[4096];
    for (int lines = 0; lines < 2; lines++) {
        struct sse_reader reader;
        sse_reader_init(&reader);
        memset(bytes, 'x', sizeof bytes);
        if (lines) {
            for (size_t i = 0; i < sizeof bytes; i += 64)
                memcpy(bytes + i, "\ndata:", 6);
        }
        int status = 0;
        for (int i = 0; status == 0 && i < 100; i++)
            status = sse_reader_feed(&reader, bytes, sizeof bytes, note, NULL);
        ck_assert_int_eq(status, -EMSGSIZE);
        ck_assert_uint_le(reader.line->len + reader.data->len, 2 * SSE_TEXT_MAX);
        sse_reader_finish(&reader);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("sse");
    tcase_add_loop_test(all, bytes_become_events_however_they_are_cut, 0,
                        sizeof streams / sizeof streams[0]);
    tcase_add_test(all, a_taker_that_has_had_enough_gets_nothing_more);
    tcase_add_test(all, endless_lines_and_endless_events_are_errors_not_memory);
    return suite_run("cli/sse", &all, 1);
}
