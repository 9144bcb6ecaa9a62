#include "cli/training.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* --- options ------------------------------------------------------------------------------ */

struct train_fit_options training_options(const struct recipe *recipe, int samples, int threads)
{
    struct train_fit_options options = recipe->options;
    const double steps = (samples + options.batch - 1) / options.batch; /* of an epoch */
    options.schedule.warmup = (uint64_t)llround(recipe->warmup * steps);
    options.schedule.every = (uint64_t)llround(recipe->step_every * steps);
    options.schedule.steps = (uint64_t)llround(options.epochs * steps);
    options.threads = threads;
    return options;
}

int training_check_classes(const struct recipe *recipe, const struct train_selection *learn)
{
    const struct train_dataset *data = learn->data;
    bool several = false;
    for (int i = 0; i < data->classes.count; i++)
        if (strchr(data->classes.names[i], ','))
            return cli_fail(CLI_CONFIG, "class '%s': a name has no comma in it",
                            data->classes.names[i]);
    for (int i = 1; i < learn->count; i++)
        several |= data->labels[learn->samples[i]] != data->labels[learn->samples[0]];
    if (several || recipe->options.loss.kind >= TRAIN_LOSS_SQUARED)
        return CLI_OK;
    return cli_fail(
        CLI_CONFIG, "all samples to learn from are of class %s: nothing tells it from others",
        learn->count > 0 ? data->classes.names[data->labels[learn->samples[0]]] : "none");
}

/* --- the end ------------------------------------------------------------------------------ */

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

void training_catch_signals(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool training_is_stopped(void)
{
    return stopped;
}

/* --- the bar ------------------------------------------------------------------------------ */

void training_bar_start(struct training_bar *bar, int epoch)
{
    bar->epoch = epoch;
    bar->start_us = g_get_monotonic_time();
}

/* Four times a second: the epoch's samples, how fast they go, and when it ends. */
bool training_bar_draw(void *data, int done, int whole, double loss)
{
    struct training_bar *bar = data;
    gint64 now = g_get_monotonic_time();
    if (bar->shown && (now - bar->drawn_us > G_USEC_PER_SEC / 4 || done == whole)) {
        double seconds = (double)(now - bar->start_us) / G_USEC_PER_SEC;
        double rate = seconds > 0 ? done / seconds : 0;
        int filled = (int)((int64_t)done * 30 / whole);
        fprintf(stderr, "\r%sepoch %d/%d [%.*s%*s] %d/%d  loss %.4f  %.0f/s  %.0f s left\033[K",
                bar->title, bar->epoch, bar->epochs, filled,
                "==============================", 30 - filled, "", done, whole, loss, rate,
                rate > 0 ? (whole - done) / rate : 0);
        bar->drawn_us = now;
    }
    return !stopped;
}

void training_bar_clear(const struct training_bar *bar)
{
    if (bar->shown)
        fputs("\r\033[K", stderr);
}
