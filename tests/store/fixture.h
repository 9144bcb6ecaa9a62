/* What the store's tests share: a database in a folder of its own, and records to fill it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/suite.h"

#define FIXTURE_NOW 10000000 /* when records come: well after the times they tell */

static char folder[4000], path[4032];
static struct store *store;
static struct store_error err;

#define ok(call)                                                                               \
    do {                                                                                       \
        int status_ = (call);                                                                  \
        ck_assert_msg(status_ == 0, "%s: %d, %s", #call, status_, err.text);                   \
    } while (0)

static inline void fixture_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/vigil-store-XXXXXX", parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/vigil.db", folder);
}

static inline void fixture_open(void)
{
    fixture_folder();
    ok(store_open(path, &store, &err));
}

static inline int fixture_remove(const char *name, const struct stat *info, int type,
                                 struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(name);
}

static inline void fixture_close(void)
{
    store_close(store);
    store = NULL;
    nftw(folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* A detection's record; `number` makes the id, everything else may be changed afterwards. */
static inline struct record fixture_record(enum record_phase phase, int number,
                                           int64_t start_ms)
{
    struct record record;
    record_init(&record);
    record.phase = phase;
    uint8_t random[10] = {0};
    memcpy(random, &number, sizeof number);
    record_id_format(start_ms, random, record.id);
    strcpy(record.stream, "door");
    strcpy(record.label, "movement");
    strcpy(record.model, "scene@01234567");
    record.score = 0.5;
    record.start_ms = start_ms;
    record.time_ms = start_ms + 1000;
    record.pts_ns = 0;
    record.window_first_pts_ns = record.window_last_pts_ns = 0;
    record.window_frames = 1;
    if (phase == RECORD_ENDED)
        record.end_ms = start_ms + 1000;
    return record;
}

static inline struct record fixture_parse(const char *text)
{
    struct record record;
    struct record_error why;
    ck_assert_msg(record_from_text(text, strlen(text), &record, &why) == 0, "%s: %s", why.text,
                  text);
    return record;
}

#endif
