/* The worker's end of its control socket, shared by all its threads.
 *
 * Who may wait and who may not differ: the thread that analyses a file waits for a slow parent
 * (that is its backpressure); nothing that is live does. What does not fit into the socket at
 * once is kept, up to LINK_PENDING_MAX messages; while any is kept the link is congested, and
 * live streams drop frames (and count them) instead of making more records. The last quarter is
 * kept for what another message does not make good: the beginning and the end of a detection,
 * answers, requests.
 *
 * Thread: any; link_create and link_destroy from the main thread. */
#ifndef PIPELINE_LINK_H
#define PIPELINE_LINK_H

#include <stdbool.h>

#include <gio/gio.h>

#include "record/channel.h"

#define LINK_PENDING_MAX 256

struct link;

/* fd: borrowed, made non-blocking. NULL without memory. */
struct link *link_create(int fd);
void link_destroy(struct link *link);

/* Never waits. 0, or -ENOBUFS (too many kept: this one is lost, and the caller counts it where
 * it is a record), -EPIPE (the parent is gone). */
int link_post(struct link *link, const struct message *message);

/* Waits until the parent has taken it. 0, or -EPIPE, -ECANCELED. */
int link_deliver(struct link *link, const struct message *message, GCancellable *cancel);

bool link_is_congested(struct link *link);

#endif
