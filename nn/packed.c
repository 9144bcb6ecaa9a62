#include "nn/packed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/packed_file.h"

struct nn_packed {
    atomic_int references;
    const char *data;
    struct nn_packed_header header;
    const struct nn_packed_entry *entries; /* sorted by node, then slot */
    size_t entry_count;
    void (*release)(void *user);
    void *user;
};

/* FNV-1a over words instead of bytes: it is to find accidents, an attacker can compute it. */
uint64_t nn_packed_checksum(uint64_t seed, const void *data, size_t bytes)
{
    uint64_t sum = seed ? seed : UINT64_C(0xcbf29ce484222325);
    const char *at = data;
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
    }
    return sum;
}

bool nn_packed_is(const void *data, size_t size)
{
    return size >= sizeof NN_PACKED_MAGIC &&
           memcmp(data, NN_PACKED_MAGIC, sizeof NN_PACKED_MAGIC) == 0;
}

/* Whether the part starts where the one before ends, aligned, and lies in the file. */
static bool follows(const struct nn_packed_header *h, const struct nn_packed_part *part,
                    uint64_t *end)
{
    uint64_t at = (*end + NN_PACKED_ALIGNMENT - 1) / NN_PACKED_ALIGNMENT * NN_PACKED_ALIGNMENT;
    if (part->offset != at || at > h->file_bytes || part->bytes > h->file_bytes - at)
        return false;
    *end = at + part->bytes;
    return true;
}

static int check_header(const struct nn_packed_header *h, size_t size, struct nn_error *err)
{
    uint64_t end = sizeof *h;
    if (h->version != NN_PACKED_VERSION || h->header_bytes != sizeof *h)
        return nn_error_set(err, -EINVAL, "the packed model is of another version of vigil");
    const char *kernels = nn_kernels_best()->name;
    char wanted[sizeof h->kernels] = {0};
    strncpy(wanted, kernels, sizeof wanted - 1);
    if (h->precision > NN_PRECISION_INT8)
        return nn_error_set(err, -EINVAL, "packed model: its precision is unknown");
    if (memcmp(h->kernels, wanted, sizeof wanted) != 0)
        return nn_error_set(err, -EINVAL, "the packed model is not for %s, which is used here",
                            kernels);
    if (h->file_bytes != size || !follows(h, &h->table, &end) ||
        h->table.bytes % sizeof(struct nn_packed_entry) != 0 || !follows(h, &h->graph, &end) ||
        !follows(h, &h->weights, &end) || !follows(h, &h->hole, &end) || end != size)
        return nn_error_set(err, -EINVAL, "the packed model's parts do not fit together");
    return 0;
}

static bool lies_in(const struct nn_packed_part *place, const struct nn_packed_part *part)
{
    return place->offset >= part->offset && place->offset - part->offset <= part->bytes &&
           place->bytes <= part->bytes - (place->offset - part->offset) &&
           place->offset % NN_PACKED_ALIGNMENT == 0;
}

static bool place_is_valid(const struct nn_packed_header *h, const struct nn_packed_part *place)
{
    return place->bytes % sizeof(float) == 0 &&
           (lies_in(place, &h->weights) || lies_in(place, &h->hole));
}

/* Negative, 0, positive: as entry comes before, is, comes after that node and slot. */
static int compare(const struct nn_packed_entry *entry, int node, int slot)
{
    return entry->node != node ? (entry->node > node) - (entry->node < node)
                               : (entry->slot > slot) - (entry->slot < slot);
}

static int check_table(const struct nn_packed *packed, struct nn_error *err)
{
    for (size_t i = 0; i < packed->entry_count; i++) {
        const struct nn_packed_entry *entry = &packed->entries[i];
        if ((i > 0 && compare(entry - 1, entry->node, entry->slot) >= 0) ||
            !place_is_valid(&packed->header, &entry->place))
            return nn_error_set(err, -EINVAL, "the packed model's table is damaged");
    }
    return 0;
}

static int check_sum(const struct nn_packed *packed, struct nn_error *err)
{
    struct nn_packed_header header = packed->header;
    uint64_t end = header.weights.offset + header.weights.bytes;
    header.checksum = 0;
    uint64_t sum = nn_packed_checksum(0, &header, sizeof header);
    sum = nn_packed_checksum(sum, packed->data + sizeof header, end - sizeof header);
    if (end % 8 != 0 || sum != packed->header.checksum)
        return nn_error_set(err, -EINVAL, "the packed model is damaged");
    return 0;
}

