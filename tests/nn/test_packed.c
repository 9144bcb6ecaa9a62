/* Packed files: the same bits as the ONNX file, nothing of it copied, and every damage refused.
 * (That each ONNX test gives the same bits is in test_onnx_suite.) */
#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "nn/packed_file.h"
#include "tests/file.h"
#include "tests/nn/net.h"
#include "tests/nn/packing.h"

static const struct nn_plan_options whole = {.time_axis = -1};

/* Conv (packed, by two: no kernels have Winograd for it, whose weights are larger), Gemm (read
 * as it is), and a Conv whose normalization is folded in. */
static struct onnx_bytes small_model(int channels)
{
    static float weights[1 << 18];
    net_fill(weights, sizeof weights / sizeof *weights, 7);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, channels, 6, 6));
    onnx_floats(&o, "w", DIMS(channels, channels, 3, 3), weights);
    onnx_floats(&o, "v", DIMS(channels, channels, 1, 1), weights + 99);
    onnx_floats(&o, "s", DIMS(channels), weights + 11);
    onnx_floats(&o, "m", DIMS(channels), weights + 13);
    static float ones[512];
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        ones[i] = 1;
    onnx_floats(&o, "one", DIMS(channels), ones);
    onnx_floats(&o, "g", DIMS(channels, 3), weights + 1000);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&o, "Conv", "a v s", "b");
    onnx_node(&o, "BatchNormalization", "b one s m one", "c");
    onnx_node(&o, "GlobalAveragePool", "c", "d");
    onnx_node(&o, "Flatten", "d", "e");
    onnx_node(&o, "Gemm", "e g", "y");
    onnx_output(&o, "y", 1, SCALAR);
    return onnx_finish(&o);
}

static struct nn_plan *plan_of(struct nn_model *model, const struct nn_plan_options *options)
{
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    int r = nn_plan_create(model, options, &plan, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return plan;
}

static struct nn_plan *direct_plan(const struct onnx_bytes *onnx)
{
    struct nn_model *model = NULL;
    ck_assert_int_eq(nn_model_load(onnx->data, onnx->size, &model, NULL), 0);
    struct nn_plan *plan = plan_of(model, &whole);
    nn_model_unref(model);
    return plan;
}

START_TEST(a_stream_of_frames_gives_the_same_bits)
{
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s/models/scene.onnx", getenv("VIGIL_SOURCE_ROOT"));
    void *onnx = file_whole(path, &size);
    ck_assert_msg(onnx != NULL, "no %s", path);
    struct nn_model *model = NULL, *packed = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = 1};
    ck_assert_int_eq(nn_model_load(onnx, size, &model, NULL), 0);
    struct nn_plan *plan = plan_of(model, &options);
    ck_assert_msg(packing_reload(plan, onnx, size, 0, &packed, &err) == 0, "%s", err.text);
    struct nn_plan *other = plan_of(packed, &options);
    struct nn_session *a, *b;
    ck_assert_int_eq(nn_session_create(plan, &a, NULL), 0);
    ck_assert_int_eq(nn_session_create(other, &b, NULL), 0);
    struct nn_plan_info info;
    nn_plan_describe(plan, &info);
    int windows = 0;
    for (uint32_t t = 0; t < 40; t++) {
        net_fill(nn_session_frame_buffer(a), info.frame_elements, t);
        net_fill(nn_session_frame_buffer(b), info.frame_elements, t);
        ck_assert_int_eq(nn_session_push_frame(a, NULL), 0);
        ck_assert_int_eq(nn_session_push_frame(b, NULL), 0);
        if (nn_session_frames(a) < info.window)
            continue;
        ck_assert_int_eq(nn_session_run_window(a, NULL), 0);
        ck_assert_int_eq(nn_session_run_window(b, NULL), 0);
        const struct nn_tensor *x = nn_session_output(a, 0), *y = nn_session_output(b, 0);
        ck_assert_mem_eq(x->data, y->data, nn_tensor_bytes(x));
        windows++;
    }
    ck_assert_int_gt(windows, 30);
    nn_session_destroy(a);
    nn_session_destroy(b);
    nn_plan_unref(plan);
    nn_plan_unref(other);
    nn_model_unref(model);
    nn_model_unref(packed);
    free(onnx);
}
END_TEST

