#include "record/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#define CHUNK_MIN 4096

int file_check(int fd)
{
    struct stat status;
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &status) < 0 ? -errno : 0;
    if (r == 0 && !S_ISREG(status.st_mode))
        r = S_ISDIR(status.st_mode) ? -EISDIR : -EMEDIUMTYPE;
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

int file_open(const char *path)
{
    /* O_NONBLOCK: opening a named pipe must not wait for its other end. */
    return file_check(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

int file_read(int fd, size_t size_max, char **ret_data, size_t *ret_size)
{
    /* The size is a hint: the file may grow or shrink while it is read. */
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size > 0 && (uint64_t)status.st_size > size_max)
        return -EFBIG;
    size_t room = (size_t)status.st_size > CHUNK_MIN ? (size_t)status.st_size : CHUNK_MIN;
    size_t size = 0;
    char *data = malloc(room + 1);
    int r = data ? 0 : -ENOMEM;
    while (r == 0) {
        ssize_t n = read(fd, data + size, room - size + 1);
        if (n == 0)
            break;
        if (n < 0) {
            r = errno == EINTR ? 0 : -errno;
            continue;
        }
        size += (size_t)n;
        if (size > size_max) {
            r = -EFBIG;
        } else if (size > room) {
            room = 2 * size;
            char *larger = realloc(data, room + 1);
            r = larger ? 0 : -ENOMEM;
            data = larger ? larger : data;
        }
    }
    if (r < 0) {
        free(data);
        return r;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int file_read_path(const char *path, size_t size_max, char **ret_data, size_t *ret_size)
{
    int fd = file_open(path);
    if (fd < 0)
        return fd;
    int r = file_read(fd, size_max, ret_data, ret_size);
    close(fd);
    return r;
}

const char *file_error_text(int error)
{
    switch (-error) {
    case EISDIR:
        return "it is a folder";
    case EMEDIUMTYPE:
        return "it is not a file";
    case EFBIG:
        return "it is too large";
    default:
        return g_strerror(-error);
    }
}
