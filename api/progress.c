#include "api/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

struct follower {
    struct api_sse sse;
    char job[RECORD_ID_SIZE];
    int64_t after; /* the last event asked for, -1: none yet */
    bool news;     /* there may be more than was asked for */
    bool over;     /* nothing follows what `events` holds */
    struct api_request *question;
    json_t *events; /* of the last answer; sent up to `taken` */
    size_t taken;
    char *text; /* of the one being sent */
};

static const struct api_sse_kind progress;

static struct follower *follower_of(struct api_sse *sse)
{
    return (struct follower *)sse;
}

static void take_events(void *arg, struct api_answer *answer)
{
    struct follower *follower = arg;
    struct api_sse *sse = &follower->sse;
    json_t *events = json_object_get(answer->json, "events");
    follower->question = NULL;
    if (answer->status != 200 || !json_is_array(events)) {
        if (sse->started)
            api_sse_end(sse);
        else if (answer->status == 404 && !sse->request->answered)
            api_request_reply_problem(sse->request, 404, "job_unknown",
                                      "there is no job %s; GET /api/v1/jobs lists them",
                                      follower->job);
        else
            api_sse_end(sse);
        return;
    }
    json_decref(follower->events);
    follower->events = json_incref(events);
    follower->taken = 0;
    follower->over = json_is_true(json_object_get(answer->json, "over"));
    size_t count = json_array_size(events);
    follower->news |= count >= API_PROGRESS_PAGE;
    if (count > 0)
        follower->after =
            json_integer_value(json_object_get(json_array_get(events, count - 1), "id"));
    if (sse->started)
        api_sse_wake(sse);
    else if (sse->request->answered)
        return; /* too late: with a 504 */
    else if (count == 0 && follower->over)
        api_request_reply_empty(sse->request, 204);
    else
        api_sse_start(sse);
}

static void ask(struct follower *follower)
{
    struct api_server *server = follower->sse.request->server;
    struct api_request *question = api_request_create(server);
    if (!question) {
        api_sse_end(&follower->sse);
        return;
    }
    follower->news = false;
    follower->question = question;
    question->on_answer = take_events;
    question->on_answer_arg = follower;
    api_request_hand_over(question);
    server->backend->job_events(server->app, question, follower->job, follower->after);
}

/* The event as it goes over the wire; NULL without memory. */
static char *format(const json_t *event, size_t *ret_size)
{
    char *data = json_dumps(json_object_get(event, "data"),
                            JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    char *text = NULL;
    int size = data ? asprintf(&text, "id: %lld\nevent: %s\ndata: %s\n\n",
                               (long long)json_integer_value(json_object_get(event, "id")),
                               json_string_value(json_object_get(event, "event")), data)
                    : -1;
    free(data);
    if (size < 0)
        return NULL;
    *ret_size = (size_t)size;
    return text;
}

static const char *next_text(struct api_sse *sse, size_t *ret_size)
{
    struct follower *follower = follower_of(sse);
    free(follower->text);
    follower->text = NULL;
    while (!sse->ended) {
        const json_t *event = json_array_get(follower->events, follower->taken);
        if (event) {
            follower->taken++;
            follower->text = format(event, ret_size);
            sse->ended = !follower->text;
            return follower->text;
        }
        if (follower->over)
            sse->ended = true;
        else if (follower->question || !follower->news)
            return NULL;
        else
            ask(follower);
    }
    return NULL;
}

static void leave(struct api_sse *sse)
{
    struct follower *follower = follower_of(sse);
    if (follower->question)
        follower->question->on_answer_arg = NULL;
    json_decref(follower->events);
    free(follower->text);
    free(follower);
}

static const struct api_sse_kind progress = {.next = next_text, .leave = leave};

void api_progress_follow(struct api_request *request)
{
    struct api_sse *sse = api_sse_create(request, &progress, sizeof(struct follower));
    if (!sse)
        return;
    struct follower *follower = follower_of(sse);
    snprintf(follower->job, sizeof follower->job, "%s", request->name);
    follower->after = request->query.last_event_id;
    ask(follower);
}

void api_progress_changed(struct api_server *server, const char *id)
{
    for (struct api_sse *sse = server->streams.first; sse; sse = sse->following) {
        struct follower *follower = follower_of(sse);
        if (sse->kind != &progress || strcmp(follower->job, id) != 0)
            continue;
        follower->news = true;
        api_sse_wake(sse);
    }
}
