/* What the readers of a configuration share: config.c and config_model.c. */
#ifndef DAEMON_CONFIG_PRIVATE_H
#define DAEMON_CONFIG_PRIVATE_H

#include "daemon/config/config.h"
#include "daemon/config/entries.h"

/* "ORIGIN: ..." into err; -EINVAL. */
int config_refuse(struct config_error *err, const char *origin, const char *key,
                  const char *format, ...) G_GNUC_PRINTF(4, 5);

void config_warn(struct config *config, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* What is in force. A secret is noted without its value, a default without an origin. */
void config_note(struct config *config, const char *section, const char *key, const char *value,
                 const char *origin);

/* `path` from `folder` on, NULL: from the current one. g_free(). */
char *config_absolute_path(const char *path, const char *folder);

/* config_model.c: fills in config->models. */
int config_models_read(const struct config_entries *entries, struct config *config,
                       struct config_error *err);

#endif
