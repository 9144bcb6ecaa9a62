/* How vigil's records and the daemon's answers look on a terminal.
 *
 * Text from a camera, a model or a daemon never reaches the terminal raw: control characters
 * (escape sequences among them) are shown as U+FFFD.
 *
 * Thread: no shared state. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "record/record.h"

/* A printable copy on one line, valid UTF-8; caller frees. */
char *output_printable(const char *text);

/* "12:00:01.240  front-door  movement started  0.93". With `date`, the day before the time. */
void output_record(const struct record *record, bool date);

/* Prints one JSON value compactly on a line of its own, at once. */
void output_json_line(const json_t *value);

/* A table on stdout, columns as wide as their widest cell; two blanks between. `cells` holds
 * rows * columns strings (NULL: empty), the first row being the heading. */
void output_table(const char *const *cells, size_t rows, size_t columns);

#endif
