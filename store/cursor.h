/* Where a page ended, as text for its reader: 2-START-NUMBER-CHECK. START is milliseconds and
 * NUMBER the detection's, both hexadecimal; CHECK is a hash over both and over everything else
 * the query asks (not its limit), so that a cursor that is damaged, or used with another
 * query, is noticed.
 *
 * Thread: no shared state. */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include "store/walk.h"

void cursor_format(const struct walk_place *place, const struct record_query *query,
                   char ret_text[RECORD_CURSOR_SIZE]);

/* 0 or -EINVAL. */
int cursor_parse(const char *text, const struct record_query *query,
                 struct walk_place *ret_place);

#endif
