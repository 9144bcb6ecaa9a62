#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/file.h"

static char *folder, *path;

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-file-XXXXXX", NULL);
    path = g_build_filename(folder, "file", NULL);
}

static void teardown(void)
{
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}

START_TEST(a_regular_file_opens_for_reading_only_and_is_not_inherited)
{
    ck_assert(g_file_set_contents(path, "text", 4, NULL));
    int fd = file_open(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close(fd);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused_at_once_with_a_reason)
{
    ck_assert_int_eq(file_open(path), -ENOENT);
    ck_assert_int_eq(file_open(folder), -EISDIR);
    ck_assert_str_eq(file_error_text(-EISDIR), "it is a folder");
    ck_assert_int_eq(file_open("/dev/zero"), -EMEDIUMTYPE);
    /* Its other end never opens: an open that waited would wait for ever. */
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(file_open(path), -EMEDIUMTYPE);
    ck_assert_str_eq(file_error_text(-EMEDIUMTYPE), "it is not a file");
    ck_assert_str_eq(file_error_text(-ENOENT), g_strerror(ENOENT));
}
END_TEST

START_TEST(a_file_is_read_whole_up_to_the_limit_and_not_a_byte_beyond)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8193, 100000};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        size_t size = sizes[i], got;
        g_autofree char *text = g_malloc(size + 1);
        for (size_t k = 0; k < size; k++)
            text[k] = (char)(k * 7 + k / 256);
        ck_assert(g_file_set_contents(path, text, (gssize)size, NULL));
        char *data;
        ck_assert_int_eq(file_read_path(path, size, &data, &got), 0);
        ck_assert_uint_eq(got, size);
        ck_assert_mem_eq(data, text, size);
        ck_assert_int_eq(data[size], 0);
        free(data);
        if (size > 0)
            ck_assert_int_eq(file_read_path(path, size - 1, &data, &got), -EFBIG);
    }
}
END_TEST

START_TEST(a_file_that_tells_no_size_is_read_whole_and_bounded_as_well)
{
    char *data;
    size_t size;
    /* The kernel says 0 bytes of these and gives thousands. */
    int r = file_read_path("/proc/self/maps", 1 << 20, &data, &size);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_gt(size, 4096);
    ck_assert_uint_eq(strlen(data), size);
    free(data);
    ck_assert_int_eq(file_read_path("/proc/self/maps", 100, &data, &size), -EFBIG);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_regular_file_opens_for_reading_only_and_is_not_inherited);
    tcase_add_test(tests, what_is_no_regular_file_is_refused_at_once_with_a_reason);
    tcase_add_test(tests, a_file_is_read_whole_up_to_the_limit_and_not_a_byte_beyond);
    tcase_add_test(tests, a_file_that_tells_no_size_is_read_whole_and_bounded_as_well);
    return suite_run("record/file", &tests, 1);
}
