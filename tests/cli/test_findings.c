/* cli/findings.c: when `vigil streams test` warns, and what it says to people and programs. */
#include <string.h>

#include "cli/findings.h"
#include "tests/suite.h"

/* A camera there is nothing to say against. */
static struct findings good_camera(void)
{
    struct findings findings = {
        .uri = "rtsp://10.0.0.4/main",
        .camera = true,
        .seconds = 10,
        .cpu_ms = 250,
        .decode_cpu_ms = 150,
        .analysis_cpu_ms = 60,
        .frames = 150,
        .analysed = 80,
        .resident_bytes = 90000000,
        .own_bytes = 38000000,
    };
    struct message_stream_status *status = &findings.status;
    message_status_init(status);
    strcpy(status->stream, "camera");
    strcpy(status->codec, "h264");
    strcpy(status->profile, "high");
    strcpy(status->audio, "PCMU");
    status->width = 1280;
    status->height = 720;
    status->bitrate_bps = 2e6;
    status->gop = (struct message_gop){.count = 5,
                                       .last_frames = 30,
                                       .max_frames = 30,
                                       .mean_frames = 30,
                                       .last_seconds = 2,
                                       .mean_seconds = 2,
                                       .max_seconds = 2};
    status->connected_ms = 1000;
    status->first_packet_ms = 1100;
    status->first_key_ms = 1900;
    status->latency_p50_ms = 31;
    status->latency_p99_ms = 80;
    return findings;
}

static void long_gop(struct findings *findings)
{
    findings->status.gop.max_seconds = 4.1;
}

static void no_gop(struct findings *findings)
{
    findings->status.gop = (struct message_gop){0};
}

static void open_gop(struct findings *findings)
{
    findings->status.gop.open = true;
}

static void reordered(struct findings *findings)
{
    findings->status.gop.reordered = true;
}

static void large(struct findings *findings)
{
    findings->status.width = 2560;
    findings->status.height = 1440;
}

static void fast(struct findings *findings)
{
    findings->frames = 600;
}

static void deep(struct findings *findings)
{
    strcpy(findings->status.codec, "h265");
    strcpy(findings->status.profile, "main-10");
}

static void jpeg(struct findings *findings)
{
    strcpy(findings->status.codec, "jpeg");
}

static void heavy(struct findings *findings)
{
    findings->status.bitrate_bps = 8.1e6;
}

static void untimed(struct findings *findings)
{
    findings->status.timestamp_faults = 3;
}

static void damaged(struct findings *findings)
{
    findings->damaged = 1;
}

static void dropped(struct findings *findings)
{
    findings->dropped = 1;
}

static void lost(struct findings *findings)
{
    findings->status.lost[REASON_NO_DATA] = 2;
}

static void in_the_clear(struct findings *findings)
{
    findings->credentials = true;
}

static const struct {
    const char *name, *says;
    void (*spoil)(struct findings *findings);
} spoilt[] = {
    {"gop_long", "4.1 s apart", long_gop},
    {"gop_unknown", "within 10 s", no_gop},
    {"gop_open", "open", open_gop},
    {"b_pictures", "B-pictures", reordered},
    {"too_many_pixels", "2560 x 1440", large},
    {"too_many_pictures", "60 pictures a second", fast},
    {"more_than_8_bits", "main-10", deep},
    {"jpeg", "JPEG", jpeg},
    {"bitrate_high", "8 Mbit/s", heavy},
    {"timestamps", "3 pictures", untimed},
    {"damaged", "1 of 150", damaged},
    {"dropped", "1 of 150", dropped},
    {"lost", "2 times", lost},
    {"not_encrypted", "rtsps://", in_the_clear},
};

static char *print(const struct findings *findings)
{
    static char *text;
    static size_t size;
    FILE *file = open_memstream(&text, &size);
    findings_print(findings, file);
    fclose(file);
    return text;
}

