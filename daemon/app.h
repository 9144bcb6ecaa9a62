/* The whole of vigild but its options: owns streams, workers, store and API on one loop.
 *
 * Created listening and with its streams starting; app_stop then takes everything down in
 * order: no new requests, workers asked and killed, what they began ended, records committed,
 * store closed, `stopped` called.
 *
 * Thread: the loop's. */
#ifndef DAEMON_APP_H
#define DAEMON_APP_H

#include <uv.h>

#include "daemon/config/config.h"
#include "daemon/watchdog.h"

struct app;

struct app_error {
    char text[600];
};

struct app_options {
    uv_loop_t *loop;
    struct config *config; /* borrowed until destroyed; a reload changes it */
    const struct config_options *config_options; /* where it came from; borrowed likewise */
    const char *version;
    struct watchdog *watchdog; /* borrowed until destroyed; may be NULL */
    struct pulse *pulse;       /* of the loop; may be NULL */
    /* One line for people, when it has changed, at most once a second while running. */
    void (*status)(void *owner, const char *line);
    void (*stopped)(void *owner);
    /* Around a reload: it begins, or it is over, whatever became of it. NULL is fine. */
    void (*reloading)(void *owner, bool begins);
    void *owner;
};

/* 0; -EINVAL configuration (listen, a damaged row); -EADDRINUSE and others: something needed
 * is not available. */
int app_create(const struct app_options *options, struct app **ret_app, struct app_error *err);

const char *app_url(const struct app *app);

/* Loads the configuration again and takes over what changed: new streams start, those that are
 * gone stop, those whose configuration or model changed start again, and the others are not
 * touched. A mistake, a key that cannot change while vigild runs, or a stream of the API that
 * could not go on: one line in the log, and nothing is changed. The files are read by another
 * thread; called again meanwhile, it is done once more. Ignored while stopping. */
void app_reload(struct app *app);

/* Once; a second call ends the patience with workers. */
void app_stop(struct app *app);

/* After `stopped`; its handles close with the next turns of the loop. NULL is fine. */
void app_destroy(struct app *app);

#endif
