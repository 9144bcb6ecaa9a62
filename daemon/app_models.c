/* What the API asks of models, answered by a one-shot worker. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>

static void reply_models_busy(struct api_request *request)
{
    api_request_reply_problem(request, 503, "models_busy",
                              "too many models are being inspected; ask again");
}

/* One answer made of one question per model. */
struct model_list {
    struct api_request *request;
    json_t *models;
    size_t missing;
    bool failed;
};

static void model_listed(void *data, json_t *model)
{
    struct model_list *list = data;
    if (!model || json_array_append(list->models, model) < 0)
        list->failed = true;
    if (--list->missing > 0)
        return;
    if (list->failed)
        reply_models_busy(list->request);
    else
        api_request_reply_json(list->request, 200, json_pack("{s:O}", "models", list->models));
    json_decref(list->models);
    g_free(list);
}

void app_list_models(void *owner, struct api_request *request)
{
    struct app *app = owner;
    struct model_list *list = g_new0(struct model_list, 1);
    list->request = request;
    list->models = json_array();
    list->missing = app->config->model_count;
    for (size_t i = 0; i < app->config->model_count; i++)
        if (models_ask(app->models, app->config->models[i].name, model_listed, list) < 0)
            model_listed(list, NULL);
}

static void model_inspected(void *data, json_t *model)
{
    struct api_request *request = data;
    if (model)
        api_request_reply_json(request, 200, json_incref(model));
    else
        reply_models_busy(request);
}

void app_get_model(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    int r = models_ask(app->models, name, model_inspected, request);
    if (r == -ENOENT)
        api_request_reply_problem(request, 404, "model_unknown",
                                  "there is no model %s; GET /api/v1/models lists them", name);
    else if (r < 0)
        reply_models_busy(request);
}
