#include "pipeline/reaper.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

static GSList *going; /* of struct job, the main thread's */

struct job {
    GstElement *element;
    GSourceFunc done;
    gpointer user;
    gint64 since;
};

static gboolean on_gone(gpointer data)
{
    struct job *job = data;
    going = g_slist_remove(going, job);
    if (job->done)
        job->done(job->user);
    g_free(job);
    return G_SOURCE_REMOVE;
}

static gpointer take_down(gpointer data)
{
    struct job *job = data;
    gst_element_set_state(job->element, GST_STATE_NULL);
    gst_object_unref(job->element);
    /* Each source has threads of its own, and so another of malloc's arenas than the last one:
     * all of them would keep the pictures of one source. Half a millisecond. */
    malloc_trim(0);
    g_idle_add(on_gone, job);
    return NULL;
}

static void give_up_if_stuck(void)
{
    guint stuck = 0;
    gint64 limit = g_get_monotonic_time() - REAPER_STUCK_S * G_TIME_SPAN_SECOND;
    for (GSList *item = going; item; item = item->next)
        stuck += ((struct job *)item->data)->since < limit;
    if (stuck >= REAPER_STUCK_MAX) {
        fprintf(stderr, "worker: %u sources hang while they are taken down\n", stuck);
        _exit(70);
    }
}

void reaper_take(GstElement *element, GSourceFunc done, gpointer user)
{
    give_up_if_stuck();
    struct job *job = g_new0(struct job, 1);
    *job = (struct job){element, done, user, g_get_monotonic_time()};
    going = g_slist_prepend(going, job);
    g_thread_unref(g_thread_new("reaper", take_down, job));
}
