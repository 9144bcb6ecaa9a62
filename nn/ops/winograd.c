#include "nn/ops/winograd.h"

#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/counts.h"
#include "nn/ops/winograd_channels.h"

/* Panels of weights that are multiplied with a strip before their outputs are made: the strip
 * is read once for all of them, and their products still fit the second-level cache. */
#define GROUP 4
/* Channels summed at a time: rounding errors of deep convolutions stay apart. */
#define CHANNELS 256
/* Transforming an input takes as long as its products for about so many outputs. */
#define TRANSFORM 8
/* With at most so many input channels, products are made while outputs are. */
#define FEW 4

/* G of F(4,3) and F(2,3). */
#define ROOT 1.41421356237309504880
static const double transform4[6][3] = {
    {1, 0, 0},
    {-2.0 / 3, -ROOT / 3, -1.0 / 3},
    {-2.0 / 3, ROOT / 3, -1.0 / 3},
    {1.0 / 6, ROOT / 6, 1.0 / 3},
    {1.0 / 6, -ROOT / 6, 1.0 / 3},
    {0, 0, 1},
};
static const double transform2[4][3] = {
    {1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};

/* What a way costs, in products of Winograd's: one vector of tiles multiplied by a weight and
 * added. Measured at 500 shapes of 4 to 112 pixels and 1 to 512 channels with AVX-512 and AVX2
 * on Zen 4; what is chosen by it takes 2 and 5 % more time than the best would on average, and
 * more than a tenth more at one of thirteen and of eight.
 *
 * First what depends on registers: sixteen hold neither the tile of taps that makes Winograd's
 * product the cheaper one, nor a half transformed tile of outputs, which then goes through
 * memory. */
static const struct prices {
    double tap;            /* a product of taps */
    double outputs;        /* outputs transformed, times what it is with many registers */
    double channel_output; /* one element of a tile transformed with channels for lanes, with
                              its part of the input's transform */
} few_registers = {1, 1.7, 20}, many_registers = {1.15, 1, 9};

/* Taps, for each vector: an input that is laid out with its pads, an output that is written,
 * and one that is pooled. */
#define LAY_OUT    6
#define WRITE      4
#define WRITE_POOL 12

/* Winograd with tiles for lanes, for as many tiles as a vector has lanes, of one channel: the
 * transforms of inputs and of outputs, half as long if they are pooled. With few channels, for
 * which products are made while outputs are: the same, and those products. */
#define INPUT_4    270
#define INPUT_2    110
#define OUTPUT_4   160
#define OUTPUT_2   80
#define POOLED     0.5
#define FEW_INPUT  400
#define FEW_OUTPUT 240
#define FEW_TIMES  1.6

/* Winograd with channels for lanes: starting it, and a vector of a plane that is transposed. */
#define START     2000
#define TRANSPOSE 12

/* Weights that are read, which keeps the large transformed ones from small images: each of taps
 * and with tiles for lanes; each vector of them with channels for lanes, where the first so
 * many bytes are in the third-level cache and what is beyond comes from memory. */
#define READ      0.35
#define NEAR      (1 << 24)
#define READ_NEAR 2
#define READ_FAR  8

static const struct prices *prices_of(const struct nn_kernels *k)
{
    return k->registers < 32 ? &few_registers : &many_registers;
}

static double cost_by_taps(const struct nn_kernels *k, const struct nn_spatial *s,
                           int64_t channels, int64_t outputs, bool pool)
{
    int64_t positions = (s->out[1] - 1) * s->extent[2] + s->out[2];
    int64_t panels = nn_count_pieces(outputs, (int64_t)k->tile_rows);
    double vectors = (double)nn_count_pieces(positions, (int64_t)k->lanes);
    double in = (double)channels, rows = (double)(panels * (int64_t)k->tile_rows);
    double lay_out = s->direct ? 0 : LAY_OUT * vectors * in;
    double write = (pool ? WRITE_POOL : WRITE) * vectors;
    return rows * (9 * in * (prices_of(k)->tap * vectors + READ) + write) + lay_out;
}

/* Rows and columns of tiles; those that hold outputs which pooling drops are not made. */
static int64_t tiles_along(int64_t out, int64_t m, bool pool)
{
    return nn_count_pieces(pool ? out / 2 * 2 : out, m);
}

static double cost_by_channels(int64_t m, const struct nn_kernels *k,
                               const struct nn_spatial *s, int64_t channels, int64_t outputs,
                               bool pool)
{
    double lines = (double)tiles_along(s->out[1], m, pool);
    double tiles = lines * (double)tiles_along(s->out[2], m, pool);
    double steps = (double)NN_PANEL_STEP / (double)k->lanes, in = (double)channels;
    double in_vectors = (double)nn_count_pieces(channels, NN_PANEL_STEP) * steps;
    double out_vectors = (double)nn_count_pieces(outputs, NN_PANEL_STEP) * steps;
    double elements = (double)((m + 2) * (m + 2)), weights = elements * in * out_vectors;
    double near = (double)NEAR / ((double)k->lanes * sizeof(float));
    double read =
        weights < near ? READ_NEAR * weights : READ_NEAR * near + READ_FAR * (weights - near);
    double transpose =
        TRANSPOSE * (lines * (double)((m + 2) * s->in[2]) * in_vectors +
                     (double)(s->out[1] * s->out[2]) / (pool ? 4 : 1) * out_vectors);
    double write = prices_of(k)->channel_output * tiles * elements * out_vectors;
    return START + tiles * weights + read + write + transpose;
}

static double cost_by_tiles(int64_t m, const struct nn_kernels *k, const struct nn_spatial *s,
                            int64_t channels, int64_t outputs, bool pool)
{
    int64_t lines = tiles_along(s->out[1], m, pool);
    int64_t line_tiles = tiles_along(s->out[2], m, pool);
    int64_t lanes = (int64_t)k->lanes;
    double pieces = (double)(lines * nn_count_pieces(line_tiles, lanes));
    double elements = (double)((m + 2) * (m + 2)), in = (double)channels, out = (double)outputs;
    double write = prices_of(k)->outputs * (pool ? POOLED : 1);
    if (channels <= FEW)
        return pieces *
               (FEW_INPUT * in + out * (FEW_OUTPUT * write + FEW_TIMES * elements * in));
    double transforms =
        (m == 4 ? INPUT_4 : INPUT_2) * in + (m == 4 ? OUTPUT_4 : OUTPUT_2) * write * out;
    int64_t panels = nn_count_pieces(outputs, (int64_t)k->tile_rows);
    double rows = (double)(panels * (int64_t)k->tile_rows);
    double vectors = (double)nn_count_pieces(lines * line_tiles, lanes);
    return pieces * transforms + elements * in * rows * (vectors + READ);
}

struct nn_winograd_way nn_winograd_choose(const struct nn_kernels *k,
                                          const struct nn_spatial *s, int64_t channels,
                                          int64_t outputs, bool pool)
{
    struct nn_winograd_way best = {0};
    if (!k->winograd_input || s->axes != 2)
        return best;
    for (int i = 1; i < NN_SPATIAL_AXES; i++)
        if (s->kernel[i] != 3 || s->stride[i] != 1 || s->dilation[i] != 1)
            return best;
    double least = cost_by_taps(k, s, channels, outputs, pool);
    for (size_t m = 2; m <= 4; m += 2) {
        double by_tiles = cost_by_tiles((int64_t)m, k, s, channels, outputs, pool);
        double by_channels = cost_by_channels((int64_t)m, k, s, channels, outputs, pool);
        if (by_tiles < least) {
            least = by_tiles;
            best = (struct nn_winograd_way){m, NN_WINOGRAD_TILES};
        }
        if (by_channels < least) {
            least = by_channels;
            best = (struct nn_winograd_way){m, NN_WINOGRAD_CHANNELS};
        }
    }
    return best;
}

const char *nn_winograd_name(struct nn_winograd_way way)
{
    if (way.lanes == NN_WINOGRAD_CHANNELS)
        return way.m == 4 ? "Winograd F(4,3), by channels" : "Winograd F(2,3), by channels";
    return way.m == 4 ? "Winograd F(4,3)" : "Winograd F(2,3)";
}

struct nn_winograd nn_winograd_init(struct nn_winograd_way way, const struct nn_kernels *k,
                                    const struct nn_spatial *s, int64_t images,
                                    int64_t channels, int64_t outputs, bool pool)
{
    int64_t side = (int64_t)way.m;
    bool by_channels = way.lanes == NN_WINOGRAD_CHANNELS;
    struct nn_winograd w = {
        .m = way.m,
        .elements = (way.m + 2) * (way.m + 2),
        .by_channels = by_channels,
        .images = images,
        .channels = channels,
        .outputs = outputs,
        .height = s->in[1],
        .width = s->in[2],
        .pad_top = s->pad_before[1],
        .pad_left = s->pad_before[2],
        .rows = pool ? s->out[1] / 2 : s->out[1],
        .columns = pool ? s->out[2] / 2 : s->out[2],
        .lines = tiles_along(s->out[1], side, pool),
        .line_tiles = tiles_along(s->out[2], side, pool),
        .pool = pool,
        .few = channels <= FEW && !by_channels,
        .tile_rows = by_channels ? NN_PANEL_COLUMNS : (int64_t)k->tile_rows,
        .lanes = (int64_t)k->lanes,
    };
    w.tiles = images * w.lines * w.line_tiles;
    w.panels = nn_count_pieces(outputs, w.tile_rows);
    return w;
}

/* Floats from one element of a strip to the next. Products of few channels read all rows evenly
 * apart, and keep a strip in the first-level cache. */
static size_t strip_step(const struct nn_winograd *w, const struct nn_kernels *k)
{
    return (size_t)w->channels * k->tile_width + (w->few ? 0 : NN_WINOGRAD_APART);
}

size_t nn_winograd_weight_floats(const struct nn_winograd *w)
{
    int64_t rows = w->by_channels ? NN_PANEL_STEP : w->tile_rows;
    int64_t outputs = w->few ? w->outputs : nn_count_pieces(w->outputs, rows) * rows;
    return (size_t)(outputs * w->channels) * w->elements;
}

/* Of one thread. */
static size_t scratch_floats(const struct nn_winograd *w, const struct nn_kernels *k)
{
    size_t strip = w->elements * strip_step(w, k);
    size_t group = (size_t)(w->panels < GROUP ? w->panels : GROUP) * (size_t)w->tile_rows;
    /* A vector more than there is: outputs read whole ones from where a row of tiles starts. */
    size_t floats = strip + (w->few ? 0 : group * w->elements * k->tile_width) + k->lanes;
    return (floats + 15) / 16 * 16;
}

size_t nn_winograd_workspace_floats(const struct nn_winograd *w, const struct nn_kernels *k,
                                    int threads)
{
    return w->by_channels ? nn_winograd_channels_workspace_floats(w, threads)
                          : (size_t)threads * scratch_floats(w, k);
}

const double (*nn_winograd_filter_transform(size_t m))[3]
{
    return m == 4 ? transform4 : transform2;
}

/* Filters that are transformed at once: a compiler's vectors. */
enum { FILTERS = 16 };

/* G g Gᵀ of `count` filters, `step` floats apart. */
static void transform_weights(size_t m, const float *g, size_t step, size_t count,
                              float elements[36][FILTERS])
{
    const double(*transform)[3] = nn_winograd_filter_transform(m);
    double filter[9][FILTERS] = {{0}};
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < 9; i++)
            filter[i][f] = g[f * step + i];
    for (size_t r = 0; r < m + 2; r++) {
        double row[3][FILTERS] = {{0}};
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 3; j++)
                for (size_t f = 0; f < FILTERS; f++)
                    row[j][f] += transform[r][i] * filter[i * 3 + j][f];
        for (size_t c = 0; c < m + 2; c++, elements++)
            for (size_t f = 0; f < FILTERS; f++)
                (*elements)[f] =
                    (float)(row[0][f] * transform[c][0] + row[1][f] * transform[c][1] +
                            row[2][f] * transform[c][2]);
    }
}

