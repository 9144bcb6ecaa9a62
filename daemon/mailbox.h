/* The way to the store: a bounded queue from the loop to the one thread that writes.
 *
 * Records are committed in batches, each no older than MAILBOX_BATCH_MS; only after the commit
 * does `committed` run, on the loop, record by record in order of seq: that is what
 * "acknowledged" means here. While the store fails (disk full, locked) the queue keeps its
 * records and the writer tries again every MAILBOX_RETRY_MS; what no longer fits is refused
 * and counted, `updated` records first, since losing one loses only detail.
 *
 * Streams and jobs are put and deleted by the same thread, ahead of waiting records.
 *
 * Thread: every function on the loop's thread; the writer is inside. */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <uv.h>

#include "daemon/watchdog.h"
#include "record/histogram.h"
#include "daemon/retention.h"

#define MAILBOX_BATCH_MS    20
#define MAILBOX_BATCH_MAX   256
#define MAILBOX_RETRY_MS    1000
#define MAILBOX_RECORDS_MAX 4096 /* waiting or not yet announced */
#define MAILBOX_CHANGES_MAX 64
#define MAILBOX_CLOSE_MS    2000 /* for the last records, when the store fails */

struct mailbox;

struct mailbox_options {
    uv_loop_t *loop;
    const char *path;
    /* On the loop; `text` is the record's JSON with its seq. Both borrowed. */
    void (*committed)(void *owner, const struct record *record, const char *text);
    void *owner;
    struct pulse *pulse; /* the writer's; may be NULL */
    int records_max;     /* 0: MAILBOX_RECORDS_MAX; updated records may fill three quarters */
};

/* Opens the store, ends what a crash left open, starts the writer. -errno of store_open. */
int mailbox_create(const struct mailbox_options *options, struct mailbox **ret_mailbox,
                   struct store_error *err);

/* What the store holds on a shelf, as far as the `done` of each change has told. Of the mailbox,
 * until the loop turns. */
const struct store_text *mailbox_texts(const struct mailbox *mailbox, enum store_shelf shelf,
                                       size_t *ret_count);

/* 0 queued; -ENOBUFS refused and, unless it is an `ended`, counted as dropped: an `ended` is
 * offered again by its keeper (daemon/detections.h). */
int mailbox_post(struct mailbox *mailbox, const struct record *record);

/* result: 0, or -errno with one line. */
typedef void mailbox_done(void *data, int result, const char *problem);

/* 0 queued, and `done`, unless it is NULL, follows on the loop; -ENOBUFS. `text` is copied; NULL
 * deletes. Changes of one name are made in the order in which they were put. */
int mailbox_put(struct mailbox *mailbox, enum store_shelf shelf, const char *name,
                const char *text, mailbox_done *done, void *data);

/* From now on this is kept; copied. Until it is first told, everything is. */
void mailbox_set_retention(struct mailbox *mailbox, const struct retention *retention);

struct mailbox_stats {
    int64_t committed;       /* records */
    int64_t dropped;         /* refused since the queue was full, or lost at close */
    int64_t refused;         /* by the store, for what they are */
    int64_t failures;        /* commits that failed and were tried again */
    struct histogram commit; /* how long each took */
    int64_t expired[STORE_REASON_COUNT]; /* detections, by why they went */
    int64_t expired_records;
    int64_t file_bytes,
        free_bytes; /* of the database, when retention last looked; 0: not yet */
    int waiting;
    char problem[256]; /* why the last commit failed; "" when it did not */
};
void mailbox_get_stats(struct mailbox *mailbox, struct mailbox_stats *ret_stats);

/* Takes nothing more, commits what waits (for at most MAILBOX_CLOSE_MS when the store fails),
 * closes the store and calls `closed` on the loop after the last `committed`. Then destroy. */
void mailbox_close(struct mailbox *mailbox, void (*closed)(void *owner));
void mailbox_destroy(struct mailbox *mailbox); /* after `closed`, or never closed: waits */

#endif
