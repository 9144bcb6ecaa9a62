/* Model files cut short: refused with one line that says so, or, where what is left is a whole
 * ONNX message (a cut between two of its fields), read as that message. Every length of small
 * files; of large ones those at both ends, where headers and tables are, and lengths spread
 * over the rest.
 *
 *     test_nn_truncation SEEDS      the models of the fuzz targets, one for each part of the
 *                                   format */
#include <dirent.h>
#include <sanitizer/asan_interface.h> /* poisons nothing where there is no such sanitizer */
#include <string.h>

#include "nn/tensorfile.h"
#include "tests/file.h"
#include "tests/nn/net.h"
#include "tests/nn/packing.h"

enum { MAX_PATH = 4096, ENDS = 4096, BETWEEN = 257, MAX_CUT_BYTES = 64 << 20 };

static const char *seeds; /* NULL: not given */

/* Calls `check` with each length below the whole one, on a copy whose bytes beyond may not be
 * read where a sanitizer looks. */
static void cut(const void *data, size_t size, const char *name,
                void (*check)(const void *data, size_t size, size_t whole, const char *name))
{
    char *copy = NULL;
    ck_assert_int_eq(posix_memalign((void **)&copy, 64, size), 0);
    memcpy(copy, data, size);
    size_t stride = size / BETWEEN + 1;
    for (size_t left = size; left-- > 0;) {
        /* What is behind is poisoned already, but for the eight bytes that share a shadow. */
        ASAN_POISON_MEMORY_REGION(copy + left, size - left < 8 ? size - left : 8);
        if (left < ENDS || size - left <= ENDS || left % stride == 0)
            check(copy, left, size, name);
    }
    ASAN_UNPOISON_MEMORY_REGION(copy, size);
    free(copy);
}

static void expect_refused(int r, const struct nn_error *err, size_t size, size_t whole,
                           const char *name)
{
    ck_assert_msg(r == -EINVAL || r == -ENOTSUP || r == -E2BIG, "%s, %zu of %zu bytes: %d",
                  name, size, whole, r);
    ck_assert_msg(err->text[0] && !strchr(err->text, '\n'), "%s, %zu of %zu bytes: '%s'", name,
                  size, whole, err->text);
}

/* --- ONNX ------------------------------------------------------------------------------- */

static size_t read_varint(const uint8_t *data, size_t size, size_t at, uint64_t *ret_value)
{
    *ret_value = 0;
    for (int shift = 0; at < size && shift < 64; shift += 7) {
        *ret_value |= (uint64_t)(data[at] & 127) << shift;
        if (data[at++] < 128)
            return at;
    }
    return size + 1;
}

/* Whether the bytes are fields of a message from end to end, as far as its own tags tell. */
static bool is_whole(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t tag, length = 0;
        at = read_varint(data, size, at, &tag);
        switch (tag & 7) {
        case 0:
            at = read_varint(data, size, at, &length);
            break;
        case 1:
            at += 8;
            break;
        case 2:
            at = read_varint(data, size, at, &length);
            if (at > size || length > size - at)
                return false;
            at += (size_t)length;
            break;
        case 5:
            at += 4;
            break;
        default:
            return false;
        }
    }
    return at == size;
}

static void check_onnx(const void *data, size_t size, size_t whole, const char *name)
{
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(data, size, &model, &err);
    if (r == 0) {
        ck_assert_msg(is_whole(data, size), "%s: %zu of %zu bytes are a model", name, size,
                      whole);
        r = nn_plan_create(model, NULL, &plan, &err);
    }
    if (r < 0)
        expect_refused(r, &err, size, whole, name);
    nn_plan_unref(plan);
    nn_model_unref(model);
}

