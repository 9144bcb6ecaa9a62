/* The media files vigild opens for workers: regular ones beneath a media root, read-only,
 * close-on-exec. (The models the configuration names are opened with record/file.h.)
 *
 * Thread: any. Opening may wait for a slow disk. */
#ifndef DAEMON_MEDIA_H
#define DAEMON_MEDIA_H

/* `below` is opened beneath the folder `root`, each folder on the way held open: no ".." is
 * taken and no symbolic link is followed. A descriptor, or -errno (-EXDEV: names what is not
 * beneath; -ELOOP: a link). */
int media_open_beneath(const char *root, const char *below);

#endif
