/* Functions of one element. In float, forward is that of the operators themselves
 * (nn/activation.h); the table here adds what each computes in double, and its slope, in terms of
 * x and of y = f(x). At a kink the slope is that of one side. */
#include <errno.h>
#include <math.h>

#include "nn/activation.h"
#include "nn/train/row.h"

/* What a thread works on at a time; a function's temporary numbers stay in the cache. */
enum { BLOCK = 1024 };

/* n ≤ BLOCK elements. */
struct piece {
    const struct nn_kernels *k;
    real alpha, beta; /* the function's attributes; Clip: its limits */
    size_t n;
    const real *x;
    real *y;
    const real *dy; /* backward */
    real *dx;
};

typedef void piece_function(const struct piece *p);

/* --- Functions of a block, for slopes ----------------------------------------------------- */

#ifndef TRAIN_DOUBLE

static void find_exp(const struct piece *p, real *y, const real *x)
{
    p->k->exp(y, x, p->n);
}

static void find_erf(const struct piece *p, real *y, const real *x)
{
    p->k->erf(y, x, p->n);
}

static void find_tanh(const struct piece *p, real *y, const real *x)
{
    p->k->tanh(y, x, p->n);
}

static void find_sigmoid(const struct piece *p, real *y, const real *x)
{
    p->k->sigmoid(y, x, p->n);
}

#define VALUES(name, expression)

#else

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

#define FIND(name, function)                                                                   \
    static void name(const struct piece *p, real *y, const real *x)                            \
    {                                                                                          \
        for (size_t i = 0; i < p->n; i++)                                                      \
            y[i] = function(x[i]);                                                             \
    }
FIND(find_exp, exp)
FIND(find_erf, erf)
FIND(find_tanh, tanh)
FIND(find_sigmoid, logistic)

#define VALUES(name, expression)                                                               \
    static void name##_values(const struct piece *p)                                           \
    {                                                                                          \
        const real a = p->alpha, b = p->beta;                                                  \
        (void)a, (void)b;                                                                      \
        for (size_t i = 0; i < p->n; i++) {                                                    \
            const real x = p->x[i];                                                            \
            p->y[i] = expression;                                                              \
        }                                                                                      \
    }

#endif

/* --- The functions ------------------------------------------------------------------------ */

#define SLOPES(name, expression)                                                               \
    static void name##_slopes(const struct piece *p)                                           \
    {                                                                                          \
        const real a = p->alpha, b = p->beta;                                                  \
        const real *restrict dy = p->dy;                                                       \
        real *restrict dx = p->dx;                                                             \
        (void)a, (void)b;                                                                      \
        for (size_t i = 0; i < p->n; i++) {                                                    \
            const real x = p->x[i], y = p->y[i];                                               \
            (void)x, (void)y;                                                                  \
            dx[i] = dy[i] * (expression);                                                      \
        }                                                                                      \
    }

#define FUNCTION(name, value, slope) VALUES(name, value) SLOPES(name, slope)

FUNCTION(abs, fabs(x), x < 0 ? -1 : 1)
FUNCTION(celu, x < 0 ? a * expm1(x / a) : x, x < 0 ? y / a + 1 : 1)
FUNCTION(clip, x<a ? a : x> b ? b : x, x<a || x> b ? 0 : 1)
FUNCTION(cos, cos(x), (real)-sin((double)x))
FUNCTION(elu, x < 0 ? a * expm1(x) : x, x < 0 ? y + a : 1)
FUNCTION(exp, exp(x), y)
FUNCTION(hard_sigmoid, fmax(0, fmin(1, a *x + b)), y <= 0 || y >= 1 ? 0 : a)
FUNCTION(hard_swish, x *fmax(0, fmin(1, x / 6 + 0.5)),
         x <= -3  ? 0
         : x >= 3 ? 1
                  : x / 3 + (real)0.5)
FUNCTION(leaky_relu, x < 0 ? a * x : x, x < 0 ? a : 1)
FUNCTION(log, log(x), 1 / x)
FUNCTION(neg, -x, -1)
FUNCTION(reciprocal, 1 / x, -y *y)
FUNCTION(selu, b *(x < 0 ? a * expm1(x) : x), x < 0 ? y + a * b : b)
FUNCTION(sigmoid, logistic(x), y *(1 - y))
FUNCTION(sin, sin(x), (real)cos((double)x))
FUNCTION(softsign, x / (1 + fabs(x)), (1 - (y < 0 ? -y : y)) * (1 - (y < 0 ? -y : y)))
FUNCTION(sqrt, sqrt(x), (real)0.5 / y)
FUNCTION(tanh, tanh(x), 1 - y * y)

VALUES(erf, erf(x))

