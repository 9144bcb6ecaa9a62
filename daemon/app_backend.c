/* How vigild does, and the table of all that the API asks (app_streams.c, app_detections.c,
 * app_models.c, app_jobs.c). */
#include "daemon/app_private.h"

#include <string.h>

void app_reply_stopping(struct api_request *request)
{
    api_request_reply_problem(request, 503, "stopping", "vigild is stopping; ask again later");
}

static void get_readiness(void *owner, struct api_request *request)
{
    struct app *app = owner;
    struct mailbox_stats store;
    struct supervisor_stats workers;
    mailbox_get_stats(app->mailbox, &store);
    supervisor_get_stats(app->supervisor, &workers);
    bool starting = workers.spawned > 0 && workers.warmup_seconds == 0 && workers.workers_start;
    /* A spare that does not start is no reason while every stream is served. */
    bool stuck = !workers.workers_start && workers.waiting > 0;
    bool degraded = *store.problem || stuck || app->phase != APP_RUNNING;
    const char *status = degraded ? "degraded" : starting ? "starting" : "ready";
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "status", status, "checks", "store",
                             *store.problem ? store.problem : "ok", "workers",
                             stuck      ? workers.start_problem
                             : starting ? "starting"
                                        : "ok");
    api_request_reply_json(request, strcmp(status, "ready") == 0 ? 200 : 503, body);
}

static void get_metrics(void *owner, struct api_request *request)
{
    char *text = app_metrics_text(owner);
    if (text)
        api_request_reply_data(request, 200, "text/plain; version=0.0.4; charset=utf-8", text,
                               strlen(text));
    else
        api_request_reply_json(request, 500, NULL);
}

const struct api_backend app_backend = {
    .list_streams = app_list_streams,
    .get_stream = app_get_stream,
    .put_stream = app_put_stream,
    .patch_stream = app_patch_stream,
    .delete_stream = app_delete_stream,
    .restart_stream = app_restart_stream,
    .get_snapshot = app_get_snapshot,
    .list_detections = app_list_detections,
    .summarize_detections = app_summarize_detections,
    .get_detection = app_get_detection,
    .records_after = app_records_after,
    .list_models = app_list_models,
    .get_model = app_get_model,
    .get_model_card = app_get_model_card,
    .list_jobs = app_list_jobs,
    .post_job = app_post_job,
    .get_job = app_get_job,
    .delete_job = app_delete_job,
    .job_events = app_job_events,
    .get_readiness = get_readiness,
    .get_metrics = get_metrics,
};
