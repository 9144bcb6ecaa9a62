/* LSTM, GRU and RNN, through time.
 *
 * Both passes keep rows in the order of steps, (steps, batch, ...), whichever way a direction runs
 * and whatever the layout. X meets W in one product for all steps, and so do the gradients of X, W
 * and R; what is left for each step is the product with the state and the cell.
 *
 * Letters and gates as in nn/ops/recurrent.c. With s a gate before its function, ds the loss's
 * gradient there, and h⁻ the state before:
 *
 *     dX = ds · W    dW = dsᵀ · X    dR = dsᵀ · h⁻    dB = Σ ds, twice    dh⁻ += ds · R
 *
 * GRU's h gate reads r ∘ h⁻ in place of h⁻, or, with linear_before_reset, adds r ∘ q with
 * q = h⁻ · Rᵀ + Rb: dR and Rb are made of dq = ds ∘ r then. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "nn/kernels/kernels.h"
#include "nn/train/row.h"

enum { X, W, R, B, SEQUENCE_LENS, INITIAL_H, INITIAL_C, P, INPUTS };
enum { Y, Y_H, Y_C };
enum { FUNCTIONS = 3 };
enum function { SIGMOID, TANH, RELU };

struct recurrent;
struct run;

struct cell {
    size_t gates;
    int functions;
    enum function defaults[FUNCTIONS];
    bool has_c;
    /* One step: the gates hold x · Wᵀ + b. */
    void (*forward)(const struct recurrent *rec, const struct run *run, size_t step);
    /* dh of the step to gradients of its gates, dh to what the step before gets by other ways
     * than the gates' products with R, which are added behind. */
    void (*backward)(const struct recurrent *rec, const struct run *run, size_t step);
};

struct recurrent {
    const struct cell *cell;
    size_t steps, batch, inputs, hidden;
    int directions;
    bool first_reverse, batch_first, linear_before_reset;
    enum function functions[2][FUNCTIONS];
    size_t saved; /* numbers of a direction */
};

/* One direction. */
struct run {
    const struct train_call *call;
    const enum function *functions;
    int direction;
    bool reverse;
    const real *w, *r, *b, *p; /* b, p: NULL: none */
    /* Saved: gates behind their functions (steps, batch, gates · hidden); h and c (steps + 1,
     * batch, hidden), from the initial state on; more (steps, batch, hidden): of LSTM the function
     * of c, of GRU r ∘ h⁻ or q. */
    real *gates, *h, *c, *more;
    /* Work memory: x (steps, batch, inputs), backward another such for its gradient; of the gates
     * before their functions, of q, of h and of c. dp: its place; NULL: not wanted. */
    real *x, *dgates, *dq, *dh, *dc, *dp;
};

/* --- Functions ------------------------------------------------------------------------------ */

static void apply(const struct run *run, enum function f, real *y, size_t n)
{
#ifndef TRAIN_DOUBLE
    const struct nn_kernels *k = run->call->op.kernels;
    if (f == SIGMOID)
        k->sigmoid(y, y, n);
    else if (f == TANH)
        k->tanh(y, y, n);
    else
        k->relu(y, y, n);
#else
    (void)run;
    for (size_t i = 0; i < n; i++)
        y[i] = f == SIGMOID ? 1 / (1 + exp(-y[i])) : f == TANH ? tanh(y[i]) : fmax(y[i], 0);
#endif
}

/* A function's derivative, by its value. */
static inline real slope(enum function f, real y)
{
    return f == SIGMOID ? y * (1 - y) : f == TANH ? 1 - y * y : y > 0;
}

/* --- Cells ---------------------------------------------------------------------------------- */

static real *step_gates(const struct recurrent *rec, real *gates, size_t step, size_t sample)
{
    return gates + (step * rec->batch + sample) * rec->cell->gates * rec->hidden;
}

static size_t state_at(const struct recurrent *rec, size_t step, size_t sample)
{
    return (step * rec->batch + sample) * rec->hidden;
}

