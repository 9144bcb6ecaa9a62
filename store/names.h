/* Names of streams, labels and zones as small numbers: each text is kept once, with how many
 * use it, and goes when nothing does. A list's number is made of three of them (lists.h).
 *
 * Whoever brings a new name is the stream that made it. Labels and zones come from processes
 * that met a camera's bytes: a stream makes at most STORE_NAMES_PER_STREAM of them.
 *
 * Results are SQLite's.
 * Thread: as the handle. */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "store/handle.h"

#define NAME_BITS 18

/* SQLITE_OK with 0 for a name that is not kept. */
int names_find(struct store *store, const char *text, int64_t *ret_id);

/* One use more, of a name that may be new. `maker` 0: a stream's own name. SQLITE_CONSTRAINT
 * when its maker has made its share, or all together theirs. */
int names_use(struct store *store, const char *text, int64_t maker, int64_t *ret_id);

/* One use less. */
int names_release(struct store *store, int64_t id);

/* The text of a name; caller frees. SQLITE_CORRUPT when there is none. */
int names_text(struct store *store, int64_t id, char **ret_text);

#endif
