#include "nn/ops/dense.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ops/counts.h"

/* Slots of packed files. What was chosen is one of them, since who reads such a file cannot
 * measure: the float32 weights are not in it. */
enum { SLOT_FLOAT, SLOT_HALF, SLOT_INT8, SLOT_SCALE, SLOT_CHOICE };

/* Weights of a piece of a product of one row, and the columns from which there are no pieces:
 * then threads take columns. */
enum { PIECE = 1 << 18, MANY_COLUMNS = 512 };

/* What threads take of other products: outputs of one row (the kernels sum eight at a time, and
 * so in another order than one alone), columns of one row (whole pages), rows of many. */
enum { SHARE_OUTPUTS = 8, SHARE_COLUMNS = 256, SHARE_ROWS = 64 };

/* Fewer weights than fit into the second cache are not worth it. */
enum { LEAST_WEIGHTS = 1 << 18, LEAST_COLUMNS = 8, PROBES = 4 };

/* What the weights as they are make of the probes. */
struct probes {
    const struct nn_kernels *k;
    const struct nn_matrix *matrix;
    float *in, *want;      /* (PROBES, depth), (PROBES, columns) */
    float largest[PROBES]; /* |want| */
    void *panel;           /* (depth, NN_PANEL_COLUMNS) */
    float *scale;          /* (columns) */
};

static void probes_finish(struct probes *p)
{
    free(p->in);
    free(p->want);
    free(p->panel);
    free(p->scale);
}

static int probes_init(struct probes *p, const struct nn_kernels *k,
                       const struct nn_matrix *matrix)
{
    size_t depth = (size_t)matrix->depth, columns = (size_t)matrix->columns;
    bool transposed = matrix->depth_step == 1;
    *p = (struct probes){.k = k, .matrix = matrix};
    p->in = malloc(PROBES * depth * sizeof *p->in);
    p->want = malloc(PROBES * columns * sizeof *p->want);
    p->panel = aligned_alloc(64, depth * NN_PANEL_COLUMNS * sizeof(float));
    p->scale = malloc(columns * sizeof *p->scale);
    if (!p->in || !p->want || !p->panel || !p->scale)
        return -ENOMEM;
    uint32_t state = 1;
    for (size_t i = 0; i < PROBES * depth; i++) {
        state = state * 1664525u + 1013904223u;
        float in = (float)(state >> 8) * 0x1p-24f;
        p->in[i] = i < PROBES / 2 * depth ? in : 2 * in - 1;
    }
    k->gemm(&(struct nn_gemm){
        .m = PROBES,
        .n = columns,
        .k = depth,
        .transpose_b = transposed,
        .a = p->in,
        .b = matrix->values,
        .c = p->want,
        .a_step = depth,
        .b_step = (size_t)(transposed ? matrix->column_step : matrix->depth_step),
        .c_step = columns,
        .alpha = 1});
    for (int i = 0; i < PROBES; i++)
        for (size_t j = 0; j < columns; j++)
            p->largest[i] = fmaxf(p->largest[i], fabsf(p->want[(size_t)i * columns + j]));
    return 0;
}

/* The largest difference that storing in `format` makes, in units of the largest output. Over
 * `limit` it may be that of the first columns only. */
static double measure(struct probes *p, enum nn_weight_format format, double limit)
{
    const struct nn_matrix *m = p->matrix;
    double worst = 0;
    for (int64_t first = 0; first < m->columns && worst <= limit; first += NN_PANEL_COLUMNS) {
        int64_t left = m->columns - first;
        int64_t columns = left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS;
        const struct nn_matrix part = {.values = m->values + first * m->column_step,
                                       .depth = m->depth,
                                       .columns = columns,
                                       .depth_step = m->depth_step,
                                       .column_step = m->column_step};
        float got[PROBES * NN_PANEL_COLUMNS] = {0};
        nn_panels_pack(&part, format, p->panel, p->scale);
        const struct nn_panels stored = {.format = format,
                                         .depth = m->depth,
                                         .columns = columns,
                                         .weight = p->panel,
                                         .scale = p->scale};
        nn_panels_multiply(p->k, &stored, p->in, PROBES, m->depth, got, NN_PANEL_COLUMNS);
        for (int i = 0; i < PROBES; i++) {
            for (int64_t j = 0; j < columns; j++) {
                float want = p->want[i * m->columns + first + j];
                double off = fabs((double)got[i * NN_PANEL_COLUMNS + j] - want);
                if (!isfinite(off))
                    return INFINITY;
                worst = off > 0 ? fmax(worst, off / p->largest[i]) : worst;
            }
        }
    }
    return worst;
}