/* gates[first..] of a step += state · Rᵀ of these gates. */
static void add_state(const struct recurrent *rec, const struct run *run, size_t step,
                      const real *state, size_t first, size_t count)
{
    struct train_gemm g = {.m = rec->batch,
                           .n = count * rec->hidden,
                           .k = rec->hidden,
                           .transpose_b = true,
                           .a = state,
                           .b = run->r + first * rec->hidden * rec->hidden,
                           .c = step_gates(rec, run->gates, step, 0) + first * rec->hidden,
                           .a_step = rec->hidden,
                           .b_step = rec->hidden,
                           .c_step = rec->cell->gates * rec->hidden,
                           .alpha = 1,
                           .beta = 1};
    TRAIN_NAME(train_multiply)(&run->call->op, &g);
}

/* to (batch, hidden) += gradients of some gates · R of these, the other way round. */
static void state_back(const struct recurrent *rec, const struct run *run, const real *dgates,
                       size_t step_floats, size_t first, size_t count, real *to, real beta)
{
    struct train_gemm g = {.m = rec->batch,
                           .n = rec->hidden,
                           .k = count * rec->hidden,
                           .a = dgates,
                           .b = run->r + first * rec->hidden * rec->hidden,
                           .c = to,
                           .a_step = step_floats,
                           .b_step = rec->hidden,
                           .c_step = rec->hidden,
                           .alpha = 1,
                           .beta = beta};
    TRAIN_NAME(train_multiply)(&run->call->op, &g);
}

static void rnn_forward(const struct recurrent *rec, const struct run *run, size_t step)
{
    real *h = run->h + state_at(rec, step + 1, 0);
    add_state(rec, run, step, run->h + state_at(rec, step, 0), 0, 1);
    memcpy(h, step_gates(rec, run->gates, step, 0), rec->batch * rec->hidden * sizeof *h);
    apply(run, run->functions[0], h, rec->batch * rec->hidden);
}

static void rnn_backward(const struct recurrent *rec, const struct run *run, size_t step)
{
    const real *h = run->h + state_at(rec, step + 1, 0);
    real *dgates = step_gates(rec, run->dgates, step, 0);
    for (size_t i = 0; i < rec->batch * rec->hidden; i++) {
        dgates[i] = run->dh[i] * slope(run->functions[0], h[i]);
        run->dh[i] = 0;
    }
    state_back(rec, run, dgates, rec->hidden, 0, 1, run->dh, 1);
}

static void lstm_forward(const struct recurrent *rec, const struct run *run, size_t step)
{
    size_t n = rec->hidden;
    const real *p = run->p;
    add_state(rec, run, step, run->h + state_at(rec, step, 0), 0, 4);
    for (size_t s = 0; s < rec->batch; s++) {
        real *i = step_gates(rec, run->gates, step, s), *o = i + n, *f = o + n, *g = f + n;
        const real *before = run->c + state_at(rec, step, s);
        real *c = run->c + state_at(rec, step + 1, s), *h = run->h + state_at(rec, step + 1, s);
        real *of_c = run->more + state_at(rec, step, s);
        for (size_t j = 0; j < n && p; j++) {
            i[j] += p[j] * before[j];
            f[j] += p[2 * n + j] * before[j];
        }
        apply(run, run->functions[0], i, n);
        apply(run, run->functions[0], f, n);
        apply(run, run->functions[1], g, n);
        for (size_t j = 0; j < n; j++)
            of_c[j] = c[j] = f[j] * before[j] + i[j] * g[j];
        for (size_t j = 0; j < n && p; j++)
            o[j] += p[n + j] * c[j];
        apply(run, run->functions[0], o, n);
        apply(run, run->functions[2], of_c, n);
        for (size_t j = 0; j < n; j++)
            h[j] = o[j] * of_c[j];
    }
}

