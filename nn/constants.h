/* The large constants of a plan: weights as operators pack them, and values that folding and
 * fusing made. A plan made of an ONNX file computes them and notes what they are, so that a
 * packed file can be written of it; a plan made of a packed file finds them there
 * (nn/packed.h). Private to nn/.
 *
 * A constant is known by its node and a slot. Only float32 is kept this way: what steers
 * memory accesses (shapes, indices, offsets) is computed in every process anew.
 *
 * Thread: one at a time, while the plan is made; read-only after. */
#ifndef NN_CONSTANTS_H
#define NN_CONSTANTS_H

#include "nn/graph.h"

struct nn_packed;

/* Slots: 0 and up are an operator's own. */
enum {
    NN_SLOT_FUSED_WEIGHT = 8, /* of the BatchNormalization that was merged into a Conv */
    NN_SLOT_FUSED_BIAS = 9,
    NN_SLOT_OUTPUT = 16, /* and up: outputs of a folded node */
};

struct nn_constant {
    int node, slot;
    size_t bytes;
    const void *data;
    bool is_value; /* of the graph: worth keeping only when something reads it at run time */
};

struct nn_constants {
    const struct nn_model *model;
    const struct nn_packed *packed; /* NULL: make and note */
    struct nn_pool *pool;
    struct nn_constant *noted;
    size_t count, capacity;
    const void **reads; /* what planning itself read and will read again */
    size_t read_count, read_capacity;
    bool missing; /* the packed file lacks one, or has it in another size */
};

void nn_constants_finish(struct nn_constants *constants);

/* The constant of that node and slot, 64-byte aligned; `is_value` as above. *ret_fill: it is
 * zeroed and the caller's to fill; otherwise it is there already and must not be written. NULL:
 * no memory, over the pool's limit, or missing. */
void *nn_constants_take(struct nn_constants *constants, const struct nn_node *node, int slot,
                        size_t bytes, bool is_value, bool *ret_fill);

/* Planning reads these bytes, and will when the plan is made of a packed file. 0 or -ENOMEM. */
int nn_constants_note_read(struct nn_constants *constants, const void *data);

#endif
