/* Opset 13 is the first whose QuantizeLinear has a scale for each channel. Between 7 and 13
 * most operators kept their meaning: some became able to do more, some had attributes become
 * inputs, and those are spelled anew here. What is left, Softmax above all, is looked at
 * node by node.
 *
 * Source: ONNX, docs/Changelog.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/quantize/draft.h"

struct raiser {
    struct nn_draft *draft;
    const struct nn_shape *shapes;
    struct nn_error *err;
};

static int refuse(const struct raiser *r, const Onnx__NodeProto *node, const char *why)
{
    return nn_error_set(r->err, -ENOTSUP,
                        "node '%.*s' (%.*s): %s; export the model for opset %d or later",
                        node->name.len < 80 ? (int)node->name.len : 80,
                        node->name.data ? (const char *)node->name.data : "",
                        node->op_type.len < 40 ? (int)node->op_type.len : 40,
                        (const char *)node->op_type.data, why, NN_DRAFT_OPSET);
}

/* Makes input `index` of the node an initializer; `what` tells it from others of the node. */
static int add_input(const struct raiser *r, Onnx__NodeProto *node, size_t index,
                     const char *what, const struct nn_tensor *tensor)
{
    struct nn_draft *draft = r->draft;
    const ProtobufCBinaryData *output = nn_draft_first_output(node);
    char *first = nn_pool_string(&draft->pool, output->data, output->len);
    char stem[1024 + 32];
    if (!first)
        return nn_draft_no_memory(draft, r->err);
    snprintf(stem, sizeof stem, "%s_%s", first, what);
    const char *name = nn_draft_name(draft, stem, "_spelled");
    if (!name || !nn_draft_constant(draft, name, tensor))
        return nn_draft_no_memory(draft, r->err);
    for (; node->n_input <= index; node->n_input++)
        node->input[node->n_input] = (ProtobufCBinaryData){0};
    node->input[index] = nn_onnx_bytes(name);
    return 0;
}

/* An attribute of integers, if it is there, becomes input `index`. */
static int ints_to_input(const struct raiser *r, Onnx__NodeProto *node, const char *attribute,
                         size_t index)
{
    const Onnx__AttributeProto *a = nn_draft_attribute(node, attribute);
    if (!a)
        return 0;
    bool one = a->has_i;
    const struct nn_tensor list = {.type = NN_TYPE_INT64,
                                   .shape = {.rank = 1, .dim = {one ? 1 : (int64_t)a->n_ints}},
                                   .data = one ? (void *)(uintptr_t)&a->i : a->ints};
    int result = add_input(r, node, index, attribute, &list);
    nn_draft_drop_attribute(node, attribute);
    return result;
}

/* An attribute of one number, if it is there. */
static int float_to_input(const struct raiser *r, Onnx__NodeProto *node, const char *attribute,
                          size_t index)
{
    const Onnx__AttributeProto *a = nn_draft_attribute(node, attribute);
    if (!a)
        return 0;
    const struct nn_tensor scalar = {.type = NN_TYPE_FLOAT, .data = (void *)(uintptr_t)&a->f};
    int result = add_input(r, node, index, attribute, &scalar);
    nn_draft_drop_attribute(node, attribute);
    return result;
}

static int raise_axes(const struct raiser *r, Onnx__NodeProto *node)
{
    return ints_to_input(r, node, "axes", 1);
}

static int raise_split(const struct raiser *r, Onnx__NodeProto *node)
{
    return ints_to_input(r, node, "split", 1);
}

static int raise_top_k(const struct raiser *r, Onnx__NodeProto *node)
{
    return ints_to_input(r, node, "k", 1);
}

static int raise_slice(const struct raiser *r, Onnx__NodeProto *node)
{
    int result = ints_to_input(r, node, "starts", 1);
    if (result == 0)
        result = ints_to_input(r, node, "ends", 2);
    return result < 0 ? result : ints_to_input(r, node, "axes", 3);
}

