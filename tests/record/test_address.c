/* record/address.c: one grammar for what people write and what the worker opens. */
#include "record/address.h"

#include <errno.h>
#include <string.h>

#include "tests/suite.h"

static int parse(const char *text, struct address *ret_address)
{
    struct record_error err = {""};
    int r = address_parse(text, ret_address, &err);
    ck_assert_msg((r == 0) == (err.text[0] == '\0'), "%s: %d \"%s\"", text, r, err.text);
    return r;
}

START_TEST(a_camera_has_host_port_and_path)
{
    struct address address;
    ck_assert_int_eq(parse("rtsp://cam.local/a/b?c=1&d", &address), 0);
    ck_assert_int_eq(address.kind, ADDRESS_RTSP);
    ck_assert_str_eq(address.host, "cam.local");
    ck_assert(!address.host_is_address);
    ck_assert_int_eq(address.port, 554);
    ck_assert_str_eq(address.path, "/a/b?c=1&d");
    ck_assert_int_eq(parse("rtsps://[::1]:8322", &address), 0);
    ck_assert_int_eq(address.kind, ADDRESS_RTSPS);
    ck_assert_str_eq(address.host, "::1");
    ck_assert(address.host_is_address);
    ck_assert_int_eq(address.port, 8322);
    ck_assert_str_eq(address.path, "/");
    ck_assert_int_eq(parse("rtsps://127.0.0.1", &address), 0);
    ck_assert_int_eq(address.port, 322);
}
END_TEST

START_TEST(a_numeric_host_takes_the_place_of_the_name)
{
    struct address address;
    char text[64];
    ck_assert_int_eq(parse("rtsp://cam:8554/live", &address), 0);
    ck_assert_int_eq(address_locate(&address, "192.0.2.7", text, sizeof text), 0);
    ck_assert_str_eq(text, "rtsp://192.0.2.7:8554/live");
    ck_assert_int_eq(address_locate(&address, "::1", text, sizeof text), 0);
    ck_assert_str_eq(text, "rtsp://[::1]:8554/live");
    ck_assert_int_eq(address_locate(&address, "192.0.2.7", text, 12), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_scene_has_what_was_asked_and_defaults)
{
    struct address address;
    ck_assert_int_eq(parse("scene://room?duration=9&seed=4294967295", &address), 0);
    ck_assert_str_eq(address.scene.name, "room");
    ck_assert_uint_eq(address.scene.seed, 4294967295u);
    ck_assert_int_eq(address.scene.width, 640);
    ck_assert_int_eq(address.scene.height, 360);
    ck_assert_int_eq(address.scene.fps, 15);
    ck_assert_int_eq(address.scene.duration_s, 9);
    ck_assert_int_eq(parse("scene://street", &address), 0);
    ck_assert_int_eq(address.scene.duration_s, 0);
}
END_TEST

static const char *const refused[] = {
    "",
    "camera",
    "http://cam/",
    "rtsp://",
    "rtsp://:554/",
    "rtsp://cam:0/",
    "rtsp://cam:/",
    "rtsp://cam:65536/",
    "rtsp://user:secret@cam/",
    "rtsp://cam/#part",
    "rtsp://ca!m/",
    "scene://",
    "scene://nowhere",
    "scene://street/x",
    "scene://street?seed=4294967296",
    "scene://street?fps=0",
    "scene://street?fps=61",
    "scene://street?width=15",
    "scene://street?colour=blue",
    "scene://street?seed",
};

START_TEST(what_is_no_address_is_refused_and_leaves_the_output_alone)
{
    struct address address = {.port = 7};
    ck_assert_int_eq(parse(refused[_i], &address), -EINVAL);
    ck_assert_int_eq(address.port, 7);
}
END_TEST

int main(void)
{
    TCase *addresses = tcase_create("addresses");
    tcase_add_test(addresses, a_camera_has_host_port_and_path);
    tcase_add_test(addresses, a_numeric_host_takes_the_place_of_the_name);
    tcase_add_test(addresses, a_scene_has_what_was_asked_and_defaults);
    tcase_add_loop_test(addresses, what_is_no_address_is_refused_and_leaves_the_output_alone, 0,
                        (int)(sizeof refused / sizeof *refused));
    return suite_run("record/address", &addresses, 1);
}
