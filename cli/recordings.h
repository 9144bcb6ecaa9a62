/* Recordings whose label is known: the clips or sounds that folders, tables and their own names
 * tell.
 *
 *   a folder    its folders are the classes, the files in them their recordings; or, with a
 *               pattern, its files, whose names say label and source
 *   a file      one of which the pattern says the same
 *   a table     CSV with a line of names first: path (or clip), label, and, if wanted, source, start
 *               and end (seconds)
 *
 * A pattern is a file's name with {label} and {source} where these stand, and * for any text:
 * {label}_{source}_*.wav. A {label} or {source} is as short as it can be, and not empty.
 *
 * A recording whose source is not told is a source of its own.
 *
 * Thread: single-threaded. */
#ifndef CLI_RECORDINGS_H
#define CLI_RECORDINGS_H

#include <glib.h>
#include <stdbool.h>

#include "nn/train/names.h"

struct recording {
    char *path, *label, *source;
    bool timed;        /* only what lies between start and end */
    double start, end; /* seconds; end may be infinite */
};

/* Which files of a folder are meant. */
struct recordings_kind {
    const char *word;     /* "clip" */
    const char *suffixes; /* for people */
    bool (*is_one)(const char *path);
    const char *pattern;  /* NULL: folders are classes */
    const char *no_times; /* why a table may have no times; NULL: it may */
};

/* `paths`: folders, files and tables, NULL at the end. Of a folder, recordings come in the order of their
 * names. *ret_list, of struct recording, is written only on success, and ended by
 * g_ptr_array_unref(). 0, or an exit code of cli.h with a line said on stderr. */
int recordings_list(char *const *paths, const struct recordings_kind *kind,
                    GPtrArray **ret_list);

/* Their labels in order, each once. 0, or an exit code likewise; the caller finishes the names. */
int recordings_name_classes(const GPtrArray *list, struct train_names *ret_classes);

#endif