/* Where element 0 of a weight is; the next is *ret_step further. With few channels (outputs,
 * elements, channels); with channels for lanes as winograd_channels.h says; otherwise groups of
 * panels one after another, each (elements, panels, channels, tile_rows), in the order they are
 * read. */
static size_t packed_place(const struct nn_winograd *w, int64_t output, int64_t channel,
                           size_t *ret_step)
{
    if (w->few) {
        *ret_step = (size_t)w->channels;
        return (size_t)(output * w->channels) * w->elements + (size_t)channel;
    }
    if (w->by_channels) {
        int64_t first = output / NN_PANEL_COLUMNS * NN_PANEL_COLUMNS, left = w->outputs - first;
        int64_t width =
            nn_count_pieces(left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS, NN_PANEL_STEP) *
            NN_PANEL_STEP;
        *ret_step = (size_t)(w->channels * width);
        return (size_t)(first * w->channels) * w->elements +
               (size_t)(channel * width + output - first);
    }
    int64_t panel = output / w->tile_rows, group = panel / GROUP * GROUP;
    int64_t panels = w->panels - group < GROUP ? w->panels - group : GROUP;
    int64_t panel_floats = w->channels * w->tile_rows;
    *ret_step = (size_t)(panels * panel_floats);
    return (size_t)(group * panel_floats) * w->elements +
           (size_t)((panel - group) * panel_floats + channel * w->tile_rows +
                    output % w->tile_rows);
}

