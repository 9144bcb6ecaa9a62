/* How long and how much is kept, as the configuration says it, and what that means for the
 * store at a given time.
 *
 * Thread: plain data. */
#ifndef DAEMON_RETENTION_H
#define DAEMON_RETENTION_H

#include "store/store.h"

#define RETENTION_MB (INT64_C(1) << 20) /* bytes of a megabyte */

/* What a stream has of its own. */
struct retention_stream {
    char name[RECORD_NAME_SIZE];
    int64_t days;      /* 0: for ever; < 0: as of all */
    int64_t megabytes; /* of its records; 0: any number */
};

/* 0 anywhere: no limit. */
struct retention {
    int64_t days;
    int64_t megabytes;     /* of the file */
    int64_t updates_hours; /* for what lies between a detection's first and latest record */
    size_t stream_count;
    struct retention_stream *streams;
};

/* A deep copy, for retention_finish. */
struct retention retention_copy(const struct retention *retention);
void retention_finish(struct retention *retention); /* zeroed is fine */

/* The streams in the same order, too. */
bool retention_equal(const struct retention *a, const struct retention *b);

/* Fills `limits`, which has room for each stream, and what points to them. */
struct store_retention retention_at(const struct retention *retention, int64_t now_ms,
                                    struct store_stream_limit *limits);

#endif
