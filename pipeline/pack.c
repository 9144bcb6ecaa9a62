#include "pipeline/pack.h"

#include <errno.h>
#include <stdio.h>

#include "nn/packed.h"
#include "pipeline/modelinfo.h"

int pack_say_hash(GBytes *onnx)
{
    g_autofree char *hash = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, onnx);
    return printf("sha256 %s\n", hash) < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

int pack_model(GBytes *onnx, GHashTable *overrides, int fd, struct nn_error *err)
{
    struct nn_model *model = NULL;
    struct modelinfo *info = NULL;
    struct nn_plan *plan = NULL;
    gsize size;
    const void *data = g_bytes_get_data(onnx, &size);
    int r = nn_model_load(data, size, &model, err);
    if (r == 0)
        r = modelinfo_create(model, overrides, &info, err);
    if (r == 0)
        r = modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, err);
    if (r == 0)
        r = nn_packed_write(plan, data, size, 0, fd, err);
    nn_plan_unref(plan);
    modelinfo_destroy(info);
    nn_model_unref(model);
    return r;
}