void nn_winograd_pack_part(const struct nn_winograd *w, const float *weight, int64_t first,
                           int64_t end, float *packed)
{
    size_t filter = (size_t)w->channels * 9;
    for (int64_t output = first; output < end; output += FILTERS) {
        size_t count = (size_t)nn_count_least(FILTERS, end - output);
        for (int64_t channel = 0; channel < w->channels; channel++) {
            float elements[36][FILTERS];
            transform_weights(w->m, weight + (size_t)output * filter + (size_t)channel * 9,
                              filter, count, elements);
            for (size_t f = 0, run; f < count; f += run) {
                size_t step, at = packed_place(w, output + (int64_t)f, channel, &step), next;
                for (run = 1; f + run < count; run++)
                    if (packed_place(w, output + (int64_t)(f + run), channel, &next) !=
                        at + run)
                        break;
                for (size_t e = 0; e < w->elements; e++)
                    memcpy(packed + at + e * step, elements[e] + f, run * sizeof *packed);
            }
        }
    }
}

void nn_winograd_pack(const struct nn_winograd *w, const float *weight, float *packed)
{
    memset(packed, 0, nn_winograd_weight_floats(w) * sizeof *packed);
    nn_winograd_pack_part(w, weight, 0, w->outputs, packed);
}

/* Tiles that are worked on together, in the memory of one thread or of two. */
struct strip {
    int64_t first; /* tile */
    size_t count;
    float *elements; /* (elements, channels, tile_width), strip_step from one to the next */
    float *products; /* (output channels of a group, elements, tile_width) */
};

