/* pipeline/connection.c: whose the medium's descriptor is, and for how long. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipeline/connection.h"
#include "tests/suite.h"

static void never(void *user)
{
    (void)user;
    ck_abort_msg("nothing happened that cannot wait");
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(a_source_reads_its_medium_after_the_stream_has_closed_it)
{
    int medium = memfd_create("medium", MFD_CLOEXEC);
    ck_assert_int_eq(write(medium, "film", 4), 4);
    struct connection *connection = connection_create(never, NULL);
    struct source_options options = {.fd = medium};
    ck_assert_int_eq(connection_watch(connection, &options), 0);
    connection_close(connection);
    close(medium);

    char text[4];
    ck_assert_int_eq(pread(options.fd, text, sizeof text, 0), 4);
    ck_assert_int_eq(fcntl(options.fd, F_GETFD), FD_CLOEXEC);
    /* What the source's bin does when it is freed, in whatever thread. */
    options.watch_user_free(options.watch_user);
    ck_assert(!is_open(options.fd));
}
END_TEST

START_TEST(without_a_source_the_medium_is_closed_with_the_connection)
{
    int medium = memfd_create("medium", MFD_CLOEXEC);
    struct connection *connection = connection_create(never, NULL);
    struct source_options options = {.fd = medium};
    ck_assert_int_eq(connection_watch(connection, &options), 0);
    connection_unwatch(connection);
    ck_assert(is_open(options.fd));
    connection_close(connection);
    ck_assert(!is_open(options.fd));
    ck_assert(is_open(medium));
    close(medium);
}
END_TEST

START_TEST(a_camera_has_no_medium)
{
    struct connection *connection = connection_create(never, NULL);
    struct source_options options = {.fd = -1};
    ck_assert_int_eq(connection_watch(connection, &options), 0);
    ck_assert_int_eq(options.fd, -1);
    connection_unwatch(connection);
    connection_close(connection);
}
END_TEST

START_TEST(a_medium_that_cannot_be_duplicated_is_said)
{
    int closed = memfd_create("medium", MFD_CLOEXEC);
    close(closed);
    struct connection *connection = connection_create(never, NULL);
    struct source_options options = {.fd = closed};
    ck_assert_int_eq(connection_watch(connection, &options), -EBADF);
    ck_assert_ptr_null(options.watch_user);
    connection_close(connection);
}
END_TEST

int main(void)
{
    TCase *medium = tcase_create("medium");
    tcase_add_test(medium, a_source_reads_its_medium_after_the_stream_has_closed_it);
    tcase_add_test(medium, without_a_source_the_medium_is_closed_with_the_connection);
    tcase_add_test(medium, a_camera_has_no_medium);
    tcase_add_test(medium, a_medium_that_cannot_be_duplicated_is_said);
    return suite_run("pipeline/connection", &medium, 1);
}
