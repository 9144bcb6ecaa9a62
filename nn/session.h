/* A session: the activations and the state of one stream running one plan.
 *
 * Whole run:    write every nn_session_input, nn_session_run, read nn_session_output.
 * Streaming:    nn_session_push_frame for each frame as it comes; as soon as
 *               nn_session_frames() has reached the window, nn_session_run_window computes the
 *               outputs over the last `window` frames, as often as the caller's stride asks.
 *               nn_session_reset forgets all frames (a discontinuity).
 *
 * After create nothing here allocates, locks, logs or fails for want of memory.
 *
 * Determinism: same plan, same bytes in, same processor family: same bytes out, whatever the
 * number of threads that the plan is for.
 *
 * Thread: one session belongs to one thread at a time; sessions of one plan are independent. */
#ifndef NN_SESSION_H
#define NN_SESSION_H

#include "nn/plan.h"

struct nn_session;

/* 0, -ENOMEM, or -EAGAIN: the plan's threads cannot be started. Holds a reference
 * to the plan. */
int nn_session_create(struct nn_plan *plan, struct nn_session **ret_session,
                      struct nn_error *err);
void nn_session_destroy(struct nn_session *session); /* NULL is fine */

/* View of input `index`, to be written before nn_session_run (and before
 * nn_session_run_window, for inputs other than the frames). Its bytes belong to the session; no
 * run changes them. */
const struct nn_tensor *nn_session_input(struct nn_session *session, size_t index);

/* View of output `index`, valid until the next call that runs anything. An output that is an
 * input unchanged is that input's bytes. Where each run decides the shape (how many boxes are
 * left; nn_value_info.late), it is that of the last run. */
const struct nn_tensor *nn_session_output(const struct nn_session *session, size_t index);

/* The whole graph over the inputs. 0, or -EINVAL when a value computed at run time cannot be
 * honoured (a Gather index out of range, a size beyond what was planned); err may be NULL. A
 * plan with a time axis runs input 0 frame by frame, and forgets the frames pushed before. */
int nn_session_run(struct nn_session *session, struct nn_error *err);

/* Where the caller writes the next frame: frame_elements floats, in the model's order of the
 * axes without time. Stays valid for the life of the session. */
float *nn_session_frame_buffer(struct nn_session *session);

/* Runs the frame part over the frame buffer and keeps its features, forgetting the oldest
 * beyond the window. -EINVAL for a plan without a time axis. */
int nn_session_push_frame(struct nn_session *session, struct nn_error *err);

/* Frames kept, 0..window. */
int nn_session_frames(const struct nn_session *session);

/* Runs the window part over the last `window` frames. -EAGAIN while fewer are kept. */
int nn_session_run_window(struct nn_session *session, struct nn_error *err);

void nn_session_reset(struct nn_session *session);

#endif
