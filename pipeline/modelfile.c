#include "pipeline/modelfile.h"

#include <errno.h>
#include <stdlib.h>

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

static int take_key(void *data, const char *key, const char *value, struct sidecar_error *err)
{
    (void)err; /* what is no key is told with the model, which knows them */
    modelkeys_overrides_add(data, key, value);
    return 0;
}

int modelfile_read_sidecar(const char *model_path, GHashTable *overrides, struct nn_error *err)
{
    struct sidecar_error why;
    int r = sidecar_read(model_path, take_key, overrides, &why);
    return r < 0 ? nn_error_set(err, r, "%s", why.text) : 0;
}
