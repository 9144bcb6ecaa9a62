/* LSTM, GRU, RNN.
 *
 * The inputs of all steps meet their weights in one product; each step then adds the state's
 * product, then the bias, and runs the cell on vectors of hidden_size. Layouts 0 and 1 differ
 * in where rows are found, never in how they are computed, so nothing is transposed at run
 * time.
 *
 * Sums are taken in the order of ONNX Runtime, for an LSTM down to which products are rounded
 * before they are added: a network whose state amplifies rounding errors then gives what it
 * gave where it was tested. That is why products run through the tables' panels and not through
 * OpenBLAS, whose order depends on where in the batch a row stands; they are also faster.
 *
 * Letters as in the ONNX specification: W input weights, R recurrent weights, B biases (Wb,
 * then Rb), P peepholes. Gates in their order: LSTM i o f c, GRU z r h, RNN one. */
#include <errno.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/panels.h"

enum { X, W, R, B, SEQUENCE_LENS, INITIAL_H, INITIAL_C, P, INPUTS };
enum { Y, Y_H, Y_C };
enum { MAX_FUNCTIONS = 3 };

struct recurrent;
struct run;

struct cell {
    int gates;
    int joined;    /* gates whose product with the state is one; the others come after it */
    int functions; /* activations of one direction */
    const char *defaults[MAX_FUNCTIONS];
    /* Adds the state's product to the gates of the whole batch. */
    void (*multiply)(const struct recurrent *rec, const struct run *run, int64_t step);
    /* Gates to the new state, for one sequence. */
    void (*update)(const struct recurrent *rec, const struct run *run, int64_t sequence);
};

struct recurrent {
    const struct cell *cell;
    int64_t steps, batch, inputs, hidden;
    int directions;
    bool first_reverse; /* direction 0 runs from the end; direction 1 always does */
    bool batch_first;   /* layout 1 */
    bool projected;     /* input X is X · Wᵀ already, directions side by side */
    bool input_forget, linear_before_reset;
    float clip; /* 0: none */
    struct nn_cell_activation functions[2][MAX_FUNCTIONS];
    /* Wᵀ and Rᵀ of all directions, packed; NULL when the weights are computed at run time. */
    const float *w, *r;
};

/* One direction at work. Everything but the weights lies in the workspace. */
struct run {
    const struct nn_kernels *k;
    const struct nn_cell_activation *functions;
    struct nn_panels w;       /* (inputs, gates·hidden) */
    struct nn_panels r, rest; /* (hidden, joined·hidden), (hidden, the other gates·hidden) */
    const float *p;           /* (3·hidden) or NULL */
    float *bias;              /* (gates·hidden): what is added to the gates */
    const float *reset_bias;  /* (hidden): what the reset gate scales too, or NULL */
    /* X · Wᵀ (steps · batch, gates·hidden) in the order of X's rows, which lie step apart. */
    const float *projected;
    int64_t projected_step;
    float *gates;         /* (batch, gates·hidden) */
    float *h, *c, *spare; /* (batch, hidden) */
};

/* Cells. */

/* out (batch, ...) += in (batch, hidden) · weights */
static void multiply_state(const struct recurrent *rec, const struct run *run,
                           struct nn_panels weights, int64_t step, const float *in, float *out,
                           int64_t out_step)
{
    weights.backwards = step % 2 != 0;
    nn_panels_multiply(run->k, &weights, in, rec->batch, rec->hidden, out, out_step);
}

static void multiply_all(const struct recurrent *rec, const struct run *run, int64_t step)
{
    multiply_state(rec, run, run->r, step, run->h, run->gates, rec->cell->gates * rec->hidden);
}

/* x = function(clip(x)) */
static void activate(const struct recurrent *rec, const struct run *run, int function, float *x,
                     size_t n)
{
    const struct nn_cell_activation *f = &run->functions[function];
    if (rec->clip > 0)
        run->k->clamp(x, x, -rec->clip, rec->clip, n);
    nn_cell_activation_apply(f, run->k, x, n);
}

static void update_rnn(const struct recurrent *rec, const struct run *run, int64_t sequence)
{
    size_t n = (size_t)rec->hidden;
    float *h = run->h + sequence * rec->hidden;
    run->k->add(h, run->gates + sequence * rec->hidden, run->bias, n);
    activate(rec, run, 0, h, n);
}

