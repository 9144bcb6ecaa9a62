/* From one configuration to the next, without a restart.
 *
 * Thread: plain data; the loop's when one of them is in force. */
#ifndef DAEMON_CONFIG_CHANGE_H
#define DAEMON_CONFIG_CHANGE_H

#include "daemon/config/config.h"

/* Whether `next` may take the place of `running`: no fixed key differs (daemon/config/keys.h;
 * defaults that only the machine changed do not count), and no model lost its file or was given
 * one that cannot be opened. 0 or -EINVAL with one line. */
int config_check_change(const struct config *running, const struct config *next,
                        struct config_error *err);

/* Exchanges everything but the fixed keys: afterwards `running` is as `next` was said to be,
 * with the texts of its fixed keys where they were, and `next` holds what was replaced. */
void config_swap(struct config *running, struct config *next);

/* Same file, unchanged since, and the same overrides. */
bool config_model_equal(const struct config_model *a, const struct config_model *b);

#endif
