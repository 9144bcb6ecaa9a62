#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/stream.h"

static struct config_error err;

/* --- addresses ---------------------------------------------------------------------------- */

static char *root_paths[] = {(char *)"/srv/media", (char *)"/home/films"};

static int make(const char *uri, struct config_stream *ret_stream)
{
    struct config_roots roots = {.count = 2, .paths = {root_paths[0], root_paths[1]}};
    struct config_stream_fields fields = CONFIG_STREAM_FIELDS_NONE;
    fields.uri = uri;
    return config_stream_make("a", &fields, &roots, ret_stream, &err);
}

static const struct {
    const char *uri, *kept, *user, *password;
} good_addresses[] = {
    {"rtsp://cam/", "rtsp://cam/", "", ""},
    {"RTSP://cam", "rtsp://cam", "", ""},
    {"rtsps://10.0.0.1:322/a/b?c=d", "rtsps://10.0.0.1:322/a/b?c=d", "", ""},
    {"rtsp://joe@cam/x", "rtsp://cam/x", "joe", ""},
    {"rtsp://joe:secret@cam/x", "rtsp://cam/x", "joe", "secret"},
    {"rtsp://joe:s@cr:et@cam/x", "rtsp://cam/x", "joe", "s@cr:et"},
    {"rtsp://j%20e:%2F%3F@[fe80::1]:554/x", "rtsp://[fe80::1]:554/x", "j e", "/?"},
    {"rtsp://cam/user@home", "rtsp://cam/user@home", "", ""},
    {"scene://street", "scene://street", "", ""},
    {"scene://street?seed=1&width=640&height=360&fps=15&duration=60",
     "scene://street?seed=1&width=640&height=360&fps=15&duration=60", "", ""},
    {"file:///srv/media/a.mp4", "file:///srv/media/a.mp4", "", ""},
    {"file:///home/films/b%20c/d.mkv", "file:///home/films/b%20c/d.mkv", "", ""},
};

START_TEST(a_good_address_is_kept_without_its_credentials)
{
    struct config_stream stream;
    ck_assert_msg(make(good_addresses[_i].uri, &stream) == 0, "%s", err.text);
    ck_assert_str_eq(stream.uri, good_addresses[_i].kept);
    ck_assert_str_eq(stream.user, good_addresses[_i].user);
    ck_assert_str_eq(stream.password, good_addresses[_i].password);
    ck_assert_str_eq(stream.model, "scene");
    ck_assert(stream.enabled);
}
END_TEST

static const struct {
    const char *uri, *says;
} bad_addresses[] = {
    {"", "missing"},
    {"cam", "no scheme"},
    {"://cam", "unknown scheme"},
    {"http://cam/", "unknown scheme"},
    {"javascript://x", "unknown scheme"},
    {"rtsp://", "host or port"},
    {"rtsp:///x", "host or port"},
    {"rtsp://cam:0/", "host or port"},
    {"rtsp://cam:65536/", "host or port"},
    {"rtsp://cam:/", "host or port"},
    {"rtsp://cam:5x/", "host or port"},
    {"rtsp://[::1/", "host or port"},
    {"rtsp://[]/", "host or port"},
    {"rtsp://ca!m/", "host or port"},
    {"rtsp://joe:pa/ss@cam/", "%2F"},
    {"rtsp://j%zz@cam/", "user or password"},
    {"rtsp://j%00@cam/", "user or password"},
    {"rtsp://:secret@cam/", "without a user"},
    {"rtsp://cam/a b", "position 13"},
    {"rtsp://cam/\n", "position 12"},
    {"rtsp://cam/#x", "position 12"},
    {"rtsp://c\xc3\xa4m/", "position 9"},
    {"scene://", "scene://NAME"},
    {"scene://Street", "scene://NAME"},
    {"scene://../etc", "scene://NAME"},
    {"scene://street?sed=1", "did you mean seed"},
    {"scene://street?width=8", "16 to 4096"},
    {"scene://street?fps=", "1 to 60"},
    {"scene://street?fps", "name=value"},
    {"scene://nowhere", "known: street, room"},
    {"scene://street?seed=-1", "whole number"},
    {"file://srv/media/a.mp4", "file:///absolute"},
    {"file:///etc/passwd", "not under"},
    {"file:///srv/mediaX/a.mp4", "not under"},
    {"file:///srv/media/../../etc/passwd", "without . or .."},
    {"file:///srv/media/%2e%2e/x", "without . or .."},
    {"file:///srv/media/./x", "without . or .."},
    {"file:///srv/media//x", "without . or .."},
    {"file:///srv/media/", "without . or .."},
    {"file:///srv/media/a%00b", "file:///absolute"},
    {"file:///srv/media/a%2", "file:///absolute"},
};

START_TEST(a_bad_address_is_refused_without_showing_credentials)
{
    struct config_stream stream = {.name = "untouched"};
    ck_assert_int_eq(make(bad_addresses[_i].uri, &stream), -EINVAL);
    ck_assert_msg(strstr(err.text, bad_addresses[_i].says), "%s: \"%s\"", bad_addresses[_i].uri,
                  err.text);
    ck_assert_ptr_null(strstr(err.text, "joe"));
    ck_assert_ptr_null(strstr(err.text, "secret"));
    ck_assert_str_eq(stream.name, "untouched");
}
END_TEST

