/* What a stream's failure means to whoever started it on the command line.
 *
 * Thread: constant. */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "cli/cli.h"
#include "record/message.h"

enum cli_exit verdict_exit_code(enum stream_reason reason);

/* What to do, where the worker's detail, which says what happened, does not say it; or NULL. */
const char *verdict_advice(enum stream_reason reason);

/* Whether waiting for a stream that was never live is of no use: it may have a mistake in its
 * address. A host of several addresses gets a try at each: "localhost" has two, and most
 * servers listen at one. `before`: the state last told; *failures counts attempts. */
bool verdict_is_hopeless(const struct message_stream_status *status, enum stream_state before,
                         int address_count, int *failures);

#endif
