/* QLinearMatMul, MatMulInteger, and the products of 8-bit integers that the planner makes of a
 * MatMul or Gemm between DequantizeLinear and QuantizeLinear (nn/qdq.c).
 *
 * The matrix is cut into panels (nn/kernels/bytes.h), once where it is constant. Rows are
 * copied, a few at a time, to where quads of them are whole; weights of several parts meet each
 * row several times over. */
#include <errno.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/ops/bytes.h"
#include "nn/ops/matmul.h"

enum { ROWS = 32 }; /* that meet a panel before the next one is read */

enum { SLOT_WEIGHT, SLOT_SUMS };

struct product {
    struct nn_matmul shape;
    bool transposed; /* the matrix is (n, k): Gemm's transB */
    int parts;
    bool constant;
    bool own_rows;        /* rows have scales or zero points of their own */
    int64_t quads;        /* of a row, with all parts */
    int64_t padded;       /* columns as they lie in panels */
    const int8_t *packed; /* NULL when weights are computed at run time */
    const int32_t *sums;  /* (n) */
    size_t rows_at, sums_at, results_at, packed_at, packed_sums_at; /* in the workspace */
};

static int geometry(const struct nn_op_call *call, struct product *ret_product,
                    struct nn_shape *ret_shape)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    struct product p = {.transposed = roles->planned && nn_op_int(call, "transB", 0) != 0};
    int r = 0;
    if (p.transposed) {
        const struct nn_shape *a = &call->inputs[roles->x].shape,
                              *b = &call->inputs[roles->w].shape;
        p.shape = (struct nn_matmul){.m = a->dim[0], .k = a->dim[1], .n = b->dim[0]};
        *ret_shape = (struct nn_shape){.rank = 2, .dim = {p.shape.m, p.shape.n}};
    } else {
        r = nn_matmul_init(call, roles->x, roles->w, &p.shape, ret_shape);
    }
    int64_t bytes;
    p.padded = (p.shape.n + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
    if (r == 0 &&
        (__builtin_mul_overflow((p.shape.k + 3) / 4 * 4 * NN_BYTE_PARTS, p.padded, &bytes) ||
         bytes > INT32_MAX))
        r = nn_op_fail(call, -E2BIG, "a matrix of %lldx%lld is too large", (long long)p.shape.k,
                       (long long)p.shape.n);
    if (r == 0)
        *ret_product = p;
    return r;
}

static int infer(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    struct product p = {.parts = 1};
    int r = geometry(call, &p, &call->outputs[0].shape);
    if (r < 0)
        return r;
    bool matrix = call->inputs[roles->x].shape.rank == 2;
    return nn_byte_infer(call, roles, matrix ? p.shape.m : 0, p.shape.n);
}

/* pack, of weights that are their bytes as they stand. */
static void pack_plain(const struct product *p, const uint8_t *w, uint8_t flip, int8_t *packed,
                       int32_t *sums)
{
    const int64_t k = p->shape.k, n = p->shape.n, padded = p->padded, rows = 4 * p->quads;
    const int64_t down = p->transposed ? 1 : n, along = p->transposed ? k : 1;
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t first = 0; first < padded; first += NN_PANEL_COLUMNS) {
        int64_t end = first + NN_PANEL_COLUMNS < padded ? first + NN_PANEL_COLUMNS : padded;
        for (int64_t at = 0; at < rows; at += 4) {
            for (int64_t j = first; j < end; j++) {
                for (int64_t d = at; d < at + 4; d++) {
                    bool there = d < k && j < n;
                    int8_t weight =
                        there ? (int8_t)(w[d * down + j * along] ^ flip) : (int8_t)0;
                    if (there)
                        sums[j] += weight; /* at most 2^31 / 4 weights of at most 2^7 */
                    *packed++ = weight;
                }
            }
        }
    }
}

