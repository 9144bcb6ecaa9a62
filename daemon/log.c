/* A line is written into one struct, cleaned, and given to one of three writers. Each ends in a
 * single write or sendmsg, so that lines of two threads do not mix. */
#include "daemon/log.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "record/record.h"
#include "record/text.h"

#define PREFIX_MAX 100 /* "vigild: warning: stream NAME: " */

struct line {
    enum log_level level;
    const struct log_about *about; /* never NULL */
    const struct log_place *place;
    char text[LOG_LINE_MAX];
};

static const struct {
    const char *name;
    const char *prefix;  /* of a plain line */
    const char *journal; /* in front of a line, when only stderr leads to the journal */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", "error: ", SD_ERR},
    [LOG_LEVEL_WARNING] = {"warning", "warning: ", SD_WARNING},
    [LOG_LEVEL_INFO] = {"info", "", SD_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", "debug: ", SD_DEBUG},
};

static const char *const formats[] = {
    [LOG_FORMAT_AUTO] = "auto",
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_JSON] = "json",
    [LOG_FORMAT_JOURNAL] = "journal",
};

static enum log_format chosen = LOG_FORMAT_TEXT;
static enum log_level least_level = LOG_LEVEL_INFO;
static bool stderr_is_journal;
static atomic_int lost_lines;

int log_level_from_name(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++)
        if (strcmp(levels[i].name, name) == 0)
            return (int)i;
    return -EINVAL;
}

int log_format_from_name(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
        if (strcmp(formats[i], name) == 0)
            return (int)i;
    return -EINVAL;
}

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

void log_setup(enum log_format format, enum log_level least)
{
    stderr_is_journal = journal_reads_stderr();
    chosen = format != LOG_FORMAT_AUTO ? format
             : stderr_is_journal       ? LOG_FORMAT_JOURNAL
                                       : LOG_FORMAT_TEXT;
    least_level = least;
}

/* --- writers ------------------------------------------------------------------------------ */

static bool stderr_takes(const char *bytes, size_t size)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) == 0)
        return false;
    ssize_t written = write(STDERR_FILENO, bytes, size);
    (void)written; /* there is nowhere else to say that stderr is gone */
    return true;
}

static bool write_text(const struct line *line)
{
    char bytes[LOG_LINE_MAX + PREFIX_MAX];
    int size = snprintf(bytes, sizeof bytes, "%s%s%s%s%s%s\n",
                        stderr_is_journal ? levels[line->level].journal : "vigild: ",
                        stderr_is_journal ? "" : levels[line->level].prefix,
                        line->about->stream ? "stream " : "",
                        line->about->stream ? line->about->stream : "",
                        line->about->stream ? ": " : "", line->text);
    return stderr_takes(bytes, MIN((size_t)size, sizeof bytes - 1));
}

static bool write_json(const struct line *line)
{
    char now[RECORD_TIME_SIZE];
    record_time_format(g_get_real_time() / 1000, now);
    json_t *object =
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s}", "time", now, "level",
                  levels[line->level].name, "stream", line->about->stream, "state",
                  line->about->state, "reason", line->about->reason, "message", line->text);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return write_text(line);
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the NUL: one write */
    bool taken = stderr_takes(text, size + 1);
    free(text);
    return taken;
}

