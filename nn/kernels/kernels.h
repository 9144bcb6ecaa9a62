/* The inner loops of the network: one constant table of functions per instruction set.
 *
 * The scalar table is the reference: plain loops, obviously right. The others compute the same
 * within rounding; tests/nn/test_kernels.c holds every function of every table against it, and
 * measures it.
 *
 * Convolution and pooling share one idea, the tap: an output is a sum (or maximum) over a few
 * inputs at fixed distances from it. nn/ops/spatial.h lays padded and strided inputs out so
 * that neighbouring outputs read neighbouring inputs for every tap; the loops here then know
 * nothing of pads, strides, dilations or the number of dimensions.
 *
 * Sums over taps and panels, sigmoid and tanh are computed in one order everywhere, each
 * product and sum rounded as one operation, so that these agree to the bit between tables. (The
 * scalar table rounds through double, which differs from that about once in 10^9.)
 *
 * Determinism: a result depends on the values and the counts only, never on the alignment of
 * a pointer or on the number of threads. NaN goes in, NaN comes out, but for the maxima of
 * windows (tap_max and what is said to be as it).
 *
 * Buffers: any alignment of floats. Where nothing else is said, y may be x (in place) but may
 * not overlap it otherwise. Counts may be 0.
 *
 * Thread: the tables are constant; any thread. No function here allocates, apart from the work
 * memory OpenBLAS keeps for itself at the first large product. */
#ifndef NN_KERNELS_KERNELS_H
#define NN_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nn_byte_kernels; /* nn/kernels/bytes.h */

/* C = alpha · op(A) · op(B) + beta · C, row-major, op(X) = X or its transpose. op(A) is m×k,
 * op(B) k×n. A step is the distance between rows as stored. With beta 0, C is only written.
 * No count or step over INT32_MAX. */
struct nn_gemm {
    size_t m, n, k;
    bool transpose_a, transpose_b;
    const float *a, *b;
    float *c;
    size_t a_step, b_step, c_step;
    float alpha, beta;
};

/* One channel of a depthwise convolution, 3×3 or 5×5, that moves by one or two:
 *     y[r][i] = min(high, max(low, bias + Σ weight[k][l] · x[r·stride + k - pad_top][...]))
 * with zeros outside x. Sums are those of the taps, to the bit. */
struct nn_depthwise {
    size_t kernel, stride;
    bool pool;      /* the maxima of 2×2 of these are written, each NaN among them left out */
    const float *x; /* (height, width) */
    ptrdiff_t height, width, pad_top, pad_left;
    const float *weight; /* (kernel, kernel) */
    float bias, low, high;
    size_t rows, columns; /* of outputs, before they are pooled */
    float *y;             /* (rows, columns); half of each, rounded down, if pooled */
};

/* Winograd's minimal filtering for windows of 3×3 that move by one: F(m×m, 3×3), m = 4 or 2. A
 * tile of (m + 2)² inputs gives m × m outputs:
 *
 *     input    Bᵀ d B of every tile and input channel
 *     product  for each of the (m + 2)² elements, weights (out × in) · tiles (in × n)
 *     output   Aᵀ p A of every tile and output channel, + bias, clamped, the maximum of 2×2
 *
 * with transformed weights G g Gᵀ (nn/ops/winograd.h). Tiles are numbered row by row; those
 * that are worked on together stand in strips of tile_width floats, one strip for each
 * element and channel.
 *
 * What a tile gives depends on its inputs and the weights only, not on its place in a strip,
 * on what stands beside it or on alignment; vector tables agree to the bit. It differs from
 * the sum over taps by rounding, at most 1e-5 of the largest output (measured: 4e-6 for m = 4,
 * 1e-6 for m = 2), and a NaN or infinity among a tile's inputs reaches all its outputs.
 *
 * Sources: Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2015); points of
 * interpolation after Alam et al.: Winograd Convolution for Deep Neural Networks: Efficient
 * Point Selection (2022). */
struct nn_winograd_input {
    size_t m;
    const float *x; /* (height, width), one channel */
    ptrdiff_t height, width;
    ptrdiff_t row, column; /* of the first tile's corner; outside the image there are zeros */
    size_t n;              /* tiles, m columns from one to the next */
    ptrdiff_t ahead;       /* floats from x to what is read next: a hint for the caches */
    float *v;              /* element e of tile i goes to v[e · v_step + i] */
    size_t v_step;
    size_t room; /* floats behind v that may be written for each element, at least n */
};

