/* pipeline/sampler.c. Times in milliseconds. */
#include "pipeline/sampler.h"
#include "tests/suite.h"

#define MS INT64_C(1000000)

/* Shows `count` frames at the given times and checks which are taken: 't', first of a new
 * stretch: 'f', skipped: '.', stale: 's'. */
static void expect(struct sampler *sampler, const double *times_ms, const char *verdicts)
{
    static const char letters[] = {
        [SAMPLER_STALE] = 's',
        [SAMPLER_SKIP] = '.',
        [SAMPLER_TAKE] = 't',
        [SAMPLER_TAKE_FIRST] = 'f',
    };
    for (int i = 0; verdicts[i]; i++) {
        char got = letters[sampler_look(sampler, (int64_t)(times_ms[i] * 1e6))];
        ck_assert_msg(got == verdicts[i], "frame %d at %g ms: %c, not %c", i, times_ms[i], got,
                      verdicts[i]);
    }
}

START_TEST(frame_k_is_the_first_at_or_after_k_intervals)
{
    struct sampler sampler;
    sampler_init(&sampler, 8, 8);
    static const double ten_per_second[] = {0, 100, 200, 300, 400, 500, 600, 700, 800};
    expect(&sampler, ten_per_second, "t.tttt.tt");
    sampler_init(&sampler, 4, 8);
    static const double from_the_middle[] = {1010, 1130, 1250, 1260, 1500, 1511, 1760};
    expect(&sampler, from_the_middle, "t..t.tt");
}
END_TEST

START_TEST(rounded_timestamps_do_not_cost_frames)
{
    struct sampler sampler;
    /* 30 per second, in whole milliseconds, rounded down as Matroska may. */
    static const double rounded[] = {0, 33, 66, 100, 133, 166, 200};
    sampler_init(&sampler, 30, 8);
    expect(&sampler, rounded, "ttttttt");
    sampler_init(&sampler, 15, 8);
    expect(&sampler, rounded, "t.t.t.t");
}
END_TEST

START_TEST(a_stream_slower_than_the_model_gives_all_its_frames)
{
    struct sampler sampler;
    sampler_init(&sampler, 25, 8);
    static const double times[] = {0, 200, 400, 600, 610, 640};
    expect(&sampler, times, "tttt.t");
}
END_TEST

START_TEST(a_rate_of_zero_takes_every_frame)
{
    struct sampler sampler;
    sampler_init(&sampler, 0, 8);
    static const double times[] = {0, 1, 2, 2, 3};
    expect(&sampler, times, "tttst");
}
END_TEST

START_TEST(repeated_and_late_frames_are_stale)
{
    struct sampler sampler;
    sampler_init(&sampler, 0, 8);
    static const double times[] = {5000, 5040, 5040, 5020, 4041, 5040, 5041};
    expect(&sampler, times, "ttsssst");
}
END_TEST

START_TEST(jumps_begin_a_new_stretch)
{
    struct sampler sampler;
    sampler_init(&sampler, 10, 8);
    static const double back[] = {5000, 5100, 4100, 4200, 4250, 4300};
    expect(&sampler, back, "ttft.t");
    sampler_init(&sampler, 10, 8);
    /* The gap is a second, as the window is shorter: at most that is no jump. */
    static const double forward[] = {0, 1000, 2001, 2050, 2101};
    expect(&sampler, forward, "ttf.t");
    sampler_init(&sampler, 1, 8);
    static const double long_window[] = {0, 8000, 16001};
    expect(&sampler, long_window, "ttf");
}
END_TEST

START_TEST(any_step_back_into_a_new_segment_is_a_jump)
{
    struct sampler sampler;
    sampler_init(&sampler, 0, 8);
    static const double before[] = {0, 100, 200}, after[] = {0, 100, 100};
    expect(&sampler, before, "ttt");
    sampler_segment(&sampler);
    expect(&sampler, after, "fts");
    /* A segment that goes on where the last ended changes nothing. */
    sampler_segment(&sampler);
    static const double on[] = {140, 120};
    expect(&sampler, on, "ts");
}
END_TEST

START_TEST(after_a_restart_the_next_frame_is_taken_whatever_its_time)
{
    struct sampler sampler;
    sampler_init(&sampler, 10, 8);
    static const double before[] = {0, 10}, after[] = {7, 50, 107};
    expect(&sampler, before, "t.");
    sampler_restart(&sampler);
    expect(&sampler, after, "t.t");
}
END_TEST

START_TEST(it_does_not_drift_over_a_month)
{
    struct sampler sampler;
    sampler_init(&sampler, 7.5, 8);
    ck_assert_int_eq(sampler_look(&sampler, 0), SAMPLER_TAKE);
    int64_t month_ms = INT64_C(30) * 24 * 3600 * 1000;
    sampler.last_ns = month_ms * MS;
    sampler.next = month_ms * 75 / 10000 + 1;
    /* A frame every millisecond; frame k is due at 133.3 k, less the tolerance of 1. */
    for (int64_t ms = 1; ms <= 400; ms++) {
        bool due = ms == 133 || ms == 266 || ms == 399;
        ck_assert_int_eq(sampler_look(&sampler, (month_ms + ms) * MS),
                         due ? SAMPLER_TAKE : SAMPLER_SKIP);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("sampler");
    tcase_add_test(all, frame_k_is_the_first_at_or_after_k_intervals);
    tcase_add_test(all, rounded_timestamps_do_not_cost_frames);
    tcase_add_test(all, a_stream_slower_than_the_model_gives_all_its_frames);
    tcase_add_test(all, a_rate_of_zero_takes_every_frame);
    tcase_add_test(all, repeated_and_late_frames_are_stale);
    tcase_add_test(all, jumps_begin_a_new_stretch);
    tcase_add_test(all, any_step_back_into_a_new_segment_is_a_jump);
    tcase_add_test(all, after_a_restart_the_next_frame_is_taken_whatever_its_time);
    tcase_add_test(all, it_does_not_drift_over_a_month);
    return suite_run("pipeline/sampler", &all, 1);
}
