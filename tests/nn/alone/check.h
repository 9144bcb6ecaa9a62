/* As much of Check as the tests of kernels use, for processors there is no Check for: each test
 * in a process of its own, reported in TAP. Nothing limits their time: the caller does.
 *
 * After the names of Check 0.15, https://libcheck.github.io/check/. */
#ifndef TESTS_NN_ALONE_CHECK_H
#define TESTS_NN_ALONE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECK_TESTS_MAX = 64 };
enum print_output { CK_SILENT };

/* Tests of one case, those of a loop from first to end - 1. */
typedef struct TCase {
    const char *name;
    struct {
        const char *name;
        void (*run)(int _i);
        int first, end;
    } tests[CHECK_TESTS_MAX];
    int count;
} TCase;

typedef struct Suite {
    TCase *cases[CHECK_TESTS_MAX];
    int count, failed;
} Suite;
typedef Suite SRunner;

#define START_TEST(test) static void test(int _i __attribute__((unused)))
#define END_TEST

#define ck_abort_msg(...)                                                                      \
    do {                                                                                       \
        printf("# %s:%d: ", __FILE__, __LINE__);                                               \
        printf(__VA_ARGS__);                                                                   \
        putchar('\n');                                                                         \
        fflush(stdout);                                                                        \
        _exit(EXIT_FAILURE);                                                                   \
    } while (0)
#define ck_assert_msg(condition, ...)                                                          \
    do {                                                                                       \
        if (!(condition))                                                                      \
            ck_abort_msg(__VA_ARGS__);                                                         \
    } while (0)
#define ck_assert(condition)           ck_assert_msg(condition, "%s", #condition)
#define ck_assert_int_eq(a, b)         ck_assert((a) == (b))
#define ck_assert_ptr_eq(a, b)         ck_assert((a) == (b))
#define ck_assert_ptr_ne(a, b)         ck_assert((a) != (b))
#define ck_assert_ptr_nonnull(a)       ck_assert((a) != NULL)
#define ck_assert_str_eq(a, b)         ck_assert(strcmp(a, b) == 0)
#define ck_assert_mem_eq(a, b, length) ck_assert(memcmp(a, b, length) == 0)

static inline TCase *tcase_create(const char *name)
{
    TCase *tcase = calloc(1, sizeof *tcase);
    if (!tcase)
        abort();
    tcase->name = name;
    return tcase;
}

static inline void tcase_set_timeout(TCase *tcase, double seconds)
{
    (void)tcase;
    (void)seconds;
}

static inline void tcase_add_named(TCase *tcase, const char *name, void (*run)(int _i),
                                   int first, int end)
{
    if (tcase->count == CHECK_TESTS_MAX)
        abort();
    tcase->tests[tcase->count].name = name;
    tcase->tests[tcase->count].run = run;
    tcase->tests[tcase->count].first = first;
    tcase->tests[tcase->count++].end = end;
}
#define tcase_add_loop_test(tcase, test, first, end)                                           \
    tcase_add_named(tcase, #test, test, first, end)
#define tcase_add_test(tcase, test) tcase_add_named(tcase, #test, test, 0, 1)

static inline Suite *suite_create(const char *name)
{
    (void)name;
    Suite *suite = calloc(1, sizeof *suite);
    if (!suite)
        abort();
    return suite;
}

static inline void suite_add_tcase(Suite *suite, TCase *tcase)
{
    if (suite->count == CHECK_TESTS_MAX)
        abort();
    suite->cases[suite->count++] = tcase;
}

static inline SRunner *srunner_create(Suite *suite)
{
    return suite;
}

static inline void srunner_set_tap(SRunner *runner, const char *path)
{
    (void)runner;
    (void)path;
}

static inline void srunner_run_all(SRunner *runner, enum print_output how)
{
    (void)how;
    int number = 0;
    for (int c = 0; c < runner->count; c++) {
        const TCase *tcase = runner->cases[c];
        for (int t = 0; t < tcase->count; t++) {
            for (int i = tcase->tests[t].first; i < tcase->tests[t].end; i++) {
                fflush(stdout);
                int status = -1;
                pid_t child = fork();
                if (child == 0) {
                    tcase->tests[t].run(i);
                    _exit(EXIT_SUCCESS);
                }
                bool passed = child > 0 && waitpid(child, &status, 0) == child && status == 0;
                runner->failed += !passed;
                printf("%sok %d - %s:%s\n", passed ? "" : "not ", ++number, tcase->name,
                       tcase->tests[t].name);
            }
        }
    }
    printf("1..%d\n", number);
}

static inline int srunner_ntests_failed(const SRunner *runner)
{
    return runner->failed;
}

static inline void srunner_free(SRunner *runner)
{
    for (int c = 0; c < runner->count; c++)
        free(runner->cases[c]);
    free(runner);
}

#endif