static void erf_slopes(const struct piece *p)
{
    real e[BLOCK];
    for (size_t i = 0; i < p->n; i++)
        e[i] = -p->x[i] * p->x[i];
    find_exp(p, e, e);
    for (size_t i = 0; i < p->n; i++)
        p->dx[i] = p->dy[i] * (real)M_2_SQRTPI * e[i];
}

VALUES(gelu, x * 0.5 * (1 + erf(x * M_SQRT1_2)))

/* Φ(x) + x · φ(x) */
static void gelu_slopes(const struct piece *p)
{
    real e[BLOCK], t[BLOCK];
    for (size_t i = 0; i < p->n; i++) {
        e[i] = (real)-0.5 * p->x[i] * p->x[i];
        t[i] = (real)M_SQRT1_2 * p->x[i];
    }
    find_exp(p, e, e);
    find_erf(p, t, t);
    const real density = (real)(0.5 * M_SQRT1_2 * M_2_SQRTPI); /* 1 / √2π */
    for (size_t i = 0; i < p->n; i++)
        p->dx[i] = p->dy[i] * ((real)0.5 * (1 + t[i]) + p->x[i] * density * e[i]);
}

#define GELU_SCALE (M_SQRT1_2 * M_2_SQRTPI) /* √(2/π) */
#define GELU_CUBE  0.044715

VALUES(gelu_tanh, x * 0.5 * (1 + tanh(GELU_SCALE * (x + GELU_CUBE * x * x * x))))

static void gelu_tanh_slopes(const struct piece *p)
{
    real t[BLOCK];
    const real scale = (real)GELU_SCALE, cube = (real)GELU_CUBE;
    for (size_t i = 0; i < p->n; i++)
        t[i] = scale * (p->x[i] + cube * p->x[i] * p->x[i] * p->x[i]);
    find_tanh(p, t, t);
    for (size_t i = 0; i < p->n; i++) {
        real inner = scale * (1 + 3 * cube * p->x[i] * p->x[i]);
        p->dx[i] = p->dy[i] * (real)0.5 * (1 + t[i] + p->x[i] * (1 - t[i] * t[i]) * inner);
    }
}

VALUES(mish, x *tanh(log1p(exp(x))))

/* With t = tanh(ln(1 + eˣ)): t + x · (1 − t²) · sigmoid(x). y / x is no way to t near 0:
 * t = u / (u + 2) with u = eˣ · (eˣ + 2), which is 1 long before that overflows. */
static void mish_slopes(const struct piece *p)
{
    real e[BLOCK], s[BLOCK];
    for (size_t i = 0; i < p->n; i++)
        e[i] = p->x[i] > 20 ? 20 : p->x[i];
    find_exp(p, e, e);
    find_sigmoid(p, s, p->x);
    for (size_t i = 0; i < p->n; i++) {
        real u = e[i] * (e[i] + 2), t = u / (u + 2);
        p->dx[i] = p->dy[i] * (t + p->x[i] * (1 - t * t) * s[i]);
    }
}

VALUES(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))

static void softplus_slopes(const struct piece *p)
{
    real s[BLOCK];
    find_sigmoid(p, s, p->x);
    for (size_t i = 0; i < p->n; i++)
        p->dx[i] = p->dy[i] * s[i];
}

VALUES(swish, x *logistic(a *x))

static void swish_slopes(const struct piece *p)
{
    real s[BLOCK];
    for (size_t i = 0; i < p->n; i++)
        s[i] = p->alpha * p->x[i];
    find_sigmoid(p, s, s);
    for (size_t i = 0; i < p->n; i++)
        p->dx[i] = p->dy[i] * s[i] * (1 + p->alpha * p->x[i] * (1 - s[i]));
}

#ifdef TRAIN_DOUBLE
#define ENTRY(name)                                                                            \
    {                                                                                          \
        name##_values, name##_slopes                                                           \
    }
#else
#define ENTRY(name)                                                                            \
    {                                                                                          \
        NULL, name##_slopes                                                                    \
    }
#endif

