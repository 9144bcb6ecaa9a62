#include "tests/suite.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

static int real_stdout;
static FILE *captured;

/* What follows goes to a file instead; Check runs each test in a process of its own. */
static void capture(void)
{
    fflush(stdout);
    real_stdout = dup(STDOUT_FILENO);
    captured = tmpfile();
    dup2(fileno(captured), STDOUT_FILENO);
}

static void assert_printed(const char *expected)
{
    fflush(stdout);
    char text[4096];
    ssize_t size = pread(fileno(captured), text, sizeof text - 1, 0);
    dup2(real_stdout, STDOUT_FILENO);
    text[size > 0 ? size : 0] = 0;
    ck_assert_str_eq(text, expected);
}

static struct record ended(void)
{
    struct record record;
    record_init(&record);
    record.phase = RECORD_ENDED;
    strcpy(record.stream, "door");
    strcpy(record.label, "movement");
    record.score = 0.934;
    record.start_ms = 1795176006000;
    record.end_ms = 1795176019640;
    record.time_ms = 1795176020000;
    return record;
}

START_TEST(a_record_is_a_line_by_the_clock_asked_for)
{
    capture();
    struct record record = ended();
    output_record(&record, OUTPUT_TIME, 0);
    output_record(&record, OUTPUT_POSITION, 1795176000000);
    record.phase = RECORD_STARTED;
    output_record(&record, OUTPUT_POSITION, 1795176000000 - 3600000);
    record.phase = RECORD_UPDATED;
    strcpy(record.zones[record.zone_count++], "gate");
    record.damaged = true;
    output_record(&record, OUTPUT_TIME, 0);
    assert_printed("12:00:19.640  door  movement ended  0.93  lasted 13.6 s\n"
                   "0:00:19.6  door  movement ended  0.93  lasted 13.6 s\n"
                   "1:00:06.0  door  movement started  0.93\n"
                   "12:00:20.000  door  movement updated  0.93  gate  (pictures were "
                   "damaged)\n");
}
END_TEST

START_TEST(a_detection_is_told_by_its_start_and_how_long_it_lasted)
{
    capture();
    struct record record = ended();
    output_detection(&record);
    record.phase = RECORD_UPDATED;
    output_detection(&record);
    assert_printed("2026-11-20 12:00:06.000  door  movement  0.93  lasted 13.6 s\n"
                   "2026-11-20 12:00:06.000  door  movement  0.93  still on\n");
}
END_TEST

START_TEST(times_of_day_are_local)
{
    g_setenv("TZ", "XXX-3", TRUE);
    capture();
    struct record record = ended();
    output_detection(&record);
    assert_printed("2026-11-20 15:00:06.000  door  movement  0.93  lasted 13.6 s\n");
}
END_TEST

START_TEST(a_window_is_told_by_its_centre)
{
    capture();
    struct message_window window = {.first_pts_ns = 5000000000,
                                    .last_pts_ns = 6000000000,
                                    .score_count = 2,
                                    .labels = {"quiet", "movement"},
                                    .scores = {0.984, 0.016}};
    strcpy(window.stream, "door");
    output_window(&window);
    assert_printed("0:00:05.5  door  window  quiet 0.98  movement 0.02\n");
}
END_TEST

START_TEST(nothing_a_terminal_would_obey_is_printed)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"plain Straße 東京", "plain Straße 東京"},
        {"\x1b[2Jgone", "\xef\xbf\xbd[2Jgone"},
        {"two\nlines\tand a tab", "two lines and a tab"},
        {"\x7f", "\xef\xbf\xbd"},
        {"\xc2\x9b"
         "31m",
         "\xef\xbf\xbd"
         "31m"},
        {"a\xe2\x80\xaez", "a\xef\xbf\xbdz"},
        {"\xff", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *shown = output_printable(texts[i].text);
        ck_assert_str_eq(shown, texts[i].shown);
    }
    capture();
    json_t *value = json_pack("[s, s, f]", "\x1b[2J\x7f\n", "\xc2\x9bé", 0.93);
    output_json_line(value);
    json_decref(value);
    assert_printed("[\"\\u001B[2J\\u007F\\n\",\"\\u009B\\u00E9\",0.93]\n");
}
END_TEST

START_TEST(a_table_is_as_wide_as_its_widest_cells)
{
    capture();
    const char *const cells[] = {"NAME", "STATE",          "URI", "front", "live", "a",
                                 "é",    "\x1b[31mfailed", NULL};
    output_table(cells, 3, 3);
    assert_printed("NAME   STATE        URI\n"
                   "front  live         a\n"
                   "é      \xef\xbf\xbd[31mfailed  \n");
}
END_TEST

int main(void)
{
    g_setenv("TZ", "UTC0", TRUE);
    TCase *all = tcase_create("output");
    tcase_add_test(all, a_record_is_a_line_by_the_clock_asked_for);
    tcase_add_test(all, a_detection_is_told_by_its_start_and_how_long_it_lasted);
    tcase_add_test(all, times_of_day_are_local);
    tcase_add_test(all, a_window_is_told_by_its_centre);
    tcase_add_test(all, nothing_a_terminal_would_obey_is_printed);
    tcase_add_test(all, a_table_is_as_wide_as_its_widest_cells);
    return suite_run("cli/output", &all, 1);
}
