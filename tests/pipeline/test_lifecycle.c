#include <string.h>
#include <sys/param.h>

#include "pipeline/lifecycle.h"
#include "tests/suite.h"

#define S  LIFECYCLE_SECOND
#define MS (S / 1000)

/* Advances in steps of 10 ms from *now until something is to be done or `until` is reached. */
static enum lifecycle_action run(struct lifecycle *life, int64_t *now, int64_t until)
{
    for (; *now <= until; *now += 10 * MS) {
        enum lifecycle_action action = lifecycle_advance(life, *now);
        if (action != LIFECYCLE_WAIT)
            return action;
    }
    return LIFECYCLE_WAIT;
}

static struct lifecycle camera(int64_t now)
{
    struct lifecycle life;
    lifecycle_init(&life, true, false, 7, now);
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
    return life;
}

/* A camera that has been live for `seconds` at 10 frames a second; *now moves on. */
static struct lifecycle live_camera(int64_t *now, int seconds)
{
    struct lifecycle life = camera(*now);
    for (int i = 0; i < seconds * 10; i++, *now += 100 * MS) {
        lifecycle_on_packet(&life, *now);
        lifecycle_on_picture(&life, *now);
        ck_assert_int_eq(lifecycle_advance(&life, *now), LIFECYCLE_WAIT);
    }
    ck_assert_int_eq(life.state, STREAM_LIVE);
    return life;
}

START_TEST(a_first_attempt_connects_and_the_first_picture_makes_it_live)
{
    struct lifecycle life = camera(100 * S);
    ck_assert_int_eq(life.state, STREAM_CONNECTING);
    lifecycle_on_session(&life, 100 * S + 50 * MS);
    lifecycle_on_packet(&life, 100 * S + 60 * MS);
    ck_assert_int_eq(life.state, STREAM_CONNECTING);
    lifecycle_on_picture(&life, 100 * S + 70 * MS);
    ck_assert_int_eq(life.state, STREAM_LIVE);
    ck_assert_int_eq(life.reason, REASON_NONE);
    ck_assert_int_eq(life.reconnects, 0);
}
END_TEST

/* What a camera does, what is noticed, and how long after its last sign. */
static const struct {
    const char *what;
    bool session;
    int64_t interval, packets_ms, pictures_ms; /* until when they come; 0 never */
    enum stream_reason reason;
    int64_t noticed_ms;
} gaps[] = {
    {"a mute server", false, 0, 0, 0, REASON_TIMEOUT, 5000},
    {"a session without packets", true, 0, 0, 0, REASON_NO_DATA, 5000},
    {"packets stop", true, 0, 2000, 2000, REASON_NO_DATA, 5000},
    {"pictures stop, packets do not", true, 0, 30000, 2000, REASON_NO_PICTURE, 5000},
    {"no picture ever", true, 0, 30000, 0, REASON_NO_PICTURE, 15000},
    {"a slow camera gets three intervals", true, 2 * S, 2000, 2000, REASON_NO_DATA, 8000},
    {"stalls do not stretch the limit for ever", true, 25 * S, 2000, 2000, REASON_NO_DATA,
     62000},
    {"an absurd interval is no time at all", true, INT64_MAX, 2000, 2000, REASON_NO_DATA,
     62000},
    {"a camera of one picture in ten seconds is waited for", true, 10 * S, 2000, 2000,
     REASON_NO_DATA, 32000},
};

START_TEST(each_kind_of_silence_is_noticed_in_time_and_named)
{
    struct lifecycle life = camera(0);
    lifecycle_set_interval(&life, gaps[_i].interval);
    int64_t now;
    enum lifecycle_action action = LIFECYCLE_WAIT;
    for (now = 0; now < 120 * S && action == LIFECYCLE_WAIT; now += 10 * MS) {
        if (gaps[_i].session)
            lifecycle_on_session(&life, now);
        if (now <= gaps[_i].packets_ms * MS && gaps[_i].packets_ms)
            lifecycle_on_packet(&life, now);
        if (now <= gaps[_i].pictures_ms * MS && gaps[_i].pictures_ms)
            lifecycle_on_picture(&life, now);
        action = lifecycle_advance(&life, now);
    }
    now -= 10 * MS;
    ck_assert_msg(action == LIFECYCLE_DISCONNECT, "%s", gaps[_i].what);
    ck_assert_msg(life.reason == gaps[_i].reason, "%s: %s", gaps[_i].what,
                  stream_reason_name(life.reason));
    ck_assert_msg(now >= gaps[_i].noticed_ms * MS && now <= gaps[_i].noticed_ms * MS + 50 * MS,
                  "%s: noticed at %lld ms", gaps[_i].what, (long long)(now / MS));
}
END_TEST

