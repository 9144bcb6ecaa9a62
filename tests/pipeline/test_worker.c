/* A real vigil-worker, driven as its parents drive it. */
#include "tests/pipeline/parent.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <gst/gst.h>

#include "tests/suite.h"

static struct parent parent;
static char *folder;

static void make_folder(void)
{
    folder = g_dir_make_tmp("vigil-worker-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
}

static void remove_folder(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        unlink(path);
    }
    rmdir(folder);
    g_clear_pointer(&folder, g_free);
}

static char *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* ---- the process ---- */

START_TEST(it_says_ready_once_its_sandbox_is_closed_and_ends_when_asked)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    ck_assert_int_eq(parent.message.ready.pid, parent.pid);
    parent_quit(&parent);
}
END_TEST

START_TEST(it_ends_when_its_parent_is_gone)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    shutdown(parent.fd, SHUT_RDWR);
    int status = parent_await_end(&parent);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

static const char *const nonsense[] = {
    "",
    "{",
    "[]",
    "{\"type\":\"stream.start\"}",
    "{\"type\":\"ready\",\"pid\":1,\"locked\":true,\"version\":\"1\"}",
    "{\"type\":\"stream.stop\",\"stream\":\"../x\"}",
};

START_TEST(a_message_that_is_none_ends_it)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    const char *text = nonsense[_i];
    /* An empty packet is what the peer's end looks like. */
    ck_assert_int_ge(send(parent.fd, text, strlen(text), 0), 0);
    int status = parent_await_end(&parent);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), *text ? 70 : 0);
}
END_TEST

static const char *const deeds[] = {"open", "create", "stat",   "exec", "fork",     "listen",
                                    "unix", "udp",    "ptrace", "kill", "mmap-exec"};

START_TEST(each_forbidden_deed_kills_it)
{
    g_autofree char *option = g_strdup_printf("--test-hook=%s", deeds[_i]);
    parent_start(&parent, option);
    int status = parent_await_end(&parent);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %x", deeds[_i],
                  status);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
START_TEST(memory_beyond_its_share_is_not_given_to_it)
{
    parent_start(&parent, "--test-hook=memory");
    int status = parent_await_end(&parent);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x", status);
}
END_TEST
#endif

START_TEST(a_deed_it_does_not_know_is_survived)
{
    parent_start(&parent, "--test-hook=sing");
    int status = parent_await_end(&parent);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 70);
}
END_TEST

/* ---- scenes and files ---- */

static void check_counters(const struct message_stream_status *status)
{
    int64_t accounted = status->analysed + status->skipped + status->dropped + status->damaged;
    ck_assert_msg(status->received == accounted,
                  "received %lld, analysed %lld, skipped %lld, dropped %lld, damaged %lld",
                  (long long)status->received, (long long)status->analysed,
                  (long long)status->skipped, (long long)status->dropped,
                  (long long)status->damaged);
}

START_TEST(a_finite_scene_ends_and_gives_the_same_records_each_time)
{
    g_autofree char *first = NULL;
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    for (int run = 0; run < 2; run++) {
        struct message start =
            parent_stream("street", "scene://street?seed=3&duration=20&width=320&height=180");
        g_string_truncate(parent.records, 0);
        parent_start_stream(&parent, &start, NULL);
        parent_await_state(&parent, STREAM_ENDED, REASON_NONE, 30000);
        check_counters(&parent.message.status);
        ck_assert_int_eq(parent.message.status.received, 300);
        ck_assert_int_eq(parent.message.status.dropped, 0);
        parent_await(&parent, MESSAGE_STREAM_DONE, 5000);
        ck_assert_uint_gt(parent.records->len, 0);
        if (first)
            ck_assert_str_eq(parent.records->str, first);
        else
            first = g_strdup(parent.records->str);
    }
    parent_quit(&parent);
}
END_TEST

