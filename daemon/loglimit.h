/* How often one subject (a stream, a worker's stderr, the store) may fill the log.
 *
 * The same line is told once, then once an hour with the number of times it came meanwhile: a
 * camera that is refused a thousand times is one line, not a thousand. Digits do not make a
 * line another one ("next try in 4 s"). Whatever the lines, LOG_LIMIT_LINES a minute is the
 * most; beyond it they are counted.
 *
 * A zeroed struct is a fresh limit. At most LOG_LIMIT_KINDS different lines are remembered; of
 * more, those told longest ago are told again.
 *
 * Thread: a limit belongs to one thread. */
#ifndef DAEMON_LOGLIMIT_H
#define DAEMON_LOGLIMIT_H

#include <stdint.h>

#define LOG_LIMIT_LINES    20
#define LOG_LIMIT_KINDS    8
#define LOG_LIMIT_AGAIN_MS (60 * 60 * 1000)

struct log_limit {
    uint64_t minute_ms; /* when the current minute began */
    int lines;          /* told in it */
    int64_t left_out;   /* repeats and lines over the rate, since log_limit_forget */
    struct {
        uint32_t key; /* 0: none */
        uint64_t told_ms;
        int64_t repeats; /* since told_ms */
    } kinds[LOG_LIMIT_KINDS];
};

enum log_limit_verdict {
    LOG_LIMIT_TELL,
    LOG_LIMIT_TELL_LAST, /* and say that the rest of this minute is left out */
    LOG_LIMIT_LEAVE_OUT,
};

/* ret_repeats: how often this line came since it was last told; for the line to mention. */
enum log_limit_verdict log_limit_ask(struct log_limit *limit, const char *text, uint64_t now_ms,
                                     int64_t *ret_repeats);

/* What was told is news again (a stream is live: its next outage is a new one). The rate goes
 * on. Returns how many lines were left out since the last call. */
int64_t log_limit_forget(struct log_limit *limit);

#endif
