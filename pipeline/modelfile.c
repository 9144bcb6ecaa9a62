#include "pipeline/modelfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "nn/packed.h"

#include "pipeline/modelkeys.h"
#include "record/file.h"
#include "record/sidecar.h"

int modelfile_read(const char *path, GBytes **ret_bytes, struct nn_error *err)
{
    char *data;
    size_t size;
    int r = file_read_path(path, (size_t)MODELFILE_BYTES_MAX, &data, &size);
    if (r < 0)
        return nn_error_set(err, r, "%s: %s", path, file_error_text(r));
    *ret_bytes = g_bytes_new_with_free_func(data, size, free, data);
    return 0;
}

struct mapping {
    void *data;
    size_t size;
};

static void unmap(gpointer data)
{
    struct mapping *mapping = data;
    munmap(mapping->data, mapping->size);
    g_free(mapping);
}

bool modelfile_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_WRITE) && (seals & F_SEAL_SHRINK);
}

int modelfile_map(int fd, GBytes **ret_bytes, struct nn_error *err)
{
    struct stat status;
    if (!modelfile_is_sealed(fd))
        return nn_error_set(err, -EINVAL, "the packed model is not sealed");
    if (fstat(fd, &status) < 0 || status.st_size <= 0 ||
        (uint64_t)status.st_size > NN_PACKED_BYTES_MAX)
        return nn_error_set(err, -EINVAL, "the packed model has no valid size");
    size_t size = (size_t)status.st_size;
    /* Private: before Linux 6.7 a file that is sealed against writing cannot be mapped shared.
     * Pages that nobody writes are shared all the same. */
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return nn_error_set(err, -errno, "the packed model cannot be mapped: %s",
                            g_strerror(errno));
    struct mapping *mapping = g_new(struct mapping, 1);
    *mapping = (struct mapping){data, size};
    *ret_bytes = g_bytes_new_with_free_func(data, size, unmap, mapping);
    return 0;
}

static void let_go(void *bytes)
{
    g_bytes_unref(bytes);
}

int modelfile_load(GBytes *bytes, struct nn_model **ret_model, struct nn_error *err)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    struct nn_packed *packed = NULL;
    if (!nn_packed_is(data, size))
        return nn_model_load(data, size, ret_model, err);
    int r = nn_packed_open(data, size, let_go, bytes, &packed, err);
    if (r < 0)
        return r;
    g_bytes_ref(bytes); /* packed's own */
    r = nn_model_load_packed(packed, ret_model, err);
    nn_packed_unref(packed);
    return r;
}

static int take_key(void *data, const char *key, const char *value, struct sidecar_error *err)
{
    struct nn_error why;
    int r = modelkeys_check_name(key, &why);
    if (r < 0)
        g_strlcpy(err->text, why.text, sizeof err->text);
    else
        modelkeys_overrides_add(data, key, value);
    return r;
}

int modelfile_read_sidecar(const char *model_path, GHashTable *overrides, struct nn_error *err)
{
    struct sidecar_error why;
    int r = sidecar_read(model_path, take_key, overrides, &why);
    return r < 0 ? nn_error_set(err, r, "%s", why.text) : 0;
}
