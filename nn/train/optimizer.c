/* A parameter is worked on in blocks, each of which passes through the first-level cache once:
 * its gradient is clipped and decayed, its moments and values move, its average follows. Blocks
 * are what threads share out, and what the squares of the norm are summed by, so neither depends
 * on who does what. */
#include "nn/train/optimizer.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/op.h"
#include "nn/pool.h"
#include "nn/threads.h"

enum { BLOCK = 1024 };

/* Blocks that a thread takes at once: 10 µs of Adam. */
enum { PART_BLOCKS = 16 };

enum { MOMENTS = 2 };

/* Steps from one settling of moments to the next: in every step it would make each a quarter
 * longer. */
enum { SETTLE_STEPS = 16 };

/* What is the same for all parameters of a step. */
struct step {
    float rate;          /* of adam: over 1 - beta1^t */
    float first, second; /* how much of the moments stays */
    float first_new, second_new;
    float root_scale; /* of adam: 1 / sqrt(1 - beta2^t) */
    float epsilon;
};

/* x[n] moves against g[n]; a and b are the moments, in the order of a rule's names. `keep` is
 * what decoupled weight decay leaves of x. */
typedef void apply_function(const struct step *s, float keep, float *restrict x,
                            const float *restrict g, float *restrict a, float *restrict b,
                            size_t n);

struct rule {
    const char *moments[MOMENTS];
    apply_function *apply;
};

struct slot {
    float *moments[MOMENTS], *average;
    int64_t first_block, blocks;
};

struct train_optimizer {
    struct train_optimizer_options options;
    const struct rule *rule;
    struct nn_pool pool; /* all that follows */
    struct train_parameter *parameters;
    struct slot *slots;
    size_t count;
    int64_t blocks;
    double cost;  /* of a step, numbers read and written */
    double *sums; /* [blocks] of squares */
    struct train_array *arrays;
    size_t array_count;

    uint64_t steps;
    bool swapped;
    double norm;

    /* Of the step under way. */
    struct step step;
    float scale; /* of gradients */
    float keep;
    float follow; /* of averages */
};

/* --- Rules ------------------------------------------------------------------------------- */

static void apply_sgd(const struct step *s, float keep, float *restrict x,
                      const float *restrict g, float *restrict a, float *restrict b, size_t n)
{
    (void)keep, (void)a, (void)b;
    for (size_t i = 0; i < n; i++)
        x[i] -= s->rate * g[i];
}

static void apply_momentum(const struct step *s, float keep, float *restrict x,
                           const float *restrict g, float *restrict a, float *restrict b,
                           size_t n)
{
    (void)keep, (void)b;
    for (size_t i = 0; i < n; i++) {
        a[i] = s->first * a[i] + g[i];
        x[i] -= s->rate * a[i];
    }
}

static void apply_nesterov(const struct step *s, float keep, float *restrict x,
                           const float *restrict g, float *restrict a, float *restrict b,
                           size_t n)
{
    (void)keep, (void)b;
    for (size_t i = 0; i < n; i++) {
        a[i] = s->first * a[i] + g[i];
        x[i] -= s->rate * (g[i] + s->first * a[i]);
    }
}

static void apply_rmsprop(const struct step *s, float keep, float *restrict x,
                          const float *restrict g, float *restrict a, float *restrict b,
                          size_t n)
{
    (void)keep, (void)b;
    for (size_t i = 0; i < n; i++) {
        a[i] = s->second * a[i] + s->second_new * (g[i] * g[i]);
        x[i] -= s->rate * (g[i] / (sqrtf(a[i]) + s->epsilon));
    }
}

static void apply_rmsprop_momentum(const struct step *s, float keep, float *restrict x,
                                   const float *restrict g, float *restrict a,
                                   float *restrict b, size_t n)
{
    (void)keep;
    for (size_t i = 0; i < n; i++) {
        a[i] = s->second * a[i] + s->second_new * (g[i] * g[i]);
        b[i] = s->first * b[i] + g[i] / (sqrtf(a[i]) + s->epsilon);
        x[i] -= s->rate * b[i];
    }
}

static void apply_adam(const struct step *s, float keep, float *restrict x,
                       const float *restrict g, float *restrict a, float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a[i] = s->first * a[i] + s->first_new * g[i];
        b[i] = s->second * b[i] + s->second_new * (g[i] * g[i]);
        x[i] = keep * x[i] - s->rate * (a[i] / (sqrtf(b[i]) * s->root_scale + s->epsilon));
    }
}

static const struct rule sgd = {.apply = apply_sgd};
static const struct rule sgd_momentum = {{"momentum"}, apply_momentum};
static const struct rule sgd_nesterov = {{"momentum"}, apply_nesterov};
static const struct rule rmsprop = {{"square"}, apply_rmsprop};
static const struct rule rmsprop_momentum = {{"square", "momentum"}, apply_rmsprop_momentum};
static const struct rule adam = {{"mean", "square"}, apply_adam};