START_TEST(an_address_as_long_as_allowed_is_taken_and_one_longer_is_not)
{
    struct config_stream stream;
    char uri[MESSAGE_URI_SIZE + 1] = "rtsp://cam/";
    memset(uri + strlen(uri), 'x', MESSAGE_URI_SIZE - 1 - strlen(uri));
    ck_assert_int_eq(make(uri, &stream), 0);
    ck_assert_str_eq(stream.uri, uri);
    uri[MESSAGE_URI_SIZE - 1] = 'x';
    ck_assert_int_eq(make(uri, &stream), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
}
END_TEST

START_TEST(only_its_own_host_is_a_streams_host)
{
    struct config_stream stream;
    make("rtsp://u:p@Cam.lan:554/x", &stream);
    ck_assert(config_stream_names_host(&stream, "cam.lan"));
    ck_assert(!config_stream_names_host(&stream, "cam.lan.evil"));
    ck_assert(!config_stream_names_host(&stream, "cam"));
    ck_assert(!config_stream_names_host(&stream, ""));
    make("rtsp://[fe80::1]/x", &stream);
    ck_assert(config_stream_names_host(&stream, "fe80::1"));
    make("scene://street", &stream);
    ck_assert(!config_stream_names_host(&stream, "street"));
}
END_TEST

/* --- JSON --------------------------------------------------------------------------------- */

static int from_json(const char *text, struct config_stream *ret_stream)
{
    struct config_roots roots = {.count = 2, .paths = {root_paths[0], root_paths[1]}};
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(object);
    int r = config_stream_from_json("a", object, &roots, ret_stream, &err);
    json_decref(object);
    return r;
}

static const struct {
    const char *text, *key, *says;
} bad_bodies[] = {
    {"[]", "", "JSON object"},
    {"{}", "uri", "missing"},
    {"{\"uri\": 5}", "uri", "must be a string"},
    {"{\"uri\": null}", "uri", "must be a string"},
    {"{\"uri\": \"scene://street\", \"enabled\": 1}", "enabled", "true or false"},
    {"{\"uri\": \"scene://street\", \"loop\": \"yes\"}", "loop", "true or false"},
    {"{\"uri\": \"scene://street\", \"retention_days\": \"7\"}", "retention_days",
     "whole number"},
    {"{\"uri\": \"scene://street\", \"retention_days\": 7.5}", "retention_days",
     "whole number"},
    {"{\"uri\": \"scene://street\", \"retention_mb\": -1}", "retention_mb",
     "whole number from 0"},
    {"{\"uri\": \"scene://street\", \"modle\": \"x\"}", "modle", "did you mean model"},
    {"{\"uri\": \"scene://street\", \"status\": {}}", "status", "unknown member"},
    {"{\"uri\": \"scene://street\", \"model\": \"../x\"}", "model", "1 to 64 of"},
    {"{\"uri\": \"scene://street\", \"name\": \"a\"}", "name", "unknown member"},
    {"{\"uri\": \"rtsp://h/\", \"user\": \"a\\nb\"}", "user", "control"},
    {"{\"uri\": \"rtsp://h/\", \"user\": \"a\", \"password\": \"\\u007f\"}", "password",
     "control"},
};

START_TEST(a_bad_body_is_refused_naming_the_member)
{
    struct config_stream stream;
    ck_assert_int_eq(from_json(bad_bodies[_i].text, &stream), -EINVAL);
    ck_assert_str_eq(err.key, bad_bodies[_i].key);
    ck_assert_msg(strstr(err.text, bad_bodies[_i].says), "\"%s\"", err.text);
}
END_TEST

START_TEST(a_stream_survives_the_store_and_shows_no_credentials_elsewhere)
{
    struct config_stream stream, again;
    ck_assert_int_eq(from_json("{\"uri\": \"rtsp://cam/x\", \"user\": \"joe\", \"password\": "
                               "\"secret\", \"enabled\": false, \"retention_days\": 0, "
                               "\"retention_mb\": 5}",
                               &stream),
                     0);
    json_t *stored = config_stream_to_json(&stream, true);
    json_t *shown = config_stream_to_json(&stream, false);
    char *stored_text = json_dumps(stored, 0), *shown_text = json_dumps(shown, 0);
    ck_assert_ptr_null(strstr(shown_text, "joe"));
    ck_assert_ptr_null(strstr(shown_text, "secret"));
    ck_assert_int_eq(from_json(stored_text, &again), 0);
    ck_assert(config_stream_equal(&stream, &again));
    ck_assert(config_stream_has_credentials(&again));
    again.retention_days = -1;
    ck_assert(!config_stream_equal(&stream, &again));
    ck_assert(config_stream_same_work(&stream, &again));
    again.loop = true;
    ck_assert(!config_stream_same_work(&stream, &again));
    free(stored_text);
    free(shown_text);
    json_decref(stored);
    json_decref(shown);
}
END_TEST

int main(void)
{
    TCase *streams = tcase_create("config_stream");
    tcase_add_loop_test(streams, a_good_address_is_kept_without_its_credentials, 0,
                        (int)G_N_ELEMENTS(good_addresses));
    tcase_add_loop_test(streams, a_bad_address_is_refused_without_showing_credentials, 0,
                        (int)G_N_ELEMENTS(bad_addresses));
    tcase_add_test(streams, an_address_as_long_as_allowed_is_taken_and_one_longer_is_not);
    tcase_add_test(streams, only_its_own_host_is_a_streams_host);
    tcase_add_loop_test(streams, a_bad_body_is_refused_naming_the_member, 0,
                        (int)G_N_ELEMENTS(bad_bodies));
    tcase_add_test(streams, a_stream_survives_the_store_and_shows_no_credentials_elsewhere);
    return suite_run("daemon/config/stream", &streams, 1);
}
