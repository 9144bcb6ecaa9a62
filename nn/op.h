/* Operators: one table row each, and what a row's callbacks see of the node they serve.
 *
 * A row is `const struct nn_op nn_op_conv = {...}` in a file of nn/ops/, named in
 * nn/ops/list.inc. The planner calls, in this order:
 *
 *   infer    from input types and shapes (and the bytes of constant inputs) to output types and
 *            shapes; checks everything that forward relies on. May run several times, with
 *            whole-window shapes and with the shapes of one frame.
 *   time     may this node run frame by frame? See struct nn_op.
 *   prepare  once per planned node: packs weights, chooses kernels, states the workspace.
 *   forward  at run time: allocates, locks and logs nothing.
 *
 * Where all outputs are empty nothing is prepared or run.
 *
 * A node's whole inputs are constant: the planner runs forward once and keeps the result
 * (constant folding); operators need not know.
 *
 * Shapes that only a run can tell (how many boxes are left, a size that was computed): when the
 * plan is made, infer gives the most that an output can be in each dimension and sets its
 * `late`; an output of a node with a late input is late, too. For such a node the session calls
 * infer, prepare and forward in every run, with the shapes of that run and with the bytes of
 * every input in place. So a row that reads sizes through nn_op_sizes needs no more than that,
 * and most rows nothing at all. Where infer cannot know the shape even then (NonZero), forward
 * writes call->outputs[j].shape, each dimension at most what infer gave. What would be larger
 * than the plan has room for is refused by the session. infer without a bound to give says
 * -ENOTSUP.
 *
 * Thread: infer, time and prepare run in the thread that makes the plan. forward runs in any
 * number of sessions at once on one shared `state`, which it must only read. It may have parts
 * of its work done by other threads (nn_op_parallel), and has ended when they have. */
#ifndef NN_OP_H
#define NN_OP_H

#include <stdbool.h>

#include "nn/tensor.h"

struct nn_constants; /* nn/constants.h */
struct nn_kernels;   /* nn/kernels/kernels.h */
struct nn_node;      /* nn/graph.h */
struct nn_op;
struct nn_pool;
struct nn_threads; /* nn/threads.h */

/* The functions of one element (nn/activation.h), any of which the planner may fold into the
 * node before it. */
enum nn_activation {
    NN_ACTIVATION_NONE = 0,
    NN_ACTIVATION_ABS,
    NN_ACTIVATION_ACOS,
    NN_ACTIVATION_ACOSH,
    NN_ACTIVATION_AFFINE,
    NN_ACTIVATION_ASIN,
    NN_ACTIVATION_ASINH,
    NN_ACTIVATION_ATAN,
    NN_ACTIVATION_ATANH,
    NN_ACTIVATION_CEIL,
    NN_ACTIVATION_CELU,
    NN_ACTIVATION_CLIP,
    NN_ACTIVATION_COS,
    NN_ACTIVATION_COSH,
    NN_ACTIVATION_ELU,
    NN_ACTIVATION_ERF,
    NN_ACTIVATION_EXP,
    NN_ACTIVATION_FLOOR,
    NN_ACTIVATION_GELU,
    NN_ACTIVATION_GELU_TANH,
    NN_ACTIVATION_HARD_SIGMOID,
    NN_ACTIVATION_HARD_SWISH,
    NN_ACTIVATION_LEAKY_RELU,
    NN_ACTIVATION_LOG,
    NN_ACTIVATION_MISH,
    NN_ACTIVATION_NEG,
    NN_ACTIVATION_RECIPROCAL,
    NN_ACTIVATION_RELU,
    NN_ACTIVATION_ROUND,
    NN_ACTIVATION_SCALED_TANH,
    NN_ACTIVATION_SELU,
    NN_ACTIVATION_SHRINK,
    NN_ACTIVATION_SIGMOID,
    NN_ACTIVATION_SIGN,
    NN_ACTIVATION_SIN,
    NN_ACTIVATION_SINH,
    NN_ACTIVATION_SOFTPLUS,
    NN_ACTIVATION_SOFTSIGN,
    NN_ACTIVATION_SQRT,
    NN_ACTIVATION_SWISH,
    NN_ACTIVATION_TAN,
    NN_ACTIVATION_TANH,
    NN_ACTIVATION_THRESHOLDED_RELU,
    NN_ACTIVATION_COUNT,
};