static float *scratch_of(const struct nn_winograd_job *run, int thread)
{
    return run->workspace + (size_t)thread * scratch_floats(run->w, run->call->kernels);
}

/* Strip `index`: elements are in the memory of thread `from`, products in that of `thread`. */
static struct strip find_strip(const struct nn_winograd_job *run, int64_t index, int from,
                               int thread)
{
    const struct nn_winograd *w = run->w;
    const struct nn_kernels *k = run->call->kernels;
    int64_t first = index * (int64_t)k->tile_width, left = w->tiles - first;
    return (struct strip){
        .first = first,
        .count = left < (int64_t)k->tile_width ? (size_t)left : k->tile_width,
        .elements = scratch_of(run, from),
        .products = scratch_of(run, thread) + w->elements * strip_step(w, k),
    };
}

/* Tiles of one strip that are neighbours in one row of tiles. Tiles are numbered through
 * columns of `lanes` tiles, row by row in each, so that most pieces fill one vector. */
struct piece {
    int64_t image, line, column; /* of tiles */
    size_t at, n;                /* in the strip */
};

/* The piece that starts `at` tiles behind tile `first`, in a strip of `count`. */
static struct piece find_piece(const struct nn_winograd *w, int64_t first, size_t count,
                               size_t at)
{
    int64_t tile = first + (int64_t)at, image = w->lines * w->line_tiles;
    struct piece p = {.image = tile / image, .at = at};
    tile %= image;
    int64_t start = tile / (w->lines * w->lanes) * w->lanes, width = w->line_tiles - start;
    width = width < w->lanes ? width : w->lanes;
    tile -= start * w->lines;
    p.line = tile / width;
    p.column = start + tile % width;
    int64_t left = start + width - p.column;
    p.n = left < (int64_t)(count - at) ? (size_t)left : count - at;
    return p;
}

