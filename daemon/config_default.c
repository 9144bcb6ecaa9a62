#include "daemon/config_default.h"

#include <glib.h>
#include <unistd.h>

#include "record/record.h"

/* The first of these that exists, else the last; relative ones start at our own program. */
static char *find_installed(const char *const *candidates)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(program ? program : ".");
    for (;; candidates++) {
        char *path = g_canonicalize_filename(*candidates, folder);
        if (!candidates[1] || access(path, R_OK) == 0)
            return path;
        g_free(path);
    }
}

char *config_default_worker(void)
{
    static const char *const places[] = {"vigil-worker", "../pipeline/vigil-worker",
                                         VIGIL_LIBEXECDIR "/vigil-worker", NULL};
    return find_installed(places);
}

char *config_default_scene(void)
{
    static const char *const places[] = {"../models/scene.onnx", "../../models/scene.onnx",
                                         VIGIL_DATADIR "/models/scene.onnx", NULL};
    return find_installed(places);
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
