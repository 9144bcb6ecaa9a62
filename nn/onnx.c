#include "nn/onnx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/half.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw tensor data is little endian and is copied as it is"
#endif

enum {
    MIB = 1024 * 1024,
    /* An empty node costs 2 bytes in a file and about 130 in memory; graphs of real models
     * cost 3 to 5 bytes a byte. Weights cost one. */
    STRUCTURE_FACTOR = 16,
    MAX_STRUCTURE_BYTES = 128 * MIB,
    LEAST_BYTES = 64 * 1024,
};

/* Frees are not credited: merging a repeated submessage allocates again and again, and this
 * bounds the time it may take as well. */
static void *budget_alloc(void *data, size_t size)
{
    struct nn_onnx_budget *budget = data;
    size_t cost = size + 2 * sizeof(size_t); /* what malloc adds */
    if (cost < size || cost > budget->left_bytes) {
        budget->over = true;
        return NULL;
    }
    budget->left_bytes -= cost;
    void *memory = malloc(size);
    budget->short_of_memory |= !memory;
    return memory;
}

static void budget_free(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

/* What parsing `size` bytes, at most NN_MODEL_BYTES_MAX, may cost. */
static struct nn_onnx_budget budget_for(size_t size)
{
    size_t structure = size < MAX_STRUCTURE_BYTES / STRUCTURE_FACTOR ? size * STRUCTURE_FACTOR
                                                                     : MAX_STRUCTURE_BYTES;
    return (struct nn_onnx_budget){.left_bytes = 2 * size + structure + LEAST_BYTES};
}

static ProtobufCAllocator budget_allocator(struct nn_onnx_budget *budget)
{
    return (ProtobufCAllocator){
        .alloc = budget_alloc, .free = budget_free, .allocator_data = budget};
}

int nn_onnx_open(struct nn_onnx *onnx, const void *data, size_t size, struct nn_error *err)
{
    if (size == 0)
        return nn_error_set(err, -EINVAL, "not an ONNX model: the file is empty");
    if (size > NN_MODEL_BYTES_MAX)
        return nn_error_set(err, -E2BIG, "the model is over %zu MiB", NN_MODEL_BYTES_MAX / MIB);
    onnx->budget = budget_for(size);
    onnx->allocator = budget_allocator(&onnx->budget);
    onnx->proto = onnx__model_proto__unpack(&onnx->allocator, size, data);
    if (!onnx->proto && onnx->budget.over)
        return nn_error_set(err, -E2BIG, "the model expands to too much memory");
    if (!onnx->proto && onnx->budget.short_of_memory)
        return nn_error_set(err, -ENOMEM, "no memory to read the model");
    if (!onnx->proto)
        return nn_error_set(err, -EINVAL, "not an ONNX model, or cut short");
    if (!onnx->proto->graph) {
        nn_onnx_close(onnx);
        return nn_error_set(err, -EINVAL, "not an ONNX model: it has no graph");
    }
    return 0;
}

void nn_onnx_close(struct nn_onnx *onnx)
{
    if (onnx->proto)
        onnx__model_proto__free_unpacked(onnx->proto, &onnx->allocator);
    onnx->proto = NULL;
}

int nn_onnx_graph(struct nn_onnx *onnx, const ProtobufCBinaryData *bytes,
                  Onnx__GraphProto **ret_graph, struct nn_error *err)
{
    Onnx__GraphProto *graph =
        onnx__graph_proto__unpack(&onnx->allocator, bytes->len, bytes->data);
    if (!graph && onnx->budget.over)
        return nn_error_set(err, -E2BIG, "the model expands to too much memory");
    if (!graph && onnx->budget.short_of_memory)
        return nn_error_set(err, -ENOMEM, "no memory to read the model");
    if (!graph)
        return nn_error_set(err, -EINVAL, "a graph within the model is cut short");
    *ret_graph = graph;
    return 0;
}

/* Well-formed UTF-8 (RFC 3629) without NUL; control characters only when allowed. */
static bool text_valid(const uint8_t *s, size_t length, bool controls)
{
    for (size_t i = 0; i < length;) {
        uint8_t c = s[i];
        if (c == 0 || (!controls && (c < 0x20 || c == 0x7f)))
            return false;
        if (c < 0x80) {
            i++;
            continue;
        }
        size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || length - i <= more)
            return false;
        uint32_t code = c & (0x3fu >> more);
        for (size_t j = 1; j <= more; j++) {
            if ((s[i + j] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (s[i + j] & 0x3f);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
            (!controls && code < 0xa0))
            return false;
        i += more + 1;
    }
    return true;
}

static const char *copy_text(const ProtobufCBinaryData *bytes, struct nn_pool *pool,
                             int *ret_error)
{
    const char *copy = nn_pool_string(pool, bytes->data, bytes->len);
    if (!copy)
        *ret_error = nn_pool_errno(pool);
    return copy;
}

const char *nn_onnx_name(const ProtobufCBinaryData *bytes, struct nn_pool *pool, int *ret_error)
{
    if (bytes->len > NN_ONNX_MAX_NAME || !text_valid(bytes->data, bytes->len, false)) {
        *ret_error = -EINVAL;
        return NULL;
    }
    return copy_text(bytes, pool, ret_error);
}

const char *nn_onnx_text(const ProtobufCBinaryData *bytes, struct nn_pool *pool, int *ret_error)
{
    if (!text_valid(bytes->data, bytes->len, true)) {
        *ret_error = -EINVAL;
        return NULL;
    }
    return copy_text(bytes, pool, ret_error);
}

static int tensor_shape(const Onnx__TensorProto *proto, const char *what,
                        struct nn_shape *shape, int64_t *count, struct nn_error *err)
{
    if (proto->n_dims > NN_MAX_RANK)
        return nn_error_set(err, -ENOTSUP,
                            "tensor '%.80s' has %zu dimensions; %d are supported", what,
                            proto->n_dims, NN_MAX_RANK);
    *shape = (struct nn_shape){.rank = (int)proto->n_dims};
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = proto->dims[i];
    *count = nn_shape_count(shape);
    if (*count < 0)
        return nn_error_set(err, -EINVAL, "tensor '%.80s' has an impossible shape", what);
    return 0;
}

/* The field that holds a data type's elements where they are not raw bytes. */
struct elements {
    const void *data;
    size_t count, bytes; /* of one element there */
};

static struct elements stored_elements(const Onnx__TensorProto *proto)
{
    switch (proto->data_type) {
    case NN_TYPE_FLOAT:
        return (struct elements){proto->float_data, proto->n_float_data, 4};
    case NN_ONNX_DOUBLE:
        return (struct elements){proto->double_data, proto->n_double_data, 8};
    case NN_TYPE_INT64:
        return (struct elements){proto->int64_data, proto->n_int64_data, 8};
    case NN_TYPE_UINT32:
    case NN_TYPE_UINT64:
        return (struct elements){proto->uint64_data, proto->n_uint64_data, 8};
    default:
        return (struct elements){proto->int32_data, proto->n_int32_data, 4};
    }
}

/* Bytes of one element in raw_data. */
static size_t raw_size(const Onnx__TensorProto *proto)
{
    return proto->data_type == NN_ONNX_FLOAT16  ? 2
           : proto->data_type == NN_ONNX_DOUBLE ? 8
                                                : nn_type_size((enum nn_type)proto->data_type);
}

/* float16, raw or as the bits in int32_data, and float64 become float32. */
static bool widen_halves(const struct elements *from, float *to)
{
    for (size_t i = 0; i < from->count; i++) {
        uint16_t half;
        if (from->bytes == sizeof half) {
            memcpy(&half, (const char *)from->data + i * sizeof half, sizeof half);
        } else {
            int32_t bits = ((const int32_t *)from->data)[i];
            if (bits < 0 || bits > UINT16_MAX)
                return false;
            half = (uint16_t)bits;
        }
        to[i] = nn_half_to_float(half);
    }
    return true;
}

static bool round_doubles(const struct elements *from, float *to)
{
    for (size_t i = 0; i < from->count; i++) {
        double value;
        memcpy(&value, (const char *)from->data + i * sizeof value, sizeof value);
        to[i] = (float)value;
    }
    return true;
}

/* Numbers that a field keeps wider than they are, each checked to fit. */
static bool narrow_to_uint32(const uint64_t *from, size_t count, uint32_t *to)
{
    for (size_t i = 0; i < count; i++) {
        if (from[i] > UINT32_MAX)
            return false;
        to[i] = (uint32_t)from[i];
    }
    return true;
}

static bool narrow(const int32_t *from, size_t count, enum nn_type type, void *to)
{
    bool is_short = type == NN_TYPE_INT16 || type == NN_TYPE_UINT16;
    int32_t span = is_short ? 1 << 16 : 1 << 8;
    int32_t low = type == NN_TYPE_INT8 || type == NN_TYPE_INT16 ? -span / 2 : 0;
    for (size_t i = 0; i < count; i++) {
        if (from[i] < low || from[i] >= low + span)
            return false;
        if (is_short)
            ((uint16_t *)to)[i] = (uint16_t)from[i];
        else
            ((uint8_t *)to)[i] = (uint8_t)from[i];
    }
    return true;
}

/* False when an element does not fit its type. */
static bool copy_elements(int data_type, const struct elements *from, struct nn_tensor *to)
{
    if (data_type == NN_ONNX_FLOAT16)
        return widen_halves(from, to->data);
    if (data_type == NN_ONNX_DOUBLE)
        return round_doubles(from, to->data);
    bool fits = true;
    if (from->bytes == nn_type_size(to->type))
        memcpy(to->data, from->data, from->count * from->bytes);
    else if (to->type == NN_TYPE_UINT32)
        fits = narrow_to_uint32(from->data, from->count, to->data);
    else
        fits = narrow(from->data, from->count, to->type, to->data);
    for (size_t i = 0; to->type == NN_TYPE_BOOL && i < from->count; i++)
        ((uint8_t *)to->data)[i] = ((uint8_t *)to->data)[i] != 0;
    return fits;
}

/* Exactly one field may hold elements, the one that belongs to the type; how many there are is
 * compared with the shape before anything is allocated by it. */
static int find_elements(const Onnx__TensorProto *proto, const char *what, int64_t count,
                         struct elements *ret_elements, struct nn_error *err)
{
    struct elements e = stored_elements(proto);
    size_t others = proto->n_float_data + proto->n_double_data + proto->n_int64_data +
                    proto->n_uint64_data + proto->n_int32_data - e.count;
    size_t raw = proto->has_raw_data ? proto->raw_data.len : 0;
    if (others > 0 || (e.count > 0 && raw > 0))
        return nn_error_set(err, -EINVAL, "tensor '%.80s' holds elements of two kinds", what);
    if (e.count == 0) {
        size_t size = raw_size(proto);
        if (raw % size != 0)
            return nn_error_set(err, -EINVAL, "tensor '%.80s' is cut short", what);
        e = (struct elements){proto->raw_data.data, raw / size, size};
    }
    if (e.count != (uint64_t)count)
        return nn_error_set(err, -EINVAL,
                            "tensor '%.80s' holds %zu elements, its shape says %lld", what,
                            e.count, (long long)count);
    *ret_elements = e;
    return 0;
}

int nn_onnx_tensor(const Onnx__TensorProto *proto, const char *what, struct nn_pool *pool,
                   struct nn_tensor *ret_tensor, struct nn_error *err)
{
    if (proto->data_location != 0 || proto->n_external_data > 0)
        return nn_error_set(
            err, -ENOTSUP,
            "tensor '%.80s' lies in an external file; save the model as one file", what);
    if (proto->has_segment)
        return nn_error_set(err, -ENOTSUP, "tensor '%.80s' is stored in segments", what);
    struct nn_tensor tensor = {.type = nn_type_from_onnx(proto->data_type)};
    if (tensor.type == NN_TYPE_NONE)
        return nn_error_set(err, -ENOTSUP, "tensor '%.80s' is %s, which is not supported", what,
                            nn_type_onnx_name(proto->data_type));
    int64_t count = 0;
    struct elements elements = {0};
    int r = tensor_shape(proto, what, &tensor.shape, &count, err);
    if (r == 0)
        r = find_elements(proto, what, count, &elements, err);
    if (r < 0)
        return r;
    size_t size = nn_type_size(tensor.type);
    tensor.data = nn_pool_array(pool, elements.count, size);
    if (!tensor.data)
        return nn_error_set(err, nn_pool_errno(pool), "no room for tensor '%.80s' of %zu bytes",
                            what, elements.count * size);
    if (elements.count > 0 && !copy_elements(proto->data_type, &elements, &tensor))
        return nn_error_set(err, -EINVAL, "tensor '%.80s' has elements outside %s", what,
                            nn_type_onnx_name(proto->data_type));
    *ret_tensor = tensor;
    return 0;
}

int nn_onnx_read_tensor(const void *data, size_t size, const char *what, struct nn_pool *pool,
                        const char **ret_name, struct nn_tensor *ret_tensor,
                        struct nn_error *err)
{
    if (size == 0)
        return nn_error_set(err, -EINVAL, "'%.80s' is empty, not a tensor", what);
    if (size > NN_MODEL_BYTES_MAX)
        return nn_error_set(err, -E2BIG, "'%.80s' is over %zu MiB", what,
                            NN_MODEL_BYTES_MAX / MIB);
    struct nn_onnx_budget budget = budget_for(size);
    ProtobufCAllocator allocator = budget_allocator(&budget);
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(&allocator, size, data);
    if (!proto && budget.over)
        return nn_error_set(err, -E2BIG, "'%.80s' expands to too much memory", what);
    if (!proto && budget.short_of_memory)
        return nn_error_set(err, -ENOMEM, "no memory to read '%.80s'", what);
    if (!proto)
        return nn_error_set(err, -EINVAL, "'%.80s' is not a tensor, or cut short", what);
    int r = 0;
    const char *name = nn_onnx_name(&proto->name, pool, &r);
    if (!name)
        r = nn_error_set(
            err, r, r == -EINVAL ? "'%.80s': its name is no text" : "'%.80s': no memory", what);
    else
        r = nn_onnx_tensor(proto, what, pool, ret_tensor, err);
    if (r == 0)
        *ret_name = name;
    onnx__tensor_proto__free_unpacked(proto, &allocator);
    return r;
}