static void lstm_backward(const struct recurrent *rec, const struct run *run, size_t step)
{
    size_t n = rec->hidden;
    const enum function *f_of = run->functions;
    for (size_t s = 0; s < rec->batch; s++) {
        const real *i = step_gates(rec, run->gates, step, s), *o = i + n, *f = o + n,
                   *g = f + n;
        real *di = step_gates(rec, run->dgates, step, s), *d_o = di + n, *df = d_o + n,
             *dg = df + n;
        const real *before = run->c + state_at(rec, step, s);
        const real *after = run->c + state_at(rec, step + 1, s);
        const real *of_c = run->more + state_at(rec, step, s), *p = run->p;
        real *dh = run->dh + s * n, *dc = run->dc + s * n;
        for (size_t j = 0; j < n; j++) {
            d_o[j] = dh[j] * of_c[j] * slope(f_of[0], o[j]);
            real d = dc[j] + dh[j] * o[j] * slope(f_of[2], of_c[j]);
            d += p ? d_o[j] * p[n + j] : 0;
            di[j] = d * g[j] * slope(f_of[0], i[j]);
            df[j] = d * before[j] * slope(f_of[0], f[j]);
            dg[j] = d * i[j] * slope(f_of[1], g[j]);
            dc[j] = d * f[j] + (p ? di[j] * p[j] + df[j] * p[2 * n + j] : 0);
            dh[j] = 0;
        }
        for (size_t j = 0; j < n && run->dp; j++) {
            run->dp[j] += di[j] * before[j];
            run->dp[n + j] += d_o[j] * after[j];
            run->dp[2 * n + j] += df[j] * before[j];
        }
    }
    state_back(rec, run, step_gates(rec, run->dgates, step, 0), 4 * n, 0, 4, run->dh, 1);
}

static void gru_forward(const struct recurrent *rec, const struct run *run, size_t step)
{
    size_t n = rec->hidden;
    const real *state = run->h + state_at(rec, step, 0);
    real *more = run->more + state_at(rec, step, 0);
    add_state(rec, run, step, state, 0, 2);
    for (size_t s = 0; s < rec->batch; s++)
        apply(run, run->functions[0], step_gates(rec, run->gates, step, s), 2 * n);
    if (rec->linear_before_reset) {
        struct train_gemm q = {.m = rec->batch,
                               .n = n,
                               .k = n,
                               .transpose_b = true,
                               .a = state,
                               .b = run->r + 2 * n * n,
                               .c = more,
                               .a_step = n,
                               .b_step = n,
                               .c_step = n,
                               .alpha = 1};
        TRAIN_NAME(train_multiply)(&run->call->op, &q);
    }
    for (size_t s = 0; s < rec->batch; s++) {
        real *z = step_gates(rec, run->gates, step, s), *r = z + n, *g = r + n;
        for (size_t j = 0; j < n; j++) {
            if (rec->linear_before_reset) {
                more[s * n + j] += run->b ? run->b[5 * n + j] : 0;
                g[j] += r[j] * more[s * n + j];
            } else {
                more[s * n + j] = r[j] * state[s * n + j];
            }
        }
    }
    if (!rec->linear_before_reset)
        add_state(rec, run, step, more, 2, 1);
    for (size_t s = 0; s < rec->batch; s++) {
        real *z = step_gates(rec, run->gates, step, s), *g = z + 2 * n;
        real *h = run->h + state_at(rec, step + 1, s);
        apply(run, run->functions[1], g, n);
        for (size_t j = 0; j < n; j++)
            h[j] = g[j] + z[j] * (state[s * n + j] - g[j]);
    }
}

