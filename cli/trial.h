/* A worker tried on one source for some seconds, without a daemon.
 *
 * Thread: runs its own main loop on the default context. */
#ifndef CLI_TRIAL_H
#define CLI_TRIAL_H

#include "cli/findings.h"
#include "cli/input.h"

/* Watches what `input` holds for `seconds` from the first picture on. CLI_OK with
 * *ret_findings, whose texts point into input; or another exit code, *ret_failure then being
 * the last status and *ret_why the one line to say (to be freed with g_free). Interrupted
 * (SIGINT, SIGTERM) it tells what it has seen so far, or gives 128 + SIGINT without a line. */
int trial_run(struct input *input, double seconds, struct findings *ret_findings,
              struct message_stream_status *ret_failure, char **ret_why);

#endif
