/* Entity tags, and the conditions a client ties its request to.
 *
 * A tag here is strong: it stands for exactly one state of what it names.
 *
 * Source: RFC 9110 sections 8.8.3 and 13. Thread: plain data. */
#ifndef API_ETAG_H
#define API_ETAG_H

#include <stdbool.h>

#define API_ETAG_SIZE 80 /* with its quotes and NUL */

/* Whether text is what If-Match and If-None-Match take: `*`, or a list of quoted tags. */
bool api_etag_list_is_valid(const char *list);

/* Whether a valid list names the tag (with its quotes). `*` names any; a tag marked weak (W/)
 * counts only for `weakly`. */
bool api_etag_list_has(const char *list, const char *tag, bool weakly);

/* What is to be done with a request. */
enum api_etag_verdict { API_ETAG_GO_ON, API_ETAG_UNCHANGED, API_ETAG_FAILED };

/* By the request's conditions (NULL: absent) and the tag of what is there (NULL: nothing is).
 * UNCHANGED is the answer to reading only. */
enum api_etag_verdict api_etag_judge(const char *if_match, const char *if_none_match,
                                     const char *tag, bool reading);

#endif