/* How often what was live is tried in the 58 s after its loss. */
static const struct {
    enum stream_reason reason;
    int least, most;
} eager[] = {
    {REASON_REFUSED, 110, 117},
    {REASON_NOT_FOUND, 75, 78},
    {REASON_DISCONNECTED, 75, 78},
    {REASON_AUTH_FAILED, 4, 4},
};

START_TEST(a_stream_that_was_live_tries_within_every_second_of_the_first_minute)
{
    enum stream_reason reason = eager[_i].reason;
    bool hurries = reason != REASON_AUTH_FAILED;
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 5);
    int64_t outage = now, last = -1;
    lifecycle_on_failure(&life, REASON_DISCONNECTED, now);
    ck_assert_int_eq(life.state, STREAM_STALLED);
    ck_assert_int_eq(life.attempts, 1);
    int attempts = 0;
    for (;;) {
        enum lifecycle_action action = run(&life, &now, outage + 58 * S);
        if (action == LIFECYCLE_WAIT)
            break;
        if (action != LIFECYCLE_CONNECT)
            continue;
        /* Waits this short are told as one. */
        ck_assert_int_eq(life.state, attempts ? STREAM_BACKOFF : STREAM_STALLED);
        ck_assert_int_eq(life.reason, attempts ? reason : REASON_DISCONNECTED);
        ck_assert(last < 0 || now - last <= S || !hurries);
        last = now;
        attempts++;
        lifecycle_on_failure(&life, reason, now + 5 * MS);
    }
    ck_assert_int_ge(attempts, eager[_i].least);
    ck_assert_int_le(attempts, eager[_i].most);
    ck_assert_int_eq(life.attempts, 1 + attempts);
    ck_assert_int_eq(life.reconnects, 0);
}
END_TEST

START_TEST(after_a_minute_waits_are_within_a_doubling_cap)
{
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 5);
    int64_t outage = now;
    lifecycle_on_failure(&life, REASON_DISCONNECTED, now);
    /* Until the first attempt past the minute, which was timed before it. */
    for (;;) {
        if (run(&life, &now, now + S) != LIFECYCLE_CONNECT)
            continue;
        if (now >= outage + 60 * S)
            break;
        lifecycle_on_failure(&life, REASON_REFUSED, now);
    }
    static const int caps[] = {2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30, 30};
    int64_t total = 0;
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        int64_t failed = now;
        lifecycle_on_failure(&life, REASON_REFUSED, now);
        ck_assert_int_eq(life.state, STREAM_BACKOFF);
        while (run(&life, &now, failed + 31 * S) != LIFECYCLE_CONNECT)
            ck_assert_int_lt(now, failed + 31 * S);
        ck_assert_int_eq(life.state, STREAM_CONNECTING);
        ck_assert_int_le(now - failed, caps[i] * S + 10 * MS);
        total += now - failed;
    }
    ck_assert_int_gt(total, 20 * S); /* jittered, not zero */
}
END_TEST

/* Live for `seconds` once the next attempt has begun. */
static void come_back(struct lifecycle *life, int64_t *now, int seconds)
{
    while (run(life, now, *now + 60 * S) != LIFECYCLE_CONNECT)
        ;
    for (int i = 0; i < seconds * 10; i++, *now += 100 * MS) {
        lifecycle_on_picture(life, *now);
        ck_assert_int_eq(lifecycle_advance(life, *now), LIFECYCLE_WAIT);
    }
}

/* Lost, and each attempt of the next `seconds` refused. */
static void go_away(struct lifecycle *life, int64_t *now, int seconds)
{
    int64_t outage = *now;
    lifecycle_on_failure(life, REASON_DISCONNECTED, *now);
    while (*now < outage + seconds * S)
        if (run(life, now, MIN(*now + S, outage + seconds * S)) == LIFECYCLE_CONNECT)
            lifecycle_on_failure(life, REASON_REFUSED, *now);
}