static void update_lstm(const struct recurrent *rec, const struct run *run, int64_t sequence)
{
    const struct nn_kernels *k = run->k;
    size_t n = (size_t)rec->hidden;
    float *i = run->gates + sequence * 4 * rec->hidden, *o = i + n, *f = o + n, *g = f + n;
    float *h = run->h + sequence * rec->hidden, *c = run->c + sequence * rec->hidden;
    k->add(i, i, run->bias, 4 * n);
    if (run->p) {
        k->mul_add(i, run->p, c, n);
        k->mul_add(f, run->p + 2 * n, c, n);
        activate(rec, run, 0, i, n);
        activate(rec, run, 0, f, n);
    } else {
        activate(rec, run, 0, i, 3 * n);
    }
    if (rec->input_forget)
        k->affine(f, i, -1, 1, n);
    activate(rec, run, 1, g, n);
    k->mul(c, c, f, n);
    k->mul(i, i, g, n);
    k->add(c, c, i, n);
    if (run->p) {
        k->mul_add(o, run->p + n, c, n);
        activate(rec, run, 0, o, n);
    }
    memcpy(h, c, n * sizeof *h);
    nn_cell_activation_apply(&run->functions[2], k, h, n);
    k->mul(h, h, o, n);
}

/* The reset gate works on the state before (spec's default) or after its product. */
static void multiply_gru(const struct recurrent *rec, const struct run *run, int64_t step)
{
    const struct nn_kernels *k = run->k;
    size_t n = (size_t)rec->hidden;
    int64_t width = 3 * rec->hidden;
    multiply_state(rec, run, run->r, step, run->h, run->gates, width);
    for (int64_t s = 0; s < rec->batch; s++) {
        float *z = run->gates + s * width, *r = z + n;
        float *spare = run->spare + s * rec->hidden;
        k->add(z, z, run->bias, 2 * n);
        activate(rec, run, 0, z, 2 * n);
        if (!rec->linear_before_reset)
            k->mul(spare, r, run->h + s * rec->hidden, n);
        else if (run->reset_bias)
            memcpy(spare, run->reset_bias, n * sizeof *spare);
        else
            memset(spare, 0, n * sizeof *spare);
    }
    if (!rec->linear_before_reset) {
        multiply_state(rec, run, run->rest, step, run->spare, run->gates + 2 * n, width);
        return;
    }
    multiply_state(rec, run, run->rest, step, run->h, run->spare, rec->hidden);
    for (int64_t s = 0; s < rec->batch; s++) {
        float *r = run->gates + s * width + n;
        k->mul_add(r + n, r, run->spare + s * rec->hidden, n);
    }
}

static void update_gru(const struct recurrent *rec, const struct run *run, int64_t sequence)
{
    const struct nn_kernels *k = run->k;
    size_t n = (size_t)rec->hidden;
    float *z = run->gates + sequence * 3 * rec->hidden, *candidate = z + 2 * n;
    float *h = run->h + sequence * rec->hidden;
    k->add(candidate, candidate, run->bias + 2 * n, n);
    activate(rec, run, 1, candidate, n);
    /* (1 - z) · candidate + z · h */
    k->sub(h, h, candidate, n);
    k->mul(h, h, z, n);
    k->add(h, h, candidate, n);
}

static const struct cell lstm_cell = {
    4, 4, 3, {"Sigmoid", "Tanh", "Tanh"}, multiply_all, update_lstm};
static const struct cell gru_cell = {3, 2, 2, {"Sigmoid", "Tanh"}, multiply_gru, update_gru};
static const struct cell rnn_cell = {1, 1, 1, {"Tanh"}, multiply_all, update_rnn};

/* What the node says. */

