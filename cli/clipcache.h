/* Frames of clips that were decoded before: files in the user's cache folder, found by what they
 * were made of. Bounded: the least recently used go first.
 *
 * A cache may be lost or spoilt at any time: what does not fit is decoded again.
 *
 * Thread: several processes at once. */
#ifndef CLI_CLIPCACHE_H
#define CLI_CLIPCACHE_H

#include <glib.h>

#define CLIPCACHE_BYTES_MAX ((guint64)8 << 30)

/* What frames are made of: the clip's file (its path, size and time of change) and how it is
 * decoded. NULL where the file cannot be looked at. Caller frees. */
char *clipcache_key(const char *path, const char *how);

/* NULL: it is not there, or its frames are not of `frame` bytes. The file is mapped. */
GBytes *clipcache_get(const char *key, size_t frame);

/* Keeps it if it can: whole frames of `frame` bytes. */
void clipcache_put(const char *key, size_t frame, const void *bytes, size_t size);

#endif
