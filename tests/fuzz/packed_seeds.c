/* Writes the first seeds of fuzz_packed: packed_seeds ONNX-SEED... DIRECTORY. */
#include <errno.h>
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

/* One that cannot be planned as it is makes no seed. */
static int save(const char *path, const char *directory)
{
    size_t size;
    const void *onnx = read_all(path, &size);
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct packing *packing = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(onnx, size, &model, &err);
    if (r == 0)
        r = nn_plan_create(model, NULL, &plan, &err);
    if (r == 0)
        r = packing_write(plan, onnx, size, 16, &packing, &err);
    if (r == 0) {
        const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        char to[4096];
        snprintf(to, sizeof to, "%s/%.*s.packed", directory, (int)strcspn(name, "."), name);
        FILE *file = fopen(to, "wb");
        r = file && fwrite(packing->data, 1, packing->size, file) == packing->size ? 0 : -EIO;
        if (file && fclose(file) != 0)
            r = -EIO;
        packing_release(packing);
    }
    if (r < 0)
        fprintf(stderr, "%s: %s\n", path, *err.text ? err.text : strerror(-r));
    nn_plan_unref(plan);
    nn_model_unref(model);
    return r;
}

int main(int argc, char **argv)
{
    int r = 0;
    setenv("VIGIL_KERNELS", "scalar", 1);
    for (int i = 1; i < argc - 1; i++)
        r |= save(argv[i], argv[argc - 1]);
    return r < 0;
}
