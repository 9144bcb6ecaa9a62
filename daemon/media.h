/* The media files vigild opens for workers: regular ones beneath a media root, read-only,
 * close-on-exec. (The models the configuration names are opened with record/file.h.)
 *
 * Thread: any. Opening may wait for a slow disk. */
#ifndef DAEMON_MEDIA_H
#define DAEMON_MEDIA_H

/* `below` is resolved beneath the folder `root` by the kernel: no "..", no symbolic link leads
 * out of it, nor is any followed. A descriptor, or -errno (-EXDEV, -ELOOP: tried to leave). */
int media_open_beneath(const char *root, const char *below);

#endif
