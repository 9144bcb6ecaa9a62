#include "pipeline/recent.h"

#include <math.h>
#include <string.h>

/* Numbers start at 1, so that an empty slice is of no time. */
static int64_t number_at(int64_t now_ns)
{
    return now_ns / RECENT_SLICE_NS + 1;
}

void recent_add(struct recent *recent, int64_t ns, int64_t now_ns)
{
    int64_t number = number_at(now_ns);
    int slice = (int)(number % RECENT_SLICES);
    if (recent->slices[slice].number != number) {
        memset(&recent->slices[slice], 0, sizeof recent->slices[slice]);
        recent->slices[slice].number = number;
    }
    double step =
        ns > RECENT_FIRST_NS ? log((double)ns / RECENT_FIRST_NS) / log(RECENT_STEP) : 0;
    recent->slices[slice].counts[step < RECENT_STEPS - 1 ? (int)step : RECENT_STEPS - 1]++;
}

double recent_quantile(const struct recent *recent, double quantile, int64_t now_ns)
{
    uint64_t counts[RECENT_STEPS] = {0}, total = 0;
    for (int i = 0; i < RECENT_SLICES; i++) {
        int64_t age = number_at(now_ns) - recent->slices[i].number;
        if (recent->slices[i].number == 0 || age < 0 || age >= RECENT_SLICES)
            continue;
        for (int k = 0; k < RECENT_STEPS; k++) {
            counts[k] += recent->slices[i].counts[k];
            total += recent->slices[i].counts[k];
        }
    }
    if (total == 0)
        return -1;
    /* The smallest duration that this share of all does not exceed. */
    uint64_t rank = (uint64_t)ceil(quantile * (double)total), below = 0;
    int step = 0;
    while (step < RECENT_STEPS - 1 && (below += counts[step]) < rank)
        step++;
    return RECENT_FIRST_NS * pow(RECENT_STEP, step + 0.5);
}
