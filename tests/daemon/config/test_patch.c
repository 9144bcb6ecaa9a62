/* A stream's configuration changed by a merge patch. What a whole one must look like is shown
 * in test_config.c. */
#include "tests/suite.h"

#include <errno.h>
#include <string.h>

#include "daemon/config/patch.h"

static struct config_roots roots;
static struct config_stream camera;

static struct config_stream make(const char *text)
{
    struct config_stream stream;
    struct config_error err;
    json_t *object = json_loads(text, 0, NULL);
    ck_assert_msg(config_stream_from_json("door", object, &roots, &stream, &err) == 0, "%s",
                  err.text);
    json_decref(object);
    return stream;
}

static void set_up(void)
{
    camera = make("{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\",\"password\":\"pw\","
                  "\"model\":\"fight\",\"enabled\":false}");
}

static int patch(const char *text, struct config_stream *ret_stream, struct config_error *err)
{
    json_t *object = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(object);
    int r = config_patch_apply(&camera, object, &roots, ret_stream, err);
    json_decref(object);
    return r;
}

START_TEST(what_a_patch_leaves_out_stays_and_null_gives_the_default)
{
    static const struct {
        const char *patch, *whole;
    } rows[] = {
        {"{}", "{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\",\"password\":\"pw\","
               "\"model\":\"fight\",\"enabled\":false}"},
        {"{\"enabled\":true}",
         "{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\",\"password\":\"pw\","
         "\"model\":\"fight\"}"},
        {"{\"enabled\":null,\"model\":null}",
         "{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\",\"password\":\"pw\"}"},
        {"{\"password\":\"new\"}",
         "{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\","
         "\"password\":\"new\",\"model\":\"fight\",\"enabled\":false}"},
        {"{\"password\":null}", "{\"uri\":\"rtsp://cam.test/a\",\"user\":\"viewer\","
                                "\"model\":\"fight\",\"enabled\":false}"},
        {"{\"user\":null,\"password\":null}",
         "{\"uri\":\"rtsp://cam.test/a\",\"model\":\"fight\",\"enabled\":false}"},
        {"{\"uri\":\"rtsp://CAM.test/b?c=d\"}",
         "{\"uri\":\"rtsp://CAM.test/b?c=d\",\"user\":\"viewer\",\"password\":\"pw\","
         "\"model\":\"fight\",\"enabled\":false}"},
        {"{\"uri\":\"rtsp://root:x@other.test/\"}",
         "{\"uri\":\"rtsp://other.test/\",\"user\":\"root\",\"password\":\"x\","
         "\"model\":\"fight\",\"enabled\":false}"},
        {"{\"uri\":\"scene://street\",\"user\":null,\"password\":null,\"loop\":true}",
         "{\"uri\":\"scene://street\",\"model\":\"fight\",\"enabled\":false,\"loop\":true}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_stream patched, whole = make(rows[i].whole);
        struct config_error err = {.text = ""};
        ck_assert_msg(patch(rows[i].patch, &patched, &err) == 0, "%s: %s", rows[i].patch,
                      err.text);
        ck_assert_msg(config_stream_equal(&patched, &whole), "%s", rows[i].patch);
    }
}
END_TEST

START_TEST(a_patch_that_makes_no_sense_is_refused_whole)
{
    static const struct {
        const char *patch, *key;
    } rows[] = {
        {"{\"uri\":null}", "uri"},
        {"{\"uri\":\"http://cam.test/\"}", "uri"},
        {"{\"enabled\":\"no\"}", "enabled"},
        {"{\"user\":{\"a\":null}}", "user"},
        {"{\"passwort\":null}", "passwort"},
        {"{\"passwort\":\"x\"}", "passwort"},
        {"{\"name\":\"other\"}", "name"},
        {"{\"user\":null}", "password"}, /* which would be left alone */
        {"{\"uri\":\"rtsp://root:x@cam.test/\",\"user\":\"a\"}", "user"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_stream patched = {.name = "untouched"};
        struct config_error err = {.text = ""};
        ck_assert_msg(patch(rows[i].patch, &patched, &err) == -EINVAL, "%s", rows[i].patch);
        ck_assert_msg(strcmp(err.key, rows[i].key) == 0, "%s: %s", rows[i].patch, err.text);
        ck_assert_str_eq(patched.name, "untouched");
    }
}
END_TEST

START_TEST(a_kept_password_does_not_follow_an_address_to_another_server)
{
    static const char *const refused[] = {
        "{\"uri\":\"rtsp://evil.test/a\"}",
        "{\"uri\":\"rtsp://cam.test.evil.test/a\"}",
        "{\"uri\":\"rtsp://cam.test:5554/a\"}",
        "{\"uri\":\"rtsps://cam.test/a\"}",
        "{\"uri\":\"scene://street\"}",
        "{\"uri\":\"rtsp://evil.test/a\",\"user\":\"viewer\"}",
        "{\"uri\":\"rtsp://evil.test/a\",\"password\":null,\"enabled\":true}",
    };
    struct config_stream patched;
    struct config_error err;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ck_assert_msg(patch(refused[i], &patched, &err) == -EINVAL, "%s", refused[i]);
    ck_assert_int_eq(patch("{\"uri\":\"rtsp://evil.test/a\"}", &patched, &err), -EINVAL);
    ck_assert_str_eq(err.key, "password");
    ck_assert_ptr_null(strstr(err.text, "pw"));
    ck_assert_int_eq(patch("{\"uri\":\"rtsp://new.test/a\",\"user\":\"viewer\","
                           "\"password\":\"pw\"}",
                           &patched, &err),
                     0);
    camera = make("{\"uri\":\"rtsp://cam.test/a\"}");
    ck_assert_int_eq(patch("{\"uri\":\"rtsp://new.test/a\"}", &patched, &err), 0);
}
END_TEST

int main(void)
{
    TCase *patches = tcase_create("patches");
    tcase_add_checked_fixture(patches, set_up, NULL);
    tcase_add_test(patches, what_a_patch_leaves_out_stays_and_null_gives_the_default);
    tcase_add_test(patches, a_patch_that_makes_no_sense_is_refused_whole);
    tcase_add_test(patches, a_kept_password_does_not_follow_an_address_to_another_server);
    return suite_run("daemon/config/patch", &patches, 1);
}
