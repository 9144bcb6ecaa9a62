/* Text that came from elsewhere: what is fit to be kept, shown and printed.
 *
 * Printable text is valid UTF-8 without control characters (C0, DEL, C1), line or paragraph
 * separators and the marks that reorder a line on screen (bidi embeddings and isolates): it
 * can neither move a terminal's cursor nor forge a second log line.
 *
 * Nearness is the number of bytes put in, left out or replaced (Levenshtein's distance).
 *
 * Thread: no shared state. */
#ifndef RECORD_TEXT_H
#define RECORD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `size` bytes are printable text; NUL is not. */
bool text_is_printable(const char *text, size_t size);

/* Copies text as far as it fits, never half a character; what is not printable becomes '?'.
 * Always NUL-terminated; size at least 1. Returns the length written. */
size_t text_copy_printable(char *ret_text, size_t size, const char *text);

/* Of `names` (NULL-terminated) the one that `name` was probably meant to be; NULL when none is
 * near enough to be a help. Names of more than 32 bytes are near to none. */
const char *text_nearest(const char *name, const char *const *names);

#endif
