#include "cli/findings.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "cli/output.h"

/* After a reconnect nothing can be shown before the next key picture. */
#define GOP_SECONDS_MAX 4.0
/* Models look at pictures of a few hundred pixels a side, a few times a second. */
#define PIXELS_MAX   (1920 * 1088)
#define BITRATE_MAX  8e6
#define FPS_PER_LOOK 4
/* The worker tells its counts once a second: over less than two of these rates are guesses. */
#define SECONDS_MIN 2.0

/* Whether rates and costs can be told: something was counted while it was watched. */
static bool has_rates(const struct findings *findings)
{
    return findings->frames > 0 && findings->seconds > 0;
}

/* --- what hurts --------------------------------------------------------------------------- */

/* A sentence to free, or NULL when there is nothing to say. */
typedef char *judge(const struct findings *findings);

static char *judge_short(const struct findings *findings)
{
    if (findings->seconds >= SECONDS_MIN || findings->status.state == STREAM_ENDED)
        return NULL;
    return g_strdup_printf("it was watched for %.1f s only: %s; watch for 10 s",
                           findings->seconds,
                           has_rates(findings) ? "rates and costs are rough"
                                               : "rates and costs are not known yet");
}

static char *judge_gop(const struct findings *findings)
{
    const struct message_gop *gop = &findings->status.gop;
    if (!findings->camera || gop->max_seconds <= GOP_SECONDS_MAX)
        return NULL;
    return g_strdup_printf("key pictures are up to %.1f s apart, and as long nothing is seen "
                           "after each reconnect: set the camera's key picture (I-frame) "
                           "interval to 2 s",
                           gop->max_seconds);
}

static char *judge_no_gop(const struct findings *findings)
{
    if (!findings->camera || findings->status.gop.count > 0 ||
        findings->seconds < GOP_SECONDS_MAX)
        return NULL;
    return g_strdup_printf(
        "no second key picture came within %.0f s, and as long nothing is seen "
        "after each reconnect: set the camera's key picture (I-frame) "
        "interval to 2 s",
        findings->seconds);
}

static char *judge_open(const struct findings *findings)
{
    return findings->status.gop.open
               ? g_strdup(
                     "groups of pictures are open: the first pictures after each reconnect "
                     "are damaged; choose closed groups")
               : NULL;
}

static char *judge_order(const struct findings *findings)
{
    return findings->camera && findings->status.gop.reordered
               ? g_strdup("B-pictures delay what is seen by some pictures: turn them off")
               : NULL;
}

static char *judge_size(const struct findings *findings)
{
    const struct message_stream_status *status = &findings->status;
    if ((int64_t)status->width * status->height <= PIXELS_MAX)
        return NULL;
    return g_strdup_printf("pictures of %d x %d cost much to decode and tell a model no more: "
                           "use the camera's smaller stream",
                           status->width, status->height);
}

static char *judge_rate(const struct findings *findings)
{
    if (findings->analysed == 0 || findings->frames < findings->analysed * FPS_PER_LOOK)
        return NULL;
    return g_strdup_printf("%.0f pictures a second are decoded and the model looks at %.0f: a "
                           "lower rate costs less",
                           (double)findings->frames / findings->seconds,
                           (double)findings->analysed / findings->seconds);
}

static char *judge_depth(const struct findings *findings)
{
    return strstr(findings->status.profile, "10") || strstr(findings->status.profile, "12")
               ? g_strdup_printf(
                     "profile %s has more than 8 bits a colour, which cost more and "
                     "tell a model no more: choose 8",
                     findings->status.profile)
               : NULL;
}

static char *judge_jpeg(const struct findings *findings)
{
    return findings->camera && strcmp(findings->status.codec, "jpeg") == 0
               ? g_strdup("JPEG sends every picture whole: H.264 needs a tenth of the network")
               : NULL;
}

static char *judge_bitrate(const struct findings *findings)
{
    if (!findings->camera || findings->status.bitrate_bps <= BITRATE_MAX)
        return NULL;
    return g_strdup_printf("%.0f Mbit/s are more than analysis needs: 2 to 4 are plenty",
                           findings->status.bitrate_bps / 1e6);
}

