#include "daemon/detections.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* The detections of one stream; gone with the last of them. */
struct family {
    char stream[RECORD_NAME_SIZE];
    GQueue members; /* struct detection, of by_id */
};

struct detection {
    struct record last;
    struct family *family;
    GList link; /* in its family */
    bool ending;
};

struct detections {
    GHashTable *by_id;     /* char * inside the value to struct detection */
    GHashTable *by_stream; /* char * inside the value to struct family */
    GQueue ending;         /* struct detection, of by_id, in order */
};

struct detections *detections_create(void)
{
    struct detections *detections = g_new0(struct detections, 1);
    detections->by_id = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    detections->by_stream = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_queue_init(&detections->ending);
    return detections;
}

void detections_destroy(struct detections *detections)
{
    if (!detections)
        return;
    g_queue_clear(&detections->ending);
    g_hash_table_destroy(detections->by_id);
    g_hash_table_destroy(detections->by_stream);
    g_free(detections);
}

/* NULL when the stream has too many. */
static struct detection *add(struct detections *detections, const struct record *record)
{
    struct family *family = g_hash_table_lookup(detections->by_stream, record->stream);
    if (family && family->members.length >= DETECTIONS_PER_STREAM_MAX)
        return NULL;
    if (!family) {
        family = g_new0(struct family, 1);
        g_strlcpy(family->stream, record->stream, sizeof family->stream);
        g_hash_table_insert(detections->by_stream, family->stream, family);
    }
    struct detection *detection = g_new0(struct detection, 1);
    detection->last = *record;
    detection->family = family;
    detection->link.data = detection;
    g_queue_push_tail_link(&family->members, &detection->link);
    g_hash_table_insert(detections->by_id, detection->last.id, detection);
    return detection;
}

static void forget(struct detections *detections, struct detection *detection)
{
    struct family *family = detection->family;
    g_queue_unlink(&family->members, &detection->link);
    if (family->members.length == 0)
        g_hash_table_remove(detections->by_stream, family->stream);
    g_hash_table_remove(detections->by_id, detection->last.id);
}

int detections_apply(struct detections *detections, const struct record *record)
{
    struct detection *detection = g_hash_table_lookup(detections->by_id, record->id);
    if (detection && strcmp(detection->last.stream, record->stream) != 0)
        return -EEXIST;
    if (detection)
        detection->last = *record;
    else if (!(detection = add(detections, record)))
        return -ENOSPC;
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
    const struct family *family = g_hash_table_lookup(detections->by_stream, stream);
    for (GList *link = family ? family->members.head : NULL; link; link = link->next) {
        struct detection *detection = link->data;
        struct record *last = &detection->last;
        if (detection->ending)
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
        forget(detections, detection);
    }
    return detections->ending.length;
}

size_t detections_open(const struct detections *detections)
{
    return g_hash_table_size(detections->by_id);
}
