#include "record/query.h"

#include <stdlib.h>
#include <string.h>

void record_query_init(struct record_query *query)
{
    memset(query, 0, sizeof *query);
    query->kind = -1;
    query->since_ms = RECORD_NO_TIME;
    query->until_ms = RECORD_NO_TIME;
    query->limit = RECORD_PAGE_DEFAULT;
}

void record_page_finish(struct record_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->texts[i]);
    free(page->texts);
    memset(page, 0, sizeof *page);
}