static void gru_backward(const struct recurrent *rec, const struct run *run, size_t step)
{
    size_t n = rec->hidden, width = 3 * n;
    const real *state = run->h + state_at(rec, step, 0);
    const real *more = run->more + state_at(rec, step, 0);
    real *dq = run->dq + state_at(rec, step, 0), *first = step_gates(rec, run->dgates, step, 0);
    for (size_t s = 0; s < rec->batch; s++) {
        const real *z = step_gates(rec, run->gates, step, s), *r = z + n, *g = r + n;
        real *dz = first + s * width, *dr = dz + n, *dg = dr + n, *dh = run->dh + s * n;
        for (size_t j = 0; j < n; j++) {
            dz[j] = dh[j] * (state[s * n + j] - g[j]) * slope(run->functions[0], z[j]);
            dg[j] = dh[j] * (1 - z[j]) * slope(run->functions[1], g[j]);
            dh[j] *= z[j];
            dq[s * n + j] = dg[j] * r[j];
            dr[j] = dg[j] * more[s * n + j] * slope(run->functions[0], r[j]);
        }
    }
    if (rec->linear_before_reset) {
        state_back(rec, run, dq, n, 2, 1, run->dh, 1);
    } else {
        /* Of r ∘ h⁻. */
        real *product = run->dc;
        state_back(rec, run, first + 2 * n, width, 2, 1, product, 0);
        for (size_t s = 0; s < rec->batch; s++) {
            const real *r = step_gates(rec, run->gates, step, s) + n;
            real *dr = first + s * width + n;
            for (size_t j = 0; j < n; j++) {
                real d = product[s * n + j];
                dr[j] = d * state[s * n + j] * slope(run->functions[0], r[j]);
                run->dh[s * n + j] += d * r[j];
            }
        }
    }
    state_back(rec, run, first, width, 0, 2, run->dh, 1);
}

static const struct cell rnn_cell = {1, 1, {TANH}, false, rnn_forward, rnn_backward};
static const struct cell gru_cell = {3, 2, {SIGMOID, TANH}, false, gru_forward, gru_backward};
static const struct cell lstm_cell = {
    4, 3, {SIGMOID, TANH, TANH}, true, lstm_forward, lstm_backward};

/* --- The node ------------------------------------------------------------------------------- */

static int find_functions(struct train_call *call, struct recurrent *rec)
{
    static const char *const names[] = {"Sigmoid", "Tanh", "Relu"};
    int count = 0;
    const char *const *given = nn_op_strings(&call->op, "activations", &count);
    for (int d = 0; d < rec->directions; d++)
        for (int i = 0; i < rec->cell->functions; i++) {
            int at = d * rec->cell->functions + i, f = 0;
            rec->functions[d][i] = rec->cell->defaults[i];
            if (at >= count)
                continue;
            while (f < 3 && strcasecmp(given[at], names[f]) != 0)
                f++;
            if (f == 3)
                return nn_op_fail(&call->op, -ENOTSUP,
                                  "activation %.40s is not trained: Sigmoid, Tanh and Relu are",
                                  given[at]);
            rec->functions[d][i] = (enum function)f;
        }
    return 0;
}

static int prepare_cell(struct train_call *call, const struct cell *cell)
{
    struct nn_op_call *op = &call->op;
    struct recurrent *rec = nn_op_alloc(op, sizeof *rec);
    if (!rec)
        return -ENOMEM;
    const char *direction = nn_op_string(op, "direction", "forward");
    const struct nn_shape *x = &op->inputs[X].shape;
    op->state = rec;
    rec->cell = cell;
    rec->batch_first = nn_op_int(op, "layout", 0) != 0;
    rec->steps = (size_t)x->dim[rec->batch_first];
    rec->batch = (size_t)x->dim[!rec->batch_first];
    rec->inputs = (size_t)x->dim[2];
    rec->hidden = (size_t)op->inputs[R].shape.dim[2];
    rec->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    rec->first_reverse = strcmp(direction, "reverse") == 0;
    rec->linear_before_reset = nn_op_int(op, "linear_before_reset", 0) != 0;
    if (nn_op_has_input(op, SEQUENCE_LENS))
        return nn_op_fail(op, -ENOTSUP, "sequences of several lengths are not trained");
    if (nn_op_float(op, "clip", 0) > 0 || nn_op_int(op, "input_forget", 0) != 0)
        return nn_op_fail(op, -ENOTSUP, "clip and input_forget are not trained");
    size_t rows = rec->steps * rec->batch, n = rec->hidden;
    rec->saved = rows * n * (cell->gates + 1) + 2 * (rows + rec->batch) * n;
    call->saved_bytes = (size_t)rec->directions * rec->saved * sizeof(real);
    op->workspace_bytes =
        (2 * rows * rec->inputs + rows * n * (cell->gates + 1) + 2 * rec->batch * n) *
        sizeof(real);
    return find_functions(call, rec);
}

