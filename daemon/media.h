/* What vigild opens beneath a folder it was told: media files for workers, files and folders of
 * jobs; regular ones, read-only, close-on-exec. (The models the configuration names are opened with record/file.h.)
 *
 * Thread: any. Opening may wait for a slow disk. */
#ifndef DAEMON_MEDIA_H
#define DAEMON_MEDIA_H

/* `below` is opened beneath the folder `root`, each folder on the way held open: no ".." is
 * taken and no symbolic link is followed. A descriptor, or -errno (-EXDEV: names what is not
 * beneath; -ELOOP: a link). */
int media_open_beneath(const char *root, const char *below);

/* Likewise a folder, "" being `root` itself. The descriptor is one of O_PATH. */
int media_open_folder_beneath(const char *root, const char *below);

#endif
