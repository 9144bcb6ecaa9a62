/* DepthToSpace and SpaceToDepth, element by element. */
#include <errno.h>

#include "tests/nn/net.h"

enum { CHANNELS = 3, HEIGHT = 4, WIDTH = 5, BATCH = 2 };

static struct onnx build(const char *op, const char *mode, int type, struct onnx_dims dims,
                         int64_t size)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", type, dims);
    onnx_output(&o, "y", type, SCALAR);
    onnx_node(&o, op, "x", "y");
    onnx_attribute_int(&o, "blocksize", size);
    if (mode)
        onnx_attribute_text(&o, "mode", mode);
    return o;
}

/* The element of the small image, of `size`² as many channels, that is element (c, h, w) of the
 * large one. */
static size_t origin(bool by_column, size_t size, size_t n, size_t c, size_t h, size_t w)
{
    size_t block = h % size * size + w % size;
    size_t channel = by_column ? c * size * size + block : block * CHANNELS + c;
    return ((n * CHANNELS * size * size + channel) * HEIGHT + h / size) * WIDTH + w / size;
}

static void check(bool to_space, const char *mode, size_t size, int type, size_t element)
{
    size_t area = size * size, count = BATCH * CHANNELS * area * HEIGHT * WIDTH;
    struct onnx_dims depth = DIMS(BATCH, (int64_t)(CHANNELS * area), HEIGHT, WIDTH);
    struct onnx_dims space =
        DIMS(BATCH, CHANNELS, HEIGHT * (int64_t)size, WIDTH * (int64_t)size);
    struct onnx o = build(to_space ? "DepthToSpace" : "SpaceToDepth", mode, type,
                          to_space ? depth : space, (int64_t)size);
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, to_space ? space : depth);
    uint8_t *x = nn_session_input(net.session, 0)->data;
    for (size_t i = 0; i < count * element; i++)
        x[i] = (uint8_t)(i * 37 + i / 251);
    net_run(&net);
    const uint8_t *y = nn_session_output(net.session, 0)->data;
    for (size_t i = 0; i < count; i++) {
        size_t w = i % (WIDTH * size), h = i / (WIDTH * size) % (HEIGHT * size);
        size_t c = i / (WIDTH * HEIGHT * area) % CHANNELS, n = i / (count / BATCH);
        size_t small = origin(mode && strcmp(mode, "CRD") == 0, size, n, c, h, w);
        ck_assert_mem_eq(y + (to_space ? i : small) * element,
                         x + (to_space ? small : i) * element, element);
    }
    net_free(&net);
}

START_TEST(every_element_finds_its_place)
{
    static const struct {
        int type;
        size_t bytes;
    } types[] = {{1, 4}, {2, 1}, {5, 2}, {7, 8}};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t size = 1; size <= 3; size++) {
            check(true, NULL, size, types[t].type, types[t].bytes);
            check(true, "DCR", size, types[t].type, types[t].bytes);
            check(true, "CRD", size, types[t].type, types[t].bytes);
            check(false, NULL, size, types[t].type, types[t].bytes);
        }
}
END_TEST

START_TEST(what_does_not_divide_is_refused_by_name)
{
    struct onnx o = build("DepthToSpace", NULL, 1, DIMS(1, 6, 2, 2), 2);
    net_expect_refused(&o, -EINVAL, "6 channels of 2×2 do not divide by blocks of 2");
    o = build("SpaceToDepth", NULL, 1, DIMS(1, 4, 2, 3), 2);
    net_expect_refused(&o, -EINVAL, "4 channels of 2×3 do not divide by blocks of 2");
    o = build("DepthToSpace", NULL, 1, DIMS(1, 4, 2, 2), 0);
    net_expect_refused(&o, -EINVAL, "blocksize is 0");
    o = build("DepthToSpace", NULL, 1, DIMS(1, 4, 2, 2), INT64_MAX);
    net_expect_refused(&o, -EINVAL, "blocksize is");
    o = build("DepthToSpace", "ROW", 1, DIMS(1, 4, 2, 2), 2);
    net_expect_refused(&o, -EINVAL, "mode is 'ROW'");
    o = build("SpaceToDepth", NULL, 1, DIMS(4, 2, 2), 2);
    net_expect_refused(&o, -EINVAL, "rank 3");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("depth");
    tcase_add_test(all, every_element_finds_its_place);
    tcase_add_test(all, what_does_not_divide_is_refused_by_name);
    return suite_run("nn/depth", &all, 1);
}
