/* The files vigild opens for workers, and the only ones: models the configuration names, and
 * media files beneath a media root. Regular files, read-only, close-on-exec.
 *
 * Thread: any. Opening may wait for a slow disk. */
#ifndef DAEMON_MEDIA_H
#define DAEMON_MEDIA_H

/* `below` is resolved beneath the folder `root` by the kernel: no "..", no symbolic link leads
 * out of it, nor is any followed. A descriptor, or -errno (-EXDEV, -ELOOP: tried to leave). */
int media_open_beneath(const char *root, const char *below);

/* A descriptor, or -errno; -EISDIR and such when it is no regular file. */
int media_open_file(const char *path);

#endif
