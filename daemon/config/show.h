/* Configurations for people: what is in force, and what could be.
 *
 * Each returns a new text, g_free(). Credentials are in none.
 *
 * Thread: plain data. */
#ifndef DAEMON_CONFIG_SHOW_H
#define DAEMON_CONFIG_SHOW_H

#include "daemon/config/config.h"

/* One line: where it listens, what it keeps where, how many streams and models. */
char *config_summary(const struct config *config);

/* A configuration file that says the same, but for users and passwords: a comment stands for
 * them. With the keys that have their default when `defaults`; with a comment above each key
 * that says where it was set when `origins`. */
char *config_show(const struct config *config, bool defaults, bool origins);

/* The table of keys as Markdown: the generated part of docs/configuration.md. */
char *config_reference(void);

#endif
