#include "daemon/media.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Takes fd. O_NONBLOCK at the open kept a named pipe from holding us up. */
static int check_regular(int fd)
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

int media_open_beneath(const char *root, const char *below)
{
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, folder, below, &how, sizeof how);
    int r = check_regular(fd);
    close(folder);
    return r;
}

int media_open_file(const char *path)
{
    return check_regular(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}
