/* How well events are found in streams: the alarms that window scores raise, held against the
 * intervals in which something happened.
 *
 * Alarms follow the rule that streams are watched by (pipeline/events.h): a window with a score
 * of `enter` begins a candidate, one below `exit` ends it; when `min_duration` has passed between
 * the centres of its first and this window it is an alarm, which is known once the last frame of
 * this window has come; within `cooldown` of the last window at or above `exit` the same alarm
 * goes on.
 *
 * An event is found when an alarm overlaps it. An alarm that overlaps no event is a false one. One
 * alarm may find several events, and several alarms one. An alarm's times are centres of windows,
 * those of events were written down by a person: `tolerance` seconds are allowed on both sides.
 * The delay of a found event is the time from its beginning until the first such alarm is known,
 * at least 0.
 *
 * Times are seconds of the stream. Thread: any. */
#ifndef NN_TRAIN_ALARMS_H
#define NN_TRAIN_ALARMS_H

#include "nn/tensor.h"

struct train_window {
    double start, end; /* its first and last frame */
    float score;       /* one that is not a number counts as 0 */
};

/* 0 < exit <= enter; durations are not negative. */
struct train_alarm_rule {
    double enter, exit;
    double min_duration, cooldown;
};

struct train_alarm {
    double start, end; /* centres of its first and last window at or above exit */
    double known;
};

struct train_event {
    double start, end;
};

/* The alarms of one stream without gaps, in order; its windows are in the order of their ends.
 * ret_alarms has room for as many as there are windows. Returns how many there are, -EINVAL (times
 * that are not finite or go back, a rule that is none). */
int train_alarms_find(const struct train_window *windows, int count,
                      const struct train_alarm_rule *rule, struct train_alarm *ret_alarms,
                      struct nn_error *err);

/* Of any number of streams: begin with {0}. */
struct train_event_tally {
    int events, found;
    int alarms, false_alarms;
    double seconds; /* watched */
    double delay_sum, delay_most;
};

/* Adds one stream of `seconds`. ret_delays is NULL or gets each event's delay, NaN where it was
 * missed. Returns 0, -EINVAL (an event that ends before it begins, times that are not finite). */
int train_event_tally_add(struct train_event_tally *tally, const struct train_alarm *alarms,
                          int alarm_count, const struct train_event *events, int event_count,
                          double seconds, double tolerance, double *ret_delays,
                          struct nn_error *err);

/* NaN where there is nothing to divide by: no events, no alarms, nothing found, no time. */
double train_event_tally_recall(const struct train_event_tally *tally);
double train_event_tally_precision(const struct train_event_tally *tally); /* of alarms */
double train_event_tally_delay(const struct train_event_tally *tally);     /* mean */
double train_event_tally_false_per_hour(const struct train_event_tally *tally);

#endif