START_TEST(a_live_scene_gives_pictures_until_it_is_stopped)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("street", "scene://street?seed=1");
    start.start.live = true;
    parent_start_stream(&parent, &start, NULL);
    parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 3000);
    while (parent.message.status.analysed < 8);
    ck_assert_int_eq(parent.message.status.width, 640);

    int fd = memfd_create("picture", MFD_CLOEXEC);
    struct message ask = {.type = MESSAGE_SNAPSHOT,
                          .snapshot = {.request = 42, .stream = "street"}};
    parent_send(&parent, &ask, &fd, 1);
    parent_await(&parent, MESSAGE_SNAPSHOT_DONE, 5000);
    ck_assert_int_eq(parent.message.snapshot_done.request, 42);
    int64_t size = parent.message.snapshot_done.size_bytes;
    ck_assert_int_gt(size, 1000);
    uint8_t head[2], tail[2];
    ck_assert_int_eq(pread(fd, head, 2, 0), 2);
    ck_assert_int_eq(pread(fd, tail, 2, size - 2), 2);
    ck_assert(head[0] == 0xff && head[1] == 0xd8 && tail[0] == 0xff && tail[1] == 0xd9);
    close(fd);
    parent_stop_stream(&parent, "street");
    parent_quit(&parent);
}
END_TEST

START_TEST(a_picture_that_does_not_fit_is_said_not_to)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("street", "scene://street?seed=1");
    start.start.live = true;
    parent_start_stream(&parent, &start, NULL);
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
    while (parent.message.status.analysed < 1);
    int fd = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(fd, 100), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
    struct message ask = {.type = MESSAGE_SNAPSHOT,
                          .snapshot = {.request = 1, .stream = "street"}};
    parent_send(&parent, &ask, &fd, 1);
    parent_await(&parent, MESSAGE_SNAPSHOT_DONE, 5000);
    ck_assert_int_eq(parent.message.snapshot_done.size_bytes, 0);
    ck_assert_str_eq(parent.message.snapshot_done.detail, "the picture is too large");
    close(fd);
    parent_quit(&parent);
}
END_TEST

static int ask_for_picture_of(const char *stream, int64_t request)
{
    int fd = memfd_create("picture", MFD_CLOEXEC);
    struct message ask = {.type = MESSAGE_SNAPSHOT, .snapshot.request = request};
    snprintf(ask.snapshot.stream, sizeof ask.snapshot.stream, "%s", stream);
    parent_send(&parent, &ask, &fd, 1);
    return fd;
}

static void ask_for_picture(int64_t request)
{
    close(ask_for_picture_of("street", request));
}

/* What a JPEG's frame header says (ITU-T T.81, B.2.2). */
static void read_size(int fd, int ret_size[2])
{
    uint8_t bytes[4096];
    ssize_t length = pread(fd, bytes, sizeof bytes, 0);
    for (ssize_t at = 2; at + 9 < length; at += 2 + (bytes[at + 2] << 8 | bytes[at + 3])) {
        if (bytes[at + 1] != 0xc0)
            continue;
        ret_size[0] = bytes[at + 7] << 8 | bytes[at + 8];
        ret_size[1] = bytes[at + 5] << 8 | bytes[at + 6];
        return;
    }
    ck_abort_msg("no frame header in %zd bytes", length);
}

/* Each pipeline has one for its messages. */
static int count_descriptors(void)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)parent.pid);
    g_autoptr(GDir) descriptors = g_dir_open(path, 0, NULL);
    ck_assert_ptr_nonnull(descriptors);
    int count = 0;
    while (g_dir_read_name(descriptors))
        count++;
    return count;
}

