/* Points in time as people write them, for --since and --until.
 *
 *   90s 30m 2h 3d 1w          so long before now
 *   now today yesterday       days begin at the local midnight
 *   14:30 14:30:05            today, by the local clock
 *   2026-11-20                that day's local midnight; also with " 14:30" or "T14:30:05"
 *   2026-11-20T12:00:00Z      RFC 3339, as the API has it, with any offset
 *
 * Thread: no shared state. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <glib.h>

/* Every form, for messages and --help. */
#define WHEN_FORMS "2h, today, 14:30, 2026-11-20, \"2026-11-20 14:30\" or 2026-11-20T12:00:00Z"

/* What the API takes, RFC 3339 in UTC with milliseconds; g_free(). NULL: none of the above, or
 * beyond the years 1970 to 9999. `now` decides what relative forms mean, and its time zone what
 * is local. */
char *when_parse(const char *text, GDateTime *now);

#endif
