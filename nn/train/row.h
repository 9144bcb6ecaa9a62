/* Operators that learn: what a row knows beside the operator's own (nn/op.h). Private to
 * nn/train.
 *
 * A row is `const struct train_row TRAIN_NAME(train_row_conv) = {...}` in a file of
 * nn/train/rows/, named in nn/train/rows.inc. Types and shapes come from the operator's infer;
 * what it does to numbers is said once more here, because training needs what inference does not
 * have: derivatives, what they are made of, and a version in double that is held against finite
 * differences. tests/nn/train/test_gradients.c walks the table.
 *
 *   prepare   once: may refuse (-ENOTSUP by name), allocate (nn_op_alloc), state saved_bytes
 *             and op.workspace_bytes
 *   forward   inputs to outputs; leaves in `saved` what backward wants
 *   backward  gradients of the outputs to those of the inputs
 *
 * Rows are for float32: of a node that makes only integers the operator's own forward is called.
 * Tensors of float32 hold numbers of type real here. Every input and output of a step is still
 * what it was when backward is called.
 *
 * Determinism: results are the same for any number of threads. What is summed over a batch is
 * summed in parts that do not depend on them (TRAIN_BATCH_PARTS), and those in order.
 *
 * Thread: one net is used by one thread at a time; rows may share work through nn_op_parallel. */
#ifndef NN_TRAIN_ROW_H
#define NN_TRAIN_ROW_H

#include "nn/op.h"
#include "nn/train/real.h"

/* Into how many parts a batch is cut where each adds up a sum of its own. */
enum { TRAIN_BATCH_PARTS = 8 };

struct train_call {
    struct nn_op_call op; /* data is there from the first forward on; of constants always */
    bool training;        /* forward: for learning, not for use: Dropout, BatchNormalization */
    uint64_t seed;        /* forward: of this node in this run, like that of no other */
    /* The output's gradient is zero wherever a folded ReLU gave zero: the reader sees to it,
     * which is a MaxPool with op.activation RELU. */
    bool passed;

    /* backward. Of each input: where its gradient is to be written, every number of it; NULL
     * where nobody wants it. Where an input is read by several, each writes to a place of its
     * own. Of each output: NULL where nothing depends on it. */
    void *const *input_gradients;
    const void *const *output_gradients;

    size_t saved_bytes; /* written by prepare */
    void *saved;
};

struct train_row {
    const char *op;      /* ONNX op_type */
    uint32_t parameters; /* bit i: input i is learned where the file gives its numbers */
    /* bit i: of those, only where it has more than one number or is the bias of a product: a lone
     * one is part of a formula, as the 2 of x · 2 is */
    uint32_t arrays;
    uint32_t statistics; /* bit i: input i is written by forward while training; fixed, too */
    /* bit i: wants no gradient ever: sizes, axes, indices */
    uint32_t fixed;
    /* Output 0 is input 0 under another shape: the net gives both one place, and their gradients
     * too, and calls nothing. */
    bool view;
    /* Outputs hold inputs' numbers and no others: an initializer is learned where what is moved
     * out of it is. */
    bool moves;
    int (*prepare)(struct train_call *call); /* NULL: nothing to prepare */
    int (*forward)(struct train_call *call); /* 0 or -EINVAL by name */
    void (*backward)(struct train_call *call);
};

/* NULL when the operator is not one that learns. */
const struct train_row *train_row_find_float(const char *op);
const struct train_row *train_row_find_double(const char *op);

/* The same rows, one by one; NULL behind the last. */
const struct train_row *train_row_at_float(size_t index);
const struct train_row *train_row_at_double(size_t index);

static inline const real *train_input(const struct train_call *call, int index)
{
    return nn_op_has_input(&call->op, index) ? call->op.inputs[index].data : NULL;
}

static inline real *train_output(const struct train_call *call, int index)
{
    return call->op.outputs[index].data;
}

static inline real *train_input_gradient(const struct train_call *call, int index)
{
    return index < call->op.input_count ? call->input_gradients[index] : NULL;
}

static inline const real *train_output_gradient(const struct train_call *call, int index)
{
    return call->output_gradients[index];
}

static inline int64_t train_count(const struct nn_tensor *tensor)
{
    return nn_shape_count(&tensor->shape);
}

/* First sample of part `part` of a batch; that of part TRAIN_BATCH_PARTS is the batch's size. */
static inline int64_t train_batch_part(int64_t batch, int64_t part)
{
    return batch * part / TRAIN_BATCH_PARTS;
}

/* C = alpha · op(A) · op(B) + beta · C, as struct nn_gemm has it. */
struct train_gemm {
    size_t m, n, k;
    bool transpose_a, transpose_b;
    const real *a, *b;
    real *c;
    size_t a_step, b_step, c_step;
    real alpha, beta;
};

void TRAIN_NAME(train_multiply)(const struct nn_op_call *call, const struct train_gemm *g);

/* The same by several threads, in TRAIN_BATCH_PARTS parts of C. Not within nn_op_parallel. */
void TRAIN_NAME(train_multiply_shared)(const struct nn_op_call *call,
                                       const struct train_gemm *g);

/* y = max(0, x); dx = dy where y is above zero, else 0; y += x. All in place if wanted. */
void TRAIN_NAME(train_relu)(const struct nn_op_call *call, real *y, const real *x, size_t n);
void TRAIN_NAME(train_relu_gradient)(const struct nn_op_call *call, real *dx, const real *y,
                                     const real *dy, size_t n);
void TRAIN_NAME(train_add)(const struct nn_op_call *call, real *y, const real *x, size_t n);

/* y = a · b; y = scale · x + shift; Σ x; Σ (x - center)². y may be x, a or b. */
void TRAIN_NAME(train_product)(const struct nn_op_call *call, real *y, const real *a,
                               const real *b, size_t n);
void TRAIN_NAME(train_affine)(const struct nn_op_call *call, real *y, const real *x, real scale,
                              real shift, size_t n);
real TRAIN_NAME(train_total)(const struct nn_op_call *call, const real *x, size_t n);
real TRAIN_NAME(train_squares)(const struct nn_op_call *call, const real *x, real center,
                               size_t n);

/* The sums of TRAIN_BATCH_PARTS parts, each `count` numbers long and one behind the other, to y. */
void TRAIN_NAME(train_sum_parts)(const struct nn_op_call *call, const real *parts, size_t count,
                                 real *y);

#endif
