/* What a one-shot worker said of a model, held against what it may say.
 *
 * A model file is hostile, and the worker that read it may be its puppet by now: clients get
 * members we know, of their type and within bounds, and nothing else. Members that are not
 * known are left out, so that a newer worker does no harm.
 *
 * Thread: no shared state. */
#ifndef DAEMON_MODELS_MODELCHECK_H
#define DAEMON_MODELS_MODELCHECK_H

#include "record/record.h"

/* A checked copy, the model's own metrics (vigil.metrics) as an object beside its metadata. 0,
 * or -EINVAL with one line naming the member. Caller owns the reference. */
int modelcheck_copy(const json_t *said, json_t **ret_info, struct record_error *err);

#endif