static const struct rule *choose_rule(const struct train_optimizer_options *o)
{
    if (o->kind == TRAIN_OPTIMIZER_SGD)
        return o->momentum == 0.0 ? &sgd : o->nesterov ? &sgd_nesterov : &sgd_momentum;
    if (o->kind == TRAIN_OPTIMIZER_RMSPROP)
        return o->momentum == 0.0 ? &rmsprop : &rmsprop_momentum;
    return &adam;
}

/* --- Options ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    double rate, weight_decay;
} kinds[] = {
    [TRAIN_OPTIMIZER_SGD] = {"sgd", 0.01, 0.0},
    [TRAIN_OPTIMIZER_RMSPROP] = {"rmsprop", 0.001, 0.0},
    [TRAIN_OPTIMIZER_ADAM] = {"adam", 0.001, 0.0},
    [TRAIN_OPTIMIZER_ADAMW] = {"adamw", 0.001, 0.004},
};

struct train_optimizer_options train_optimizer_defaults(enum train_optimizer_kind kind)
{
    return (struct train_optimizer_options){
        .kind = kind,
        .rate = kinds[kind].rate,
        .rho = 0.9,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-7,
        .weight_decay = kinds[kind].weight_decay,
    };
}

int train_optimizer_find(const char *name, enum train_optimizer_kind *ret_kind,
                         struct nn_error *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(name, kinds[i].name)) {
            *ret_kind = (enum train_optimizer_kind)i;
            return 0;
        }
    return nn_error_set(
        err, -EINVAL, "there is no optimizer \"%.40s\": it is one of sgd, rmsprop, adam, adamw",
        name);
}

const char *train_optimizer_name(enum train_optimizer_kind kind)
{
    return kinds[kind].name;
}

static int check_options(const struct train_optimizer_options *o, struct nn_error *err)
{
    const struct {
        const char *name;
        double value, end; /* 0 <= value < end */
    } ranges[] = {
        {"the rate", o->rate, INFINITY},
        {"the weight decay", o->weight_decay, INFINITY},
        {"the norm to clip to", o->clip_norm, INFINITY},
        {"the value to clip to", o->clip_value, INFINITY},
        {"momentum", o->momentum, 1.0},
        {"rho", o->rho, 1.0},
        {"beta1", o->beta1, 1.0},
        {"beta2", o->beta2, 1.0},
        {"the decay of averages", o->average, 1.0},
        {"epsilon", o->epsilon, INFINITY},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= 0.0 && ranges[i].value < ranges[i].end))
            return nn_error_set(err, -EINVAL, "%s is %g: it is 0 or more and %s",
                                ranges[i].name, ranges[i].value,
                                ranges[i].end < INFINITY ? "less than 1" : "finite");
    if (o->epsilon == 0.0)
        return nn_error_set(err, -EINVAL, "epsilon is 0: 1e-7 is usual");
    if (o->clip_norm > 0.0 && o->clip_value > 0.0)
        return nn_error_set(err, -EINVAL,
                            "gradients are clipped by norm or by value, not by both");
    if (o->momentum > 0.0 && o->kind >= TRAIN_OPTIMIZER_ADAM)
        return nn_error_set(err, -EINVAL, "%s has no momentum: its beta1 is that",
                            kinds[o->kind].name);
    if (o->nesterov && (o->kind != TRAIN_OPTIMIZER_SGD || o->momentum == 0.0))
        return nn_error_set(err, -EINVAL, "nesterov is for sgd with momentum");
    return 0;
}

/* --- Making one -------------------------------------------------------------------------- */

/* [count] zeros that state will list by this name, or NULL. */
static float *add_array(struct train_optimizer *o, const struct train_parameter *p,
                        const char *what)
{
    size_t length = strlen(p->name) + 1 + strlen(what) + 1;
    char *name = nn_pool_alloc(&o->pool, length);
    float *data = nn_pool_array(&o->pool, p->count, sizeof *data);
    if (!name || !data)
        return NULL;
    snprintf(name, length, "%s/%s", p->name, what);
    o->arrays[o->array_count++] =
        (struct train_array){.name = name, .data = data, .count = p->count};
    return data;
}

static int add_parameter(struct train_optimizer *o, const struct train_parameter *p,
                         struct slot *slot)
{
    int moments = 0;
    for (int k = 0; p->gradient && k < MOMENTS && o->rule->moments[k]; k++) {
        slot->moments[k] = add_array(o, p, o->rule->moments[k]);
        if (!slot->moments[k])
            return -ENOMEM;
        moments++;
    }
    if (o->options.average > 0.0) {
        slot->average = add_array(o, p, "average");
        if (!slot->average)
            return -ENOMEM;
        if (p->count > 0)
            memcpy(slot->average, p->value, p->count * sizeof *p->value);
    }
    slot->first_block = o->blocks;
    slot->blocks = (int64_t)((p->count + BLOCK - 1) / BLOCK);
    o->blocks += slot->blocks;
    o->cost += (double)p->count * (3 + 2 * moments + (slot->average ? 2 : 0));
    return 0;
}

