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
    const struct nn_shape *shapes; /* of the model's inputs */
    struct nn_error *err;
    struct nn_draft_index *initializers; /* as they were before */
    struct nn_shape *reads;              /* of what each Softmax and the like reads */
    size_t index;                        /* of the node at hand */
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
    const struct nn_shape shape = r->reads[r->index];
    int first = (int)(axis < 0 ? axis + shape.rank : axis);
    if (first < 0 || first >= shape.rank || nn_shape_extent(&shape, first + 1, shape.rank) != 1)
        return refuse(r, node, "before opset 13 it means all axes from one on");
    nn_draft_drop_attribute(node, "axis");
    return nn_draft_add_attribute(r->draft, node,
                                  nn_onnx_make_int(&r->draft->pool, "axis", first))
               ? 0
               : nn_draft_no_memory(r->draft, r->err);
}

/* Whether all are 1 at least. */
static bool enlarge(const float *scales, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(scales[i] >= 1))
            return false;
    return true;
}

/* Whether the value is an initializer of such. */
static bool enlarges(const struct raiser *r, const ProtobufCBinaryData *value)
{
    const Onnx__TensorProto *proto = nn_draft_find(r->initializers, value);
    struct nn_pool pool;
    struct nn_tensor scales;
    nn_pool_init(&pool, 1 << 16);
    bool all = proto && nn_onnx_tensor(proto, "scales", &pool, &scales, NULL) == 0 &&
               scales.type == NN_TYPE_FLOAT &&
               enlarge(scales.data, nn_shape_count(&scales.shape));
    nn_pool_finish(&pool);
    return all;
}

/* Scales become input 2, and what was understood is said: places are multiplied by the scale
 * and rounded down. */
static int raise_resize(const struct raiser *r, Onnx__NodeProto *node)
{
    struct nn_draft *draft = r->draft;
    const Onnx__AttributeProto *mode = nn_draft_attribute(node, "mode");
    const Onnx__AttributeProto *scales = nn_draft_attribute(node, "scales");
    bool nearest = !mode || nn_onnx_bytes_are(&mode->s, "nearest"), larger = false;
    int result = 0;
    if (scales) {
        larger = enlarge(scales->floats, (int64_t)scales->n_floats);
        const struct nn_tensor list = {.type = NN_TYPE_FLOAT,
                                       .shape = {.rank = 1, .dim = {(int64_t)scales->n_floats}},
                                       .data = scales->floats};
        result = add_input(r, node, 2, "scales", &list);
        nn_draft_drop_attribute(node, "scales");
    } else if (node->n_input == 2) {
        larger = enlarges(r, &node->input[1]);
        node->input[2] = node->input[1];
        node->n_input = 3;
    }
    if (result < 0)
        return result;
    if (node->n_input != 3)
        return refuse(r, node, "it has no scales");
    node->input[1] = (ProtobufCBinaryData){0};
    if (nearest && !larger)
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

/* How the node is spelled anew; NULL: it stays as it is. */
static const struct spelling *find_spelling(const struct raiser *r, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (r->draft->opset < spellings[i].since &&
            nn_onnx_bytes_are(&node->op_type, spellings[i].op))
            return &spellings[i];
    return NULL;
}

/* r->reads, by one plan for all of them. */
static int find_reads(struct raiser *r)
{
    size_t count = r->draft->nodes.count, asked = 0;
    struct nn_plan *plan = NULL;
    ProtobufCBinaryData *names = calloc(count + 1, sizeof *names);
    size_t *outputs = calloc(count + 1, sizeof *outputs);
    size_t *nodes = calloc(count + 1, sizeof *nodes);
    int result = names && outputs && nodes ? 0 : nn_draft_no_memory(r->draft, r->err);
    for (size_t i = 0; i < count && result == 0; i++) {
        const Onnx__NodeProto *node = nn_draft_node(r->draft, i);
        const struct spelling *spelling = find_spelling(r, node);
        if (!spelling || spelling->change != raise_softmax)
            continue;
        names[asked] = node->input[0];
        nodes[asked++] = i;
    }
    if (result == 0 && asked > 0)
        result = nn_draft_plan(r->draft, names, asked, r->shapes, outputs, &plan, r->err);
    for (size_t i = 0; i < asked && result == 0; i++)
        r->reads[nodes[i]] = nn_plan_output(plan, outputs[i])->shape;
    nn_plan_unref(plan);
    free(names);
    free(outputs);
    free(nodes);
    return result;
}

static int raise_node(const struct raiser *r, Onnx__NodeProto **ret_node)
{
    const Onnx__NodeProto *node = nn_draft_node(r->draft, r->index);
    for (size_t a = 0; a < node->n_attribute; a++)
        if (node->attribute[a]->has_g)
            return refuse(r, node, "it holds graphs of an older opset");
    const struct spelling *spelling = find_spelling(r, node);
    if (!spelling)
        return 0;
    Onnx__NodeProto *copy = nn_draft_edit(r->draft, node, MOST_INPUTS);
    if (!copy)
        return nn_draft_no_memory(r->draft, r->err);
    *ret_node = copy;
    return spelling->change(r, copy);
}

int nn_draft_raise(struct nn_draft *draft, const struct nn_shape *shapes, struct nn_error *err)
{
    struct raiser r = {.draft = draft, .shapes = shapes, .err = err};
    if (draft->opset >= NN_DRAFT_OPSET)
        return 0;
    if (draft->opset < NN_DRAFT_OLDEST)
        return nn_error_set(err, -ENOTSUP,
                            "the model is of opset %d: export it for opset %d or later",
                            draft->opset, NN_DRAFT_OPSET);
    size_t count = draft->nodes.count;
    Onnx__NodeProto **raised = calloc(count + 1, sizeof *raised);
    r.reads = calloc(count + 1, sizeof *r.reads);
    r.initializers = nn_draft_index(draft);
    int result =
        raised && r.reads && r.initializers ? find_reads(&r) : nn_draft_no_memory(draft, err);
    /* Nodes change places when all are made: none reads another's new spelling. */
    for (; r.index < count && result == 0; r.index++)
        result = raise_node(&r, &raised[r.index]);
    for (size_t i = 0; i < count && result == 0; i++)
        if (raised[i])
            draft->nodes.items[i] = raised[i];
    free(raised);
    free(r.reads);
    free(r.initializers);
    if (result == 0)
        draft->opset = NN_DRAFT_OPSET;
    return result;
}
