/* vigil's side of what holds training against PyTorch: steps of a training, on request.
 *
 *     train_steps --design INPUT LAYERS SEED FILE.onnx
 *     train_steps [--threads=N] [--loss=NAME] [--optimizer=NAME] [--rate=R] [--momentum=M]
 *                 [--nesterov] BATCH FILE.onnx
 *
 * The first writes a network that has learned nothing yet (nn/train/design.h). The second loads
 * one, for batches of that many samples, writes a line of JSON about it, or {"error": ...} and
 * ends, and answers requests, a line each:
 *
 *     batch       behind the line come the bytes of the net's input, then the targets: int32
 *                 labels for sparse_categorical_crossentropy, float32 of the output's shape else
 *     steps N     N steps with that batch, each with the batch copied in, the loss before it and
 *                 how long it took, in ms: [[loss, ms], ...]
 *     save FILE   the network as it is now (nn/train/export.h)
 *     peak        GFLOP/s of a product of 1024 x 1024 matrices, of all threads together */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/kernels/kernels.h"
#include "nn/threads.h"
#include "nn/train/design.h"
#include "nn/train/export.h"
#include "nn/train/loss.h"
#include "nn/train/net.h"
#include "nn/train/optimizer.h"
#include "tests/file.h"

enum { MAX_STEPS = 10000, PATH_BYTES = 4096 };

struct side {
    void *onnx;
    size_t size;
    struct nn_model *model;
    struct train_net *net;
    struct train_optimizer *optimizer;
    struct train_optimizer_options rule;
    struct train_loss loss;
    struct train_loss_batch batch;
    int threads;
    size_t input_bytes, target_bytes;
    char *input, *targets;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int fail(const char *text)
{
    printf("{\"error\": \"");
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    puts("\"}");
    return 1;
}

static int write_file(const char *path, const void *bytes, size_t size, struct nn_error *err)
{
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0)
        written = false;
    return written ? 0 : nn_error_set(err, -EIO, "%s cannot be written", path);
}

static int write_design(char **words, struct nn_error *err)
{
    struct train_design *design = NULL;
    size_t size;
    int r = train_design_create(words[0], words[1], strtoull(words[2], NULL, 10), &design, err);
    if (r < 0)
        return r;
    const void *bytes = train_design_bytes(design, &size);
    r = write_file(words[3], bytes, size, err);
    train_design_destroy(design);
    return r;
}

/* --- What is asked for ----------------------------------------------------------------------- */

/* The text behind the equals sign where an option is `name`. */
static const char *value_of(const char *option, const char *name)
{
    size_t length = strlen(name);
    return strncmp(option, name, length) == 0 && option[length] == '=' ? option + length + 1
                                                                       : NULL;
}

static int read_option(struct side *side, const char *option, struct nn_error *err)
{
    enum train_optimizer_kind kind;
    const char *value;
    if ((value = value_of(option, "--threads")))
        side->threads = atoi(value);
    else if ((value = value_of(option, "--loss")))
        return train_loss_find(value, &side->loss.kind, err);
    else if ((value = value_of(option, "--rate")))
        side->rule.rate = atof(value);
    else if ((value = value_of(option, "--momentum")))
        side->rule.momentum = atof(value);
    else if (strcmp(option, "--nesterov") == 0)
        side->rule.nesterov = true;
    else if ((value = value_of(option, "--optimizer"))) {
        int r = train_optimizer_find(value, &kind, err);
        if (r == 0)
            side->rule = train_optimizer_defaults(kind);
        return r;
    } else {
        return nn_error_set(err, -EINVAL, "%.80s is none of the options", option);
    }
    return 0;
}

static int make_net(struct side *side, int batch, struct nn_error *err)
{
    int r = nn_model_load(side->onnx, side->size, &side->model, err);
    if (r < 0)
        return r;
    if (nn_model_input_count(side->model) != 1 || batch < 1)
        return nn_error_set(err, -EINVAL, "a network of one input, and a batch of 1 or more");
    struct nn_shape shape = nn_model_input(side->model, 0)->shape;
    shape.dim[0] = batch;
    bool classes =
        side->loss.kind == TRAIN_LOSS_SPARSE || side->loss.kind == TRAIN_LOSS_CATEGORICAL;
    struct train_options options = {.input_shapes = &shape,
                                    .threads = side->threads,
                                    .head = classes ? TRAIN_HEAD_SOFTMAX
                                            : side->loss.kind == TRAIN_LOSS_BINARY
                                                ? TRAIN_HEAD_SIGMOID
                                                : TRAIN_HEAD_PLAIN};
    return train_net_create(side->model, &options, &side->net, err);
}