START_TEST(five_seconds_of_pictures_end_an_outage_and_a_glimpse_does_not)
{
    static const struct {
        int live_s;
        enum stream_state state;
    } rows[] = {{4, STREAM_BACKOFF}, {6, STREAM_STALLED}};
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 1);
    go_away(&life, &now, 70);
    come_back(&life, &now, rows[_i].live_s);
    lifecycle_on_failure(&life, REASON_DISCONNECTED, now);
    ck_assert_int_eq(life.state, rows[_i].state);
}
END_TEST

START_TEST(a_camera_that_fails_every_few_seconds_is_asked_within_a_second_each_time)
{
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 6);
    for (int outage = 0; outage < 100; outage++) {
        go_away(&life, &now, 10);
        int64_t back = now;
        come_back(&life, &now, 6);
        ck_assert_int_le(now - back, 7 * S);
    }
}
END_TEST

/* What the first three waits after the eager minute come to: 14 s at most when it begins
 * anew. */
static int64_t first_waits(struct lifecycle *life, int64_t *now)
{
    int64_t began = 0;
    go_away(life, now, 60);
    for (int attempts = 0; attempts <= 3; attempts++) {
        while (run(life, now, *now + 31 * S) != LIFECYCLE_CONNECT)
            ;
        if (attempts == 0)
            began = *now;
        if (attempts < 3)
            lifecycle_on_failure(life, REASON_REFUSED, *now);
    }
    return *now - began;
}

START_TEST(sixty_healthy_seconds_forget_the_backoff_and_fewer_do_not)
{
    for (int healthy = 50; healthy <= 70; healthy += 20) {
        int64_t now = 0;
        struct lifecycle life = live_camera(&now, 1);
        go_away(&life, &now, 600);
        come_back(&life, &now, healthy);
        int64_t waits = first_waits(&life, &now);
        ck_assert_msg((waits <= 14 * S) == (healthy >= 60), "%d s healthy: waits of %lld ms",
                      healthy, (long long)(waits / MS));
    }
}
END_TEST

START_TEST(a_refused_password_is_tried_three_times_in_thirty_seconds_then_twice_a_minute)
{
    struct lifecycle life = camera(0);
    int64_t now = 0, tries[8] = {0};
    lifecycle_on_failure(&life, REASON_AUTH_FAILED, 100 * MS);
    ck_assert_int_eq(life.state, STREAM_BACKOFF);
    for (int count = 1; count < 8;)
        if (run(&life, &now, 400 * S) == LIFECYCLE_CONNECT) {
            tries[count++] = now;
            lifecycle_on_failure(&life, REASON_AUTH_FAILED, now + 100 * MS);
        }
    ck_assert_int_lt(tries[2], 30 * S);
    ck_assert_int_gt(tries[3], 30 * S);
    for (int i = 3; i < 8; i++)
        ck_assert_int_ge(tries[i] - tries[i - 1], 30 * S);
}
END_TEST

START_TEST(an_outage_of_a_live_stream_does_not_hurry_a_refused_password)
{
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 5);
    lifecycle_on_failure(&life, REASON_DISCONNECTED, now);
    while (run(&life, &now, now + 2 * S) != LIFECYCLE_CONNECT)
        ;
    int64_t refused = now;
    lifecycle_on_failure(&life, REASON_AUTH_FAILED, now);
    while (run(&life, &now, now + 60 * S) != LIFECYCLE_CONNECT)
        ;
    ck_assert_int_ge(now - refused, 5 * S);
    ck_assert_int_ne(life.state, STREAM_STALLED);
}
END_TEST

START_TEST(what_only_a_human_can_change_is_not_tried_again)
{
    static const enum stream_reason final[] = {REASON_UNSUPPORTED_CODEC, REASON_TRANSPORT,
                                               REASON_TOO_LARGE, REASON_MODEL};
    struct lifecycle life = camera(0);
    lifecycle_on_failure(&life, final[_i], 10 * MS);
    ck_assert_int_eq(life.state, STREAM_FAILED);
    int64_t now = 10 * MS;
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_DISCONNECT);
    ck_assert_int_eq(run(&life, &now, 600 * S), LIFECYCLE_WAIT);
    /* A late complaint of the dying source changes nothing. */
    lifecycle_on_failure(&life, REASON_DISCONNECTED, now);
    ck_assert_int_eq(life.reason, final[_i]);
}
END_TEST

