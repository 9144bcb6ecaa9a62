/* What a quantizer is inside. Private to nn/quantize/. */
#ifndef NN_QUANTIZE_PARTS_H
#define NN_QUANTIZE_PARTS_H

#include "nn/quantize/draft.h"
#include "nn/quantize/quantize.h"
#include "nn/quantize/range.h"
#include "nn/quantize/view.h"
#include "nn/session.h"

enum nn_quantize_role {
    NN_ROLE_FLOAT = 0, /* as it is */
    NN_ROLE_PRODUCT,   /* 8-bit weights */
    NN_ROLE_BLEND,     /* a sum or mean of 8-bit values */
    NN_ROLE_MOVE,      /* moves 8-bit values */
};

/* Values of the network that a plan gives as outputs: which, and where. */
struct nn_watch {
    int count;
    int *values;
    size_t *outputs;
    struct nn_session *session;
};

struct nn_quantizer {
    struct nn_draft draft; /* the float model: of opset 13 at least, folded */
    struct nn_model *model;
    struct nn_view view;
    double percentile;
    int opset_before;
    int input_count;
    struct nn_shape *input_shapes; /* NULL: the model's own */

    enum nn_quantize_role *role; /* of each node */
    bool *wanted;                /* of each value: it is 8-bit */
    int *group;                  /* of each value: another of its scale, itself at last */
    struct nn_quantize_layer *layers;
    int *layer_nodes;
    int layer_count;

    struct nn_watch
        sources; /* 8-bit values that are not moved ones; ranges[i] is of the i-th */
    struct nn_range *ranges;

    /* Of compare, made by its first call: outputs of layers, before and after. */
    struct nn_draft after; /* what was written; its pool is empty before */
    bool written;
    struct nn_watch before_layers, after_layers;
};

/* Fills role, wanted, group and the layers. `keep` as in the options. */
int nn_quantize_choose(struct nn_quantizer *q, const char *const *keep, struct nn_error *err);

/* The value whose number stands for all that share its scale: the least of them. */
int nn_quantize_group(const struct nn_quantizer *q, int value);

/* Which of a layer's inputs are a product's weights, along which axis its output channels lie,
 * and how many scales that makes. */
struct nn_quantize_weights {
    const struct nn_tensor *tensor, *bias; /* bias: NULL without one */
    int axis;
    size_t channels, inner; /* inner: elements behind the axis */
};
/* NULL, or why the node has none that could be 8-bit. */
const char *nn_quantize_weights_of(const struct nn_quantizer *q, const struct nn_node *node,
                                   struct nn_quantize_weights *ret_weights);

/* q->draft with pairs of QuantizeLinear and DequantizeLinear, in `out`, which is open. */
int nn_quantize_emit(const struct nn_quantizer *q, struct nn_draft *out, struct nn_error *err);

#endif