START_TEST(pictures_in_a_row_are_of_their_own_streams_and_the_encoder_goes_when_they_end)
{
    static const struct {
        const char *name, *uri;
        int size[2];
    } cameras[] = {
        {"wide", "scene://street?seed=1&width=640&height=360", {640, 360}},
        {"small", "scene://street?seed=2&width=320&height=180", {320, 180}},
        {"odd", "scene://street?seed=3&width=326&height=182", {326, 182}},
    };
    enum { CAMERAS = sizeof cameras / sizeof *cameras };
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    const struct message_stream_status *status = &parent.message.status;
    for (int i = 0; i < CAMERAS; i++) {
        struct message start = parent_stream(cameras[i].name, cameras[i].uri);
        start.start.live = true;
        parent_start_stream(&parent, &start, NULL);
        do
            parent_await(&parent, MESSAGE_STREAM_STATUS, 5000);
        while (strcmp(status->stream, cameras[i].name) != 0 || status->analysed < 1);
    }
    int descriptors = count_descriptors();
    for (int i = 0; i < 5 * CAMERAS; i++) {
        int size[2], fd = ask_for_picture_of(cameras[i % CAMERAS].name, i);
        parent_await(&parent, MESSAGE_SNAPSHOT_DONE, 5000);
        ck_assert_str_eq(parent.message.snapshot_done.detail, "");
        read_size(fd, size);
        ck_assert_int_eq(size[0], cameras[i % CAMERAS].size[0]);
        ck_assert_int_eq(size[1], cameras[i % CAMERAS].size[1]);
        close(fd);
    }
    ck_assert_int_gt(count_descriptors(), descriptors);
    int64_t deadline = parent_now_ms() + 10000 * PARENT_PATIENCE;
    while (count_descriptors() > descriptors)
        ck_assert_int_eq(parent_receive(&parent, deadline), 1);
    parent_quit(&parent);
}
END_TEST

START_TEST(of_many_pictures_asked_for_at_once_some_are_refused_and_all_are_answered)
{
    enum { REQUESTS = 16 };
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("street", "scene://street?seed=1");
    start.start.live = true;
    parent_start_stream(&parent, &start, NULL);
    do
        parent_await_state(&parent, STREAM_LIVE, REASON_NONE, 5000);
    while (parent.message.status.analysed < 1);
    for (int i = 1; i <= REQUESTS; i++)
        ask_for_picture(i);
    int taken = 0, refused = 0;
    bool answered[REQUESTS + 1] = {false};
    const struct message_snapshot_done *done = &parent.message.snapshot_done;
    for (int i = 1; i <= REQUESTS; i++) {
        parent_await(&parent, MESSAGE_SNAPSHOT_DONE, 5000);
        ck_assert_int_ge(done->request, 1);
        ck_assert_int_le(done->request, REQUESTS);
        ck_assert(!answered[done->request]);
        answered[done->request] = true;
        taken += done->size_bytes > 0;
        refused += !strcmp(done->detail, "other pictures are being encoded: ask again");
    }
    ck_assert_int_ge(taken, 2);
    ck_assert_int_ge(refused, 1);
    ck_assert_int_eq(taken + refused, REQUESTS);
    ask_for_picture(REQUESTS + 1);
    parent_await(&parent, MESSAGE_SNAPSHOT_DONE, 5000);
    ck_assert_int_gt(done->size_bytes, 0);
    parent_quit(&parent);
}
END_TEST

