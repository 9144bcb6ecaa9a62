#include "nn/train/alarms.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

static int check(const struct train_window *windows, int count,
                 const struct train_alarm_rule *rule, struct nn_error *err)
{
    if (!(rule->exit > 0 && rule->exit <= rule->enter && rule->min_duration >= 0 &&
          rule->cooldown >= 0))
        return nn_error_set(err, -EINVAL,
                            "an alarm needs 0 < exit <= enter and durations of at least 0");
    for (int i = 0; i < count; i++) {
        const struct train_window *w = &windows[i];
        if (!isfinite(w->start) || !isfinite(w->end) || w->start > w->end ||
            (i > 0 && w->end < w[-1].end))
            return nn_error_set(err, -EINVAL, "window %d, from %g to %g s, is out of order",
                                i + 1, w->start, w->end);
    }
    return 0;
}

int train_alarms_find(const struct train_window *windows, int count,
                      const struct train_alarm_rule *rule, struct train_alarm *ret_alarms,
                      struct nn_error *err)
{
    int r = check(windows, count, rule, err);
    if (r < 0)
        return r;
    enum { IDLE, CANDIDATE, ON, FADING } state = IDLE;
    struct train_alarm now = {0};
    int found = 0;
    for (int i = 0; i < count; i++) {
        const double centre = windows[i].start + (windows[i].end - windows[i].start) / 2;
        const double score = isnan(windows[i].score) ? 0 : windows[i].score;
        const bool above = score >= rule->exit;
        if (state == FADING && centre - now.end > rule->cooldown)
            state = IDLE;
        if (state == ON || state == FADING) {
            if (above)
                ret_alarms[found - 1].end = now.end = centre;
            state = above ? ON : rule->cooldown > 0 ? FADING : IDLE;
            continue;
        }
        if (!(state == CANDIDATE ? above : score >= rule->enter)) {
            state = IDLE;
            continue;
        }
        if (state == IDLE)
            now.start = centre;
        now.end = centre;
        now.known = windows[i].end;
        state = centre - now.start >= rule->min_duration ? ON : CANDIDATE;
        if (state == ON)
            ret_alarms[found++] = now;
    }
    return found;
}

static bool overlap(const struct train_alarm *alarm, const struct train_event *event,
                    double tolerance)
{
    return alarm->start <= event->end + tolerance && alarm->end >= event->start - tolerance;
}

/* From the event's beginning until it is known; NaN when it never is. */
static double delay_of(const struct train_event *event, const struct train_alarm *alarms,
                       int alarm_count, double tolerance)
{
    double known = NAN;
    for (int i = 0; i < alarm_count; i++)
        if (overlap(&alarms[i], event, tolerance))
            known = fmin(known, alarms[i].known);
    return isnan(known) ? NAN : fmax(known - event->start, 0);
}

static bool is_false(const struct train_alarm *alarm, const struct train_event *events,
                     int event_count, double tolerance)
{
    for (int i = 0; i < event_count; i++)
        if (overlap(alarm, &events[i], tolerance))
            return false;
    return true;
}

int train_event_tally_add(struct train_event_tally *tally, const struct train_alarm *alarms,
                          int alarm_count, const struct train_event *events, int event_count,
                          double seconds, double tolerance, double *ret_delays,
                          struct nn_error *err)
{
    if (!(isfinite(seconds) && seconds >= 0 && isfinite(tolerance) && tolerance >= 0))
        return nn_error_set(err, -EINVAL, "a stream of %g s with a tolerance of %g s", seconds,
                            tolerance);
    for (int i = 0; i < event_count; i++)
        if (!(isfinite(events[i].start) && isfinite(events[i].end) &&
              events[i].start <= events[i].end))
            return nn_error_set(err, -EINVAL, "event %d is from %g to %g s", i + 1,
                                events[i].start, events[i].end);
    for (int i = 0; i < event_count; i++) {
        const double delay = delay_of(&events[i], alarms, alarm_count, tolerance);
        if (ret_delays)
            ret_delays[i] = delay;
        if (isnan(delay))
            continue;
        tally->found++;
        tally->delay_sum += delay;
        tally->delay_most = fmax(tally->delay_most, delay);
    }
    for (int i = 0; i < alarm_count; i++)
        tally->false_alarms += is_false(&alarms[i], events, event_count, tolerance);
    tally->events += event_count;
    tally->alarms += alarm_count;
    tally->seconds += seconds;
    return 0;
}

double train_event_tally_recall(const struct train_event_tally *tally)
{
    return tally->events > 0 ? (double)tally->found / tally->events : NAN;
}

double train_event_tally_precision(const struct train_event_tally *tally)
{
    return tally->alarms > 0 ? 1 - (double)tally->false_alarms / tally->alarms : NAN;
}

double train_event_tally_delay(const struct train_event_tally *tally)
{
    return tally->found > 0 ? tally->delay_sum / tally->found : NAN;
}

double train_event_tally_false_per_hour(const struct train_event_tally *tally)
{
    return tally->seconds > 0 ? tally->false_alarms * 3600 / tally->seconds : NAN;
}
