/* Records and folders for the daemon's tests. */
#ifndef TESTS_DAEMON_RECORDS_H
#define TESTS_DAEMON_RECORDS_H

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "record/record.h"

/* Detection number n of a stream, in one of its phases. */
static inline struct record records_make(const char *stream, int n, enum record_phase phase)
{
    struct record record;
    uint8_t random[10] = {(uint8_t)(n >> 8), (uint8_t)n};
    record_init(&record);
    record.phase = phase;
    record.start_ms = 1700000000000 + n;
    record.time_ms = record.start_ms + 10 * (int)phase;
    record.end_ms = phase == RECORD_ENDED ? record.time_ms : RECORD_NO_TIME;
    record_id_format(record.start_ms, random, record.id);
    g_strlcpy(record.stream, stream, sizeof record.stream);
    g_strlcpy(record.label, "movement", sizeof record.label);
    g_strlcpy(record.model, "scene@01234567", sizeof record.model);
    record.score = 0.5;
    record.pts_ns = record.window_first_pts_ns = record.window_last_pts_ns = n;
    record.window_frames = 1;
    return record;
}

static inline void records_remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (!g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            records_remove_tree(child);
        g_remove(child);
    }
    g_remove(path);
}

#endif