static int require_shape(const struct nn_op_call *call, int input, const char *name, int rank,
                         int64_t a, int64_t b, int64_t c)
{
    if (!nn_op_has_input(call, input))
        return 0;
    const int64_t want[] = {a, b, c};
    const struct nn_shape *shape = &call->inputs[input].shape;
    int r =
        nn_op_require_type(call, input, input == SEQUENCE_LENS ? NN_TYPE_INT32 : NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    if (shape->rank == rank && memcmp(shape->dim, want, (size_t)rank * sizeof *want) == 0)
        return 0;
    if (rank == 1)
        return nn_op_fail(call, -EINVAL, "%s must be a list of %lld", name, (long long)a);
    if (rank == 2)
        return nn_op_fail(call, -EINVAL, "%s must have the shape %lldx%lld", name, (long long)a,
                          (long long)b);
    return nn_op_fail(call, -EINVAL, "%s must have the shape %lldx%lldx%lld", name,
                      (long long)a, (long long)b, (long long)c);
}

static int read_direction(const struct nn_op_call *call, struct recurrent *rec)
{
    const char *direction = nn_op_string(call, "direction", "forward");
    rec->directions = 1;
    if (strcmp(direction, "bidirectional") == 0)
        rec->directions = 2;
    else if (strcmp(direction, "reverse") == 0)
        rec->first_reverse = true;
    else if (strcmp(direction, "forward") != 0)
        return nn_op_fail(call, -EINVAL, "direction is '%.40s'", direction);
    return 0;
}

static int read_functions(const struct nn_op_call *call, struct recurrent *rec)
{
    const struct cell *cell = rec->cell;
    struct nn_cell_parameters parameters = {0};
    int count, wanted = rec->directions * cell->functions;
    const char *const *names = nn_op_strings(call, "activations", &count);
    if (names && count != wanted)
        return nn_op_fail(call, -EINVAL, "activations has %d names, not %d", count, wanted);
    parameters.alphas = nn_op_floats(call, "activation_alpha", &parameters.alpha_count);
    parameters.betas = nn_op_floats(call, "activation_beta", &parameters.beta_count);
    for (int i = 0; i < wanted; i++) {
        const char *name = names ? names[i] : cell->defaults[i % cell->functions];
        int r = nn_cell_activation_find(
            name, &parameters, &rec->functions[i / cell->functions][i % cell->functions]);
        if (r < 0)
            return nn_op_fail(call, r, "activation '%.40s' is not supported", name);
    }
    return 0;
}

static int check_inputs(const struct nn_op_call *call, const struct recurrent *rec)
{
    int64_t width = rec->cell->gates * rec->hidden, d = rec->directions;
    int64_t outer = rec->batch_first ? rec->batch : d,
            inner = rec->batch_first ? d : rec->batch;
    int r = require_shape(call, W, "W", 3, d, width, rec->inputs);
    if (r == 0)
        r = require_shape(call, R, "R", 3, d, width, rec->hidden);
    if (r == 0)
        r = require_shape(call, B, "B", 2, d, 2 * width, 0);
    if (r == 0)
        r = require_shape(call, SEQUENCE_LENS, "sequence_lens", 1, rec->batch, 0, 0);
    if (r == 0)
        r = require_shape(call, INITIAL_H, "initial_h", 3, outer, inner, rec->hidden);
    if (r == 0)
        r = require_shape(call, INITIAL_C, "initial_c", 3, outer, inner, rec->hidden);
    if (r == 0)
        r = require_shape(call, P, "P", 2, d, 3 * rec->hidden, 0);
    return r;
}

static int64_t packed_floats(int64_t depth, int64_t columns)
{
    return nn_panels_floats(NN_WEIGHT_FLOAT, depth, columns);
}

/* Of one direction, packed. The weights' shapes were checked, so they exist, and packed they
 * are but a few columns wider: this cannot overflow. */
static int64_t w_floats(const struct recurrent *rec)
{
    return packed_floats(rec->inputs, rec->cell->gates * rec->hidden);
}

static int64_t joined_floats(const struct recurrent *rec)
{
    return packed_floats(rec->hidden, rec->cell->joined * rec->hidden);
}

static int64_t r_floats(const struct recurrent *rec)
{
    int64_t rest = (rec->cell->gates - rec->cell->joined) * rec->hidden;
    return joined_floats(rec) + packed_floats(rec->hidden, rest);
}

/* Floats of the workspace without packed weights; negative when that overflows. */
static int64_t workspace_floats(const struct recurrent *rec)
{
    int64_t width = rec->cell->gates * rec->hidden, rows, projected, states;
    if (__builtin_mul_overflow(rec->steps, rec->batch, &rows) ||
        __builtin_mul_overflow(rows, width, &projected) ||
        __builtin_mul_overflow(rec->batch, width + 3 * rec->hidden, &states) ||
        __builtin_add_overflow(rec->projected ? 0 : projected, states + width, &projected) ||
        projected > INT64_MAX / 8)
        return -1;
    return projected;
}

static int geometry(const struct nn_op_call *call, struct recurrent *ret_recurrent)
{
    struct recurrent rec = {.cell = call->op->variant};
    int r = nn_op_require_type(call, X, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    const struct nn_shape *x = &call->inputs[X].shape, *recurrence = &call->inputs[R].shape;
    if (x->rank != 3 || recurrence->rank != 3)
        return nn_op_fail(call, -EINVAL, "X and R have ranks %d and %d, not 3", x->rank,
                          recurrence->rank);
    int64_t layout = nn_op_int(call, "layout", 0);
    if (layout != 0 && layout != 1)
        return nn_op_fail(call, -EINVAL, "layout is %lld", (long long)layout);
    rec.batch_first = layout == 1;
    rec.steps = x->dim[layout];
    rec.batch = x->dim[1 - layout];
    rec.projected = call->projected;
    rec.inputs = call->projected ? call->inputs[W].shape.dim[2] : x->dim[2];
    rec.hidden = recurrence->dim[2];
    if (rec.hidden < 1 || rec.hidden > INT32_MAX / 4 ||
        nn_op_int(call, "hidden_size", rec.hidden) != rec.hidden)
        return nn_op_fail(call, -EINVAL, "hidden_size does not fit R with %lld columns",
                          (long long)rec.hidden);
    rec.input_forget = nn_op_int(call, "input_forget", 0) != 0;
    rec.linear_before_reset = nn_op_int(call, "linear_before_reset", 0) != 0;
    rec.clip = nn_op_float(call, "clip", 0);
    if (nn_op_has(call, "clip") && !(rec.clip > 0))
        return nn_op_fail(call, -EINVAL, "clip is %g, not positive", (double)rec.clip);
    r = read_direction(call, &rec);
    if (r == 0)
        r = read_functions(call, &rec);
    if (r == 0)
        r = check_inputs(call, &rec);
    if (r == 0 && workspace_floats(&rec) < 0)
        r = nn_op_fail(call, -E2BIG, "its sequence is too long");
    if (r == 0)
        *ret_recurrent = rec;
    return r;
}

static void set_output(struct nn_op_call *call, int index, struct nn_shape shape)
{
    if (!nn_op_wants_output(call, index))
        return;
    call->outputs[index].type = NN_TYPE_FLOAT;
    call->outputs[index].shape = shape;
}

static int recurrent_infer(struct nn_op_call *call)
{
    struct recurrent rec;
    int r = geometry(call, &rec);
    if (r < 0)
        return r;
    int64_t d = rec.directions, t = rec.steps, n = rec.batch, h = rec.hidden;
    struct nn_shape y = {.rank = 4, .dim = {t, d, n, h}}, state = {.rank = 3, .dim = {d, n, h}};
    if (rec.batch_first) {
        y = (struct nn_shape){.rank = 4, .dim = {n, t, d, h}};
        state = (struct nn_shape){.rank = 3, .dim = {n, d, h}};
    }
    set_output(call, Y, y);
    set_output(call, Y_H, state);
    set_output(call, Y_C, state);
    return 0;
}

/* weight (directions, gates·hidden, depth) to what w_floats counts, for each direction. */
static void pack_w(const struct recurrent *rec, const float *weight, float *out)
{
    int64_t width = rec->cell->gates * rec->hidden, depth = rec->inputs;
    for (int d = 0; d < rec->directions; d++, weight += width * depth, out += w_floats(rec))
        nn_panels_pack(&(struct nn_matrix){weight, depth, width, 1, depth}, NN_WEIGHT_FLOAT,
                       out, NULL);
}

/* The same to what r_floats counts. */
static void pack_r(const struct recurrent *rec, const float *weight, float *out)
{
    int64_t depth = rec->hidden, joined = rec->cell->joined * depth;
    int64_t rest = rec->cell->gates * depth - joined;
    for (int d = 0; d < rec->directions; d++, out += r_floats(rec)) {
        nn_panels_pack(&(struct nn_matrix){weight, depth, joined, 1, depth}, NN_WEIGHT_FLOAT,
                       out, NULL);
        weight += joined * depth;
        nn_panels_pack(&(struct nn_matrix){weight, depth, rest, 1, depth}, NN_WEIGHT_FLOAT,
                       out + joined_floats(rec), NULL);
        weight += rest * depth;
    }
}

static int recurrent_prepare(struct nn_op_call *call)
{
    struct recurrent *rec = nn_op_alloc(call, sizeof *rec);
    if (!rec)
        return -ENOMEM;
    int r = geometry(call, rec);
    if (r < 0)
        return r;
    int64_t w_all = rec->directions * w_floats(rec), r_all = rec->directions * r_floats(rec);
    int64_t floats = workspace_floats(rec);
    call->state = rec;
    if (nn_op_is_constant(call, W) && nn_op_is_constant(call, R)) {
        bool fill_w = false, fill_r;
        float *w = NULL, *recurrence = nn_op_weights(call, 1, (size_t)r_all, &fill_r);
        if (!rec->projected)
            w = nn_op_weights(call, 0, (size_t)w_all, &fill_w);
        if ((!w && !rec->projected) || !recurrence)
            return -ENOMEM;
        if (fill_w)
            pack_w(rec, call->inputs[W].data, w);
        if (fill_r)
            pack_r(rec, call->inputs[R].data, recurrence);
        rec->w = w;
        rec->r = recurrence;
        call->packed_inputs = 1u << W | 1u << R;
    } else {
        floats += w_all + r_all;
    }
    call->workspace_bytes = (size_t)floats * sizeof(float);
    return 0;
}

/* Running. */

static const float *input(const struct nn_op_call *call, int index)
{
    return nn_op_has_input(call, index) ? call->inputs[index].data : NULL;
}

static float *output(const struct nn_op_call *call, int index)
{
    return nn_op_wants_output(call, index) ? call->outputs[index].data : NULL;
}

/* Offset of one sequence's state in initial_h, Y_h and their like. */
static int64_t state_at(const struct recurrent *rec, int direction, int64_t sequence)
{
    int64_t row = rec->batch_first ? sequence * rec->directions + direction
                                   : direction * rec->batch + sequence;
    return row * rec->hidden;
}

/* Row of X that holds one step of one sequence. */
static int64_t row_at(const struct recurrent *rec, int64_t step, int64_t sequence)
{
    return rec->batch_first ? sequence * rec->steps + step : step * rec->batch + sequence;
}

static int64_t output_at(const struct recurrent *rec, int direction, int64_t step,
                         int64_t sequence)
{
    int64_t row = rec->batch_first
                      ? (sequence * rec->steps + step) * rec->directions + direction
                      : (step * rec->directions + direction) * rec->batch + sequence;
    return row * rec->hidden;
}

static int check_lengths(const struct nn_op_call *call, const struct recurrent *rec)
{
    if (!nn_op_has_input(call, SEQUENCE_LENS))
        return 0;
    const int32_t *lengths = call->inputs[SEQUENCE_LENS].data;
    for (int64_t s = 0; s < rec->batch; s++) {
        if (lengths[s] < 0 || lengths[s] > rec->steps)
            return nn_op_fail(call, -EINVAL, "sequence_lens has %d of %lld steps", lengths[s],
                              (long long)rec->steps);
    }
    return 0;
}

/* Wb + Rb; with linear_before_reset the last gate's Rb stays apart, the reset gate scales it.
 */
static void add_biases(const struct nn_op_call *call, const struct recurrent *rec,
                       int direction, struct run *run)
{
    int64_t width = rec->cell->gates * rec->hidden;
    if (!nn_op_has_input(call, B)) {
        memset(run->bias, 0, (size_t)width * sizeof *run->bias);
        run->reset_bias = NULL;
        return;
    }
    const float *wb = input(call, B) + direction * 2 * width, *rb = wb + width;
    size_t both = (size_t)(rec->linear_before_reset ? 2 * rec->hidden : width);
    memcpy(run->bias, wb, (size_t)width * sizeof *wb);
    run->k->add(run->bias, wb, rb, both);
    run->reset_bias = rb + width - rec->hidden;
}

/* All of X · Wᵀ of one direction. */
static void project(const struct nn_op_call *call, const struct recurrent *rec,
                    const struct run *run, float *out)
{
    int64_t width = rec->cell->gates * rec->hidden, rows = rec->steps * rec->batch;
    memset(out, 0, (size_t)(rows * width) * sizeof *out);
    nn_panels_multiply(run->k, &run->w, input(call, X), rows, rec->inputs, out, width);
}

/* The packed weights of a direction. */
static void find_weights(const struct recurrent *rec, int direction, const float *w,
                         const float *r, struct run *run)
{
    int64_t gates = rec->cell->gates, joined = rec->cell->joined;
    r += direction * r_floats(rec);
    run->r =
        (struct nn_panels){.depth = rec->hidden, .columns = joined * rec->hidden, .weight = r};
    run->rest = (struct nn_panels){.depth = rec->hidden,
                                   .columns = (gates - joined) * rec->hidden,
                                   .weight = r + joined_floats(rec)};
    if (!rec->projected)
        run->w = (struct nn_panels){.depth = rec->inputs,
                                    .columns = gates * rec->hidden,
                                    .weight = w + direction * w_floats(rec)};
}

static void load_state(const struct nn_op_call *call, const struct recurrent *rec,
                       int direction, int from, float *state)
{
    const float *initial = input(call, from);
    size_t bytes = (size_t)rec->hidden * sizeof *state;
    for (int64_t s = 0; s < rec->batch; s++, state += rec->hidden) {
        if (initial)
            memcpy(state, initial + state_at(rec, direction, s), bytes);
        else
            memset(state, 0, bytes);
    }
}

static void store_state(const struct nn_op_call *call, const struct recurrent *rec,
                        int direction, int to, const float *state)
{
    float *last = output(call, to);
    for (int64_t s = 0; last && s < rec->batch; s++, state += rec->hidden)
        memcpy(last + state_at(rec, direction, s), state, (size_t)rec->hidden * sizeof *state);
}

static void run_direction(const struct nn_op_call *call, const struct recurrent *rec,
                          int direction, const struct run *run)
{
    const int32_t *lengths =
        nn_op_has_input(call, SEQUENCE_LENS) ? call->inputs[SEQUENCE_LENS].data : NULL;
    bool reverse = direction == 1 || rec->first_reverse;
    int64_t width = rec->cell->gates * rec->hidden;
    float *y = output(call, Y);
    for (int64_t step = 0; step < rec->steps; step++) {
        for (int64_t s = 0; s < rec->batch; s++) {
            /* A sequence that has ended keeps its state; its gates are only along for the
             * product and must stay finite. */
            int64_t length = lengths ? lengths[s] : rec->steps;
            int64_t at = reverse ? length - 1 - step : step;
            float *gates = run->gates + s * width;
            if (step < length)
                memcpy(gates, run->projected + row_at(rec, at, s) * run->projected_step,
                       (size_t)width * sizeof *gates);
            else
                memset(gates, 0, (size_t)width * sizeof *gates);
        }
        rec->cell->multiply(rec, run, step);
        for (int64_t s = 0; s < rec->batch; s++) {
            int64_t length = lengths ? lengths[s] : rec->steps;
            int64_t at = reverse ? length - 1 - step : step;
            if (step >= length)
                continue;
            rec->cell->update(rec, run, s);
            if (y)
                memcpy(y + output_at(rec, direction, at, s), run->h + s * rec->hidden,
                       (size_t)rec->hidden * sizeof *y);
        }
    }
}

static int recurrent_forward(struct nn_op_call *call)
{
    const struct recurrent *rec = call->state;
    int r = check_lengths(call, rec);
    if (r < 0)
        return r;
    int64_t width = rec->cell->gates * rec->hidden, states = rec->batch * rec->hidden;
    float *product = call->workspace;
    struct run run = {.k = call->kernels, .projected = product, .projected_step = width};
    run.gates = product + (rec->projected ? 0 : rec->steps * rec->batch * width);
    run.h = run.gates + rec->batch * width;
    run.c = run.h + states;
    run.spare = run.c + states;
    run.bias = run.spare + states;
    const float *w = rec->w, *recurrence = rec->r;
    if (!recurrence) {
        float *packed = run.bias + width;
        pack_w(rec, input(call, W), packed);
        w = packed;
        packed += rec->directions * w_floats(rec);
        pack_r(rec, input(call, R), packed);
        recurrence = packed;
    }
    float *y = output(call, Y);
    /* Behind the end of a shorter sequence Y is zero. */
    if (y && nn_op_has_input(call, SEQUENCE_LENS))
        memset(y, 0, (size_t)(rec->steps * rec->directions * states) * sizeof *y);
    for (int direction = 0; direction < rec->directions; direction++) {
        const float *peepholes = input(call, P);
        run.functions = rec->functions[direction];
        find_weights(rec, direction, w, recurrence, &run);
        run.p = peepholes ? peepholes + direction * 3 * rec->hidden : NULL;
        add_biases(call, rec, direction, &run);
        if (rec->projected) {
            run.projected = input(call, X) + direction * width;
            run.projected_step = rec->directions * width;
        } else {
            project(call, rec, &run, product);
        }
        load_state(call, rec, direction, INITIAL_H, run.h);
        load_state(call, rec, direction, INITIAL_C, run.c);
        run_direction(call, rec, direction, &run);
        store_state(call, rec, direction, Y_H, run.h);
        store_state(call, rec, direction, Y_C, run.c);
    }
    return 0;
}

/* The gates' products with the input and with the state; a sequence counts as long as the
 * longest. */
static double recurrent_macs(const struct nn_op_call *call)
{
    struct recurrent rec;
    if (geometry(call, &rec) < 0)
        return 0;
    return (double)rec.steps * (double)rec.batch * rec.directions * rec.cell->gates *
           (double)rec.hidden * (double)(rec.inputs + rec.hidden);
}

/* Rows. */

#define COMMON_RULES                                                                           \
    {"activation_alpha", NN_ATTRIBUTE_FLOATS, 0, 0},                                           \
        {"activation_beta", NN_ATTRIBUTE_FLOATS, 0, 0},                                        \
        {"activations", NN_ATTRIBUTE_STRINGS, 0, 0}, {"clip", NN_ATTRIBUTE_FLOAT, 0, 0},       \
        {"direction", NN_ATTRIBUTE_STRING, 0, 0}, {"hidden_size", NN_ATTRIBUTE_INT, 0, 0},     \
        {"layout", NN_ATTRIBUTE_INT, 14, 0},                                                   \
    {                                                                                          \
        "output_sequence", NN_ATTRIBUTE_INT, 0, 6                                              \
    }

static const struct nn_attribute_rule lstm_attributes[] = {
    COMMON_RULES, {"input_forget", NN_ATTRIBUTE_INT, 0, 0}, {0}};
static const struct nn_attribute_rule gru_attributes[] = {
    COMMON_RULES, {"linear_before_reset", NN_ATTRIBUTE_INT, 3, 0}, {0}};
static const struct nn_attribute_rule rnn_attributes[] = {COMMON_RULES, {0}};

#define RECURRENT(row, op_type, cell, rules, inputs, outputs)                                  \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .variant = &cell,                                                                      \
        .min_inputs = 3,                                                                       \
        .max_inputs = inputs,                                                                  \
        .max_outputs = outputs,                                                                \
        .attributes = rules,                                                                   \
        .infer = recurrent_infer,                                                              \
        .prepare = recurrent_prepare,                                                          \
        .forward = recurrent_forward,                                                          \
        .macs = recurrent_macs,                                                                \
    }

RECURRENT(nn_op_gru, "GRU", gru_cell, gru_attributes, INITIAL_H + 1, 2);
RECURRENT(nn_op_lstm, "LSTM", lstm_cell, lstm_attributes, INPUTS, 3);
RECURRENT(nn_op_rnn, "RNN", rnn_cell, rnn_attributes, INITIAL_H + 1, 2);
