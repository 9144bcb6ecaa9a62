/* A stream's configuration, changed in part.
 *
 * Thread: plain data. */
#ifndef DAEMON_CONFIG_PATCH_H
#define DAEMON_CONFIG_PATCH_H

#include "daemon/config/stream.h"

/* The stream with a JSON merge patch (RFC 7396) applied: members left out stay as they are,
 * credentials too, null gives a member its default. Credentials are kept only for the server
 * they were given for: with another scheme, host or port in `uri` they must be given or taken
 * away, so that a change of address cannot send a password elsewhere. 0; -EINVAL with err->key
 * set, -ENOMEM. */
int config_patch_apply(const struct config_stream *stream, const json_t *patch,
                       const struct config_roots *roots, struct config_stream *ret_stream,
                       struct config_error *err);

#endif
