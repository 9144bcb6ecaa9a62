/* The first seeds of fuzz_packed, one for each of fuzz_onnx that can be planned as it is:
 *     packed_seeds SEEDS-OF-ONNX SEEDS-OF-PACKED           writes them
 *     packed_seeds --check SEEDS-OF-ONNX SEEDS-OF-PACKED   tells which are not what it would
 *                                                          write: a seed of another layout is
 *                                                          refused at once and shows the
 *                                                          fuzzer nothing */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/nn/packing.h"

static void *read_all(const char *path, size_t *ret_size)
{
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    *ret_size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

/* 0 and the packed file, or why there is none. */
static int pack(const char *path, struct packing **ret_packing, struct nn_error *err)
{
    size_t size;
    const void *onnx = read_all(path, &size);
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    int r = nn_model_load(onnx, size, &model, err);
    if (r == 0)
        r = nn_plan_create(model, NULL, &plan, err);
    if (r == 0)
        r = packing_write(plan, onnx, size, 16, ret_packing, err);
    nn_plan_unref(plan);
    nn_model_unref(model);
    return r;
}

static int save(const char *path, const struct packing *packing)
{
    FILE *file = fopen(path, "wb");
    int r = file && fwrite(packing->data, 1, packing->size, file) == packing->size ? 0 : -EIO;
    return file && fclose(file) != 0 ? -EIO : r;
}

static int check(const char *path, const struct packing *packing)
{
    size_t size;
    const void *seed = read_all(path, &size);
    bool same = size == packing->size && memcmp(seed, packing->data, size) == 0;
    return same ? 0 : -ESTALE;
}

static int is_model(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".onnx") == 0;
}

/* Seed `number` of a model, a line of TAP. 1, 0 where it makes none, or negative errno. */
static int make(const char *models, const char *seeds, const char *name, bool checks,
                int number)
{
    struct packing *packing = NULL;
    struct nn_error err = {{0}};
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/%s", models, name);
    snprintf(to, sizeof to, "%s/%.*s.packed", seeds, (int)strlen(name) - 5, name);
    if (pack(from, &packing, &err) < 0) {
        printf("# %s makes no seed: %s\n", name, err.text);
        return 0;
    }
    int r = checks ? check(to, packing) : save(to, packing);
    packing_release(packing);
    printf("%sok %d - %s\n", r < 0 ? "not " : "", number, to);
    if (r < 0)
        printf("# %s\n", r == -ESTALE ? "not what packed_seeds writes" : strerror(-r));
    return r < 0 ? r : 1;
}

int main(int argc, char **argv)
{
    bool checks = argc == 4 && strcmp(argv[1], "--check") == 0;
    struct dirent **models;
    int count =
        argc == 3 || checks ? scandir(argv[argc - 2], &models, is_model, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: packed_seeds [--check] SEEDS-OF-ONNX SEEDS-OF-PACKED\n");
        return EXIT_FAILURE;
    }
    setenv("VIGIL_KERNELS", "scalar", 1);
    int made = 0;
    bool failed = false;
    for (int i = 0; i < count; i++) {
        int r = make(argv[argc - 2], argv[argc - 1], models[i]->d_name, checks, made + 1);
        made += r != 0;
        failed |= r < 0;
        free(models[i]);
    }
    free(models);
    printf("1..%d\n", made);
    return failed || !made ? EXIT_FAILURE : EXIT_SUCCESS;
}