static char *judge_times(const struct findings *findings)
{
    if (findings->status.timestamp_faults == 0)
        return NULL;
    return g_strdup_printf("%" PRId64
                           " pictures have no time, or one more than 10 s off the last: "
                           "events may be cut apart there",
                           findings->status.timestamp_faults);
}

static char *judge_damage(const struct findings *findings)
{
    if (findings->damaged == 0)
        return NULL;
    return g_strdup_printf("%" PRId64 " of %" PRId64
                           " pictures were damaged: the network or the "
                           "camera loses data",
                           findings->damaged, findings->frames);
}

static char *judge_drops(const struct findings *findings)
{
    if (findings->dropped == 0)
        return NULL;
    return g_strdup_printf("%" PRId64 " of %" PRId64
                           " pictures were dropped: this machine was too "
                           "slow for it just now",
                           findings->dropped, findings->frames);
}

static char *judge_loss(const struct findings *findings)
{
    int64_t lost = 0;
    for (int i = 0; i < REASON_COUNT; i++)
        lost += findings->status.lost[i];
    g_autofree char *times = g_strdup_printf("%" PRId64 " times", lost);
    return lost > 0 ? g_strdup_printf("the session was lost %s within %.0f s",
                                      lost == 1 ? "once" : times, findings->seconds)
                    : NULL;
}

static char *judge_secrets(const struct findings *findings)
{
    return findings->credentials && !findings->encrypted
               ? g_strdup(
                     "user and password are sent over a connection that is not encrypted: use "
                     "rtsps:// if the camera has it, or a network of its own")
               : NULL;
}

static const struct {
    const char *name; /* API of --json */
    judge *judge;
} judges[] = {
    {"too_short", judge_short},
    {"gop_long", judge_gop},
    {"gop_unknown", judge_no_gop},
    {"gop_open", judge_open},
    {"b_pictures", judge_order},
    {"too_many_pixels", judge_size},
    {"too_many_pictures", judge_rate},
    {"more_than_8_bits", judge_depth},
    {"jpeg", judge_jpeg},
    {"bitrate_high", judge_bitrate},
    {"timestamps", judge_times},
    {"damaged", judge_damage},
    {"dropped", judge_drops},
    {"lost", judge_loss},
    {"not_encrypted", judge_secrets},
};

int findings_warnings(const struct findings *findings)
{
    int count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(judges); i++) {
        g_autofree char *text = judges[i].judge(findings);
        count += text != NULL;
    }
    return count;
}

/* --- for people --------------------------------------------------------------------------- */

static const char *codec_name(const char *codec)
{
    static const char *const names[][2] = {{"h264", "H.264"}, {"h265", "H.265"},
                                           {"jpeg", "JPEG"},  {"mpeg4", "MPEG-4"},
                                           {"vp9", "VP9"},    {"scene", "rendered"}};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(names[i][0], codec) == 0)
            return names[i][1];
    return *codec ? codec : "unknown";
}

