#include "pipeline/events.h"

#include <math.h>
#include <stdlib.h>

#define UPDATE_NS      INT64_C(1000000000)
#define UPDATE_BEST_NS INT64_C(250000000)
#define UPDATE_STEP    0.05

enum state { IDLE, CANDIDATE, ON, FADING };

struct label {
    struct events_rule rule;
    enum state state;
    double score;    /* of the last window */
    double best;     /* of the event so far; the evidence window goes with it */
    double reported; /* best score in the last report */
    int64_t first_pts_ns, last_pts_ns;
    int frames;
    int64_t start_ns;
    int64_t seen_ns;        /* centre of the last window >= exit */
    int64_t report_next_ns; /* when the next update is due */
    int64_t report_best_ns; /* and when it is due for a better score */
};

struct events {
    events_sink sink;
    void *data;
    int64_t pts_ns;   /* last frame of the last window */
    bool holding;     /* since a discontinuity, until a window starts nothing any more */
    bool held;        /* the first window of the hold-off has come */
    int64_t hold_pts; /* its last frame */
    int count;
    struct label labels[];
};

static void report(struct events *events, struct label *label, enum record_phase phase)
{
    struct events_report out = {
        .phase = phase,
        .label = (int)(label - events->labels),
        .score = label->best,
        .start_ns = label->start_ns,
        .end_ns = phase == RECORD_ENDED ? label->seen_ns : RECORD_NO_TIME,
        .pts_ns = events->pts_ns,
        .first_pts_ns = label->first_pts_ns,
        .last_pts_ns = label->last_pts_ns,
        .frames = label->frames,
    };
    label->reported = label->best;
    label->report_next_ns = events->pts_ns + UPDATE_NS;
    label->report_best_ns = events->pts_ns + UPDATE_BEST_NS;
    events->sink(&out, events->data);
}

struct events *events_create(const struct events_rule *rules, int count, events_sink sink,
                             void *data)
{
    struct events *events =
        calloc(1, sizeof *events + (size_t)count * sizeof events->labels[0]);
    if (!events)
        return NULL;
    events->sink = sink;
    events->data = data;
    events->pts_ns = RECORD_NO_TIME;
    events->count = count;
    for (int i = 0; i < count; i++)
        events->labels[i].rule = rules[i];
    return events;
}

void events_destroy(struct events *events)
{
    free(events);
}

static void see(struct label *label, const struct events_window *window, int64_t centre)
{
    label->seen_ns = centre;
    if (label->score > label->best) {
        label->best = label->score;
        label->first_pts_ns = window->first_pts_ns;
        label->last_pts_ns = window->last_pts_ns;
        label->frames = window->frames;
    }
}

static void update_if_due(struct events *events, struct label *label)
{
    bool better = label->best >= label->reported + UPDATE_STEP;
    if (events->pts_ns >= (better ? label->report_best_ns : label->report_next_ns))
        report(events, label, RECORD_UPDATED);
}

static void announce_if_long_enough(struct events *events, struct label *label, int64_t centre)
{
    if (centre - label->start_ns < label->rule.min_duration_ns)
        return;
    label->state = ON;
    report(events, label, RECORD_STARTED);
}

static void end(struct events *events, struct label *label)
{
    if (label->state == ON || label->state == FADING)
        report(events, label, RECORD_ENDED);
    label->state = IDLE;
}

static void step(struct events *events, struct label *label, const struct events_window *window,
                 int64_t centre)
{
    const struct events_rule *rule = &label->rule;
    /* An event ends before this window is looked at, so that a score that comes back too late
     * makes a new one. */
    if (label->state == FADING && centre - label->seen_ns > rule->cooldown_ns)
        end(events, label);
    bool above = label->score >= rule->exit;
    switch (label->state) {
    case IDLE:
        if (label->score < rule->enter || events->holding)
            return;
        label->state = CANDIDATE;
        label->start_ns = centre;
        label->best = -1;
        see(label, window, centre);
        announce_if_long_enough(events, label, centre);
        return;
    case CANDIDATE:
        if (!above) {
            label->state = IDLE;
            return;
        }
        see(label, window, centre);
        announce_if_long_enough(events, label, centre);
        return;
    case ON:
    case FADING:
        if (!above) {
            label->state = FADING;
            if (rule->cooldown_ns == 0)
                end(events, label);
            return;
        }
        label->state = ON;
        see(label, window, centre);
        update_if_due(events, label);
        return;
    }
}

void events_push(struct events *events, const struct events_window *window)
{
    int64_t centre = window->first_pts_ns + (window->last_pts_ns - window->first_pts_ns) / 2;
    events->pts_ns = window->last_pts_ns;
    if (events->holding && !events->held) {
        events->held = true;
        events->hold_pts = window->last_pts_ns;
    } else if (events->holding && window->first_pts_ns > events->hold_pts) {
        events->holding = false;
    }
    for (int i = 0; i < events->count; i++) {
        struct label *label = &events->labels[i];
        double score = window->scores[i];
        label->score = isnan(score) ? 0 : score < 0 ? 0 : score > 1 ? 1 : score;
        if (!label->rule.background)
            step(events, label, window, centre);
    }
}

void events_flush(struct events *events)
{
    for (int i = 0; i < events->count; i++)
        end(events, &events->labels[i]);
}

void events_discontinuity(struct events *events)
{
    events_flush(events);
    events->holding = true;
    events->held = false;
}

bool events_is_on(const struct events *events, int label, double *ret_score)
{
    if (events->labels[label].state != ON)
        return false;
    if (ret_score)
        *ret_score = events->labels[label].score;
    return true;
}