static int raise_pad(const struct raiser *r, Onnx__NodeProto *node)
{
    int result = ints_to_input(r, node, "pads", 1);
    return result < 0 ? result : float_to_input(r, node, "value", 2);
}

static int raise_clip(const struct raiser *r, Onnx__NodeProto *node)
{
    int result = float_to_input(r, node, "min", 1);
    return result < 0 ? result : float_to_input(r, node, "max", 2);
}

/* How much is dropped while training is told in another way, and nothing is while running. */
static int raise_dropout(const struct raiser *r, Onnx__NodeProto *node)
{
    (void)r;
    nn_draft_drop_attribute(node, "ratio");
    return 0;
}

static int raise_batch_normalization(const struct raiser *r, Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *spatial = nn_draft_attribute(node, "spatial");
    if (spatial && spatial->i != 1)
        return refuse(r, node, "opset 9 withdrew spatial = 0");
    nn_draft_drop_attribute(node, "spatial");
    return 0;
}

static int raise_scatter(const struct raiser *r, Onnx__NodeProto *node)
{
    (void)r;
    nn_onnx_set(&node->op_type, &node->has_op_type, "ScatterElements");
    return 0;
}

/* Rows went from the axis to the end; since opset 13 they are the axis alone. */
static int raise_softmax(const struct raiser *r, Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *given = nn_draft_attribute(node, "axis");
    int64_t axis = given ? given->i : 1;
    struct nn_plan *plan = NULL;
    size_t index = 0;
    int result = nn_draft_plan(r->draft, &node->input[0], 1, r->shapes, &index, &plan, r->err);
    if (result < 0)
        return result;
    const struct nn_shape shape = nn_plan_output(plan, index)->shape;
    nn_plan_unref(plan);
    int first = (int)(axis < 0 ? axis + shape.rank : axis);
    if (first < 0 || first >= shape.rank || nn_shape_extent(&shape, first + 1, shape.rank) != 1)
        return refuse(r, node, "before opset 13 it means all axes from one on");
    nn_draft_drop_attribute(node, "axis");
    return nn_draft_add_attribute(r->draft, node,
                                  nn_onnx_make_int(&r->draft->pool, "axis", first))
               ? 0
               : nn_draft_no_memory(r->draft, r->err);
}

/* Whether the value is an initializer of numbers that are all 1 at least. */
static bool enlarges(const struct nn_draft *draft, const ProtobufCBinaryData *value)
{
    for (size_t i = 0; i < draft->initializers.count; i++) {
        const Onnx__TensorProto *proto = nn_draft_initializer(draft, i);
        struct nn_pool pool;
        struct nn_tensor scales;
        if (!nn_onnx_same_bytes(&proto->name, value))
            continue;
        nn_pool_init(&pool, 1 << 16);
        bool all = nn_onnx_tensor(proto, "scales", &pool, &scales, NULL) == 0 &&
                   scales.type == NN_TYPE_FLOAT;
        for (int64_t e = 0; all && e < nn_shape_count(&scales.shape); e++)
            all = ((const float *)scales.data)[e] >= 1;
        nn_pool_finish(&pool);
        return all;
    }
    return false;
}

/* Scales become input 2, and what was understood is said: places are multiplied by the scale
 * and rounded down. */
