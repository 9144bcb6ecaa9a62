#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

/* The journal says which descriptor it listens on: a redirected stderr takes plain lines. */
static bool journal_reads_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
           status.st_ino == inode;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const struct {
        const char *journal, *plain;
    } prefixes[] = {
        [LOG_LEVEL_ERROR] = {SD_ERR, "vigild: error: "},
        [LOG_LEVEL_WARNING] = {SD_WARNING, "vigild: warning: "},
        [LOG_LEVEL_INFO] = {SD_INFO, "vigild: "},
    };
    char text[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    bool journal = journal_reads_stderr();
    /* One write per line, so that lines of two threads do not mix. */
    char line[LOG_LINE_MAX + 32];
    int length = snprintf(line, sizeof line, "%s%s\n",
                          journal ? prefixes[level].journal : prefixes[level].plain, text);
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written; /* there is nowhere else to say that stderr is gone */
}