START_TEST(a_good_camera_is_warned_of_nothing)
{
    struct findings findings = good_camera();
    ck_assert_int_eq(findings_warnings(&findings), 0);
    char *text = print(&findings);
    ck_assert_ptr_null(strstr(text, "warning"));
    static const char *const said[] = {"H.264 (high), 1280 x 720, 15.0 a second",
                                       "2.00 Mbit/s",
                                       "every 2.00 s, 2.00 s at most (30 pictures",
                                       "PCMU",
                                       "none",
                                       "0.9 s after the session stood",
                                       "25.0 ms of a processor core a second",
                                       ": 15.0 decoding, 6.0 analysis, 4.0 receiving",
                                       "90 MB, of which 38 MB its own"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        ck_assert_msg(strstr(text, said[i]), "%s is not in\n%s", said[i], text);
    free(text);
}
END_TEST

START_TEST(each_thing_that_hurts_is_one_warning_that_says_what_to_do)
{
    struct findings findings = good_camera();
    spoilt[_i].spoil(&findings);
    ck_assert_int_eq(findings_warnings(&findings), 1);
    char *text = print(&findings);
    const char *warning = strstr(text, "warning");
    ck_assert_msg(warning && strstr(warning, spoilt[_i].says), "%s: %s", spoilt[_i].name, text);
    free(text);
    json_t *object = findings_to_json(&findings);
    json_t *array = json_object_get(object, "warnings");
    ck_assert_int_eq(json_array_size(array), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(array, 0), "name")),
                     spoilt[_i].name);
    json_decref(object);
}
END_TEST

START_TEST(an_encrypted_camera_may_be_sent_a_password)
{
    struct findings findings = good_camera();
    findings.credentials = findings.encrypted = true;
    ck_assert_int_eq(findings_warnings(&findings), 0);
}
END_TEST

START_TEST(a_file_is_not_told_what_only_a_camera_can_change)
{
    struct findings findings = good_camera();
    findings.camera = false;
    long_gop(&findings);
    reordered(&findings);
    heavy(&findings);
    ck_assert_int_eq(findings_warnings(&findings), 0);
    no_gop(&findings);
    ck_assert_int_eq(findings_warnings(&findings), 0);
}
END_TEST

/* The worker tells its counts once a second: whoever looked away sooner has seen none. */
START_TEST(a_look_that_was_too_short_is_said_and_gives_no_rates)
{
    struct findings findings = good_camera();
    findings.seconds = 0.4;
    char *text = print(&findings);
    ck_assert_ptr_nonnull(strstr(text, "watched for 0.4 s\n"));
    ck_assert_ptr_nonnull(strstr(text, "watched for 0.4 s only: rates and costs are rough"));
    free(text);
    findings.frames = findings.analysed = 0;
    text = print(&findings);
    ck_assert_ptr_nonnull(strstr(text, "rates and costs are not known yet"));
    ck_assert_ptr_null(strstr(text, "a second"));
    ck_assert_ptr_null(strstr(text, "\n  cost"));
    free(text);
    json_t *object = findings_to_json(&findings);
    ck_assert(json_is_null(json_object_get(object, "fps")));
    ck_assert(
        json_is_null(json_object_get(json_object_get(object, "cpu_ms_per_second"), "total")));
    ck_assert(json_real_value(json_object_get(object, "seconds")) < 0.5);
    json_decref(object);
    findings.status.state = STREAM_ENDED;
    ck_assert_int_eq(findings_warnings(&findings), 0);
}
END_TEST

START_TEST(what_is_unknown_is_null_and_not_said)
{
    struct findings findings = {.uri = "scene://street", .seconds = 0, .cpu_ms = -1};
    message_status_init(&findings.status);
    strcpy(findings.status.stream, "s");
    json_t *object = findings_to_json(&findings);
    ck_assert_ptr_nonnull(object);
    json_t *cost = json_object_get(object, "cpu_ms_per_second");
    ck_assert(json_is_null(json_object_get(cost, "total")));
    ck_assert(json_is_null(json_object_get(cost, "decode")));
    ck_assert(json_is_null(json_object_get(json_object_get(object, "memory_bytes"), "own")));
    json_decref(object);
    char *text = print(&findings);
    ck_assert_ptr_null(strstr(text, "\n  cost"));
    ck_assert_ptr_null(strstr(text, "memory"));
    free(text);
}
END_TEST

START_TEST(what_a_camera_calls_itself_does_not_reach_the_terminal_raw)
{
    struct findings findings = good_camera();
    strcpy(findings.status.audio, "\x1b[31mX");
    char *text = print(&findings);
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("findings");
    tcase_add_test(all, a_good_camera_is_warned_of_nothing);
    tcase_add_loop_test(all, each_thing_that_hurts_is_one_warning_that_says_what_to_do, 0,
                        sizeof spoilt / sizeof *spoilt);
    tcase_add_test(all, an_encrypted_camera_may_be_sent_a_password);
    tcase_add_test(all, a_file_is_not_told_what_only_a_camera_can_change);
    tcase_add_test(all, a_look_that_was_too_short_is_said_and_gives_no_rates);
    tcase_add_test(all, what_is_unknown_is_null_and_not_said);
    tcase_add_test(all, what_a_camera_calls_itself_does_not_reach_the_terminal_raw);
    return suite_run("cli/findings", &all, 1);
}
