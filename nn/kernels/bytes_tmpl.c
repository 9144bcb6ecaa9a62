/* The body of the vector tables of nn/kernels/bytes.h, included at the end of bytes_avx2.c and
 * bytes_avx512.c. What differs between instruction sets is their vocabulary: `ints` and
 * `floats`, LANES of each in a vector, i_dot, ... and the shapes of the register tiles. Tails
 * are handled with partial loads and stores of the same formulas. */
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before loops whose arrays are to live in registers. */
#define UNROLL _Pragma("GCC unroll 16")

/* Four weights, in every lane. */
ALWAYS_INLINE ints set_quad(const void *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return i_set(quad);
}

/* Tiles. */

/* Sums of all rows at vectors · LANES positions; `last` lanes count in the last vector. */
ALWAYS_INLINE void tile_block(const size_t vectors, size_t last, const struct nn_byte_tile *t,
                              size_t first)
{
    ints sum[BYTE_TILE_ROWS][BYTE_TILE_VECTORS];
    UNROLL for (size_t r = 0; r < BYTE_TILE_ROWS; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = i_set(0);
    }
    const int8_t *weight = t->weight;
    for (size_t at = 0; at < t->taps; at++, weight += 4 * BYTE_TILE_ROWS) {
        const uint8_t *from = t->x + (t->offset[at] + (ptrdiff_t)first) * 4;
        ints in[BYTE_TILE_VECTORS];
        UNROLL for (size_t v = 0; v + 1 < vectors; v++) in[v] = i_load(from + v * LANES * 4);
        in[vectors - 1] = last == LANES ? i_load(from + (vectors - 1) * LANES * 4)
                                        : i_load_part(from + (vectors - 1) * LANES * 4, last);
        UNROLL for (size_t r = 0; r < BYTE_TILE_ROWS; r++)
        {
            ints w = set_quad(weight + 4 * r);
            UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = i_dot(sum[r][v], in[v], w);
        }
    }
    UNROLL for (size_t r = 0; r < BYTE_TILE_ROWS; r++)
    {
        int32_t *to = t->y + r * t->y_step + first;
        UNROLL for (size_t v = 0; v + 1 < vectors; v++) i_store(to + v * LANES, sum[r][v]);
        if (last == LANES)
            i_store(to + (vectors - 1) * LANES, sum[r][vectors - 1]);
        else
            i_store_part(to + (vectors - 1) * LANES, sum[r][vectors - 1], last);
    }
}

static void byte_tile(const struct nn_byte_tile *t)
{
    size_t at = 0;
    for (; at + BYTE_TILE_VECTORS * LANES <= t->n; at += BYTE_TILE_VECTORS * LANES)
        tile_block(BYTE_TILE_VECTORS, LANES, t, at);
#if BYTE_TILE_VECTORS > 2
    if (t->n - at > 2 * LANES) {
        tile_block(3, t->n - at - 2 * LANES, t, at);
        return;
    }
#endif
    if (t->n - at > LANES)
        tile_block(2, t->n - at - LANES, t, at);
    else if (t->n > at)
        tile_block(1, t->n - at, t, at);
}

/* Panels. */

/* `rows` rows by vectors · LANES columns from `first` on, the last of which may be no more than
 * room behind the panel's. */
ALWAYS_INLINE void panel_block(const size_t rows, const size_t vectors,
                               const struct nn_byte_panel *p, size_t row, size_t first,
                               size_t width)
{
    ints sum[BYTE_PANEL_ROWS][BYTE_PANEL_VECTORS];
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = i_set(0);
    }
    const int8_t *weight = p->weight + 4 * first;
    const uint8_t *x = p->x + row * p->x_step;
    for (size_t q = 0; q < p->quads; q++, weight += 4 * width) {
        ints in[BYTE_PANEL_VECTORS];
        UNROLL for (size_t v = 0; v < vectors; v++) in[v] = i_load(weight + 4 * v * LANES);
        UNROLL for (size_t r = 0; r < rows; r++)
        {
            ints quad = set_quad(x + r * p->x_step + 4 * q);
            UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] =
                i_dot(sum[r][v], quad, in[v]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++)
        {
            size_t at = first + v * LANES;
            int32_t *to = p->y + (row + r) * p->y_step + at;
            if (at + LANES <= p->columns)
                i_store(to, sum[r][v]);
            else if (at < p->columns)
                i_store_part(to, sum[r][v], p->columns - at);
        }
    }
}

