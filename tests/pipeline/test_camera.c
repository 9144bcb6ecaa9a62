/* A real vigil-worker against a real RTSP server: sessions, faults, and what is said of
 * them. */
#include "tests/pipeline/parent.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/suite.h"

static struct parent parent;
static struct server server;

#define SERVER(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct message camera(const char *format, int port)
{
    char uri[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(uri, sizeof uri, format, port);
#pragma GCC diagnostic pop
    return parent_stream("camera", uri);
}

static void start_worker(void)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
}

START_TEST(twenty_of_twenty_sources_and_decoders_are_built_behind_the_sandbox)
{
    static const char *const codecs[] = {"h264", "h265", "jpeg"};
    server = server_start(0, SERVER("--codec", codecs[_i], "--gop", "1", "--pattern", "ball"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    for (int i = 0; i < 20; i++) {
        parent_start_stream(&parent, &start, NULL);
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
        ck_assert_str_eq(parent.message.status.codec, codecs[_i]);
        /* An instrumented machine at its limits may keep a picture back for three seconds. */
        if (PARENT_PATIENCE == 1)
            ck_assert_int_eq(parent.message.status.attempts, 1);
        parent_stop_stream(&parent, "camera");
    }
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_camera_joined_mid_gop_is_analysed_from_its_first_key_picture)
{
    server = server_start(0, SERVER("--pattern", "scene"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    while (parent.message.status.first_analysed_ms == RECORD_NO_TIME);
    const struct message_stream_status *status = &parent.message.status;
    ck_assert_int_le(status->connected_ms, status->first_packet_ms);
    ck_assert_int_le(status->first_packet_ms, status->first_key_ms);
    ck_assert_int_ge(status->first_analysed_ms, status->first_key_ms);
    ck_assert_int_le(status->first_analysed_ms - status->first_key_ms, 1000 * PARENT_PATIENCE);
    ck_assert_int_eq(status->damaged, 0);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(what_a_camera_sends_is_measured)
{
    server = server_start(0, SERVER("--gop", "1", "--pattern", "ball", "--fps", "20"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    const struct message_stream_status *status = &parent.message.status;
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    while (status->bitrate_bps < 0);
    ck_assert_int_ge(status->gop.count, 2);
    ck_assert_int_eq(status->gop.max_frames, 20);
    ck_assert_double_eq_tol(status->gop.mean_seconds, 1, 0.05);
    ck_assert(!status->gop.reordered && !status->gop.open);
    ck_assert_str_eq(status->profile, "constrained-baseline");
    ck_assert_str_eq(status->audio, "");
    ck_assert_int_eq(status->timestamp_faults, 0);
    ck_assert_double_gt(status->bitrate_bps, 10e3);
    ck_assert_double_lt(status->bitrate_bps, 10e6);
    ck_assert_int_eq(histogram_count(&status->latency), status->analysed);
    ck_assert_double_ge(status->latency_p99_ms, status->latency_p50_ms);
    ck_assert_double_gt(status->latency_p50_ms, 0);
    ck_assert_double_gt(status->decode_ms, 0);
    ck_assert_int_ge(status->since_ms, status->first_packet_ms);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

static const struct {
    const char *uri;
    const char *user, *password;
    enum stream_state state;
    enum stream_reason reason;
    const char *detail;
} faults[] = {
    {"rtsp://127.0.0.1:%d/stream", "", "", STREAM_BACKOFF, REASON_AUTH_FAILED, "401"},
    {"rtsp://127.0.0.1:%d/stream", "viewer", "wrong", STREAM_BACKOFF, REASON_AUTH_FAILED,
     "401"},
    {"rtsp://127.0.0.1:%d/missing", "viewer", "right", STREAM_BACKOFF, REASON_NOT_FOUND, "404"},
    {"rtsps://127.0.0.1:%d/stream", "viewer", "right", STREAM_BACKOFF, REASON_TLS, "TLS"},
    {"rtsp://127.0.0.1:1/%d", "", "", STREAM_BACKOFF, REASON_REFUSED, "listens"},
    {"rtsp://nowhere.invalid:%d/x", "", "", STREAM_BACKOFF, REASON_DNS, "resolve"},
    {"http://127.0.0.1:%d/", "", "", STREAM_FAILED, REASON_INTERNAL, "http"},
    {"rtsp://a:b@127.0.0.1:%d/", "", "", STREAM_FAILED, REASON_INTERNAL, "credentials"},
    {"rtsp://127.0.0.1:%d/stream", "viewer", "right", STREAM_LIVE, REASON_NONE, ""},
};

START_TEST(each_fault_of_a_camera_has_its_name_within_five_and_a_half_seconds)
{
    /* The server's clients know it as basic and as digest. */
    server = server_start(
        0, SERVER("--user", "viewer", "--password", "right", _i % 2 ? "--digest" : "--once"));
    start_worker();
    struct message start = camera(faults[_i].uri, server.port);
    snprintf(start.start.user, sizeof start.start.user, "%s", faults[_i].user);
    snprintf(start.start.password, sizeof start.start.password, "%s", faults[_i].password);
    parent_start_stream(&parent, &start, NULL);
    if (faults[_i].reason == REASON_DNS) {
        parent_await(&parent, MESSAGE_RESOLVE, 2000);
        ck_assert_str_eq(parent.message.resolve.host, "nowhere.invalid");
        struct message none = {.type = MESSAGE_RESOLVED,
                               .resolved.request = parent.message.resolve.request};
        parent_send(&parent, &none, NULL, 0);
    }
    parent_await_state(&parent, faults[_i].state, (int)faults[_i].reason, 5500);
    ck_assert_msg(strstr(parent.message.status.detail, faults[_i].detail), "%s",
                  parent.message.status.detail);
    ck_assert_msg(!strstr(parent.message.status.detail, "wrong"), "a password is shown");
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_name_is_resolved_outside_and_connected_by_address)
{
    server = server_start(0, SERVER("--gop", "1"));
    start_worker();
    struct message start = camera("rtsp://camera.invalid:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await(&parent, MESSAGE_RESOLVE, 2000);
    ck_assert_str_eq(parent.message.resolve.host, "camera.invalid");
    struct message answer = {.type = MESSAGE_RESOLVED,
                             .resolved = {.request = parent.message.resolve.request,
                                          .address_count = 1,
                                          .addresses = {"127.0.0.1"}}};
    parent_send(&parent, &answer, NULL, 0);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

/* ---- encryption ---- */

static char *tls_folder;

/* A certificate for this name ("IP:127.0.0.1") that signs itself, its key behind it. */
static char *make_certificate(const char *name)
{
    tls_folder = g_dir_make_tmp("vigil-camera-XXXXXX", NULL);
    ck_assert_ptr_nonnull(tls_folder);
    char *path = g_build_filename(tls_folder, "camera.pem", NULL);
    g_autofree char *command = g_strdup_printf(
        "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        "-keyout key.pem -out camera.pem -days 2 -subj /CN=camera -addext subjectAltName=%s "
        "2>openssl.log && cat key.pem >> camera.pem",
        tls_folder, name);
    ck_assert_int_eq(system(command), 0);
    return path;
}

static void remove_certificate(void)
{
    static const char *const files[] = {"camera.pem", "key.pem", "openssl.log"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        g_autofree char *path = g_build_filename(tls_folder, files[i], NULL);
        unlink(path);
    }
    rmdir(tls_folder);
    g_clear_pointer(&tls_folder, g_free);
}

START_TEST(an_encrypted_camera_is_met_again_and_again_behind_the_sandbox)
{
    g_autofree char *certificate = make_certificate("IP:127.0.0.1");
    g_autofree char *trust = g_strconcat("--tls-ca=", certificate, NULL);
    server = server_start(0, SERVER("--gop", "1", "--tls", certificate));
    parent_start(&parent, trust);
    parent_await_ready(&parent);
    struct message start = camera("rtsps://127.0.0.1:%d/stream", server.port);
    for (int i = 0; i < 5; i++) {
        parent_start_stream(&parent, &start, NULL);
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
        parent_stop_stream(&parent, "camera");
    }
    parent_quit(&parent);
    server_stop(&server);
    remove_certificate();
}
END_TEST

static const struct {
    const char *name; /* the certificate is for */
    bool trusted;
    const char *detail;
} refusals[] = {
    {"IP:127.0.0.1", false, "signed by nobody this machine trusts"},
    {"DNS:another.example", true, "for another name"},
};

START_TEST(a_certificate_that_is_not_good_for_the_camera_is_refused_saying_why)
{
    g_autofree char *certificate = make_certificate(refusals[_i].name);
    g_autofree char *trust = g_strconcat("--tls-ca=", certificate, NULL);
    server = server_start(0, SERVER("--gop", "1", "--tls", certificate));
    parent_start(&parent, refusals[_i].trusted ? trust : NULL);
    parent_await_ready(&parent);
    struct message start = camera("rtsps://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_BACKOFF, REASON_TLS, 5500);
    ck_assert_msg(strstr(parent.message.status.detail, refusals[_i].detail), "%s",
                  parent.message.status.detail);
    ck_assert_int_eq(parent.message.status.received, 0);
    parent_quit(&parent);
    server_stop(&server);
    remove_certificate();
}
END_TEST

START_TEST(a_file_without_a_certificate_is_no_authority)
{
    g_free(make_certificate("IP:127.0.0.1"));
    g_autofree char *trust =
        g_strdup_printf("--tls-ca=%s/%s", tls_folder, _i ? "absent.pem" : "openssl.log");
    parent_start(&parent, trust);
    int status = parent_await_end(&parent);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 70);
    remove_certificate();
}
END_TEST

START_TEST(a_codec_without_a_decoder_is_named)
{
    server = server_start(0, SERVER("--codec", "vp8"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_FAILED, REASON_UNSUPPORTED_CODEC, 5500);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "VP8"));
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_camera_that_sends_over_udp_only_says_what_to_change)
{
    server = server_start(0, SERVER("--udp-only"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_FAILED, REASON_TRANSPORT, 5500);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "TCP"));
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(sound_beside_the_pictures_is_named_and_left_alone)
{
    server = server_start(0, SERVER("--audio", "--gop", "1"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
    ck_assert_str_eq(parent.message.status.audio, "PCMU");
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_camera_that_others_watch_too_is_seen_without_a_pause)
{
    server = server_start(0, SERVER("--pattern", "ball"));
    start_worker();
    struct message other = parent_stream("other", "");
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    snprintf(other.start.uri, sizeof other.start.uri, "%s", start.start.uri);
    parent_start_stream(&parent, &other, NULL);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    const struct message_stream_status *status = &parent.message.status;
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        parent_start_stream(&parent, &start, NULL);
        do
            parent_await(&parent, MESSAGE_STREAM_STATUS, 6000);
        while (strcmp(status->stream, "camera") != 0 ||
               status->first_packet_ms == RECORD_NO_TIME);
        least = MIN(least, status->first_packet_ms - status->connected_ms);
        parent_stop_stream(&parent, "camera");
    }
    /* A buffer that waits for what came before the first packet would take 200 ms. */
    ck_assert_int_le(least, 150 * PARENT_PATIENCE);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_server_that_dies_is_seen_at_once_and_met_again_within_a_second)
{
    server = server_start(0, SERVER("--pattern", "ball"));
    int port = server.port;
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    server_stop(&server);
    int64_t seen = parent_await_state(&parent, STREAM_STALLED, -1, 3500);
    ck_assert_int_le(seen, 3500 * PARENT_PATIENCE);
    /* A while without it: the worker tries on, and says so each second. */
    for (int i = 0; i < 4; i++)
        parent_await_state(&parent, STREAM_BACKOFF, REASON_REFUSED, 2000);
    server = server_start(port, SERVER("--pattern", "ball"));
    int64_t back = g_get_real_time() / 1000;
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    while (parent.message.status.first_packet_ms == RECORD_NO_TIME);
    ck_assert_int_le(parent.message.status.first_packet_ms - back, 1500 * PARENT_PATIENCE);
    ck_assert_int_eq(parent.message.status.reconnects, 1);
    ck_assert_int_ge(parent.message.status.attempts, 5);
    ck_assert_int_eq(parent.message.status.lost[REASON_REFUSED], 0);
    ck_assert_int_eq(parent.message.status.lost[REASON_DISCONNECTED] +
                         parent.message.status.lost[REASON_NO_DATA],
                     1);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

START_TEST(a_camera_that_falls_silent_is_noticed_after_three_seconds)
{
    server = server_start(0, SERVER("--gop", "1"));
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", server.port);
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    kill(server.pid, SIGSTOP);
    int64_t seen = parent_await_state(&parent, STREAM_STALLED, REASON_NO_DATA, 3600);
    ck_assert_int_ge(seen, 2500);
    kill(server.pid, SIGCONT);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 6000);
    parent_quit(&parent);
    server_stop(&server);
}
END_TEST

/* ---- a camera that sends us elsewhere ---- */

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* One RTSP request from fd; false at its end. */
static bool read_request(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (; used < size - 1; used++) {
        if (read(fd, text + used, 1) != 1)
            return false;
        text[used + 1] = '\0';
        if (strstr(text, "\r\n\r\n"))
            return true;
    }
    return false;
}

/* Answers one connection: allows everything, then redirects to the other port. */
static void redirect(int listener, int to)
{
    int fd = accept(listener, NULL, NULL);
    char request[2048] = "", answer[512];
    int number;
    while (read_request(fd, request, sizeof request)) {
        const char *cseq = strstr(request, "CSeq:");
        ck_assert(cseq && sscanf(cseq, "CSeq: %d", &number) == 1);
        bool options = g_str_has_prefix(request, "OPTIONS");
        int length = snprintf(answer, sizeof answer,
                              options ? "RTSP/1.0 200 OK\r\nCSeq: %d\r\n"
                                        "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"
                                      : "RTSP/1.0 302 Moved Temporarily\r\nCSeq: %d\r\n"
                                        "Location: rtsp://127.0.0.1:%d/elsewhere\r\n\r\n",
                              number, to);
        ck_assert_int_eq(write(fd, answer, (size_t)length), length);
        if (!options)
            break;
    }
    close(fd);
}

START_TEST(a_camera_that_sends_us_elsewhere_is_not_followed)
{
    int port, other_port;
    int camera_fd = listen_anywhere(&port), other = listen_anywhere(&other_port);
    start_worker();
    struct message start = camera("rtsp://127.0.0.1:%d/stream", port);
    snprintf(start.start.user, sizeof start.start.user, "viewer");
    snprintf(start.start.password, sizeof start.start.password, "right");
    parent_start_stream(&parent, &start, NULL);
    redirect(camera_fd, other_port);
    close(camera_fd);
    parent_await_state(&parent, STREAM_BACKOFF, REASON_NOT_FOUND, 5500);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "elsewhere"));
    /* Whatever connected there said nothing before it left. */
    struct pollfd poll_for = {.fd = other, .events = POLLIN};
    while (poll(&poll_for, 1, 0) > 0) {
        char byte;
        int fd = accept4(other, NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_eq(read(fd, &byte, 1), 0);
        close(fd);
    }
    close(other);
    parent_quit(&parent);
}
END_TEST

int main(void)
{
    TCase *sessions = tcase_create("sessions");
    tcase_set_timeout(sessions, 120);
    tcase_add_loop_test(
        sessions, twenty_of_twenty_sources_and_decoders_are_built_behind_the_sandbox, 0, 3);
    tcase_add_test(sessions, a_camera_joined_mid_gop_is_analysed_from_its_first_key_picture);
    tcase_add_test(sessions, what_a_camera_sends_is_measured);
    tcase_add_test(sessions, a_camera_that_others_watch_too_is_seen_without_a_pause);
    tcase_add_test(sessions, sound_beside_the_pictures_is_named_and_left_alone);
    tcase_add_test(sessions, a_name_is_resolved_outside_and_connected_by_address);
    TCase *tls = tcase_create("tls");
    tcase_set_timeout(tls, 120);
    tcase_add_test(tls, an_encrypted_camera_is_met_again_and_again_behind_the_sandbox);
    tcase_add_loop_test(tls,
                        a_certificate_that_is_not_good_for_the_camera_is_refused_saying_why, 0,
                        sizeof refusals / sizeof *refusals);
    tcase_add_loop_test(tls, a_file_without_a_certificate_is_no_authority, 0, 2);
    TCase *trouble = tcase_create("trouble");
    tcase_set_timeout(trouble, 60);
    tcase_add_loop_test(trouble,
                        each_fault_of_a_camera_has_its_name_within_five_and_a_half_seconds, 0,
                        sizeof faults / sizeof *faults);
    tcase_add_test(trouble, a_camera_that_sends_us_elsewhere_is_not_followed);
    tcase_add_test(trouble, a_codec_without_a_decoder_is_named);
    tcase_add_test(trouble, a_camera_that_sends_over_udp_only_says_what_to_change);
    tcase_add_test(trouble, a_server_that_dies_is_seen_at_once_and_met_again_within_a_second);
    tcase_add_test(trouble, a_camera_that_falls_silent_is_noticed_after_three_seconds);
    TCase *cases[] = {sessions, tls, trouble};
    return suite_run("pipeline/camera", cases, 3);
}
