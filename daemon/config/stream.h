/* One stream's configuration, wherever it comes from: a [stream NAME] section, the body of
 * PUT /streams/{name}, or the row the store kept. All three pass config_stream_make.
 *
 * Credentials are taken out of the address as soon as it is read and are never part of it
 * again: nothing that prints an address can print a password.
 *
 * Thread: plain data. */
#ifndef DAEMON_CONFIG_STREAM_H
#define DAEMON_CONFIG_STREAM_H

#include "record/message.h"

#define CONFIG_ROOTS_MAX 16

struct config_error {
    char key[32];   /* the member or key at fault, "" when it is none in particular */
    char text[512]; /* what, where, what to do; no credentials */
};

/* Folders that file:// streams may come from: absolute, without a trailing slash. */
struct config_roots {
    size_t count;
    char *paths[CONFIG_ROOTS_MAX];
};

enum config_scheme { CONFIG_RTSP, CONFIG_RTSPS, CONFIG_SCENE, CONFIG_FILE };

struct config_stream {
    char name[RECORD_NAME_SIZE];
    enum config_scheme scheme;
    char uri[MESSAGE_URI_SIZE]; /* without credentials */
    char user[MESSAGE_CREDENTIAL_SIZE];
    char password[MESSAGE_CREDENTIAL_SIZE];
    char model[RECORD_NAME_SIZE];
    bool enabled;
    bool loop;
    int64_t retention_days; /* 0: for ever; -1: that of [store] */
    int64_t retention_mb;   /* 0: any number */
};

/* What someone wrote, unchecked; NULL and -1 are absent. */
struct config_stream_fields {
    const char *uri, *user, *password, *model;
    int64_t enabled, loop, retention_days, retention_mb;
};
#define CONFIG_STREAM_FIELDS_NONE                                                              \
    {                                                                                          \
        .enabled = -1, .loop = -1, .retention_days = -1, .retention_mb = -1                    \
    }

/* Sets the field of a key of [stream NAME] to what a file says; `text` is borrowed as long as
 * the fields are. 0 or -EINVAL with err->key set. */
int config_stream_field_parse(struct config_stream_fields *fields, const char *key,
                              const char *text, struct config_error *err);

/* Checks every field, splits credentials off the address, fills in defaults. `roots` bounds
 * file:// addresses. 0 or -EINVAL with err->key set. */
int config_stream_make(const char *name, const struct config_stream_fields *fields,
                       const struct config_roots *roots, struct config_stream *ret_stream,
                       struct config_error *err);

/* From a JSON object whose members are the keys of [stream NAME]; uri is required, others are
 * refused. 0 or -EINVAL. */
int config_stream_from_json(const char *name, const json_t *object,
                            const struct config_roots *roots, struct config_stream *ret_stream,
                            struct config_error *err);

/* The same members again, credentials only for the store's own row. NULL without memory. */
json_t *config_stream_to_json(const struct config_stream *stream, bool with_credentials);

bool config_stream_equal(const struct config_stream *a, const struct config_stream *b);
/* Whether both are the same to a worker: what is left is for how long its records are kept. */
bool config_stream_same_work(const struct config_stream *a, const struct config_stream *b);
/* The same, whatever their models. */
bool config_stream_same_source(const struct config_stream *a, const struct config_stream *b);
bool config_stream_has_credentials(const struct config_stream *stream);

/* Whether `host` is the host of an rtsp(s) address. */
bool config_stream_names_host(const struct config_stream *stream, const char *host);

/* The path of a file:// address, percent-decoded: which root it is under and the rest below
 * it. 0; -EINVAL; -EACCES when it is under none. */
int config_stream_media(const char *uri, const struct config_roots *roots,
                        size_t *ret_root_index, char *ret_below, size_t below_size);

#endif