ALWAYS_INLINE void panel_rows(const size_t rows, const struct nn_byte_panel *p, size_t row)
{
    size_t width = (p->columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP, at = 0;
    for (; at + BYTE_PANEL_VECTORS * LANES <= width; at += BYTE_PANEL_VECTORS * LANES)
        panel_block(rows, BYTE_PANEL_VECTORS, p, row, at, width);
    for (; at < width; at += LANES)
        panel_block(rows, 1, p, row, at, width);
}

static void byte_panel(const struct nn_byte_panel *p)
{
    size_t row = 0;
    for (; row + BYTE_PANEL_ROWS <= p->rows; row += BYTE_PANEL_ROWS)
        panel_rows(BYTE_PANEL_ROWS, p, row);
    for (; row < p->rows; row++)
        panel_rows(1, p, row);
}

/* Depthwise. */

/* What a block of outputs shares, known to the compiler. */
struct window {
    size_t lines, quads, stride;
};

/* `rows` rows of outputs, LANES columns or the `n` there are, from column `at` on. Each line of
 * inputs is made quads of once, for all rows whose windows it is in. */
ALWAYS_INLINE void window_block(const struct window w, const size_t rows,
                                const struct nn_byte_depthwise *d, size_t row, size_t at,
                                const size_t n)
{
    ints sum[BYTE_WINDOW_ROWS];
    UNROLL for (size_t r = 0; r < rows; r++) sum[r] = i_set(0);
    const uint8_t *x = d->x + row * w.stride * d->x_step + at * w.stride;
    UNROLL for (size_t line = 0; line < (rows - 1) * w.stride + w.lines; line++)
    {
        UNROLL for (size_t q = 0; q < w.quads; q++)
        {
            ints columns =
                i_load_columns(x + line * d->x_step + 4 * q, w.stride, (n - 1) * w.stride + 4);
            UNROLL for (size_t r = 0; r < rows; r++)
            {
                if (line < r * w.stride || line - r * w.stride >= w.lines)
                    continue;
                size_t k = line - r * w.stride;
                sum[r] = i_dot(sum[r], columns, set_quad(d->weight + (k * w.quads + q) * 4));
            }
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        int32_t *to = d->y + (row + r) * d->columns + at;
        if (n == LANES)
            i_store(to, sum[r]);
        else
            i_store_part(to, sum[r], n);
    }
}

ALWAYS_INLINE void window_rows(const struct window w, const size_t rows,
                               const struct nn_byte_depthwise *d, size_t row)
{
    size_t at = 0;
    for (; at + LANES <= d->columns; at += LANES)
        window_block(w, rows, d, row, at, LANES);
    if (at < d->columns)
        window_block(w, rows, d, row, at, d->columns - at);
}

ALWAYS_INLINE void windows(const struct window w, const struct nn_byte_depthwise *d)
{
    size_t row = 0;
    for (; row + BYTE_WINDOW_ROWS <= d->rows; row += BYTE_WINDOW_ROWS)
        window_rows(w, BYTE_WINDOW_ROWS, d, row);
    for (; row < d->rows; row++)
        window_rows(w, 1, d, row);
}

static void byte_depthwise(const struct nn_byte_depthwise *d)
{
    const struct window own = {d->lines, d->quads, d->stride == 1 ? 1 : 2};
    if (own.lines == 3 && own.quads == 1 && own.stride == 1)
        windows((struct window){3, 1, 1}, d);
    else if (own.lines == 3 && own.quads == 1)
        windows((struct window){3, 1, 2}, d);
    else if (own.lines == 5 && own.quads == 2 && own.stride == 1)
        windows((struct window){5, 2, 1}, d);
    else if (own.lines == 5 && own.quads == 2)
        windows((struct window){5, 2, 2}, d);
    else
        windows(own, d);
}

/* From sums to results. */

ALWAYS_INLINE ints rounded(floats value, floats low, floats high, ints zero)
{
    return i_add(i_round(f_min(f_max(value, low), high)), zero);
}

static void byte_copy(uint8_t *y, size_t y_step, const uint8_t *x, size_t x_step, uint8_t flip,
                      size_t rows, size_t n)
{
    const ints flips = i_set8(flip);
    for (size_t r = 0; r < rows; r++, y += y_step, x += x_step) {
        size_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES)
            i_store(y + i, i_xor(i_load(x + i), flips));
        if (i < n)
            i_store_bytes(y + i, i_xor(i_load_bytes(x + i, n - i), flips), n - i);
    }
}

static void byte_interleave(uint8_t *y, const uint8_t *const x[4], uint8_t flip, size_t n)
{
    const ints flips = i_set8(flip);
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        ints quads = i_set(0);
        UNROLL for (int k = 3; k >= 0; k--) quads =
            i_or(i_shift_bytes(quads), i_widen(x[k] + i, part));
        quads = i_xor(quads, flips);
        if (part == LANES)
            i_store(y + 4 * i, quads);
        else
            i_store_part(y + 4 * i, quads, part);
    }
}

