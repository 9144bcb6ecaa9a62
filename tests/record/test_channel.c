#include "tests/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/channel.h"

static const struct message quit = {.type = MESSAGE_QUIT};
static int ends[2];

static void open_pair(void)
{
    ck_assert_int_eq(channel_pair(ends), 0);
}

static void close_pair(void)
{
    close(ends[0]);
    close(ends[1]);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A packet as a hostile peer would send it: any bytes, any number of descriptors. */
static void send_raw(const void *bytes, size_t size, int fd, int fd_count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(64 * sizeof(int))];
    } control = {0};
    struct iovec data = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr packet = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd_count > 0) {
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        for (int i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(&control.header) + (size_t)i * sizeof(int), &fd, sizeof fd);
    }
    ck_assert_int_eq(sendmsg(ends[0], &packet, 0), (ssize_t)size);
}

START_TEST(a_message_arrives_with_its_descriptors)
{
    int file = memfd_create("media", MFD_CLOEXEC), fds[CHANNEL_FDS_MAX], count = -1;
    ck_assert_int_eq(write(file, "bytes", 5), 5);
    struct message message = {.type = MESSAGE_SNAPSHOT, .snapshot = {.request = 3}};
    strcpy(message.snapshot.stream, "door");
    ck_assert_int_eq(channel_send(ends[0], &message, (int[]){file, file}, 2), 0);

    struct message received;
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 1);
    ck_assert_int_eq(received.type, MESSAGE_SNAPSHOT);
    ck_assert_int_eq(received.snapshot.request, 3);
    ck_assert_int_eq(count, 2);
    for (int i = 0; i < 2; i++) {
        char bytes[5];
        ck_assert_int_eq(pread(fds[i], bytes, 5, 0), 5);
        ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        close(fds[i]);
    }
    close(file);
}
END_TEST

START_TEST(messages_keep_their_order_and_their_boundaries)
{
    struct message message = {.type = MESSAGE_SNAPSHOT}, received;
    strcpy(message.snapshot.stream, "door");
    int fds[CHANNEL_FDS_MAX], count = -1;
    for (int i = 0; i < 20; i++) {
        message.snapshot.request = i;
        ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), 0);
    }
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 1);
        ck_assert_int_eq(received.snapshot.request, i);
        ck_assert_int_eq(count, 0);
    }
}
END_TEST

START_TEST(both_ends_are_closed_on_exec)
{
    ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(a_peer_that_is_gone_reads_as_closed_and_refuses_writes_without_a_signal)
{
    int fds[CHANNEL_FDS_MAX], count = 7;
    struct message received;
    ck_assert_int_eq(channel_send(ends[0], &quit, NULL, 0), 0);
    close(ends[0]);
    ends[0] = -1;
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 1);
    count = 7;
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 0);
    ck_assert_int_eq(count, 7);
    ck_assert_int_eq(channel_send(ends[1], &quit, NULL, 0), -EPIPE);
}
END_TEST

START_TEST(a_peer_that_left_messages_unread_reads_as_closed)
{
    int fds[CHANNEL_FDS_MAX], count;
    struct message received;
    ck_assert_int_eq(channel_send(ends[1], &quit, NULL, 0), 0);
    close(ends[0]);
    ends[0] = -1;
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 0);
}
END_TEST

START_TEST(a_nonblocking_end_says_again_instead_of_waiting)
{
    int fds[CHANNEL_FDS_MAX], count;
    struct message received;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), -EAGAIN);
    int status = 0, sent = 0;
    while (sent < 100000 && (status = channel_send(ends[0], &quit, NULL, 0)) == 0)
        sent++;
    ck_assert_int_eq(status, -EAGAIN);
    for (int i = 0; i < sent; i++)
        ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 1);
    ck_assert_int_eq(channel_send(ends[0], &quit, NULL, 0), 0);
}
END_TEST

