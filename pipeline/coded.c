#include "pipeline/coded.h"

#include <string.h>

void coded_init(struct coded *coded)
{
    memset(coded, 0, sizeof *coded);
    coded->bitrate_bps = -1;
    coded->group.key_pts = coded->last_pts = coded->highest_pts = CODED_NO_PTS;
}

static double mean(double before, int64_t count, double value)
{
    return before + (value - before) / (double)count;
}

/* The present group took ns. */
static void time_group(struct coded *coded, int64_t ns)
{
    struct message_gop *gop = &coded->gop;
    double seconds = (double)ns / 1e9;
    gop->last_seconds = seconds;
    gop->mean_seconds = mean(gop->mean_seconds, ++coded->timed, seconds);
    gop->max_seconds = seconds > gop->max_seconds ? seconds : gop->max_seconds;
    coded->rate_bytes += coded->group.bytes;
    coded->rate_ns += ns;
    if (coded->rate_ns < CODED_BITRATE_NS)
        return;
    coded->bitrate_bps = (double)coded->rate_bytes * 8e9 / (double)coded->rate_ns;
    coded->rate_bytes = coded->rate_ns = 0;
}

/* A key picture of that time ends the present group. */
static void end_group(struct coded *coded, int64_t next_key_pts)
{
    struct message_gop *gop = &coded->gop;
    int64_t frames = coded->group.frames, ns = next_key_pts - coded->group.key_pts;
    gop->count++;
    gop->last_frames = frames;
    gop->mean_frames = mean(gop->mean_frames, gop->count, (double)frames);
    gop->max_frames = frames > gop->max_frames ? frames : gop->max_frames;
    if (coded->group.key_pts != CODED_NO_PTS && next_key_pts != CODED_NO_PTS && ns > 0 &&
        ns <= CODED_GOP_NS)
        time_group(coded, ns);
}

/* Its time, or CODED_NO_PTS when that is no use. */
static int64_t check_time(struct coded *coded, const struct coded_picture *picture)
{
    int64_t pts = picture->pts_ns, last = coded->last_pts;
    coded->last_pts = pts < 0 ? last : pts;
    bool leaps =
        pts >= 0 && last >= 0 && (pts > last ? pts - last : last - pts) > CODED_LEAP_NS;
    if (pts >= 0 && !leaps)
        return pts;
    coded->timestamp_faults++;
    coded->highest_pts = coded->group.key_pts = CODED_NO_PTS;
    return CODED_NO_PTS;
}

static void look_at_order(struct coded *coded, int64_t pts)
{
    if (pts == CODED_NO_PTS)
        return;
    if (pts < coded->highest_pts)
        coded->gop.reordered = true;
    else
        coded->highest_pts = pts;
    if (pts < coded->group.key_pts && !coded->group.clean)
        coded->gop.open = true;
}

void coded_add(struct coded *coded, const struct coded_picture *picture)
{
    if (!coded->begun && !picture->key)
        return;
    int64_t pts = check_time(coded, picture);
    if (picture->key) {
        if (coded->begun)
            end_group(coded, pts);
        coded->begun = true;
        coded->group.key_pts = pts;
        coded->group.clean = picture->clean;
        coded->group.frames = coded->group.bytes = 0;
    }
    look_at_order(coded, pts);
    coded->group.frames++;
    coded->group.bytes += (int64_t)picture->size_bytes;
}
