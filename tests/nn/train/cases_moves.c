/* Operators that move numbers without computing. */
#include "tests/nn/train/cases.h"

/* `op` of x, with a list of integers for its other inputs. */
static struct onnx move(int64_t opset, const char *op, struct onnx_dims x, const char *names,
                        int64_t count, const int64_t *list)
{
    struct onnx b = onnx_start(opset);
    onnx_input(&b, "x", 1, x);
    if (count > 0)
        onnx_ints(&b, "list", DIMS(count), list);
    onnx_node(&b, op, names, "y");
    return b;
}

static struct onnx end(struct onnx b, int rank)
{
    onnx_output(&b, "y", 1, (struct onnx_dims){rank, {-1, -1, -1, -1, -1}});
    return b;
}

static struct onnx transpose_last(void)
{
    struct onnx b = move(13, "Transpose", DIMS(3, 4, 5), "x", 0, NULL);
    onnx_attribute_ints(&b, "perm", 3, (int64_t[]){0, 2, 1});
    return end(b, 3);
}

static struct onnx transpose_first(void)
{
    struct onnx b = move(13, "Transpose", DIMS(3, 4, 5), "x", 0, NULL);
    onnx_attribute_ints(&b, "perm", 3, (int64_t[]){1, 0, 2});
    return end(b, 3);
}

static struct onnx transpose_all(void)
{
    return end(move(13, "Transpose", DIMS(30, 40, 50), "x", 0, NULL), 3);
}

static struct onnx expand(void)
{
    return end(move(13, "Expand", DIMS(3, 1, 4), "x list", 4, (int64_t[]){2, 1, 5, 1}), 4);
}

static struct onnx tile(void)
{
    return end(move(13, "Tile", DIMS(2, 3, 2), "x list", 3, (int64_t[]){2, 1, 3}), 3);
}

static struct onnx pad_constant(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3, 4));
    onnx_ints(&b, "list", DIMS(6), (int64_t[]){0, 1, -1, 1, 0, 2});
    onnx_floats(&b, "value", SCALAR, &(float){0.75f});
    onnx_node(&b, "Pad", "x list value", "p");
    onnx_node(&b, "Mul", "p p", "y");
    return end(b, 3);
}

static struct onnx pad_reflect(void)
{
    struct onnx b = move(13, "Pad", DIMS(3, 4), "x list", 4, (int64_t[]){1, 2, 2, 1});
    onnx_attribute_text(&b, "mode", "reflect");
    return end(b, 2);
}

static struct onnx pad_attribute(void)
{
    struct onnx b = move(10, "Pad", DIMS(3, 4), "x", 0, NULL);
    onnx_attribute_ints(&b, "pads", 4, (int64_t[]){1, 2, 2, 1});
    return end(b, 2);
}

static struct onnx slice_steps(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 6, 5));
    onnx_ints(&b, "starts", DIMS(2), (int64_t[]){1, -1});
    onnx_ints(&b, "ends", DIMS(2), (int64_t[]){6, -6});
    onnx_ints(&b, "axes", DIMS(2), (int64_t[]){1, 2});
    onnx_ints(&b, "steps", DIMS(2), (int64_t[]){2, -1});
    onnx_node(&b, "Slice", "x starts ends axes steps", "y");
    return end(b, 3);
}

static struct onnx slice_rows(void)
{
    struct onnx b = move(9, "Slice", DIMS(5, 6), "x", 0, NULL);
    onnx_attribute_ints(&b, "starts", 1, (int64_t[]){1});
    onnx_attribute_ints(&b, "ends", 1, (int64_t[]){4});
    return end(b, 2);
}

static struct onnx depth_to_space(void)
{
    struct onnx b = move(13, "DepthToSpace", DIMS(2, 8, 2, 3), "x", 0, NULL);
    onnx_attribute_int(&b, "blocksize", 2);
    onnx_attribute_text(&b, "mode", "CRD");
    return end(b, 4);
}

