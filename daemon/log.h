/* vigild's log: one line per event on stderr, for people, for programs (JSON) or, when the
 * journal reads stderr, as a journal entry with fields.
 *
 * What a line is about stands beside its text: the journal gets VIGIL_STREAM=, VIGIL_STATE=
 * and VIGIL_REASON= (journalctl VIGIL_STREAM=front-door) with MESSAGE=, PRIORITY= and CODE_*=;
 * JSON gets "stream", "state" and "reason" beside "time", "level" and "message"; plain text
 * begins with "stream front-door: ".
 *
 * Text is printable as record/text.h has it: details come from workers and cameras, and a line
 * of theirs must not look like one of ours. Lines that stderr does not take at once (its reader
 * stands still) are dropped and counted: a log must not stop what it tells about.
 *
 * Thread: any, once log_setup has returned. A struct log_limit belongs to one thread. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stddef.h>

#include "daemon/loglimit.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_format {
    LOG_FORMAT_AUTO, /* the journal when it reads stderr, else text */
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
    LOG_FORMAT_JOURNAL,
};

#define LOG_LINE_MAX 1024 /* bytes of a line's text; the rest is cut off */

/* What a line is about; a member that does not apply is NULL. Borrowed for the call. */
struct log_about {
    const char *stream;
    const char *state, *reason;
    struct log_limit *limit;
};

/* Where in our code it was written. */
struct log_place {
    const char *file, *function;
    int line;
};

/* The enumerator of "warning" or "json", or -EINVAL. */
int log_level_from_name(const char *name);
int log_format_from_name(const char *name);

/* Before the first thread. Until then: text, LOG_LEVEL_INFO. */
void log_setup(enum log_format format, enum log_level least);

/* GLib's own complaints take the same way. Once. */
void log_take_glib(void);

void log_write(enum log_level level, const struct log_about *about,
               const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define LOG_PLACE (&(struct log_place){__FILE__, __func__, __LINE__})

#define log_error(...)   log_write(LOG_LEVEL_ERROR, NULL, LOG_PLACE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, NULL, LOG_PLACE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, NULL, LOG_PLACE, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, NULL, LOG_PLACE, __VA_ARGS__)

/* A line about one stream. */
#define log_stream(level, name, ...)                                                           \
    log_write(level, &(struct log_about){.stream = (name)}, LOG_PLACE, __VA_ARGS__)

/* With all of struct log_about, which is borrowed. */
#define log_about(level, about, ...) log_write(level, about, LOG_PLACE, __VA_ARGS__)

#endif