ALWAYS_INLINE floats end_value(const struct nn_byte_end *e, const bool each, size_t i,
                               size_t part)
{
    ints sum = part == LANES ? i_load(e->sum + i) : i_load_part(e->sum + i, part);
    ints start = i_set(*e->start);
    floats scale = f_set(*e->scale), shift = f_set(*e->shift);
    if (each) {
        start = i_load_part(e->start + i, part);
        scale = f_load_part(e->scale + i, part);
        shift = f_load_part(e->shift + i, part);
    }
    return f_fma(f_from(i_add(sum, start)), scale, shift);
}

/* Four vectors at a time: saturated to 16 bits, zero added, to 8 bits, clamped there. What is
 * no number is converted to the least one, as beyond the other end would be, which therefore is
 * cut before. int8 results are 128 more on the way, so that all are unsigned. */
ALWAYS_INLINE void end_all(uint8_t *y, const struct nn_byte_end *e, const bool each)
{
    const floats low = f_set(e->low), high = f_set(e->high);
    const ints zero = i_set(e->zero);
    const int32_t least = (int32_t)e->low + e->zero, shift = least < 0 ? 128 : 0;
    const struct packing packing = {
        .zero = i_set16((int16_t)(e->zero + shift)),
        .low = i_set8((uint8_t)(least + shift)),
        .high = i_set8((uint8_t)((int32_t)e->high + e->zero + shift)),
        .flip = i_set8((uint8_t)shift),
    };
    size_t i = 0;
    for (; i + 4 * LANES <= e->n; i += 4 * LANES) {
        ints whole[4];
        UNROLL for (size_t v = 0; v < 4; v++)
        {
            floats value = end_value(e, each, i + v * LANES, LANES);
            whole[v] = i_round(f_min(f_set(INT16_MAX), value));
        }
        i_store(y + i, i_pack(whole, &packing));
    }
    for (; i < e->n; i += LANES) {
        size_t part = e->n - i < LANES ? e->n - i : LANES;
        store_bytes(y + i, rounded(end_value(e, each, i, part), low, high, zero), part);
    }
}

static void byte_end(uint8_t *y, const struct nn_byte_end *e)
{
    if (e->each)
        end_all(y, e, true);
    else
        end_all(y, e, false);
}

