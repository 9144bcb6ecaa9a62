#include "daemon/models/modelcheck.h"

#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int check(const char *text, json_t **ret_info, struct record_error *err)
{
    json_t *said = json_loads(text, 0, NULL);
    ck_assert_msg(said, "%s", text);
    int r = modelcheck_copy(said, ret_info, err);
    json_decref(said);
    return r;
}

START_TEST(what_is_known_is_copied_and_the_rest_left_out)
{
    static const char text[] =
        "{\"sha256\":\"001f3641da00aaf7672bf7a2e9face7984dbdc338cd3d85db6a2231c952c8563\","
        "\"task\":\"classify-window\",\"labels\":[\"quiet\",\"movement\"],\"fps\":8.0,"
        "\"mean\":[112.5,-3],\"thresholds\":[{\"label\":\"quiet\",\"background\":true,"
        "\"enter\":0.5}],\"inputs\":[{\"name\":\"x\",\"type\":\"float32\",\"shape\":[-1,3]}],"
        "\"metadata\":{\"producer\":\"a\"}}";
    json_t *info, *same = json_loads(text, 0, NULL);
    struct record_error err;
    ck_assert_int_eq(check(text, &info, &err), 0);
    ck_assert(json_equal(info, same));
    json_decref(info);
    ck_assert_int_eq(
        check("{\"script\":\"<b>\",\"nodes\":1,\"inputs\":[{\"evil\":1}]}", &info, &err), 0);
    json_t *rest = json_loads("{\"nodes\":1,\"inputs\":[{}]}", 0, NULL);
    ck_assert(json_equal(info, rest));
    json_decref(info);
    json_decref(rest);
    json_decref(same);
}
END_TEST

START_TEST(what_is_of_another_type_or_size_is_refused_by_name)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"[]", "no JSON object"},
        {"{\"nodes\":\"3\"}", "nodes is not a whole number"},
        {"{\"nodes\":1.5}", "nodes"},
        {"{\"nodes\":-2}", "nodes"},
        {"{\"window\":70000}", "window"},
        {"{\"fps\":1e9}", "fps is not a number"},
        {"{\"labels\":{}}", "labels is not a list"},
        {"{\"labels\":[[]]}", "labels is not a text"},
        {"{\"sha256\":\"abc\"}", "sha256"},
        {"{\"sha256\":\"G01f3641da00aaf7672bf7a2e9face7984dbdc338cd3d85db6a2231c952c8563\"}",
         "sha256"},
        {"{\"thresholds\":[1]}", "thresholds is not an object"},
        {"{\"thresholds\":[{\"enter\":2}]}", "enter"},
        {"{\"thresholds\":[{\"background\":1}]}", "background is not a truth"},
        {"{\"outputs\":[{\"shape\":[1,2,3,4,5,6,7,8,9]}]}", "shape is not a list"},
        {"{\"metadata\":{\"a\":1}}", "metadata"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *info = NULL;
        struct record_error err;
        ck_assert_msg(check(rows[i].text, &info, &err) == -EINVAL, "%s", rows[i].text);
        ck_assert_msg(strstr(err.text, rows[i].says), "%s: %s", rows[i].text, err.text);
        ck_assert_ptr_null(info);
    }
}
END_TEST

START_TEST(lists_and_texts_have_a_maximum)
{
    json_t *said = json_object(), *labels = json_array(), *info = NULL;
    struct record_error err;
    json_object_set_new(said, "labels", labels);
    for (int i = 0; i < 256; i++)
        json_array_append_new(labels, json_string("x"));
    ck_assert_int_eq(modelcheck_copy(said, &info, &err), 0);
    json_decref(info);
    json_array_append_new(labels, json_string("x"));
    ck_assert_int_eq(modelcheck_copy(said, &info, &err), -EINVAL);
    json_array_clear(labels);
    char text[RECORD_LABEL_SIZE + 1];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_array_append_new(labels, json_string(text));
    ck_assert_int_eq(modelcheck_copy(said, &info, &err), -EINVAL);
    json_decref(said);
}
END_TEST

START_TEST(the_models_own_metrics_become_an_object_when_they_are_small)
{
    static const struct {
        const char *metrics;
        bool shown;
    } rows[] = {
        {"{\\\"accuracy\\\": 0.9, \\\"recall\\\": {\\\"quiet\\\": 1}}", true},
        {"not JSON", false},
        {"[1]", false},
        {"{\\\"a\\\":{\\\"b\\\":{\\\"c\\\":{\\\"d\\\":1}}}}", false},
        {"{\\\"a\\\":1,\\\"a\\\":2}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        json_t *info;
        struct record_error err;
        snprintf(text, sizeof text, "{\"metadata\":{\"vigil.metrics\":\"%s\"}}",
                 rows[i].metrics);
        ck_assert_int_eq(check(text, &info, &err), 0);
        ck_assert_msg((json_object_get(info, "metrics") != NULL) == rows[i].shown, "%s", text);
        json_decref(info);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("modelcheck");
    tcase_add_test(tests, what_is_known_is_copied_and_the_rest_left_out);
    tcase_add_test(tests, what_is_of_another_type_or_size_is_refused_by_name);
    tcase_add_test(tests, lists_and_texts_have_a_maximum);
    tcase_add_test(tests, the_models_own_metrics_become_an_object_when_they_are_small);
    return suite_run("daemon/models/modelcheck", &tests, 1);
}