START_TEST(a_plan_of_a_packed_file_has_no_weights_of_its_own)
{
    struct onnx_bytes onnx = small_model(64);
    struct nn_plan *plan = direct_plan(&onnx);
    struct nn_model *packed = NULL;
    ck_assert_int_eq(packing_reload(plan, onnx.data, onnx.size, 0, &packed, NULL), 0);
    struct nn_plan *other = plan_of(packed, &whole);
    struct nn_plan_info made, found;
    nn_plan_describe(plan, &made);
    nn_plan_describe(other, &found);
    ck_assert_uint_gt(made.weight_bytes, 64 * 64 * 9 * sizeof(float));
    ck_assert_uint_lt(found.weight_bytes, 24 * 1024); /* steps, shapes, offsets of taps */
    nn_plan_unref(plan);
    nn_plan_unref(other);
    nn_model_unref(packed);
    free(onnx.data);
}
END_TEST

START_TEST(weights_that_were_packed_take_no_second_room)
{
    struct onnx_bytes onnx = small_model(64);
    struct nn_plan *plan = direct_plan(&onnx);
    int fd = memfd_create("packed", MFD_CLOEXEC);
    ck_assert_int_eq(nn_packed_write(plan, onnx.data, onnx.size, 0, fd, NULL), 0);
    struct stat status;
    ck_assert_int_eq(fstat(fd, &status), 0);
    uint64_t convolutions = 64 * 64 * (9 + 1) * sizeof(float);
    uint64_t held = (uint64_t)status.st_blocks * 512;
    ck_assert_uint_ge(held, convolutions);
    ck_assert_uint_le(held, convolutions + 16 * 1024);
    ck_assert_uint_ge((uint64_t)status.st_size, held + 64 * 64 * 9 * sizeof(float) - 4096);
    close(fd);
    nn_plan_unref(plan);
    free(onnx.data);
}
END_TEST

/* A packed file in memory that a test may damage. */
struct copy {
    struct nn_packed_header *header; /* 64-byte aligned start of all */
    char *bytes;
    size_t size;
};

static struct copy packed_copy(void)
{
    struct onnx_bytes onnx = small_model(8);
    struct nn_plan *plan = direct_plan(&onnx);
    struct packing *packing = NULL;
    ck_assert_int_eq(packing_write(plan, onnx.data, onnx.size, 64, &packing, NULL), 0);
    struct copy copy = {.size = packing->size};
    copy.bytes = aligned_alloc(64, (copy.size + 63) / 64 * 64);
    memcpy(copy.bytes, packing->data, copy.size);
    copy.header = (void *)copy.bytes;
    packing_release(packing);
    nn_plan_unref(plan);
    free(onnx.data);
    return copy;
}

/* What a writer that means harm would do. */
static void sum_again(struct copy *copy)
{
    struct nn_packed_header *h = copy->header;
    uint64_t end = h->weights.offset + h->weights.bytes;
    h->checksum = 0;
    if (end >= sizeof *h && end <= copy->size)
        h->checksum = nn_packed_checksum(nn_packed_checksum(0, h, sizeof *h),
                                         copy->bytes + sizeof *h, end - sizeof *h);
}

static int open_copy(const struct copy *copy, struct nn_error *err)
{
    struct nn_packed *packed = NULL;
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    int r = nn_packed_open(copy->bytes, copy->size, NULL, NULL, &packed, err);
    if (r == 0)
        r = nn_model_load_packed(packed, &model, err);
    if (r == 0)
        r = nn_plan_create(model, &whole, &plan, err);
    nn_plan_unref(plan);
    nn_model_unref(model);
    nn_packed_unref(packed);
    return r;
}

static void expect_refused(const struct copy *copy, const char *what)
{
    struct nn_error err = {{0}};
    int r = open_copy(copy, &err);
    ck_assert_msg(r == -EINVAL, "%s: %d %s", what, r, err.text);
    ck_assert_msg(err.text[0] && !strchr(err.text, '\n'), "%s: '%s'", what, err.text);
}

START_TEST(every_changed_byte_is_noticed)
{
    struct copy copy = packed_copy();
    ck_assert_int_eq(open_copy(&copy, NULL), 0);
    size_t end = copy.header->weights.offset + copy.header->weights.bytes;
    for (size_t i = 0; i < end; i++) {
        copy.bytes[i] ^= 0x10;
        expect_refused(&copy, "a changed byte");
        copy.bytes[i] ^= 0x10;
    }
    free(copy.bytes);
}
END_TEST

START_TEST(a_file_that_is_cut_is_refused)
{
    struct copy copy = packed_copy();
    size_t whole_size = copy.size;
    for (copy.size = 0; copy.size < whole_size; copy.size += 1 + copy.size / 64)
        expect_refused(&copy, "a cut file");
    free(copy.bytes);
}
END_TEST