/* The format of a large matrix that one row meets, and what it costs in accuracy. */
static int choose(const struct nn_op_call *call, const struct nn_matrix *matrix,
                  enum nn_weight_format *ret_format, double *ret_error)
{
    static const enum nn_weight_format formats[] = {NN_WEIGHT_INT8, NN_WEIGHT_HALF};
    bool forced = call->precision == NN_PRECISION_INT8;
    struct probes probes;
    int r = probes_init(&probes, call->kernels, matrix);
    *ret_format = NN_WEIGHT_FLOAT;
    *ret_error = 0;
    for (int i = 0; r == 0 && i < (forced ? 1 : 2); i++) {
        double limit = forced ? INFINITY : NN_DENSE_ERROR;
        double error = measure(&probes, formats[i], limit);
        if (error <= limit && isfinite(error)) {
            *ret_format = formats[i];
            *ret_error = error;
            break;
        }
    }
    probes_finish(&probes);
    return r;
}

/* What was chosen: by measuring, or long ago by who wrote the packed file. */
static int find_choice(struct nn_op_call *call, const struct nn_matrix *matrix,
                       enum nn_weight_format *ret_format)
{
    bool fill;
    float *choice = nn_op_weights(call, SLOT_CHOICE, 2, &fill);
    if (!choice)
        return -ENOMEM;
    if (fill) {
        enum nn_weight_format format;
        double error;
        int r = choose(call, matrix, &format, &error);
        if (r < 0)
            return r;
        choice[0] = (float)format;
        choice[1] = (float)error;
    }
    *ret_format = choice[0] == (float)NN_WEIGHT_INT8   ? NN_WEIGHT_INT8
                  : choice[0] == (float)NN_WEIGHT_HALF ? NN_WEIGHT_HALF
                                                       : NN_WEIGHT_FLOAT;
    call->weight_error = (double)choice[1];
    return 0;
}

static int store(struct nn_op_call *call, const struct nn_matrix *matrix,
                 enum nn_weight_format format, struct nn_panels *ret_panels)
{
    static const int slots[] = {[NN_WEIGHT_FLOAT] = SLOT_FLOAT,
                                [NN_WEIGHT_HALF] = SLOT_HALF,
                                [NN_WEIGHT_INT8] = SLOT_INT8};
    int64_t floats = nn_panels_floats(format, matrix->depth, matrix->columns);
    bool fill, fill_scale = false;
    float *scale = NULL;
    float *weight =
        floats >= 0 ? nn_op_weights(call, slots[format], (size_t)floats, &fill) : NULL;
    if (weight && format != NN_WEIGHT_FLOAT)
        scale = nn_op_weights(call, SLOT_SCALE, (size_t)matrix->columns, &fill_scale);
    if (!weight || (format != NN_WEIGHT_FLOAT && !scale))
        return -ENOMEM;
    if (fill)
        nn_panels_pack(matrix, format, weight, scale);
    *ret_panels = (struct nn_panels){.format = format,
                                     .depth = matrix->depth,
                                     .columns = matrix->columns,
                                     .weight = weight,
                                     .scale = scale};
    call->packed_inputs |= 1u << 1;
    return 0;
}

/* A run prepares a node whose shapes it alone knows: packed, for more rows, are the weights
 * then, even if this run has one. */
static bool is_packed_already(const struct nn_op_call *call)
{
    return !call->constants && call->kept && call->kept[SLOT_FLOAT].data;
}

int nn_dense_prepare(struct nn_op_call *call, const struct nn_matrix *matrix, int64_t rows,
                     struct nn_panels *ret_panels)
{
    *ret_panels = (struct nn_panels){.format = NN_WEIGHT_FLOAT};
    /* What is computed once, to be a constant itself, is not worth packing. */
    bool once = !call->constants && !call->kept;
    if (once || !nn_op_is_constant(call, 1) || matrix->depth < 1 ||
        matrix->columns < LEAST_COLUMNS || rows < 1)
        return 0;
    enum nn_weight_format format = NN_WEIGHT_FLOAT;
    if (rows > 1 || is_packed_already(call)) {
        call->method = "packed weights";
        return store(call, matrix, format, ret_panels);
    }
    if (call->precision == NN_PRECISION_FP32 || matrix->depth * matrix->columns < LEAST_WEIGHTS)
        return 0;
    int r = find_choice(call, matrix, &format);
    if (r < 0 || format == NN_WEIGHT_FLOAT)
        return r;
    call->method = format == NN_WEIGHT_INT8 ? "weights of 8 bits" : "weights of 16 bits";
    return store(call, matrix, format, ret_panels);
}

/* Products of each sum that are a piece; all of them where there are no pieces. Late nodes have
 * none: fewer rows must not need more scratch. */
static int64_t piece_depth(const struct nn_op_call *call, const struct nn_panels *stored,
                           const struct nn_gemm *g)
{
    bool by_outputs = !stored->weight && g->transpose_b;
    if (call->kept || g->m != 1 || g->n == 0 || g->n >= MANY_COLUMNS || by_outputs ||
        g->alpha != 1)
        return (int64_t)g->k;
    int64_t depth = PIECE / (int64_t)g->n / NN_PANEL_DEPTH * NN_PANEL_DEPTH;
    return depth < (int64_t)g->k ? depth : (int64_t)g->k;
}

