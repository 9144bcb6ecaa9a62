/* Tensor files: what comes out of good ones, and that bad ones are refused. */
#include <errno.h>

#include "nn/tensorfile.h"
#include "tests/nn/net.h"

static int load(const struct onnx_bytes *bytes, struct nn_tensor_file **ret_file,
                struct nn_error *err)
{
    return nn_tensor_file_load(bytes->data, bytes->size, "input_0.pb", ret_file, err);
}

/* Frees the bytes. */
static void expect_refused(struct onnx_bytes bytes, int code, const char *text)
{
    struct nn_tensor_file *file = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(load(&bytes, &file, &err), code);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    ck_assert_msg(strstr(err.text, "input_0.pb") != NULL, "'%s' names no file", err.text);
    free(bytes.data);
}

START_TEST(a_tensor_comes_with_its_name_type_and_shape)
{
    const float values[] = {1, -2, 3, -4, 5, -6};
    struct onnx_bytes bytes = onnx_tensor("x", 1, DIMS(2, 3), values, sizeof values);
    struct nn_tensor_file *file = NULL;
    ck_assert_int_eq(load(&bytes, &file, NULL), 0);
    free(bytes.data);
    const struct nn_tensor *t = nn_tensor_file_tensor(file);
    ck_assert_str_eq(nn_tensor_file_name(file), "x");
    ck_assert_int_eq(t->type, NN_TYPE_FLOAT);
    ck_assert_int_eq(t->shape.rank, 2);
    ck_assert_int_eq(t->shape.dim[1], 3);
    ck_assert_mem_eq(t->data, values, sizeof values);
    nn_tensor_file_destroy(file);
    nn_tensor_file_destroy(NULL);
}
END_TEST

START_TEST(bools_are_zero_or_one)
{
    const uint8_t values[] = {0, 1, 7};
    struct onnx_bytes bytes = onnx_tensor("", 9, DIMS(3), values, sizeof values);
    struct nn_tensor_file *file = NULL;
    ck_assert_int_eq(load(&bytes, &file, NULL), 0);
    free(bytes.data);
    ck_assert_mem_eq(nn_tensor_file_tensor(file)->data, ((uint8_t[]){0, 1, 1}), 3);
    ck_assert_str_eq(nn_tensor_file_name(file), "");
    nn_tensor_file_destroy(file);
}
END_TEST

START_TEST(a_tensor_cut_short_at_any_byte_is_refused)
{
    const int64_t values[] = {1, 2, 3};
    struct onnx_bytes whole = onnx_tensor("x", 7, DIMS(3), values, sizeof values);
    for (size_t size = 0; size < whole.size; size++) {
        struct nn_tensor_file *file = NULL;
        struct nn_error err = {{0}};
        /* Exactly as long as it claims, so that a sanitizer sees a read beyond it. */
        uint8_t *part = malloc(size ? size : 1);
        memcpy(part, whole.data, size);
        int r = nn_tensor_file_load(part, size, "input_0.pb", &file, &err);
        free(part);
        ck_assert_msg(r == -EINVAL || r == -ENOTSUP, "%zu bytes: %d", size, r);
        ck_assert_msg(err.text[0] && !strchr(err.text, '\n'), "%zu bytes: '%s'", size,
                      err.text);
    }
    free(whole.data);
}
END_TEST

START_TEST(a_tensor_that_promises_more_than_it_holds_is_refused)
{
    const float one = 1;
    expect_refused(onnx_tensor("x", 1, DIMS(1 << 20, 1 << 20), &one, sizeof one), -EINVAL,
                   "holds 1 elements");
    expect_refused(onnx_tensor("x", 1, DIMS(INT64_MAX, INT64_MAX), &one, sizeof one), -EINVAL,
                   "impossible shape");
}
END_TEST

START_TEST(an_empty_file_and_other_bytes_are_refused)
{
    expect_refused((struct onnx_bytes){0}, -EINVAL, "is empty");
    struct onnx_bytes text = {0};
    onnx_put(&text, "not a tensor", 12);
    expect_refused(text, -EINVAL, "is not a tensor");
}
END_TEST

START_TEST(a_name_that_is_no_text_is_refused)
{
    const float one = 1;
    expect_refused(onnx_tensor("\x1b[31m", 1, DIMS(1), &one, sizeof one), -EINVAL,
                   "its name is no text");
}
END_TEST

static TCase *tensors_case(void)
{
    TCase *c = tcase_create("tensors");
    tcase_add_test(c, a_tensor_comes_with_its_name_type_and_shape);
    tcase_add_test(c, bools_are_zero_or_one);
    tcase_add_test(c, a_tensor_cut_short_at_any_byte_is_refused);
    tcase_add_test(c, a_tensor_that_promises_more_than_it_holds_is_refused);
    tcase_add_test(c, an_empty_file_and_other_bytes_are_refused);
    tcase_add_test(c, a_name_that_is_no_text_is_refused);
    return c;
}

int main(void)
{
    TCase *cases[] = {tensors_case()};
    return suite_run("nn/tensorfile", cases, 1);
}
