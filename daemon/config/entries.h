/* What the sources of a configuration say, before anyone asks what it means: entries (section,
 * key, text) that know where they were said. Added in order of rising rank; a later one
 * replaces an earlier.
 *
 * GKeyFile decides what a value is (escapes, UTF-8). Unknown sections and keys, keys said twice
 * in one file and comments behind values are refused here, with file and line.
 *
 * Thread: an instance belongs to its holder. */
#ifndef DAEMON_CONFIG_ENTRIES_H
#define DAEMON_CONFIG_ENTRIES_H

#include "daemon/config/stream.h"

#define CONFIG_FILE_MAX  (1024 * 1024) /* bytes of one file */
#define CONFIG_FILES_MAX 64            /* of one folder */

struct config_entry {
    char *value;
    char *origin; /* "vigil.conf:12", "VIGIL_SERVER_LISTEN", "--listen" */
    char *folder; /* relative paths start here; NULL: the current one */
};

/* A section that stands once per name, and where it was first opened. */
struct config_header {
    char *text; /* "stream front-door" */
    char *name; /* "front-door", in text */
    char *origin;
};

struct config_entries;

struct config_entries *config_entries_create(void);
void config_entries_destroy(struct config_entries *entries); /* NULL is fine */

/* One file. -ENOENT when it cannot be read; -EINVAL for a mistake in it. */
int config_entries_add_file(struct config_entries *entries, const char *path,
                            struct config_error *err);

/* *.conf of a folder, in order of name; without that folder nothing. */
int config_entries_add_folder(struct config_entries *entries, const char *folder,
                              struct config_error *err);

/* VIGIL_SECTION_KEY of NAME=value texts (NULL-terminated, may be NULL). Only sections that
 * stand once have variables; others that start with VIGIL_ (VIGIL_URL) belong to other
 * programs. */
int config_entries_add_environment(struct config_entries *entries,
                                   const char *const *environment, struct config_error *err);

void config_entries_set(struct config_entries *entries, const char *section, const char *key,
                        const char *value, const char *origin, const char *folder);

/* NULL when nothing was said. */
const struct config_entry *config_entries_find(const struct config_entries *entries,
                                               const char *section, const char *key);

/* The index-th [kind NAME] in order of appearance, NULL after the last. */
const struct config_header *config_entries_named(const struct config_entries *entries,
                                                 const char *kind, size_t index);

#endif
