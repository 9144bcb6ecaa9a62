/* The main of every Check program: runs a suite and reports in TAP, which meson counts.
 *
 *     int main(void)
 *     {
 *         TCase *cases[] = {shapes_case(), errors_case()};
 *         return suite_run("nn/conv", cases, 2);
 *     }
 *
 * A test is named by a sentence: START_TEST(a_truncated_file_is_refused).
 *
 * Each ck_assert writes to a file that Check reads back in time that grows with its square: where
 * thousands of elements are compared, `if (wrong) ck_abort_msg(...)` says the same. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static inline int suite_run(const char *name, TCase **cases, size_t count)
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < count; i++)
        suite_add_tcase(suite, cases[i]);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Says why a test is left out; .ci/run counts these lines. Return from the test after it. */
static inline void suite_skip(const char *reason)
{
    printf("# skipped: %s\n", reason);
    fflush(stdout);
}

/* Path below the shared test data, or NULL when there is none: suite_skip says so then. */
static inline const char *suite_data(const char *below)
{
    static char path[4096];
    const char *root = getenv("VIGIL_TEST_DATA");
    if (!root || !*root)
        return NULL;
    snprintf(path, sizeof path, "%s/%s", root, below);
    return path;
}

#endif
