/* The packed file's layout, and what the loader and the planner ask of one. Private to nn/.
 *
 *     header | table | graph | weights | hole
 *
 * Every part starts at a multiple of 64 bytes, as does every weight. Numbers are little endian.
 * A weight that nothing reads at run time (it was packed, fused or folded into another) lies in
 * the hole, which is never written: a sparse file has no bytes there, and yet its address is
 * valid. */
#ifndef NN_PACKED_FILE_H
#define NN_PACKED_FILE_H

#include "nn/onnx.h"
#include "nn/packed.h"

#define NN_PACKED_MAGIC "VIGILPK" /* and a NUL; protobuf never starts with a 'V' tag here */

enum { NN_PACKED_VERSION = 2, NN_PACKED_ALIGNMENT = 64 };

struct nn_packed_part {
    uint64_t offset, bytes;
};

struct nn_packed_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    char kernels[12];   /* name of the set, NUL-padded */
    uint32_t precision; /* enum nn_precision: another would look for other weights */
    uint64_t file_bytes;
    uint64_t checksum; /* of all before the hole, this field as 0 */
    struct nn_packed_part table, graph, weights, hole;
};

struct nn_packed_entry {
    int32_t node, slot;
    struct nn_packed_part place; /* in weights or hole */
};

/* Of `bytes` at `data`, going on from `seed` (0 at first); bytes a multiple of 8. */
uint64_t nn_packed_checksum(uint64_t seed, const void *data, size_t bytes);

/* The graph: ONNX messages. */
void nn_packed_graph(const struct nn_packed *packed, const void **ret_data, size_t *ret_size);

/* The constant of that node and slot, NULL when there is none or of another size. */
const void *nn_packed_find(const struct nn_packed *packed, int node, int slot, size_t bytes);

/* An ONNX tensor whose data_location is EXTERNAL: here, in this file. */
int nn_packed_tensor(const struct nn_packed *packed, const Onnx__TensorProto *proto,
                     const char *what, struct nn_tensor *ret_tensor, struct nn_error *err);

/* Name of the set of kernels the file is for. */
const char *nn_packed_kernels(const struct nn_packed *packed);

/* The precision of the plan it was written of. */
enum nn_precision nn_packed_precision(const struct nn_packed *packed);

#endif
