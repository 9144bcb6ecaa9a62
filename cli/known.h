/* Whether a filter names anything: what finds nothing must not look like a quiet night when it
 * was mistyped.
 *
 * The API answers a name that it does not know with an empty list, since it may be one of a
 * stream or model that is gone. So a name counts as known when vigild watches such a stream or
 * a model of its configuration detects such a label, and as gone when only stored detections
 * have it. While vigild cannot list them (a model's disk hangs), every name counts as known.
 *
 * Thread: as the client. */
#ifndef CLI_KNOWN_H
#define CLI_KNOWN_H

#include <stdbool.h>

#include "cli/client.h"

/* Asks vigild about `stream` and `label` (NULL: not filtered by). 0 when both are known or
 * gone; CLI_CHECK_FAILED when one is neither, having said so on stderr with what there is and
 * what was probably meant; another exit code, having said why, when vigild could not be asked.
 * `waits`: the caller waits for what comes, so a line on stderr also tells of what is gone. */
int known_check(struct client *client, const char *stream, const char *label, bool waits);

#endif
