#include "tests/suite.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"

static char *folder, *model;

static char *put_file(const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static void make_folder(void)
{
    folder = g_dir_make_tmp("vigil-input-XXXXXX", NULL);
    model = put_file("My Model.onnx", "onnx");
}

static void remove_folder(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_free(model);
    g_free(folder);
}

/* Check would take the lines on stderr for noise; they are the tests' concern in
 * test_cli.py. */
static int open_input(struct input *input, const char *uri)
{
    const struct input_options options = {.uri = uri, .model = model};
    return input_init(input, &options);
}

START_TEST(a_path_is_opened_and_named_after_its_file)
{
    g_autofree char *clip = put_file("Front Door #1 (100 %).MP4", "bytes");
    struct input input;
    ck_assert_int_eq(open_input(&input, clip), CLI_OK);
    ck_assert_str_eq(input.start.stream, "front-door-1-100");
    ck_assert_str_eq(input.start.model, "my-model");
    ck_assert_int_eq(strncmp(input.start.uri, "file:///", 8), 0);
    ck_assert_ptr_nonnull(strstr(input.start.uri, "/Front%20Door%20%231%20(100%20%25).MP4"));
    ck_assert_str_eq(input.shown, clip);
    ck_assert_int_eq(input.fd_count, 2);
    char bytes[8];
    ck_assert_int_eq(read(input.fds[0], bytes, sizeof bytes), 4);
    ck_assert_int_eq(read(input.fds[1], bytes, sizeof bytes), 5);
    ck_assert_int_eq(fcntl(input.fds[1], F_GETFD), FD_CLOEXEC);
    ck_assert(input.finite && !input.start.live);
    ck_assert_int_eq(input.start.start_ms, 0);

    g_autofree char *uri = g_strdup(input.start.uri);
    input_finish(&input);
    ck_assert_int_eq(open_input(&input, uri), CLI_OK);
    ck_assert_str_eq(input.start.stream, "front-door-1-100");
    input_finish(&input);
}
END_TEST

START_TEST(credentials_leave_the_address)
{
    struct input input;
    ck_assert_int_eq(open_input(&input, "rtsp://viewer:p%40ss@Cam.Example:8554/a?b=c"), CLI_OK);
    ck_assert_str_eq(input.start.uri, "rtsp://Cam.Example:8554/a?b=c");
    ck_assert_str_eq(input.start.user, "viewer");
    ck_assert_str_eq(input.start.password, "p@ss");
    ck_assert_str_eq(input.start.stream, "cam-example");
    ck_assert_str_eq(input.shown, "rtsp://Cam.Example:8554/a?b=c");
    ck_assert(input.start.live && !input.finite);
    ck_assert_int_le(llabs(input.start.start_ms - g_get_real_time() / 1000), 60000);
    ck_assert_int_eq(input.fd_count, 1);
    input_finish(&input);
}
END_TEST

START_TEST(a_scene_with_a_duration_is_read_like_a_file_and_one_without_like_a_camera)
{
    static const struct {
        const char *uri;
        bool live;
    } scenes[] = {{"scene://street", true},
                  {"scene://street?seed=3&fps=10", true},
                  {"scene://street?duration=5&seed=3", false}};
    for (size_t i = 0; i < G_N_ELEMENTS(scenes); i++) {
        struct input input;
        ck_assert_int_eq(open_input(&input, scenes[i].uri), CLI_OK);
        ck_assert_str_eq(input.start.stream, "street");
        ck_assert_int_eq(input.start.live, scenes[i].live);
        input_finish(&input);
    }
}
END_TEST

START_TEST(a_looped_file_is_played_as_a_camera_would)
{
    const struct input_options options = {.uri = model, .model = model, .loop = true};
    struct input input;
    ck_assert_int_eq(input_init(&input, &options), CLI_OK);
    ck_assert(input.start.live && input.start.loop && input.finite);
    ck_assert_int_le(llabs(input.start.start_ms - g_get_real_time() / 1000), 60000);
    input_finish(&input);
}
END_TEST

START_TEST(settings_come_from_the_command_line_then_from_beside_the_model)
{
    g_autofree char *info = g_strconcat(model, ".modelinfo", NULL);
    ck_assert(g_file_set_contents(
        info, "[vigil]\nfps = 5\nvigil.enter = 0.7\nlabels = quiet,movement\n[other]\nx = y\n",
        -1, NULL));
    const char *const set[] = {"enter=0.9", NULL};
    const struct input_options options = {.uri = "scene://street", .model = model, .set = set};
    struct input input;
    ck_assert_int_eq(input_init(&input, &options), CLI_OK);
    ck_assert_int_eq(input.start.override_count, 3);
    static const char *const expected[][2] = {
        {"vigil.enter", "0.9"}, {"vigil.fps", "5"}, {"vigil.labels", "quiet,movement"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(input.start.overrides[i].key, expected[i][0]);
        ck_assert_str_eq(input.start.overrides[i].value, expected[i][1]);
    }
    input_finish(&input);
}
END_TEST

START_TEST(model_information_that_is_wrong_is_a_configuration_error)
{
    g_autofree char *info = g_strconcat(model, ".modelinfo", NULL);
    g_autofree char *long_value = g_strnfill(600, 'x');
    g_autofree char *too_long = g_strconcat("[vigil]\nlabels = ", long_value, "\n", NULL);
    const char *const texts[] = {"no key file", "[other]\nfps = 5\n", too_long,
                                 "[vigil]\nlabls = a\n"};
    struct input input;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        ck_assert(g_file_set_contents(info, texts[i], -1, NULL));
        ck_assert_int_eq(open_input(&input, "scene://street"), CLI_CONFIG);
    }
    g_autofree char *large = g_strnfill(70000, '#');
    ck_assert(g_file_set_contents(info, large, -1, NULL));
    ck_assert_int_eq(open_input(&input, "scene://street"), CLI_NO_INPUT);
}
END_TEST

START_TEST(only_regular_files_are_inputs)
{
    struct input input;
    g_autofree char *fifo = g_build_filename(folder, "fifo.mp4", NULL);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(open_input(&input, fifo), CLI_NO_INPUT);
    ck_assert_int_eq(open_input(&input, folder), CLI_NO_INPUT);
    ck_assert_int_eq(open_input(&input, "/dev/zero"), CLI_NO_INPUT);
    ck_assert_int_eq(open_input(&input, "/no/such/clip.mp4"), CLI_NO_INPUT);
    g_free(model);
    model = g_strdup(fifo);
    ck_assert_int_eq(open_input(&input, "scene://street"), CLI_NO_INPUT);
}
END_TEST

START_TEST(what_does_not_fit_the_input_is_a_usage_error)
{
    const struct input_options bad[] = {
        {.uri = "gopher://camera/1"},
        {.uri = "rtsp://"},
        {.uri = "scene://street?colour=1"},
        {.uri = "file://relative"},
        {.uri = "scene://street", .name = "Front Door"},
        {.uri = "scene://street", .start_time = "2026-11-20T12:00:00Z"},
        {.uri = "scene://street?duration=1", .start_time = "noon"},
        {.uri = "rtsp://camera/1", .loop = true},
        {.uri = "scene://street", .set = (const char *const[]){"enter", NULL}},
        {.uri = "scene://street", .set = (const char *const[]){"=1", NULL}},
        {.uri = "scene://street", .set = (const char *const[]){"labls=a", NULL}},
        {.uri = "scene://street", .set = (const char *const[]){"labels=a\tb", NULL}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct input_options options = bad[i];
        options.model = model;
        struct input input;
        ck_assert_msg(input_init(&input, &options) == CLI_USAGE, "%s", options.uri);
        ck_assert_int_eq(input.fds[0], -1);
        ck_assert_int_eq(input.fds[1], -1);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("input");
    tcase_add_checked_fixture(all, make_folder, remove_folder);
    tcase_add_test(all, a_path_is_opened_and_named_after_its_file);
    tcase_add_test(all, credentials_leave_the_address);
    tcase_add_test(all,
                   a_scene_with_a_duration_is_read_like_a_file_and_one_without_like_a_camera);
    tcase_add_test(all, a_looped_file_is_played_as_a_camera_would);
    tcase_add_test(all, settings_come_from_the_command_line_then_from_beside_the_model);
    tcase_add_test(all, model_information_that_is_wrong_is_a_configuration_error);
    tcase_add_test(all, only_regular_files_are_inputs);
    tcase_add_test(all, what_does_not_fit_the_input_is_a_usage_error);
    return suite_run("cli/input", &all, 1);
}