/* Makes a file with GStreamer in this process; launch ends before its sink. */
static char *make_file(const char *name, const char *launch)
{
    char *path = in_folder(name);
    g_autofree char *text = g_strdup_printf("%s ! filesink location=%s", launch, path);
    gst_init(NULL, NULL);
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(text, &error);
    ck_assert_msg(pipeline && !error, "%s", error ? error->message : text);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstMessage) message =
        gst_bus_timed_pop_filtered(bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ck_assert(message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return path;
}

#define PICTURES                                                                               \
    "videotestsrc num-buffers=60 pattern=ball ! "                                              \
    "video/x-raw,width=160,height=96,framerate=15/1"

static const struct {
    const char *name, *launch, *codec;
    int gop_frames; /* 0: one group in all, which does not end */
    double fps;
    bool reordered;
} files[] = {
    {"a.mp4", PICTURES " ! x264enc bframes=2 key-int-max=15 ! mp4mux", "h264", 15, 15, true},
    {"b.mkv",
     PICTURES " ! x265enc key-int-max=15 option-string=bframes=0 ! h265parse ! matroskamux",
     "h265", 15, 15, false},
    {"c.ts", PICTURES " ! x264enc bframes=0 key-int-max=15 ! mpegtsmux", "h264", 15, 15, false},
    {"d.mkv", PICTURES ",format=Y42B ! jpegenc ! matroskamux", "jpeg", 1, 15, false},
    {"e.webm", PICTURES " ! vp9enc deadline=1 ! webmmux", "vp9", 0, 15, false},
    /* The encoder counts in odd units, and says nothing but times of decoding. */
    {"f.mp4", PICTURES " ! avenc_mpeg4 gop-size=20 ! mp4mux", "mpeg4", 20, 885, false},
};

/* Of 60 pictures in all. */
static void check_gop(const struct message_gop *gop, int frames, double fps, bool reordered)
{
    ck_assert_int_eq(gop->count, frames ? (60 - 1) / frames : 0);
    ck_assert_int_eq(gop->max_frames, frames);
    ck_assert_double_eq_tol(gop->mean_frames, frames, 1e-3);
    ck_assert_double_eq_tol(gop->mean_seconds, frames / fps, 0.01);
    ck_assert(gop->reordered == reordered);
    ck_assert(!gop->open);
}

START_TEST(each_kind_of_file_is_decoded_to_its_last_picture)
{
    make_folder();
    g_autofree char *path = make_file(files[_i].name, files[_i].launch);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_ENDED, REASON_NONE, 20000);
    ck_assert_str_eq(parent.message.status.codec, files[_i].codec);
    ck_assert_int_eq(parent.message.status.received, 60);
    ck_assert_int_eq(parent.message.status.damaged, 0);
    check_counters(&parent.message.status);
    check_gop(&parent.message.status.gop, files[_i].gop_frames, files[_i].fps,
              files[_i].reordered);
    ck_assert_int_eq(parent.message.status.timestamp_faults, 0);
    ck_assert_int_eq(histogram_count(&parent.message.status.inference),
                     parent.message.status.analysed);
    /* All but those a decoder hands out at the very end. */
    ck_assert_int_ge(histogram_count(&parent.message.status.decode), 55);
    ck_assert_double_gt(parent.message.status.decode_ms, 0);
    ck_assert_double_gt(parent.message.status.decode_cpu_ms, 0);
    ck_assert_double_gt(parent.message.status.analysis_cpu_ms, 0);
    ck_assert_int_eq(histogram_count(&parent.message.status.latency), 0);
    ck_assert_double_lt(parent.message.status.latency_ms, 0);
    parent_await(&parent, MESSAGE_STREAM_DONE, 5000);
    parent_quit(&parent);
    remove_folder();
}
END_TEST

START_TEST(a_looped_file_goes_on_in_time_and_makes_new_detections)
{
    make_folder();
    g_autofree char *path = make_file(files[0].name, files[0].launch);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    start.start.loop = true;
    parent_start_stream(&parent, &start, path);
    g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    int64_t last_start = -1;
    while (g_hash_table_size(ids) < 3) {
        parent_await(&parent, MESSAGE_RECORD, 10000);
        const struct record *record = &parent.message.record;
        if (record->phase != RECORD_STARTED)
            continue;
        ck_assert_msg(!g_hash_table_contains(ids, record->id), "an id came twice");
        g_hash_table_add(ids, g_strdup(record->id));
        ck_assert_int_gt(record->start_ms, last_start);
        last_start = record->start_ms;
    }
    parent_stop_stream(&parent, "file");
    parent_quit(&parent);
    remove_folder();
}
END_TEST

