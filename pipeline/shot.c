#include "pipeline/shot.h"

#include <errno.h>
#include <unistd.h>

static gint encoding; /* atomic: pictures of all streams, at most SHOT_MAX */
static guint rest;    /* the main thread's: the timer that gives the encoder back, 0 none */

/* One picture being encoded; it does not need its stream any more. */
struct shot {
    struct link *link;
    struct message answer;
    GstSample *sample;
    int fd;
};

static void finish_shot(struct shot *shot)
{
    link_post(shot->link, &shot->answer);
    if (shot->sample)
        gst_sample_unref(shot->sample);
    close(shot->fd);
    g_free(shot);
}

static gpointer take_shot(gpointer user)
{
    struct shot *shot = user;
    struct message_snapshot_done *done = &shot->answer.snapshot_done;
    int64_t r = snapshot_write(shot->sample, shot->fd);
    if (r > 0) {
        done->size_bytes = r;
        GstClockTime pts = GST_BUFFER_PTS(gst_sample_get_buffer(shot->sample));
        done->pts_ns = GST_CLOCK_TIME_IS_VALID(pts) ? (int64_t)pts : 0;
    } else {
        g_strlcpy(done->detail,
                  r == -EFBIG ? "the picture is too large" : "the picture cannot be encoded",
                  sizeof done->detail);
    }
    /* Before the answer: who has it may ask again at once. */
    g_atomic_int_dec_and_test(&encoding);
    finish_shot(shot);
    return NULL;
}

static gboolean on_rest(gpointer user)
{
    (void)user;
    if (g_atomic_int_get(&encoding) > 0)
        return G_SOURCE_CONTINUE; /* it would be kept once more */
    rest = 0;
    snapshot_rest();
    return G_SOURCE_REMOVE;
}

static void put_off_rest(void)
{
    if (rest)
        g_source_remove(rest);
    rest = g_timeout_add_seconds(SHOT_REST_S, on_rest, NULL);
}

/* NULL, or why not; the shot is its thread's on success only. Called in the main thread. */
static const char *start_shot(struct shot *shot)
{
    if (!shot->sample)
        return "none has come yet";
    if (g_atomic_int_get(&encoding) >= SHOT_MAX)
        return "other pictures are being encoded: ask again";
    g_atomic_int_inc(&encoding);
    GThread *thread = g_thread_try_new("snapshot", take_shot, shot, NULL);
    if (!thread) {
        g_atomic_int_dec_and_test(&encoding);
        return "there is no thread to encode the picture";
    }
    g_thread_unref(thread);
    put_off_rest();
    return NULL;
}

void shot_take(struct link *link, const char *stream, int64_t request, GstSample *sample,
               int fd)
{
    struct shot *shot = g_new0(struct shot, 1);
    shot->link = link;
    shot->answer.type = MESSAGE_SNAPSHOT_DONE;
    shot->answer.snapshot_done.request = request;
    g_strlcpy(shot->answer.snapshot_done.stream, stream,
              sizeof shot->answer.snapshot_done.stream);
    shot->fd = fd;
    shot->sample = sample;
    const char *why_not = start_shot(shot);
    if (!why_not)
        return;
    g_strlcpy(shot->answer.snapshot_done.detail, why_not,
              sizeof shot->answer.snapshot_done.detail);
    finish_shot(shot);
}
