/* A detection's row, for the writer: what comes (detections.c) and what goes (expire.c).
 * Private to store/.
 *
 * Results are SQLite's.
 * Thread: as the handle; changes need a transaction of the writer. */
#ifndef STORE_DETECTIONS_H
#define STORE_DETECTIONS_H

#include "store/lists.h"

/* How far apart marks of the time are: by how much a record may be thinned late. */
#define STORE_MARK_MS (10 * 60 * 1000)

struct detection {
    struct list_entry entry;
    double score;
    int64_t first_seq, last_seq;
};

/* From the columns number, start_ms, stream, label, kind, score, first_seq, last_seq. */
void detection_read(sqlite3_stmt *row, struct detection *ret_known);

/* The zones a detection has been in, at most `limit`. */
int detection_zones(struct store *store, int64_t number, int64_t *ret_zones, int limit,
                    int *ret_count);

/* How many zones it has been in, and whether that is one of them. */
int detection_in_zone(struct store *store, int64_t number, int64_t zone, int64_t *ret_zones,
                      bool *ret_in);

/* Keeps the account of what a stream's records take. */
int detection_add_bytes(struct store *store, int64_t stream, int64_t records, int64_t bytes);

/* Deletes one record of a stream's detection; the detection's row is not touched. */
int detection_delete_record(struct store *store, int64_t stream, int64_t seq,
                            int64_t *ret_bytes);

#endif
