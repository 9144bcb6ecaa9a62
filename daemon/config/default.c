#include "daemon/config/default.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "record/record.h"

/* Of our own program. */
static char *program_folder(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    return g_path_get_dirname(program ? program : ".");
}

/* The first of these that exists beside our program, else what was installed. */
static char *find_beside(const char *const *candidates, const char *installed)
{
    g_autofree char *folder = program_folder();
    for (; *candidates; candidates++) {
        char *path = g_canonicalize_filename(*candidates, folder);
        if (access(path, R_OK) == 0)
            return path;
        g_free(path);
    }
    return config_find_installed(installed);
}

/* Our programs are in PREFIX/bin and PREFIX/sbin. */
char *config_find_installed(const char *path)
{
    g_autofree char *folder = program_folder();
    if (!g_str_has_prefix(path, VIGIL_PREFIX "/"))
        return g_strdup(path);
    g_autofree char *below = g_build_filename("..", path + strlen(VIGIL_PREFIX "/"), NULL);
    g_autofree char *moved = g_canonicalize_filename(below, folder);
    return g_strdup(access(moved, R_OK) == 0 ? moved : path);
}

char *config_default_worker(void)
{
    static const char *const places[] = {"vigil-worker", "../pipeline/vigil-worker", NULL};
    return find_beside(places, VIGIL_LIBEXECDIR "/vigil-worker");
}

char *config_default_vigil(void)
{
    static const char *const places[] = {"vigil", "../cli/vigil", NULL};
    return find_beside(places, VIGIL_BINDIR "/vigil");
}

char *config_default_scene(void)
{
    static const char *const places[] = {"../models/scene.onnx", "../../models/scene.onnx",
                                         NULL};
    return find_beside(places, VIGIL_DATADIR "/models/scene.onnx");
}

char *config_default_node(void)
{
    char host[256] = "", node[RECORD_NAME_SIZE];
    size_t n = 0;
    gethostname(host, sizeof host - 1);
    for (const char *p = host; *p && *p != '.' && n < sizeof node - 1; p++) {
        char c = g_ascii_tolower(*p);
        if (g_ascii_isalnum(c) || (n > 0 && (c == '-' || c == '_')))
            node[n++] = c;
    }
    node[n] = '\0';
    return g_strdup(n > 0 ? node : "vigil");
}

char *config_default_database(void)
{
    const char *state = g_getenv("STATE_DIRECTORY");
    return g_build_filename(state && *state ? state : "/var/lib/vigil", "vigil.db", NULL);
}
