/* What vigild was told: GKeyFile text, conf.d, environment and flags made one checked struct.
 *
 * A flag wins over the environment (VIGIL_SECTION_KEY), that over NAME.conf of
 * $CREDENTIALS_DIRECTORY (systemd's LoadCredential=), that over conf.d/NAME.conf beside the
 * file (both in lexical order), that over the file itself, that over the default. The keys are
 * daemon/config/keys.h; docs/configuration.md is written for who uses them. Loading is all or
 * nothing: the first mistake is reported as one line naming the place (file:line, variable or
 * flag), the key and the cure, and nothing is returned. Unknown keys and sections are mistakes.
 *
 * Thread: plain data; config_load may run on any thread. */
#ifndef DAEMON_CONFIG_CONFIG_H
#define DAEMON_CONFIG_CONFIG_H

#include <glib.h>

#include "daemon/config/stream.h"

#define CONFIG_STREAMS_MAX 256
#define CONFIG_MODELS_MAX  64

#define CONFIG_FILE_DEFAULT "/etc/vigil/vigil.conf" /* read when it exists */

/* Which file a path led to, and whether it is still that one. */
struct config_file {
    bool exists; /* as a file that we could open */
    /* Modified, not changed: a new mode or owner, and a backup's link, make no new model. */
    int64_t device, inode, size, modified_ns;
};

struct config_model {
    char name[RECORD_NAME_SIZE];
    char *path;              /* absolute; of an ONNX file */
    struct config_file file; /* as it was when the configuration was loaded */
    int override_count;
    struct message_override *overrides; /* at most MESSAGE_OVERRIDES_MAX */
};

/* One key as it is in force, for who asks what holds and why. */
struct config_setting {
    char *section; /* "server", "stream front-door" */
    char *key;
    char *value;  /* NULL: secret */
    char *origin; /* "vigil.conf:12"; NULL: the default */
};

struct config {
    char *listen;
    char *node; /* record_name_is_valid */
    struct config_roots media_roots;
    char *database;
    int64_t retention_days; /* 0: keep all */
    int64_t retention_mb, retention_updates_hours;
    char *worker; /* path of vigil-worker */
    char *tls_ca; /* NULL: whom the system trusts */
    int64_t streams_per_worker;
    int64_t ready_timeout; /* milliseconds */
    char *jobs_data;       /* absolute; NULL: there are no jobs */
    char *jobs_models;     /* likewise */
    int64_t jobs_at_once;
    char *jobs_program; /* path of vigil */
    size_t model_count; /* at least one: `scene` is built in */
    struct config_model *models;
    size_t stream_count;
    struct config_stream *streams; /* of the files, checked */
    GPtrArray *settings;           /* struct config_setting */
    GPtrArray *warnings; /* char *: what is allowed, but hardly meant; one line each */
};

struct config_options {
    const char *file;     /* NULL: CONFIG_FILE_DEFAULT when it exists */
    const char *listen;   /* flags; NULL: not given */
    const char *database; /* flags; NULL: not given */
    /* NAME=value texts; NULL-terminated. NULL: none. */
    const char *const *environment;
};

/* 0; -ENOENT when options->file cannot be read; -EINVAL a mistake. */
int config_load(const struct config_options *options, struct config *ret_config,
                struct config_error *err);
void config_finish(struct config *config); /* zeroed is fine */

/* NULL when there is none of that name. */
const struct config_model *config_find_model(const struct config *config, const char *name);

/* NULL when nothing is known of such a key. */
const struct config_setting *config_find_setting(const struct config *config,
                                                 const char *section, const char *key);

/* Checks a stream against what else is configured: its model must be there, and a file beneath
 * a media root. What the API is sent passes here too, so that there is one truth. 0 or
 * -EINVAL. */
int config_check_stream(const struct config *config, const struct config_stream *stream,
                        struct config_error *err);

#endif
