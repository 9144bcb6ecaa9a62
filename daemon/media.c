/* Folder by folder rather than with openat2(2): systemd answers that call with ENOSYS in
 * services that may not make SUID files, DynamicUser= among them, since a filter cannot see its
 * flags. */
#include "daemon/media.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/file.h"

/* A folder itself ("": the parent), never what a link of that name leads to. O_PATH opens links
 * too, which is how they are told from other things that are no folder. */
static int open_folder(int parent, const char *name)
{
    struct stat status;
    int fd = openat(parent, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &status) < 0     ? -errno
            : S_ISLNK(status.st_mode)  ? -ELOOP
            : !S_ISDIR(status.st_mode) ? -ENOTDIR
                                       : fd;
    if (r < 0)
        close(fd);
    return r;
}

static int open_file(int folder, const char *name)
{
    return file_check(
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

/* Takes `folder`. */
static int open_below(int folder, const char *below,
                      int (*open_last)(int folder, const char *name))
{
    char name[NAME_MAX + 1];
    for (;;) {
        size_t length = strcspn(below, "/");
        int next;
        if (length > NAME_MAX)
            next = -ENAMETOOLONG;
        else if (length == 2 && strncmp(below, "..", 2) == 0)
            next = -EXDEV;
        else if (below[length] == '\0')
            next = open_last(folder, below);
        else {
            memcpy(name, below, length);
            name[length] = '\0';
            next = open_folder(folder, name);
        }
        close(folder);
        if (next < 0 || below[length] == '\0')
            return next;
        folder = next;
        below += length + 1;
    }
}

static int open_beneath(const char *root, const char *below,
                        int (*open_last)(int folder, const char *name))
{
    if (*below == '/')
        return -EXDEV;
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -errno : open_below(folder, below, open_last);
}

int media_open_beneath(const char *root, const char *below)
{
    return open_beneath(root, below, open_file);
}

int media_open_folder_beneath(const char *root, const char *below)
{
    return open_beneath(root, below, open_folder);
}
