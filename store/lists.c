#include "store/lists.h"

#include "store/names.h"

#define KIND_SHIFT   4
#define LABEL_SHIFT  7
#define STREAM_SHIFT (LABEL_SHIFT + NAME_BITS)
#define ZONE_SHIFT   (STREAM_SHIFT + NAME_BITS)
#define NAME_MASK    ((INT64_C(1) << NAME_BITS) - 1)

_Static_assert(ZONE_SHIFT + NAME_BITS < 63, "a list's number is a positive 64-bit integer");
_Static_assert(RECORD_KIND_COUNT <= 1 << (LABEL_SHIFT - KIND_SHIFT), "a kind has three bits");
/* Kinds are stored by number: new ones go to the end. */
_Static_assert(RECORD_ACTIVITY == 0 && RECORD_STREAM == 5, "kinds keep their numbers");

/* Stored with every list (migrations/0002_lists.sql has them too): to change them is to make
 * all lists anew. */
static const double floors[LIST_BAND_COUNT] = {0,    0.1, 0.2,  0.3, 0.4,  0.5,  0.6,  0.7,
                                               0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995};

int64_t list_number(const struct list *list)
{
    return list->zone << ZONE_SHIFT | list->stream << STREAM_SHIFT |
           list->label << LABEL_SHIFT | (int64_t)list->kind << KIND_SHIFT | list->band;
}

struct list list_of_number(int64_t number)
{
    return (struct list){
        .zone = number >> ZONE_SHIFT,
        .stream = number >> STREAM_SHIFT & NAME_MASK,
        .label = number >> LABEL_SHIFT & NAME_MASK,
        .kind = (int)(number >> KIND_SHIFT) & ((1 << (LABEL_SHIFT - KIND_SHIFT)) - 1),
        .band = (int)number & (LIST_BAND_COUNT - 1),
    };
}

void list_range(int64_t zone, int64_t stream, int64_t *ret_first, int64_t *ret_end)
{
    *ret_first = list_number(&(struct list){.zone = zone, .stream = stream});
    *ret_end = *ret_first + (INT64_C(1) << (stream ? STREAM_SHIFT : ZONE_SHIFT));
}

int list_band(double score)
{
    int band = LIST_BAND_COUNT - 1;
    while (band > 0 && score < floors[band])
        band--;
    return band;
}

double list_band_floor(int band)
{
    return floors[band];
}

/* Runs one statement for each of the four: any or its own stream, any or its own label. */
static int for_each_list(struct store *store, const struct list_entry *entry, int64_t zone,
                         enum store_statement slot, const char *sql)
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < 4; i++) {
        struct list list = {.zone = zone,
                            .stream = i & 1 ? entry->stream : 0,
                            .label = i & 2 ? entry->label : 0,
                            .kind = entry->kind,
                            .band = entry->band};
        rc = handle_run(store, slot, sql,
                        HANDLE_VALUES(list_number(&list), entry->start_ms, entry->number));
    }
    return rc;
}

static int64_t list_of_hour(const struct list_entry *entry, int64_t zone)
{
    struct list list = {.zone = zone,
                        .stream = entry->stream,
                        .label = entry->label,
                        .kind = entry->kind,
                        .band = entry->band};
    return list_number(&list);
}

int lists_put(struct store *store, const struct list_entry *entry, int64_t zone)
{
    int rc = for_each_list(store, entry, zone, STATEMENT_PUT_POSTING,
                           "INSERT INTO posting (list, start_ms, number) VALUES (?, ?, ?)");
    if (rc == SQLITE_OK)
        rc = handle_run(
            store, STATEMENT_PUT_HOUR,
            "INSERT INTO hour (hour, list, detections) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET detections = detections + 1",
            HANDLE_VALUES(entry->start_ms / LIST_HOUR_MS, list_of_hour(entry, zone)));
    return rc;
}

int lists_take(struct store *store, const struct list_entry *entry, int64_t zone)
{
    int64_t hour = entry->start_ms / LIST_HOUR_MS, list = list_of_hour(entry, zone);
    int rc =
        for_each_list(store, entry, zone, STATEMENT_TAKE_POSTING,
                      "DELETE FROM posting WHERE list = ? AND start_ms = ? AND number = ?");
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_CLEAR_HOUR,
                        "DELETE FROM hour WHERE hour = ? AND list = ? AND detections = 1",
                        HANDLE_VALUES(hour, list));
    if (rc == SQLITE_OK && sqlite3_changes(store->db) == 0)
        rc = handle_run(
            store, STATEMENT_TAKE_HOUR,
            "UPDATE hour SET detections = detections - 1 WHERE hour = ? AND list = ?",
            HANDLE_VALUES(hour, list));
    return rc;
}
