/* What vigild was told: GKeyFile text, conf.d, environment and flags made one checked struct.
 *
 * A flag wins over the environment (VIGIL_SECTION_KEY), that over conf.d/NAME.conf (lexical
 * order, beside the file), that over the file itself, that over the default. Keys and their
 * meaning: docs/architecture.md, "Configuration". Loading is all or nothing: the first mistake
 * is reported as one line naming the place (file:line, variable or flag), the key and the cure,
 * and nothing is returned. Unknown keys and sections are mistakes.
 *
 * Thread: plain data; a loaded config is not changed afterwards. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "daemon/config_stream.h"

#define CONFIG_FILE_MAX    (1024 * 1024) /* bytes of one file */
#define CONFIG_FILES_MAX   64            /* of conf.d */
#define CONFIG_STREAMS_MAX 256
#define CONFIG_MODELS_MAX  64
#define CONFIG_LISTEN_SIZE 128

#define CONFIG_FILE_DEFAULT "/etc/vigil/vigil.conf" /* read when it exists */

struct config_model {
    char name[RECORD_NAME_SIZE];
    char *path; /* absolute or as found beside the program; of an ONNX file */
    int override_count;
    struct message_override *overrides; /* at most MESSAGE_OVERRIDES_MAX */
};

struct config {
    char listen[CONFIG_LISTEN_SIZE];
    char *listen_origin; /* "vigil.conf:12", who opens the listener reports it; NULL: default */
    char node[RECORD_NAME_SIZE];
    struct config_roots media_roots;
    char *database;
    int retention_days; /* 0: keep all */
    char *worker;       /* path of vigil-worker */
    size_t model_count; /* at least one: `scene` is built in */
    struct config_model *models;
    size_t stream_count;
    struct config_stream *streams; /* of the files, checked */
};

struct config_options {
    const char *file;     /* NULL: CONFIG_FILE_DEFAULT when it exists */
    const char *listen;   /* flags; NULL: not given */
    const char *database; /* flags; NULL: not given */
    /* NAME=value texts; NULL-terminated. NULL: none. */
    const char *const *environment;
};

/* 0; -ENOENT when options->file cannot be read; -EINVAL a mistake; -ENOMEM. */
int config_load(const struct config_options *options, struct config *ret_config,
                struct config_error *err);
void config_finish(struct config *config); /* zeroed is fine */

/* NULL when there is none of that name. */
const struct config_model *config_find_model(const struct config *config, const char *name);

/* Checks a stream against what the file knows: its model must be a configured one. What the
 * API is sent passes here too, so that there is one truth. 0 or -EINVAL. */
int config_check_stream(const struct config *config, const struct config_stream *stream,
                        struct config_error *err);

#endif