START_TEST(a_leap_in_the_time_of_a_file_is_not_waited_for)
{
    make_folder();
    /* Two seconds, an hour that nobody filmed, two seconds. */
    static const char launch[] =
        "videotestsrc num-buffers=30 ! video/x-raw,width=160,height=96,framerate=15/1 ! c. "
        "videotestsrc num-buffers=30 timestamp-offset=3600000000000 ! "
        "video/x-raw,width=160,height=96,framerate=15/1 ! c. concat name=c adjust-base=false ! "
        "videoconvert ! video/x-raw,format=I420 ! jpegenc ! matroskamux";
    g_autofree char *path = make_file("leap.mkv", launch);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    start.start.live = true;
    parent_start_stream(&parent, &start, path);
    int64_t took = parent_await_state(&parent, STREAM_ENDED, REASON_NONE, 20000);
    ck_assert_int_ge(took, 3500);
    const struct message_stream_status *status = &parent.message.status;
    ck_assert_int_eq(status->received, 60);
    check_counters(status);
    ck_assert_int_eq(status->timestamp_faults, 1);
    /* The new pace reaches the analysis with the first picture it is for. */
    ck_assert_int_eq(histogram_count(&status->latency), status->analysed);
    ck_assert_double_lt(status->latency.sum_seconds, 60);
    parent_await(&parent, MESSAGE_STREAM_DONE, 5000);
    parent_quit(&parent);
    remove_folder();
}
END_TEST

/* ---- bad files and models: refused, and the worker goes on ---- */

static void still_works(void)
{
    struct message start =
        parent_stream("after", "scene://street?duration=2&width=160&height=90");
    parent_start_stream(&parent, &start, NULL);
    parent_await(&parent, MESSAGE_STREAM_DONE, 20000);
    ck_assert_str_eq(parent.message.stop.stream, "after");
    parent_quit(&parent);
}

static const struct {
    const char *what, *bytes;
    size_t size;
} bad_files[] = {
    {"empty", "", 0},
    {"text", "this is no film", 15},
    {"an MP4 box of 4 GiB",
     "\xff\xff\xff\xff"
     "ftypisom\0\0\0\0\0\0\0\1moov",
     24},
    {"a Matroska head", "\x1a\x45\xdf\xa3\xff\xff\xff\xff\xff\xff\xff\xff", 12},
};

START_TEST(a_file_that_is_no_film_is_unreadable)
{
    make_folder();
    g_autofree char *path = in_folder("bad");
    ck_assert(g_file_set_contents(path, bad_files[_i].bytes, (gssize)bad_files[_i].size, NULL));
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("bad", "file:///bad");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_FAILED, -1, 10000);
    ck_assert_msg(parent.message.status.reason == REASON_UNREADABLE ||
                      parent.message.status.reason == REASON_UNSUPPORTED_CODEC,
                  "%s: %s", bad_files[_i].what,
                  stream_reason_name(parent.message.status.reason));
    ck_assert_str_ne(parent.message.status.detail, "");
    still_works();
    remove_folder();
}
END_TEST

START_TEST(a_file_cut_anywhere_ends_or_is_unreadable)
{
    make_folder();
    g_autofree char *whole = make_file(files[_i].name, files[_i].launch);
    g_autofree char *bytes = NULL;
    gsize size;
    ck_assert(g_file_get_contents(whole, &bytes, &size, NULL));
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    g_autofree char *path = in_folder("cut");
    for (int part = 1; part < 8; part++) {
        ck_assert(g_file_set_contents(path, bytes, (gssize)(size * (gsize)part / 8), NULL));
        struct message start = parent_stream("cut", "file:///cut");
        parent_start_stream(&parent, &start, path);
        int64_t deadline = parent_now_ms() + 10000 * PARENT_PATIENCE;
        do
            ck_assert_msg(parent_receive(&parent, deadline) == 1, "part %d of 8", part);
        while (parent.message.type != MESSAGE_STREAM_STATUS ||
               (parent.message.status.state != STREAM_ENDED &&
                parent.message.status.state != STREAM_FAILED));
        if (parent.message.status.state == STREAM_FAILED)
            parent_stop_stream(&parent, "cut");
        else
            parent_await(&parent, MESSAGE_STREAM_DONE, 5000);
    }
    still_works();
    remove_folder();
}
END_TEST

/* The files whose pictures are damaged: each codec that may come from a camera, and MPEG-4,
 * whose coded pictures have no pts. */
static const char *const damaged[] = {"a.mp4", "b.mkv", "d.mkv", "f.mp4"};

