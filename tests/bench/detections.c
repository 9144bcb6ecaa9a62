#include "tests/bench/detections.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD_STREAM 64 /* the camera that was taken down */
#define RAREST     11

static const struct {
    const char *name;
    enum record_kind kind;
    int per_million;
} labels[BENCH_LABELS] = {
    {"movement", RECORD_ACTIVITY, 600000}, {"lighting", RECORD_ACTIVITY, 100000},
    {"weather", RECORD_ACTIVITY, 50000},   {"person", RECORD_OBJECT, 100000},
    {"car", RECORD_OBJECT, 108000},        {"dog", RECORD_OBJECT, 20000},
    {"covered", RECORD_STREAM, 6000},      {"moved", RECORD_STREAM, 3000},
    {"frozen", RECORD_STREAM, 2000},       {"movement", RECORD_MOTION, 10000},
    {"alarm", RECORD_SOUND, 1000},         {"fire", RECORD_ACTIVITY, 0},
};
static const char *const zones[8] = {"gate", "yard", "street", "door",
                                     "roof", "lawn", "garage", "vault"};
#define VAULT 7

/* SplitMix64 of seed and counter: no state, so that any detection can be made alone. */
static uint64_t mix(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + counter * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t bench_roll(uint64_t seed, uint64_t counter, uint64_t below)
{
    return mix(seed, counter) % below;
}

static uint8_t make_label(uint64_t seed, uint32_t arrival)
{
    if (arrival % 999983 == 7)
        return RAREST;
    int at = (int)bench_roll(seed, 16 * (uint64_t)arrival + 1, 1000000);
    uint8_t label = 0;
    while (at >= labels[label].per_million)
        at -= labels[label++].per_million;
    return label;
}

static uint8_t make_zones(uint64_t seed, uint32_t arrival, int stream)
{
    uint8_t mask = 0;
    for (int zone = 0; zone < VAULT; zone++)
        if ((stream + zone) % 8 < 3 &&
            bench_roll(seed, 16 * (uint64_t)arrival + 8 + (uint64_t)zone, 10) < 2)
            mask |= (uint8_t)(1 << zone);
    if (stream == 5 && arrival % 4999 == 11)
        mask |= 1 << VAULT;
    return mask;
}

struct bench_row bench_row_make(uint64_t seed, uint32_t arrival, size_t count)
{
    uint64_t at = 16 * (uint64_t)arrival;
    double even = (double)bench_roll(seed, at + 2, 1000000) / 1e6;
    int stream =
        arrival < count / 200 && arrival % 3 == 0 ? OLD_STREAM : (int)(64 * even * even);
    /* Two dice: middle scores are many, the highest very few. */
    uint64_t score = 5000 + bench_roll(seed, at + 3, 2500) + bench_roll(seed, at + 4, 2500);
    /* Some three start together. */
    int64_t unit = 3 * DETECTIONS_SPAN_MS / (int64_t)count;
    int64_t start = (int64_t)((double)DETECTIONS_SPAN_MS * arrival / (double)count) +
                    (int64_t)bench_roll(seed, at + 5, 5000);
    return (struct bench_row){
        .start_ms = DETECTIONS_FIRST_MS + start / unit * unit,
        .arrival = arrival,
        .score = (uint16_t)score,
        .stream = (uint8_t)stream,
        .label = make_label(seed, arrival),
        .zones = make_zones(seed, arrival, stream),
        .open = arrival + 100 >= count || arrival % 250007 == 3,
    };
}

void bench_row_to_record(const struct bench_row *row, struct record *ret_record)
{
    record_init(ret_record);
    struct record *record = ret_record;
    record->phase = row->open ? RECORD_STARTED : RECORD_ENDED;
    uint8_t random[10] = {0};
    memcpy(random, &row->arrival, sizeof row->arrival);
    record_id_format(row->start_ms, random, record->id);
    strcpy(record->node, "nvr");
    strcpy(record->stream, bench_stream_name(row->stream));
    strcpy(record->label, labels[row->label].name);
    strcpy(record->model, "scene@1f3a9c2e");
    record->kind = labels[row->label].kind;
    record->score = row->score / 10000.0;
    record->has_box = true;
    record->box[0] = record->box[1] = 0.1234;
    record->box[2] = record->box[3] = 0.4321;
    for (int zone = 0; zone < 8; zone++)
        if (row->zones >> zone & 1)
            strcpy(record->zones[record->zone_count++], zones[zone]);
    record->start_ms = row->start_ms;
    record->time_ms = row->start_ms + 4000;
    record->end_ms = row->open ? RECORD_NO_TIME : row->start_ms + 4000;
    record->pts_ns = record->window_first_pts_ns =
        (row->start_ms - DETECTIONS_FIRST_MS) * 1000000;
    record->window_last_pts_ns = record->pts_ns + 1000000000;
    record->window_frames = 16;
    record->latency_ms = 38.2;
}

static int compare(const void *a, const void *b)
{
    const struct bench_row *left = a, *right = b;
    if (left->start_ms != right->start_ms)
        return left->start_ms < right->start_ms ? -1 : 1;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

int bench_rows_create(uint64_t seed, size_t count, struct bench_rows *ret_rows)
{
    struct bench_row *rows = calloc(count, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        rows[i] = bench_row_make(seed, (uint32_t)i, count);
    qsort(rows, count, sizeof rows[0], compare);
    *ret_rows = (struct bench_rows){count, rows};
    return 0;
}

void bench_rows_finish(struct bench_rows *rows)
{
    free(rows->sorted);
}

const char *bench_stream_name(int stream)
{
    static const char *const digits = "0123456789";
    static char names[BENCH_STREAMS][16];
    if (stream == OLD_STREAM)
        return "attic";
    snprintf(names[stream], sizeof names[stream], "cam-%c%c", digits[stream / 10],
             digits[stream % 10]);
    return names[stream];
}

const char *bench_label_name(int label)
{
    return labels[label].name;
}

struct bench_filter bench_filter_make(const struct record_query *query)
{
    struct bench_filter filter = {.query = query, .stream = -1, .label = -1, .zone = -1};
    if (query->stream[0])
        filter.stream = -2;
    for (int i = 0; i < BENCH_STREAMS; i++)
        if (strcmp(query->stream, bench_stream_name(i)) == 0)
            filter.stream = i;
    if (query->zone[0])
        filter.zone = -2;
    for (int i = 0; i < 8; i++)
        if (strcmp(query->zone, zones[i]) == 0)
            filter.zone = i;
    /* By name: two of the labels have the same. */
    if (query->label[0])
        filter.label = -2;
    for (int i = BENCH_LABELS - 1; i >= 0; i--)
        if (strcmp(query->label, labels[i].name) == 0)
            filter.label = i;
    filter.score = (uint16_t)lround(ceil(query->min_score * 10000 - 1e-6));
    return filter;
}

bool bench_filter_matches(const struct bench_filter *filter, const struct bench_row *row)
{
    const struct record_query *query = filter->query;
    if (row->score < filter->score)
        return false;
    if (filter->stream != -1 && filter->stream != row->stream)
        return false;
    if (filter->label != -1 &&
        (filter->label < 0 || strcmp(labels[filter->label].name, labels[row->label].name) != 0))
        return false;
    if (query->kind >= 0 && (int)labels[row->label].kind != query->kind)
        return false;
    if (filter->zone != -1 && (filter->zone < 0 || !(row->zones >> filter->zone & 1)))
        return false;
    if (query->since_ms != RECORD_NO_TIME && row->start_ms < query->since_ms)
        return false;
    if (query->until_ms != RECORD_NO_TIME && row->start_ms >= query->until_ms)
        return false;
    return query->state == RECORD_STATE_ANY ||
           row->open == (query->state == RECORD_STATE_ACTIVE);
}