static void check_tensor(const void *data, size_t size, size_t whole, const char *name)
{
    struct nn_tensor_file *file = NULL;
    struct nn_error err = {{0}};
    int r = nn_tensor_file_load(data, size, name, &file, &err);
    if (r < 0)
        expect_refused(r, &err, size, whole, name);
    else
        ck_assert_msg(is_whole(data, size), "%s: %zu of %zu bytes are a tensor", name, size,
                      whole);
    nn_tensor_file_destroy(file);
}

/* --- Packed ----------------------------------------------------------------------------- */

static void check_packed(const void *data, size_t size, size_t whole, const char *name)
{
    struct nn_packed *packed = NULL;
    struct nn_error err = {{0}};
    int r = nn_packed_open(data, size, NULL, NULL, &packed, &err);
    ck_assert_msg(r < 0, "%s: %zu of %zu packed bytes are a model", name, size, whole);
    expect_refused(r, &err, size, whole, name);
}

static void cut_packed(const struct onnx_bytes *onnx, const char *name)
{
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct packing *packing = NULL;
    if (nn_model_load(onnx->data, onnx->size, &model, NULL) == 0 &&
        nn_plan_create(model, NULL, &plan, NULL) == 0) {
        ck_assert_int_eq(packing_write(plan, onnx->data, onnx->size, 16, &packing, NULL), 0);
        if (packing->size <= MAX_CUT_BYTES)
            cut(packing->data, packing->size, name, check_packed);
        packing_release(packing);
    }
    nn_plan_unref(plan);
    nn_model_unref(model);
}

static void cut_model(const char *path, const char *name)
{
    struct onnx_bytes onnx = {0};
    onnx.data = file_whole(path, &onnx.size);
    if (!onnx.data)
        return;
    cut(onnx.data, onnx.size, name, check_onnx);
    cut_packed(&onnx, name);
    free(onnx.data);
}

/* --- Which ------------------------------------------------------------------------------ */

/* Calls `visit` with what is in a folder; returns how many there were. */
static int visit_all(const char *folder, void (*visit)(const char *folder, const char *name))
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort), visited = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            visit(folder, entries[i]->d_name);
            visited++;
        }
        free(entries[i]);
    }
    free(entries);
    return visited;
}

static void visit_seed(const char *folder, const char *name)
{
    char path[MAX_PATH + 256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cut_model(path, name);
}

static void visit_tensor(const char *folder, const char *name)
{
    char path[MAX_PATH + 256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct onnx_bytes tensor = {0};
    tensor.data = file_whole(path, &tensor.size);
    ck_assert_ptr_nonnull(tensor.data);
    cut(tensor.data, tensor.size, name, check_tensor);
    free(tensor.data);
}

static void visit_shared(const char *folder, const char *name)
{
    char path[MAX_PATH + 512];
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    cut_model(path, name);
}

START_TEST(every_part_of_the_format_may_be_cut_anywhere)
{
    if (!seeds) {
        suite_skip("no seeds given");
        return;
    }
    char folder[MAX_PATH];
    snprintf(folder, sizeof folder, "%s/onnx", seeds);
    ck_assert_int_gt(visit_all(folder, visit_seed), 10);
    snprintf(folder, sizeof folder, "%s/tensor", seeds);
    ck_assert_int_gt(visit_all(folder, visit_tensor), 5);
}
END_TEST

START_TEST(the_shared_models_may_be_cut_anywhere)
{
    const char *folder = suite_data("models");
    if (!folder)
        suite_skip("no shared data here");
    else
        ck_assert_int_gt(visit_all(folder, visit_shared), 12);
}
END_TEST

int main(int argc, char **argv)
{
    seeds = argc > 1 ? argv[1] : NULL;
    TCase *c = tcase_create("truncation");
    tcase_set_timeout(c, 280);
    tcase_add_test(c, every_part_of_the_format_may_be_cut_anywhere);
    tcase_add_test(c, the_shared_models_may_be_cut_anywhere);
    TCase *cases[] = {c};
    return suite_run("nn/truncation", cases, 1);
}
