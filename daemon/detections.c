#include "daemon/detections.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

struct detection {
    struct record last;
    bool ending;
};

struct detections {
    GHashTable *by_id; /* char * inside the value to struct detection */
    GQueue ending;     /* struct detection, of by_id, in order */
};

struct detections *detections_create(void)
{
    struct detections *detections = g_new0(struct detections, 1);
    detections->by_id = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_queue_init(&detections->ending);
    return detections;
}

void detections_destroy(struct detections *detections)
{
    if (!detections)
        return;
    g_queue_clear(&detections->ending);
    g_hash_table_destroy(detections->by_id);
    g_free(detections);
}

static size_t count_stream(struct detections *detections, const char *stream)
{
    GHashTableIter iter;
    gpointer value;
    size_t count = 0;
    g_hash_table_iter_init(&iter, detections->by_id);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        count += strcmp(((struct detection *)value)->last.stream, stream) == 0;
    return count;
}

int detections_apply(struct detections *detections, const struct record *record)
{
    struct detection *detection = g_hash_table_lookup(detections->by_id, record->id);
    if (detection && strcmp(detection->last.stream, record->stream) != 0)
        return -EEXIST;
    if (!detection) {
        if (count_stream(detections, record->stream) >= DETECTIONS_PER_STREAM_MAX)
            return -ENOSPC;
        detection = g_new0(struct detection, 1);
        detection->last = *record;
        g_hash_table_insert(detections->by_id, detection->last.id, detection);
    } else {
        detection->last = *record;
    }
    if (record->phase != RECORD_ENDED) {
        /* A replay after a crash may open again what was about to end. */
        if (detection->ending)
            g_queue_remove(&detections->ending, detection);
        detection->ending = false;
        return 0;
    }
    if (!detection->ending)
        g_queue_push_tail(&detections->ending, detection);
    detection->ending = true;
    return 1;
}

bool detections_has(const struct detections *detections, const char *id)
{
    return g_hash_table_contains(detections->by_id, id);
}

void detections_end_stream(struct detections *detections, const char *stream, int64_t now_ms)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, detections->by_id);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct detection *detection = value;
        struct record *last = &detection->last;
        if (detection->ending || strcmp(last->stream, stream) != 0)
            continue;
        last->phase = RECORD_ENDED;
        last->end_ms = MAX(last->time_ms, last->start_ms);
        last->time_ms = MAX(now_ms, last->end_ms);
        last->latency_ms = -1;
        detection->ending = true;
        g_queue_push_tail(&detections->ending, detection);
    }
}

size_t detections_flush(struct detections *detections,
                        int (*post)(void *owner, const struct record *record), void *owner)
{
    struct detection *detection;
    while ((detection = g_queue_peek_head(&detections->ending)) &&
           post(owner, &detection->last) == 0) {
        g_queue_pop_head(&detections->ending);
        g_hash_table_remove(detections->by_id, detection->last.id);
    }
    return detections->ending.length;
}

size_t detections_open(const struct detections *detections)
{
    return g_hash_table_size(detections->by_id);
}
