/* pipeline/link.c: what is kept when the parent does not read, and what is lost first. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/link.h"
#include "tests/suite.h"

static int fds[2];
static struct link *link_under_test;
static struct message message;

static void open_link(void)
{
    ck_assert_int_eq(channel_pair(fds), 0);
    link_under_test = link_create(fds[0]);
    ck_assert_ptr_nonnull(link_under_test);
}

static void close_link(void)
{
    link_destroy(link_under_test);
    close(fds[0]);
    close(fds[1]);
}

static int post(enum message_type type, enum record_phase phase)
{
    memset(&message, 0, sizeof message);
    message.type = type;
    if (type == MESSAGE_RECORD) {
        message.record.phase = phase;
        message.record.end_ms = phase == RECORD_ENDED ? 2 : RECORD_NO_TIME;
        strcpy(message.record.id, "01J00000000000000000000000");
        strcpy(message.record.stream, "door");
        strcpy(message.record.label, "movement");
    } else {
        message_status_init(&message.status);
        strcpy(message.status.stream, "door");
    }
    return link_post(link_under_test, &message);
}

/* Posts until one is refused; how many were kept by then in the link itself. */
static int fill(enum message_type type, enum record_phase phase)
{
    int kept = 0, r;
    while ((r = post(type, phase)) == 0)
        kept += link_is_congested(link_under_test);
    ck_assert_int_eq(r, -ENOBUFS);
    return kept;
}

static const struct {
    enum message_type type;
    enum record_phase phase;
} repeated[] = {
    {MESSAGE_RECORD, RECORD_UPDATED},
    {MESSAGE_STREAM_STATUS, 0},
};

START_TEST(what_is_said_again_anyway_leaves_room_for_beginnings_and_ends)
{
    int kept = fill(repeated[_i].type, repeated[_i].phase);
    ck_assert_int_eq(kept, LINK_PENDING_MAX * 3 / 4);
    kept += fill(MESSAGE_RECORD, _i ? RECORD_ENDED : RECORD_STARTED);
    ck_assert_int_eq(kept, LINK_PENDING_MAX);
    ck_assert_int_eq(post(repeated[_i].type, repeated[_i].phase), -ENOBUFS);
}
END_TEST

START_TEST(what_was_kept_arrives_in_order_once_the_parent_reads)
{
    fill(MESSAGE_STREAM_STATUS, 0);
    fill(MESSAGE_RECORD, RECORD_ENDED);
    int statuses = 0, ends = 0;
    while (link_is_congested(link_under_test) || ends == 0) {
        static struct message got;
        struct record_error err;
        int got_fds[CHANNEL_FDS_MAX], count;
        ck_assert_int_eq(channel_receive(fds[1], &got, got_fds, &count, &err), 1);
        ck_assert(got.type == MESSAGE_STREAM_STATUS ? ends == 0 : true);
        statuses += got.type == MESSAGE_STREAM_STATUS;
        ends += got.type == MESSAGE_RECORD;
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }
    ck_assert_int_ge(statuses, LINK_PENDING_MAX * 3 / 4);
    ck_assert_int_ge(ends, 1);
    ck_assert_int_eq(post(MESSAGE_STREAM_STATUS, 0), 0);
}
END_TEST

START_TEST(a_parent_that_is_gone_is_said)
{
    close(fds[1]);
    fds[1] = -1;
    ck_assert_int_eq(post(MESSAGE_STREAM_STATUS, 0), -EPIPE);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("link");
    tcase_add_checked_fixture(all, open_link, close_link);
    tcase_add_loop_test(all, what_is_said_again_anyway_leaves_room_for_beginnings_and_ends, 0,
                        sizeof repeated / sizeof *repeated);
    tcase_add_test(all, what_was_kept_arrives_in_order_once_the_parent_reads);
    tcase_add_test(all, a_parent_that_is_gone_is_said);
    return suite_run("pipeline/link", &all, 1);
}