/* The matrix that begins at element `from` of the weight. */
static void pack(const struct nn_op_call *call, const struct product *p, int64_t from,
                 int8_t *packed, int32_t *sums)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    uint8_t flip;
    if (nn_byte_is_plain(call, roles, &flip)) {
        pack_plain(p, (const uint8_t *)call->inputs[roles->w].data + from, flip, packed, sums);
        return;
    }
    int64_t k = p->shape.k, n = p->shape.n;
    int64_t down = p->transposed ? 1 : n, along = p->transposed ? k : 1;
    int64_t each = 4 * p->quads / p->parts; /* rows of one part */
    for (int64_t j = 0; j < n; j++)
        sums[j] = 0;
    for (int64_t first = 0; first < p->padded; first += NN_PANEL_COLUMNS) {
        int64_t left = p->padded - first;
        int64_t width = left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS;
        for (int64_t at = 0; at < 4 * p->quads; at += 4) {
            for (int64_t j = first; j < first + width; j++) {
                for (int64_t d = at % each; d < at % each + 4; d++) {
                    int weight = d < k && j < n ? nn_byte_weight(call, roles,
                                                                 from + d * down + j * along, j)
                                                : 0;
                    if (at < each && j < n)
                        sums[j] = (int32_t)((uint32_t)sums[j] + (uint32_t)weight);
                    *packed++ = nn_byte_part(weight, (int)(at / each));
                }
            }
        }
    }
}

static size_t packed_bytes(const struct product *p)
{
    return (size_t)(4 * p->quads * p->padded);
}

/* Of a batch of matrices each is packed when its turn comes. */
static int prepare_weights(struct nn_op_call *call, struct product *p, size_t *workspace)
{
    if (!p->constant) {
        p->packed_at = *workspace;
        p->packed_sums_at = p->packed_at + nn_arena_aligned(packed_bytes(p));
        *workspace = p->packed_sums_at + nn_arena_aligned((size_t)p->shape.n * sizeof(int32_t));
        return 0;
    }
    bool fill, fill_sums;
    void *packed = nn_op_weights(call, SLOT_WEIGHT, packed_bytes(p) / sizeof(float), &fill);
    void *sums = packed ? nn_op_weights(call, SLOT_SUMS, (size_t)p->shape.n, &fill_sums) : NULL;
    if (!sums)
        return -ENOMEM;
    if (fill && fill_sums)
        pack(call, p, 0, packed, sums);
    p->packed = packed;
    p->sums = sums;
    call->packed_inputs = 1u << nn_byte_roles_of(call)->w;
    return 0;
}

static bool has_several(const struct nn_op_call *call, int input)
{
    return input >= 0 && nn_op_has_input(call, input) &&
           nn_shape_count(&call->inputs[input].shape) > 1;
}

static int prepare(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    struct product *p = nn_op_alloc(call, sizeof *p);
    struct nn_shape shape;
    if (!p)
        return -ENOMEM;
    call->state = p;
    call->method = "bytes";
    int r = geometry(call, p, &shape);
    if (r < 0)
        return r;
    p->parts = nn_byte_parts(call, roles, p->shape.n);
    p->constant = nn_byte_is_constant(call, roles) && p->shape.batch_rank == 0;
    p->own_rows = has_several(call, roles->x_scale) || has_several(call, roles->x_zero);
    p->quads = (p->shape.k + 3) / 4 * p->parts;
    size_t at = nn_arena_aligned((size_t)(ROWS * 4 * p->quads));
    p->sums_at = at;
    at += ROWS * NN_PANEL_COLUMNS * sizeof(int32_t);
    p->results_at = at;
    at += nn_byte_results_bytes(call, p->shape.n, NN_PANEL_COLUMNS);
    r = prepare_weights(call, p, &at);
    call->workspace_bytes = at;
    return r;
}

struct run {
    const struct nn_op_call *call;
    const struct product *p;
    struct nn_byte_results results;
    const int8_t *packed;
    const int32_t *sums;
    uint8_t flip;
};

static void *workspace(const struct run *run, size_t at)
{
    return (char *)run->call->workspace + at;
}

/* Rows to where quads of them are whole. Weights behind a row's end are zero, and so is it. */
static void copy_rows(const struct run *run, const uint8_t *x, int64_t rows)
{
    const struct product *p = run->p;
    int64_t each = 4 * p->quads / p->parts;
    uint8_t *to = workspace(run, p->rows_at);
    for (int64_t r = 0; r < rows; r++, x += p->shape.k) {
        for (int part = 0; part < p->parts; part++, to += each) {
            run->call->kernels->bytes->copy(to, 0, x, 0, run->flip, 1, (size_t)p->shape.k);
            memset(to + p->shape.k, 0, (size_t)(each - p->shape.k));
        }
    }
}

