#include "api/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/embedded.h"
#include "api/internal.h"

/* A picture as it goes over the wire: head, JPEG and the boundary after it, which makes a
 * browser show it at once rather than when the next one comes. */
struct picture {
    unsigned references;
    size_t size;
    char bytes[];
};

struct api_channel {
    struct api_server *server;
    struct api_channel *prev, *next;
    char stream[RECORD_NAME_SIZE];
    struct api_viewer *viewers;
    int viewer_count;
    int fps;               /* of its fastest viewer */
    struct api_timer pace; /* until the next picture is asked for */
    struct api_request *question;
    struct picture *picture; /* the newest; NULL before the first answer */
    uint64_t number;         /* of it */
    bool dark;               /* it says that there is none */
    int64_t seen_ms;         /* when there last was a real one */
};

struct api_viewer {
    struct api_request *request;
    struct api_channel *channel;
    struct api_viewer *prev, *next;
    int fps;
    int64_t due_ms;          /* no new picture before */
    uint64_t number;         /* of the picture sent last */
    struct picture *picture; /* being sent; NULL for the preamble */
    const char *bytes;       /* what is being sent; NULL: nothing */
    size_t size, sent;
    char preamble[API_LIVE_BOUNDARY_SIZE + 4];
    bool started; /* its answer has begun */
    bool waiting; /* suspended until there is a picture for it */
    bool ended;
};

/* --- pictures --------------------------------------------------------------------------- */

static struct picture *picture_create(const struct api_live *live, const void *jpeg,
                                      size_t size)
{
    char head[96], tail[API_LIVE_BOUNDARY_SIZE + 8];
    int head_size = snprintf(head, sizeof head,
                             "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", size);
    int tail_size = snprintf(tail, sizeof tail, "\r\n--%s\r\n", live->boundary);
    size_t whole = (size_t)head_size + size + (size_t)tail_size;
    struct picture *picture = malloc(sizeof *picture + whole);
    if (!picture)
        return NULL;
    picture->references = 1;
    picture->size = whole;
    memcpy(picture->bytes, head, (size_t)head_size);
    memcpy(picture->bytes + head_size, jpeg, size);
    memcpy(picture->bytes + (size_t)head_size + size, tail, (size_t)tail_size);
    return picture;
}

static void picture_release(struct picture *picture)
{
    if (picture && --picture->references == 0)
        free(picture);
}

/* --- viewers ---------------------------------------------------------------------------- */

static void wake(struct api_viewer *viewer)
{
    if (!viewer->waiting)
        return;
    struct api_connection *connection = viewer->request->connection;
    viewer->waiting = false;
    api_timers_start(&connection->server->deadlines, &connection->deadline);
    MHD_resume_connection(connection->mhd);
}

static bool wants_picture(const struct api_viewer *viewer, int64_t now_ms)
{
    const struct api_channel *channel = viewer->channel;
    return channel->picture && channel->number != viewer->number && now_ms >= viewer->due_ms;
}

/* The next bytes to send. False when the viewer must wait or has ended. */
static bool next_bytes(struct api_viewer *viewer)
{
    struct api_channel *channel = viewer->channel;
    int64_t now_ms = api_timers_now();
    picture_release(viewer->picture);
    viewer->picture = NULL;
    if (viewer->ended || !wants_picture(viewer, now_ms))
        return false;
    viewer->picture = channel->picture;
    viewer->picture->references++;
    viewer->number = channel->number;
    /* The channel's beat is not to the millisecond. */
    viewer->due_ms = now_ms + 1000 / viewer->fps - 500 / channel->fps;
    viewer->bytes = viewer->picture->bytes;
    viewer->size = viewer->picture->size;
    viewer->sent = 0;
    return true;
}

