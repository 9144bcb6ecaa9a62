/* How long models take until they can run, and what they hold then:
 *
 *     bench_load FOLDER...
 *
 * Every FOLDER/NAME.onnx and FOLDER/NAME/model.onnx is loaded, planned (with float32 weights,
 * and with those of --precision fast) and given a session, over and over; times are the least,
 * in milliseconds. Dimensions that a model leaves open are those of its first test data, where
 * it has some. `weights` is what the file holds, `packed` what the plan made of them in the
 * layouts of its operators, `Winograd` what of that is transformed for it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/session.h"
#include "nn/tensorfile.h"
#include "tests/file.h"

enum { ROUNDS = 9, MAX_PATH = 4096, MAX_INPUTS = 16, PROMISE_MS = 150 };

struct bytes {
    void *data;
    size_t size;
};

struct figures {
    double load_ms, plan_ms, fast_ms, session_ms;
    size_t packed_bytes, winograd_bytes;
    int winograd_layers, layers;
    struct nn_plan_info info;
};

static int late; /* models over the promise */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The least of what has been seen; 0: nothing. */
static void keep_least(double *least, double since)
{
    double took = now_ms() - since;
    *least = *least == 0 || took < *least ? took : *least;
}

/* The shapes of the test data beside the model, in the model's order. */
static bool find_shapes(const struct nn_model *model, const char *folder,
                        struct nn_shape *shapes)
{
    size_t inputs = nn_model_input_count(model), found = 0;
    for (size_t i = 0; i < inputs && inputs <= MAX_INPUTS; i++) {
        char path[MAX_PATH + 64];
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%zu.pb", folder, i);
        struct bytes b;
        b.data = file_whole(path, &b.size);
        struct nn_tensor_file *file = NULL;
        if (b.data && nn_tensor_file_load(b.data, b.size, path, &file, NULL) == 0) {
            shapes[i] = nn_tensor_file_tensor(file)->shape;
            found++;
        }
        nn_tensor_file_destroy(file);
        free(b.data);
    }
    return found == inputs;
}

static void look_at_layers(const struct nn_plan *plan, struct figures *f)
{
    nn_plan_describe(plan, &f->info);
    f->packed_bytes = f->winograd_bytes = 0;
    f->winograd_layers = f->layers = 0;
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        bool winograd = layer->method && strstr(layer->method, "Winograd");
        f->packed_bytes += layer->packed_bytes;
        f->winograd_bytes += winograd ? layer->packed_bytes : 0;
        f->winograd_layers += winograd;
        f->layers++;
    }
}

/* Once around, least times kept. */
static int measure(const struct bytes *file, const char *folder, struct figures *f,
                   struct nn_error *err)
{
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL, *fast = NULL;
    struct nn_session *session = NULL;
    struct nn_shape shapes[MAX_INPUTS];
    double began = now_ms();
    int r = nn_model_load(file->data, file->size, &model, err);
    keep_least(&f->load_ms, began);
    if (r < 0)
        return r;
    struct nn_plan_options options = {.time_axis = -1};
    if (find_shapes(model, folder, shapes))
        options.input_shapes = shapes;
    began = now_ms();
    r = nn_plan_create(model, &options, &plan, err);
    keep_least(&f->plan_ms, began);
    began = now_ms();
    if (r == 0)
        r = nn_session_create(plan, &session, err);
    keep_least(&f->session_ms, began);
    nn_session_destroy(session);
    options.precision = NN_PRECISION_FAST;
    began = now_ms();
    if (r == 0)
        r = nn_plan_create(model, &options, &fast, err);
    keep_least(&f->fast_ms, began);
    if (r == 0)
        look_at_layers(plan, f);
    nn_plan_unref(fast);
    nn_plan_unref(plan);
    nn_model_unref(model);
    return r;
}

static void report(const char *path, const char *name, const char *folder)
{
    struct bytes file;
    file.data = file_whole(path, &file.size);
    struct figures f = {0};
    struct nn_error err = {{0}};
    int r = 0;
    for (int round = 0; round < ROUNDS && r == 0 && file.data; round++)
        r = measure(&file, folder, &f, &err);
    free(file.data);
    if (r < 0) {
        printf("%-22s %s\n", name, err.text);
        return;
    }
    double slower = f.plan_ms > f.fast_ms ? f.plan_ms : f.fast_ms;
    bool over = f.load_ms + slower > PROMISE_MS;
    late += over;
    const double kib = 1024;
    printf("%-22s %7.1f %7.1f %7.1f %8.2f %10.0f %10.0f %10.0f %10.0f %4d of %-3d%s\n", name,
           f.load_ms, f.plan_ms, f.fast_ms, f.session_ms, (double)f.info.arena_bytes / kib,
           (double)f.info.parameter_bytes / kib, (double)f.packed_bytes / kib,
           (double)f.winograd_bytes / kib, f.winograd_layers, f.layers,
           over ? "  over 150 ms" : "");
    fflush(stdout);
}

static void walk(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        printf("There is no %s.\n", folder);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name, *dot = strrchr(name, '.');
        char below[MAX_PATH], path[MAX_PATH + 16];
        struct stat st;
        snprintf(below, sizeof below, "%s/%s", folder, name);
        snprintf(path, sizeof path, "%s/model.onnx", below);
        if (dot && dot != name && strcmp(dot, ".onnx") == 0)
            report(below, name, folder);
        else if (name[0] != '.' && stat(path, &st) == 0)
            report(path, name, below);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    printf("%-22s %7s %7s %7s %8s %10s %10s %10s %10s %s\n", "model", "load ms", "plan ms",
           "fast ms", "session", "arena KiB", "weights", "packed", "Winograd", "layers");
    for (int i = 1; i < argc; i++)
        walk(argv[i]);
    if (late > 0)
        printf("%d of them take over %d ms to load and plan.\n", late, PROMISE_MS);
    return argc < 2;
}