int nn_packed_open(const void *data, size_t size, void (*release)(void *user), void *user,
                   struct nn_packed **ret_packed, struct nn_error *err)
{
    if (!nn_packed_is(data, size) || size < sizeof(struct nn_packed_header) ||
        size > NN_PACKED_BYTES_MAX || (uintptr_t)data % NN_PACKED_ALIGNMENT != 0)
        return nn_error_set(err, -EINVAL, "not a packed model");
    struct nn_packed *packed = calloc(1, sizeof *packed);
    if (!packed)
        return nn_error_set(err, -ENOMEM, "no memory for a model");
    atomic_init(&packed->references, 1);
    packed->data = data;
    memcpy(&packed->header, data, sizeof packed->header);
    int r = check_header(&packed->header, size, err);
    if (r == 0) {
        packed->entries = (const void *)(packed->data + packed->header.table.offset);
        packed->entry_count = packed->header.table.bytes / sizeof *packed->entries;
        r = check_sum(packed, err);
    }
    if (r == 0)
        r = check_table(packed, err);
    if (r < 0) {
        free(packed);
        return r;
    }
    packed->release = release;
    packed->user = user;
    *ret_packed = packed;
    return 0;
}

struct nn_packed *nn_packed_ref(struct nn_packed *packed)
{
    atomic_fetch_add(&packed->references, 1);
    return packed;
}

void nn_packed_unref(struct nn_packed *packed)
{
    if (!packed || atomic_fetch_sub(&packed->references, 1) > 1)
        return;
    if (packed->release)
        packed->release(packed->user);
    free(packed);
}

enum nn_precision nn_packed_precision(const struct nn_packed *packed)
{
    return (enum nn_precision)packed->header.precision;
}

const char *nn_packed_kernels(const struct nn_packed *packed)
{
    return packed->header.kernels;
}

void nn_packed_graph(const struct nn_packed *packed, const void **ret_data, size_t *ret_size)
{
    *ret_data = packed->data + packed->header.graph.offset;
    *ret_size = packed->header.graph.bytes;
}

const void *nn_packed_find(const struct nn_packed *packed, int node, int slot, size_t bytes)
{
    size_t low = 0, high = packed->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct nn_packed_entry *entry = &packed->entries[middle];
        int order = compare(entry, node, slot);
        if (order == 0)
            return entry->place.bytes == bytes ? packed->data + entry->place.offset : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- tensors of the graph ----------------------------------------------------------------- */

/* A decimal number, whole and in range. */
static bool read_number(const ProtobufCBinaryData *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9' ||
            number > NN_PACKED_BYTES_MAX) /* far from an overflow */
            return false;
        number = number * 10 + (uint64_t)(text->data[i] - '0');
    }
    *ret_number = number;
    return text->len > 0;
}

static bool key_is(const ProtobufCBinaryData *key, const char *name)
{
    return key->len == strlen(name) && memcmp(key->data, name, key->len) == 0;
}

static bool read_place(const Onnx__TensorProto *proto, struct nn_packed_part *ret_place)
{
    bool offset = false, length = false;
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (key_is(&entry->key, "offset"))
            offset = read_number(&entry->value, &ret_place->offset);
        if (key_is(&entry->key, "length"))
            length = read_number(&entry->value, &ret_place->bytes);
    }
    return offset && length;
}

int nn_packed_tensor(const struct nn_packed *packed, const Onnx__TensorProto *proto,
                     const char *what, struct nn_tensor *ret_tensor, struct nn_error *err)
{
    struct nn_tensor tensor = {.type = NN_TYPE_FLOAT};
    struct nn_packed_part place = {0};
    bool good = proto->data_type == NN_TYPE_FLOAT && proto->n_dims <= NN_MAX_RANK &&
                read_place(proto, &place) && place_is_valid(&packed->header, &place);
    if (good) {
        tensor.shape.rank = (int)proto->n_dims;
        for (int i = 0; i < tensor.shape.rank; i++)
            tensor.shape.dim[i] = proto->dims[i];
        int64_t count = nn_shape_count(&tensor.shape);
        good = count >= 0 && (uint64_t)count == place.bytes / sizeof(float);
    }
    if (!good)
        return nn_error_set(err, -EINVAL,
                            "tensor '%.80s' has no valid place in the packed model", what);
    tensor.data = (void *)(uintptr_t)(packed->data + place.offset); /* only ever read */
    *ret_tensor = tensor;
    return 0;
}