struct nn_op_call {
    const struct nn_op *op;
    const struct nn_node *node; /* attributes: read through nn_op_int and its sisters */
    int opset;                  /* of the default domain, as the model declares it */

    /* input_count counts up to the last input the node names. An optional input that is left
     * out has type NN_TYPE_NONE (nn_op_has_input). data is NULL until run time, except for
     * constants, whose bytes are there from infer on and never move. */
    int input_count;
    const struct nn_tensor *inputs;

    /* infer writes type and shape of every output of the row's max_outputs that
     * nn_op_wants_output; an output nobody reads has data NULL at run time. */
    int output_count;
    struct nn_tensor *outputs;

    enum nn_activation
        activation; /* only rows with NN_OP_FUSES_ACTIVATION see another than NONE */
    float activation_alpha, activation_beta; /* LeakyRelu: alpha is the slope below zero */

    /* Conv: the planner folded a MaxPool of 2×2 that moves by two into the node. Output 0 is
     * the maxima; `activation` never falls where its input grows: its order with
     * them is free. */
    bool pooled;

    /* LSTM, GRU, RNN: the planner took the product with W out of the node (nn/project.c). Input
     * 0 is X · Wᵀ then, of all directions side by side, in prepare and forward. */
    bool projected;

    const struct nn_kernels *kernels; /* the plan's choice */
    enum nn_precision
        precision; /* the plan's; weights are float32 while constants are folded */

    /* Written by prepare, read by forward. Memory from nn_op_alloc lives as long as the plan.
     */
    void *state;
    /* Scratch wanted by forward. A late node has what prepare states for the largest shapes:
     * smaller ones must not want more. */
    size_t workspace_bytes;
    void *
        workspace; /* forward: that many bytes, 64-byte aligned, content undefined; never NULL */

    /* prepare: the most threads that forward may use, at least 1; scratch that each of them has
     * for itself counts so many times in workspace_bytes. It decides nothing else: results are
     * the same for any number. */
    int threads;
    struct nn_threads *helpers; /* forward: NULL: none are there */

    /* Bit i: input i is a constant (nn_op_is_constant). */
    uint32_t constant_inputs;

    /* prepare sets bit i when it has packed input i and forward reads those bytes no more. */
    uint32_t packed_inputs;
    const char *method; /* static text, for people: how forward does it; may stay NULL */
    /* prepare: the largest relative change of an output by how weights are stored, measured. */
    double weight_error;

    int64_t *rounds; /* forward of Loop: how many all loops of this run may still have */

    struct nn_pool *pool;
    struct nn_constants
        *constants;          /* NULL where nothing is kept: nn_op_weights then makes all */
    struct nn_op_kept *kept; /* late nodes: NN_OP_SLOTS; written with the plan, read by runs */
    struct nn_error *err;    /* may be NULL; written through nn_op_fail */
};

/* No time axis: a constant, or an optional input that is absent. */
#define NN_TIME_NONE (-1)

enum nn_op_flags {
    /* Element i of the output depends on element i of each input of the output's shape and
     * type only, so the output may share bytes with such an input. */
    NN_OP_ELEMENTWISE = 1,
    /* The bytes of output 0 are those of input 0 (Reshape, Flatten, Identity, ...). The
     * planner gives both the same place and skips forward; when it must call it, forward
     * copies, looking at no shape but the output's. */
    NN_OP_VIEW = 2,
    /* forward applies call->activation to output 0. */
    NN_OP_FUSES_ACTIVATION = 4,
    /* Only the shapes of inputs matter, never their bytes: folded unless they are late (Shape).
     */
    NN_OP_SHAPE_ONLY = 8,
    /* An activation that can be folded into the node before it. */
    NN_OP_IS_ACTIVATION = 16,
    /* Of integers, no element of an output becomes smaller when one of input 0 becomes greater;
     * GROWS_ALL: when one of any input does. What is known of their greatest (nn_tensor.most)
     * then passes through the operator. */
    NN_OP_GROWS = 32,
    NN_OP_GROWS_ALL = 64,
    /* Output 0 is the inputs joined along a dimension: where none before it is over 1, their
     * bytes one behind the other. The planner may have inputs made at their place in it, and
     * forward leaves those alone. */
    NN_OP_JOINS = 128,
    /* Along one axis the outputs are consecutive parts of input 0 (Split). Where nothing but
     * extents of 1 is before that axis, the planner gives them places within the input's bytes
     * and skips forward. */
    NN_OP_PARTS = 256,
};

