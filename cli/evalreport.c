#include "cli/evalreport.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/figurespage.h"
#include "cli/reportfolder.h"
#include "cli/tensorboard.h"

static int write_string(const char *folder, const char *name, GString *text)
{
    int result = reportfolder_write(folder, name, text->str, text->len);
    g_string_free(text, TRUE);
    return result;
}

static int write_metrics(const char *folder, const struct figures *figures,
                         const struct figures_about *about)
{
    json_t *json = figures_json(figures, about);
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (!text)
        return cli_fail(CLI_INTERNAL, "no memory");
    int result = reportfolder_write(folder, REPORTFOLDER_METRICS, text, strlen(text));
    free(text);
    return result;
}

/* Of one step: several reports below one folder are lines of TensorBoard's charts. */
static GString *make_events(const struct figures *figures)
{
    const struct train_metrics *m = &figures->metrics;
    const struct tensorboard_scalar scalars[] = {
        {"eval/accuracy", m->accuracy},
        {"eval/macro_precision", m->macro_precision},
        {"eval/macro_recall", m->macro_recall},
        {"eval/macro_f1", m->macro_f1},
        {"eval/macro_auc", figures->macro_auc},
        {"eval/macro_ap", figures->macro_ap},
        {"eval/log_loss", m->log_loss},
        {"eval/brier", m->brier},
        {"eval/calibration_error", m->calibration_error},
    };
    double time = (double)g_get_real_time() / G_USEC_PER_SEC;
    GString *file = g_string_new(NULL);
    tensorboard_begin(file, time);
    tensorboard_add(file, time, 0, scalars, G_N_ELEMENTS(scalars));
    return file;
}

/* metrics.json is first: what is left of a report that was cut off is a report. */
int evalreport_write(const char *folder, const struct figures *figures,
                     const struct figures_about *about)
{
    int result = reportfolder_make(folder);
    if (result == CLI_OK)
        result = write_metrics(folder, figures, about);
    if (result == CLI_OK)
        result = write_string(folder, "curves.csv", figures_csv(figures));
    if (result == CLI_OK)
        result = write_string(folder, "report.html", figurespage_make(figures, about));
    return result == CLI_OK
               ? write_string(folder, REPORTFOLDER_EVAL_EVENTS, make_events(figures))
               : result;
}
