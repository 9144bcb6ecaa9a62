/* A network that learns: a model's graph, run forward with every value kept, and backward.
 *
 *     train_net_create(model, &options, &net, &err);
 *     fill train_net_input(net, 0)
 *     train_net_forward(net, true, seed, &err);
 *     write the gradient of the loss to train_net_head(net)->gradient
 *     train_net_backward(net);
 *     change the parameters' values by their gradients (nn/train/optimizer.h)
 *
 * The graph is the model's own, not rewritten but for ReLU, which is folded into the layer before
 * it. What computes only with constants is computed once; integers (sizes, axes, indices) and
 * what no parameter has a part in may be any operator of nn/ops; from the first parameter on each
 * node must have a row of nn/train/rows.
 *
 * Parameters are the initializers that rows call so: weights and biases of Conv and Gemm and
 * their like. Other initializers stay as they are, and so do those of a part that is frozen, which
 * may have any operator of nn/ops.
 *
 * Numbers are float; a net of doubles exists to check gradients and is slow.
 *
 * Thread: one at a time. A net starts helper threads of its own when it is to have several. */
#ifndef NN_TRAIN_NET_H
#define NN_TRAIN_NET_H

#include "nn/model.h"

struct nn_kernels;
struct nn_threads;
struct train_net;

enum train_head_kind { TRAIN_HEAD_PLAIN, TRAIN_HEAD_SOFTMAX, TRAIN_HEAD_SIGMOID };

struct train_options {
    /* One for each input of the model: its whole shape, the batch included. NULL: the model's
     * own, 1 where its first dimension is open. */
    const struct nn_shape *input_shapes;
    bool doubles;
    /* A tensor, or a node, of the model: all that it depends on stays as it is, and computes as in
     * use: its numbers, and what BatchNormalization has measured. Not of doubles. NULL: all
     * learns. */
    const char *freeze;
    enum train_head_kind head;        /* what the loss takes logits of, if the net ends so */
    bool input_gradients;             /* of float inputs, too: train_net_input_gradient */
    int threads;                      /* of a step, at least 1; 0: 1 */
    const struct nn_kernels *kernels; /* NULL: the best */
};

struct train_net_parameter {
    const char *name; /* of the initializer */
    struct nn_shape shape;
    size_t count;
    void *value;
    void *gradient; /* of the last backward; NULL: a statistic, which forward writes */
};

/* Where a loss begins: at the model's first output, or, where that is a Softmax over the last
 * axis or a Sigmoid and the loss wants logits of it, at what goes into it. */
struct train_head {
    enum train_head_kind kind;
    struct nn_shape shape;
    const void *values;
    void *gradient; /* to be written, all of it, before backward */
};

/* Holds a reference to the model. 0, -EINVAL, -ENOTSUP (a node that cannot be learned through, by
 * name), -E2BIG, -ENOMEM; err says what. */
int train_net_create(struct nn_model *model, const struct train_options *options,
                     struct train_net **ret_net, struct nn_error *err);
void train_net_destroy(struct train_net *net); /* NULL is fine */

size_t train_net_parameter_count(const struct train_net *net);
const struct train_net_parameter *train_net_parameter(const struct train_net *net,
                                                      size_t index);

/* Of an input: to be filled before forward; floats, or doubles, or the model's integers. */
const struct nn_tensor *train_net_input(const struct train_net *net, size_t index);
/* What the last backward found for it; NULL where it was not asked for or is integers. */
const void *train_net_input_gradient(const struct train_net *net, size_t index);
const struct nn_tensor *train_net_output(const struct train_net *net, size_t index);
const struct train_head *train_net_head(const struct train_net *net);

/* The net's helpers, for what else there is to do between its runs; NULL: it has none. */
struct nn_threads *train_net_threads(const struct train_net *net);

/* What a net needs: bytes of values and gradients, without the parameters. */
size_t train_net_bytes(const struct train_net *net);

/* training: as for learning. seed: of this step, for what is random in it. 0, or -EINVAL by name
 * (an index that is out of range). */
int train_net_forward(struct train_net *net, bool training, uint64_t seed,
                      struct nn_error *err);

/* From the head's gradient to those of all parameters. */
void train_net_backward(struct train_net *net);

#endif