struct nn_winograd_output {
    size_t m;
    const float *p; /* element e of tile i is p[e · p_step + i] */
    size_t p_step;
    size_t n; /* reads whole vectors: what is behind may be anything, but must be there */
    /* Not NULL: p holds transformed inputs of `depth` channels instead, channel k of element e
     * in row e · depth + k, and the product Σ_k weight[e · depth + k] · p[...] is made here,
     * which spares memory where channels are few. */
    const float *weight;
    size_t depth;
    float bias, low, high; /* y = min(high, max(low, output + bias)); NaN stays NaN */
    bool pool;             /* y is the maximum of 2×2 of those */
    float *y;
    size_t y_step;        /* between rows */
    size_t rows, columns; /* of y to write, at most those of n tiles */
};

/* The same with channels for lanes, where rows of tiles are too short to fill vectors. A
 * position of an image is NN_PANEL_STEP floats, one of each channel; products are panels'
 * (below), a row for each tile. The bits of elements and outputs, but for those of the
 * products, are those of the functions above. */
struct nn_winograd_tiles_in {
    size_t m;
    const float *x; /* the first tile's corner; the next one's is m positions further */
    size_t x_step;  /* floats between rows of the image */
    size_t n;       /* tiles */
    float *v;       /* element e of tile i, channel k goes to v[e·v_step + i·tile_step + k] */
    size_t v_step, tile_step;
};

struct nn_winograd_tiles_out {
    size_t m;
    const float *p; /* element e of tile i, channel k is p[e·p_step + i·tile_step + k] */
    size_t p_step, tile_step;
    size_t n;
    const float *bias; /* of each channel */
    float low, high;   /* as in nn_winograd_output */
    bool pool;
    float *y; /* output (r, c), channel k: y[r·y_step + c·column_step + k] */
    size_t y_step, column_step; /* floats */
    size_t rows, columns;       /* to write: columns at least those of n - 1 tiles and one */
};

/* Weights as products with few rows read them: a matrix (depth, columns) cut into panels of
 * NN_PANEL_COLUMNS columns, which lie one behind the other, each row-major. The last panel is
 * as wide as its columns need, rounded up to NN_PANEL_STEP. */
enum { NN_PANEL_COLUMNS = 64, NN_PANEL_STEP = 16 };

/* Products of longer rows are added up in pieces of this many. */
enum { NN_PANEL_DEPTH = 128 };

enum nn_weight_format {
    NN_WEIGHT_FLOAT,
    NN_WEIGHT_HALF, /* IEEE half precision, times a scale per column */
    NN_WEIGHT_INT8, /* times a scale per column */
};

/* One panel and rows that meet it:
 *     y[r·y_step + j] += Σ_d x[r·x_step + d] · weight[d·width + j]
 * for `columns` j, width being columns rounded up to NN_PANEL_STEP. With a scale, each piece of
 * the sum is multiplied by scale[j] before it is added. y overlaps nothing. `fresh`: y held
 * nothing, sums start from 0. */
struct nn_panel {
    float *y;
    const float *x;
    const void *weight;
    const float *scale; /* NULL for NN_WEIGHT_FLOAT */
    enum nn_weight_format format;
    size_t rows, depth, columns;
    size_t x_step, y_step;
    bool fresh;
};

/* How a tile ends: its first `rows` rows are min(high, max(low, start + Σ)); NaN stays NaN. */
struct nn_tile_end {
    size_t rows;
    const float *bias; /* (rows): start; NULL: y is */
    float low, high;
};

/* The gradient of y = max_2x2(a, b), row by row: dy goes to the first of the four that is not
 * below y, in the order of the window, zeros to the others. `positive`: only where y > 0, as if a
 * ReLU stood before it. */
struct nn_max_gradient {
    const float *a, *b, *y, *dy;
    float *da, *db; /* as a and b: 2n */
    size_t n;
    bool positive;
};

struct nn_kernels {
    const char *name; /* "scalar", "avx2", "avx512", "avx512vnni", "neon" */

    void (*gemm)(const struct nn_gemm *g);

    /* Each row gets the same bits in whatever company it stands, and so does each column. */
    void (*panel)(const struct nn_panel *p);