/* sd_journal_sendv fails when there is no journal: stderr is still there. */
static bool write_journal(const struct line *line)
{
    const char *file = line->place->file;
    while (g_str_has_prefix(file, "../"))
        file += 3; /* as seen from the build folder */
    const char *stream = line->about->stream;
    const struct {
        const char *name, *value;
    } fields[] = {
        {"VIGIL_STREAM", stream},
        {"VIGIL_STATE", line->about->state},
        {"VIGIL_REASON", line->about->reason},
        {"CODE_FILE", file},
        {"CODE_FUNC", line->place->function},
    };
    struct iovec entry[G_N_ELEMENTS(fields) + 4];
    char *texts[G_N_ELEMENTS(entry)];
    int count = 0;
    texts[count++] = g_strdup_printf("MESSAGE=%s%s%s%s", stream ? "stream " : "",
                                     stream ? stream : "", stream ? ": " : "", line->text);
    texts[count++] = g_strdup_printf("PRIORITY=%c", levels[line->level].journal[1]);
    texts[count++] = g_strdup("SYSLOG_IDENTIFIER=vigild");
    texts[count++] = g_strdup_printf("CODE_LINE=%d", line->place->line);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (fields[i].value)
            texts[count++] = g_strdup_printf("%s=%s", fields[i].name, fields[i].value);
    for (int i = 0; i < count; i++)
        entry[i] = (struct iovec){texts[i], strlen(texts[i])};
    int r = sd_journal_sendv(entry, count);
    for (int i = 0; i < count; i++)
        g_free(texts[i]);
    return r >= 0 || write_text(line);
}

/* --- lines -------------------------------------------------------------------------------- */

static bool write_line(const struct line *line)
{
    switch (chosen) {
    case LOG_FORMAT_JSON:
        return write_json(line);
    case LOG_FORMAT_JOURNAL:
        return write_journal(line);
    default:
        return write_text(line);
    }
}

static void emit(const struct line *line)
{
    int lost = atomic_exchange(&lost_lines, 0);
    if (lost > 0) {
        static const struct log_about nothing;
        struct line note = {LOG_LEVEL_WARNING, &nothing, line->place, ""};
        snprintf(note.text, sizeof note.text, "%d lines are lost: nobody read them", lost);
        if (write_line(&note))
            lost = 0;
    }
    if (lost > 0 || !write_line(line))
        atomic_fetch_add(&lost_lines, lost + 1);
}

/* Appends as much as fits. */
__attribute__((format(printf, 2, 3))) static void append(struct line *line, const char *format,
                                                         ...)
{
    size_t length = strlen(line->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->text + length, sizeof line->text - length, format, arguments);
    va_end(arguments);
}

void log_write(enum log_level level, const struct log_about *about,
               const struct log_place *place, const char *format, ...)
{
    static const struct log_about nothing;
    if (level > least_level)
        return;
    int saved = errno;
    struct line line = {level, about ? about : &nothing, place, ""};
    char raw[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    text_copy_printable(line.text, sizeof line.text, raw);
    enum log_limit_verdict verdict = LOG_LIMIT_TELL;
    int64_t repeats = 0;
    if (line.about->limit)
        verdict = log_limit_ask(line.about->limit, line.text,
                                (uint64_t)g_get_monotonic_time() / 1000, &repeats);
    if (repeats > 0)
        append(&line, " (as %" PRId64 " times since this was last told)", repeats);
    if (verdict != LOG_LIMIT_LEAVE_OUT)
        emit(&line);
    if (verdict == LOG_LIMIT_TELL_LAST) {
        snprintf(line.text, sizeof line.text,
                 "tells much; what follows in this minute is left out");
        emit(&line);
    }
    errno = saved;
}

/* --- GLib --------------------------------------------------------------------------------- */

static GLogWriterOutput take_glib(GLogLevelFlags flags, const GLogField *fields, gsize count,
                                  gpointer unused)
{
    (void)unused;
    const char *domain = "GLib", *message = NULL;
    for (gsize i = 0; i < count; i++) {
        if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0 && fields[i].length < 0)
            domain = fields[i].value;
        else if (strcmp(fields[i].key, "MESSAGE") == 0 && fields[i].length < 0)
            message = fields[i].value;
    }
    enum log_level level = flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ? LOG_LEVEL_ERROR
                           : flags & G_LOG_LEVEL_WARNING ? LOG_LEVEL_WARNING
                           : flags & G_LOG_LEVEL_MESSAGE ? LOG_LEVEL_INFO
                                                         : LOG_LEVEL_DEBUG;
    log_write(level, NULL, LOG_PLACE, "%s: %s", domain, message ? message : "(no message)");
    return G_LOG_WRITER_HANDLED;
}

void log_take_glib(void)
{
    g_log_set_writer_func(take_glib, NULL, NULL);
}