/* Input channels channel..end-1. */
static void transform_strip(const struct nn_winograd_job *run, const struct strip *s,
                            int64_t channel, int64_t end)
{
    const struct nn_winograd *w = run->w;
    const struct nn_kernels *k = run->call->kernels;
    struct nn_winograd_input in = {
        .m = w->m,
        .height = (ptrdiff_t)w->height,
        .width = (ptrdiff_t)w->width,
        .v_step = strip_step(w, k),
        .ahead = (ptrdiff_t)(w->height * w->width),
    };
    for (size_t at = 0; at < s->count; at += in.n) {
        struct piece p = find_piece(w, s->first, s->count, at);
        in.n = p.n;
        in.row = (ptrdiff_t)(p.line * (int64_t)w->m - w->pad_top);
        in.column = (ptrdiff_t)(p.column * (int64_t)w->m - w->pad_left);
        in.room = k->tile_width - at;
        for (int64_t c = channel; c < end; c++) {
            in.x = run->x + (p.image * w->channels + c) * w->height * w->width;
            in.v = s->elements + (size_t)c * k->tile_width + at;
            k->winograd_input(&in);
        }
    }
}

static void multiply_group(const struct nn_winograd_job *run, const struct strip *s,
                           int64_t first_panel, int64_t panels)
{
    const struct nn_winograd *w = run->w;
    const struct nn_kernels *k = run->call->kernels;
    size_t rows = (size_t)w->tile_rows, tiles = k->tile_width;
    const float *weight =
        run->packed + (size_t)(first_panel * w->channels * w->tile_rows) * w->elements;
    for (size_t e = 0; e < w->elements; e++) {
        const float *strip = s->elements + e * strip_step(w, k);
        for (int64_t p = 0; p < panels; p++) {
            float *products = s->products + ((size_t)p * rows * w->elements + e) * tiles;
            for (size_t c = 0; c < (size_t)w->channels; c += CHANNELS) {
                size_t depth = (size_t)w->channels - c;
                depth = depth < CHANNELS ? depth : CHANNELS;
                k->winograd_product(products, w->elements * tiles, weight, strip + c * tiles,
                                    depth, s->count, c > 0);
                weight += depth * rows;
            }
        }
    }
}

void nn_winograd_activate(const struct nn_winograd_job *job, float *y, size_t rows,
                          size_t columns)
{
    for (size_t r = 0; r < rows; r++, y += job->w->columns) {
        if (job->residual)
            job->call->kernels->add(y, y, job->residual + (y - job->y), columns);
        nn_activation_apply(job->call, y, y, columns);
    }
}

/* Outputs of one channel; `out` says where its products are. */
static void write_channel(const struct nn_winograd_job *run, const struct strip *s,
                          struct nn_winograd_output *out, int64_t channel)
{
    const struct nn_winograd *w = run->w;
    const struct nn_kernels *k = run->call->kernels;
    const float *products = out->p;
    int64_t side = (int64_t)w->m / (w->pool ? 2 : 1);
    out->bias = run->bias ? run->bias[channel] : 0;
    for (size_t at = 0; at < s->count; at += out->n) {
        struct piece p = find_piece(w, s->first, s->count, at);
        int64_t row = p.line * side, column = p.column * side;
        int64_t rows = w->rows - row, columns = w->columns - column;
        out->n = p.n;
        out->p = products + at;
        out->rows = (size_t)(rows < side ? rows : side);
        out->columns = (size_t)(columns < side * (int64_t)p.n ? columns : side * (int64_t)p.n);
        out->y =
            run->y + ((p.image * w->outputs + channel) * w->rows + row) * w->columns + column;
        k->winograd_output(out);
        if (run->activates)
            nn_winograd_activate(run, out->y, out->rows, out->columns);
    }
    out->p = products;
}