static int file_named(const char *name)
{
    int i = 0;
    while (strcmp(files[i].name, name) != 0)
        i++;
    return i;
}

/* Inside the pictures, not in the tables before and behind them. */
static void damage_middle(char *bytes, gsize size)
{
    for (gsize i = size / 3; i < size / 2; i += 97)
        bytes[i] = (char)(bytes[i] ^ 0x5a);
}

/* In a JPEG only what is between SOS and EOI: a picture whose tables are broken ends the
 * film. */
static void damage_scans(char *bytes, gsize size)
{
    const guint8 *at = (const guint8 *)bytes;
    int scanned = -1; /* bytes since SOS */
    for (gsize i = 1; i + 1 < size; i++) {
        bool marker = at[i - 1] == 0xff && at[i] != 0;
        if (marker)
            scanned = at[i] == 0xda ? 0 : -1;
        else if (scanned >= 0 && ++scanned % 97 == 0 && at[i] < 0xe0 && at[i - 1] != 0xff)
            bytes[i] ^= 0x10;
    }
}

START_TEST(pictures_with_flipped_bytes_are_counted_and_withheld)
{
    make_folder();
    int which = file_named(damaged[_i]);
    g_autofree char *path = make_file(files[which].name, files[which].launch);
    g_autofree char *bytes = NULL;
    gsize size;
    ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
    bool jpeg = strcmp(files[which].codec, "jpeg") == 0;
    (jpeg ? damage_scans : damage_middle)(bytes, size);
    ck_assert(g_file_set_contents(path, bytes, (gssize)size, NULL));
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_ENDED, REASON_NONE, 20000);
    ck_assert_int_gt(parent.message.status.damaged, 0);
    ck_assert(parent.message.status.degraded);
    check_counters(&parent.message.status);
    parent_await(&parent, MESSAGE_STREAM_DONE, 5000);
    parent_quit(&parent);
    remove_folder();
}
END_TEST

/* Replaces each `from` with as many bytes of `to`; how many there were. */
static int replace_bytes(char *bytes, gsize size, const char *from, const char *to,
                         gsize length)
{
    int count = 0;
    for (gsize i = 0; i + length <= size; i++)
        if (memcmp(bytes + i, from, length) == 0) {
            memcpy(bytes + i, to, length);
            count++;
        }
    return count;
}

START_TEST(pictures_that_do_not_say_how_large_they_are_are_an_unreadable_file)
{
    make_folder();
    g_autofree char *path =
        make_file("unsized.ts", PICTURES " ! avenc_mpeg4 gop-size=15 ! mpegtsmux");
    g_autofree char *bytes = NULL;
    gsize size;
    ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
    /* ISO/IEC 14496-2, 6.2.3: what is left of the clock, width 160 and height 96 in 13 bits
     * each, a one after each. */
    ck_assert_int_gt(
        replace_bytes(bytes, size, "\xfd\x05\x04\x0c\x14", "\xfd\x00\x04\x0c\x14", 5), 0);
    ck_assert(g_file_set_contents(path, bytes, (gssize)size, NULL));
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_FAILED, REASON_UNREADABLE, 10000);
    ck_assert_str_eq(parent.message.status.detail,
                     "its pictures do not say how large they are");
    ck_assert_int_eq(parent.message.status.received, 0);
    still_works();
    remove_folder();
}
END_TEST

START_TEST(a_file_of_which_nothing_comes_for_twenty_seconds_is_given_up)
{
    make_folder();
    g_autofree char *path = make_file(files[2].name, files[2].launch);
    /* A desert behind the pictures, in which the demuxer looks for more. */
    ck_assert_int_eq(truncate(path, INT64_C(1) << 42), 0);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    parent_start_stream(&parent, &start, path);
    int64_t took = parent_await_state(&parent, STREAM_FAILED, REASON_UNREADABLE, 40000);
    ck_assert_int_ge(took, 19000);
    ck_assert_str_eq(parent.message.status.detail, "nothing more has come out of the file");
    ck_assert_int_ge(parent.message.status.received, 50);
    still_works();
    remove_folder();
}
END_TEST

