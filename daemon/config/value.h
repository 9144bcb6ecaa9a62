/* What is written behind a key, read as the key's type. The text comes from a file, a variable,
 * a flag or JSON; whoever calls knows from where and puts that before the error.
 *
 * Thread: plain data. */
#ifndef DAEMON_CONFIG_VALUE_H
#define DAEMON_CONFIG_VALUE_H

#include "daemon/config/keys.h"

struct config_value {
    const char *text; /* of text types: what was given */
    int64_t number;   /* of the others; a boolean is 0 or 1 */
};

/* 0, or -EINVAL with the key in err->key and in err->text what may be written. Not for
 * CONFIG_FOLDERS, which is a list of values. */
int config_value_parse(const struct config_key *key, const char *text,
                       struct config_value *ret_value, struct config_error *err);

/* The value as config_value_parse takes it again; g_free(). */
char *config_value_format(const struct config_key *key, const struct config_value *value);

/* What may be written, for a table: "whole number, 0 to 36500". g_free(). */
char *config_value_describe(const struct config_key *key);

#endif
