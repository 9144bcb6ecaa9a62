#include "api/html.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void put_character(FILE *out, char character)
{
    switch (character) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    default:
        fputc(character, out);
    }
}

static void put_text(FILE *out, const char *text)
{
    for (; *text; text++)
        put_character(out, *text);
}

/* May be broken between its parts, so that a browser need not break within one. */
static void put_address(FILE *out, const char *address)
{
    for (; *address; address++) {
        if (*address == '?' || *address == '&')
            fputs("<wbr>", out);
        put_character(out, *address);
        if (address[0] == '/' && address[1] != '/')
            fputs("<wbr>", out);
    }
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "";
}

#define ZONE_SIZE 16

/* What local time is called, which changes with summer. */
static void format_zone(int64_t ms, char ret_zone[ZONE_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    if (!localtime_r(&seconds, &local) || strftime(ret_zone, ZONE_SIZE, "%Z", &local) == 0)
        ret_zone[0] = '\0';
}

/* Local time, since whoever reads this sits at this machine. Its zone stands behind it unless
 * it is `known`, which what stands above says. */
static void put_time(FILE *out, int64_t ms, const char *known)
{
    char machine[RECORD_TIME_SIZE], shown[64], zone[ZONE_SIZE];
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    record_time_format(ms, machine);
    format_zone(ms, zone);
    if (!localtime_r(&seconds, &local) ||
        strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(shown, sizeof shown, "%s", machine);
        zone[0] = '\0';
    }
    fprintf(out, "<time datetime=\"%s\">", machine);
    put_text(out, shown);
    if (*zone && strcmp(zone, known) != 0) {
        fputc(' ', out);
        put_text(out, zone);
    }
    fputs("</time>", out);
}

static void put_duration(FILE *out, int64_t ms)
{
    if (ms < 60000)
        fprintf(out, "%.1f s", (double)ms / 1000);
    else if (ms < 3600000)
        fprintf(out, "%d:%02d min", (int)(ms / 60000), (int)(ms / 1000 % 60));
    else
        fprintf(out, "%lld:%02d h", (long long)(ms / 3600000), (int)(ms / 60000 % 60));
}

/* --- head ------------------------------------------------------------------------------- */

static int count_live(const json_t *streams)
{
    size_t index;
    const json_t *stream;
    int count = 0;
    json_array_foreach (streams, index, stream)
        count += strcmp(text_of(json_object_get(stream, "status"), "state"), "live") == 0;
    return count;
}

static void put_head(FILE *out, const struct api_html_page *page)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n",
          out);
    if (page->refresh_s > 0)
        fprintf(out, "<meta http-equiv=\"refresh\" content=\"%d\">\n", page->refresh_s);
    fputs(
        "<title>vigil</title>\n<link rel=\"stylesheet\" href=\"/page.css\">\n</head>\n<body>\n"
        "<header>\n<h1>vigil</h1>\n<p>",
        out);
    if (page->streams)
        fprintf(out, "%d of %zu streams live, ", count_live(page->streams),
                json_array_size(page->streams));
    put_time(out, (int64_t)time(NULL) * 1000, "");
    fputs("</p>\n<nav>", out);
    if (page->refresh_s > 0)
        fprintf(out, "<span>every %d s anew (<a href=\"/?refresh=0\">pause</a>)</span>",
                page->refresh_s);
    else
        fputs("<a href=\"/\">refresh</a>", out);
    fputs(" <a href=\"/openapi.json\">API</a> <a href=\"/metrics\">metrics</a> "
          "<a href=\"/readyz\">health</a></nav>\n</header>\n",
          out);
}

/* --- streams ---------------------------------------------------------------------------- */

static void put_fact(FILE *out, const char *name, const char *value)
{
    if (!*value)
        return;
    fprintf(out, "<dt>%s</dt><dd>", name);
    put_text(out, value);
    fputs("</dd>", out);
}

static void put_measures(FILE *out, const json_t *status)
{
    char text[96];
    int width = (int)json_integer_value(json_object_get(status, "width"));
    int height = (int)json_integer_value(json_object_get(status, "height"));
    double fps = json_number_value(json_object_get(status, "fps"));
    json_int_t dropped = json_integer_value(json_object_get(status, "dropped"));
    const json_t *latency = json_object_get(status, "latency_p50_ms");
    if (width > 0) {
        snprintf(text, sizeof text, "%.20s %d\xc3\x97%d, %.1f/s", text_of(status, "codec"),
                 width, height, fps);
        put_fact(out, "picture", text);
    }
    if (json_is_number(latency)) {
        snprintf(text, sizeof text, "%.0f ms", json_number_value(latency));
        put_fact(out, "latency", text);
    }
    if (dropped > 0) {
        snprintf(text, sizeof text, "%lld frame%s", (long long)dropped,
                 dropped == 1 ? "" : "s");
        put_fact(out, "dropped", text);
    }
}

