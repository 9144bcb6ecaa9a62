#include "daemon/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct wish {
    char stream[RECORD_NAME_SIZE];
    int64_t request;
    int fd;
    uint64_t deadline;
    snapshots_done *done;
    void *data;
};

struct snapshots {
    uv_loop_t *loop;
    struct supervisor *sup;
    uv_timer_t *timer; /* apart: outlives us until its close callback */
    GQueue wishes;     /* in order of deadline */
    int64_t requests;
};

static void complete(struct snapshots *snapshots, struct wish *wish, unsigned char *jpeg,
                     size_t size, const char *problem)
{
    g_queue_remove(&snapshots->wishes, wish);
    close(wish->fd);
    wish->done(wish->data, jpeg, size, problem);
    g_free(wish);
}

static void timer_fired(uv_timer_t *timer);

static void arm(struct snapshots *snapshots)
{
    const struct wish *first = g_queue_peek_head(&snapshots->wishes);
    uint64_t now = uv_now(snapshots->loop);
    if (first)
        uv_timer_start(snapshots->timer, timer_fired,
                       first->deadline > now ? first->deadline - now : 0, 0);
    else
        uv_timer_stop(snapshots->timer);
}

static void timer_fired(uv_timer_t *timer)
{
    struct snapshots *snapshots = timer->data;
    struct wish *wish;
    while ((wish = g_queue_peek_head(&snapshots->wishes)) &&
           wish->deadline <= uv_now(snapshots->loop))
        complete(snapshots, wish, NULL, 0, "its worker did not give a picture in time");
    arm(snapshots);
}

int snapshots_create(uv_loop_t *loop, struct supervisor *sup, struct snapshots **ret_snapshots)
{
    struct snapshots *snapshots = g_new0(struct snapshots, 1);
    snapshots->timer = g_new0(uv_timer_t, 1);
    int r = uv_timer_init(loop, snapshots->timer);
    if (r < 0) {
        g_free(snapshots->timer);
        g_free(snapshots);
        return r;
    }
    snapshots->loop = loop;
    snapshots->sup = sup;
    snapshots->timer->data = snapshots;
    g_queue_init(&snapshots->wishes);
    *ret_snapshots = snapshots;
    return 0;
}

static int sealed_memory(void)
{
    int fd = memfd_create("vigil-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, SNAPSHOTS_SIZE_MAX) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

void snapshots_take(struct snapshots *snapshots, const char *stream, snapshots_done *done,
                    void *data)
{
    if (snapshots->wishes.length >= SNAPSHOTS_MAX) {
        done(data, NULL, 0, "too many pictures are being taken; ask again");
        return;
    }
    int fd = sealed_memory();
    if (fd < 0) {
        done(data, NULL, 0, "there is no memory for a picture");
        return;
    }
    int64_t request = ++snapshots->requests;
    int r = supervisor_snapshot(snapshots->sup, stream, request, fd);
    if (r < 0) {
        close(fd);
        done(data, NULL, 0,
             r == -ENOENT ? "no worker serves the stream now"
                          : "its worker does not take requests");
        return;
    }
    struct wish *wish = g_new0(struct wish, 1);
    g_strlcpy(wish->stream, stream, sizeof wish->stream);
    wish->request = request;
    wish->fd = fd;
    wish->deadline = uv_now(snapshots->loop) + SNAPSHOTS_DEADLINE_MS;
    wish->done = done;
    wish->data = data;
    g_queue_push_tail(&snapshots->wishes, wish);
    arm(snapshots);
}

/* A copy of the picture, NULL when it is none. */
static unsigned char *read_jpeg(int fd, int64_t size)
{
    if (size < 4 || size > SNAPSHOTS_SIZE_MAX)
        return NULL;
    unsigned char *jpeg = malloc((size_t)size);
    if (!jpeg)
        return NULL;
    if (pread(fd, jpeg, (size_t)size, 0) == size && jpeg[0] == 0xff && jpeg[1] == 0xd8 &&
        jpeg[2] == 0xff && jpeg[size - 2] == 0xff && jpeg[size - 1] == 0xd9)
        return jpeg;
    free(jpeg);
    return NULL;
}

void snapshots_answered(struct snapshots *snapshots, const char *stream,
                        const struct message_snapshot_done *answer)
{
    for (GList *item = snapshots->wishes.head; item; item = item->next) {
        struct wish *wish = item->data;
        if (wish->request != answer->request || strcmp(wish->stream, stream) != 0)
            continue;
        unsigned char *jpeg = read_jpeg(wish->fd, answer->size_bytes);
        const char *problem = NULL;
        if (!jpeg)
            problem = answer->size_bytes > 0 ? "its worker gave something that is no picture"
                      : *answer->detail      ? answer->detail
                                             : "none has come yet";
        complete(snapshots, wish, jpeg, jpeg ? (size_t)answer->size_bytes : 0, problem);
        arm(snapshots);
        return;
    }
}

static void fail_all(struct snapshots *snapshots, const char *stream, const char *problem)
{
    GList *following;
    for (GList *item = snapshots->wishes.head; item; item = following) {
        struct wish *wish = item->data;
        following = item->next;
        if (!stream || strcmp(wish->stream, stream) == 0)
            complete(snapshots, wish, NULL, 0, problem);
    }
}

void snapshots_worker_gone(struct snapshots *snapshots, const char *stream)
{
    fail_all(snapshots, stream, "its worker stopped meanwhile");
    arm(snapshots);
}

static void timer_closed(uv_handle_t *handle)
{
    g_free(handle);
}

void snapshots_destroy(struct snapshots *snapshots)
{
    if (!snapshots)
        return;
    fail_all(snapshots, NULL, "vigild is stopping");
    uv_close((uv_handle_t *)snapshots->timer, timer_closed);
    g_free(snapshots);
}
