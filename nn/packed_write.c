/* A plan's weights to a packed file.
 *
 * What must be there is what runs: constants that steps of the plan's programs read and did not
 * pack, constants that are outputs, what operators packed, and what planning itself will read.
 * Every other large float constant is known to the reader by its size only, and gets a place in
 * the hole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/body.h"
#include "nn/kernels/kernels.h"
#include "nn/onnx_write.h"
#include "nn/packed_file.h"
#include "nn/plan_parts.h"

#define INLINE_BYTES 1024 /* below, a weight's place is about as long as the weight */

/* A tensor of the ONNX messages that goes elsewhere, and what it was. */
struct moved {
    Onnx__TensorProto *proto, was;
    size_t bytes;
    Onnx__StringStringEntryProto entries[2];
    Onnx__StringStringEntryProto *list[2];
    char offset[24], length[24];
};

struct writer {
    const struct nn_plan *plan;
    struct nn_error *err;
    int fd;
    size_t inline_bytes;
    const void **used; /* sorted: constants that are read at run time or by planning */
    size_t used_count;
    struct moved *moved;
    size_t moved_count;
    struct nn_packed_entry *entries;
    struct nn_packed_header header;
    uint64_t at;       /* where the next weight goes; 0: only measuring */
    uint64_t hole_max; /* the largest that lies there */
    uint64_t checksum;
};

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + NN_PACKED_ALIGNMENT - 1) / NN_PACKED_ALIGNMENT * NN_PACKED_ALIGNMENT;
}

/* --- what is used ------------------------------------------------------------------------- */

