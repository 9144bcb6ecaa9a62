#include "nn/ops/dense.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Slots of packed files. What was chosen is one of them, since who reads such a file cannot
 * measure: the float32 weights are not in it. */
enum { SLOT_FLOAT, SLOT_HALF, SLOT_INT8, SLOT_SCALE, SLOT_CHOICE };

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