int train_optimizer_create(const struct train_optimizer_options *options,
                           const struct train_parameter *parameters, size_t count,
                           struct train_optimizer **ret_optimizer, struct nn_error *err)
{
    int r = check_options(options, err);
    if (r < 0)
        return r;
    struct train_optimizer *o = calloc(1, sizeof *o);
    if (!o)
        goto fail;
    nn_pool_init(&o->pool, SIZE_MAX);
    o->options = *options;
    o->rule = choose_rule(options);
    o->norm = NAN;
    o->count = count;
    o->parameters = nn_pool_array(&o->pool, count, sizeof *o->parameters);
    o->slots = nn_pool_array(&o->pool, count, sizeof *o->slots);
    o->arrays = nn_pool_array(&o->pool, count, (MOMENTS + 1) * sizeof *o->arrays);
    if (!o->parameters || !o->slots || !o->arrays)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        o->parameters[i] = parameters[i];
        if (add_parameter(o, &parameters[i], &o->slots[i]) < 0)
            goto fail;
    }
    o->sums = nn_pool_array(&o->pool, (size_t)o->blocks, sizeof *o->sums);
    if (!o->sums)
        goto fail;
    *ret_optimizer = o;
    return 0;
fail:
    train_optimizer_destroy(o);
    return nn_error_set(err, -ENOMEM, "no memory for %s and its moments",
                        kinds[options->kind].name);
}

void train_optimizer_destroy(struct train_optimizer *o)
{
    if (!o)
        return;
    nn_pool_finish(&o->pool);
    free(o);
}

/* --- Steps ------------------------------------------------------------------------------- */

static size_t block_length(const struct train_parameter *p, size_t at)
{
    return p->count - at < BLOCK ? p->count - at : BLOCK;
}

/* In double, whose range no square of a float leaves, and in eight sums that need not wait for
 * each other. */
static double sum_of_squares(const float *g, size_t n)
{
    enum { LANES = 8 };
    double sums[LANES] = {0.0}, rest = 0.0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            sums[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < n; i++)
        rest += (double)g[i] * (double)g[i];
    for (int k = 0; k < LANES; k++)
        rest += sums[k];
    return rest;
}

static void sum_block(struct train_optimizer *o, size_t index, int64_t block)
{
    const struct train_parameter *p = &o->parameters[index];
    size_t at = (size_t)(block - o->slots[index].first_block) * BLOCK;
    o->sums[block] = p->gradient ? sum_of_squares(p->gradient + at, block_length(p, at)) : 0.0;
}

/* What the rule is given for the gradient: g itself, or `scratch` with what options ask for. Not
 * a number stays what it is. */
static const float *prepare(const struct train_optimizer *o, const float *g, const float *x,
                            bool decays, float *scratch, size_t n)
{
    bool coupled = decays && o->options.kind != TRAIN_OPTIMIZER_ADAMW;
    float scale = o->scale, decay = coupled ? (float)o->options.weight_decay : 0.0f;
    float most = o->options.clip_value > 0.0 ? (float)o->options.clip_value : INFINITY;
    if (scale == 1.0f && decay == 0.0f && most == INFINITY)
        return g;
    for (size_t i = 0; i < n; i++) {
        float y = scale * g[i];
        y = y > most ? most : y;
        y = y < -most ? -most : y;
        scratch[i] = y + decay * x[i];
    }
    return scratch;
}

static void settle(float *moment, size_t n)
{
    for (size_t i = 0; i < n; i++)
        moment[i] = fabsf(moment[i]) < FLT_MIN ? 0.0f : moment[i];
}

static void follow(float share, float *restrict average, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        average[i] += share * (x[i] - average[i]);
}

static void update_block(struct train_optimizer *o, size_t index, int64_t block)
{
    const struct train_parameter *p = &o->parameters[index];
    const struct slot *slot = &o->slots[index];
    size_t at = (size_t)(block - slot->first_block) * BLOCK, n = block_length(p, at);
    if (p->gradient) {
        _Alignas(64) float scratch[BLOCK];
        float *moments[MOMENTS];
        for (int k = 0; k < MOMENTS; k++)
            moments[k] = slot->moments[k] ? slot->moments[k] + at : NULL;
        const float *g = prepare(o, p->gradient + at, p->value + at, p->decays, scratch, n);
        o->rule->apply(&o->step, p->decays ? o->keep : 1.0f, p->value + at, g, moments[0],
                       moments[1], n);
        for (int k = 0; o->steps % SETTLE_STEPS == 0 && k < MOMENTS && moments[k]; k++)
            settle(moments[k], n);
    }
    if (slot->average)
        follow(o->follow, slot->average + at, p->value + at, n);
}