static void set_results(struct run *run, int64_t row)
{
    run->results =
        nn_byte_results_make(run->call, nn_byte_roles_of(run->call), run->sums, run->p->shape.n,
                             row, workspace(run, run->p->results_at));
}

/* y = x · W for up to ROWS rows; `first` is the number of the first one. */
static void multiply(struct run *run, int64_t first, int64_t rows, char *y)
{
    const struct product *p = run->p;
    size_t element = nn_type_size(run->call->outputs[0].type);
    int32_t *sums = workspace(run, p->sums_at);
    for (int64_t j = 0; j < p->shape.n; j += NN_PANEL_COLUMNS) {
        int64_t left = p->shape.n - j;
        size_t columns = (size_t)(left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS);
        run->call->kernels->bytes->panel(
            &(struct nn_byte_panel){.y = sums,
                                    .y_step = NN_PANEL_COLUMNS,
                                    .x = workspace(run, p->rows_at),
                                    .x_step = (size_t)(4 * p->quads),
                                    .weight = run->packed + 4 * p->quads * j,
                                    .rows = (size_t)rows,
                                    .quads = (size_t)p->quads,
                                    .columns = columns});
        for (int64_t r = 0; r < rows; r++) {
            if (p->own_rows)
                set_results(run, first + r);
            nn_byte_results_write(run->call, &run->results, j, true,
                                  sums + r * NN_PANEL_COLUMNS,
                                  y + (size_t)(r * p->shape.n + j) * element, columns);
        }
    }
}

static int forward(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    const struct product *p = call->state;
    const struct nn_matmul *s = &p->shape;
    struct run run = {.call = call,
                      .p = p,
                      .packed = p->packed,
                      .sums = p->sums,
                      .flip = nn_byte_flip(call, roles)};
    char *y = call->outputs[0].data;
    size_t row_bytes = (size_t)s->n * nn_type_size(call->outputs[0].type);
    for (int64_t i = 0; i < nn_matmul_count(s); i++, y += (size_t)s->m * row_bytes) {
        int64_t at[2];
        nn_matmul_at(s, i, at);
        if (!p->constant) {
            run.packed = workspace(&run, p->packed_at);
            run.sums = workspace(&run, p->packed_sums_at);
            pack(call, p, at[1], workspace(&run, p->packed_at),
                 workspace(&run, p->packed_sums_at));
        }
        set_results(&run, 0);
        const uint8_t *x = (const uint8_t *)call->inputs[roles->x].data + at[0];
        for (int64_t row = 0; row < s->m; row += ROWS) {
            int64_t rows = s->m - row < ROWS ? s->m - row : ROWS;
            copy_rows(&run, x + row * s->k, rows);
            multiply(&run, row, rows, y + (size_t)row * row_bytes);
        }
    }
    return 0;
}

static bool product_time(const struct nn_op_call *call, const int *in, int *out)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    if (has_several(call, roles->x_scale) || has_several(call, roles->x_zero))
        return false;
    return nn_matmul_time(call, roles->x, roles->w, in, out);
}

static double macs(const struct nn_op_call *call)
{
    const struct nn_shape *a = &call->inputs[nn_byte_roles_of(call)->x].shape;
    return (double)nn_shape_count(&call->outputs[0].shape) * (double)a->dim[a->rank - 1];
}

static const struct nn_byte_roles integer_roles = {NN_BYTE_INTEGER};
static const struct nn_byte_roles qlinear_roles = {NN_BYTE_QLINEAR, .bias = -1};
static const struct nn_byte_roles planned_roles = {NN_BYTE_QLINEAR, .bias = 8, .planned = true};

const struct nn_op nn_op_matmul_integer = {
    .name = "MatMulInteger",
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .variant = &integer_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = product_time,
    .macs = macs,
};

const struct nn_op nn_op_qlinear_matmul = {
    .name = "QLinearMatMul",
    .min_inputs = 8,
    .max_inputs = 8,
    .min_outputs = 1,
    .max_outputs = 1,
    .variant = &qlinear_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = product_time,
    .macs = macs,
};

const struct nn_op nn_op_product_bytes = {
    .name = "MatMul",
    .min_inputs = 4,
    .max_inputs = 9,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .variant = &planned_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = product_time,
    .macs = macs,
};
