#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media.h"
#include "tests/daemon/records.h"

static char *folder, *root;

static char *below(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* folder/{root/{film,sub/film,out -> ../secret,up -> ..,pipe},secret} */
static void setup(void)
{
    folder = g_dir_make_tmp("vigil-media-XXXXXX", NULL);
    root = below("root");
    g_autofree char *sub = below("root/sub"), *film = below("root/film"),
                    *second = below("root/sub/film"), *secret = below("secret"),
                    *out = below("root/out"), *up = below("root/up"),
                    *inside = below("root/in"), *fifo = below("root/pipe");
    ck_assert_int_eq(g_mkdir_with_parents(sub, 0700), 0);
    ck_assert(g_file_set_contents(film, "film", 4, NULL));
    ck_assert(g_file_set_contents(second, "film", 4, NULL));
    ck_assert(g_file_set_contents(secret, "secret", 6, NULL));
    ck_assert_int_eq(symlink("../secret", out), 0);
    ck_assert_int_eq(symlink("..", up), 0);
    ck_assert_int_eq(symlink("film", inside), 0);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
}

static void teardown(void)
{
    records_remove_tree(folder);
    g_free(folder);
    g_free(root);
}

START_TEST(a_file_beneath_its_root_opens_for_reading_only)
{
    static const char *const names[] = {"film", "sub/film", "./sub//film"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        int fd = media_open_beneath(root, names[i]);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        close(fd);
    }
}
END_TEST

static const struct {
    const char *name;
    int result;
} forbidden[] = {
    {"../secret", -EXDEV},   {"sub/../../secret", -EXDEV},
    {"/etc/passwd", -EXDEV}, {"out", -ELOOP},
    {"up/secret", -ELOOP},   {"in", -ELOOP},
    {"missing", -ENOENT},    {"sub", -EISDIR},
    {"pipe", -EMEDIUMTYPE},  {"", -ENOENT},
    {"..", -EXDEV},          {"sub/../film", -EXDEV},
    {"film/x", -ENOTDIR},    {"in/x", -ELOOP},
};

START_TEST(nothing_else_opens)
{
    ck_assert_int_eq(media_open_beneath(root, forbidden[_i].name), forbidden[_i].result);
}
END_TEST

START_TEST(folders_open_likewise)
{
    static const struct {
        const char *name;
        int result;
    } folders[] = {
        {"", 0},
        {"sub", 0},
        {"./sub//.", 0},
        {"..", -EXDEV},
        {"sub/..", -EXDEV},
        {"/", -EXDEV},
        {"up", -ELOOP},
        {"up/x", -ELOOP},
        {"film", -ENOTDIR},
        {"no", -ENOENT},
        {"sub/film", -ENOTDIR},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        int fd = media_open_folder_beneath(root, folders[i].name);
        ck_assert_msg(folders[i].result < 0 ? fd == folders[i].result : fd >= 0, "%s: %d",
                      folders[i].name, fd);
        if (fd >= 0) {
            ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
            close(fd);
        }
    }
}
END_TEST

START_TEST(a_root_that_is_missing_or_no_folder_is_refused)
{
    g_autofree char *film = below("root/film"), *missing = below("nowhere");
    ck_assert_int_eq(media_open_beneath(film, "film"), -ENOTDIR);
    ck_assert_int_eq(media_open_beneath(missing, "film"), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("media");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_file_beneath_its_root_opens_for_reading_only);
    tcase_add_loop_test(tests, nothing_else_opens, 0, (int)G_N_ELEMENTS(forbidden));
    tcase_add_test(tests, folders_open_likewise);
    tcase_add_test(tests, a_root_that_is_missing_or_no_folder_is_refused);
    return suite_run("daemon/media", &tests, 1);
}
