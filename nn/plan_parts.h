/* What a plan is inside. Private to nn/. */
#ifndef NN_PLAN_PARTS_H
#define NN_PLAN_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "nn/constants.h"
#include "nn/plan.h"
#include "nn/program.h"

/* A value that crosses the time cut: made per frame, kept for one window, read per window.
 * Whole, it is [before, frames, piece]; a slot holds [before, piece]. */
struct nn_ring {
    struct nn_place from; /* after the frame program */
    struct nn_place to;   /* before the window program */
    size_t before, piece_bytes;
    size_t offset; /* of the first slot, in the session's rings */
};

struct nn_plan {
    atomic_int references;
    struct nn_model *model;
    struct nn_pool pool;
    struct nn_constants constants; /* of the pool, or of the model's packed file */
    const struct nn_kernels *kernels;
    bool reference; /* runs the graph as it is written */
    enum nn_precision precision;
    int thread_count;
    pthread_mutex_t starting;
    struct nn_threads
        *threads; /* of all its sessions, from the first on; NULL: there are none */

    int input_count, output_count;
    struct nn_value_info *inputs, *outputs;
    struct nn_place *input_places, *output_places;
    int *output_made_by; /* as nn_plan_value, of the window program */
    struct nn_plan_layer *layers;
    int layer_count;
    size_t input_bytes; /* all inputs of the whole run, then the frame buffer */

    struct nn_program window; /* all of the graph, without a time axis */
    size_t arena_bytes;       /* what the larger program needs; they never run at once */
    int window_nodes;

    int frames; /* window length; 0 without a time axis, and then all below is unused */
    int time_axis;
    struct nn_program frame;
    int frame_nodes;
    size_t frame_elements, frame_offset;
    struct nn_ring *rings;
    int ring_count;
    size_t ring_bytes;
};

/* What a session of the plan allocates (nn/session.c). */
size_t nn_session_bytes(const struct nn_plan *plan);

/* The helpers of a plan for several threads, if they are not there yet. 0 or negative errno
 * with err written. Any thread. */
int nn_plan_start_threads(struct nn_plan *plan, struct nn_error *err);

#endif
