#include "nn/train/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A FIFO would make open wait for a writer. */
static int open_regular(const char *path, size_t *ret_size, struct nn_error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return nn_error_set(err, -errno, "'%.160s': %s", path, strerror(errno));
    int r = 0;
    if (fstat(fd, &status) < 0)
        r = nn_error_set(err, -errno, "'%.160s': %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        r = nn_error_set(err, -EINVAL, "'%.160s' is not a file", path);
    else if ((uintmax_t)status.st_size > TRAIN_FILE_BYTES_MAX)
        r = nn_error_set(err, -E2BIG, "'%.160s' is larger than %zu MiB, the most read here",
                         path, TRAIN_FILE_BYTES_MAX >> 20);
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_size = (size_t)status.st_size;
    return fd;
}

static int read_failed(gzFile file, const char *path, size_t size, struct nn_error *err)
{
    int code = 0;
    gzerror(file, &code);
    if (code == Z_ERRNO)
        return nn_error_set(err, errno ? -errno : -EIO, "'%.160s': %s", path, strerror(errno));
    if (code == Z_MEM_ERROR)
        return nn_error_set(err, -ENOMEM, "no memory to unpack '%.160s'", path);
    return nn_error_set(err, -EINVAL,
                        "'%.160s' is damaged: its gzip stream makes no sense "
                        "after %zu bytes",
                        path, size);
}

static int read_all(gzFile file, const char *path, size_t guess, uint8_t **ret_data,
                    size_t *ret_size, struct nn_error *err)
{
    size_t capacity = guess + 2, size = 0; /* one more, to see the end, and one for the NUL */
    uint8_t *data = malloc(capacity);
    int r = 0;
    while (data) {
        const size_t room = capacity - 1 - size;
        const int got = gzread(file, data + size, room < 1 << 20 ? (unsigned)room : 1 << 20);
        if (got < 0)
            r = read_failed(file, path, size, err);
        if (got <= 0)
            break;
        size += (size_t)got;
        if (size > TRAIN_FILE_BYTES_MAX) {
            r = nn_error_set(err, -E2BIG,
                             "'%.160s' unpacks to more than %zu MiB, the most "
                             "read here",
                             path, TRAIN_FILE_BYTES_MAX >> 20);
            break;
        }
        if (size + 1 < capacity)
            continue;
        capacity += capacity / 2 + 4096;
        uint8_t *grown = realloc(data, capacity);
        if (!grown)
            free(data);
        data = grown;
    }
    if (!data)
        return nn_error_set(err, -ENOMEM, "no memory to read '%.160s'", path);
    if (r < 0) {
        free(data);
        return r;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int train_file_read(const char *path, uint8_t **ret_data, size_t *ret_size,
                    struct nn_error *err)
{
    size_t guess = 0, size = 0;
    int fd = open_regular(path, &guess, err);
    if (fd < 0)
        return fd;
    gzFile file = gzdopen(fd, "rb");
    if (!file) {
        close(fd);
        return nn_error_set(err, -ENOMEM, "no memory to read '%.160s'", path);
    }
    gzbuffer(file, 1 << 17);
    uint8_t *data = NULL;
    int r = read_all(file, path, guess, &data, &size, err);
    /* A stream that is cut reads well to its end: only closing tells. */
    int closed = gzclose_r(file);
    if (r == 0 && closed != Z_OK) {
        free(data);
        return nn_error_set(err, -EINVAL,
                            "'%.160s' is cut: its gzip stream goes on after the "
                            "%zu bytes it gave",
                            path, size);
    }
    if (r == 0) {
        *ret_data = data;
        *ret_size = size;
    }
    return r;
}
