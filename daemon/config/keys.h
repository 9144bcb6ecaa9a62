/* The keys of a configuration, in one table: the parser, the search for what an unknown key was
 * meant to be, `vigil config show` and the tables of docs/configuration.md all read it.
 *
 * A new key is a row here and a member of the struct the row's offset lies in: struct config
 * for sections that stand once, struct config_stream_fields for [stream NAME]. Text types fill
 * a `char *`, the others an `int64_t`.
 *
 * Thread: constant data. */
#ifndef DAEMON_CONFIG_KEYS_H
#define DAEMON_CONFIG_KEYS_H

#include "daemon/config/stream.h"

#define CONFIG_KEYS_MAX 32 /* of one section */

enum config_type {
    CONFIG_TEXT,     /* what it may be is checked by who uses it */
    CONFIG_NAME,     /* a text for which record_name_is_valid */
    CONFIG_PATH,     /* made absolute: relative ones start at the folder of the file */
    CONFIG_FOLDERS,  /* paths, ';' between; a struct config_roots */
    CONFIG_INTEGER,  /* min..max */
    CONFIG_BOOLEAN,  /* true, yes, on, 1 or false, no, off, 0 */
    CONFIG_SIZE,     /* min..max bytes, written as 512 MiB */
    CONFIG_DURATION, /* min..max milliseconds, written as 90 s */
};

struct config_key {
    const char *name;
    enum config_type type;
    int64_t min, max;
    size_t offset;
    const char *fallback;         /* the default as one would write it; NULL: see next */
    char *(*make_fallback)(void); /* finds it out; g_free(). NULL: there is none */
    const char *fallback_note;    /* instead of the default, for the reference */
    int (*check)(const char *value, struct config_error *err); /* more than the type; or NULL */
    const char *meaning;                                       /* one sentence, Markdown */
    bool fixed;                                                /* a reload cannot change it */
    bool secret;                                               /* never shown */
};

struct config_section {
    const char *name;
    bool named; /* stands once per name: [stream front-door] */
    const char *meaning;
    const struct config_key *keys; /* ends with one that has no name */
};

/* server, store, worker, jobs, model, stream; ends with one that has no name. */
extern const struct config_section config_sections[];

/* NULL when there is none of that name. */
const struct config_section *config_section_find(const char *name);
const struct config_key *config_key_find(const struct config_section *section,
                                         const char *name);

/* One line about a key that is none: the nearest, else all there are. Returns -EINVAL. `noun`
 * is "key" or "member", `where` "" or " in [server]". */
int config_key_unknown(const struct config_section *section, const char *name, const char *noun,
                       const char *where, struct config_error *err);

#endif
