/* What the API asks of jobs. The disk is looked at by a thread of the pool. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>

struct post {
    uv_work_t work;
    struct app *app;
    struct api_request *request;
    struct jobs_request job;
    char *data_folder, *model_folder;
    struct jobs_error err;
    int result;
};

static void post_free(struct post *post)
{
    g_free(post->data_folder);
    g_free(post->model_folder);
    g_free(post);
}

static void reply_unknown(struct api_request *request, const char *id)
{
    api_request_reply_problem(request, 404, "job_unknown",
                              "there is no job %s; GET /api/v1/jobs lists them", id);
}

static void job_added(void *data, const struct job *job, const char *problem)
{
    struct post *post = data;
    if (job)
        api_request_reply_json(post->request, 202, job_to_json(job));
    else
        api_request_reply_problem(post->request, 503, "store_failed",
                                  "the store did not take the job: %s", problem);
    post_free(post);
}

static void reply_refused(struct post *post, int result)
{
    const char *text = post->err.text;
    if (result == -ENOBUFS)
        api_request_reply_problem(post->request, 503, "jobs_full", "%s; ask again later", text);
    else if (result == -EBUSY)
        api_request_reply_problem(post->request, 409, "job_conflict", "%s", text);
    else if (result == -ENOENT)
        api_request_reply_problem(post->request, 422, "job_file_unknown", "%s", text);
    else if (result == -EEXIST)
        api_request_reply_problem(post->request, 409, "model_exists", "%s", text);
    else
        api_request_reply_problem(post->request, 422, "job_invalid", "%s", text);
    post_free(post);
}

static void look(uv_work_t *work)
{
    struct post *post = work->data;
    post->result =
        jobs_request_check(&post->job, post->data_folder, post->model_folder, &post->err);
}

static void looked(uv_work_t *work, int status)
{
    struct post *post = work->data;
    struct app *app = post->app;
    int r = status < 0 ? status : post->result;
    if (app->phase != APP_RUNNING) {
        app_reply_stopping(post->request);
        post_free(post);
        return;
    }
    if (r == 0)
        r = jobs_add(app->jobs, &post->job, job_added, post, &post->err);
    if (r < 0)
        reply_refused(post, r);
}

void app_post_job(void *owner, struct api_request *request, const json_t *body)
{
    struct app *app = owner;
    struct post *post = g_new0(struct post, 1);
    post->app = app;
    post->request = request;
    post->work.data = post;
    if (app->phase != APP_RUNNING) {
        app_reply_stopping(request);
        post_free(post);
        return;
    }
    if (!app->config->jobs_data || !app->config->jobs_models) {
        api_request_reply_problem(request, 409, "jobs_off",
                                  "there are no jobs: name their folders in the configuration, "
                                  "[jobs] data and models");
        post_free(post);
        return;
    }
    int r = jobs_request_from_json(body, &post->job, &post->err);
    if (r < 0) {
        reply_refused(post, r);
        return;
    }
    post->data_folder = g_strdup(app->config->jobs_data);
    post->model_folder = g_strdup(app->config->jobs_models);
    uv_queue_work(app->loop, &post->work, look, looked);
}

void app_list_jobs(void *owner, struct api_request *request)
{
    struct app *app = owner;
    api_request_reply_json(request, 200, json_pack("{s:o}", "jobs", jobs_to_json(app->jobs)));
}

void app_get_job(void *owner, struct api_request *request, const char *id)
{
    struct app *app = owner;
    const struct job *job = jobs_find(app->jobs, id);
    if (job)
        api_request_reply_json(request, 200, job_to_json(job));
    else
        reply_unknown(request, id);
}

void app_delete_job(void *owner, struct api_request *request, const char *id)
{
    struct app *app = owner;
    const struct job *job = jobs_find(app->jobs, id);
    if (app->phase != APP_RUNNING)
        app_reply_stopping(request);
    else if (!job)
        reply_unknown(request, id);
    else if (jobs_remove(app->jobs, job))
        api_request_reply_json(request, 202, job_to_json(job));
    else
        api_request_reply_empty(request, 204);
}

void app_job_events(void *owner, struct api_request *request, const char *id, int64_t after)
{
    struct app *app = owner;
    json_t *events = jobs_events(app->jobs, id, after, API_PROGRESS_PAGE);
    if (events)
        api_request_reply_json(request, 200, events);
    else
        reply_unknown(request, id);
}

void app_job_changed(void *owner, const char *id)
{
    struct app *app = owner;
    if (app->server)
        api_server_job_changed(app->server, id);
}