/* The outputs of panels that are multiplied together. */
static void run_group(const struct nn_winograd_job *run, const struct strip *s, int64_t group)
{
    const struct nn_winograd *w = run->w;
    size_t tiles = run->call->kernels->tile_width;
    struct nn_winograd_output out = {.m = w->m,
                                     .p_step = tiles,
                                     .low = run->low,
                                     .high = run->high,
                                     .pool = w->pool,
                                     .y_step = (size_t)w->columns};
    int64_t first = group * GROUP, left = w->panels - first;
    int64_t panels = left < GROUP ? left : GROUP;
    int64_t channel = first * w->tile_rows, end = channel + panels * w->tile_rows;
    end = end < w->outputs ? end : w->outputs;
    if (!w->few)
        multiply_group(run, s, first, panels);
    out.p = w->few ? s->elements : s->products;
    for (; channel < end; channel++) {
        if (w->few) {
            out.depth = (size_t)w->channels;
            out.weight = run->packed + (size_t)channel * w->elements * out.depth;
        }
        write_channel(run, s, &out, channel);
        out.p += w->few ? 0 : w->elements * tiles;
    }
}

/* Where strips are many: each is one thread's. */
static void run_strips(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_winograd_job *run = data;
    for (; first < end; first++) {
        struct strip s = find_strip(run, first, thread, thread);
        transform_strip(run, &s, 0, run->w->channels);
        for (int64_t group = 0; group * GROUP < run->w->panels; group++)
            run_group(run, &s, group);
    }
}

/* Where they are few, all threads work on one: on its input channels, then on the outputs. */
static void transform_part(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_winograd_job *run = data;
    struct strip s = find_strip(run, run->shared, 0, thread);
    transform_strip(run, &s, first, end);
}

static void run_groups(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_winograd_job *run = data;
    struct strip s = find_strip(run, run->shared, 0, thread);
    for (; first < end; first++)
        run_group(run, &s, first);
}

static void run_by_tiles(struct nn_winograd_job *run)
{
    const struct nn_winograd *w = run->w;
    const struct nn_op_call *call = run->call;
    int64_t strips = nn_count_pieces(w->tiles, (int64_t)call->kernels->tile_width);
    double depth = (double)w->tiles * (double)w->elements * (double)w->channels;
    if (!call->helpers || strips >= 2 * call->threads) {
        nn_op_parallel(call, strips, depth * (double)w->outputs, run_strips, run);
        return;
    }
    depth /= (double)strips;
    for (run->shared = 0; run->shared < strips; run->shared++) {
        nn_op_parallel(call, w->channels, TRANSFORM * depth, transform_part, run);
        nn_op_parallel(call, nn_count_pieces(w->panels, GROUP), depth * (double)w->outputs,
                       run_groups, run);
    }
}

void nn_winograd_run(const struct nn_winograd *w, const struct nn_op_call *call, const float *x,
                     const float *packed, const float *bias, const float *residual, float *y,
                     float *workspace)
{
    struct nn_winograd_job run = {
        .w = w,
        .call = call,
        .x = x,
        .packed = packed,
        .bias = bias,
        .residual = residual,
        .y = y,
        .workspace = workspace,
    };
    run.activates = !nn_activation_clamps(call, &run.low, &run.high) || residual;
    if (run.activates) {
        run.low = -INFINITY;
        run.high = INFINITY;
    }
    if (w->by_channels)
        nn_winograd_channels_run(&run);
    else
        run_by_tiles(&run);
}