/* Layouts of weights that an operator may keep (nn_op_weights). */
enum { NN_OP_SLOTS = 8 };

/* Weights of a node that is prepared again in each run, packed when the plan was made. */
struct nn_op_kept {
    float *data;
    size_t bytes;
};

enum nn_attribute_type {
    NN_ATTRIBUTE_NONE = 0,
    NN_ATTRIBUTE_FLOAT = 1, /* numbers of ONNX's AttributeProto.AttributeType */
    NN_ATTRIBUTE_INT = 2,
    NN_ATTRIBUTE_STRING = 3,
    NN_ATTRIBUTE_TENSOR = 4,
    NN_ATTRIBUTE_GRAPH = 5,
    NN_ATTRIBUTE_FLOATS = 6,
    NN_ATTRIBUTE_INTS = 7,
    NN_ATTRIBUTE_STRINGS = 8,
};

/* An attribute the row understands, in opsets since..until (0: no bound); one whose type
 * changed has a rule for each. A node with any other attribute, or one of another type, is
 * refused by name when the model is loaded. */
struct nn_attribute_rule {
    const char *name;
    enum nn_attribute_type type;
    int since, until;
};

#define NN_OP_VARIADIC 4096 /* most inputs of a variadic operator */

struct nn_op {
    const char *name; /* ONNX op_type, default domain */
    int min_inputs, max_inputs;
    int min_outputs, max_outputs;
    unsigned flags;
    const struct nn_attribute_rule *attributes; /* ends with a NULL name; NULL: none */
    const void *variant; /* of rows that share callbacks: what makes this one of the family */

    /* 0 or negative errno through nn_op_fail: -EINVAL (breaks the ONNX rules), -ENOTSUP (legal,
     * but we cannot). */
    int (*infer)(struct nn_op_call *call);
    int (*prepare)(struct nn_op_call *call); /* NULL: nothing to prepare */
    int (*forward)(struct nn_op_call *call); /* 0 or -EINVAL (a run-time value is impossible) */

    /* The time axis. in[i] is the axis of input i that is time, NN_TIME_NONE for constants and
     * absent inputs; at least one is an axis. A time axis has extent frames × k, time
     * outermost in it (k > 1 after a Reshape that folded other axes in); shapes are those of
     * the whole window.
     * Returns true, with the axis for each output in out[j], only when for every frame t:
     * forward over the t-th piece of each timed input (extent k there, constants as they are)
     * gives the t-th piece of each output. In doubt false: the graph is cut before this node,
     * which is always right. NULL: always cut. Rows with NN_OP_VIEW need none.
     * Usual answers: nn_op_time_same, nn_op_time_batch. */
    bool (*time)(const struct nn_op_call *call, const int *in, int *out);

    /* Products that one forward adds up (multiply-accumulates), by the shapes that infer
     * settled. NULL: it has none that count (activations, pooling, elementwise arithmetic and
     * moves are left out, as is usual where networks are compared). */
    double (*macs)(const struct nn_op_call *call);
};

/* Row for an op_type, NULL when there is none. */
const struct nn_op *nn_op_find(const char *name);
size_t nn_op_count(void);
const struct nn_op *nn_op_at(size_t index);

static inline bool nn_op_has_input(const struct nn_op_call *call, int index)
{
    return index < call->input_count && call->inputs[index].type != NN_TYPE_NONE;
}

/* Whether an input's bytes never change, so that packing them in prepare is worth it. To have
 * them (data) is not enough where a run prepares a node. Of the first 32 inputs. */
static inline bool nn_op_is_constant(const struct nn_op_call *call, int index)
{
    return index < 32 && (call->constant_inputs >> index & 1);
}

/* Whether the node names this output. */
bool nn_op_wants_output(const struct nn_op_call *call, int index);

/* Attributes, checked against the row's rules at load; the default when absent. Arrays and
 * strings are borrowed from the model; absent: NULL and count 0. Strings end with NUL. */
bool nn_op_has(const struct nn_op_call *call, const char *name);
int64_t nn_op_int(const struct nn_op_call *call, const char *name, int64_t otherwise);
float nn_op_float(const struct nn_op_call *call, const char *name, float otherwise);
const char *nn_op_string(const struct nn_op_call *call, const char *name,
                         const char *otherwise);
