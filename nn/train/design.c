#include "nn/train/design.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/layer_build.h"

struct train_design {
    struct nn_pool pool; /* rows and their names */
    struct train_list rows;
    void *bytes;
    size_t size;
};

/* Weights as long as a file may be, and what messages take. */
#define POOL_LIMIT (NN_MODEL_BYTES_MAX + ((size_t)256 << 20))
#define ROWS_LIMIT ((size_t)16 << 20)

/* The shape at the edge of the graph, with an open batch. */
static struct nn_shape edge_shape(const struct train_build *b)
{
    struct nn_shape shape = {.rank = b->shape.rank + 1, .dim = {NN_DIM_DYNAMIC}};
    train_lying_dims(b, shape.dim + 1);
    return shape;
}

static Onnx__ValueInfoProto *edge(const struct train_build *b, const char *name,
                                  enum nn_type type)
{
    ProtobufCBinaryData bytes = nn_onnx_bytes(name);
    Onnx__ValueInfoProto *value = nn_onnx_make_value(b->pool, &bytes);
    struct nn_shape shape = edge_shape(b);
    return nn_onnx_set_type(b->pool, value, type, &shape, "n") ? value : NULL;
}

/* Whether the first thing that happens to the data is an embedding. */
static bool reads_tokens(const struct train_layer *layers)
{
    while (layers->inner)
        layers = layers->inner;
    return layers->kind->build == train_build_embedding;
}

/* The last value's name becomes "output". */
static void name_output(struct train_build *b)
{
    train_lay_plain(b);
    Onnx__NodeProto *last = b->nodes.count > 0 ? b->nodes.items[b->nodes.count - 1] : NULL;
    if (!last || !b->value || !nn_onnx_bytes_are(&last->output[last->n_output - 1], b->value)) {
        TRAIN_EMIT(b, "Identity", b->value);
        last = b->node;
    }
    if (last)
        last->output[last->n_output - 1] = nn_onnx_bytes("output");
}

/* How streams feed it (docs/models.md); a vector or a sequence is no picture. */
static const char *layout_of(const struct nn_shape *input)
{
    return input->rank == 4 ? "NTCHW" : input->rank == 3 ? "NCHW" : NULL;
}

static int pack(struct train_build *b, const struct nn_shape *input_shape,
                Onnx__ValueInfoProto *input, struct train_design *design)
{
    name_output(b);
    Onnx__ValueInfoProto *output = edge(b, "output", NN_TYPE_FLOAT);
    if (b->error == 0 && (!input || !output))
        b->error = nn_error_set(b->err, -ENOMEM, "no memory for the network");
    if (b->error < 0)
        return b->error;

    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    graph.node = (Onnx__NodeProto **)b->nodes.items;
    graph.n_node = b->nodes.count;
    graph.initializer = (Onnx__TensorProto **)b->weights.items;
    graph.n_initializer = b->weights.count;
    graph.input = &input;
    graph.n_input = 1;
    graph.output = &output;
    graph.n_output = 1;

    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets = &opset;
    opset.has_version = 1;
    opset.version = TRAIN_DESIGN_OPSET;
    nn_onnx_set(&opset.domain, &opset.has_domain, "");

    Onnx__StringStringEntryProto layout = ONNX__STRING_STRING_ENTRY_PROTO__INIT,
                                 *metadata = &layout;
    const char *layout_text = layout_of(input_shape);
    nn_onnx_set(&layout.key, &layout.has_key, "vigil.layout");
    nn_onnx_set(&layout.value, &layout.has_value, layout_text);

    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    model.has_ir_version = 1;
    model.ir_version = 8; /* the one that opset 17 came with */
    model.graph = &graph;
    model.opset_import = &opsets;
    model.n_opset_import = 1;
    model.metadata_props = &metadata;
    model.n_metadata_props = layout_text ? 1 : 0;
    return nn_onnx_pack(&model, &design->bytes, &design->size, b->err);
}

/* Rows and what they point at, into the network's own pool. */
static int keep_rows(const struct train_build *b, struct train_design *design)
{
    size_t count = b->rows.count;
    struct train_design_row *copies = nn_pool_array(&design->pool, count, sizeof *copies);
    void **items = nn_pool_array(&design->pool, count, sizeof *items);
    if (!copies || !items)
        return nn_error_set(b->err, -ENOMEM, "no memory for the network");
    for (size_t i = 0; i < count; i++) {
        copies[i] = *(const struct train_design_row *)b->rows.items[i];
        copies[i].name = nn_pool_string(&design->pool, copies[i].name, strlen(copies[i].name));
        if (!copies[i].name)
            return nn_error_set(b->err, -ENOMEM, "no memory for the network");
        items[i] = &copies[i];
    }
    design->rows = (struct train_list){items, count, count};
    return 0;
}

static int build(struct train_build *b, const char *input, const char *layers,
                 struct train_design *design)
{
    struct nn_shape shape;
    struct train_layer *list;
    int r = train_layers_parse_shape(input, &shape, b->err);
    if (r < 0)
        return r;
    int count = train_layers_parse(layers, b->pool, &list, b->err);
    if (count < 0)
        return count;
    if (nn_shape_count(&shape) < 0 || nn_shape_count(&shape) > TRAIN_DESIGN_ELEMENTS_MAX)
        return nn_error_set(b->err, -E2BIG, "the input %.40s is over %lld numbers", input,
                            (long long)TRAIN_DESIGN_ELEMENTS_MAX);
    b->shape = shape;
    memcpy(b->order, train_plain_order(shape.rank), (size_t)shape.rank * sizeof *b->order);
    b->tokens = reads_tokens(list);
    b->value = "input";
    Onnx__ValueInfoProto *edge_in = edge(b, "input", b->tokens ? NN_TYPE_INT64 : NN_TYPE_FLOAT);
    r = train_build_layers(b, list, count);
    if (r == 0 && !b->sizes_only)
        r = pack(b, &shape, edge_in, design);
    return r < 0 ? r : keep_rows(b, design);
}

static int create(struct train_build b, const char *input, const char *layers,
                  struct train_design **ret_design)
{
    struct train_design *design = calloc(1, sizeof *design);
    if (!design)
        return nn_error_set(b.err, -ENOMEM, "no memory for the network");
    struct nn_pool scratch;
    nn_pool_init(&scratch, POOL_LIMIT);
    nn_pool_init(&design->pool, ROWS_LIMIT);
    b.pool = &scratch;
    int r = build(&b, input, layers, design);
    nn_pool_finish(&scratch);
    if (r < 0) {
        train_design_destroy(design);
        return r;
    }
    *ret_design = design;
    return 0;
}

int train_design_create(const char *input, const char *layers, uint64_t seed,
                        struct train_design **ret_design, struct nn_error *err)
{
    return create((struct train_build){.seed = seed, .err = err}, input, layers, ret_design);
}

int train_design_describe(const char *input, const char *layers,
                          struct train_design **ret_design, struct nn_error *err)
{
    return create((struct train_build){.sizes_only = true, .err = err}, input, layers,
                  ret_design);
}

void train_design_destroy(struct train_design *design)
{
    if (!design)
        return;
    nn_pool_finish(&design->pool);
    free(design->bytes);
    free(design);
}

const void *train_design_bytes(const struct train_design *design, size_t *ret_size)
{
    *ret_size = design->size;
    return design->bytes;
}

size_t train_design_row_count(const struct train_design *design)
{
    return design->rows.count;
}

const struct train_design_row *train_design_row(const struct train_design *design, size_t index)
{
    return design->rows.items[index];
}
