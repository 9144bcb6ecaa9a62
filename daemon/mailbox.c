/* The writer sleeps on one condition. It makes changes first, then a batch of records, then a
 * step of retention. What it has finished goes to a second list, drained on the loop by one
 * uv_async (which coalesces: the callback empties the list, whatever the number of sends).
 *
 * `outstanding` counts a record from post to its `committed`, so the bound holds for both lists
 * together: a loop that is slow to drain cannot make memory grow. */
#include "daemon/mailbox.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

#define EXPIRE_STEP        100
#define EXPIRE_INTERVAL_NS (60 * UINT64_C(1000000000))
#define EXPIRE_PAUSE_NS    (50 * UINT64_C(1000000))
#define HEARD_NS           (2 * UINT64_C(1000000000)) /* longest sleep, for its pulse */
#define MS                 UINT64_C(1000000)

struct letter {
    struct record record;
    char *text;
    uint64_t posted_ns;
};

struct change {
    enum store_shelf shelf;
    char *name, *text; /* NULL: it is deleted */
    mailbox_done *done;
    void *data;
    int result;
    struct store_error err;
};

struct mailbox {
    struct mailbox_options options;
    GArray *texts[STORE_SHELF_COUNT]; /* struct store_text; the loop's */
    uv_thread_t thread;
    bool thread_runs;
    uv_async_t *async; /* apart: outlives us until its close callback */
    void (*closed)(void *owner);

    uv_mutex_t lock; /* guards what follows up to the blank line */
    uv_cond_t wake;
    GQueue letters, committed;    /* struct letter */
    GQueue changes, done_changes; /* struct change */
    size_t outstanding;
    bool closing, writer_done;
    uint64_t close_by_ns;
    struct retention retention; /* as told last */
    bool retention_told, retention_changed;
    struct mailbox_stats stats;

    /* The writer's own. */
    struct store *store;
    GQueue batch; /* taken from letters, not yet committed */
    uint64_t retry_ns;
    struct retention kept;
    uint64_t expire_ns; /* UINT64_MAX until retention is told */
    struct log_limit refusals_log;
    bool failing;
};

static void letter_free(gpointer data)
{
    struct letter *letter = data;
    free(letter->text);
    g_free(letter);
}

static void change_free(gpointer data)
{
    struct change *change = data;
    g_free(change->name);
    g_free(change->text);
    g_free(change);
}

/* --- the writer ------------------------------------------------------------------------- */

static void make_change(struct mailbox *mailbox, struct change *change)
{
    pulse_expect(mailbox->options.pulse, PULSE_DISK_MS, "storing a change");
    change->result = change->text ? store_put_text(mailbox->store, change->shelf, change->name,
                                                   change->text, &change->err)
                                  : store_delete_text(mailbox->store, change->shelf,
                                                      change->name, &change->err);
    uv_mutex_lock(&mailbox->lock);
    g_queue_push_tail(&mailbox->done_changes, change);
    uv_mutex_unlock(&mailbox->lock);
    uv_async_send(mailbox->async);
}

static void note_failure(struct mailbox *mailbox, const char *problem)
{
    if (!mailbox->failing)
        log_error("the store fails: %s; records wait", problem);
    mailbox->failing = true;
    mailbox->retry_ns = uv_hrtime() + MAILBOX_RETRY_MS * MS;
    uv_mutex_lock(&mailbox->lock);
    mailbox->stats.failures++;
    g_strlcpy(mailbox->stats.problem, problem, sizeof mailbox->stats.problem);
    uv_mutex_unlock(&mailbox->lock);
}

