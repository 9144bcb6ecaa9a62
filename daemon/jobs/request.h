/* What a job is asked to do: read from JSON, checked against the two folders that jobs may use,
 * and made the arguments of `vigil`.
 *
 * Recipe and data lie below the folder of data, models below that of models, each named from
 * there on: no absolute path, no "..", no symbolic link on the way. (What the recipe itself
 * names is up to whoever may write one there.)
 *
 * Thread: plain data; jobs_request_check looks at the disk and may run on any thread. */
#ifndef DAEMON_JOBS_REQUEST_H
#define DAEMON_JOBS_REQUEST_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define JOBS_PATH_SIZE   256 /* of what a request names, with its NUL */
#define JOBS_THREADS_MAX 64  /* NN_PLAN_THREADS_MAX */

enum jobs_kind { JOBS_TRAIN, JOBS_EVAL };

/* What its kind has no member for is empty. */
struct jobs_request {
    enum jobs_kind kind;
    char recipe[JOBS_PATH_SIZE]; /* eval: "" when data says all */
    char data[JOBS_PATH_SIZE];   /* "": the recipe's own folder */
    int threads;

    char out[JOBS_PATH_SIZE];
    bool resume;  /* go on with what was kept of `out` */
    bool replace; /* `out`, and what was kept of it, may be there */

    char model[JOBS_PATH_SIZE];  /* that is judged */
    char split[16];              /* by which part of the data; "": as `vigil eval` chooses */
    char report[JOBS_PATH_SIZE]; /* a folder below that of models; "": none */
};

struct jobs_error {
    char text[400];
};

/* 0, or -EINVAL: a member that is missing, unknown or of no use. What is left out has its
 * default: `out` is the recipe's name. */
int jobs_request_from_json(const json_t *json, struct jobs_request *ret_request,
                           struct jobs_error *err);

/* The members it was made of, and the defaults. NULL without memory. */
json_t *jobs_request_to_json(const struct jobs_request *request);

/* The file it is about: the model of an evaluation, else the recipe. Its own. */
const char *jobs_request_subject(const struct jobs_request *request);

/* Whether what it names is there, and `out` is not unless it may be. 0; -ENOENT; -EEXIST; or
 * -EXDEV, what leads out of the folders. */
int jobs_request_check(const struct jobs_request *request, const char *data_folder,
                       const char *model_folder, struct jobs_error *err);

/* Arguments of `program`, NULL-terminated; `parent` is ours. g_strfreev(). */
char **jobs_request_arguments(const struct jobs_request *request, const char *program,
                              const char *data_folder, const char *model_folder, int parent);

const char *jobs_kind_name(enum jobs_kind kind);

#endif