static const struct {
    piece_function *values; /* NULL: nn_functions' own */
    piece_function *slopes;
} functions[NN_ACTIVATION_COUNT] = {
    [NN_ACTIVATION_ABS] = ENTRY(abs),
    [NN_ACTIVATION_CELU] = ENTRY(celu),
    [NN_ACTIVATION_CLIP] = ENTRY(clip),
    [NN_ACTIVATION_COS] = ENTRY(cos),
    [NN_ACTIVATION_ELU] = ENTRY(elu),
    [NN_ACTIVATION_ERF] = ENTRY(erf),
    [NN_ACTIVATION_EXP] = ENTRY(exp),
    [NN_ACTIVATION_GELU] = ENTRY(gelu),
    [NN_ACTIVATION_GELU_TANH] = ENTRY(gelu_tanh),
    [NN_ACTIVATION_HARD_SIGMOID] = ENTRY(hard_sigmoid),
    [NN_ACTIVATION_HARD_SWISH] = ENTRY(hard_swish),
    [NN_ACTIVATION_LEAKY_RELU] = ENTRY(leaky_relu),
    [NN_ACTIVATION_LOG] = ENTRY(log),
    [NN_ACTIVATION_MISH] = ENTRY(mish),
    [NN_ACTIVATION_NEG] = ENTRY(neg),
    [NN_ACTIVATION_RECIPROCAL] = ENTRY(reciprocal),
    [NN_ACTIVATION_SELU] = ENTRY(selu),
    [NN_ACTIVATION_SIGMOID] = ENTRY(sigmoid),
    [NN_ACTIVATION_SIN] = ENTRY(sin),
    [NN_ACTIVATION_SOFTPLUS] = ENTRY(softplus),
    [NN_ACTIVATION_SOFTSIGN] = ENTRY(softsign),
    [NN_ACTIVATION_SQRT] = ENTRY(sqrt),
    [NN_ACTIVATION_SWISH] = ENTRY(swish),
    [NN_ACTIVATION_TANH] = ENTRY(tanh),
};

/* --- Running ------------------------------------------------------------------------------ */

struct job {
    const struct train_call *call;
    enum nn_activation function;
    float alpha, beta;
    int64_t count;
};

static struct job start(const struct train_call *call)
{
    struct job job = {.call = call, .count = train_count(&call->op.outputs[0])};
    job.function = nn_activation_of(call->op.op, call->op.node, &job.alpha, &job.beta);
    if (job.function == NN_ACTIVATION_CLIP) {
        if (train_input(call, 1))
            job.alpha = (float)*train_input(call, 1);
        if (train_input(call, 2))
            job.beta = (float)*train_input(call, 2);
    }
    return job;
}

static struct piece piece_at(const struct job *job, int64_t block)
{
    int64_t at = block * BLOCK, left = job->count - at;
    struct piece p = {.k = job->call->op.kernels,
                      .alpha = (real)job->alpha,
                      .beta = (real)job->beta,
                      .n = (size_t)(left < BLOCK ? left : BLOCK),
                      .x = train_input(job->call, 0) + at,
                      .y = train_output(job->call, 0) + at};
    if (job->call->output_gradients) {
        p.dy = train_output_gradient(job->call, 0) + at;
        p.dx = train_input_gradient(job->call, 0) + at;
    }
    return p;
}

static void forward_blocks(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    (void)thread;
    for (; first < end; first++) {
        struct piece p = piece_at(job, first);
#ifdef TRAIN_DOUBLE
        functions[job->function].values(&p);
#else
        nn_function_run(&nn_functions[job->function], p.k, job->alpha, job->beta, p.y, p.x,
                        p.n);
#endif
    }
}

static void backward_blocks(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    (void)thread;
    for (; first < end; first++) {
        struct piece p = piece_at(job, first);
        functions[job->function].slopes(&p);
    }
}

static int forward(struct train_call *call)
{
    struct job job = start(call);
    nn_op_parallel(&call->op, (job.count + BLOCK - 1) / BLOCK, 4 * (double)job.count,
                   forward_blocks, &job);
    return 0;
}

static void backward(struct train_call *call)
{
    struct job job = start(call);
    nn_op_parallel(&call->op, (job.count + BLOCK - 1) / BLOCK, 3 * (double)job.count,
                   backward_blocks, &job);
}

/* The limits of Clip (inputs 1 and 2) want no gradient. */
#define UNARY(name, type)                                                                      \
    const struct train_row TRAIN_NAME(train_row_##name) = {                                    \
        .op = type, .fixed = ~1u, .forward = forward, .backward = backward}

UNARY(abs, "Abs");
UNARY(celu, "Celu");
UNARY(clip, "Clip");
UNARY(cos, "Cos");
UNARY(elu, "Elu");
UNARY(erf, "Erf");
UNARY(exp, "Exp");
UNARY(gelu, "Gelu");
UNARY(hard_sigmoid, "HardSigmoid");
UNARY(hard_swish, "HardSwish");
UNARY(leaky_relu, "LeakyRelu");
UNARY(log, "Log");
UNARY(mish, "Mish");
UNARY(neg, "Neg");
UNARY(reciprocal, "Reciprocal");
UNARY(selu, "Selu");
UNARY(sigmoid, "Sigmoid");
UNARY(sin, "Sin");
UNARY(softplus, "Softplus");
UNARY(softsign, "Softsign");
UNARY(sqrt, "Sqrt");
UNARY(swish, "Swish");
UNARY(tanh, "Tanh");
