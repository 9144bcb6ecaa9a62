#include "daemon/models/opener.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "record/file.h"

struct opening {
    struct opener *opener;
    char *path, *folder;
    opener_opened *opened; /* NULL: nobody waits for it any more */
    void *owner;
    uint64_t deadline;
    bool running, late; /* late: it runs beyond its deadline */
    uv_work_t work;
    int fd; /* what the thread has found */
    struct stat status;
};

struct opener {
    uv_loop_t *loop;
    uv_timer_t timer;
    GQueue openings;   /* in order of arrival, thus of deadline */
    int running, late; /* late: of those that run */
    bool closing, timer_closed;
};

static void free_when_idle(struct opener *opener)
{
    if (opener->closing && opener->timer_closed && opener->running == 0)
        g_free(opener);
}

static void opening_free(struct opening *opening)
{
    g_queue_remove(&opening->opener->openings, opening);
    g_free(opening->path);
    g_free(opening->folder);
    g_free(opening);
}

/* Gives fd away. What is called may ask and cancel again, so nothing of `opening` is touched
 * behind it. */
static void answer(struct opening *opening, int fd)
{
    opener_opened *opened = opening->opened;
    void *owner = opening->owner;
    struct stat status;
    if (fd >= 0) /* else a thread may be writing it */
        status = opening->status;
    opening->opened = NULL;
    if (!opening->running)
        opening_free(opening);
    if (opened)
        opened(owner, fd, fd < 0 ? NULL : &status);
    else if (fd >= 0)
        close(fd);
}

static void open_file(uv_work_t *work)
{
    struct opening *opening = work->data;
    int fd = file_open(opening->path);
    if (fd >= 0 && fstat(fd, &opening->status) < 0) {
        int error = -errno;
        close(fd);
        fd = error;
    }
    opening->fd = fd;
}

static void advance(struct opener *opener);

static void file_opened(uv_work_t *work, int status)
{
    struct opening *opening = work->data;
    struct opener *opener = opening->opener;
    opener->running--;
    opener->late -= opening->late;
    opening->running = false;
    answer(opening, status < 0 ? status : opening->fd);
    if (opener->closing)
        free_when_idle(opener);
    else
        advance(opener);
}

/* The one in the same folder that runs. */
static const struct opening *find_running(const struct opener *opener, const char *folder)
{
    for (const GList *item = opener->openings.head; item; item = item->next) {
        const struct opening *opening = item->data;
        if (opening->running && strcmp(opening->folder, folder) == 0)
            return opening;
    }
    return NULL;
}

static void run(struct opening *opening)
{
    struct opener *opener = opening->opener;
    /* With a callback for its end it cannot fail. */
    uv_queue_work(opener->loop, &opening->work, open_file, file_opened);
    opening->running = true;
    opener->running++;
}

static bool has_place(const struct opener *opener)
{
    return opener->running - opener->late < OPENER_PARALLEL &&
           opener->running < OPENER_PARALLEL + OPENER_LATE_MAX;
}

/* True when it was answered: it is too late, or its folder is known to hang. */
static bool judge(struct opening *opening, uint64_t now)
{
    struct opener *opener = opening->opener;
    const struct opening *before = find_running(opener, opening->folder);
    if (opening->running) {
        if (!opening->late && now >= opening->deadline) {
            opening->late = true;
            opener->late++;
        }
        if (!opening->late || !opening->opened)
            return false;
    } else if (now < opening->deadline && !(before && before->late)) {
        if (!before && has_place(opener))
            run(opening);
        return false;
    }
    answer(opening, -ETIMEDOUT);
    return true;
}

static void timer_fired(uv_timer_t *timer)
{
    advance(timer->data);
}

/* Starts what may start, gives up on what is too late, arms the timer for the next deadline.
 * Each answer may change the queue, so it is looked through anew. */
static void advance(struct opener *opener)
{
    uint64_t now = uv_now(opener->loop), next = 0;
    GList *item = opener->openings.head;
    while (item && !opener->closing)
        item = judge(item->data, now) ? opener->openings.head : item->next;
    for (item = opener->openings.head; item && !opener->closing; item = item->next) {
        const struct opening *opening = item->data;
        if (!opening->late && (next == 0 || opening->deadline < next))
            next = opening->deadline;
    }
    if (next)
        uv_timer_start(&opener->timer, timer_fired, next > now ? next - now : 0, 0);
    else if (!opener->closing)
        uv_timer_stop(&opener->timer);
}

int opener_create(uv_loop_t *loop, struct opener **ret_opener)
{
    struct opener *opener = g_new0(struct opener, 1);
    int r = uv_timer_init(loop, &opener->timer);
    if (r < 0) {
        g_free(opener);
        return r;
    }
    opener->loop = loop;
    opener->timer.data = opener;
    g_queue_init(&opener->openings);
    *ret_opener = opener;
    return 0;
}

struct opening *opener_open(struct opener *opener, const char *path, opener_opened *opened,
                            void *owner)
{
    struct opening *opening = g_new0(struct opening, 1);
    opening->opener = opener;
    opening->path = g_strdup(path);
    opening->folder = g_path_get_dirname(path);
    opening->opened = opened;
    opening->owner = owner;
    opening->work.data = opening;
    uv_update_time(opener->loop);
    opening->deadline = uv_now(opener->loop) + OPENER_DEADLINE_MS;
    g_queue_push_tail(&opener->openings, opening);
    /* From the timer, so that no answer comes before this call has returned. */
    uv_timer_start(&opener->timer, timer_fired, 0, 0);
    return opening;
}

void opening_cancel(struct opening *opening)
{
    if (!opening)
        return;
    opening->opened = NULL;
    if (opening->running)
        uv_cancel((uv_req_t *)&opening->work); /* unless a thread has it already */
    else
        opening_free(opening);
}

const char *opener_error_text(int error)
{
    G_STATIC_ASSERT(OPENER_DEADLINE_MS == 8000);
    return error == -ETIMEDOUT ? "it did not open within 8 s; does its disk answer?"
                               : file_error_text(error);
}

static void timer_closed(uv_handle_t *handle)
{
    struct opener *opener = handle->data;
    opener->timer_closed = true;
    free_when_idle(opener);
}

void opener_close(struct opener *opener)
{
    if (!opener)
        return;
    opener->closing = true;
    GList *following;
    for (GList *item = opener->openings.head; item; item = following) {
        following = item->next;
        opening_cancel(item->data);
    }
    uv_close((uv_handle_t *)&opener->timer, timer_closed);
}