static void byte_end_floats(float *y, const struct nn_byte_end *e)
{
    for (size_t i = 0; i < e->n; i += LANES) {
        size_t part = e->n - i < LANES ? e->n - i : LANES;
        f_store_part(y + i, end_value(e, e->each, i, part), part);
    }
}

/* Between bytes and floats. */

static void byte_add(uint8_t *y, const struct nn_byte_add *s)
{
    const floats low = f_set(s->low), high = f_set(s->high), shift = f_set(s->shift);
    const floats a_scale = f_set(s->scale[0]), b_scale = f_set(s->scale[1]);
    const ints zero = i_set(s->zero), a_flip = i_set(s->flip[0]), b_flip = i_set(s->flip[1]);
    for (size_t i = 0; i < s->n; i += LANES) {
        size_t part = s->n - i < LANES ? s->n - i : LANES;
        floats a = f_from(i_xor(i_widen(s->a + i, part), a_flip));
        floats b = f_from(i_xor(i_widen(s->b + i, part), b_flip));
        floats value = f_fma(a, a_scale, f_fma(b, b_scale, shift));
        store_bytes(y + i, rounded(value, low, high, zero), part);
    }
}

/* 4 · LANES maxima from `at` on, of which `n` are there. */
ALWAYS_INLINE ints tap_max_block(const uint8_t *x, const int32_t *offset, size_t taps,
                                 size_t at, const size_t n)
{
    ints max = i_set(0);
    for (size_t t = 0; t < taps; t++) {
        const uint8_t *from = x + offset[t] + (ptrdiff_t)at;
        max = i_max_bytes(max, n == 4 * LANES ? i_load(from) : i_load_bytes(from, n));
    }
    return max;
}

static void byte_tap_max(uint8_t *y, const uint8_t *x, const int32_t *offset, size_t taps,
                         size_t n)
{
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        i_store(y + i, tap_max_block(x, offset, taps, i, 4 * LANES));
    if (i < n)
        i_store_bytes(y + i, tap_max_block(x, offset, taps, i, n - i), n - i);
}

static void byte_max_2x2(uint8_t *y, const uint8_t *a, const uint8_t *b, uint8_t flip, size_t n)
{
    const ints flips = i_set8(flip);
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        ints max =
            i_max_bytes(i_xor(i_load(a + 2 * i), flips), i_xor(i_load(b + 2 * i), flips));
        store_max_of_pairs(y + i, max, flips);
    }
    for (; i < n; i++) {
        const uint8_t values[] = {a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]};
        uint8_t max = 0;
        for (size_t j = 0; j < 4; j++)
            max = (values[j] ^ flip) > max ? values[j] ^ flip : max;
        y[i] = max ^ flip;
    }
}

static void byte_quantize(uint8_t *y, const float *x, float scale, float low, float high,
                          int32_t zero, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        floats value = f_div(f_load_part(x + i, part), f_set(scale));
        store_bytes(y + i, rounded(value, f_set(low), f_set(high), i_set(zero)), part);
    }
}

static void byte_dequantize(float *y, const uint8_t *x, uint8_t flip, int32_t zero, float scale,
                            size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        ints value = i_add(i_xor(i_widen(x + i, part), i_set(flip)), i_set(-zero));
        f_store_part(y + i, f_mul(f_from(value), f_set(scale)), part);
    }
}

const struct nn_byte_kernels BYTE_TABLE = {
    .name = BYTE_TABLE_NAME,
    .tile_rows = BYTE_TILE_ROWS,
    .tile_width = BYTE_TILE_VECTORS * LANES,
    .tile = byte_tile,
    .panel = byte_panel,
    .depthwise = byte_depthwise,
    .copy = byte_copy,
    .interleave = byte_interleave,
    .end = byte_end,
    .end_floats = byte_end_floats,
    .add = byte_add,
    .tap_max = byte_tap_max,
    .max_2x2 = byte_max_2x2,
    .quantize = byte_quantize,
    .dequantize = byte_dequantize,
};