static void line(FILE *file, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void line(FILE *file, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *raw = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *text = output_printable(raw);
    fprintf(file, "  %-14s %s\n", name, text);
}

/* < 0: not known. */
static double fps_of(const struct findings *findings)
{
    return has_rates(findings) ? (double)findings->frames / findings->seconds : -1;
}

static void print_offer(const struct findings *findings, FILE *file)
{
    const struct message_stream_status *status = &findings->status;
    const struct message_gop *gop = &status->gop;
    g_autofree char *rate = has_rates(findings)
                                ? g_strdup_printf(", %.1f a second", fps_of(findings))
                                : g_strdup("");
    line(file, "pictures", "%s%s%s%s, %d x %d%s", codec_name(status->codec),
         *status->profile ? " (" : "", status->profile, *status->profile ? ")" : "",
         status->width, status->height, rate);
    if (status->bitrate_bps >= 0)
        line(file, "bitrate", "%.2f Mbit/s", status->bitrate_bps / 1e6);
    if (gop->count > 0) {
        line(file, "key pictures",
             "every %.2f s, %.2f s at most (%.0f pictures, %" PRId64 " at most)",
             gop->mean_seconds, gop->max_seconds, gop->mean_frames, gop->max_frames);
        line(file, "B-pictures", "%s", gop->reordered ? "yes" : "no");
    }
    if (findings->camera) {
        line(file, "sound", "%s", *status->audio ? status->audio : "none");
        line(file, "encryption", "%s", findings->encrypted ? "TLS" : "none");
    }
    if (status->first_packet_ms != RECORD_NO_TIME && status->first_key_ms != RECORD_NO_TIME &&
        status->connected_ms != RECORD_NO_TIME)
        line(file, "first picture", "%.1f s after the session stood",
             (double)(status->first_key_ms - status->connected_ms) / 1e3);
    if (status->latency_p50_ms >= 0)
        line(file, "delay", "%.0f ms in the median, 99 %% within %.0f ms%s",
             status->latency_p50_ms, status->latency_p99_ms,
             findings->camera ? ", beyond that of the quickest picture" : "");
}

static void print_cost(const struct findings *findings, FILE *file)
{
    double seconds = findings->seconds;
    if (findings->cpu_ms >= 0 && has_rates(findings)) {
        double rest = findings->cpu_ms - findings->decode_cpu_ms - findings->analysis_cpu_ms;
        line(file, "cost",
             "%.1f ms of a processor core a second: %.1f decoding, %.1f analysis, "
             "%.1f %s",
             findings->cpu_ms / seconds, findings->decode_cpu_ms / seconds,
             findings->analysis_cpu_ms / seconds, MAX(rest, 0) / seconds,
             findings->camera ? "receiving" : "reading");
    }
    if (findings->resident_bytes > 0)
        line(file, "memory", "%.0f MB, of which %.0f MB its own",
             (double)findings->resident_bytes / 1e6, (double)findings->own_bytes / 1e6);
}

void findings_print(const struct findings *findings, FILE *file)
{
    g_autofree char *uri = output_printable(findings->uri);
    fprintf(file, "%s, watched for %.*f s\n", uri, findings->seconds < SECONDS_MIN ? 1 : 0,
            findings->seconds);
    print_offer(findings, file);
    print_cost(findings, file);
    for (size_t i = 0; i < G_N_ELEMENTS(judges); i++) {
        g_autofree char *text = judges[i].judge(findings);
        if (text)
            line(file, "warning", "%s", text);
    }
}

/* --- for programs ------------------------------------------------------------------------- */

static json_t *real_or_null(double value, double scale)
{
    return value < 0 ? json_null() : member_real_value(value, scale);
}

static json_t *per_second(double ms, double seconds)
{
    return real_or_null(ms < 0 || seconds <= 0 ? -1 : ms / seconds, 100);
}

static json_t *warnings_to_json(const struct findings *findings)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < G_N_ELEMENTS(judges); i++) {
        g_autofree char *text = judges[i].judge(findings);
        if (text && json_array_append_new(array, json_pack("{s:s, s:s}", "name", judges[i].name,
                                                           "text", text)) < 0)
            g_clear_pointer(&array, json_decref);
    }
    return array;
}

json_t *findings_to_json(const struct findings *findings)
{
    double seconds = has_rates(findings) ? findings->seconds : 0;
    double rest = findings->cpu_ms - findings->decode_cpu_ms - findings->analysis_cpu_ms;
    return json_pack(
        "{s:s, s:o, s:b, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o}, s:o}", "uri",
        findings->uri, "seconds", member_real_value(findings->seconds, 1000), "encrypted",
        findings->encrypted, "fps", real_or_null(fps_of(findings), 100), "status",
        message_status_to_json(&findings->status), "cpu_ms_per_second", "total",
        per_second(findings->cpu_ms, seconds), "decode",
        per_second(findings->decode_cpu_ms, seconds), "analysis",
        per_second(findings->analysis_cpu_ms, seconds), "rest",
        per_second(findings->cpu_ms < 0 ? -1 : MAX(rest, 0), seconds), "memory_bytes",
        "resident",
        findings->resident_bytes > 0 ? json_integer(findings->resident_bytes) : json_null(),
        "own", findings->resident_bytes > 0 ? json_integer(findings->own_bytes) : json_null(),
        "warnings", warnings_to_json(findings));
}