/* A direction's weights and memory. */
static struct run start(const struct train_call *call, int direction)
{
    const struct recurrent *rec = call->op.state;
    size_t n = rec->hidden, gates = rec->cell->gates, rows = rec->steps * rec->batch;
    size_t d = (size_t)direction;
    struct run run = {.call = call,
                      .functions = rec->functions[direction],
                      .direction = direction,
                      .reverse = direction == 1 || rec->first_reverse,
                      .w = train_input(call, W) + d * gates * n * rec->inputs,
                      .r = train_input(call, R) + d * gates * n * n};
    if (train_input(call, B))
        run.b = train_input(call, B) + d * 2 * gates * n;
    if (rec->cell->has_c && train_input(call, P))
        run.p = train_input(call, P) + d * 3 * n;
    run.gates = (real *)call->saved + d * rec->saved;
    run.more = run.gates + rows * gates * n;
    run.h = run.more + rows * n;
    run.c = run.h + (rows + rec->batch) * n;
    run.x = call->op.workspace;
    run.dgates = run.x + 2 * rows * rec->inputs;
    run.dq = run.dgates + rows * gates * n;
    run.dh = run.dq + rows * n;
    run.dc = run.dh + rec->batch * n;
    return run;
}

/* Where a step's row of X is, and of Y, and a sample's state. */
static size_t x_at(const struct recurrent *rec, const struct run *run, size_t step,
                   size_t sample)
{
    size_t t = run->reverse ? rec->steps - 1 - step : step;
    return (rec->batch_first ? sample * rec->steps + t : t * rec->batch + sample) * rec->inputs;
}

static size_t y_at(const struct recurrent *rec, const struct run *run, size_t step,
                   size_t sample)
{
    size_t t = run->reverse ? rec->steps - 1 - step : step;
    size_t d = (size_t)run->direction, directions = (size_t)rec->directions;
    return (rec->batch_first ? (sample * rec->steps + t) * directions + d
                             : (t * directions + d) * rec->batch + sample) *
           rec->hidden;
}

static size_t initial_at(const struct recurrent *rec, const struct run *run, size_t sample)
{
    size_t d = (size_t)run->direction;
    return (rec->batch_first ? sample * (size_t)rec->directions + d : d * rec->batch + sample) *
           rec->hidden;
}

/* X in the order of steps. */
static void take_x(const struct recurrent *rec, const struct run *run)
{
    const real *x = train_input(run->call, X);
    for (size_t t = 0; t < rec->steps; t++)
        for (size_t s = 0; s < rec->batch; s++)
            memcpy(run->x + (t * rec->batch + s) * rec->inputs, x + x_at(rec, run, t, s),
                   rec->inputs * sizeof *x);
}

static void take_initial(const struct recurrent *rec, const struct run *run, int input,
                         real *state)
{
    const real *given = train_input(run->call, input);
    for (size_t s = 0; s < rec->batch; s++) {
        if (given)
            memcpy(state + s * rec->hidden, given + initial_at(rec, run, s),
                   rec->hidden * sizeof *state);
        else
            memset(state + s * rec->hidden, 0, rec->hidden * sizeof *state);
    }
}

/* gates = X · Wᵀ + b, all steps at once. */
static void project(const struct recurrent *rec, const struct run *run)
{
    size_t width = rec->cell->gates * rec->hidden, rows = rec->steps * rec->batch;
    bool apart = rec->cell == &gru_cell && rec->linear_before_reset;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++) {
            bool later = apart && j >= 2 * rec->hidden;
            run->gates[i * width + j] =
                run->b ? run->b[j] + (later ? 0 : run->b[width + j]) : 0;
        }
    struct train_gemm g = {.m = rows,
                           .n = width,
                           .k = rec->inputs,
                           .transpose_b = true,
                           .a = run->x,
                           .b = run->w,
                           .c = run->gates,
                           .a_step = rec->inputs,
                           .b_step = rec->inputs,
                           .c_step = width,
                           .alpha = 1,
                           .beta = 1};
    TRAIN_NAME(train_multiply_shared)(&run->call->op, &g);
}

