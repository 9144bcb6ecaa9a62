/* The lists that answer every query, and the counts that answer every summary.
 *
 * A list holds the detections of one kind whose best score is in one band, and, as its number
 * says, of one stream or any, of one label or any, in one zone or anywhere; in order of start,
 * then of number. A detection is in all the lists it fits: 4 for itself and 4 for each of its
 * zones. So whatever a reader filters by, the answer is a merge of at most LIST_QUERY_MAX lists
 * (kinds times bands), each read from where the page begins: what it costs depends neither on
 * how rare the match is nor on how many streams, labels and zones there are. Only within the
 * band that min_score cuts rows are read in vain; edges are where people put thresholds.
 *
 * An hour counts the detections that started in it, by the lists that name stream and label,
 * with each zone and without. Both move with a detection whose best score reaches the next
 * band.
 *
 * Results are SQLite's.
 * Thread: as the handle; moving lists needs a transaction of the writer. */
#ifndef STORE_LISTS_H
#define STORE_LISTS_H

#include "store/handle.h"

#define LIST_BAND_COUNT 16
#define LIST_QUERY_MAX  (RECORD_KIND_COUNT * LIST_BAND_COUNT)
#define LIST_HOUR_MS    INT64_C(3600000)

/* The number of a list is zone, stream, label (18 bits each), kind (3) and band (4), the
 * highest first; 0 for any stream, any label, anywhere. */
struct list {
    int64_t zone, stream, label; /* ids of names.h, 0 */
    int kind, band;
};
int64_t list_number(const struct list *list);
struct list list_of_number(int64_t number);

/* The numbers, from *ret_first to before *ret_end, of all lists of a zone (0: of none) that
 * name this stream, or with 0 any. */
void list_range(int64_t zone, int64_t stream, int64_t *ret_first, int64_t *ret_end);

/* The band of a score, and the lowest score of a band. */
int list_band(double score);
double list_band_floor(int band);

/* Where a detection belongs. */
struct list_entry {
    int64_t number, start_ms;
    int64_t stream, label;
    int kind, band;
};

/* Into its lists and its hour, or out of them: those of a zone, or with 0 its own. */
int lists_put(struct store *store, const struct list_entry *entry, int64_t zone);
int lists_take(struct store *store, const struct list_entry *entry, int64_t zone);

#endif