    /* tile_rows outputs (channels) at n positions, sharing what they read; row r is
     *     Σ_t weight[t·tile_rows + r] · x[offset[t] + i]
     * at y[r·y_step + i], ended as `end` says. y overlaps nothing. */
    size_t tile_rows;
    void (*tile)(float *y, size_t y_step, const float *x, const int32_t *offset,
                 const float *weight, size_t taps, size_t n, const struct nn_tile_end *end);
    size_t registers;         /* of vectors that the processor has: what a way costs */
    size_t lanes, tile_width; /* floats worked on at once; positions that fill a tile */
    /* One output: y[i] += Σ_t weight[t] · x[offset[t] + i]. */
    void (*tap_sum)(float *y, const float *x, const int32_t *offset, const float *weight,
                    size_t taps, size_t n);
    /* y[i] = max_t x[offset[t] + i], -infinity without taps; NaN loses against any number. */
    void (*tap_max)(float *y, const float *x, const int32_t *offset, size_t taps, size_t n);
    /* y[i] = max(a[2i], a[2i+1], b[2i], b[2i+1]), as tap_max; not in place. */
    void (*max_2x2)(float *y, const float *a, const float *b, size_t n);
    /* The same of a, b and c at 2i, 2i+1 and 2i+2. */
    void (*max_3x3)(float *y, const float *a, const float *b, const float *c, size_t n);
    void (*depthwise)(const struct nn_depthwise *d); /* NULL in the scalar table */
    /* Winograd's transforms; NULL in the scalar table, which sums over taps. */
    void (*winograd_input)(const struct nn_winograd_input *in);
    /* c[r·c_step + i] = Σ_k a[k·tile_rows + r] · b[k·tile_width + i] for tile_rows rows and
     * i < n <= tile_width, added to c with `add`. Reads and writes whole vectors, up to
     * tile_width floats of a row. */
    void (*winograd_product)(float *c, size_t c_step, const float *a, const float *b,
                             size_t depth, size_t n, bool add);
    void (*winograd_output)(const struct nn_winograd_output *out);
    void (*winograd_tiles_in)(const struct nn_winograd_tiles_in *in);
    void (*winograd_tiles_out)(const struct nn_winograd_tiles_out *out);
    /* Of training: A y Aᵀ, the adjoint of the output's transform. Tiles are m × m, x is that of
     * the outputs' gradient and holds all of them. */
    void (*winograd_tiles_gradient)(const struct nn_winograd_tiles_in *in);

    /* Of training: dx[i] = y[i] > 0 ? dy[i] : 0, in place if wanted. */
    void (*relu_gradient)(float *dx, const float *y, const float *dy, size_t n);
    void (*max_2x2_gradient)(const struct nn_max_gradient *g);

    /* y[2i] = y[2i+1] = x[i]; with `more`, more[2i] and more[2i+1] added to that. y
     * overlaps nothing. */
    void (*twice)(float *y, const float *x, const float *more, size_t n);

    /* y[j·y_step + i] = x[i·x_step + j] for i < rows, j < columns; not in place. */
    void (*transpose)(float *y, size_t y_step, const float *x, size_t x_step, size_t rows,
                      size_t columns);
    /* y[i] = x[i·stride]; not in place. Reads nothing behind x[(n-1)·stride]. */
    void (*gather)(float *y, const float *x, size_t stride, size_t n);
    /* Every output its own taps: y[i] = Σ_t weight[t·n + i] · x[index[t·n + i]]. y overlaps
     * nothing. */
    void (*pick)(float *y, const float *x, const int32_t *index, const float *weight,
                 size_t taps, size_t n);

    void (*add)(float *y, const float *a, const float *b, size_t n); /* y = a + b */
    void (*sub)(float *y, const float *a, const float *b, size_t n);
    void (*mul)(float *y, const float *a, const float *b, size_t n);
    void (*div)(float *y, const float *a, const float *b, size_t n);
    void (*mul_add)(float *y, const float *a, const float *b, size_t n); /* y += a · b */
    void (*affine)(float *y, const float *x, float scale, float shift, size_t n);
    void (*clamp)(float *y, const float *x, float low, float high, size_t n);
    void (*relu)(float *y, const float *x, size_t n);
    void (*leaky_relu)(float *y, const float *x, float slope, size_t n);
    /* Within 3e-7 of the exact value; tanh also within 1e-6 of it relatively, for |x| from
     * 1e-30 on. */
    void (*sigmoid)(float *y, const float *x, size_t n);
    void (*tanh)(float *y, const float *x, size_t n);

    /* Within 2 units in the last place down to exp(-87.3); smaller results, which floats hold
     * with fewer digits, within 2 of their units. Infinity beyond FLT_MAX. */
    void (*exp)(float *y, const float *x, size_t n);
    /* The error function, within 5e-7. */
    void (*erf)(float *y, const float *x, size_t n);

    float (*sum)(const float *x, size_t n);
    float (*sum_squares)(const float *x, float center, size_t n); /* Σ (x[i] - center)² */
    /* y = exp(x - max) / Σ exp(x - max); within 3e-7. */
    void (*softmax)(float *y, const float *x, size_t n);

    const struct nn_byte_kernels *bytes; /* the same in integers of 8 bits */
};

/* The fastest table this processor can run. The environment variable VIGIL_KERNELS names a
 * slower one, for tests; a name that cannot be run here is ignored.
 * OpenBLAS is told to use one thread: parallelism is over streams. */
const struct nn_kernels *nn_kernels_best(void);

const struct nn_kernels *nn_kernels_scalar(void);

/* The tables this processor can run, scalar first, fastest last; NULL past the end. */
const struct nn_kernels *nn_kernels_at(size_t index);

#endif