START_TEST(garbage_is_refused_and_its_descriptors_are_closed)
{
    int before = open_descriptors(), fds[CHANNEL_FDS_MAX], count = 7;
    struct message received;
    struct record_error err;
    send_raw("{\"type\":\"quit\"", 14, 0, 3);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "not valid JSON"));
    ck_assert_int_eq(count, 7);
    ck_assert_int_eq(open_descriptors(), before);
    ck_assert_int_eq(channel_send(ends[0], &quit, NULL, 0), 0);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), 1);
}
END_TEST

START_TEST(more_descriptors_than_agreed_are_refused_and_none_stays_open)
{
    int before = open_descriptors(), fds[CHANNEL_FDS_MAX], count = 7;
    struct message received;
    struct record_error err;
    send_raw("{\"type\":\"quit\"}", 15, 0, CHANNEL_FDS_MAX + 1);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "more than 4 descriptors"));
    send_raw("{\"type\":\"quit\"}", 15, 0, 60);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), -EINVAL);
    ck_assert_int_eq(open_descriptors(), before);
    send_raw("{\"type\":\"quit\"}", 15, 0, CHANNEL_FDS_MAX);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), 1);
    ck_assert_int_eq(count, CHANNEL_FDS_MAX);
    ck_assert_int_eq(open_descriptors(), before + CHANNEL_FDS_MAX);
}
END_TEST

START_TEST(an_empty_packet_with_descriptors_leaves_none_open)
{
    int before = open_descriptors(), fds[CHANNEL_FDS_MAX], count = 7;
    struct message received;
    send_raw("", 0, 0, 2);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, NULL), 0);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(a_packet_over_the_maximum_is_dropped_whole)
{
    static char bytes[MESSAGE_TEXT_MAX + 1];
    memset(bytes, ' ', sizeof bytes);
    memcpy(bytes, "{\"type\":\"quit\"}", 15);
    int fds[CHANNEL_FDS_MAX], count;
    struct message received;
    struct record_error err;
    send_raw(bytes, MESSAGE_TEXT_MAX, 0, 0);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), 1);
    send_raw(bytes, MESSAGE_TEXT_MAX + 1, 0, 0);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "over 65536 bytes"));
    ck_assert_int_eq(channel_send(ends[0], &quit, NULL, 0), 0);
    ck_assert_int_eq(channel_receive(ends[1], &received, fds, &count, &err), 1);
}
END_TEST

START_TEST(a_message_that_cannot_be_written_is_not_sent)
{
    struct message message = {.type = MESSAGE_STREAM_STOP};
    strcpy(message.stop.stream, "\xff");
    ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), -EINVAL);
    ck_assert_int_eq(channel_send(ends[0], &quit, (int[5]){0}, CHANNEL_FDS_MAX + 1), -EINVAL);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    int fds[CHANNEL_FDS_MAX], count;
    ck_assert_int_eq(channel_receive(ends[1], &message, fds, &count, NULL), -EAGAIN);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("channel");
    tcase_add_checked_fixture(all, open_pair, close_pair);
    tcase_add_test(all, a_message_arrives_with_its_descriptors);
    tcase_add_test(all, messages_keep_their_order_and_their_boundaries);
    tcase_add_test(all, both_ends_are_closed_on_exec);
    tcase_add_test(all,
                   a_peer_that_is_gone_reads_as_closed_and_refuses_writes_without_a_signal);
    tcase_add_test(all, a_peer_that_left_messages_unread_reads_as_closed);
    tcase_add_test(all, a_nonblocking_end_says_again_instead_of_waiting);
    tcase_add_test(all, garbage_is_refused_and_its_descriptors_are_closed);
    tcase_add_test(all, more_descriptors_than_agreed_are_refused_and_none_stays_open);
    tcase_add_test(all, an_empty_packet_with_descriptors_leaves_none_open);
    tcase_add_test(all, a_packet_over_the_maximum_is_dropped_whole);
    tcase_add_test(all, a_message_that_cannot_be_written_is_not_sent);
    return suite_run("record/channel", &all, 1);
}