static int order_of_pointers(const void *a, const void *b)
{
    const void *x = *(const void *const *)a, *y = *(const void *const *)b;
    return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

static void note_program(struct writer *w, const struct nn_program *program);

static void note_bodies(struct writer *w, const struct nn_op_call *call)
{
    const struct nn_program *inner;
    const struct nn_place *place;
    for (int i = 0; (inner = nn_body_program(call, i)); i++) {
        note_program(w, inner);
        for (int j = 0; (place = nn_body_output(call, i, j)); j++)
            if (place->kind == NN_PLACE_CONSTANT)
                w->used[w->used_count++] = place->constant;
    }
}

static void note_program(struct writer *w, const struct nn_program *program)
{
    for (int s = 0; s < program->step_count; s++) {
        const struct nn_step *step = &program->steps[s];
        note_bodies(w, &step->call);
        for (int i = 0; i < step->call.input_count; i++)
            if (step->places[i].kind == NN_PLACE_CONSTANT &&
                (i >= 32 || !(step->call.packed_inputs & (UINT32_C(1) << i))))
                w->used[w->used_count++] = step->places[i].constant;
    }
}

/* Inputs and outputs of all steps, and of the programs within them. */
static size_t count_tensors(const struct nn_program *program)
{
    const struct nn_program *inner;
    size_t count = (size_t)program->tensor_count;
    for (int s = 0; s < program->step_count; s++) {
        const struct nn_op_call *call = &program->steps[s].call;
        for (int i = 0; (inner = nn_body_program(call, i)); i++) {
            count += count_tensors(inner);
            for (int j = 0; nn_body_output(call, i, j); j++)
                count++;
        }
    }
    return count;
}

static int find_used(struct writer *w)
{
    const struct nn_plan *plan = w->plan;
    size_t most = count_tensors(&plan->frame) + count_tensors(&plan->window) +
                  (size_t)plan->output_count + plan->constants.read_count;
    w->used = calloc(most + 1, sizeof *w->used);
    if (!w->used)
        return -ENOMEM;
    note_program(w, &plan->frame);
    note_program(w, &plan->window);
    for (int i = 0; i < plan->output_count; i++)
        if (plan->output_places[i].kind == NN_PLACE_CONSTANT)
            w->used[w->used_count++] = plan->output_places[i].constant;
    for (size_t i = 0; i < plan->constants.read_count; i++)
        w->used[w->used_count++] = plan->constants.reads[i];
    qsort(w->used, w->used_count, sizeof *w->used, order_of_pointers);
    return 0;
}

static bool is_used(const struct writer *w, const void *data)
{
    return bsearch(&data, w->used, w->used_count, sizeof *w->used, order_of_pointers) != NULL;
}

/* --- places ------------------------------------------------------------------------------- */

static int write_at(struct writer *w, uint64_t offset, const void *data, size_t bytes)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t n = pwrite(w->fd, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        from += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* Each weight's place is found twice: before the graph, which names places, has its size, and
 * after. The hole is behind all else, so its places are known last; their form is fixed. */
static struct nn_packed_part take_place(struct writer *w, bool used, size_t bytes)
{
    struct nn_packed_part place = {.bytes = bytes};
    if (!used) {
        place.offset = w->header.hole.offset;
        w->hole_max = bytes > w->hole_max ? bytes : w->hole_max;
        return place;
    }
    place.offset = w->at;
    w->at = aligned(w->at + bytes);
    return place;
}

/* Decimal, of a fixed width, so that the graph's size does not depend on it. */
static void move_to(struct moved *m, const struct nn_packed_part *place)
{
    snprintf(m->offset, sizeof m->offset, "%020llu", (unsigned long long)place->offset);
    snprintf(m->length, sizeof m->length, "%020llu", (unsigned long long)place->bytes);
}

/* Bytes of a weight that leaves the graph, 0 for any other tensor. */
static size_t bytes_to_move(const struct writer *w, const Onnx__TensorProto *proto)
{
    struct nn_shape shape = {.rank = (int)proto->n_dims};
    if (nn_type_from_onnx(proto->data_type) != NN_TYPE_FLOAT || proto->n_dims > NN_MAX_RANK)
        return 0;
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = proto->dims[i];
    int64_t count = nn_shape_count(&shape);
    size_t bytes = count > 0 ? (size_t)count * sizeof(float) : 0;
    return bytes >= w->inline_bytes ? bytes : 0;
}

/* Takes the elements of a weight out of the message; give_back restores it for whoever frees
 * it. */
static void take_out(struct writer *w, Onnx__TensorProto *proto)
{
    size_t bytes = bytes_to_move(w, proto);
    if (bytes == 0)
        return;
    struct moved *m = &w->moved[w->moved_count++];
    m->bytes = bytes;
    const struct nn_packed_part nowhere = {0};
    m->proto = proto;
    m->was = *proto;
    move_to(m, &nowhere);
    const char *const names[2] = {"offset", "length"};
    char *const values[2] = {m->offset, m->length};
    for (int i = 0; i < 2; i++) {
        Onnx__StringStringEntryProto *entry = m->list[i] = &m->entries[i];
        onnx__string_string_entry_proto__init(entry);
        nn_onnx_set(&entry->key, &entry->has_key, names[i]);
        nn_onnx_set(&entry->value, &entry->has_value, values[i]);
    }
    proto->data_type = NN_TYPE_FLOAT; /* what float16 and float64 have become */
    proto->n_float_data = proto->n_double_data = proto->n_int32_data = 0;
    proto->has_raw_data = 0;
    proto->has_data_location = 1;
    proto->data_location = 1;
    proto->n_external_data = 2;
    proto->external_data = m->list;
}

static void give_back(struct writer *w)
{
    for (size_t i = 0; i < w->moved_count; i++)
        *w->moved[i].proto = w->moved[i].was;
}

/* The value of a Constant node; what folding makes of it is a constant of its own. */
static Onnx__TensorProto *constant_tensor(const Onnx__NodeProto *node)
{
    if (!nn_onnx_bytes_are(&node->op_type, "Constant"))
        return NULL;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->t)
            return node->attribute[i]->t;
    return NULL;
}

static int take_out_all(struct writer *w, Onnx__GraphProto *graph)
{
    w->moved = calloc(graph->n_initializer + graph->n_node + 1, sizeof *w->moved);
    if (!w->moved)
        return -ENOMEM;
    for (size_t i = 0; i < graph->n_initializer; i++)
        take_out(w, graph->initializer[i]);
    for (size_t i = 0; i < graph->n_node; i++) {
        Onnx__TensorProto *tensor = constant_tensor(graph->node[i]);
        if (tensor)
            take_out(w, tensor);
    }
    return 0;
}

/* Gives every weight its place, and writes those that are used when `write`. */
static int place_all(struct writer *w, const Onnx__GraphProto *graph, bool write)
{
    const struct nn_model *model = w->plan->model;
    const struct nn_constants *constants = &w->plan->constants;
    struct moved *m = w->moved;
    int r = 0;
    w->at = w->header.weights.offset;
    w->hole_max = 0;
    /* The loader numbers initializers first, in the file's order. */
    for (size_t i = 0; i < graph->n_initializer && r == 0; i++) {
        if (m == w->moved + w->moved_count || m->proto != graph->initializer[i])
            continue;
        const void *data = model->values[i].declared.data;
        bool used = is_used(w, data);
        struct nn_packed_part place = take_place(w, used, m->bytes);
        move_to(m++, &place);
        if (used && write)
            r = write_at(w, place.offset, data, place.bytes);
    }
    for (; m < w->moved + w->moved_count; m++) {
        struct nn_packed_part place = take_place(w, false, m->bytes);
        move_to(m, &place);
    }
    for (size_t i = 0; i < constants->count && r == 0; i++) {
        const struct nn_constant *c = &constants->noted[i];
        bool used = !c->is_value || is_used(w, c->data);
        struct nn_packed_entry *entry = &w->entries[i];
        *entry = (struct nn_packed_entry){
            .node = c->node, .slot = c->slot, .place = take_place(w, used, c->bytes)};
        if (used && write)
            r = write_at(w, entry->place.offset, c->data, c->bytes);
    }
    return r;
}

/* --- the file ----------------------------------------------------------------------------- */

static int order_of_entries(const void *a, const void *b)
{
    const struct nn_packed_entry *x = a, *y = b;
    return x->node != y->node ? (x->node > y->node) - (x->node < y->node)
                              : (x->slot > y->slot) - (x->slot < y->slot);
}

/* Where each part is, once the sizes of those before the weights are known. */
static int lay_out(struct writer *w, const Onnx__ModelProto *proto)
{
    struct nn_packed_header *h = &w->header;
    uint64_t at = aligned(sizeof *h);
    h->table = (struct nn_packed_part){at, w->plan->constants.count * sizeof *w->entries};
    at = aligned(at + h->table.bytes);
    h->graph = (struct nn_packed_part){at, onnx__model_proto__get_packed_size(proto)};
    h->weights.offset = aligned(at + h->graph.bytes);
    int r = place_all(w, proto->graph, false);
    h->weights.bytes = w->at - h->weights.offset;
    h->hole = (struct nn_packed_part){w->at, w->hole_max};
    h->file_bytes = h->hole.offset + h->hole.bytes;
    if (h->file_bytes > NN_PACKED_BYTES_MAX)
        return nn_error_set(w->err, -E2BIG, "the packed model would be over %zu MiB",
                            NN_PACKED_BYTES_MAX >> 20);
    return r;
}

/* The file's bytes, header first, as a reader will sum them. */
static int sum_file(struct writer *w)
{
    enum { BLOCK = 1 << 16 };
    uint64_t end = w->header.weights.offset + w->header.weights.bytes;
    uint64_t sum = nn_packed_checksum(0, &w->header, sizeof w->header);
    char *block = malloc(BLOCK);
    if (!block)
        return -ENOMEM;
    int r = 0;
    for (uint64_t at = sizeof w->header; at < end && r == 0;) {
        size_t wanted = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
        ssize_t n = pread(w->fd, block, wanted, (off_t)at);
        if (n != (ssize_t)wanted)
            r = n < 0 ? -errno : -EIO;
        else
            sum = nn_packed_checksum(sum, block, wanted);
        at += wanted;
    }
    free(block);
    w->header.checksum = sum;
    return r;
}

static int write_file(struct writer *w, const Onnx__ModelProto *proto)
{
    struct nn_packed_header *h = &w->header;
    int r = lay_out(w, proto);
    if (r == 0 && ftruncate(w->fd, (off_t)h->file_bytes) < 0)
        r = -errno;
    if (r == 0)
        r = place_all(w, proto->graph, true);
    if (r < 0)
        return r;
    uint8_t *graph = malloc(h->graph.bytes + 1);
    if (!graph)
        return -ENOMEM;
    onnx__model_proto__pack(proto, graph);
    r = write_at(w, h->graph.offset, graph, h->graph.bytes);
    free(graph);
    qsort(w->entries, w->plan->constants.count, sizeof *w->entries, order_of_entries);
    if (r == 0)
        r = write_at(w, h->table.offset, w->entries, h->table.bytes);
    if (r == 0)
        r = sum_file(w);
    return r < 0 ? r : write_at(w, 0, h, sizeof *h);
}

int nn_packed_write(const struct nn_plan *plan, const void *onnx, size_t size,
                    size_t inline_bytes, int fd, struct nn_error *err)
{
    if (plan->reference || plan->kernels != nn_kernels_best() || plan->constants.packed)
        return nn_error_set(err, -EINVAL, "only a plan of the best kernels can be packed");
    struct nn_onnx file;
    int r = nn_onnx_open(&file, onnx, size, err);
    if (r < 0)
        return r;
    struct writer w = {.plan = plan,
                       .err = err,
                       .fd = fd,
                       .inline_bytes = inline_bytes ? inline_bytes : INLINE_BYTES,
                       .header = {.magic = NN_PACKED_MAGIC,
                                  .version = NN_PACKED_VERSION,
                                  .header_bytes = sizeof w.header,
                                  .precision = plan->precision}};
    strncpy(w.header.kernels, plan->kernels->name, sizeof w.header.kernels - 1);
    w.entries = calloc(plan->constants.count + 1, sizeof *w.entries);
    r = w.entries ? find_used(&w) : -ENOMEM;
    if (r == 0)
        r = take_out_all(&w, file.proto->graph);
    if (r == 0)
        r = write_file(&w, file.proto);
    give_back(&w);
    nn_onnx_close(&file);
    free(w.used);
    free(w.moved);
    free(w.entries);
    if (r < 0 && r != -E2BIG)
        nn_error_set(err, r, "the packed model cannot be written: %s", strerror(-r));
    return r;
}