/* Header fields that are 64-bit numbers, each set to what would lead astray. */
static const size_t fields[] = {
    offsetof(struct nn_packed_header, file_bytes),
    offsetof(struct nn_packed_header, table.offset),
    offsetof(struct nn_packed_header, table.bytes),
    offsetof(struct nn_packed_header, graph.offset),
    offsetof(struct nn_packed_header, graph.bytes),
    offsetof(struct nn_packed_header, weights.offset),
    offsetof(struct nn_packed_header, weights.bytes),
    offsetof(struct nn_packed_header, hole.offset),
    offsetof(struct nn_packed_header, hole.bytes),
};
static const uint64_t astray[] = {
    0, 1, 64, UINT32_MAX, UINT64_MAX, UINT64_MAX - 63, INT64_MAX, (uint64_t)1 << 31};

START_TEST(parts_that_lead_out_of_the_file_are_refused)
{
    struct copy copy = packed_copy();
    const struct nn_packed_header good = *copy.header;
    for (size_t i = 0; i < sizeof astray / sizeof *astray; i++) {
        *copy.header = good;
        memcpy(copy.bytes + fields[_i], &astray[i], sizeof astray[i]);
        sum_again(&copy);
        expect_refused(&copy, "a part out of place");
    }
    free(copy.bytes);
}
END_TEST

START_TEST(a_table_that_leads_out_of_the_weights_is_refused)
{
    struct copy copy = packed_copy();
    struct nn_packed_entry *entries = (void *)(copy.bytes + copy.header->table.offset);
    size_t count = copy.header->table.bytes / sizeof *entries;
    ck_assert_uint_ge(count, 2);
    for (size_t e = 0; e < count; e++) {
        const struct nn_packed_entry good = entries[e];
        for (size_t i = 0; i < sizeof astray / sizeof *astray; i++) {
            entries[e].place.offset = astray[i];
            sum_again(&copy);
            expect_refused(&copy, "an entry out of place");
            entries[e] = good;
            entries[e].place.bytes = astray[i];
            sum_again(&copy);
            expect_refused(&copy, "an entry too long");
            entries[e] = good;
        }
        entries[e].node++; /* nobody asks for it, or two are the same, or one is missing */
        sum_again(&copy);
        expect_refused(&copy, "an entry of another node");
        entries[e] = good;
    }
    free(copy.bytes);
}
END_TEST

START_TEST(a_tensor_that_lies_elsewhere_is_refused)
{
    struct copy copy = packed_copy();
    char *graph = copy.bytes + copy.header->graph.offset;
    size_t found = 0;
    for (size_t i = 0; i + 30 < copy.header->graph.bytes; i++) {
        if (memcmp(graph + i, "offset", 6) != 0 && memcmp(graph + i, "length", 6) != 0)
            continue;
        /* The value follows its key: a tag, a length, 20 digits. */
        static const char *const numbers[] = {"00000000000000000001", "99999999999999999999",
                                              "00000000004294967296", "-0000000000000000064",
                                              "0000000000000000064 "};
        char was[20];
        memcpy(was, graph + i + 8, sizeof was);
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
            memcpy(graph + i + 8, numbers[n], sizeof was);
            sum_again(&copy);
            expect_refused(&copy, "a tensor out of place");
        }
        memcpy(graph + i + 8, was, sizeof was);
        found++;
    }
    ck_assert_uint_ge(found, 4);
    sum_again(&copy);
    ck_assert_int_eq(open_copy(&copy, NULL), 0);
    free(copy.bytes);
}
END_TEST

START_TEST(another_set_of_kernels_is_refused)
{
    struct copy copy = packed_copy();
    memcpy(copy.header->kernels, "other", 6);
    sum_again(&copy);
    expect_refused(&copy, "other kernels");
    free(copy.bytes);
    struct onnx_bytes onnx = small_model(8);
    struct nn_plan *plan = direct_plan(&onnx), *reference = NULL;
    struct nn_model *packed = NULL;
    ck_assert_int_eq(packing_reload(plan, onnx.data, onnx.size, 64, &packed, NULL), 0);
    const struct nn_plan_options slow = {.time_axis = -1, .kernels = NN_KERNELS_REFERENCE};
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_plan_create(packed, &slow, &reference, &err), -ENOTSUP);
    struct nn_model *model = NULL;
    ck_assert_int_eq(nn_model_load(onnx.data, onnx.size, &model, NULL), 0);
    reference = plan_of(model, &slow);
    int fd = memfd_create("packed", MFD_CLOEXEC);
    ck_assert_int_eq(nn_packed_write(reference, onnx.data, onnx.size, 64, fd, &err), -EINVAL);
    close(fd);
    nn_plan_unref(reference);
    nn_model_unref(model);
    nn_plan_unref(plan);
    nn_model_unref(packed);
    free(onnx.data);
}
END_TEST

