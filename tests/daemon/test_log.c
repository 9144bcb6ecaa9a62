#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "record/record.h"

static char seen[4 * LOG_LINE_MAX];
static int saved, ends[2];

/* stderr becomes a pipe we read. */
static void setup(void)
{
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
    log_setup(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
}

static const char *read_back(void)
{
    ssize_t size = read(ends[0], seen, sizeof seen - 1);
    seen[size > 0 ? size : 0] = '\0';
    return seen;
}

static void teardown(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(a_line_names_the_program_and_its_gravity)
{
    log_info("listens on %d", 7);
    ck_assert_str_eq(read_back(), "vigild: listens on 7\n");
    log_error("no");
    ck_assert_str_eq(read_back(), "vigild: error: no\n");
    log_stream(LOG_LEVEL_WARNING, "front", "gone");
    ck_assert_str_eq(read_back(), "vigild: warning: stream front: gone\n");
}
END_TEST

START_TEST(levels_and_formats_have_names)
{
    ck_assert_int_eq(log_level_from_name("error"), LOG_LEVEL_ERROR);
    ck_assert_int_eq(log_level_from_name("debug"), LOG_LEVEL_DEBUG);
    ck_assert_int_eq(log_level_from_name("loud"), -EINVAL);
    ck_assert_int_eq(log_format_from_name("auto"), LOG_FORMAT_AUTO);
    ck_assert_int_eq(log_format_from_name("journal"), LOG_FORMAT_JOURNAL);
    ck_assert_int_eq(log_format_from_name("xml"), -EINVAL);
}
END_TEST

START_TEST(what_is_less_grave_than_asked_for_is_not_written)
{
    log_debug("not by default");
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    log_info("nor this");
    log_warning("this");
    ck_assert_str_eq(read_back(), "vigild: warning: this\n");
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    log_debug("also");
    ck_assert_str_eq(read_back(), "vigild: debug: also\n");
}
END_TEST

static const char *member(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "(absent)";
}

START_TEST(json_lines_have_members_for_what_they_are_about)
{
    const struct log_about about = {.stream = "front", .state = "backoff", .reason = "dns"};
    log_setup(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    log_about(LOG_LEVEL_WARNING, &about, "no \"such\" host\nat all \xff");
    const char *line = read_back();
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(object && strchr(line, '\n') == line + strlen(line) - 1, "%s", line);
    int64_t time_ms;
    ck_assert_int_eq(record_time_parse(member(object, "time"), &time_ms), 0);
    ck_assert_str_eq(member(object, "level"), "warning");
    ck_assert_str_eq(member(object, "stream"), "front");
    ck_assert_str_eq(member(object, "state"), "backoff");
    ck_assert_str_eq(member(object, "reason"), "dns");
    ck_assert_str_eq(member(object, "message"), "no \"such\" host?at all ?");
    json_decref(object);
    log_info("plain");
    object = json_loads(read_back(), 0, NULL);
    ck_assert_uint_eq(json_object_size(object), 3);
    json_decref(object);
}
END_TEST

START_TEST(a_line_that_comes_again_is_told_once)
{
    struct log_limit limit = {0};
    const struct log_about about = {.stream = "front", .limit = &limit};
    for (int i = 0; i < 50; i++)
        log_about(LOG_LEVEL_INFO, &about, "refused, next try in %d s", i);
    ck_assert_str_eq(read_back(), "vigild: stream front: refused, next try in 0 s\n");
    char text[] = "a.";
    for (; text[0] < 'z'; text[0]++)
        log_about(LOG_LEVEL_INFO, &about, "%s", text);
    const char *all = read_back();
    int lines = 0;
    for (const char *p = all; *p; p++)
        lines += *p == '\n';
    ck_assert_int_eq(lines, LOG_LIMIT_LINES);
    ck_assert_ptr_nonnull(strstr(all, "stream front: tells much; what follows in this minute"));
}
END_TEST

/* A terminal that was stopped, a pager that waits. */
START_TEST(a_reader_that_stands_still_does_not_stop_us)
{
    char page[4096];
    memset(page, 'x', sizeof page);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], page, sizeof page) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    log_info("lost");
    log_info("lost too");
    while (read(ends[0], page, sizeof page) > 0)
        ;
    log_info("heard");
    ck_assert_str_eq(read_back(), "vigild: warning: 2 lines are lost: nobody read them\n"
                                  "vigild: heard\n");
}
END_TEST

START_TEST(what_others_wrote_cannot_make_a_line_of_its_own)
{
    log_warning("%s", "a\nvigild: error: forged\r\033[31m\x7f");
    ck_assert_str_eq(read_back(), "vigild: warning: a?vigild: error: forged??[31m?\n");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
    char text[3 * LOG_LINE_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    size_t length = strlen(read_back());
    ck_assert_uint_lt(length, LOG_LINE_MAX + 32);
    ck_assert_int_eq(seen[length - 1], '\n');
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
    struct stat status;
    char stream[64];
    fstat(STDERR_FILENO, &status);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_warning("careful");
    ck_assert_str_eq(read_back(), "<4>careful\n");
    setenv("JOURNAL_STREAM", "1:1", 1); /* stderr was redirected since */
    log_setup(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
    log_warning("careful");
    ck_assert_str_eq(read_back(), "vigild: warning: careful\n");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_line_names_the_program_and_its_gravity);
    tcase_add_test(tests, levels_and_formats_have_names);
    tcase_add_test(tests, what_is_less_grave_than_asked_for_is_not_written);
    tcase_add_test(tests, json_lines_have_members_for_what_they_are_about);
    tcase_add_test(tests, a_line_that_comes_again_is_told_once);
    tcase_add_test(tests, a_reader_that_stands_still_does_not_stop_us);
    tcase_add_test(tests, what_others_wrote_cannot_make_a_line_of_its_own);
    tcase_add_test(tests, a_long_line_is_cut);
    tcase_add_test(tests, the_journal_gets_priorities);
    return suite_run("daemon/log", &tests, 1);
}
