#include "cli/reportfolder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/figures.h"
#include "record/file.h"

#define METRICS_BYTES_MAX ((size_t)64 << 20)

static bool is_empty(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    return dir && !g_dir_read_name(dir);
}

/* Names of events are like nobody else's. */
static bool has_events(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));)
        if (g_str_has_prefix(name, REPORTFOLDER_EVENTS) &&
            strstr(name, REPORTFOLDER_EVENTS_OF_US))
            return true;
    return false;
}

/* What it says of itself: a folder of somebody else may have a file of that name. */
static bool has_metrics(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, REPORTFOLDER_METRICS, NULL);
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

int reportfolder_check(const char *folder)
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
    return is_empty(folder) || has_events(folder) || has_metrics(folder)
               ? CLI_OK
               : cli_fail(CLI_USAGE,
                          "--report %s: there is something else in it: give a new folder, or "
                          "that of a report",
                          folder);
}

int reportfolder_make(const char *folder)
{
    int result = reportfolder_check(folder);
    return result != CLI_OK || mkdir(folder, 0777) == 0 || errno == EEXIST
               ? result
               : cli_fail(CLI_NO_INPUT, "--report %s: it cannot be made: %s", folder,
                          g_strerror(errno));
}

int reportfolder_write(const char *folder, const char *name, const char *text, size_t size)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    return g_file_set_contents_full(path, text, (gssize)size, G_FILE_SET_CONTENTS_CONSISTENT,
                                    0644, &error)
               ? CLI_OK
               : cli_fail(CLI_NO_INPUT, "cannot write %s: %s", path, cli_reason(error));
}
