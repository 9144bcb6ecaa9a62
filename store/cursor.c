#include "store/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits. It guards against mistakes, not against forgers: a forged cursor only
 * chooses where its own reader's page begins. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return mix(hash, text, strlen(text) + 1);
}

static uint64_t check_of(const struct walk_place *place, const struct record_query *query)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix_text(hash, query->stream);
    hash = mix(hash, &query->kind, sizeof query->kind);
    hash = mix_text(hash, query->label);
    hash = mix_text(hash, query->zone);
    hash = mix(hash, &query->min_score, sizeof query->min_score);
    hash = mix(hash, &query->since_ms, sizeof query->since_ms);
    hash = mix(hash, &query->until_ms, sizeof query->until_ms);
    hash = mix(hash, &query->state, sizeof query->state);
    hash = mix(hash, &query->ascending, sizeof query->ascending);
    hash = mix(hash, &place->start_ms, sizeof place->start_ms);
    return mix(hash, &place->number, sizeof place->number);
}

void cursor_format(const struct walk_place *place, const struct record_query *query,
                   char ret_text[RECORD_CURSOR_SIZE])
{
    snprintf(ret_text, RECORD_CURSOR_SIZE, "2-%" PRIx64 "-%" PRIx64 "-%016" PRIx64,
             (uint64_t)place->start_ms, (uint64_t)place->number, check_of(place, query));
}

int cursor_parse(const char *text, const struct record_query *query,
                 struct walk_place *ret_place)
{
    uint64_t start, number;
    if (sscanf(text, "2-%16" SCNx64 "-%16" SCNx64 "-", &start, &number) != 2)
        return -EINVAL;
    struct walk_place place = {.start_ms = (int64_t)start, .number = (int64_t)number};
    /* Whatever else sscanf let pass (a sign, spaces, more text) is not how we write it. */
    char expected[RECORD_CURSOR_SIZE];
    cursor_format(&place, query, expected);
    if (strcmp(text, expected) != 0)
        return -EINVAL;
    *ret_place = place;
    return 0;
}