static int make_batch(struct side *side, struct nn_error *err)
{
    const struct train_head *head = train_net_head(side->net);
    bool labels = side->loss.kind == TRAIN_LOSS_SPARSE;
    side->loss.logits = head->kind != TRAIN_HEAD_PLAIN;
    side->batch.samples = head->shape.dim[0];
    side->batch.width = head->shape.dim[head->shape.rank - 1];
    side->batch.rows = nn_shape_count(&head->shape) / side->batch.samples / side->batch.width;
    side->input_bytes = nn_tensor_bytes(train_net_input(side->net, 0));
    side->target_bytes =
        (size_t)(side->batch.samples * side->batch.rows * (labels ? 1 : side->batch.width)) * 4;
    side->input = calloc(1, side->input_bytes);
    side->targets = calloc(1, side->target_bytes);
    side->batch.labels = labels ? (void *)side->targets : NULL;
    side->batch.targets = labels ? NULL : (void *)side->targets;
    if (!side->input || !side->targets)
        return nn_error_set(err, -ENOMEM, "no memory for a batch");
    return train_loss_check(&side->loss, side->batch.width, err);
}

/* As nn/train/fit.c has it. */
static int make_optimizer(struct side *side, struct nn_error *err)
{
    size_t count = train_net_parameter_count(side->net);
    struct train_parameter *list = calloc(count, sizeof *list);
    if (!list)
        return nn_error_set(err, -ENOMEM, "no memory for a list of parameters");
    for (size_t i = 0; i < count; i++) {
        const struct train_net_parameter *p = train_net_parameter(side->net, i);
        list[i] = (struct train_parameter){.name = p->name,
                                           .value = p->value,
                                           .gradient = p->gradient,
                                           .count = p->count,
                                           .decays = p->shape.rank > 1};
    }
    int r = train_optimizer_create(&side->rule, list, count, &side->optimizer, err);
    free(list);
    return r;
}

static int start(struct side *side, int argc, char **argv, struct nn_error *err)
{
    int r = 0, i = 1;
    side->threads = 1;
    side->loss.kind = TRAIN_LOSS_SPARSE;
    side->loss.delta = 1;
    side->rule = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAM);
    for (; i < argc && argv[i][0] == '-' && r == 0; i++)
        r = read_option(side, argv[i], err);
    if (r == 0 && argc - i != 2)
        r = nn_error_set(err, -EINVAL, "a batch's size and one ONNX file are wanted");
    if (r < 0)
        return r;
    side->onnx = file_whole(argv[i + 1], &side->size);
    if (!side->onnx)
        return nn_error_set(err, -EINVAL, "%.200s cannot be read", argv[i + 1]);
    r = make_net(side, atoi(argv[i]), err);
    if (r == 0)
        r = make_batch(side, err);
    return r < 0 ? r : make_optimizer(side, err);
}

static void finish(struct side *side)
{
    train_optimizer_destroy(side->optimizer);
    train_net_destroy(side->net);
    nn_model_unref(side->model);
    free(side->onnx);
    free(side->input);
    free(side->targets);
}

/* --- Answers --------------------------------------------------------------------------------- */

static int step(struct side *side, int number, double *ret_loss, struct nn_error *err)
{
    const struct train_head *head = train_net_head(side->net);
    memcpy(train_net_input(side->net, 0)->data, side->input, side->input_bytes);
    int r = train_net_forward(side->net, true, (uint64_t)number, err);
    if (r == 0)
        r = train_loss_float(&side->loss, &side->batch, head->values, head->gradient, ret_loss,
                             err);
    if (r < 0)
        return r;
    train_net_backward(side->net);
    struct nn_threads *threads = train_net_threads(side->net);
    bool helped = threads && nn_threads_begin(threads);
    r = train_optimizer_step(side->optimizer, side->rule.rate, helped ? threads : NULL, err);
    if (threads)
        nn_threads_end(threads, helped);
    return r;
}