START_TEST(what_cannot_be_set_up_is_never_attempted)
{
    struct lifecycle life;
    lifecycle_init(&life, true, false, 7, 0);
    lifecycle_give_up(&life, REASON_INTERNAL);
    int64_t now = 0;
    ck_assert_int_eq(run(&life, &now, 600 * S), LIFECYCLE_WAIT);
    ck_assert_int_eq(life.state, STREAM_FAILED);
    ck_assert_int_gt(lifecycle_deadline(&life), now - 10 * MS);
}
END_TEST

START_TEST(our_own_stall_is_not_blamed_on_the_camera)
{
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 5);
    now += 60 * S; /* the process was stopped */
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_WAIT);
    ck_assert_int_eq(life.state, STREAM_LIVE);
    /* But a camera that stays silent is found out one gap later. */
    int64_t resumed = now;
    ck_assert_int_eq(run(&life, &now, resumed + 10 * S), LIFECYCLE_DISCONNECT);
    ck_assert_int_le(now - resumed, 3 * S + 50 * MS);
    ck_assert_int_eq(life.reason, REASON_NO_DATA);
}
END_TEST

START_TEST(a_file_ends_once_or_starts_again)
{
    struct lifecycle life;
    lifecycle_init(&life, false, _i, 7, 0);
    int64_t now = 0;
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
    lifecycle_on_picture(&life, now);
    /* As long as there is something to do its silence is nobody's fault. */
    for (; now < 120 * S; now += S) {
        lifecycle_on_busy(&life, now);
        ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_WAIT);
    }
    lifecycle_on_end(&life, now);
    if (_i) {
        ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_DISCONNECT);
        ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
        ck_assert_int_eq(life.state, STREAM_LIVE);
        ck_assert_int_eq(life.attempts, 0);
        ck_assert_int_eq(life.reconnects, 0);
    } else {
        ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_FINISH);
        ck_assert_int_eq(life.state, STREAM_ENDED);
        ck_assert_int_eq(run(&life, &now, 300 * S), LIFECYCLE_WAIT);
    }
}
END_TEST

START_TEST(a_file_that_gives_nothing_more_is_given_up)
{
    struct lifecycle life;
    lifecycle_init(&life, false, _i, 7, 0);
    int64_t now = 0, last = 0;
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
    lifecycle_on_session(&life, now);
    for (int i = 0; i < 100; i++, now += 100 * MS) {
        lifecycle_on_packet(&life, last = now);
        lifecycle_on_picture(&life, now);
        ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_WAIT);
    }
    lifecycle_on_busy(&life, last += 5 * S);
    ck_assert_int_eq(run(&life, &now, last + 60 * S), LIFECYCLE_DISCONNECT);
    ck_assert_int_ge(now, last + LIFECYCLE_FILE_NS);
    ck_assert_int_le(now, last + LIFECYCLE_FILE_NS + 10 * MS);
    ck_assert_int_eq(life.state, STREAM_FAILED);
    ck_assert_int_eq(life.reason, REASON_UNREADABLE);
    ck_assert_int_eq(run(&life, &now, now + 60 * S), LIFECYCLE_WAIT);
}
END_TEST

START_TEST(a_file_is_not_blamed_for_our_own_stall)
{
    struct lifecycle life;
    lifecycle_init(&life, false, false, 7, 0);
    int64_t now = 0;
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
    lifecycle_on_picture(&life, now);
    now += 300 * S; /* the process was stopped */
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_WAIT);
    ck_assert_int_eq(life.state, STREAM_LIVE);
}
END_TEST

/* A session comes and goes for these reasons; attempts fail between them. */
START_TEST(sessions_that_stand_again_are_counted_apart_from_attempts_and_by_what_was_lost)
{
    static const enum stream_reason losses[] = {REASON_NO_DATA, REASON_DISCONNECTED,
                                                REASON_NO_DATA, REASON_NO_PICTURE};
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 2);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        ck_assert_int_eq(life.reconnects, (int64_t)i);
        lifecycle_on_failure(&life, losses[i], now);
        for (int refused = 0; refused < 3;)
            if (run(&life, &now, now + S) == LIFECYCLE_CONNECT) {
                lifecycle_on_failure(&life, REASON_REFUSED, now);
                refused++;
            }
        while (run(&life, &now, now + S) != LIFECYCLE_CONNECT)
            ;
        lifecycle_on_picture(&life, now);
    }
    ck_assert_int_eq(life.reconnects, 4);
    ck_assert_int_eq(life.attempts, 1 + 4 * 4);
    ck_assert_int_eq(life.lost[REASON_NO_DATA], 2);
    ck_assert_int_eq(life.lost[REASON_DISCONNECTED], 1);
    ck_assert_int_eq(life.lost[REASON_NO_PICTURE], 1);
    ck_assert_int_eq(life.lost[REASON_REFUSED], 0);
}
END_TEST

