#include "tests/suite.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"

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
    log_warning("careful");
    ck_assert_str_eq(read_back(), "<4>careful\n");
    setenv("JOURNAL_STREAM", "1:1", 1); /* stderr was redirected since */
    log_warning("careful");
    ck_assert_str_eq(read_back(), "vigild: warning: careful\n");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_line_names_the_program_and_its_gravity);
    tcase_add_test(tests, what_others_wrote_cannot_make_a_line_of_its_own);
    tcase_add_test(tests, a_long_line_is_cut);
    tcase_add_test(tests, the_journal_gets_priorities);
    return suite_run("daemon/log", &tests, 1);
}