START_TEST(pictures_beyond_the_limit_do_not_reach_the_decoder)
{
    make_folder();
    g_autofree char *path =
        make_file("large.mp4", "videotestsrc num-buffers=2 pattern=black ! "
                               "video/x-raw,width=4608,height=2592,framerate=15/1 ! "
                               "x264enc speed-preset=ultrafast tune=zerolatency ! mp4mux");
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("large", "file:///large");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_FAILED, REASON_TOO_LARGE, 10000);
    ck_assert_int_eq(parent.message.status.received, 0);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "4608 x 2592"));
    still_works();
    remove_folder();
}
END_TEST

/* The units of an H.264 byte stream, each without its start code. */
static GPtrArray *units_of(const char *path)
{
    g_autofree char *bytes = NULL;
    gsize size;
    ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
    GPtrArray *units = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    gsize start = 0;
    for (gsize i = 0; i + 3 <= size; i++) {
        if (memcmp(bytes + i, "\0\0\1", 3) != 0)
            continue;
        if (start)
            g_ptr_array_add(units, g_bytes_new(bytes + start, i - start));
        start = i + 3;
    }
    g_ptr_array_add(units, g_bytes_new(bytes + start, size - start));
    return units;
}

static void append_unit(GByteArray *to, GBytes *unit)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(unit, &size);
    g_byte_array_append(to, (const guint8 *)"\0\0\0\1", 4);
    g_byte_array_append(to, data, (guint)size);
}

#define BYTE_STREAM " ! video/x-h264,stream-format=byte-stream"

START_TEST(a_large_size_hidden_behind_a_small_one_does_not_reach_the_decoder)
{
    make_folder();
    g_autofree char *large =
        make_file("large.h264", "videotestsrc num-buffers=1 pattern=black ! "
                                "video/x-raw,width=4608,height=2592,framerate=15/1 ! "
                                "x264enc speed-preset=ultrafast tune=zerolatency "
                                "option-string=sps-id=1" BYTE_STREAM);
    g_autofree char *small =
        make_file("small.h264", PICTURES " ! x264enc key-int-max=15" BYTE_STREAM);
    g_autoptr(GPtrArray) hidden = units_of(large), shown = units_of(small);
    g_autoptr(GByteArray) mixed = g_byte_array_new();
    /* The large stream's parameter sets, all of the small stream, the large picture. */
    for (int pictures = 0; pictures < 2; pictures++) {
        for (guint i = 0; i < hidden->len; i++) {
            int type = *(const guint8 *)g_bytes_get_data(hidden->pdata[i], NULL) & 31;
            if (pictures ? type == 5 : type == 7 || type == 8)
                append_unit(mixed, hidden->pdata[i]);
        }
        for (guint i = 0; !pictures && i < shown->len; i++)
            append_unit(mixed, shown->pdata[i]);
    }
    g_autofree char *path = in_folder("mixed.h264");
    ck_assert(g_file_set_contents(path, (const char *)mixed->data, mixed->len, NULL));
    g_autofree char *launch = g_strdup_printf(
        "filesrc location=%s ! h264parse ! video/x-h264,framerate=15/1 ! mpegtsmux", path);
    g_autofree char *film = make_file("mixed", launch);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("large", "file:///large");
    parent_start_stream(&parent, &start, film);
    parent_await_state(&parent, STREAM_FAILED, REASON_TOO_LARGE, 10000);
    ck_assert_int_eq(parent.message.status.received, 0);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "4608 x 2592"));
    still_works();
    remove_folder();
}
END_TEST

START_TEST(a_codec_without_a_decoder_is_named)
{
    make_folder();
    g_autofree char *path = make_file("a.webm", PICTURES " ! vp8enc deadline=1 ! webmmux");
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    struct message start = parent_stream("file", "file:///clip");
    parent_start_stream(&parent, &start, path);
    parent_await_state(&parent, STREAM_FAILED, REASON_UNSUPPORTED_CODEC, 10000);
    ck_assert_ptr_nonnull(strstr(parent.message.status.detail, "vp8"));
    still_works();
    remove_folder();
}
END_TEST

