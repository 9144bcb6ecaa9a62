#include "api/etag.h"

#include <stddef.h>
#include <string.h>

/* Reads one tag at *text, past blanks and empty elements, and moves on. False at the end of the
 * list, and with *ret_tag NULL where there is no tag. */
static bool next_tag(const char **text, const char **ret_tag, size_t *ret_length,
                     bool *ret_weak)
{
    const char *p = *text + strspn(*text, ", \t");
    *ret_tag = NULL;
    if (!*p)
        return false;
    *ret_weak = strncmp(p, "W/", 2) == 0;
    if (*ret_weak)
        p += 2;
    const char *end = *p == '"' ? p + 1 : NULL;
    while (end && (unsigned char)*end > ' ' && *end != '"' && *end != 0x7f)
        end++;
    if (!end || *end != '"')
        return true;
    const char *after = end + 1 + strspn(end + 1, " \t");
    if (*after && *after != ',')
        return true;
    *ret_tag = p;
    *ret_length = (size_t)(end + 1 - p);
    *text = after;
    return true;
}

bool api_etag_list_is_valid(const char *list)
{
    const char *tag;
    size_t length;
    bool weak;
    int count = 0;
    if (strcmp(list, "*") == 0)
        return true;
    while (next_tag(&list, &tag, &length, &weak)) {
        if (!tag)
            return false;
        count++;
    }
    return count > 0;
}

bool api_etag_list_has(const char *list, const char *tag, bool weakly)
{
    const char *listed;
    size_t length;
    bool weak;
    if (strcmp(list, "*") == 0)
        return true;
    while (next_tag(&list, &listed, &length, &weak) && listed) {
        if ((!weak || weakly) && strlen(tag) == length && memcmp(listed, tag, length) == 0)
            return true;
    }
    return false;
}

enum api_etag_verdict api_etag_judge(const char *if_match, const char *if_none_match,
                                     const char *tag, bool reading)
{
    if (if_match && (!tag || !api_etag_list_has(if_match, tag, false)))
        return API_ETAG_FAILED;
    if (if_none_match && tag && api_etag_list_has(if_none_match, tag, true))
        return reading ? API_ETAG_UNCHANGED : API_ETAG_FAILED;
    return API_ETAG_GO_ON;
}
