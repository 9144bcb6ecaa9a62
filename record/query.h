/* Which detections a reader asks for: what the API parses and the store answers.
 *
 * Thread: plain data. */
#ifndef RECORD_QUERY_H
#define RECORD_QUERY_H

#include "record/record.h"

#define RECORD_PAGE_MAX     500
#define RECORD_PAGE_DEFAULT 50
#define RECORD_CURSOR_SIZE  96

enum record_state { RECORD_STATE_ANY, RECORD_STATE_ACTIVE, RECORD_STATE_ENDED };

struct record_query {
    char stream[RECORD_NAME_SIZE]; /* "": any */
    int kind;                      /* enum record_kind, -1: any */
    char label[RECORD_LABEL_SIZE]; /* "": any */
    char zone[RECORD_NAME_SIZE];   /* "": any */
    double min_score;              /* of the detection's best score; 0: any */
    int64_t since_ms;              /* started at or after; RECORD_NO_TIME: any */
    int64_t until_ms;              /* started before; RECORD_NO_TIME: any */
    enum record_state state;
    bool ascending;                  /* default: newest first */
    int limit;                       /* 1..RECORD_PAGE_MAX */
    char cursor[RECORD_CURSOR_SIZE]; /* "": first page; else `next` of the page before */
};

/* Everything any, newest first, RECORD_PAGE_DEFAULT. */
void record_query_init(struct record_query *query);

/* A page of records as JSON texts, in order. */
struct record_page {
    size_t count;
    char **texts;                  /* one record each, with seq; freed by finish */
    char next[RECORD_CURSOR_SIZE]; /* "": this was the last page */
};
void record_page_finish(struct record_page *page);

#endif
