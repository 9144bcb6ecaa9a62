/* What the API asks of models, answered by a one-shot worker, or with the card beside the
 * file. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "record/file.h"

#define CARD_MAX (256 * 1024) /* bytes */

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

/* What is shown is all there is, so its own hash is its tag. */
static bool check_content(struct api_request *request, const char *data, size_t size)
{
    g_autofree char *hash =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, size);
    hash[32] = '\0';
    if (!api_request_check_etag(request, hash))
        return false;
    api_request_set_etag(request, hash);
    return true;
}

static void model_inspected(void *data, json_t *model)
{
    struct api_request *request = data;
    char *text = model ? json_dumps(model, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    if (!model)
        reply_models_busy(request);
    else if (!text)
        api_request_reply_json(request, 500, NULL);
    else if (check_content(request, text, strlen(text)))
        api_request_reply_json(request, 200, json_incref(model));
    free(text);
}

static void reply_unknown_model(struct api_request *request, const char *name)
{
    api_request_reply_problem(request, 404, "model_unknown",
                              "there is no model %s; GET /api/v1/models lists them", name);
}

void app_get_model(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    int r = models_ask(app->models, name, model_inspected, request);
    if (r == -ENOENT)
        reply_unknown_model(request, name);
    else if (r < 0)
        reply_models_busy(request);
}

/* --- cards -------------------------------------------------------------------------------- */

/* A file read in the pool, since the disk may be slow. */
struct card {
    uv_work_t work;
    struct api_request *request;
    char model[RECORD_NAME_SIZE];
    char *path;
    int result;
    char *text;
    size_t size;
};

static void read_card(uv_work_t *work)
{
    struct card *card = work->data;
    card->result = file_read_path(card->path, CARD_MAX, &card->text, &card->size);
    if (card->result == 0 && !g_utf8_validate(card->text, (gssize)card->size, NULL))
        card->result = -EILSEQ;
}

static void card_read(uv_work_t *work, int status)
{
    struct card *card = work->data;
    int result = status < 0 ? status : card->result;
    if (result == -ENOENT)
        api_request_reply_problem(card->request, 404, "card_unknown",
                                  "nothing is written about model %s: there is no file of its "
                                  "name ending in .md beside it",
                                  card->model);
    else if (result < 0)
        api_request_reply_problem(
            card->request, 404, "card_unknown",
            "what is written about model %s cannot be shown: %s", card->model,
            result == -EILSEQ ? "it is not UTF-8" : file_error_text(result));
    else if (check_content(card->request, card->text, card->size))
        api_request_reply_data(card->request, 200, "text/markdown; charset=utf-8",
                               g_steal_pointer(&card->text), card->size);
    free(card->text);
    g_free(card->path);
    g_free(card);
}

void app_get_model_card(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    const struct config_model *model = config_find_model(app->config, name);
    if (!model) {
        reply_unknown_model(request, name);
        return;
    }
    if (app->phase != APP_RUNNING) {
        app_reply_stopping(request);
        return;
    }
    struct card *card = g_new0(struct card, 1);
    const char *dot = strrchr(model->path, '.');
    size_t stem = dot && !strchr(dot, '/') ? (size_t)(dot - model->path) : strlen(model->path);
    card->work.data = card;
    card->request = request;
    g_strlcpy(card->model, name, sizeof card->model);
    card->path = g_strdup_printf("%.*s.md", (int)stem, model->path);
    uv_queue_work(app->loop, &card->work, read_card, card_read);
}