static struct onnx space_to_depth(void)
{
    struct onnx b = move(13, "SpaceToDepth", DIMS(2, 2, 4, 6), "x", 0, NULL);
    onnx_attribute_int(&b, "blocksize", 2);
    return end(b, 4);
}

static struct onnx resize(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2, 3, 4));
    onnx_floats(&b, "scales", DIMS(4), (float[]){1, 1, 2, 1.5f});
    onnx_node(&b, "Resize", "x - scales", "y");
    return end(b, 4);
}

static struct onnx upsample(void)
{
    struct onnx b = onnx_start(9);
    onnx_input(&b, "x", 1, DIMS(2, 2, 3, 4));
    onnx_floats(&b, "scales", DIMS(4), (float[]){1, 1, 2, 2});
    onnx_node(&b, "Upsample", "x scales", "y");
    return end(b, 4);
}

/* --- Parts -------------------------------------------------------------------------------- */

static struct onnx concat(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3, 4));
    onnx_input(&b, "z", 1, DIMS(2, 1, 4));
    onnx_node(&b, "Concat", "x z x", "y");
    onnx_attribute_int(&b, "axis", -2);
    return end(b, 3);
}

/* Of three parts the second is not used. */
static struct onnx split(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 7, 3));
    onnx_ints(&b, "parts", DIMS(3), (int64_t[]){2, 3, 2});
    onnx_node(&b, "Split", "x parts", "a b c");
    onnx_attribute_int(&b, "axis", 1);
    onnx_node(&b, "Mul", "a c", "y");
    return end(b, 3);
}

static struct onnx embedding(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "i", 7, DIMS(3, 4));
    weights(&b, "table", DIMS(6, 5));
    onnx_node(&b, "Gather", "table i", "y");
    return end(b, 3);
}

/* Integers are computed with on the way, by operators that have rows for floats. */
static struct onnx embedding_moved(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "i", 7, DIMS(2, 4));
    weights(&b, "table", DIMS(6, 5));
    onnx_ints(&b, "less", DIMS(1), (int64_t[]){-5});
    onnx_node(&b, "Add", "i less", "j");
    onnx_node(&b, "Concat", "i j", "k");
    onnx_attribute_int(&b, "axis", 0);
    onnx_node(&b, "Gather", "table k", "y");
    return end(b, 3);
}

static struct onnx gather_middle(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 4, 3));
    onnx_ints(&b, "list", DIMS(3), (int64_t[]){2, -1, 2});
    onnx_node(&b, "Gather", "x list", "y");
    onnx_attribute_int(&b, "axis", 1);
    return end(b, 3);
}

static struct onnx gather_last_step(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 4, 5));
    onnx_ints(&b, "last", SCALAR, (int64_t[]){-1});
    onnx_node(&b, "Gather", "x last", "y");
    onnx_attribute_int(&b, "axis", 1);
    return end(b, 2);
}

const struct gradient_case gradient_cases_moves[] = {
    {"transpose of the last axes", transpose_last, false},
    {"transpose of the first axes", transpose_first, false},
    {"transpose of all", transpose_all, false},
    {"expand", expand, false},
    {"tile", tile, false},
    {"pad with a constant", pad_constant, false},
    {"pad with what is there", pad_reflect, false},
    {"pad before opset 11", pad_attribute, false},
    {"slice with steps", slice_steps, false},
    {"slice before opset 10", slice_rows, false},
    {"depth to space", depth_to_space, false},
    {"space to depth", space_to_depth, false},
    {"resize", resize, false},
    {"upsample", upsample, false},
    {"concat", concat, false},
    {"split", split, false},
    {"embedding", embedding, false},
    {"embedding by computed indices", embedding_moved, false},
    {"gather of the middle", gather_middle, false},
    {"gather the last step", gather_last_step, false},
    {NULL, NULL, false},
};
