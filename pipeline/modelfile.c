#include "pipeline/modelfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/modelkeys.h"

#define SIDECAR_MAX_BYTES (INT64_C(64) << 10)
#define SIDECAR_GROUP     "vigil"

static int refuse(struct nn_error *err, int code, const char *path, const char *why)
{
    if (err)
        g_snprintf(err->text, sizeof err->text, "%s: %s", path, why);
    return code;
}

static int read_fd(int fd, int64_t max, GBytes **ret_bytes)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return -EINVAL;
    if (about.st_size > max)
        return -EFBIG;
    size_t size = (size_t)about.st_size, done = 0;
    char *data = g_try_malloc(size ? size : 1);
    if (!data)
        return -ENOMEM;
    while (done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;
            g_free(data);
            return r;
        }
        if (n == 0) /* it shrank meanwhile: what was read decides */
            break;
        done += (size_t)n;
    }
    *ret_bytes = g_bytes_new_take(data, done);
    return 0;
}

static int read_file(const char *path, int64_t max, GBytes **ret_bytes, struct nn_error *err)
{
    /* O_NONBLOCK: opening a named pipe must not wait for its other end. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int r = fd < 0 ? -errno : read_fd(fd, max, ret_bytes);
    if (fd >= 0)
        close(fd);
    if (r == -EINVAL)
        return refuse(err, r, path, "is not a regular file");
    return r < 0 ? refuse(err, r, path, g_strerror(-r)) : 0;
}

int modelfile_read(const char *path, GBytes **ret_bytes, struct nn_error *err)
{
    return read_file(path, MODELFILE_BYTES_MAX, ret_bytes, err);
}

int modelfile_read_sidecar(const char *model_path, GHashTable *overrides, struct nn_error *err)
{
    g_autofree char *path = g_strconcat(model_path, ".modelinfo", NULL);
    g_autoptr(GBytes) bytes = NULL;
    int r = read_file(path, SIDECAR_MAX_BYTES, &bytes, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) keys = NULL;
    if (!g_key_file_load_from_bytes(file, bytes, G_KEY_FILE_NONE, &error) ||
        !(keys = g_key_file_get_keys(file, SIDECAR_GROUP, NULL, &error)))
        return refuse(err, -EINVAL, path, error->message);
    for (int i = 0; keys[i]; i++) {
        g_autofree char *value = g_key_file_get_string(file, SIDECAR_GROUP, keys[i], &error);
        if (!value)
            return refuse(err, -EINVAL, path, error->message);
        modelkeys_overrides_add(overrides, keys[i], value);
    }
    return 0;
}
