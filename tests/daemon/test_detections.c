#include "tests/suite.h"

#include <errno.h>
#include <string.h>

#include "daemon/detections.h"
#include "tests/daemon/records.h"

static struct detections *set;

/* A mailbox of so much room. */
static int room;
static struct record taken[8];
static int taken_count;

static int post(void *owner, const struct record *record)
{
    (void)owner;
    if (room == 0)
        return -ENOBUFS;
    room--;
    taken[taken_count++] = *record;
    return 0;
}

static void setup(void)
{
    set = detections_create();
    room = 8;
    taken_count = 0;
}

static void teardown(void)
{
    detections_destroy(set);
}

static int apply(const char *stream, int n, enum record_phase phase)
{
    struct record record = records_make(stream, n, phase);
    return detections_apply(set, &record);
}

START_TEST(a_detection_is_open_from_its_start_to_its_end)
{
    ck_assert_int_eq(apply("a", 1, RECORD_STARTED), 0);
    ck_assert_int_eq(apply("a", 1, RECORD_UPDATED), 0);
    ck_assert_uint_eq(detections_open(set), 1);
    struct record record = records_make("a", 1, RECORD_STARTED);
    const char *id = record.id;
    ck_assert(detections_has(set, id));
    ck_assert_int_eq(apply("a", 1, RECORD_ENDED), 1);
    ck_assert(detections_has(set, id));
    ck_assert_uint_eq(detections_flush(set, post, NULL), 0);
    ck_assert(!detections_has(set, id));
    ck_assert_uint_eq(detections_open(set), 0);
    ck_assert_int_eq(taken_count, 1);
    ck_assert_int_eq(taken[0].phase, RECORD_ENDED);
}
END_TEST

START_TEST(a_stream_that_goes_away_ends_what_it_began_at_its_last_record)
{
    apply("a", 1, RECORD_STARTED);
    apply("a", 2, RECORD_STARTED);
    apply("a", 2, RECORD_UPDATED);
    apply("b", 3, RECORD_STARTED);
    detections_end_stream(set, "a", 1800000000000);
    ck_assert_uint_eq(detections_flush(set, post, NULL), 0);
    ck_assert_uint_eq(detections_open(set), 1);
    ck_assert_int_eq(taken_count, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(taken[i].phase, RECORD_ENDED);
        ck_assert_str_eq(taken[i].stream, "a");
        ck_assert_int_eq(taken[i].time_ms, 1800000000000);
        bool updated = taken[i].start_ms == 1700000000002;
        ck_assert_int_eq(taken[i].end_ms, taken[i].start_ms + (updated ? 10 : 0));
    }
}
END_TEST

START_TEST(an_end_waits_until_the_mailbox_takes_it)
{
    apply("a", 1, RECORD_STARTED);
    apply("a", 1, RECORD_ENDED);
    room = 0;
    ck_assert_uint_eq(detections_flush(set, post, NULL), 1);
    detections_end_stream(set, "a", 0); /* ends nothing twice */
    room = 8;
    ck_assert_uint_eq(detections_flush(set, post, NULL), 0);
    ck_assert_int_eq(taken_count, 1);
}
END_TEST

START_TEST(a_detection_that_starts_again_does_not_end)
{
    apply("a", 1, RECORD_STARTED);
    detections_end_stream(set, "a", 0);
    apply("a", 1, RECORD_STARTED);
    ck_assert_uint_eq(detections_flush(set, post, NULL), 0);
    ck_assert_int_eq(taken_count, 0);
    ck_assert_uint_eq(detections_open(set), 1);
    apply("a", 1, RECORD_ENDED); /* until it does */
    detections_flush(set, post, NULL);
    ck_assert_int_eq(taken_count, 1);
}
END_TEST

START_TEST(a_stream_cannot_touch_what_is_open_in_another)
{
    apply("a", 1, RECORD_STARTED);
    ck_assert_int_eq(apply("b", 1, RECORD_ENDED), -EEXIST);
    ck_assert_uint_eq(detections_flush(set, post, NULL), 0);
    ck_assert_uint_eq(detections_open(set), 1);
}
END_TEST

START_TEST(a_stream_has_a_limit_of_open_detections_and_others_do_not_feel_it)
{
    for (int i = 0; i < DETECTIONS_PER_STREAM_MAX; i++)
        ck_assert_int_eq(apply("a", i, RECORD_STARTED), 0);
    ck_assert_int_eq(apply("a", 9999, RECORD_STARTED), -ENOSPC);
    ck_assert_int_eq(apply("a", 5, RECORD_UPDATED), 0);
    ck_assert_int_eq(apply("b", 9999, RECORD_STARTED), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("detections");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_detection_is_open_from_its_start_to_its_end);
    tcase_add_test(tests, a_stream_that_goes_away_ends_what_it_began_at_its_last_record);
    tcase_add_test(tests, an_end_waits_until_the_mailbox_takes_it);
    tcase_add_test(tests, a_detection_that_starts_again_does_not_end);
    tcase_add_test(tests, a_stream_cannot_touch_what_is_open_in_another);
    tcase_add_test(tests, a_stream_has_a_limit_of_open_detections_and_others_do_not_feel_it);
    return suite_run("daemon/detections", &tests, 1);
}
