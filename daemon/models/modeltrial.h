/* Whether the models of a configuration would run, before it takes the place of another: each
 * that the other does not have just so is inspected by a one-shot worker, one after the other,
 * with the keys that are configured for it.
 *
 * Thread: the loop's. */
#ifndef DAEMON_MODELS_MODELTRIAL_H
#define DAEMON_MODELS_MODELTRIAL_H

#include <uv.h>

#include "daemon/config/config.h"
#include "daemon/models/opener.h"

#define MODELTRIAL_DEADLINE_MS 8000 /* for one model */

struct model_trial;

struct model_trial_options {
    uv_loop_t *loop;
    const struct config *running, *next; /* borrowed until done */
    struct opener *opener;               /* the same */
    /* Called once and not from inside start. err is NULL when all would run, else one line;
     * the trial is gone. */
    void (*done)(void *owner, const struct config_error *err);
    void *owner;
};

/* 1: `done` follows. 0: there is nothing to try, and it does not. */
int model_trial_start(const struct model_trial_options *options,
                      struct model_trial **ret_trial);

/* Ends it early; `done` follows, or is called from inside, with whatever. */
void model_trial_stop(struct model_trial *trial);

#endif
