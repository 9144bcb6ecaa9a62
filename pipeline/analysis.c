#include "pipeline/analysis.h"

#include <errno.h>
#include <time.h>

#include "pipeline/sampler.h"

struct analysis {
    const struct modelinfo *info;
    struct analysis_callbacks callbacks;
    struct nn_plan *plan;
    struct nn_session *session;
    struct convert *convert;
    struct sampler sampler;
    struct events *events;
    float *scores;       /* (labels) */
    int64_t *pts_ns;     /* (window) of the frames in the session, a ring */
    bool fresh;          /* no frame since the start or the last discontinuity */
    int64_t frames;      /* pushed since then */
    int64_t next_window; /* number of frames at which the next window is due */
    struct analysis_counters counters;
};

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct events *create_events(struct analysis *analysis)
{
    const struct modelinfo *info = analysis->info;
    g_autofree struct events_rule *rules = g_try_new0(struct events_rule, info->label_count);
    if (!rules)
        return NULL;
    for (int i = 0; i < info->label_count; i++) {
        const struct modelinfo_label *label = &info->labels[i];
        rules[i] = (struct events_rule){
            .background = label->background,
            .enter = label->enter,
            .exit = label->exit,
            .min_duration_ns = label->min_duration_ns,
            .cooldown_ns = label->cooldown_ns,
        };
    }
    return events_create(rules, info->label_count, analysis->callbacks.event,
                         analysis->callbacks.data);
}

int analysis_create(const struct modelinfo *info, struct nn_plan *plan,
                    const struct analysis_callbacks *callbacks, struct analysis **ret_analysis,
                    struct nn_error *err)
{
    struct analysis *analysis = g_try_new0(struct analysis, 1);
    if (!analysis)
        return -ENOMEM;
    analysis->info = info;
    analysis->callbacks = *callbacks;
    analysis->plan = nn_plan_ref(plan);
    analysis->fresh = true;
    analysis->next_window = info->window;
    sampler_init(&analysis->sampler, info->fps, info->window);
    int r = nn_session_create(plan, &analysis->session, err);
    if (r < 0)
        goto fail;
    r = -ENOMEM;
    analysis->scores = g_try_new0(float, info->label_count);
    analysis->pts_ns = g_try_new0(int64_t, info->window);
    analysis->events = create_events(analysis);
    if (!analysis->scores || !analysis->pts_ns || !analysis->events)
        goto fail;
    *ret_analysis = analysis;
    return 0;
fail:
    analysis_destroy(analysis);
    return r;
}

void analysis_destroy(struct analysis *analysis)
{
    if (!analysis)
        return;
    events_destroy(analysis->events);
    convert_destroy(analysis->convert);
    nn_session_destroy(analysis->session);
    nn_plan_unref(analysis->plan);
    g_free(analysis->scores);
    g_free(analysis->pts_ns);
    g_free(analysis);
}

/* Forgets frames; events are the caller's to end or hold. */
static void forget(struct analysis *analysis)
{
    if (analysis->info->time_axis >= 0)
        nn_session_reset(analysis->session);
    analysis->frames = 0;
    analysis->next_window = analysis->info->window;
    analysis->counters.discontinuities++;
    events_discontinuity(analysis->events);
}

void analysis_discontinuity(struct analysis *analysis)
{
    /* A rebuilt source says it several times (stream, caps, segment): it is one. And before the
     * first frame there is nothing to be discontinuous with. */
    if (analysis->fresh)
        return;
    analysis->fresh = true;
    forget(analysis);
    sampler_restart(&analysis->sampler);
}

void analysis_segment(struct analysis *analysis)
{
    sampler_segment(&analysis->sampler);
}

void analysis_flush(struct analysis *analysis)
{
    events_flush(analysis->events);
}

int analysis_set_format(struct analysis *analysis, const GstVideoInfo *format,
                        const struct convert_region *region)
{
    struct convert_target target;
    struct convert *convert;
    convert_target_of(analysis->info, &target);
    int r = convert_create(format, region, &target, &convert);
    if (r < 0)
        return r;
    analysis_discontinuity(analysis);
    convert_destroy(analysis->convert);
    analysis->convert = convert;
    return 0;
}

bool analysis_wants(struct analysis *analysis, int64_t pts_ns)
{
    analysis->counters.received++;
    analysis->fresh = false;
    switch (sampler_look(&analysis->sampler, pts_ns)) {
    case SAMPLER_STALE:
        analysis->counters.stale++;
        return false;
    case SAMPLER_SKIP:
        return false;
    case SAMPLER_TAKE_FIRST:
        forget(analysis);
        break;
    case SAMPLER_TAKE:
        break;
    }
    /* Without a time axis a frame between two windows is part of neither. */
    if (analysis->info->time_axis < 0 && analysis->frames + 1 < analysis->next_window) {
        analysis->frames++;
        return false;
    }
    return true;
}

/* A model may leave it to each run how many numbers it gives; what was planned is the most. */
static int check_scores(const struct analysis *analysis, struct nn_error *err)
{
    int64_t count = nn_shape_count(&nn_session_output(analysis->session, 0)->shape);
    if (count == analysis->info->label_count)
        return 0;
    return nn_error_set(err, -EINVAL, "the model gave %d scores in this run, not %d",
                        (int)count, analysis->info->label_count);
}

static void finish_window(struct analysis *analysis, int64_t last_pts_ns)
{
    const struct modelinfo *info = analysis->info;
    struct events_window window = {
        /* The oldest frame of the ring is the one the next will replace. */
        .first_pts_ns = analysis->pts_ns[analysis->frames % info->window],
        .last_pts_ns = last_pts_ns,
        .frames = info->window,
        .scores = analysis->scores,
    };
    modelinfo_scores(info, nn_session_output(analysis->session, 0), analysis->scores);
    analysis->counters.windows++;
    if (analysis->callbacks.window)
        analysis->callbacks.window(&window, analysis->callbacks.data);
    events_push(analysis->events, &window);
}

int analysis_push(struct analysis *analysis, const GstVideoFrame *frame, int64_t pts_ns,
                  struct nn_error *err)
{
    const struct modelinfo *info = analysis->info;
    struct nn_session *session = analysis->session;
    bool streaming = info->time_axis >= 0;
    bool due = analysis->frames + 1 >= analysis->next_window;
    int64_t start = now_ns();
    convert_frame(analysis->convert, frame,
                  streaming ? nn_session_frame_buffer(session)
                            : (float *)nn_session_input(session, 0)->data);
    int64_t converted = now_ns();
    int r = streaming ? nn_session_push_frame(session, err) : 0;
    if (r == 0 && due)
        r = streaming ? nn_session_run_window(session, err) : nn_session_run(session, err);
    if (r == 0 && due)
        r = check_scores(analysis, err);
    if (r < 0)
        return r;
    analysis->counters.convert_ns += converted - start;
    analysis->counters.inference_ns += now_ns() - converted;
    analysis->counters.analysed++;
    analysis->pts_ns[analysis->frames % info->window] = pts_ns;
    analysis->frames++;
    if (due) {
        analysis->next_window = analysis->frames + info->stride;
        finish_window(analysis, pts_ns);
    }
    return 0;
}

bool analysis_event_is_on(const struct analysis *analysis, int label, double *ret_score)
{
    return events_is_on(analysis->events, label, ret_score);
}

void analysis_count(const struct analysis *analysis, struct analysis_counters *ret_counters)
{
    *ret_counters = analysis->counters;
}