/* Hands the first `count` letters of the batch to the loop. */
static void note_commit(struct mailbox *mailbox, const struct record *records, guint count,
                        uint64_t took_ns)
{
    if (mailbox->failing)
        log_info("the store works again");
    mailbox->failing = false;
    for (guint i = 0; i < count; i++) {
        struct letter *letter = g_queue_peek_nth(&mailbox->batch, i);
        letter->record = records[i];
        letter->text = record_to_text(&letter->record);
    }
    uv_mutex_lock(&mailbox->lock);
    for (guint i = 0; i < count; i++)
        g_queue_push_tail(&mailbox->committed, g_queue_pop_head(&mailbox->batch));
    mailbox->stats.committed += count;
    histogram_add(&mailbox->stats.commit, (double)took_ns / 1e9);
    mailbox->stats.problem[0] = '\0';
    uv_mutex_unlock(&mailbox->lock);
    uv_async_send(mailbox->async);
}

static void drop_head(struct mailbox *mailbox, int64_t *counter)
{
    letter_free(g_queue_pop_head(&mailbox->batch));
    uv_mutex_lock(&mailbox->lock);
    ++*counter;
    mailbox->outstanding--;
    uv_mutex_unlock(&mailbox->lock);
}

/* Commits the batch, or its first `count`. A record the store refuses for what it is would hold
 * up all behind it for ever: then they go one by one, and that one is dropped. */
static int commit(struct mailbox *mailbox, guint count)
{
    g_autofree struct record *records = g_new(struct record, count);
    guint i = 0;
    for (GList *item = mailbox->batch.head; i < count; item = item->next)
        records[i++] = ((struct letter *)item->data)->record;
    struct store_error err = {{0}};
    uint64_t start = uv_hrtime();
    pulse_expect(mailbox->options.pulse, PULSE_DISK_MS, "committing records");
    int r = store_append(mailbox->store, records, count, g_get_real_time() / 1000, &err);
    if (r >= 0) {
        note_commit(mailbox, records, count, uv_hrtime() - start);
        return 0;
    }
    if (r != -EINVAL) {
        note_failure(mailbox, err.text);
        return r;
    }
    if (count == 1) {
        const struct log_about about = {
            .stream = records[0].stream,
            .limit = &mailbox->refusals_log,
        };
        log_about(LOG_LEVEL_ERROR, &about, "the store refuses a record: %s", err.text);
        drop_head(mailbox, &mailbox->stats.refused);
        return 0;
    }
    for (r = 0; r == 0 && mailbox->batch.length > 0;)
        r = commit(mailbox, 1);
    return r;
}

/* One small step; the next time to look. */
static void expire(struct mailbox *mailbox)
{
    uint64_t now = uv_hrtime();
    g_autofree struct store_stream_limit *limits =
        g_new0(struct store_stream_limit, mailbox->kept.stream_count);
    struct store_retention retention =
        retention_at(&mailbox->kept, g_get_real_time() / 1000, limits);
    struct store_error err = {{0}};
    struct store_expired expired = {0};
    pulse_expect(mailbox->options.pulse, PULSE_DISK_MS, "removing old detections");
    int more = store_expire(mailbox->store, &retention, EXPIRE_STEP, &expired, &err);
    if (more < 0 && !mailbox->failing)
        log_warning("old detections cannot be removed: %s", err.text);
    mailbox->expire_ns = now + (more > 0 ? EXPIRE_PAUSE_NS : EXPIRE_INTERVAL_NS);
    uv_mutex_lock(&mailbox->lock);
    for (int i = 0; i < STORE_REASON_COUNT; i++)
        mailbox->stats.expired[i] += expired.detections[i];
    mailbox->stats.expired_records += expired.records;
    if (more >= 0) {
        mailbox->stats.file_bytes = expired.file_bytes;
        mailbox->stats.free_bytes = expired.free_bytes;
    }
    uv_mutex_unlock(&mailbox->lock);
}

/* With the lock held: what was told since the last turn holds at once. */
static void take_retention(struct mailbox *mailbox)
{
    if (!mailbox->retention_changed)
        return;
    retention_finish(&mailbox->kept);
    mailbox->kept = retention_copy(&mailbox->retention);
    mailbox->retention_changed = false;
    mailbox->expire_ns = 0;
}