/* The name is one that record_name_is_valid, but this does not rely on it. */
static void put_link(FILE *out, const char *name, const char *what)
{
    fputs("/api/v1/streams/", out);
    put_text(out, name);
    fputs(what, out);
}

static void put_picture(FILE *out, const char *name, const char *state)
{
    if (strcmp(state, "live") != 0) {
        fputs("<div class=\"dark\">no picture</div>\n", out);
        return;
    }
    fputs("<a href=\"", out);
    put_link(out, name, "/live.mjpeg");
    fputs("\"><img src=\"", out);
    put_link(out, name, "/snapshot.jpg");
    fputs("\" alt=\"latest picture of ", out);
    put_text(out, name);
    fputs("\" width=\"320\" height=\"180\"></a>\n", out);
}

static void put_stream(FILE *out, const json_t *stream)
{
    const json_t *status = json_object_get(stream, "status");
    const char *name = text_of(stream, "name");
    const char *state = text_of(status, "state");
    const char *reason = text_of(status, "reason");
    fputs("<article class=\"stream ", out);
    put_text(out, state);
    fputs("\">\n", out);
    put_picture(out, name, state);
    fputs("<h3>", out);
    put_text(out, name);
    fputs("</h3>\n<p class=\"state\"><b>", out);
    put_text(out, state);
    fputs("</b>", out);
    if (*reason && strcmp(reason, "none") != 0) {
        fputs(", ", out);
        put_text(out, reason);
    }
    if (json_is_true(json_object_get(status, "degraded")))
        fputs(", pictures are damaged", out);
    if (json_is_true(json_object_get(status, "overloaded")))
        fputs(", too slow", out);
    fputs("</p>\n<dl>", out);
    put_fact(out, "says", text_of(status, "detail"));
    put_measures(out, status);
    put_fact(out, "model", text_of(stream, "model"));
    fputs("<dt>address</dt><dd>", out);
    put_address(out, text_of(stream, "uri"));
    fputs("</dd></dl>\n</article>\n", out);
}

static void put_streams(FILE *out, const json_t *streams)
{
    size_t index;
    const json_t *stream;
    fputs("<section>\n<h2>Streams</h2>\n", out);
    if (!streams)
        fputs("<p>They cannot be told at the moment.</p>\n", out);
    else if (json_array_size(streams) == 0)
        fputs(
            "<p>There are none. Add one: <code>vigil streams add NAME rtsp://...</code></p>\n",
            out);
    fputs("<div class=\"streams\">\n", out);
    json_array_foreach (streams, index, stream)
        put_stream(out, stream);
    fputs("</div>\n</section>\n", out);
}

/* --- detections ------------------------------------------------------------------------- */

static void put_detection(FILE *out, const struct record *record, const char *zone)
{
    fputs("<tr><td>", out);
    put_time(out, record->start_ms, zone);
    fputs("</td><td>", out);
    put_text(out, record->stream);
    fputs("</td><td><a href=\"/api/v1/detections/", out);
    put_text(out, record->id);
    fputs("\">", out);
    put_text(out, record->label);
    fprintf(out, "</a></td><td class=\"number\">%.2f</td><td class=\"number\">", record->score);
    if (record->end_ms == RECORD_NO_TIME)
        fputs("<b>still on</b>", out);
    else
        put_duration(out, record->end_ms - record->start_ms);
    fputs("</td></tr>\n", out);
}

static void put_detections(FILE *out, const struct api_html_page *page)
{
    fputs("<section>\n<h2>Last detections</h2>\n", out);
    if (page->detection_count < 0)
        fputs("<p>They cannot be read at the moment.</p>\n", out);
    else if (page->detection_count == 0)
        fputs("<p>There are none.</p>\n", out);
    if (page->detection_count > 0) {
        char zone[ZONE_SIZE];
        format_zone(page->detections[0].start_ms, zone);
        fputs("<div class=\"wide\"><table>\n<thead><tr><th>began", out);
        if (*zone) {
            fputs(", ", out);
            put_text(out, zone);
        }
        fputs("</th><th>stream</th><th>what</th><th>score</th><th>lasted</th></tr></thead>\n"
              "<tbody>\n",
              out);
        for (int i = 0; i < page->detection_count; i++)
            put_detection(out, &page->detections[i], zone);
        fputs("</tbody>\n</table></div>\n"
              "<p><a href=\"/api/v1/detections\">all of them, as JSON</a></p>\n",
              out);
    }
    fputs("</section>\n", out);
}

char *api_html_write(const struct api_html_page *page)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    put_head(out, page);
    fputs("<main>\n", out);
    put_streams(out, page->streams);
    put_detections(out, page);
    fputs("</main>\n<footer>vigild ", out);
    put_text(out, page->version);
    fputs("</footer>\n</body>\n</html>\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
