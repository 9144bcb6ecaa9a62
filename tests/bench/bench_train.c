/* How long a step of training takes:
 *
 *     bench_train MODEL.onnx BATCH STEPS THREADS
 *
 * Random inputs and labels; softmax and cross-entropy, Adam as nn/train has it. Prints the least
 * and the middle time of a step, in ms, and of it forward and backward apart. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/train/net.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    FILE *f = fopen(argv[1], "rb");
    static char bytes[64 << 20];
    size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    struct nn_error err = {{0}};
    struct nn_model *model = NULL;
    struct train_net *net = NULL;
    if (nn_model_load(bytes, size, &model, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    shape.dim[0] = atoi(argv[2]);
    struct train_options options = {.input_shapes = &shape, .threads = atoi(argv[4])};
    if (train_net_create(model, &options, &net, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct nn_tensor *x = train_net_input(net, 0);
    float *in = x->data;
    uint32_t state = 1;
    for (int64_t i = 0; i < nn_shape_count(&x->shape); i++) {
        state = state * 1664525u + 1013904223u;
        in[i] = (float)(int32_t)state * 0x1p-31f;
    }
    const struct train_head *head = train_net_head(net);
    int64_t rows = head->shape.dim[0], width = head->shape.dim[1];
    int steps = atoi(argv[3]);
    double *whole = calloc((size_t)steps, sizeof *whole),
           *forward = calloc((size_t)steps, sizeof *forward);
    for (int s = 0; s < steps; s++) {
        double start = now();
        train_net_forward(net, true, (uint64_t)s, &err);
        double middle = now();
        for (int64_t r = 0; r < rows; r++) {
            const float *y = (const float *)head->values + r * width;
            float *g = (float *)head->gradient + r * width, sum = 0;
            for (int64_t i = 0; i < width; i++)
                sum += g[i] = expf(y[i]);
            for (int64_t i = 0; i < width; i++)
                g[i] = (g[i] / sum - (i == r % width)) / (float)rows;
        }
        train_net_backward(net);
        for (size_t i = 0; i < train_net_parameter_count(net); i++) {
            const struct train_net_parameter *p = train_net_parameter(net, i);
            float *v = p->value;
            const float *g = p->gradient;
            for (size_t j = 0; j < p->count && g; j++)
                v[j] -= 0.001f * g[j];
        }
        whole[s] = now() - start;
        forward[s] = middle - start;
    }
    qsort(whole, (size_t)steps, sizeof *whole, by_size);
    qsort(forward, (size_t)steps, sizeof *forward, by_size);
    printf("step min %.2f median %.2f ms, forward min %.2f\n", whole[0], whole[steps / 2],
           forward[0]);
    train_net_destroy(net);
    nn_model_unref(model);
    free(whole);
    free(forward);
    return 0;
}