/* With the lock held: how long there is nothing to do, 0 when there is. */
static uint64_t idle_ns(struct mailbox *mailbox, uint64_t now)
{
    uint64_t wait = UINT64_MAX;
    if (mailbox->changes.length > 0)
        return 0;
    if (mailbox->batch.length > 0) {
        wait = mailbox->retry_ns > now ? mailbox->retry_ns - now : 0;
    } else if (mailbox->letters.length > 0) {
        const struct letter *first = g_queue_peek_head(&mailbox->letters);
        uint64_t due = first->posted_ns + MAILBOX_BATCH_MS * MS;
        bool full = mailbox->letters.length >= MAILBOX_BATCH_MAX;
        wait = full || mailbox->closing || due <= now ? 0 : due - now;
    } else if (mailbox->closing) {
        return 0;
    }
    if (!mailbox->closing)
        wait = MIN(wait, mailbox->expire_ns > now && !mailbox->retention_changed
                             ? mailbox->expire_ns - now
                             : 0);
    return mailbox->closing ? MIN(wait, 50 * MS) : wait;
}

static void writer_main(void *argument)
{
    struct mailbox *mailbox = argument;
    pthread_setname_np(pthread_self(), "store-writer");
    for (;;) {
        pulse_expect(mailbox->options.pulse, PULSE_TURN_MS, "between two commits");
        uv_mutex_lock(&mailbox->lock);
        uint64_t now = uv_hrtime();
        uint64_t wait = idle_ns(mailbox, now);
        if (wait > 0)
            uv_cond_timedwait(&mailbox->wake, &mailbox->lock, MIN(wait, HEARD_NS));
        struct change *change = g_queue_pop_head(&mailbox->changes);
        now = uv_hrtime();
        bool closing = mailbox->closing;
        take_retention(mailbox);
        bool empty = !change && mailbox->letters.length == 0 && mailbox->batch.length == 0;
        bool give_up = closing && (empty || now > mailbox->close_by_ns);
        if (!change && mailbox->batch.length == 0 && (closing || idle_ns(mailbox, now) == 0))
            while (mailbox->letters.length > 0 && mailbox->batch.length < MAILBOX_BATCH_MAX)
                g_queue_push_tail(&mailbox->batch, g_queue_pop_head(&mailbox->letters));
        uv_mutex_unlock(&mailbox->lock);
        if (change)
            make_change(mailbox, change);
        else if (give_up)
            break;
        else if (mailbox->batch.length > 0 && (now >= mailbox->retry_ns || closing))
            commit(mailbox, mailbox->batch.length);
        else if (now >= mailbox->expire_ns && !closing)
            expire(mailbox);
    }
    while (mailbox->batch.length > 0)
        drop_head(mailbox, &mailbox->stats.dropped);
    pulse_expect(mailbox->options.pulse, PULSE_DISK_MS, "closing the store");
    store_close(mailbox->store);
    mailbox->store = NULL;
    pulse_rest(mailbox->options.pulse);
    uv_mutex_lock(&mailbox->lock);
    while (mailbox->letters.length > 0) {
        letter_free(g_queue_pop_head(&mailbox->letters));
        mailbox->stats.dropped++;
    }
    mailbox->writer_done = true;
    uv_mutex_unlock(&mailbox->lock);
    uv_async_send(mailbox->async);
}

/* --- the loop's side -------------------------------------------------------------------- */

static void text_clear(gpointer data)
{
    free(((struct store_text *)data)->text);
}

/* Follows what the writer did, so that mailbox_texts need not ask the store again. */
static void note_change(struct mailbox *mailbox, const struct change *change)
{
    GArray *texts = mailbox->texts[change->shelf];
    guint i = 0;
    while (i < texts->len &&
           strcmp(g_array_index(texts, struct store_text, i).name, change->name) != 0)
        i++;
    if (i < texts->len)
        g_array_remove_index(texts, i);
    if (change->text) {
        struct store_text text = {.text = strdup(change->text)};
        g_strlcpy(text.name, change->name, sizeof text.name);
        g_array_append_val(texts, text);
    }
}

