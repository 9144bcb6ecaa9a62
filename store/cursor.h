/* Where a page ended, as text for its reader: 1-START-ID-CHECK. START is hexadecimal
 * milliseconds, CHECK a hash over both and over everything else the query asks (not its limit),
 * so that a cursor that is damaged, or used with another query, is noticed.
 *
 * Thread: no shared state. */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include "record/query.h"

struct cursor {
    int64_t start_ms;
    char id[RECORD_ID_SIZE];
};

void cursor_format(const struct cursor *cursor, const struct record_query *query,
                   char ret_text[RECORD_CURSOR_SIZE]);

/* 0 or -EINVAL. */
int cursor_parse(const char *text, const struct record_query *query, struct cursor *ret_cursor);

#endif