START_TEST(weights_in_fewer_bits_give_the_same_bits_and_need_the_same_precision)
{
    enum { IN = 1100, OUT = 300 };
    static float weight[IN * OUT], x[IN];
    struct onnx o = onnx_start(13);
    net_fill(weight, IN * OUT, 1);
    net_fill(x, IN, 2);
    onnx_input(&o, "x", 1, DIMS(1, IN));
    onnx_floats(&o, "w", DIMS(IN, OUT), weight);
    onnx_node(&o, "MatMul", "x w", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct onnx_bytes onnx = onnx_finish(&o);
    struct nn_plan_options options = {.precision = NN_PRECISION_FAST, .time_axis = -1};
    struct nn_model *model = NULL, *packed = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_model_load(onnx.data, onnx.size, &model, &err), 0);
    struct net direct = net_plan(model, &options);
    ck_assert_int_eq(packing_reload(direct.plan, onnx.data, onnx.size, 0, &packed, &err), 0);
    struct nn_plan *other = NULL;
    struct nn_plan_options exact = {.time_axis = -1};
    ck_assert_int_eq(nn_plan_create(packed, &exact, &other, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "packed as fast does not run as fp32"));
    struct net mapped = net_plan(packed, &options);
    struct nn_plan_info made, found;
    nn_plan_describe(direct.plan, &made);
    nn_plan_describe(mapped.plan, &found);
    ck_assert_uint_gt(made.weight_bytes, 2 * IN * OUT);
    ck_assert_uint_lt(found.weight_bytes, 8192);
    ck_assert(fabs(found.weight_error - made.weight_error) < 1e-9 && found.weight_error > 0);
    net_set(&direct, 0, x);
    net_set(&mapped, 0, x);
    net_run(&direct);
    net_run(&mapped);
    ck_assert_mem_eq(net_floats(&direct, 0), net_floats(&mapped, 0), OUT * sizeof(float));
    net_free(&direct);
    net_free(&mapped);
    free(onnx.data);
}
END_TEST

static void count_release(void *user)
{
    ++*(int *)user;
}

START_TEST(the_file_is_let_go_with_the_last_plan)
{
    struct copy copy = packed_copy();
    struct nn_packed *packed = NULL;
    struct nn_model *model = NULL;
    int released = 0;
    ck_assert_int_eq(
        nn_packed_open(copy.bytes, copy.size, count_release, &released, &packed, NULL), 0);
    ck_assert_int_eq(nn_model_load_packed(packed, &model, NULL), 0);
    nn_packed_unref(packed);
    struct nn_plan *plan = plan_of(model, &whole);
    nn_model_unref(model);
    ck_assert_int_eq(released, 0);
    nn_plan_unref(plan);
    ck_assert_int_eq(released, 1);
    free(copy.bytes);
}
END_TEST

START_TEST(an_onnx_file_is_no_packed_file_and_may_not_point_elsewhere)
{
    struct copy copy = packed_copy();
    struct onnx_bytes onnx = small_model(8);
    ck_assert(!nn_packed_is(onnx.data, onnx.size));
    ck_assert(nn_packed_is(copy.bytes, copy.size));
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_model_load(copy.bytes, copy.size, &model, &err), -EINVAL);
    /* The graph alone is ONNX with external data, which nobody but its own file may have. */
    ck_assert_int_eq(nn_model_load(copy.bytes + copy.header->graph.offset,
                                   copy.header->graph.bytes, &model, &err),
                     -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "external file"));
    free(copy.bytes);
    free(onnx.data);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("packed");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_stream_of_frames_gives_the_same_bits);
    tcase_add_test(tests, a_plan_of_a_packed_file_has_no_weights_of_its_own);
    tcase_add_test(tests, weights_that_were_packed_take_no_second_room);
    tcase_add_test(tests, every_changed_byte_is_noticed);
    tcase_add_test(tests, a_file_that_is_cut_is_refused);
    tcase_add_loop_test(tests, parts_that_lead_out_of_the_file_are_refused, 0,
                        (int)(sizeof fields / sizeof *fields));
    tcase_add_test(tests, a_table_that_leads_out_of_the_weights_is_refused);
    tcase_add_test(tests, a_tensor_that_lies_elsewhere_is_refused);
    tcase_add_test(tests, another_set_of_kernels_is_refused);
    tcase_add_test(tests, weights_in_fewer_bits_give_the_same_bits_and_need_the_same_precision);
    tcase_add_test(tests, the_file_is_let_go_with_the_last_plan);
    tcase_add_test(tests, an_onnx_file_is_no_packed_file_and_may_not_point_elsewhere);
    return suite_run("nn/packed", &tests, 1);
}