static void drain(uv_async_t *async)
{
    struct mailbox *mailbox = async->data;
    uv_mutex_lock(&mailbox->lock);
    GQueue letters = mailbox->committed;
    GQueue changes = mailbox->done_changes;
    g_queue_init(&mailbox->committed);
    g_queue_init(&mailbox->done_changes);
    mailbox->outstanding -= letters.length;
    bool finished = mailbox->writer_done;
    uv_mutex_unlock(&mailbox->lock);

    struct change *change;
    while ((change = g_queue_pop_head(&changes))) {
        if (change->result == 0)
            note_change(mailbox, change);
        if (change->done)
            change->done(change->data, change->result, change->err.text);
        change_free(change);
    }
    struct letter *letter;
    while ((letter = g_queue_pop_head(&letters))) {
        if (letter->text)
            mailbox->options.committed(mailbox->options.owner, &letter->record, letter->text);
        letter_free(letter);
    }
    if (finished && mailbox->closed) {
        void (*closed)(void *) = mailbox->closed;
        mailbox->closed = NULL;
        closed(mailbox->options.owner);
    }
}

static void async_closed(uv_handle_t *handle)
{
    g_free(handle);
}

static int take_texts(struct mailbox *mailbox, enum store_shelf shelf, struct store_error *err)
{
    struct store_text *texts;
    size_t count;
    int r = store_list_texts(mailbox->store, shelf, &texts, &count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        g_array_append_val(mailbox->texts[shelf], texts[i]);
        texts[i].text = NULL; /* moved */
    }
    store_texts_free(texts, count);
    return 0;
}

static void free_texts(struct mailbox *mailbox)
{
    for (int i = 0; i < STORE_SHELF_COUNT; i++)
        g_array_unref(mailbox->texts[i]);
}

int mailbox_create(const struct mailbox_options *options, struct mailbox **ret_mailbox,
                   struct store_error *err)
{
    struct mailbox *mailbox = g_new0(struct mailbox, 1);
    mailbox->options = *options;
    if (mailbox->options.records_max == 0)
        mailbox->options.records_max = MAILBOX_RECORDS_MAX;
    mailbox->expire_ns = UINT64_MAX;
    for (int i = 0; i < STORE_SHELF_COUNT; i++) {
        mailbox->texts[i] = g_array_new(FALSE, FALSE, sizeof(struct store_text));
        g_array_set_clear_func(mailbox->texts[i], text_clear);
    }
    if (store_is_older(options->path))
        log_info(
            "database %s is an older vigil's and is brought up to date: up to 20 s for each "
            "million detections",
            options->path);
    int r = store_open(options->path, &mailbox->store, err);
    if (r < 0)
        goto fail_store;
    r = store_close_open_detections(mailbox->store, g_get_real_time() / 1000, err);
    for (int i = 0; i < STORE_SHELF_COUNT && r >= 0; i++)
        r = take_texts(mailbox, (enum store_shelf)i, err);
    if (r < 0)
        goto fail_store;
    mailbox->async = g_new0(uv_async_t, 1);
    uv_mutex_init(&mailbox->lock);
    uv_cond_init(&mailbox->wake);
    r = uv_async_init(options->loop, mailbox->async, drain);
    if (r < 0) {
        g_clear_pointer(&mailbox->async, g_free);
        goto fail;
    }
    mailbox->async->data = mailbox;
    r = uv_thread_create(&mailbox->thread, writer_main, mailbox);
    if (r < 0)
        goto fail;
    mailbox->thread_runs = true;
    *ret_mailbox = mailbox;
    return 0;

fail:
    g_strlcpy(err->text, uv_strerror(r), sizeof err->text);
    mailbox_destroy(mailbox);
    return r;

fail_store:
    free_texts(mailbox);
    store_close(mailbox->store);
    g_free(mailbox);
    return r;
}

const struct store_text *mailbox_texts(const struct mailbox *mailbox, enum store_shelf shelf,
                                       size_t *ret_count)
{
    *ret_count = mailbox->texts[shelf]->len;
    return (const struct store_text *)(const void *)mailbox->texts[shelf]->data;
}