static int run_steps(struct side *side, int count, struct nn_error *err)
{
    static double loss[MAX_STEPS], ms[MAX_STEPS];
    if (count < 1 || count > MAX_STEPS)
        return nn_error_set(err, -EINVAL, "1 to %d steps", MAX_STEPS);
    for (int i = 0; i < count; i++) {
        double before = now_ms();
        int r = step(side, i, &loss[i], err);
        ms[i] = now_ms() - before;
        if (r == 0 && !isfinite(loss[i]))
            r = nn_error_set(err, -EDOM, "the loss is no number any more");
        if (r < 0)
            return r;
    }
    for (int i = 0; i < count; i++)
        printf("%s[%.9g, %.6g]", i ? ", " : "[", loss[i], ms[i]);
    puts("]");
    return 0;
}

static int read_batch(struct side *side, struct nn_error *err)
{
    if (fread(side->input, 1, side->input_bytes, stdin) != side->input_bytes ||
        fread(side->targets, 1, side->target_bytes, stdin) != side->target_bytes)
        return nn_error_set(err, -EINVAL, "the batch ends early");
    puts("{}");
    return 0;
}

static int save(struct side *side, const char *path, struct nn_error *err)
{
    void *bytes;
    size_t size;
    int r = train_export(side->net, side->onnx, side->size, NULL, 0, &bytes, &size, err);
    if (r < 0)
        return r;
    r = write_file(path, bytes, size, err);
    free(bytes);
    if (r == 0)
        puts("{}");
    return r;
}

static void multiply(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_gemm *each = data;
    (void)thread;
    for (; first < end; first++)
        nn_kernels_best()->gemm(&each[first]);
}

static int measure_peak(struct side *side, struct nn_error *err)
{
    enum { SIDE = 1024, RUNS = 8 };
    size_t count = (size_t)side->threads;
    struct nn_gemm *each = calloc(count, sizeof *each);
    float *memory = malloc(count * 3 * SIDE * SIDE * sizeof *memory);
    if (!each || !memory) {
        free(each);
        free(memory);
        return nn_error_set(err, -ENOMEM, "no memory to measure with");
    }
    for (size_t i = 0; i < count * 3 * SIDE * SIDE; i++)
        memory[i] = (float)(i % 17) - 8;
    for (size_t i = 0; i < count; i++) {
        float *a = memory + i * 3 * SIDE * SIDE;
        each[i] = (struct nn_gemm){.m = SIDE,
                                   .n = SIDE,
                                   .k = SIDE,
                                   .a = a,
                                   .b = a + SIDE * SIDE,
                                   .c = a + 2 * SIDE * SIDE,
                                   .a_step = SIDE,
                                   .b_step = SIDE,
                                   .c_step = SIDE,
                                   .alpha = 1};
    }
    struct nn_threads *threads = train_net_threads(side->net);
    double flops = 2.0 * SIDE * SIDE * SIDE * (double)count, best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        bool helped = threads && nn_threads_begin(threads);
        double before = now_ms();
        if (helped)
            nn_threads_run(threads, (int64_t)count, 1, flops, multiply, each);
        else
            multiply(each, 0, (int64_t)count, 0);
        best = fmin(best, now_ms() - before);
        if (threads)
            nn_threads_end(threads, helped);
    }
    printf("%.4g\n", flops / best * 1e-6);
    free(each);
    free(memory);
    return 0;
}

static int answer(struct side *side, char *request, struct nn_error *err)
{
    request[strcspn(request, "\n")] = '\0';
    if (strcmp(request, "batch") == 0)
        return read_batch(side, err);
    if (strncmp(request, "steps ", 6) == 0)
        return run_steps(side, atoi(request + 6), err);
    if (strncmp(request, "save ", 5) == 0)
        return save(side, request + 5, err);
    if (strcmp(request, "peak") == 0)
        return measure_peak(side, err);
    return nn_error_set(err, -EINVAL, "%.80s is none of the requests", request);
}

int main(int argc, char **argv)
{
    struct nn_error err = {""};
    struct side side = {0};
    char request[PATH_BYTES];
    if (argc == 6 && strcmp(argv[1], "--design") == 0)
        return write_design(argv + 2, &err) < 0 ? fail(err.text) : 0;
    int r = start(&side, argc, argv, &err);
    if (r == 0)
        printf("{\"kernels\": \"%s\", \"input_bytes\": %zu, \"target_bytes\": %zu}\n",
               nn_kernels_best()->name, side.input_bytes, side.target_bytes);
    fflush(stdout);
    while (r == 0 && fgets(request, sizeof request, stdin)) {
        r = answer(&side, request, &err);
        fflush(stdout);
    }
    finish(&side);
    return r < 0 ? fail(err.text) : 0;
}
