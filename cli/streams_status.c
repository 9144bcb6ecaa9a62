#include "cli/streams_status.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "";
}

static json_int_t count_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

/* Negative where it is unknown. */
static double measure_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    return json_is_number(value) ? json_number_value(value) : -1;
}

/* One line, "  name       text"; nothing without text. */
static void print_line(const char *name, const GString *text)
{
    g_autofree char *shown = output_printable(text->str);
    if (text->len > 0)
        printf("  %-11s %s\n", name, shown);
}

static void append_part(GString *text, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void append_part(GString *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (text->len > 0)
        g_string_append(text, ", ");
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
}

/* Local; "" when the member is no time. */
static char *local_time(const json_t *object, const char *member)
{
    int64_t ms;
    if (record_time_parse(text_of(object, member), &ms) < 0)
        return g_strdup("");
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_local(ms / 1000);
    return moment ? g_date_time_format(moment, "%Y-%m-%d %H:%M:%S") : g_strdup("");
}

static void print_state(const json_t *stream, const json_t *status)
{
    g_autofree char *name = output_printable(text_of(stream, "name"));
    g_autofree char *state = output_printable(text_of(status, "state"));
    g_autofree char *reason = output_printable(text_of(status, "reason"));
    g_autofree char *detail = output_printable(text_of(status, "detail"));
    g_autofree char *since = local_time(status, "since");
    printf("%s: %s", name, state);
    if (*reason && strcmp(reason, "none") != 0)
        printf(", %s", reason);
    if (*since)
        printf(", since %s", since);
    putchar('\n');
    if (*detail)
        printf("  %s\n", detail);
    if (json_is_true(json_object_get(status, "degraded")))
        puts("  pictures are damaged");
    if (json_is_true(json_object_get(status, "overloaded")))
        puts("  frames are dropped, since analysis is too slow");
}

static void print_configuration(const json_t *stream, const json_t *status)
{
    g_autoptr(GString) text = g_string_new(text_of(stream, "uri"));
    if (json_is_true(json_object_get(stream, "credentials")))
        append_part(text, "with credentials");
    if (json_is_true(json_object_get(stream, "loop")))
        append_part(text, "again at its end");
    print_line("address", text);
    const char *model = text_of(status, "model");
    g_string_assign(text, *model ? model : text_of(stream, "model"));
    print_line("model", text);
    g_string_assign(text, strcmp(text_of(stream, "source"), "file") == 0
                              ? "a configuration file, and changed there"
                              : "the API");
    print_line("set by", text);
}

static void append_bitrate(GString *text, double bits)
{
    if (bits >= 1e6)
        append_part(text, "%.1f Mbit/s", bits / 1e6);
    else if (bits >= 0)
        append_part(text, "%.0f kbit/s", bits / 1e3);
}

static void print_source(const json_t *status)
{
    g_autoptr(GString) text = g_string_new(text_of(status, "codec"));
    const json_t *gop = json_object_get(status, "gop");
    if (*text_of(status, "profile"))
        g_string_append_printf(text, " %s", text_of(status, "profile"));
    if (count_of(status, "width") > 0)
        append_part(text, "%" JSON_INTEGER_FORMAT "x%" JSON_INTEGER_FORMAT,
                    count_of(status, "width"), count_of(status, "height"));
    if (measure_of(status, "fps") > 0)
        append_part(text, "%.1f frames/s", measure_of(status, "fps"));
    append_bitrate(text, measure_of(status, "bitrate_bps"));
    print_line("picture", text);

    g_string_truncate(text, 0);
    if (json_is_object(gop)) {
        const json_t *frames = json_object_get(gop, "frames");
        const json_t *seconds = json_object_get(gop, "seconds");
        append_part(text, "every %.1f s (%.0f frames)", measure_of(seconds, "mean"),
                    measure_of(frames, "mean"));
        append_part(text, "at most %.1f s (%" JSON_INTEGER_FORMAT ")",
                    measure_of(seconds, "max"), count_of(frames, "max"));
        if (json_is_true(json_object_get(gop, "reordered")))
            append_part(text, "B-pictures");
        if (json_is_true(json_object_get(gop, "open")))
            append_part(text, "open groups");
    }
    print_line("key frames", text);

    g_string_truncate(text, 0);
    if (*text_of(status, "audio"))
        append_part(text, "%s, which is not listened to", text_of(status, "audio"));
    print_line("sound", text);
}

static void print_frames(const json_t *status)
{
    static const char *const parts[] = {"analysed", "skipped", "dropped", "damaged"};
    g_autoptr(GString) text = g_string_new(NULL);
    json_int_t rest = count_of(status, "received");
    g_string_append_printf(text, "%" JSON_INTEGER_FORMAT " received =", rest);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        json_int_t count = count_of(status, parts[i]);
        g_string_append_printf(text, "%s %" JSON_INTEGER_FORMAT " %s", i ? " +" : "", count,
                               parts[i]);
        rest -= count;
    }
    if (rest > 0)
        g_string_append_printf(text, " + %" JSON_INTEGER_FORMAT " under way", rest);
    print_line("frames", text);

    g_string_printf(text, "%" JSON_INTEGER_FORMAT " scored", count_of(status, "windows"));
    if (count_of(status, "records_lost") > 0)
        append_part(text, "%" JSON_INTEGER_FORMAT " record%s could not be handed on",
                    count_of(status, "records_lost"),
                    count_of(status, "records_lost") == 1 ? "" : "s");
    if (count_of(status, "timestamp_faults") > 0)
        append_part(text, "%" JSON_INTEGER_FORMAT " picture%s with a wrong time or none",
                    count_of(status, "timestamp_faults"),
                    count_of(status, "timestamp_faults") == 1 ? "" : "s");
    print_line("windows", text);
}

