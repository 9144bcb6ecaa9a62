/* What the files app*.c share. */
#ifndef DAEMON_APP_PRIVATE_H
#define DAEMON_APP_PRIVATE_H

#include <glib.h>

#include "api/progress.h"
#include "api/server.h"
#include "daemon/app.h"
#include "daemon/detections.h"
#include "daemon/http.h"
#include "daemon/jobs/jobs.h"
#include "daemon/mailbox.h"
#include "daemon/models/models.h"
#include "daemon/models/opener.h"
#include "daemon/models/packs.h"
#include "daemon/queries.h"
#include "daemon/resolver.h"
#include "daemon/snapshots.h"
#include "daemon/streams.h"
#include "daemon/workers/supervisor.h"

#define APP_STREAMS_MAX CONFIG_STREAMS_MAX

enum app_phase {
    APP_RUNNING,
    APP_STOPPING_WORKERS,
    APP_CLOSING_STORE,
    APP_DRAINING,
    APP_STOPPED
};

struct app {
    struct app_options options;
    struct config *config; /* a reload changes it, between two turns of the loop */
    uv_loop_t *loop;
    enum app_phase phase;
    struct streams *streams;
    struct detections *detections;
    struct mailbox *mailbox;
    struct queries *queries;
    struct supervisor *supervisor;
    struct resolver *resolver;
    struct snapshots *snapshots;
    struct opener *opener;
    struct models *models;
    struct packs *packs;
    struct jobs *jobs;
    struct api_server *server;
    struct http *http;
    uv_timer_t *tick; /* apart: outlives us until its close callback */
    uv_prepare_t *finisher;
    bool store_closed;
    int parts_running;     /* while stopping */
    char status_line[512]; /* as it was last told */
    GQueue changes;        /* of streams, under way and waiting: app_streams.c */
    int64_t records_over_rate, records_refused;
    struct app_reload *reload; /* running; NULL: none is */
    bool reload_again;         /* asked for once more meanwhile */
    bool reload_failed;        /* the last one */
    int64_t reloads_taken, reloads_refused;
};

/* app_backend.c: what the API asks, as one table. */
extern const struct api_backend app_backend;
void app_reply_stopping(struct api_request *request);

/* Rows of that table, as api/backend.h describes them. */

/* app_streams.c */
void app_list_streams(void *owner, struct api_request *request);
void app_get_stream(void *owner, struct api_request *request, const char *name);
void app_put_stream(void *owner, struct api_request *request, const char *name,
                    const json_t *body);
void app_patch_stream(void *owner, struct api_request *request, const char *name,
                      const json_t *patch);
void app_delete_stream(void *owner, struct api_request *request, const char *name);
void app_restart_stream(void *owner, struct api_request *request, const char *name);
/* Not of that table. Goes on with changes that wait to hear whether their model can be used:
 * packs_get may know. */
void app_try_models(struct app *app);
/* Ends them: packs_ready is not called any more. */
void app_stop_changes(struct app *app);
void app_get_snapshot(void *owner, struct api_request *request, const char *name);

/* app_detections.c */
void app_list_detections(void *owner, struct api_request *request,
                         const struct record_query *filter);
void app_summarize_detections(void *owner, struct api_request *request,
                              const struct record_query *filter, unsigned by);
void app_get_detection(void *owner, struct api_request *request, const char *id);
void app_records_after(void *owner, struct api_request *request, int64_t after, int limit);

/* app_models.c */
void app_list_models(void *owner, struct api_request *request);
void app_get_model(void *owner, struct api_request *request, const char *name);
void app_get_model_card(void *owner, struct api_request *request, const char *name);

/* app_jobs.c */
void app_list_jobs(void *owner, struct api_request *request);
void app_post_job(void *owner, struct api_request *request, const json_t *body);
void app_get_job(void *owner, struct api_request *request, const char *id);
void app_delete_job(void *owner, struct api_request *request, const char *id);
void app_job_events(void *owner, struct api_request *request, const char *id, int64_t after);
/* Not of that table: who follows the job is to look again. */
void app_job_changed(void *owner, const char *id);

/* app_metrics.c: Prometheus' text format, malloc; NULL without memory. */
char *app_metrics_text(struct app *app);

/* app_reload.c: the streams of the start. */
void app_load_streams(struct app *app);
/* Ends a reload early; app->reload is NULL once it is over. */
void app_stop_reload(struct app *app);

/* app_metrics_streams.c: the families that are of streams. */
void app_metrics_streams(struct app *app, GString *out);

/* app.c: makes the worker follow the entry's configuration. */
void app_apply_stream(struct app *app, const struct stream_entry *entry);

/* app.c: tells the writer how long the store and each stream keep detections. */
void app_apply_retention(struct app *app);

#endif