START_TEST(a_model_that_is_none_fails_its_stream_only)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    int fd = memfd_create("model", MFD_CLOEXEC);
    ck_assert_int_eq(write(fd, "no network at all", 17), 17);
    struct message start = parent_stream("street", "scene://street");
    parent_send(&parent, &start, &fd, 1);
    close(fd);
    parent_await_state(&parent, STREAM_FAILED, REASON_MODEL, 5000);
    ck_assert_str_ne(parent.message.status.detail, "");
    still_works();
}
END_TEST

START_TEST(a_model_over_the_limit_is_not_read)
{
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    int fd = memfd_create("model", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (INT64_C(512) << 20) + 1), 0);
    struct message start = parent_stream("street", "scene://street");
    parent_send(&parent, &start, &fd, 1);
    close(fd);
    parent_await_state(&parent, STREAM_FAILED, REASON_MODEL, 5000);
    ck_assert_str_eq(parent.message.status.detail, "the model's file is empty or over 512 MiB");
    still_works();
}
END_TEST

int main(void)
{
    TCase *process = tcase_create("process");
    tcase_set_timeout(process, 60);
    tcase_add_test(process, it_says_ready_once_its_sandbox_is_closed_and_ends_when_asked);
    tcase_add_test(process, it_ends_when_its_parent_is_gone);
    tcase_add_loop_test(process, a_message_that_is_none_ends_it, 0, G_N_ELEMENTS(nonsense));
    tcase_add_loop_test(process, each_forbidden_deed_kills_it, 0, G_N_ELEMENTS(deeds));
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(process, memory_beyond_its_share_is_not_given_to_it);
#endif
    tcase_add_test(process, a_deed_it_does_not_know_is_survived);
    TCase *media = tcase_create("media");
    tcase_set_timeout(media, 120);
    tcase_add_test(media, a_finite_scene_ends_and_gives_the_same_records_each_time);
    tcase_add_test(media, a_live_scene_gives_pictures_until_it_is_stopped);
    tcase_add_test(media, a_picture_that_does_not_fit_is_said_not_to);
    tcase_add_test(
        media, pictures_in_a_row_are_of_their_own_streams_and_the_encoder_goes_when_they_end);
    tcase_add_test(media,
                   of_many_pictures_asked_for_at_once_some_are_refused_and_all_are_answered);
    tcase_add_loop_test(media, each_kind_of_file_is_decoded_to_its_last_picture, 0,
                        G_N_ELEMENTS(files));
    tcase_add_test(media, a_looped_file_goes_on_in_time_and_makes_new_detections);
    tcase_add_test(media, a_leap_in_the_time_of_a_file_is_not_waited_for);
    TCase *bad = tcase_create("bad");
    tcase_set_timeout(bad, 120);
    tcase_add_loop_test(bad, a_file_that_is_no_film_is_unreadable, 0, G_N_ELEMENTS(bad_files));
    tcase_add_loop_test(bad, a_file_cut_anywhere_ends_or_is_unreadable, 0, G_N_ELEMENTS(files));
    tcase_add_loop_test(bad, pictures_with_flipped_bytes_are_counted_and_withheld, 0,
                        G_N_ELEMENTS(damaged));
    tcase_add_test(bad, pictures_that_do_not_say_how_large_they_are_are_an_unreadable_file);
    tcase_add_test(bad, a_file_of_which_nothing_comes_for_twenty_seconds_is_given_up);
    tcase_add_test(bad, pictures_beyond_the_limit_do_not_reach_the_decoder);
    tcase_add_test(bad, a_large_size_hidden_behind_a_small_one_does_not_reach_the_decoder);
    tcase_add_test(bad, a_codec_without_a_decoder_is_named);
    tcase_add_test(bad, a_model_that_is_none_fails_its_stream_only);
    tcase_add_test(bad, a_model_over_the_limit_is_not_read);
    TCase *cases[] = {process, media, bad};
    return suite_run("pipeline/worker", cases, 3);
}