static int raise_resize(const struct raiser *r, Onnx__NodeProto *node)
{
    struct nn_draft *draft = r->draft;
    const Onnx__AttributeProto *mode = nn_draft_attribute(node, "mode");
    const Onnx__AttributeProto *scales = nn_draft_attribute(node, "scales");
    bool nearest = !mode || nn_onnx_bytes_are(&mode->s, "nearest");
    int result = 0;
    if (scales) {
        const struct nn_tensor list = {.type = NN_TYPE_FLOAT,
                                       .shape = {.rank = 1, .dim = {(int64_t)scales->n_floats}},
                                       .data = scales->floats};
        result = add_input(r, node, 2, "scales", &list);
        nn_draft_drop_attribute(node, "scales");
    } else if (node->n_input == 2) {
        node->input[2] = node->input[1];
        node->n_input = 3;
    }
    if (result < 0)
        return result;
    if (node->n_input != 3)
        return refuse(r, node, "it has no scales");
    node->input[1] = (ProtobufCBinaryData){0};
    if (nearest && !enlarges(draft, &node->input[2]))
        return refuse(r, node, "before opset 11 it does not say how it rounds");
    nn_onnx_set(&node->op_type, &node->has_op_type, "Resize");
    bool room =
        nn_draft_add_attribute(
            draft, node,
            nn_onnx_make_text(&draft->pool, "coordinate_transformation_mode", "asymmetric")) &&
        (!nearest ||
         nn_draft_add_attribute(draft, node,
                                nn_onnx_make_text(&draft->pool, "nearest_mode", "floor")));
    return room ? 0 : nn_draft_no_memory(draft, r->err);
}

static const struct spelling {
    const char *op;
    int since; /* the opset that has the new one */
    int (*change)(const struct raiser *r, Onnx__NodeProto *node);
} spellings[] = {
    {"BatchNormalization", 9, raise_batch_normalization},
    {"Clip", 11, raise_clip},
    {"Dropout", 12, raise_dropout},
    {"Hardmax", 13, raise_softmax},
    {"LogSoftmax", 13, raise_softmax},
    {"Pad", 11, raise_pad},
    {"ReduceSum", 13, raise_axes},
    {"Resize", 11, raise_resize},
    {"Scatter", 11, raise_scatter},
    {"Slice", 10, raise_slice},
    {"Softmax", 13, raise_softmax},
    {"Split", 13, raise_split},
    {"Squeeze", 13, raise_axes},
    {"TopK", 10, raise_top_k},
    {"Unsqueeze", 13, raise_axes},
    {"Upsample", 10, raise_resize},
};

enum { MOST_INPUTS = 4 };

static int raise_node(const struct raiser *r, size_t index, Onnx__NodeProto **ret_node)
{
    const Onnx__NodeProto *node = nn_draft_node(r->draft, index);
    for (size_t a = 0; a < node->n_attribute; a++)
        if (node->attribute[a]->has_g)
            return refuse(r, node, "it holds graphs of an older opset");
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        const struct spelling *s = &spellings[i];
        if (r->draft->opset >= s->since || !nn_onnx_bytes_are(&node->op_type, s->op))
            continue;
        Onnx__NodeProto *copy = nn_draft_edit(r->draft, node, MOST_INPUTS);
        if (!copy)
            return nn_draft_no_memory(r->draft, r->err);
        *ret_node = copy;
        return s->change(r, copy);
    }
    return 0;
}

int nn_draft_raise(struct nn_draft *draft, const struct nn_shape *shapes, struct nn_error *err)
{
    const struct raiser r = {.draft = draft, .shapes = shapes, .err = err};
    if (draft->opset >= NN_DRAFT_OPSET)
        return 0;
    if (draft->opset < NN_DRAFT_OLDEST)
        return nn_error_set(err, -ENOTSUP,
                            "the model is of opset %d: export it for opset %d or later",
                            draft->opset, NN_DRAFT_OPSET);
    size_t count = draft->nodes.count;
    Onnx__NodeProto **raised = calloc(count + 1, sizeof *raised);
    int result = raised ? 0 : nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    /* Shapes are asked of the model as it was, so nodes change places when all are made. */
    for (size_t i = 0; i < count && result == 0; i++)
        result = raise_node(&r, i, &raised[i]);
    for (size_t i = 0; i < count && result == 0; i++)
        if (raised[i])
            draft->nodes.items[i] = raised[i];
    free(raised);
    if (result == 0)
        draft->opset = NN_DRAFT_OPSET;
    return result;
}
