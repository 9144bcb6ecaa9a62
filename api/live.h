/* Live pictures: a stream's latest picture again and again, as one answer without end
 * (multipart/x-mixed-replace, what <img> shows as a moving picture).
 *
 * All viewers of a stream share one channel. It asks the backend for one picture at the pace of
 * its fastest viewer and gives the same bytes to each, at most at that viewer's own pace. A
 * viewer that is still being sent a picture misses those that come meanwhile; one that takes
 * nothing for the server's deadline is closed. While there is no picture viewers see one that
 * says so, since the last real one would look as if it were now. A channel ends with its last
 * viewer, and ends its viewers when the stream is gone.
 *
 * The boundary between pictures is random, since a worker that was taken over writes the
 * pictures and must not be able to end one and begin something else.
 *
 * Thread: the server's. */
#ifndef API_LIVE_H
#define API_LIVE_H

#include "api/timers.h"

/* In all, and of one stream: each picture is encoded once for all, but sent to each. */
#define API_LIVE_VIEWERS_MAX        12
#define API_LIVE_STREAM_VIEWERS_MAX 8
#define API_LIVE_FPS_MAX            5
#define API_LIVE_FPS_DEFAULT        2
#define API_LIVE_DARK_MS            3000 /* without a picture until viewers are told */
#define API_LIVE_BOUNDARY_SIZE      33

struct api_channel;
struct api_request;
struct api_viewer;

struct api_live {
    struct api_channel *channels;
    int viewer_count;
    int64_t pictures;                          /* asked of the backend and got */
    struct api_timers paces[API_LIVE_FPS_MAX]; /* of channels, by pictures a second - 1 */
    char boundary[API_LIVE_BOUNDARY_SIZE];
};

/* 0 or -errno: no random numbers. */
int api_live_init(struct api_live *live);

/* Completes a GET .../live.mjpeg: with pictures until either side ends it, or a problem. */
void api_live_view(struct api_request *request);

/* The viewer's connection has finished with it: frees it. */
void api_live_leave(struct api_viewer *viewer);

/* The client has closed its end. */
void api_live_hang_up(struct api_viewer *viewer);

/* Asks for the pictures that are due. */
void api_live_tick(struct api_live *live, int64_t now_ms);

/* Milliseconds until the next is due, -1: none. */
int api_live_wait_ms(const struct api_live *live, int64_t now_ms);

/* Ends every viewer's answer. */
void api_live_end(struct api_live *live);

#endif
