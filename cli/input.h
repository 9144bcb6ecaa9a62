/* What `vigil run` is given, made a stream.start: an address or a path, a model, their
 * descriptors. Everything is checked and opened here, before a worker is started, so that a
 * mistake is one line and no process.
 *
 * Thread: plain data. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "daemon/config/stream.h"

#define INPUT_TLS_CA_HELP                                                                      \
    "Who may sign a camera's certificate, instead of whom the system trusts (PEM)"

struct input {
    struct message_stream_start start;
    struct config_stream stream; /* the address, checked */
    bool finite;                 /* a file, or a scene with a duration */
    char *shown;                 /* how to name it: the path given, or the address */
    char *model_shown;
    int set_count; /* so many of start.overrides, the first, are of --set */
    char *tls_ca;  /* absolute, or NULL */
    int64_t media_size;
    int fds[2]; /* model, media; -1: none */
    int fd_count;
};

struct input_options {
    const char *uri;        /* rtsp, rtsps, scene, file, or a path */
    const char *model;      /* a path, or a name (cli_find_model); NULL: scene */
    const char *name;       /* of the stream; NULL: made from the address */
    const char *start_time; /* RFC 3339; NULL: the epoch */
    const char *tls_ca;     /* a file of authorities; NULL: the system's */
    const char *const *set; /* "vigil.key=value" or "key=value"; NULL-terminated, may be NULL */
    bool loop, windows;
};

/* 0, or an exit code of cli.h with a line said on stderr. MODEL.modelinfo beside the model, a
 * GKeyFile, adds the keys of its group [vigil] to the overrides, after those of `set`. */
int input_init(struct input *input, const struct input_options *options);

/* Whether a stream could run the model with these settings, which a worker would say only when
 * it has its stream. The same. */
int input_check_model(const struct input *input);

/* What a worker says of the model, without the name that input->model_shown says better. Part
 * of the text. */
const char *input_model_detail(const struct input *input, const char *detail);
void input_finish(struct input *input); /* closes the descriptors; twice is fine */

#endif
