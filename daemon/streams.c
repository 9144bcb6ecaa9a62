#include "daemon/streams.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Tags are keyed, and the key dies with the process: a plain hash would let whoever may read a
 * tag try passwords on it. */
#define KEY_SIZE 32

struct streams {
    GPtrArray *entries; /* in order of name */
    guint8 key[KEY_SIZE];
};

struct streams *streams_create(void)
{
    struct streams *streams = g_new0(struct streams, 1);
    streams->entries = g_ptr_array_new_with_free_func(g_free);
    /* The kernel's pool is ready long before a service starts; a request this short is never
     * cut. */
    if (getrandom(streams->key, sizeof streams->key, 0) != sizeof streams->key)
        g_error("no random numbers from the kernel");
    return streams;
}

void streams_destroy(struct streams *streams)
{
    if (!streams)
        return;
    g_ptr_array_free(streams->entries, TRUE);
    g_free(streams);
}

/* Index of the first entry whose name is not before `name`. */
static guint position(const struct streams *streams, const char *name)
{
    guint i = 0;
    while (i < streams->entries->len &&
           strcmp(((struct stream_entry *)streams->entries->pdata[i])->config.name, name) < 0)
        i++;
    return i;
}

struct stream_entry *streams_find(struct streams *streams, const char *name)
{
    guint i = position(streams, name);
    struct stream_entry *entry = i < streams->entries->len ? streams->entries->pdata[i] : NULL;
    return entry && strcmp(entry->config.name, name) == 0 ? entry : NULL;
}

static int64_t unix_ms(void)
{
    return g_get_real_time() / 1000;
}

void stream_entry_reset(struct stream_entry *entry)
{
    entry->before = stream_entry_totals(entry);
    message_status_init(&entry->status);
    entry->status.since_ms = unix_ms();
    entry->status.state = entry->config.enabled ? STREAM_CONNECTING : STREAM_DISABLED;
    g_strlcpy(entry->status.stream, entry->config.name, sizeof entry->status.stream);
}

static void set_etag(const struct streams *streams, struct stream_entry *entry)
{
    json_t *object = config_stream_to_json(&entry->config, true);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    if (!text)
        g_error("no memory for a stream");
    g_autofree char *tag = g_compute_hmac_for_string(G_CHECKSUM_SHA256, streams->key,
                                                     sizeof streams->key, text, -1);
    g_strlcpy(entry->etag, tag, sizeof entry->etag);
    explicit_bzero(text, strlen(text));
    free(text);
}

struct stream_entry *streams_put(struct streams *streams, const struct config_stream *config,
                                 bool from_file)
{
    struct stream_entry *entry = streams_find(streams, config->name);
    if (!entry) {
        entry = g_new0(struct stream_entry, 1);
        entry->bucket = STREAMS_RECORDS_BURST;
        g_ptr_array_insert(streams->entries, (gint)position(streams, config->name), entry);
    }
    entry->config = *config;
    log_limit_forget(&entry->log);
    entry->from_file = from_file;
    set_etag(streams, entry);
    stream_entry_reset(entry);
    return entry;
}

void streams_keep(struct streams *streams, struct stream_entry *entry,
                  const struct config_stream *config, bool from_file)
{
    entry->config = *config;
    entry->from_file = from_file;
    set_etag(streams, entry);
}

void streams_remove(struct streams *streams, const char *name)
{
    struct stream_entry *entry = streams_find(streams, name);
    if (entry)
        g_ptr_array_remove(streams->entries, entry);
}

size_t streams_count(const struct streams *streams)
{
    return streams->entries->len;
}

struct stream_entry *streams_at(struct streams *streams, size_t index)
{
    return streams->entries->pdata[index];
}

/* A worker may say any number. */
static void add(int64_t *total, int64_t count)
{
    if (__builtin_add_overflow(*total, count, total))
        *total = INT64_MAX;
}

struct stream_totals stream_entry_totals(const struct stream_entry *entry)
{
    const struct message_stream_status *status = &entry->status;
    struct stream_totals totals = entry->before;
    add(&totals.received, status->received);
    add(&totals.analysed, status->analysed);
    add(&totals.skipped, status->skipped);
    add(&totals.dropped, status->dropped);
    add(&totals.damaged, status->damaged);
    add(&totals.windows, status->windows);
    add(&totals.records_lost, status->records_lost);
    add(&totals.reconnects, status->reconnects);
    add(&totals.attempts, status->attempts);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        add(&totals.lost[reason], status->lost[reason]);
    totals.decode_cpu_ms += status->decode_cpu_ms;
    totals.analysis_cpu_ms += status->analysis_cpu_ms;
    histogram_merge(&totals.decode, &status->decode);
    histogram_merge(&totals.inference, &status->inference);
    histogram_merge(&totals.latency, &status->latency);
    return totals;
}

void stream_entry_set_status(struct stream_entry *entry,
                             const struct message_stream_status *status)
{
    /* A worker's counters only grow; the first status after its death starts from 0. Of a
     * camera that was never reached only the attempts tell. */
    if (status->received < entry->status.received || status->windows < entry->status.windows ||
        status->attempts < entry->status.attempts)
        entry->before = stream_entry_totals(entry);
    entry->restarts += status->reason == REASON_CRASHED && status->state != entry->status.state;
    int64_t since_ms = status->since_ms;
    /* What the daemon itself says of a stream without a worker has no beginning. */
    if (since_ms == RECORD_NO_TIME)
        since_ms = status->state == entry->status.state ? entry->status.since_ms : unix_ms();
    entry->status = *status;
    entry->status.since_ms = since_ms;
}

bool stream_entry_allows_record(struct stream_entry *entry, uint64_t now_ms)
{
    double earned = (double)(now_ms - entry->bucket_ms) * STREAMS_RECORDS_PER_SECOND / 1000;
    entry->bucket = MIN(entry->bucket + earned, (double)STREAMS_RECORDS_BURST);
    entry->bucket_ms = now_ms;
    if (entry->bucket < 1)
        return false;
    entry->bucket -= 1;
    return true;
}

json_t *stream_entry_to_json(const struct stream_entry *entry, int worker_pid)
{
    json_t *object = json_object();
    json_t *config = config_stream_to_json(&entry->config, false);
    json_t *status = message_status_to_json(&entry->status);
    if (!object || !config || !status ||
        json_object_set_new(object, "name", json_string(entry->config.name)) < 0 ||
        json_object_update(object, config) < 0 ||
        json_object_set_new(object, "source", json_string(entry->from_file ? "file" : "api")) <
            0 ||
        json_object_set_new(object, "credentials",
                            json_boolean(config_stream_has_credentials(&entry->config))) < 0 ||
        json_object_set_new(status, "worker_pid",
                            worker_pid > 0 ? json_integer(worker_pid) : json_null()) < 0 ||
        json_object_set(object, "status", status) < 0)
        g_clear_pointer(&object, json_decref);
    json_decref(config);
    json_decref(status);
    return object;
}
