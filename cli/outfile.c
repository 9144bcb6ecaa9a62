#include "cli/outfile.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "cli/cli.h"

static int check_folder(const struct outfile *file)
{
    g_autofree char *folder = g_path_get_dirname(file->path);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
        return cli_fail(CLI_NO_INPUT, "%s %s: there is no folder %s", file->option, file->path,
                        folder);
    if (access(folder, W_OK | X_OK) < 0)
        return cli_fail(CLI_NO_INPUT, "%s %s: cannot write into the folder %s: %s",
                        file->option, file->path, folder, g_strerror(errno));
    return CLI_OK;
}

/* What is there already; a link that leads nowhere is there, too. */
static int check_place(const struct outfile *file)
{
    struct stat place, source;
    if (stat(file->path, &place) < 0) {
        if (!file->force && lstat(file->path, &place) == 0)
            return cli_fail(CLI_USAGE,
                            "%s is there already, a link that leads nowhere "
                            "(--force replaces it)",
                            file->path);
        return CLI_OK;
    }
    if (!S_ISREG(place.st_mode))
        return cli_fail(CLI_USAGE, "%s %s: it is %s, and is not replaced", file->option,
                        file->path, S_ISDIR(place.st_mode) ? "a folder" : "not a file");
    if (stat(file->source, &source) == 0 && source.st_dev == place.st_dev &&
        source.st_ino == place.st_ino)
        return cli_fail(CLI_USAGE,
                        "%s %s: it is the file that is read, which would be lost: give another "
                        "name",
                        file->option, file->path);
    if (!file->is_kind(file->path))
        return cli_fail(CLI_USAGE,
                        "%s %s: it is not %s, and is not replaced: give another name",
                        file->option, file->path, file->kind);
    if (!file->force)
        return cli_fail(CLI_USAGE, "%s is there already (--force replaces it)", file->path);
    return CLI_OK;
}

int outfile_check(const struct outfile *file)
{
    if (!*file->path)
        return cli_fail(CLI_USAGE, "%s: give the name of a file", file->option);
    int result = check_place(file);
    return result == CLI_OK ? check_folder(file) : result;
}

int outfile_write(const struct outfile *file, const void *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    int result = outfile_check(file);
    if (result != CLI_OK || g_file_set_contents(file->path, data, (gssize)size, &error))
        return result;
    return cli_fail(CLI_NO_INPUT, "%s %s: it cannot be written: %s", file->option, file->path,
                    cli_reason(error));
}
