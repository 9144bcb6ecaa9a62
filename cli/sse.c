#include "cli/sse.h"

#include <errno.h>
#include <string.h>

void sse_reader_init(struct sse_reader *reader)
{
    *reader = (struct sse_reader){
        .line = g_string_new(NULL),
        .data = g_string_new(NULL),
        .id = g_string_new(NULL),
        .event = g_string_new(NULL),
    };
}

void sse_reader_finish(struct sse_reader *reader)
{
    g_string_free(reader->line, TRUE);
    g_string_free(reader->data, TRUE);
    g_string_free(reader->id, TRUE);
    g_string_free(reader->event, TRUE);
}

static int take_field(struct sse_reader *reader, const char *name, const char *value)
{
    if (strcmp(name, "data") == 0) {
        g_string_append(reader->data, value);
        g_string_append_c(reader->data, '\n');
        if (reader->data->len > SSE_TEXT_MAX)
            return -EMSGSIZE;
    } else if (strcmp(name, "event") == 0) {
        g_string_assign(reader->event, value);
    } else if (strcmp(name, "id") == 0) {
        g_string_assign(reader->id, value);
        reader->id_given = true;
    }
    return 0;
}

static int take_line(struct sse_reader *reader,
                     int (*take)(void *owner, const struct sse_event *event), void *owner)
{
    int status = 0;
    char *line = reader->line->str;
    if (!*line && (reader->data->len > 0 || reader->id_given)) {
        if (reader->data->len > 0)
            g_string_truncate(reader->data, reader->data->len - 1);
        const struct sse_event event = {
            .id = reader->id->str,
            .event = reader->event->len > 0 ? reader->event->str : "message",
            .data = reader->data->str,
        };
        status = take(owner, &event);
    }
    if (!*line) {
        g_string_truncate(reader->data, 0);
        g_string_truncate(reader->event, 0);
        reader->id_given = false;
    } else if (*line != ':') {
        char *colon = strchr(line, ':');
        const char *value = "";
        if (colon) {
            *colon = 0;
            value = colon[1] == ' ' ? colon + 2 : colon + 1;
        }
        status = take_field(reader, line, value);
    }
    g_string_truncate(reader->line, 0);
    return status;
}

int sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size,
                    int (*take)(void *owner, const struct sse_event *event), void *owner)
{
    for (size_t i = 0; i < size; i++) {
        /* A line ends in CR, LF or both. */
        bool second = reader->after_cr && bytes[i] == '\n';
        reader->after_cr = bytes[i] == '\r';
        if (second)
            continue;
        int status = 0;
        if (bytes[i] == '\r' || bytes[i] == '\n')
            status = take_line(reader, take, owner);
        else if (reader->line->len >= SSE_TEXT_MAX)
            status = -EMSGSIZE;
        else if (bytes[i])
            g_string_append_c(reader->line, bytes[i]);
        if (status != 0)
            return status;
    }
    return 0;
}
