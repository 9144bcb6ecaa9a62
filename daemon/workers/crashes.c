#include "daemon/workers/crashes.h"

#define FIRST_WAIT_MS 1000
#define DOUBLINGS_MAX 4

int crashes_note(struct crashes *crashes, uint64_t now_ms, uint64_t lived_ms)
{
    crashes->times[crashes->count++ % CRASHES_LIMIT] = now_ms;
    crashes->quick_in_row = lived_ms < CRASHES_QUICK_MS ? crashes->quick_in_row + 1 : 0;
    /* The ring's next place holds the oldest of the last CRASHES_LIMIT. */
    if (crashes->count >= CRASHES_LIMIT &&
        now_ms - crashes->times[crashes->count % CRASHES_LIMIT] < CRASHES_WINDOW_MS)
        return -1;
    if (crashes->quick_in_row <= 1)
        return 0;
    int doublings = crashes->quick_in_row - 2;
    return FIRST_WAIT_MS << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}
