#include "record/environment.h"

#include <glib.h>

/* GST_DEBUG is not here on purpose: from level 4 on GStreamer prints passwords. */
static const char *const passed_variables[] = {
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "CACHE_DIRECTORY",
    "LD_LIBRARY_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_REGISTRY",
    "GST_REGISTRY_1_0",
    "GIO_EXTRA_MODULES",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "ASAN_OPTIONS",
    "LSAN_OPTIONS",
    "UBSAN_OPTIONS",
    "TSAN_OPTIONS",
};

char **environment_for_worker(void)
{
    char **list = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(passed_variables); i++) {
        const char *value = g_getenv(passed_variables[i]);
        if (value)
            list = g_environ_setenv(list, passed_variables[i], value, TRUE);
    }
    return list ? list : g_new0(char *, 1);
}
