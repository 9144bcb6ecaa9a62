#include "cli/output.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *output_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *line = g_string_sized_new(strlen(valid));
    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar character = g_utf8_get_char(at);
        if (character == '\n' || character == '\t')
            g_string_append_c(line, ' ');
        else
            g_string_append_unichar(line, g_unichar_isprint(character) ? character : 0xFFFD);
    }
    return g_string_free(line, FALSE);
}

/* The first failure of stdout, a negative errno: the stream itself keeps that there was one,
 * not why. */
static int failure;

void output_text(const char *text)
{
    if (fputs(text, stdout) == EOF && failure == 0)
        failure = -errno;
}

int output_flush(void)
{
    if (fflush(stdout) != 0 && failure == 0)
        failure = -errno;
    if (ferror(stdout) && failure == 0)
        failure = -EIO;
    return failure;
}

static void print_position(int64_t ms)
{
    int64_t tenths = ms > 0 ? ms / 100 : 0;
    printf("%" PRId64 ":%02d:%02d.%d", tenths / 36000, (int)(tenths / 600 % 60),
           (int)(tenths / 10 % 60), (int)(tenths % 10));
}

/* In the time zone of whoever reads it. */
static void print_time(int64_t ms, const char *format)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);
    g_autofree char *text = time ? g_date_time_format(time, format) : NULL;
    printf("%s.%03d", text ? text : "?", (int)(ms % 1000));
}

static void print_rest(const struct record *record)
{
    if (record->phase == RECORD_ENDED)
        printf("  lasted %.1f s", (double)(record->end_ms - record->start_ms) / 1000);
    for (int i = 0; i < record->zone_count; i++)
        printf("  %s", record->zones[i]);
    if (record->damaged)
        printf("  (pictures were damaged)");
    putchar('\n');
    output_flush();
}

void output_record(const struct record *record, enum output_clock clock, int64_t origin_ms)
{
    g_autofree char *label = output_printable(record->label);
    int64_t ms = record->phase == RECORD_STARTED ? record->start_ms
                 : record->phase == RECORD_ENDED ? record->end_ms
                                                 : record->time_ms;
    if (clock == OUTPUT_POSITION)
        print_position(ms - origin_ms);
    else
        print_time(ms, "%H:%M:%S");
    printf("  %s  %s %s  %.2f", record->stream, label, record_phase_name(record->phase),
           record->score);
    print_rest(record);
}

void output_detection(const struct record *record)
{
    g_autofree char *label = output_printable(record->label);
    print_time(record->start_ms, "%Y-%m-%d %H:%M:%S");
    printf("  %s  %s  %.2f", record->stream, label, record->score);
    if (record->phase != RECORD_ENDED)
        printf("  still on");
    print_rest(record);
}

void output_window(const struct message_window *window)
{
    int64_t half_ns = (window->last_pts_ns - window->first_pts_ns) / 2;
    print_position((window->first_pts_ns + half_ns) / 1000000);
    printf("  %s  window", window->stream);
    for (int i = 0; i < window->score_count; i++) {
        g_autofree char *label = output_printable(window->labels[i]);
        printf("  %s %.2f", label, window->scores[i]);
    }
    putchar('\n');
    output_flush();
}

void output_json_line(const json_t *value)
{
    char *text = json_dumps(value, RECORD_JSON_FLAGS | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    /* DEL is the one control character that the encoder lets stand, inside strings only. */
    for (const char *at = text; at && *at; at++) {
        if (*at == 0x7f)
            fputs("\\u007F", stdout);
        else
            putchar(*at);
    }
    free(text);
    putchar('\n');
    output_flush();
}

void output_table(const char *const *cells, size_t rows, size_t columns)
{
    g_autofree glong *width = g_new0(glong, columns);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < rows * columns; i++) {
        char *text = output_printable(cells[i] ? cells[i] : "");
        width[i % columns] = MAX(width[i % columns], g_utf8_strlen(text, -1));
        g_ptr_array_add(texts, text);
    }
    for (size_t i = 0; i < rows * columns; i++) {
        const char *text = g_ptr_array_index(texts, i);
        bool last = i % columns == columns - 1;
        output_text(text);
        if (last)
            putchar('\n');
        else
            printf("%*s", (int)(width[i % columns] - g_utf8_strlen(text, -1)) + 2, "");
    }
    output_flush();
}