static void give_states(const struct recurrent *rec, const struct run *run)
{
    const struct nn_op_call *op = &run->call->op;
    for (size_t s = 0; s < rec->batch; s++) {
        for (size_t t = 0; t < rec->steps && nn_op_wants_output(op, Y); t++)
            memcpy(train_output(run->call, Y) + y_at(rec, run, t, s),
                   run->h + state_at(rec, t + 1, s), rec->hidden * sizeof(real));
        if (nn_op_wants_output(op, Y_H))
            memcpy(train_output(run->call, Y_H) + initial_at(rec, run, s),
                   run->h + state_at(rec, rec->steps, s), rec->hidden * sizeof(real));
        if (rec->cell->has_c && nn_op_wants_output(op, Y_C))
            memcpy(train_output(run->call, Y_C) + initial_at(rec, run, s),
                   run->c + state_at(rec, rec->steps, s), rec->hidden * sizeof(real));
    }
}

static int forward(struct train_call *call)
{
    const struct recurrent *rec = call->op.state;
    for (int d = 0; d < rec->directions; d++) {
        struct run run = start(call, d);
        take_x(rec, &run);
        take_initial(rec, &run, INITIAL_H, run.h);
        if (rec->cell->has_c)
            take_initial(rec, &run, INITIAL_C, run.c);
        project(rec, &run);
        for (size_t t = 0; t < rec->steps; t++)
            rec->cell->forward(rec, &run, t);
        give_states(rec, &run);
    }
    return 0;
}

/* What outputs say of the state behind the last step. */
static void take_last(const struct recurrent *rec, const struct run *run, int output, real *d)
{
    const real *from =
        output < run->call->op.output_count ? train_output_gradient(run->call, output) : NULL;
    for (size_t s = 0; s < rec->batch; s++) {
        if (from)
            memcpy(d + s * rec->hidden, from + initial_at(rec, run, s),
                   rec->hidden * sizeof *d);
        else
            memset(d + s * rec->hidden, 0, rec->hidden * sizeof *d);
    }
}

static void add_y(const struct recurrent *rec, const struct run *run, size_t step)
{
    const real *dy = train_output_gradient(run->call, Y);
    for (size_t s = 0; dy && s < rec->batch; s++) {
        const real *from = dy + y_at(rec, run, step, s);
        for (size_t j = 0; j < rec->hidden; j++)
            run->dh[s * rec->hidden + j] += from[j];
    }
}

/* to (columns of a, columns of b) = aᵀ · b over all rows. */
static void multiply_rows(const struct recurrent *rec, const struct run *run, const real *a,
                          size_t a_step, size_t a_columns, const real *b, size_t b_columns,
                          real *to)
{
    struct train_gemm g = {.m = a_columns,
                           .n = b_columns,
                           .k = rec->steps * rec->batch,
                           .transpose_a = true,
                           .a = a,
                           .b = b,
                           .c = to,
                           .a_step = a_step,
                           .b_step = b_columns,
                           .c_step = b_columns,
                           .alpha = 1};
    TRAIN_NAME(train_multiply_shared)(&run->call->op, &g);
}

static void recurrent_weights(const struct recurrent *rec, const struct run *run, real *dr)
{
    size_t n = rec->hidden, gates = rec->cell->gates;
    if (rec->cell != &gru_cell) {
        multiply_rows(rec, run, run->dgates, gates * n, gates * n, run->h, n, dr);
        return;
    }
    multiply_rows(rec, run, run->dgates, 3 * n, 2 * n, run->h, n, dr);
    if (rec->linear_before_reset)
        multiply_rows(rec, run, run->dq, n, n, run->h, n, dr + 2 * n * n);
    else
        multiply_rows(rec, run, run->dgates + 2 * n, 3 * n, n, run->more, n, dr + 2 * n * n);
}

static void biases(const struct recurrent *rec, const struct run *run, real *db)
{
    size_t n = rec->hidden, width = rec->cell->gates * n, rows = rec->steps * rec->batch;
    memset(db, 0, 2 * width * sizeof *db);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++)
            db[j] += run->dgates[i * width + j];
    memcpy(db + width, db, width * sizeof *db);
    if (rec->cell != &gru_cell || !rec->linear_before_reset)
        return;
    memset(db + width + 2 * n, 0, n * sizeof *db);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            db[width + 2 * n + j] += run->dq[i * n + j];
}