/* Called by libmicrohttpd when the kernel has taken all that was returned before. */
static ssize_t read_pictures(void *cls, uint64_t offset, char *buffer, size_t size)
{
    (void)offset;
    struct api_viewer *viewer = cls;
    struct api_connection *connection = viewer->request->connection;
    if (viewer->bytes || next_bytes(viewer)) {
        size_t part = viewer->size - viewer->sent;
        if (part > size)
            part = size;
        memcpy(buffer, viewer->bytes + viewer->sent, part);
        viewer->sent += part;
        if (viewer->sent == viewer->size)
            viewer->bytes = NULL;
        api_timers_start(&connection->server->deadlines, &connection->deadline);
        return (ssize_t)part;
    }
    if (viewer->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    api_timers_stop(&connection->deadline);
    viewer->waiting = true;
    MHD_suspend_connection(connection->mhd);
    return 0;
}

static struct MHD_Response *create_response(const struct api_server *server,
                                            struct api_viewer *viewer, bool head)
{
    char type[96];
    snprintf(type, sizeof type, "multipart/x-mixed-replace; boundary=%s",
             server->live.boundary);
    if (head)
        return api_response_create(server, 200, type, NULL, 0);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_pictures, viewer, NULL);
    if (response && api_response_add_headers(server, 200, type, response) < 0) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

static void start(struct api_viewer *viewer)
{
    struct api_request *request = viewer->request;
    if (viewer->started || request->answered)
        return;
    viewer->started = true;
    viewer->ended = viewer->ended || request->connection->hung_up.timers;
    api_request_reply_response(request, 200,
                               create_response(request->server, viewer, request->head));
}

static void end(struct api_viewer *viewer)
{
    viewer->ended = true;
    if (viewer->started)
        wake(viewer);
    else if (!viewer->request->answered)
        api_request_reply_problem(viewer->request, 503, "stopping",
                                  "vigild is stopping; ask again later");
}

void api_live_hang_up(struct api_viewer *viewer)
{
    if (viewer->started)
        end(viewer);
}

/* --- channels --------------------------------------------------------------------------- */

static void stream_gone(struct api_channel *channel)
{
    struct api_viewer *following;
    for (struct api_viewer *viewer = channel->viewers; viewer; viewer = following) {
        following = viewer->next;
        if (viewer->started || viewer->request->answered)
            end(viewer);
        else
            api_request_reply_problem(viewer->request, 404, "stream_unknown",
                                      "there is no stream %s; GET /api/v1/streams lists them",
                                      channel->stream);
    }
}

/* Takes the picture; NULL: no memory, the one before stays. */
static void show(struct api_channel *channel, struct picture *picture)
{
    if (!picture)
        return;
    picture_release(channel->picture);
    channel->picture = picture;
    channel->number++;
    int64_t now_ms = api_timers_now();
    for (struct api_viewer *viewer = channel->viewers; viewer; viewer = viewer->next) {
        start(viewer);
        if (wants_picture(viewer, now_ms))
            wake(viewer);
    }
}

static void take_picture(void *arg, struct api_answer *answer)
{
    struct api_channel *channel = arg;
    struct api_live *live = &channel->server->live;
    int64_t now_ms = api_timers_now();
    channel->question = NULL;
    if (answer->status == 404) {
        stream_gone(channel);
    } else if (answer->status == 200 && answer->data) {
        live->pictures++;
        channel->dark = false;
        channel->seen_ms = now_ms;
        show(channel, picture_create(live, answer->data, answer->size));
    } else if (!channel->picture ||
               (!channel->dark && now_ms - channel->seen_ms >= API_LIVE_DARK_MS)) {
        channel->dark = true;
        show(channel, picture_create(live, api_no_picture, api_no_picture_size));
    }
}

/* A backend that is slower than the pace is asked at every second beat, or third. */
static void ask(struct api_channel *channel)
{
    struct api_server *server = channel->server;
    api_timers_start(&server->live.paces[channel->fps - 1], &channel->pace);
    if (channel->question)
        return;
    struct api_request *question = api_request_create(server);
    if (!question)
        return;
    question->on_answer = take_picture;
    question->on_answer_arg = channel;
    channel->question = question;
    api_request_hand_over(question);
    server->backend->get_snapshot(server->app, question, channel->stream);
}

static struct api_channel *find_channel(const struct api_live *live, const char *stream)
{
    struct api_channel *channel = live->channels;
    while (channel && strcmp(channel->stream, stream) != 0)
        channel = channel->next;
    return channel;
}

static struct api_channel *create_channel(struct api_server *server, const char *stream)
{
    struct api_channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->server = server;
    channel->pace.owner = channel;
    snprintf(channel->stream, sizeof channel->stream, "%s", stream);
    channel->next = server->live.channels;
    if (channel->next)
        channel->next->prev = channel;
    server->live.channels = channel;
    return channel;
}

static void destroy_channel(struct api_channel *channel)
{
    if (channel->prev)
        channel->prev->next = channel->next;
    else
        channel->server->live.channels = channel->next;
    if (channel->next)
        channel->next->prev = channel->prev;
    api_timers_stop(&channel->pace);
    if (channel->question)
        channel->question->on_answer_arg = NULL;
    picture_release(channel->picture);
    free(channel);
}

static void set_pace(struct api_channel *channel)
{
    channel->fps = 1;
    for (const struct api_viewer *viewer = channel->viewers; viewer; viewer = viewer->next) {
        if (viewer->fps > channel->fps)
            channel->fps = viewer->fps;
    }
}

/* --- coming and going ------------------------------------------------------------------- */

static void add_viewer(struct api_viewer *viewer, struct api_channel *channel)
{
    viewer->channel = channel;
    viewer->next = channel->viewers;
    if (viewer->next)
        viewer->next->prev = viewer;
    channel->viewers = viewer;
    channel->viewer_count++;
    channel->server->live.viewer_count++;
    set_pace(channel);
}

void api_live_view(struct api_request *request)
{
    struct api_server *server = request->server;
    struct api_channel *channel = find_channel(&server->live, request->name);
    if (server->draining) {
        api_request_reply_problem(request, 503, "stopping",
                                  "vigild is stopping; ask again later");
        return;
    }
    if (server->live.viewer_count >= API_LIVE_VIEWERS_MAX ||
        (channel && channel->viewer_count >= API_LIVE_STREAM_VIEWERS_MAX)) {
        api_request_reply_problem(request, 503, "viewers_full",
                                  "there are as many viewers as there may be: %d, and %d of "
                                  "one stream; snapshot.jpg is still there",
                                  API_LIVE_VIEWERS_MAX, API_LIVE_STREAM_VIEWERS_MAX);
        return;
    }
    struct api_viewer *viewer = calloc(1, sizeof *viewer);
    if (viewer && !channel)
        channel = create_channel(server, request->name);
    if (!viewer || !channel) {
        free(viewer);
        api_request_reply_problem(request, 500, "no_memory", "no memory for a viewer");
        return;
    }
    /* No one but us completes it, and not before the backend has shown that the stream is. */
    api_request_take_back(request);
    request->viewer = viewer;
    viewer->request = request;
    viewer->fps = request->query.fps;
    viewer->bytes = viewer->preamble;
    viewer->size = (size_t)snprintf(viewer->preamble, sizeof viewer->preamble, "--%s\r\n",
                                    server->live.boundary);
    int fps = channel->fps;
    add_viewer(viewer, channel);
    if (channel->picture)
        start(viewer);
    if (channel->fps != fps)
        ask(channel);
}

void api_live_leave(struct api_viewer *viewer)
{
    struct api_channel *channel = viewer->channel;
    if (viewer->prev)
        viewer->prev->next = viewer->next;
    else
        channel->viewers = viewer->next;
    if (viewer->next)
        viewer->next->prev = viewer->prev;
    channel->viewer_count--;
    channel->server->live.viewer_count--;
    picture_release(viewer->picture);
    free(viewer);
    if (channel->viewers)
        set_pace(channel);
    else
        destroy_channel(channel);
}

/* --- all of them ------------------------------------------------------------------------ */

int api_live_init(struct api_live *live)
{
    uint8_t random[(API_LIVE_BOUNDARY_SIZE - 1) / 2];
    memset(live, 0, sizeof *live);
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -EIO;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(live->boundary + 2 * i, 3, "%02x", random[i]);
    for (int i = 0; i < API_LIVE_FPS_MAX; i++)
        live->paces[i].run_ms = 1000 / (i + 1);
    return 0;
}

void api_live_tick(struct api_live *live, int64_t now_ms)
{
    for (int i = 0; i < API_LIVE_FPS_MAX; i++) {
        struct api_timer *timer;
        while ((timer = api_timers_take_due(&live->paces[i], now_ms)))
            ask(timer->owner);
    }
}

int api_live_wait_ms(const struct api_live *live, int64_t now_ms)
{
    int least = -1;
    for (int i = 0; i < API_LIVE_FPS_MAX; i++) {
        int wait = api_timers_wait_ms(&live->paces[i], now_ms);
        if (wait >= 0 && (least < 0 || wait < least))
            least = wait;
    }
    return least;
}

void api_live_end(struct api_live *live)
{
    for (struct api_channel *channel = live->channels; channel; channel = channel->next) {
        for (struct api_viewer *viewer = channel->viewers; viewer; viewer = viewer->next)
            end(viewer);
    }
}
