/* Whatever is accepted as a configuration is shown, read back and shown again as the same text.
 * Credentials are not shown, so they are left out of the comparison by being comments. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A memfd has a path, and no conf.d beside it. */
static int load(const void *data, size_t size, struct config *ret_config)
{
    int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config_options options = {.file = path};
    struct config_error err = {{0}};
    int r = config_load(&options, ret_config, &err);
    close(fd);
    if (r < 0 && (!*err.text || strchr(err.text, '\n')))
        abort();
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    if (load(data, size, &config) < 0)
        return 0;
    g_autofree char *text = config_show(&config, true, true);
    g_autofree char *values = config_show(&config, true, false);
    config_finish(&config);
    if (load(text, strlen(text), &config) < 0)
        abort();
    g_autofree char *again = config_show(&config, true, false);
    config_finish(&config);
    g_auto(GStrv) before = g_strsplit(values, "\n", 0);
    g_auto(GStrv) after = g_strsplit(again, "\n", 0);
    for (size_t i = 0, k = 0; before[i] || after[k]; i++, k++) {
        while (before[i] && before[i][0] == '#')
            i++;
        while (after[k] && after[k][0] == '#')
            k++;
        if (g_strcmp0(before[i], after[k]) != 0)
            abort();
        if (!before[i] || !after[k])
            break;
    }
    return 0;
}