/* dX of a direction, to its place or, of the second, added to that of the first. */
static void inputs_back(const struct recurrent *rec, const struct run *run, real *dx)
{
    size_t width = rec->cell->gates * rec->hidden, rows = rec->steps * rec->batch;
    real *ordered = run->x + rows * rec->inputs;
    struct train_gemm g = {.m = rows,
                           .n = rec->inputs,
                           .k = width,
                           .a = run->dgates,
                           .b = run->w,
                           .c = ordered,
                           .a_step = width,
                           .b_step = rec->inputs,
                           .c_step = rec->inputs,
                           .alpha = 1};
    TRAIN_NAME(train_multiply_shared)(&run->call->op, &g);
    for (size_t t = 0; t < rec->steps; t++)
        for (size_t s = 0; s < rec->batch; s++) {
            real *to = dx + x_at(rec, run, t, s);
            const real *from = ordered + (t * rec->batch + s) * rec->inputs;
            for (size_t i = 0; i < rec->inputs; i++)
                to[i] = (run->direction == 0 ? 0 : to[i]) + from[i];
        }
}

static void give_initial(const struct recurrent *rec, const struct run *run, int input,
                         const real *d)
{
    real *to = train_input_gradient(run->call, input);
    for (size_t s = 0; to && s < rec->batch; s++)
        memcpy(to + initial_at(rec, run, s), d + s * rec->hidden, rec->hidden * sizeof *d);
}

static void direction_back(const struct recurrent *rec, struct run *run)
{
    const struct train_call *call = run->call;
    size_t n = rec->hidden, width = rec->cell->gates * n, d = (size_t)run->direction;
    if (train_input_gradient(call, P)) {
        run->dp = train_input_gradient(call, P) + d * 3 * n;
        memset(run->dp, 0, 3 * n * sizeof *run->dp);
    }
    take_last(rec, run, Y_H, run->dh);
    if (rec->cell->has_c)
        take_last(rec, run, Y_C, run->dc);
    for (size_t t = rec->steps; t-- > 0;) {
        add_y(rec, run, t);
        rec->cell->backward(rec, run, t);
    }
    give_initial(rec, run, INITIAL_H, run->dh);
    if (rec->cell->has_c)
        give_initial(rec, run, INITIAL_C, run->dc);
    if (train_input_gradient(call, W)) {
        take_x(rec, run);
        multiply_rows(rec, run, run->dgates, width, width, run->x, rec->inputs,
                      train_input_gradient(call, W) + d * width * rec->inputs);
    }
    if (train_input_gradient(call, R))
        recurrent_weights(rec, run, train_input_gradient(call, R) + d * width * n);
    if (train_input_gradient(call, B))
        biases(rec, run, train_input_gradient(call, B) + d * 2 * width);
    if (train_input_gradient(call, X))
        inputs_back(rec, run, train_input_gradient(call, X));
}

static void backward(struct train_call *call)
{
    const struct recurrent *rec = call->op.state;
    for (int d = 0; d < rec->directions; d++) {
        struct run run = start(call, d);
        direction_back(rec, &run);
    }
}

#define RECURRENT(name, type)                                                                  \
    static int prepare_##name(struct train_call *call)                                         \
    {                                                                                          \
        return prepare_cell(call, &name##_cell);                                               \
    }                                                                                          \
    const struct train_row TRAIN_NAME(train_row_##name) = {.op = type,                         \
                                                           .parameters = 1 << W | 1 << R |     \
                                                                         1 << B | 1 << P,      \
                                                           .fixed = 1 << SEQUENCE_LENS,        \
                                                           .prepare = prepare_##name,          \
                                                           .forward = forward,                 \
                                                           .backward = backward}

RECURRENT(gru, "GRU");
RECURRENT(lstm, "LSTM");
RECURRENT(rnn, "RNN");
