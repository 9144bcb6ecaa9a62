/* pipeline/coded.c: what is learnt of streams whose pictures are known. */
#include "pipeline/coded.h"
#include "tests/suite.h"

#define MS INT64_C(1000000)
#define S  (1000 * MS)

static struct coded coded;

static void add(char kind, int64_t pts_ns, size_t size)
{
    const struct coded_picture picture = {
        .key = kind == 'I' || kind == 'C',
        .clean = kind == 'I',
        .pts_ns = pts_ns,
        .size_bytes = size,
    };
    coded_add(&coded, &picture);
}

/* Pictures in the order they are sent: I a clean key picture, C another key picture, P any
 * other; behind each its place in the order they are shown. 10 pictures a second of 1000
 * bytes. */
static void play(const char *pictures)
{
    coded_init(&coded);
    for (const char *at = pictures; *at; at++) {
        char kind = *at++;
        int place = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            place = place * 10 + (*at - '0');
        add(kind, place * 100 * MS, 1000);
        if (!*at)
            break;
    }
}

static const struct {
    const char *what, *pictures;
    int64_t count, last_frames, max_frames;
    double mean_frames, last_seconds, mean_seconds, max_seconds;
    bool reordered, open;
} streams[] = {
    {"nothing whole yet", "I0 P1 P2 P3", 0, 0, 0, 0, 0, 0, 0, false, false},
    {"joined in the middle", "P0 P1 I2 P3 P4 I5", 1, 3, 3, 3, .3, .3, .3, false, false},
    {"groups of different lengths", "I0 P1 I2 P3 P4 P5 I6", 2, 4, 4, 3, .4, .3, .4, false,
     false},
    {"key pictures only", "I0 I1 I2 I3", 3, 1, 1, 1, .1, .1, .1, false, false},
    {"B-pictures in closed groups", "I0 P3 P1 P2 I4 P7 P5 P6 I8", 2, 4, 4, 4, .4, .4, .4, true,
     false},
    {"B-pictures before an open key picture", "I0 P2 P1 C5 P3 P4 C8", 2, 3, 3, 3, .3, .4, .5,
     true, true},
    {"the same before one that nothing looks behind", "I0 P2 P1 I5 P3 P4 I8", 2, 3, 3, 3, .3,
     .4, .5, true, false},
    {"a key picture that is not clean, and nothing before it", "C0 P1 P2 C3", 1, 3, 3, 3, .3,
     .3, .3, false, false},
};

START_TEST(groups_are_measured_and_their_order_is_seen)
{
    play(streams[_i].pictures);
    const struct message_gop *gop = &coded.gop;
    const char *what = streams[_i].what;
    ck_assert_msg(gop->count == streams[_i].count, "%s", what);
    ck_assert_msg(gop->last_frames == streams[_i].last_frames, "%s", what);
    ck_assert_msg(gop->max_frames == streams[_i].max_frames, "%s", what);
    ck_assert_double_eq_tol(gop->mean_frames, streams[_i].mean_frames, 1e-9);
    ck_assert_double_eq_tol(gop->last_seconds, streams[_i].last_seconds, 1e-9);
    ck_assert_double_eq_tol(gop->mean_seconds, streams[_i].mean_seconds, 1e-9);
    ck_assert_double_eq_tol(gop->max_seconds, streams[_i].max_seconds, 1e-9);
    ck_assert_msg(gop->reordered == streams[_i].reordered, "%s: order", what);
    ck_assert_msg(gop->open == streams[_i].open, "%s: open", what);
    ck_assert_int_eq(coded.timestamp_faults, 0);
}
END_TEST

START_TEST(the_bitrate_is_that_of_the_last_two_seconds_of_whole_groups)
{
    coded_init(&coded);
    for (int i = 0; i <= 20; i++) {
        ck_assert_double_lt(coded.bitrate_bps, 0);
        add(i % 5 == 0 ? 'I' : 'P', i * 100 * MS, 1000);
    }
    ck_assert_double_eq_tol(coded.bitrate_bps, 80000, 1e-6);
    /* Twice as large from now on. */
    for (int i = 21; i <= 40; i++)
        add(i % 5 == 0 ? 'I' : 'P', i * 100 * MS, 2000);
    /* The key picture that began the first of these groups is still of the old size. */
    ck_assert_double_eq_tol(coded.bitrate_bps, 39000 * 8 / 2, 1e-6);
}
END_TEST

START_TEST(times_that_leap_are_counted_and_measure_nothing)
{
    coded_init(&coded);
    int64_t pts = 0;
    for (int i = 0; i < 10; i++)
        add(i % 5 == 0 ? 'I' : 'P', pts += 100 * MS, 1000);
    pts += 3600 * S; /* in the middle of a group */
    for (int i = 11; i < 30; i++)
        add(i % 5 == 0 ? 'I' : 'P', pts += 100 * MS, 1000);
    pts = 0;
    for (int i = 30; i < 50; i++)
        add(i % 5 == 0 ? 'I' : 'P', pts += 100 * MS, 1000);
    ck_assert_int_eq(coded.timestamp_faults, 2);
    ck_assert_double_le(coded.gop.max_seconds, 0.5 + 1e-9);
    ck_assert(!coded.gop.reordered && !coded.gop.open);
    /* Counted in pictures it goes on. */
    ck_assert_int_eq(coded.gop.count, 8);
}
END_TEST

static const int64_t absurd[] = {CODED_NO_PTS, INT64_MAX, INT64_MAX - 1, INT64_MIN};

START_TEST(absent_and_absurd_times_are_faults_and_no_overflow)
{
    coded_init(&coded);
    for (int i = 0; i < 30; i++)
        add(i % 5 == 0 ? 'I' : 'P', i % 2 ? absurd[_i] : i * 100 * MS, SIZE_MAX / 64);
    ck_assert_int_ge(coded.timestamp_faults, 15);
    ck_assert_int_eq(coded.gop.count, 5);
    ck_assert_int_eq(coded.gop.max_frames, 5);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("coded");
    tcase_add_loop_test(all, groups_are_measured_and_their_order_is_seen, 0,
                        sizeof streams / sizeof *streams);
    tcase_add_test(all, the_bitrate_is_that_of_the_last_two_seconds_of_whole_groups);
    tcase_add_test(all, times_that_leap_are_counted_and_measure_nothing);
    tcase_add_loop_test(all, absent_and_absurd_times_are_faults_and_no_overflow, 0,
                        sizeof absurd / sizeof *absurd);
    return suite_run("pipeline/coded", &all, 1);
}
