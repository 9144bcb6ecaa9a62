#include "tests/suite.h"

#include "daemon/workers/crashes.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Deaths at these seconds of workers that had lived so long, and the waits that follow. */
static const struct {
    const char *what;
    int count;
    struct {
        int at_s, lived_s, wait_ms;
    } deaths[8];
} histories[] = {
    {"one death is answered at once", 1, {{100, 0, 0}}},
    {"quick deaths wait longer and longer, the fifth ends it",
     5,
     {{1, 0, 0}, {2, 0, 1000}, {4, 0, 2000}, {8, 0, 4000}, {16, 0, -1}}},
    {"a death each 15 s is always answered at once",
     8,
     {{0, 15, 0},
      {15, 15, 0},
      {30, 15, 0},
      {45, 15, 0},
      {60, 15, 0},
      {75, 15, 0},
      {90, 15, 0},
      {105, 15, 0}}},
    {"five within a minute end it however long each lived",
     5,
     {{0, 99, 0}, {14, 14, 0}, {28, 14, 0}, {42, 14, 0}, {56, 14, -1}}},
    {"a long life forgives quick deaths",
     4,
     {{0, 0, 0}, {1, 0, 1000}, {30, 29, 0}, {31, 0, 0}}},
    {"quick deaths long apart wait no longer than 16 s",
     8,
     {{0, 1, 0},
      {20, 1, 1000},
      {40, 1, 2000},
      {60, 1, 4000},
      {80, 1, 8000},
      {100, 1, 16000},
      {120, 1, 16000},
      {140, 1, 16000}}},
    {"after a minute of peace the count begins anew",
     6,
     {{0, 99, 0}, {10, 10, 0}, {20, 10, 0}, {30, 10, 0}, {91, 61, 0}, {101, 10, 0}}},
};

START_TEST(each_death_is_followed_by_the_right_wait)
{
    struct crashes crashes = {0};
    for (int i = 0; i < histories[_i].count; i++) {
        uint64_t at = (uint64_t)histories[_i].deaths[i].at_s * 1000;
        uint64_t lived = (uint64_t)histories[_i].deaths[i].lived_s * 1000;
        int wait = crashes_note(&crashes, at, lived);
        ck_assert_msg(wait == histories[_i].deaths[i].wait_ms, "%s: death %d waits %d ms",
                      histories[_i].what, i + 1, wait);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("crashes");
    tcase_add_loop_test(tests, each_death_is_followed_by_the_right_wait, 0,
                        (int)COUNT(histories));
    return suite_run("daemon/workers/crashes", &tests, 1);
}