const int64_t *nn_op_ints(const struct nn_op_call *call, const char *name, int *ret_count);
const float *nn_op_floats(const struct nn_op_call *call, const char *name, int *ret_count);
const char *const *nn_op_strings(const struct nn_op_call *call, const char *name,
                                 int *ret_count);
const struct nn_tensor *nn_op_tensor(const struct nn_op_call *call, const char *name);

/* Writes "node 'NAME' (OP): ..." to call->err when there is one; returns code. */
int nn_op_fail(const struct nn_op_call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 64-byte aligned, zeroed, owned by the plan, counted as weight_bytes; of a late node, owned by
 * the session until the node has run. NULL: out of memory or over the limit; return -ENOMEM
 * then, the caller finds the words. Only in prepare. */
void *nn_op_alloc(struct nn_op_call *call, size_t bytes);

/* The same for weights in the operator's own layout, a function of the node's constant inputs:
 * float32, `slot` below NN_OP_SLOTS. *ret_fill: fill it. Otherwise it is there already, mapped
 * from a packed file (nn/packed.h; the inputs it is made of hold no values then) or from when
 * the plan was made (late nodes), and must not be written. A slot is one layout, whatever the
 * shapes of other inputs. Set packed_inputs. Only in prepare. */
float *nn_op_weights(struct nn_op_call *call, int slot, size_t floats, bool *ret_fill);

/* work(data, first, end, thread) over items 0..count-1, on as many threads as the plan has and
 * as the work is worth; returns when all are done. thread is below call->threads and nobody
 * else's at that moment: whose scratch to use. `cost` is that of all items, in products
 * (multiply-accumulates) or numbers read or written, whichever are more: below
 * NN_OP_PARALLEL_COST all are done here. What an item gives must not depend on how items are
 * put together, and no item may read what another writes. Within work nothing more is shared.
 * Only in forward. */
#define NN_OP_PARALLEL_COST 5e5
void nn_op_parallel(const struct nn_op_call *call, int64_t count, double cost,
                    void (*work)(void *data, int64_t first, int64_t end, int thread),
                    void *data);

/* Axis attribute or input in -rank..rank-1 to 0..rank-1; -EINVAL by name otherwise. */
int nn_op_axis(const struct nn_op_call *call, int64_t axis, int rank);

/* The same for `count` axes of a list, none of which may come twice; `given` NULL: 0, 1, 2, ...
 * 0, or -EINVAL by name. */
int nn_op_axis_list(const struct nn_op_call *call, const int64_t *given, int count, int rank,
                    int *ret_axes);

/* Elements of a constant int64 or int32 input (ReduceMean axes, Slice starts, ...), at most
 * `limit`. Returns the count; -ENOTSUP by name when the input is computed at run time. */
int nn_op_constant_ints(const struct nn_op_call *call, int index, const char *what,
                        int64_t *values, int limit);

/* The same for numbers that are sizes: of an input that a run computes, the most they can be
 * (nn_tensor.most), with *ret_late set. -ENOTSUP by name when nothing bounds them. */
int nn_op_sizes(const struct nn_op_call *call, int index, const char *what, int64_t *values,
                int limit, bool *ret_late);

/* The axes that attribute 'axes' names, or input 1 from opset `input_since` on, of a tensor of
 * `rank`: NN_MAX_RANK flags. Returns how many, 0 when none are given; an axis outside or named
 * twice is refused. */
int nn_op_axes(const struct nn_op_call *call, int rank, int input_since, bool *ret_chosen);

/* Refuses, by name, an input whose type is not the wanted one; any that is not float32. */
int nn_op_require_type(const struct nn_op_call *call, int index, enum nn_type type);
int nn_op_require_floats(const struct nn_op_call *call);

/* time callbacks shared by many rows. same: any axis, every timed input and output 0 alike,
 * with broadcasting (constants must not vary over time). batch: output axis 0 when input 0 is
 * timed on axis 0 and nothing else is timed; what Conv and pooling need. */
bool nn_op_time_same(const struct nn_op_call *call, const int *in, int *out);
bool nn_op_time_batch(const struct nn_op_call *call, const int *in, int *out);

/* The rows. */
#define ROW(name) extern const struct nn_op nn_op_##name;
#include "nn/ops/list.inc"
#undef ROW
/* The planner's own; not in the table. */
extern const struct nn_op nn_op_projection;
extern const struct nn_op nn_op_conv_bytes, nn_op_product_bytes;
extern const struct nn_op nn_op_table_bytes, nn_op_sum_bytes;

#endif
