#include "cli/evalreport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/figurespage.h"
#include "record/file.h"

#define METRICS_FILE      "metrics.json"
#define METRICS_BYTES_MAX ((size_t)64 << 20)

static bool is_empty(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    return dir && !g_dir_read_name(dir);
}

/* What it says of itself: a folder of somebody else may have files of these names. */
static bool is_report(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, METRICS_FILE, NULL);
    char *text = NULL;
    size_t size = 0;
    if (file_read_path(path, METRICS_BYTES_MAX, &text, &size) < 0)
        return false;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool is = figures_is_json(json);
    json_decref(json);
    free(text);
    return is;
}

int evalreport_check(const char *folder)
{
    struct stat place;
    if (!*folder)
        return cli_fail(CLI_USAGE, "--report: give the name of a folder");
    if (stat(folder, &place) < 0) {
        g_autofree char *within = g_path_get_dirname(folder);
        if (errno == ENOENT && access(within, W_OK | X_OK) == 0)
            return CLI_OK;
        return cli_fail(CLI_NO_INPUT, "--report %s: it cannot be made: %s", folder,
                        g_strerror(errno));
    }
    if (!S_ISDIR(place.st_mode))
        return cli_fail(CLI_USAGE, "--report %s: it is no folder", folder);
    if (access(folder, W_OK | X_OK) < 0)
        return cli_fail(CLI_NO_INPUT, "--report %s: cannot write into it: %s", folder,
                        g_strerror(errno));
    return is_empty(folder) || is_report(folder)
               ? CLI_OK
               : cli_fail(CLI_USAGE,
                          "--report %s: there is something else in it: give a new folder, or "
                          "that of a report",
                          folder);
}

static int write_file(const char *folder, const char *name, const char *text, size_t size)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    return g_file_set_contents_full(path, text, (gssize)size, G_FILE_SET_CONTENTS_CONSISTENT,
                                    0644, &error)
               ? CLI_OK
               : cli_fail(CLI_NO_INPUT, "cannot write %s: %s", path, cli_reason(error));
}

/* metrics.json is first: what is left of a report that was cut off is a report. */
int evalreport_write(const char *folder, const struct figures *figures,
                     const struct figures_about *about)
{
    int result = evalreport_check(folder);
    if (result != CLI_OK)
        return result;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return cli_fail(CLI_NO_INPUT, "--report %s: it cannot be made: %s", folder,
                        g_strerror(errno));
    json_t *json = figures_json(figures, about);
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (!text)
        return cli_fail(CLI_INTERNAL, "no memory");
    result = write_file(folder, METRICS_FILE, text, strlen(text));
    free(text);
    if (result == CLI_OK) {
        GString *csv = figures_csv(figures);
        result = write_file(folder, "curves.csv", csv->str, csv->len);
        g_string_free(csv, TRUE);
    }
    if (result == CLI_OK) {
        GString *page = figurespage_make(figures, about);
        result = write_file(folder, "report.html", page->str, page->len);
        g_string_free(page, TRUE);
    }
    return result;
}
