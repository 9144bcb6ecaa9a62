/* When a worker that died is replaced, by how it has died before. Plain arithmetic on a clock
 * that is handed in.
 *
 * At once after a life of CRASHES_QUICK_MS or on the first quick death; after 1, 2, 4, 8, 16 s
 * on the next quick ones in a row; no more after CRASHES_LIMIT deaths within
 * CRASHES_WINDOW_MS. One death each 15 s, say, is always answered at once.
 *
 * Thread: plain data. */
#ifndef DAEMON_WORKERS_CRASHES_H
#define DAEMON_WORKERS_CRASHES_H

#include <stdint.h>

#define CRASHES_LIMIT     5
#define CRASHES_WINDOW_MS 60000
#define CRASHES_QUICK_MS  10000

/* Zeroed: no deaths yet. */
struct crashes {
    uint64_t times[CRASHES_LIMIT]; /* of the last ones, a ring */
    int count;
    int quick_in_row;
};

/* Notes a death at `now_ms` of a worker that had lived `lived_ms`. Milliseconds to wait before
 * the next start, or -1 when there should be none. */
int crashes_note(struct crashes *crashes, uint64_t now_ms, uint64_t lived_ms);

#endif
