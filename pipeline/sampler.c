#include "pipeline/sampler.h"

#include <math.h>

#define SECOND_NS    INT64_C(1000000000)
#define TOLERANCE_NS INT64_C(1000000)

void sampler_init(struct sampler *sampler, double fps, int window)
{
    double window_ns = fps > 0 ? window / fps * (double)SECOND_NS : 0;
    *sampler = (struct sampler){
        .fps = fps,
        .gap_ns = window_ns > (double)SECOND_NS ? llround(window_ns) : SECOND_NS,
    };
}

void sampler_restart(struct sampler *sampler)
{
    sampler->running = false;
    sampler->moved = false;
}

void sampler_segment(struct sampler *sampler)
{
    sampler->moved = true;
}

static enum sampler_verdict start(struct sampler *sampler, int64_t pts_ns,
                                  enum sampler_verdict verdict)
{
    sampler->running = true;
    sampler->moved = false;
    sampler->origin_ns = sampler->last_ns = pts_ns;
    sampler->next = 1;
    return verdict;
}

enum sampler_verdict sampler_look(struct sampler *sampler, int64_t pts_ns)
{
    if (!sampler->running)
        return start(sampler, pts_ns, SAMPLER_TAKE);
    int64_t step = pts_ns - sampler->last_ns;
    if (step > sampler->gap_ns || step <= -SECOND_NS || (step < 0 && sampler->moved))
        return start(sampler, pts_ns, SAMPLER_TAKE_FIRST);
    sampler->moved = false;
    if (step <= 0)
        return SAMPLER_STALE;
    sampler->last_ns = pts_ns;
    if (sampler->fps <= 0)
        return SAMPLER_TAKE;
    double passed = (double)(pts_ns - sampler->origin_ns + TOLERANCE_NS) / SECOND_NS;
    double k = floor(passed * sampler->fps);
    if (k < (double)sampler->next)
        return SAMPLER_SKIP;
    sampler->next = (int64_t)k + 1;
    return SAMPLER_TAKE;
}
