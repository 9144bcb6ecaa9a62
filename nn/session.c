#include "nn/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/pages.h"
#include "nn/plan_parts.h"
#include "nn/run.h"
#include "nn/threads.h"

struct nn_session {
    struct nn_plan *plan;
    struct nn_tensor *inputs, *outputs;
    struct nn_run window, frame;
    void *memory; /* as allocated; all else is in it, 64-byte aligned */
    char *input_bytes, *arena, *rings, *runs;
    int kept; /* frames in the rings */
    int next; /* slot of the next frame */
};

/* What runs write: inputs, arena and rings. */
static size_t data_bytes(const struct nn_plan *plan)
{
    return plan->input_bytes + plan->arena_bytes + plan->ring_bytes;
}

/* All of it, the parts 64-byte aligned. */
static size_t memory_bytes(const struct nn_plan *plan)
{
    size_t views = (size_t)(plan->input_count + plan->output_count) * sizeof(struct nn_tensor);
    return data_bytes(plan) + nn_run_bytes(&plan->window) + nn_run_bytes(&plan->frame) + views +
           NN_ARENA_ALIGNMENT;
}

size_t nn_session_bytes(const struct nn_plan *plan)
{
    return sizeof(struct nn_session) + memory_bytes(plan);
}

/* calloc, so that pages nobody writes (the whole-run input of a streaming session) cost
 * nothing. */
static int allocate(struct nn_session *s)
{
    const struct nn_plan *plan = s->plan;
    s->memory = calloc(1, memory_bytes(plan));
    if (!s->memory)
        return -ENOMEM;
    nn_pages_prefer_huge(s->memory, data_bytes(plan));
    s->input_bytes = (char *)nn_arena_aligned((uintptr_t)s->memory);
    s->arena = s->input_bytes + plan->input_bytes;
    s->rings = s->arena + plan->arena_bytes;
    s->runs = s->rings + plan->ring_bytes;
    s->inputs = (void *)(s->runs + nn_run_bytes(&plan->window) + nn_run_bytes(&plan->frame));
    s->outputs = s->inputs + plan->input_count;
    return 0;
}

static struct nn_tensor view(const struct nn_session *s, const struct nn_value_info *info,
                             const struct nn_place *place)
{
    return (struct nn_tensor){.type = info->type,
                              .shape = info->shape,
                              .data = nn_place_resolve(place, s->arena, s->input_bytes, NULL)};
}

int nn_session_create(struct nn_plan *plan, struct nn_session **ret_session,
                      struct nn_error *err)
{
    struct nn_session *s = calloc(1, sizeof *s);
    if (!s)
        return nn_error_set(err, -ENOMEM, "no memory for a session");
    s->plan = nn_plan_ref(plan);
    if (allocate(s) < 0) {
        nn_session_destroy(s);
        return nn_error_set(err, -ENOMEM, "no memory for a session");
    }
    int r = nn_plan_start_threads(plan, err);
    if (r < 0) {
        nn_session_destroy(s);
        return r;
    }
    nn_run_bind(&s->window, &plan->window, s->runs, s->arena, s->input_bytes, NULL);
    nn_run_bind(&s->frame, &plan->frame, s->runs + nn_run_bytes(&plan->window), s->arena,
                s->input_bytes, NULL);
    for (int i = 0; i < plan->input_count; i++)
        s->inputs[i] = view(s, &plan->inputs[i], &plan->input_places[i]);
    for (int i = 0; i < plan->output_count; i++)
        s->outputs[i] = view(s, &plan->outputs[i], &plan->output_places[i]);
    *ret_session = s;
    return 0;
}

void nn_session_destroy(struct nn_session *session)
{
    if (!session)
        return;
    nn_plan_unref(session->plan);
    free(session->memory);
    free(session);
}

const struct nn_tensor *nn_session_input(struct nn_session *session, size_t index)
{
    return &session->inputs[index];
}

const struct nn_tensor *nn_session_output(const struct nn_session *session, size_t index)
{
    return &session->outputs[index];
}

/* A program, with the plan's helpers where no other session has them. */
static int run_program(struct nn_session *s, struct nn_run *run, struct nn_error *err)
{
    struct nn_threads *threads = s->plan->threads;
    if (!threads)
        return nn_run_all(run, err);
    bool helped = nn_threads_begin(threads);
    run->threads = helped ? threads : NULL;
    int r = nn_run_all(run, err);
    nn_threads_end(threads, helped);
    return r;
}

