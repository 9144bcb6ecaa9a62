#include "api/timers.h"
#include "tests/suite.h"

START_TEST(timers_end_in_the_order_they_were_started)
{
    struct api_timers timers = {.run_ms = 1000};
    struct api_timer a = {0}, b = {0}, c = {0};
    int64_t before = api_timers_now();
    ck_assert_int_eq(api_timers_wait_ms(&timers, before), -1);
    api_timers_start(&timers, &a);
    api_timers_start(&timers, &b);
    api_timers_start(&timers, &c);
    api_timers_start(&timers, &a); /* again: now the last */
    int64_t after = api_timers_now();
    ck_assert_int_ge(api_timers_wait_ms(&timers, after), 1000 - (int)(after - before));
    ck_assert_int_le(api_timers_wait_ms(&timers, before), 1000 + (int)(after - before));
    ck_assert_ptr_null(api_timers_take_due(&timers, before + 999));
    ck_assert_int_eq(api_timers_wait_ms(&timers, after + 1000), 0);
    ck_assert_ptr_eq(api_timers_take_due(&timers, after + 1000), &b);
    ck_assert_ptr_eq(api_timers_take_due(&timers, after + 1000), &c);
    ck_assert_ptr_eq(api_timers_take_due(&timers, after + 1000), &a);
    ck_assert_ptr_null(api_timers_take_due(&timers, after + 1000));
    ck_assert_int_eq(api_timers_wait_ms(&timers, after), -1);
}
END_TEST

START_TEST(a_stopped_timer_does_not_end)
{
    struct api_timers timers = {.run_ms = 10};
    struct api_timer all[3] = {0};
    /* Stopped at the front, in the middle and at the back, and twice. */
    for (int stopped = 0; stopped < 3; stopped++) {
        for (int i = 0; i < 3; i++)
            api_timers_start(&timers, &all[i]);
        api_timers_stop(&all[stopped]);
        api_timers_stop(&all[stopped]);
        int64_t later = api_timers_now() + 10;
        for (int i = 0; i < 3; i++) {
            if (i != stopped)
                ck_assert_ptr_eq(api_timers_take_due(&timers, later), &all[i]);
        }
        ck_assert_ptr_null(api_timers_take_due(&timers, later));
    }
}
END_TEST

int main(void)
{
    TCase *cases[] = {tcase_create("timers")};
    tcase_add_test(cases[0], timers_end_in_the_order_they_were_started);
    tcase_add_test(cases[0], a_stopped_timer_does_not_end);
    return suite_run("api/timers", cases, 1);
}
