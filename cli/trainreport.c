#include "cli/trainreport.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include <glib.h>

#include "cli/cli.h"
#include "cli/reportfolder.h"
#include "cli/tensorboard.h"

struct trainreport {
    char *path;
    int fd;
};

/* Files sort by the epochs that are behind them: so TensorBoard reads them one after the other. */
static char *file_name(int epochs)
{
    return g_strdup_printf(REPORTFOLDER_EVENTS "%010d" REPORTFOLDER_TRAIN_EVENTS, epochs);
}

static int forget(const char *folder, const char *from)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (g_str_has_prefix(name, REPORTFOLDER_EVENTS) &&
            g_str_has_suffix(name, REPORTFOLDER_TRAIN_EVENTS) && g_strcmp0(name, from) >= 0 &&
            unlink(path) < 0)
            return cli_fail(CLI_NO_INPUT, "cannot remove %s: %s", path, g_strerror(errno));
    }
    return CLI_OK;
}

/* At once: who watches reads what is there. */
static int append(const struct trainreport *report, GString *text)
{
    gsize done = 0;
    ssize_t count = 0;
    while (done < text->len && count >= 0) {
        count = write(report->fd, text->str + done, text->len - done);
        done += count > 0 ? (gsize)count : 0;
        if (count < 0 && errno == EINTR)
            count = 0;
    }
    int error = errno;
    g_string_free(text, TRUE);
    return count >= 0
               ? CLI_OK
               : cli_fail(CLI_NO_INPUT, "cannot write %s: %s", report->path, g_strerror(error));
}

static double now(void)
{
    return (double)g_get_real_time() / G_USEC_PER_SEC;
}

int trainreport_open(const char *folder, int epochs, struct trainreport **ret_report)
{
    g_autofree char *name = file_name(epochs);
    int result = reportfolder_make(folder);
    if (result == CLI_OK)
        result = forget(folder, name);
    if (result != CLI_OK)
        return result;
    struct trainreport *report = g_new0(struct trainreport, 1);
    report->path = g_build_filename(folder, name, NULL);
    report->fd = open(report->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (report->fd < 0) {
        result = cli_fail(CLI_NO_INPUT, "cannot write %s: %s", report->path, g_strerror(errno));
    } else {
        GString *text = g_string_new(NULL);
        tensorboard_begin(text, now());
        result = append(report, text);
    }
    if (result == CLI_OK)
        *ret_report = report;
    else
        trainreport_close(report);
    return result;
}

void trainreport_close(struct trainreport *report)
{
    if (!report)
        return;
    if (report->fd >= 0)
        close(report->fd);
    g_free(report->path);
    g_free(report);
}

int trainreport_add(struct trainreport *report, const struct train_epoch *epoch)
{
    const struct train_score *validation = &epoch->validation;
    bool validated = validation->count > 0;
    const struct tensorboard_scalar scalars[] = {
        {"loss/train", epoch->train.loss},
        {"loss/validation", validated ? validation->loss : NAN},
        {"accuracy/train", epoch->train.accuracy},
        {"accuracy/validation", validated ? validation->accuracy : NAN},
        {"rate", epoch->rate},
        {"samples_per_second", epoch->train.count / epoch->seconds},
    };
    GString *text = g_string_new(NULL);
    tensorboard_add(text, now(), epoch->epoch, scalars, G_N_ELEMENTS(scalars));
    return append(report, text);
}