static void each_block(struct train_optimizer *o, int64_t first, int64_t end,
                       void (*work)(struct train_optimizer *, size_t, int64_t))
{
    size_t index = 0;
    for (int64_t block = first; block < end; block++) {
        while (block >= o->slots[index].first_block + o->slots[index].blocks)
            index++;
        work(o, index, block);
    }
}

static void sum_blocks(void *data, int64_t first, int64_t end, int thread)
{
    (void)thread;
    each_block(data, first, end, sum_block);
}

static void update_blocks(void *data, int64_t first, int64_t end, int thread)
{
    (void)thread;
    each_block(data, first, end, update_block);
}

static void run(struct train_optimizer *o, struct nn_threads *threads, double cost,
                void (*work)(void *data, int64_t first, int64_t end, int thread))
{
    if (threads && o->blocks > PART_BLOCKS && cost >= NN_OP_PARALLEL_COST)
        nn_threads_run(threads, o->blocks, PART_BLOCKS, cost, work, o);
    else
        work(o, 0, o->blocks, 0);
}

static int clip_by_norm(struct train_optimizer *o, struct nn_threads *threads,
                        struct nn_error *err)
{
    run(o, threads, (double)o->blocks * BLOCK, sum_blocks);
    double sum = 0.0;
    for (int64_t i = 0; i < o->blocks; i++)
        sum += o->sums[i];
    double norm = sqrt(sum);
    if (!isfinite(norm)) {
        struct nn_error why = {"the norm of all gradients is not finite"};
        train_parameters_check(o->parameters, o->count, &why);
        return nn_error_set(err, -EDOM, "step %llu: %.250s", (unsigned long long)o->steps + 1,
                            why.text);
    }
    o->norm = norm;
    o->scale = (float)fmin(1.0, o->options.clip_norm / (norm + 1e-6));
    return 0;
}

int train_optimizer_step(struct train_optimizer *o, double rate, struct nn_threads *threads,
                         struct nn_error *err)
{
    const struct train_optimizer_options *options = &o->options;
    assert(!o->swapped);
    o->scale = 1.0f;
    int r = options->clip_norm > 0.0 ? clip_by_norm(o, threads, err) : 0;
    if (r < 0)
        return r;

    double t = (double)++o->steps;
    bool adam_like = o->rule == &adam;
    double first = adam_like ? options->beta1 : options->momentum;
    double second = adam_like ? options->beta2 : options->rho;
    o->step = (struct step){
        .rate = (float)(adam_like ? rate / (1.0 - pow(first, t)) : rate),
        .first = (float)first,
        .second = (float)second,
        .first_new = (float)(1.0 - first),
        .second_new = (float)(1.0 - second),
        .root_scale = (float)(1.0 / sqrt(1.0 - pow(second, t))),
        .epsilon = (float)options->epsilon,
    };
    bool decoupled = options->kind == TRAIN_OPTIMIZER_ADAMW;
    o->keep = (float)(decoupled ? 1.0 - rate * options->weight_decay : 1.0);
    o->follow = (float)(1.0 - fmin(options->average, (1.0 + t) / (10.0 + t)));
    run(o, threads, o->cost, update_blocks);
    return 0;
}

/* --- What else there is to know ---------------------------------------------------------- */

uint64_t train_optimizer_steps(const struct train_optimizer *o)
{
    return o->steps;
}

double train_optimizer_norm(const struct train_optimizer *o)
{
    return o->norm;
}

void train_optimizer_swap(struct train_optimizer *o)
{
    if (o->options.average == 0.0)
        return;
    for (size_t i = 0; i < o->count; i++) {
        float *x = o->parameters[i].value, *average = o->slots[i].average;
        for (size_t k = 0; k < o->parameters[i].count; k++) {
            float value = x[k];
            x[k] = average[k];
            average[k] = value;
        }
    }
    o->swapped = !o->swapped;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

int train_parameters_check(const struct train_parameter *parameters, size_t count,
                           struct nn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct train_parameter *p = &parameters[i];
        bool fine = all_finite(p->value, p->count);
        if (!fine || (p->gradient && !all_finite(p->gradient, p->count)))
            return nn_error_set(err, -EDOM,
                                "%s%.150s is no longer finite: a smaller rate or clipping the "
                                "gradients may help",
                                fine ? "the gradient of " : "", p->name);
    }
    return 0;
}

struct train_optimizer_state train_optimizer_state(struct train_optimizer *o)
{
    assert(!o->swapped);
    return (struct train_optimizer_state){
        .arrays = o->arrays, .count = o->array_count, .steps = &o->steps};
}