static void print_times(const json_t *status)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (measure_of(status, "latency_ms") >= 0)
        append_part(text, "%.0f ms", measure_of(status, "latency_ms"));
    if (measure_of(status, "latency_p50_ms") >= 0)
        append_part(text, "of the last minute half within %.0f ms and 99 %% within %.0f ms",
                    measure_of(status, "latency_p50_ms"), measure_of(status, "latency_p99_ms"));
    print_line("latency", text);

    g_string_truncate(text, 0);
    if (measure_of(status, "decode_ms") >= 0)
        append_part(text, "decoder %.1f ms a picture", measure_of(status, "decode_ms"));
    if (measure_of(status, "inference_ms") >= 0)
        append_part(text, "network %.1f ms a frame", measure_of(status, "inference_ms"));
    if (text->len > 0)
        append_part(text, "processor %.1f s decoding and %.1f s analysing",
                    measure_of(status, "decode_cpu_ms") / 1000,
                    measure_of(status, "analysis_cpu_ms") / 1000);
    print_line("time", text);
}

static void append_times(GString *text, const char *what, json_int_t count)
{
    if (count == 1)
        append_part(text, "%s once", what);
    else
        append_part(text, "%s %" JSON_INTEGER_FORMAT " times", what, count);
}

static void print_connection(const json_t *status)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *connected = local_time(status, "connected");
    g_autofree char *last_frame = local_time(status, "last_frame");
    const char *reason;
    json_t *count;
    if (*connected)
        append_part(text, "since %s", connected);
    if (count_of(status, "attempts") > 0)
        append_times(text, "tried", count_of(status, "attempts"));
    if (count_of(status, "reconnects") > 0)
        append_times(text, "back", count_of(status, "reconnects"));
    if (*last_frame)
        append_part(text, "last frame %s", last_frame);
    print_line("connection", text);

    g_string_truncate(text, 0);
    json_object_foreach (json_object_get(status, "lost"), reason, count)
        append_part(text, "%s %" JSON_INTEGER_FORMAT, reason, json_integer_value(count));
    print_line("lost by", text);

    g_string_truncate(text, 0);
    if (count_of(status, "worker_pid") > 0)
        append_part(text, "process %" JSON_INTEGER_FORMAT, count_of(status, "worker_pid"));
    print_line("worker", text);
}

void streams_status_print(const json_t *stream)
{
    const json_t *status = json_object_get(stream, "status");
    print_state(stream, status);
    print_configuration(stream, status);
    print_source(status);
    if (count_of(status, "received") > 0)
        print_frames(status);
    print_times(status);
    print_connection(status);
}
