/* A disk that does not answer, for LD_PRELOAD: while the file that VIGIL_TEST_SILENT names is
 * there, whoever opens a file in its folder waits for ever, as in a network folder that is
 * gone. */
#undef _FILE_OFFSET_BITS /* else open is another name of open64 */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int open_function(const char *path, int flags, mode_t mode);

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

static int open_next(const char *name, const char *path, int flags, mode_t mode)
{
    const char *silent = getenv("VIGIL_TEST_SILENT");
    size_t folder = silent ? (size_t)(strrchr(silent, '/') - silent) + 1 : 0;
    if (folder && strncmp(path, silent, folder) == 0 && access(silent, F_OK) == 0)
        for (;;)
            pause();
    void *symbol = dlsym(RTLD_NEXT, name);
    open_function *next;
    memcpy(&next, &symbol, sizeof next);
    return next(path, flags, mode);
}

static mode_t read_mode(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_next("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_next("open64", path, flags, mode);
}
