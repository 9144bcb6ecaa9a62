/* How vigil's records and the daemon's answers look on a terminal.
 *
 * Text from a camera, a model or a daemon never reaches the terminal raw: control characters
 * (escape sequences among them) are shown as U+FFFD, in JSON as escapes. A reader that leaves
 * (`vigil ... | head`) ends us by SIGPIPE, as it does any filter; what else goes wrong with
 * stdout main.c tells at the end, and what would go on without one asks output_flush().
 *
 * Thread: one at a time for what prints; output_printable from any. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "record/message.h"

/* Prints text as it is: of us, or made printable. */
void output_text(const char *text);

/* Hands on what was printed. 0, or the negative errno of the first write that ever failed (EIO
 * when the reason is lost): from then on nothing that is printed is of use. */
int output_flush(void);

/* A printable copy on one line, valid UTF-8; caller frees. */
char *output_printable(const char *text);

/* How a moment is told: the local time of day, or h:mm:ss.t since the beginning of a file. */
enum output_clock { OUTPUT_TIME, OUTPUT_POSITION };

/* What happens: "12:00:01.240  front-door  movement started  0.93". OUTPUT_POSITION counts from
 * origin_ms. */
void output_record(const struct record *record, enum output_clock clock, int64_t origin_ms);

/* What happened: "2026-11-20 12:00:01.240  front-door  movement  0.93  lasted 5.3 s", by its
 * start in local time; "still on" while it has not ended. */
void output_detection(const struct record *record);

/* "0:00:05.5  front-door  window  quiet 0.98  movement 0.02"; by the centre of the window. */
void output_window(const struct message_window *window);

/* Prints one JSON value compactly on a line of its own, at once. Not ASCII is escaped. */
void output_json_line(const json_t *value);

/* A table on stdout, columns as wide as their widest cell; two blanks between. `cells` holds
 * rows * columns strings (NULL: empty), the first row being the heading. */
void output_table(const char *const *cells, size_t rows, size_t columns);

#endif
