/* Takes elements down without making anybody wait: setting a source to NULL may talk to a
 * camera that no longer answers, and may hang in a library.
 *
 * A hung thread cannot be ended, only its process can, and a worker is made to be killed: with
 * REAPER_STUCK_MAX elements still going down after REAPER_STUCK_S the process ends itself with
 * exit status 70, and its parent starts another.
 *
 * Thread: the main thread. */
#ifndef PIPELINE_REAPER_H
#define PIPELINE_REAPER_H

#include <gst/gst.h>

#define REAPER_STUCK_MAX 4
#define REAPER_STUCK_S   10

/* Takes the reference of element (no longer in any bin): NULL state, then unref, in a thread of
 * its own. done, which may be NULL, is called with user in the main thread afterwards. */
void reaper_take(GstElement *element, GSourceFunc done, gpointer user);

#endif