/* The window program, and the shapes of outputs that it decided. */
static int run_window(struct nn_session *s, struct nn_error *err)
{
    const struct nn_plan *plan = s->plan;
    int r = run_program(s, &s->window, err);
    for (int i = 0; i < plan->output_count && r == 0; i++)
        if (plan->output_made_by[i] != -1)
            s->outputs[i].shape = nn_run_shape(&s->window, plan->output_made_by[i]);
    return r;
}

static char *ring_slot(const struct nn_session *s, const struct nn_ring *ring, int slot)
{
    return s->rings + ring->offset + (size_t)slot * ring->before * ring->piece_bytes;
}

static const char *place_bytes(const struct nn_session *s, const struct nn_place *place)
{
    return nn_place_resolve(place, s->arena, s->input_bytes, NULL);
}

float *nn_session_frame_buffer(struct nn_session *session)
{
    if (session->plan->frames == 0)
        return NULL;
    return (float *)(void *)(session->input_bytes + session->plan->frame_offset);
}

int nn_session_push_frame(struct nn_session *session, struct nn_error *err)
{
    const struct nn_plan *plan = session->plan;
    if (plan->frames == 0)
        return nn_error_set(err, -EINVAL, "this plan has no time axis");
    int r = run_program(session, &session->frame, err);
    if (r < 0)
        return r;
    for (int i = 0; i < plan->ring_count; i++) {
        const struct nn_ring *ring = &plan->rings[i];
        memcpy(ring_slot(session, ring, session->next), place_bytes(session, &ring->from),
               ring->before * ring->piece_bytes);
    }
    session->next = (session->next + 1) % plan->frames;
    if (session->kept < plan->frames)
        session->kept++;
    return 0;
}

int nn_session_frames(const struct nn_session *session)
{
    return session->kept;
}

/* Slots, oldest first, to [before, frames, piece]. */
static void unroll(const struct nn_session *s, const struct nn_ring *ring)
{
    char *to = nn_place_resolve(&ring->to, s->arena, s->input_bytes, NULL);
    size_t frames = (size_t)s->plan->frames;
    for (size_t t = 0; t < frames; t++) {
        const char *slot = ring_slot(s, ring, (int)(((size_t)s->next + t) % frames));
        for (size_t b = 0; b < ring->before; b++)
            memcpy(to + (b * frames + t) * ring->piece_bytes, slot + b * ring->piece_bytes,
                   ring->piece_bytes);
    }
}

int nn_session_run_window(struct nn_session *session, struct nn_error *err)
{
    const struct nn_plan *plan = session->plan;
    if (plan->frames == 0)
        return nn_error_set(err, -EINVAL, "this plan has no time axis");
    if (session->kept < plan->frames)
        return nn_error_set(err, -EAGAIN, "%d of %d frames are there", session->kept,
                            plan->frames);
    for (int i = 0; i < plan->ring_count; i++)
        unroll(session, &plan->rings[i]);
    return run_window(session, err);
}

/* Frame t of the whole input [before, frames, after] to the frame buffer. */
static void take_frame(struct nn_session *s, size_t t)
{
    const struct nn_shape *shape = &s->inputs[0].shape;
    size_t before = (size_t)nn_shape_extent(shape, 0, s->plan->time_axis);
    size_t frames = (size_t)s->plan->frames, after = s->plan->frame_elements / before;
    const float *whole = s->inputs[0].data;
    float *frame = nn_session_frame_buffer(s);
    for (size_t b = 0; b < before; b++)
        memcpy(frame + b * after, whole + (b * frames + t) * after, after * sizeof *frame);
}

int nn_session_run(struct nn_session *session, struct nn_error *err)
{
    const struct nn_plan *plan = session->plan;
    if (plan->frames == 0)
        return run_window(session, err);
    int r = 0;
    for (int t = 0; t < plan->frames && r == 0; t++) {
        take_frame(session, (size_t)t);
        r = nn_session_push_frame(session, err);
    }
    if (r == 0)
        r = nn_session_run_window(session, err);
    nn_session_reset(session);
    return r;
}

void nn_session_reset(struct nn_session *session)
{
    session->kept = 0;
    session->next = 0;
}