int mailbox_post(struct mailbox *mailbox, const struct record *record)
{
    size_t limit = (size_t)mailbox->options.records_max;
    if (record->phase == RECORD_UPDATED)
        limit = limit * 3 / 4;
    int r = 0;
    uv_mutex_lock(&mailbox->lock);
    if (mailbox->closing || mailbox->outstanding >= limit) {
        mailbox->stats.dropped += record->phase != RECORD_ENDED;
        r = -ENOBUFS;
    } else {
        struct letter *letter = g_new0(struct letter, 1);
        letter->record = *record;
        letter->posted_ns = uv_hrtime();
        g_queue_push_tail(&mailbox->letters, letter);
        mailbox->outstanding++;
        uv_cond_signal(&mailbox->wake);
    }
    uv_mutex_unlock(&mailbox->lock);
    return r;
}

int mailbox_put(struct mailbox *mailbox, enum store_shelf shelf, const char *name,
                const char *text, mailbox_done *done, void *data)
{
    int r = 0;
    uv_mutex_lock(&mailbox->lock);
    if (mailbox->closing || mailbox->changes.length >= MAILBOX_CHANGES_MAX) {
        r = -ENOBUFS;
    } else {
        struct change *change = g_new0(struct change, 1);
        change->shelf = shelf;
        change->name = g_strdup(name);
        change->text = g_strdup(text);
        change->done = done;
        change->data = data;
        g_queue_push_tail(&mailbox->changes, change);
        uv_cond_signal(&mailbox->wake);
    }
    uv_mutex_unlock(&mailbox->lock);
    return r;
}

void mailbox_set_retention(struct mailbox *mailbox, const struct retention *retention)
{
    struct retention copy = retention_copy(retention);
    uv_mutex_lock(&mailbox->lock);
    if (!mailbox->retention_told || !retention_equal(&mailbox->retention, retention)) {
        retention_finish(&mailbox->retention);
        mailbox->retention = copy;
        copy = (struct retention){0};
        mailbox->retention_told = mailbox->retention_changed = true;
        uv_cond_signal(&mailbox->wake);
    }
    uv_mutex_unlock(&mailbox->lock);
    retention_finish(&copy);
}

void mailbox_get_stats(struct mailbox *mailbox, struct mailbox_stats *ret_stats)
{
    uv_mutex_lock(&mailbox->lock);
    *ret_stats = mailbox->stats;
    ret_stats->waiting = (int)mailbox->outstanding;
    uv_mutex_unlock(&mailbox->lock);
}

void mailbox_close(struct mailbox *mailbox, void (*closed)(void *owner))
{
    uv_mutex_lock(&mailbox->lock);
    mailbox->closing = true;
    mailbox->closed = closed;
    mailbox->close_by_ns = uv_hrtime() + MAILBOX_CLOSE_MS * MS;
    uv_cond_signal(&mailbox->wake);
    uv_mutex_unlock(&mailbox->lock);
}

void mailbox_destroy(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    if (mailbox->thread_runs) {
        uv_mutex_lock(&mailbox->lock);
        if (!mailbox->closing)
            mailbox->close_by_ns = uv_hrtime() + MAILBOX_CLOSE_MS * MS;
        mailbox->closing = true;
        uv_cond_signal(&mailbox->wake);
        uv_mutex_unlock(&mailbox->lock);
        uv_thread_join(&mailbox->thread);
    }
    store_close(mailbox->store);
    if (mailbox->async)
        uv_close((uv_handle_t *)mailbox->async, async_closed);
    g_queue_clear_full(&mailbox->letters, letter_free);
    g_queue_clear_full(&mailbox->committed, letter_free);
    g_queue_clear_full(&mailbox->batch, letter_free);
    g_queue_clear_full(&mailbox->changes, change_free);
    g_queue_clear_full(&mailbox->done_changes, change_free);
    free_texts(mailbox);
    uv_mutex_destroy(&mailbox->lock);
    uv_cond_destroy(&mailbox->wake);
    retention_finish(&mailbox->retention);
    retention_finish(&mailbox->kept);
    g_free(mailbox);
}