START_TEST(a_file_without_a_picture_is_unreadable)
{
    struct lifecycle life;
    lifecycle_init(&life, false, true, 7, 0);
    ck_assert_int_eq(lifecycle_advance(&life, 0), LIFECYCLE_CONNECT);
    lifecycle_on_end(&life, 10 * MS);
    ck_assert_int_eq(life.state, STREAM_FAILED);
    ck_assert_int_eq(life.reason, REASON_UNREADABLE);
}
END_TEST

START_TEST(the_end_of_a_camera_session_is_a_fault)
{
    int64_t now = 0;
    struct lifecycle life = live_camera(&now, 2);
    lifecycle_on_end(&life, now);
    ck_assert_int_eq(life.state, STREAM_STALLED);
    ck_assert_int_eq(life.reason, REASON_DISCONNECTED);
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_DISCONNECT);
    ck_assert_int_eq(lifecycle_advance(&life, now), LIFECYCLE_CONNECT);
}
END_TEST

START_TEST(calling_at_the_deadline_is_enough)
{
    struct lifecycle life = camera(0);
    lifecycle_on_session(&life, 0);
    lifecycle_on_picture(&life, 500 * MS);
    int64_t now = 500 * MS;
    int calls = 0;
    while (lifecycle_advance(&life, now) == LIFECYCLE_WAIT) {
        ck_assert_int_gt(lifecycle_deadline(&life), now);
        ck_assert_int_le(lifecycle_deadline(&life), now + LIFECYCLE_ADVANCE_NS);
        now = lifecycle_deadline(&life);
        calls++;
    }
    ck_assert_int_eq(now, 3500 * MS);
    ck_assert_int_le(calls, 5);
}
END_TEST

int main(void)
{
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, a_first_attempt_connects_and_the_first_picture_makes_it_live);
    tcase_add_loop_test(rules, each_kind_of_silence_is_noticed_in_time_and_named, 0,
                        sizeof gaps / sizeof *gaps);
    tcase_add_loop_test(rules,
                        a_stream_that_was_live_tries_within_every_second_of_the_first_minute, 0,
                        sizeof eager / sizeof *eager);
    tcase_add_test(rules, after_a_minute_waits_are_within_a_doubling_cap);
    tcase_add_loop_test(rules, five_seconds_of_pictures_end_an_outage_and_a_glimpse_does_not, 0,
                        2);
    tcase_add_test(rules,
                   a_camera_that_fails_every_few_seconds_is_asked_within_a_second_each_time);
    tcase_add_test(rules, sixty_healthy_seconds_forget_the_backoff_and_fewer_do_not);
    tcase_add_test(
        rules, a_refused_password_is_tried_three_times_in_thirty_seconds_then_twice_a_minute);
    tcase_add_test(rules, an_outage_of_a_live_stream_does_not_hurry_a_refused_password);
    tcase_add_loop_test(rules, what_only_a_human_can_change_is_not_tried_again, 0, 4);
    tcase_add_test(rules, what_cannot_be_set_up_is_never_attempted);
    tcase_add_test(rules, our_own_stall_is_not_blamed_on_the_camera);
    tcase_add_loop_test(rules, a_file_ends_once_or_starts_again, 0, 2);
    tcase_add_loop_test(rules, a_file_that_gives_nothing_more_is_given_up, 0, 2);
    tcase_add_test(rules, a_file_is_not_blamed_for_our_own_stall);
    tcase_add_test(
        rules, sessions_that_stand_again_are_counted_apart_from_attempts_and_by_what_was_lost);
    tcase_add_test(rules, a_file_without_a_picture_is_unreadable);
    tcase_add_test(rules, the_end_of_a_camera_session_is_a_fault);
    tcase_add_test(rules, calling_at_the_deadline_is_enough);
    TCase *cases[] = {rules};
    return suite_run("pipeline/lifecycle", cases, 1);
}
