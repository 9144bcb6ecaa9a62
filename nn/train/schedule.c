#include "nn/train/schedule.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const names[] = {
    [TRAIN_SCHEDULE_CONSTANT] = "constant",
    [TRAIN_SCHEDULE_STEP] = "step",
    [TRAIN_SCHEDULE_COSINE] = "cosine",
    [TRAIN_SCHEDULE_PLATEAU] = "plateau",
};

struct train_schedule train_schedule_defaults(enum train_schedule_kind kind)
{
    return (struct train_schedule){
        .kind = kind, .rate = 0.001, .factor = 0.1, .least = 1e-4, .patience = 10};
}

int train_schedule_find(const char *name, enum train_schedule_kind *ret_kind,
                        struct nn_error *err)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *ret_kind = (enum train_schedule_kind)i;
            return 0;
        }
    return nn_error_set(
        err, -EINVAL,
        "there is no schedule \"%.40s\": it is one of constant, step, cosine, plateau", name);
}

const char *train_schedule_name(enum train_schedule_kind kind)
{
    return names[kind];
}

int train_schedule_check(const struct train_schedule *s, struct nn_error *err)
{
    bool plateau = s->kind == TRAIN_SCHEDULE_PLATEAU;
    if (!(s->rate >= 0.0 && isfinite(s->rate)))
        return nn_error_set(err, -EINVAL, "the rate is %g: it is 0 or more and finite",
                            s->rate);
    if ((s->kind == TRAIN_SCHEDULE_STEP || plateau) && !(s->factor > 0.0 && s->factor < 1.0))
        return nn_error_set(err, -EINVAL, "the factor is %g: it is over 0 and less than 1",
                            s->factor);
    if (s->kind == TRAIN_SCHEDULE_STEP && s->every == 0)
        return nn_error_set(err, -EINVAL, "the rate falls every 0 steps: say after how many");
    if (s->kind == TRAIN_SCHEDULE_COSINE && s->steps <= s->warmup)
        return nn_error_set(err, -EINVAL,
                            "a cosine of %llu steps has none left after %llu of warm-up",
                            (unsigned long long)s->steps, (unsigned long long)s->warmup);
    if ((s->kind == TRAIN_SCHEDULE_COSINE || plateau) &&
        !(s->minimum >= 0.0 && s->minimum <= s->rate))
        return nn_error_set(err, -EINVAL, "the lowest rate is %g: it is from 0 to %g",
                            s->minimum, s->rate);
    if (plateau && !(s->least >= 0.0 && isfinite(s->least)))
        return nn_error_set(err, -EINVAL, "the least change is %g: it is 0 or more and finite",
                            s->least);
    if (plateau && (s->patience < 1 || s->cooldown < 0))
        return nn_error_set(err, -EINVAL, "%s is %d epochs: it is %d or more",
                            s->patience < 1 ? "patience" : "cooldown",
                            s->patience < 1 ? s->patience : s->cooldown, s->patience < 1);
    return 0;
}

struct train_plateau train_plateau_start(const struct train_schedule *s)
{
    return (struct train_plateau){.best = s->higher_is_better ? -INFINITY : INFINITY,
                                  .scale = 1.0};
}

bool train_plateau_epoch(struct train_plateau *p, const struct train_schedule *s, double metric)
{
    if (s->kind != TRAIN_SCHEDULE_PLATEAU)
        return false;
    if (p->cooling > 0)
        p->cooling--;
    if (s->higher_is_better ? metric > p->best + s->least : metric < p->best - s->least) {
        p->best = metric;
        p->still = 0;
        return false;
    }
    if (p->cooling > 0 || ++p->still < s->patience || s->rate * p->scale <= s->minimum)
        return false;
    p->scale *= s->factor;
    p->cooling = s->cooldown;
    p->still = 0;
    return true;
}

/* Without a warm-up. */
static double settled_rate(const struct train_schedule *s, uint64_t step,
                           const struct train_plateau *plateau)
{
    switch (s->kind) {
    case TRAIN_SCHEDULE_CONSTANT:
        break;
    case TRAIN_SCHEDULE_STEP:
        return s->rate * pow(s->factor, (double)(step / s->every));
    case TRAIN_SCHEDULE_COSINE: {
        if (step >= s->steps)
            return s->minimum;
        double part = step < s->warmup
                          ? 0.0
                          : (double)(step - s->warmup) / (double)(s->steps - s->warmup);
        return s->minimum + (s->rate - s->minimum) * 0.5 * (1.0 + cos(M_PI * part));
    }
    case TRAIN_SCHEDULE_PLATEAU:
        return fmax(s->rate * plateau->scale, s->minimum);
    }
    return s->rate;
}

double train_schedule_rate(const struct train_schedule *s, uint64_t step,
                           const struct train_plateau *plateau)
{
    assert(plateau || s->kind != TRAIN_SCHEDULE_PLATEAU);
    double rate = settled_rate(s, step, plateau);
    return step < s->warmup ? rate * ((double)step + 1.0) / ((double)s->warmup + 1.0) : rate;
}
