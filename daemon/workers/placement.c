#include "daemon/workers/placement.h"

static int capacity(const struct supervisor *sup)
{
    return sup->options.streams_per_worker;
}

static bool has_place(const struct supervisor *sup, const struct slot *slot, uint64_t group)
{
    return slot->phase == SERVING && !slot->killed && slot->group == group &&
           (int)slot->streams->len < capacity(sup);
}

struct slot *placement_find(const struct supervisor *sup, const struct stream *stream)
{
    struct slot *best = NULL, *spare = NULL;
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (has_place(sup, slot, stream->group) &&
            (!best || slot->streams->len > best->streams->len))
            best = slot;
        if (!spare && slot->phase == SPARE && !slot->killed)
            spare = slot;
    }
    return best ? best : spare;
}

/* Whether the group has a worker with room, or an earlier stream that waits will bring one. */
static bool group_is_served(const struct supervisor *sup, uint64_t group, guint before)
{
    for (guint i = 0; i < sup->slots->len; i++)
        if (has_place(sup, sup->slots->pdata[i], group))
            return true;
    for (guint i = 0; i < before; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        if (stream->group == group && stream_waits(stream))
            return true;
    }
    return false;
}

/* Two halves of a group are to find a worker each, should theirs die again. */
static bool group_may_split(const struct supervisor *sup)
{
    for (guint i = 0; i < sup->slots->len; i++) {
        const struct slot *slot = sup->slots->pdata[i];
        if (slot->group && slot->streams->len > 1)
            return true;
    }
    return false;
}

int placement_workers_needed(const struct supervisor *sup)
{
    int waiting = 0, places = 0, groups = 0;
    bool active = false;
    for (guint i = 0; i < sup->streams->len; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        active = active || (stream->wanted && !stream->finished);
        if (!stream_waits(stream))
            continue;
        if (!stream->group)
            waiting++;
        else if (!group_is_served(sup, stream->group, i))
            groups++;
    }
    for (guint i = 0; i < sup->slots->len; i++) {
        const struct slot *slot = sup->slots->pdata[i];
        if (has_place(sup, slot, 0))
            places += capacity(sup) - (int)slot->streams->len;
    }
    int workers = MAX(0, waiting - places + capacity(sup) - 1) / capacity(sup);
    if (!active)
        return 0;
    return workers + groups + sup->options.spares + group_may_split(sup);
}

void placement_accuse(struct supervisor *sup, const struct slot *slot,
                      struct stream *const *streams, int count, uint64_t now)
{
    if (count == 0)
        return;
    uint64_t first = ++sup->groups;
    uint64_t second = slot->group && count > 1 ? ++sup->groups : first;
    for (int i = 0; i < count; i++) {
        streams[i]->group = i < count / 2 ? second : first;
        streams[i]->suspect_until = now + PLACEMENT_SUSPICION_MS;
    }
}

void placement_clear(struct supervisor *sup, uint64_t now)
{
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (!stream->group || now < stream->suspect_until)
            continue;
        stream->group = 0;
    }
    /* A worker all of whose streams were cleared may take others again. */
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        bool suspect = false;
        for (guint k = 0; k < slot->streams->len; k++)
            suspect |= ((const struct stream *)slot->streams->pdata[k])->group != 0;
        if (!suspect)
            slot->group = 0;
    }
}
