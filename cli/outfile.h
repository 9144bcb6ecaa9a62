/* The file that a verb makes: where it may lie, and how it gets there.
 *
 * It is written whole or not at all, and takes the place of a file only when that was asked for
 * (`force`) and it is of the same kind: a slip may name a clip or a table. A symbolic link is
 * replaced itself, what it leads to stays. What is no regular file (a folder, a device, a pipe),
 * and the file that it is made from, are never replaced.
 *
 * Thread: any. */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>

struct outfile {
    const char *option; /* that names it, for messages */
    const char *path;
    const char *source; /* the path of what it is made from */
    bool force;
    const char *kind;                  /* with its article: what may be replaced, */
    bool (*is_kind)(const char *path); /* ... and whether a file is that */
};

/* Whether it could be written now. 0, or an exit code of cli.h with a line said on stderr. */
int outfile_check(const struct outfile *file);

/* Checks again, for what makes a file may take long, and writes it. The same. */
int outfile_write(const struct outfile *file, const void *data, size_t size);

#endif