size_t nn_dense_workspace_bytes(const struct nn_op_call *call, const struct nn_panels *stored,
                                const struct nn_gemm *g)
{
    int64_t pieces = nn_count_pieces((int64_t)g->k, piece_depth(call, stored, g));
    return pieces > 1 ? (size_t)pieces * g->n * sizeof(float) : 0;
}

/* A product that threads share. */
struct product {
    const struct nn_kernels *k;
    const struct nn_panels *stored;
    const struct nn_gemm *g;
    int64_t piece;  /* depth of one */
    float *partial; /* (pieces, n) */
};

static void multiply_pieces(void *data, int64_t first, int64_t end, int thread)
{
    const struct product *p = data;
    const struct nn_gemm *g = p->g;
    int64_t panels = p->stored->weight ? nn_panels_count(p->stored) : 1;
    (void)thread;
    for (; first < end; first++) {
        int64_t start = first / panels * p->piece, panel = first % panels;
        int64_t left = (int64_t)g->k - start, depth = left < p->piece ? left : p->piece;
        float *to = p->partial + first / panels * (int64_t)g->n;
        if (!p->stored->weight) {
            struct nn_gemm part = *g;
            part.a += start;
            part.b += start * (int64_t)g->b_step;
            part.c = to;
            part.k = (size_t)depth;
            part.beta = 0;
            p->k->gemm(&part);
            continue;
        }
        int64_t column = panel * NN_PANEL_COLUMNS, columns = (int64_t)g->n - column;
        columns = columns < NN_PANEL_COLUMNS ? columns : NN_PANEL_COLUMNS;
        memset(to + column, 0, (size_t)columns * sizeof *to);
        nn_panels_multiply_piece(p->k, p->stored,
                                 &(struct nn_panels_piece){panel, start, start + depth}, g->a,
                                 1, 0, to, 0);
    }
}

/* Blocks of rows, panel by panel. */
static void multiply_panels(void *data, int64_t first, int64_t end, int thread)
{
    const struct product *p = data;
    const struct nn_gemm *g = p->g;
    int64_t blocks = nn_count_pieces((int64_t)g->m, SHARE_ROWS);
    (void)thread;
    for (; first < end; first++) {
        int64_t row = first % blocks * SHARE_ROWS, left = (int64_t)g->m - row;
        nn_panels_multiply_piece(
            p->k, p->stored,
            &(struct nn_panels_piece){.panel = first / blocks, .end = (int64_t)g->k},
            g->a + row * (int64_t)g->k, left < SHARE_ROWS ? left : SHARE_ROWS, (int64_t)g->k,
            g->c + row * (int64_t)g->n, (int64_t)g->n);
    }
}

/* Outputs of one row. */
static void multiply_outputs(void *data, int64_t first, int64_t end, int thread)
{
    const struct product *p = data;
    struct nn_gemm g = *p->g;
    int64_t each = g.transpose_b ? SHARE_OUTPUTS : SHARE_COLUMNS, n = (int64_t)g.n;
    (void)thread;
    first *= each;
    end = end * each < n ? end * each : n;
    g.b += first * (g.transpose_b ? (int64_t)g.b_step : 1);
    g.c += first;
    g.n = (size_t)(end - first);
    p->k->gemm(&g);
}

static void scale(const struct nn_kernels *k, const struct nn_gemm *g)
{
    if (g->beta == 0)
        memset(g->c, 0, g->m * g->n * sizeof *g->c);
    else if (g->beta != 1)
        k->affine(g->c, g->c, g->beta, 0, g->m * g->n);
}

void nn_dense_multiply(const struct nn_op_call *call, const struct nn_panels *stored,
                       const struct nn_gemm *g)
{
    struct product p = {.k = call->kernels,
                        .stored = stored,
                        .g = g,
                        .piece = piece_depth(call, stored, g),
                        .partial = call->workspace};
    double cost = (double)g->m * (double)g->n * (double)g->k;
    int64_t pieces = nn_count_pieces((int64_t)g->k, p.piece);
    if (g->m == 0 || g->n == 0)
        return;
    if (stored->weight || g->k == 0 || pieces > 1)
        scale(p.k, g);
    if (pieces > 1) {
        int64_t panels = stored->weight ? nn_panels_count(stored) : 1;
        nn_op_parallel(call, pieces * panels, cost, multiply_pieces, &p);
        for (int64_t i = 0; i < pieces; i++)
            p.k->add(g->c, g->c, p.partial + i * (int64_t)g->n, g->n);
    } else if (stored->weight) {
        int64_t blocks = nn_count_pieces((int64_t)g->m, SHARE_ROWS);
        nn_op_parallel(call, blocks * nn_panels_count(stored), cost, multiply_panels, &p);
    } else if (g->k > 0 && g->m == 1 && g->alpha == 1) {
        int64_t each = g->transpose_b ? SHARE_OUTPUTS : SHARE_COLUMNS;
        nn_op_parallel(call, nn_count_pieces((int64_t)g->n, each), cost, multiply_outputs, &p);
    } else if (g->k > 0) {
        p.k->gemm(g);
    }
}
