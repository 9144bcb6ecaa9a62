#include "daemon/queries.h"

#include <errno.h>
#include <glib.h>

struct reader {
    struct store
        *store; /* opened by the first question, in the pool: opening waits for disks */
    bool busy;
    struct pulse *pulse;
};

struct queries {
    uv_loop_t *loop;
    char *path;
    struct reader readers[QUERIES_READERS];
    GQueue waiting;
    int running;
};

int queries_create(uv_loop_t *loop, const char *path, struct watchdog *watchdog,
                   struct queries **ret_queries)
{
    struct queries *queries = g_new0(struct queries, 1);
    queries->loop = loop;
    queries->path = g_strdup(path);
    g_queue_init(&queries->waiting);
    for (int i = 0; i < QUERIES_READERS; i++)
        queries->readers[i].pulse = watchdog_add(watchdog, "reader of the store");
    *ret_queries = queries;
    return 0;
}

static void work(uv_work_t *request)
{
    struct query *query = request->data;
    struct reader *reader = query->reader;
    query->result = 0;
    pulse_expect(reader->pulse, PULSE_DISK_MS, "answering a query");
    if (!reader->store)
        query->result = store_open_reader(query->queries->path, QUERIES_CAP_MS, &reader->store,
                                          &query->err);
    if (query->result == 0)
        query->result = query->work(query, reader->store, &query->err);
    pulse_rest(reader->pulse);
}

static void start(struct query *query, struct reader *reader);

static void worked(uv_work_t *request, int status)
{
    struct query *query = request->data;
    struct queries *queries = query->queries;
    struct reader *reader = query->reader;
    reader->busy = false;
    queries->running--;
    struct query *next = g_queue_pop_head(&queries->waiting);
    if (next)
        start(next, reader);
    query->done(query, status < 0 ? status : query->result, &query->err);
}

static void start(struct query *query, struct reader *reader)
{
    struct queries *queries = query->queries;
    query->reader = reader;
    query->request.data = query;
    reader->busy = true;
    queries->running++;
    uv_queue_work(queries->loop, &query->request, work, worked);
}

int queries_ask(struct queries *queries, struct query *query)
{
    query->queries = queries;
    for (int i = 0; i < QUERIES_READERS; i++) {
        if (!queries->readers[i].busy) {
            start(query, &queries->readers[i]);
            return 0;
        }
    }
    if (queries->waiting.length >= QUERIES_WAITING_MAX)
        return -EBUSY;
    g_queue_push_tail(&queries->waiting, query);
    return 0;
}

int queries_running(const struct queries *queries)
{
    return queries->running + (int)queries->waiting.length;
}

void queries_destroy(struct queries *queries)
{
    if (!queries)
        return;
    for (int i = 0; i < QUERIES_READERS; i++)
        store_close(queries->readers[i].store);
    g_free(queries->path);
    g_free(queries);
}
