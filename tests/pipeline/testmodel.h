/* A small model made in the test: how bright the pictures are, on the mean over the window.
 *
 *     x -> ReduceMean over channels and pixels -> ReduceMean over time -> Flatten
 *       -> Mul [-1 1 ...] -> Add [1 0 ...] -> scores: {1 - b, b, b, ...}
 *
 * Written by hand as ONNX's protobuf: field numbers from onnx.proto. */
#ifndef TESTS_PIPELINE_TESTMODEL_H
#define TESTS_PIPELINE_TESTMODEL_H

#include <string.h>

#include <glib.h>

struct testmodel {
    int rank;                 /* 5: N, T, ...; 4: N, ... */
    gint64 dims[8];           /* -1: dynamic */
    int type;                 /* of the input; 0: float */
    int scores;               /* 0: 2 */
    gboolean open_output;     /* the file does not say the output's shape */
    gboolean wide_output;     /* scores as (1, scores, 1, 1) */
    gboolean second_input;    /* one more, that nothing uses */
    const char *last_op;      /* in place of Add */
    const char *metadata[40]; /* key, value, ..., NULL */
};

static inline void testmodel_varint(GByteArray *out, guint64 value)
{
    do {
        guint8 byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        g_byte_array_append(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void testmodel_int(GByteArray *out, int field, gint64 value)
{
    testmodel_varint(out, (guint64)field << 3);
    testmodel_varint(out, (guint64)value);
}

static inline void testmodel_bytes(GByteArray *out, int field, const void *data, gsize size)
{
    testmodel_varint(out, (guint64)field << 3 | 2);
    testmodel_varint(out, size);
    g_byte_array_append(out, data, size);
}

static inline void testmodel_string(GByteArray *out, int field, const char *text)
{
    testmodel_bytes(out, field, text, strlen(text));
}

/* Appends `message` as a field and frees it. */
static inline void testmodel_message(GByteArray *out, int field, GByteArray *message)
{
    testmodel_bytes(out, field, message->data, message->len);
    g_byte_array_unref(message);
}

static inline void testmodel_pair(GByteArray *out, int field, const char *key,
                                  const char *value)
{
    GByteArray *entry = g_byte_array_new();
    testmodel_string(entry, 1, key);
    testmodel_string(entry, 2, value);
    testmodel_message(out, field, entry);
}

static inline void testmodel_value(GByteArray *graph, int field, const char *name, int type,
                                   int rank, const gint64 *dims)
{
    GByteArray *shape = g_byte_array_new();
    for (int i = 0; i < rank; i++) {
        GByteArray *dim = g_byte_array_new();
        if (dims[i] < 0)
            testmodel_string(dim, 2, "open");
        else
            testmodel_int(dim, 1, dims[i]);
        testmodel_message(shape, 1, dim);
    }
    GByteArray *tensor = g_byte_array_new(), *of = g_byte_array_new(),
               *info = g_byte_array_new();
    testmodel_int(tensor, 1, type);
    testmodel_message(tensor, 2, shape);
    testmodel_message(of, 1, tensor);
    testmodel_string(info, 1, name);
    testmodel_message(info, 2, of);
    testmodel_message(graph, field, info);
}

/* inputs: space between. An attribute of integers, or of one when `single`. */
static inline void testmodel_node(GByteArray *graph, const char *op, const char *inputs,
                                  const char *output, const char *attribute, gboolean single,
                                  const gint64 *ints, int count)
{
    GByteArray *node = g_byte_array_new();
    g_auto(GStrv) names = g_strsplit(inputs, " ", -1);
    for (int i = 0; names[i]; i++)
        testmodel_string(node, 1, names[i]);
    testmodel_string(node, 2, output);
    testmodel_string(node, 3, output);
    testmodel_string(node, 4, op);
    if (attribute) {
        GByteArray *message = g_byte_array_new();
        testmodel_string(message, 1, attribute);
        for (int i = 0; i < count; i++)
            testmodel_int(message, single ? 3 : 8, ints[i]);
        testmodel_int(message, 20, single ? 2 : 7);
        testmodel_message(node, 5, message);
    }
    testmodel_message(graph, 1, node);
}

static inline void testmodel_constant(GByteArray *graph, const char *name, int rank,
                                      const gint64 *dims, const float *values, int count)
{
    GByteArray *tensor = g_byte_array_new();
    for (int i = 0; i < rank; i++)
        testmodel_int(tensor, 1, dims[i]);
    testmodel_int(tensor, 2, 1);
    testmodel_string(tensor, 8, name);
    testmodel_bytes(tensor, 9, values, sizeof *values * count);
    testmodel_message(graph, 5, tensor);
}

static inline GBytes *testmodel_build(const struct testmodel *model)
{
    static const gint64 pixels_of_window[] = {2, 3, 4}, pixels_of_frame[] = {1, 2, 3},
                        time[] = {1};
    int scores = model->scores ? model->scores : 2;
    gboolean window = model->rank != 4;
    GByteArray *graph = g_byte_array_new();
    testmodel_node(graph, "ReduceMean", "x", "per_frame", "axes", FALSE,
                   window ? pixels_of_window : pixels_of_frame, 3);
    if (window)
        testmodel_node(graph, "ReduceMean", "per_frame", "mean", "axes", FALSE, time, 1);
    testmodel_node(graph, "Flatten", window ? "mean" : "per_frame", "flat", "axis", TRUE, time,
                   1);
    testmodel_node(graph, "Mul", "flat slope", "product", NULL, FALSE, NULL, 0);
    testmodel_node(graph, model->last_op ? model->last_op : "Add", "product offset", "scores",
                   NULL, FALSE, NULL, 0);
    testmodel_string(graph, 2, "brightness");
    float slope[300], offset[300];
    for (int i = 0; i < scores; i++) {
        slope[i] = i ? 1 : -1;
        offset[i] = i ? 0 : 1;
    }
    gint64 shape[] = {1, scores, 1, 1};
    int rank = model->wide_output ? 4 : 2;
    testmodel_constant(graph, "slope", rank, shape, slope, scores);
    testmodel_constant(graph, "offset", rank, shape, offset, scores);
    testmodel_value(graph, 11, "x", model->type ? model->type : 1, model->rank, model->dims);
    if (model->second_input)
        testmodel_value(graph, 11, "y", 1, model->rank, model->dims);
    if (model->open_output)
        shape[1] = -1;
    testmodel_value(graph, 12, "scores", 1, rank, shape);

    GByteArray *file = g_byte_array_new(), *opset = g_byte_array_new();
    testmodel_int(file, 1, 8);
    testmodel_message(file, 7, graph);
    testmodel_string(opset, 1, "");
    testmodel_int(opset, 2, 13);
    testmodel_message(file, 8, opset);
    for (int i = 0; model->metadata[i]; i += 2)
        testmodel_pair(file, 14, model->metadata[i], model->metadata[i + 1]);
    return g_byte_array_free_to_bytes(file);
}

#endif
