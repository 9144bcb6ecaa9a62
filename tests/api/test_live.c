/* Live pictures: one question for all viewers, and no viewer in another's way. */
#include <string.h>

#include "api/embedded.h"
#include "api/live.h"
#include "tests/api/harness.h"

static struct harness harness;

static void set_up(void)
{
    harness_start(&harness, (struct api_server_options){.request_deadline_ms = 1500});
}

static void tear_down(void)
{
    harness_stop(&harness);
}

/* As HTTP/1.0, whose body comes without chunks. */
static struct client *view(const char *target)
{
    char request[256];
    struct client *client = harness_connect(&harness);
    snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", target,
             harness_host(&harness));
    client_send(client, request);
    return client;
}

/* The boundary the answer names, or NULL while its head is not there. */
static const char *boundary_of(const struct client *client)
{
    static char boundary[80];
    const char *name = client->data ? strstr(client->data, "boundary=") : NULL;
    if (!name || !strstr(client->data, "\r\n\r\n"))
        return NULL;
    name += strlen("boundary=");
    snprintf(boundary, sizeof boundary, "--%.*s\r\n", (int)strcspn(name, "\r"), name);
    return boundary;
}

/* Whole pictures received; each must be `size` bytes, framed as it says. */
static int count_pictures(const struct client *client, size_t size)
{
    const char *boundary = boundary_of(client);
    if (!boundary)
        return 0;
    const char *p = strstr(client->data, "\r\n\r\n") + 4;
    const char *end = client->data + client->size;
    size_t length = strlen(boundary);
    int count = -1;
    while ((size_t)(end - p) >= length) {
        char head[128];
        ck_assert_int_eq(memcmp(p, boundary, length), 0);
        p += length;
        count++;
        size_t head_size = (size_t)snprintf(
            head, sizeof head, "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", size);
        if ((size_t)(end - p) < head_size + size + 2)
            break;
        ck_assert_int_eq(memcmp(p, head, head_size), 0);
        p += head_size + size;
        ck_assert_int_eq(memcmp(p, "\r\n", 2), 0);
        p += 2;
    }
    return count;
}

START_TEST(pictures_come_one_after_another_at_the_pace_asked_for)
{
    struct client *client = view("/api/v1/streams/door/live.mjpeg?fps=5");
    int64_t begin = harness_now();
    HARNESS_WAIT(&harness, count_pictures(client, 4) == 4);
    ck_assert_int_ge(harness_now() - begin, 3 * 150);
    ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 200 ", 13), 0);
    ck_assert_ptr_nonnull(strstr(client->data, "\r\nCache-Control: no-store\r\n"));
    ck_assert_uint_eq(strlen(boundary_of(client)), 2 + 32 + 2);
}
END_TEST

START_TEST(all_viewers_of_a_stream_share_one_picture)
{
    struct client *clients[6];
    for (int i = 0; i < 6; i++)
        clients[i] = view("/api/v1/streams/door/live.mjpeg?fps=5");
    for (int i = 0; i < 6; i++)
        HARNESS_WAIT(&harness, count_pictures(clients[i], 4) >= 3);
    ck_assert_int_le(harness.asked_count, 5);
    struct api_server_stats stats;
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.viewers, 6);
    ck_assert_int_eq(stats.pictures, harness.asked_count);
    for (int i = 0; i < 6; i++)
        client_close(&harness, clients[i]);
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats), stats.viewers == 0));
    int asked = harness.asked_count;
    harness_idle(&harness, 500);
    ck_assert_int_eq(harness.asked_count, asked); /* nobody looks, nobody asks */
}
END_TEST

START_TEST(a_leisurely_viewer_beside_a_quick_one_gets_its_own_pace)
{
    struct client *slow = view("/api/v1/streams/door/live.mjpeg?fps=1");
    struct client *quick = view("/api/v1/streams/door/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, count_pictures(quick, 4) == 8);
    ck_assert_int_ge(count_pictures(slow, 4), 2);
    ck_assert_int_le(count_pictures(slow, 4), 3);
}
END_TEST

START_TEST(a_backend_that_is_slow_is_asked_one_thing_at_a_time)
{
    harness.hold = true;
    struct client *client = view("/api/v1/streams/door/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    harness_idle(&harness, 600);
    ck_assert_int_eq(harness.held_count, 1);
    ck_assert_ptr_null(client->data); /* nor is anything promised before it has answered */
    client_close(&harness, client);
    struct api_server_stats stats;
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats), stats.viewers == 0));
    harness_release(&harness); /* its answer goes nowhere */
}
END_TEST

START_TEST(the_backend_may_answer_after_the_server_is_gone)
{
    harness.hold = true;
    view("/api/v1/streams/door/live.mjpeg");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    api_server_destroy(harness.server);
    harness.server = NULL;
    harness_release(&harness);
}
END_TEST

START_TEST(without_a_picture_viewers_are_shown_that_there_is_none)
{
    struct client *client = view("/api/v1/streams/dark/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, count_pictures(client, api_no_picture_size) == 1);
    harness_idle(&harness, 500);
    ck_assert_int_eq(count_pictures(client, api_no_picture_size), 1); /* once is enough */
}
END_TEST

START_TEST(a_picture_that_fails_to_come_is_not_left_standing_as_if_it_were_now)
{
    struct client *client = view("/api/v1/streams/door/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, count_pictures(client, 4) == 1);
    harness.blind = true;
    int64_t begin = harness_now();
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", api_no_picture_size);
    HARNESS_WAIT(&harness, memmem(client->data, client->size, length, strlen(length)));
    ck_assert_int_ge(harness_now() - begin, API_LIVE_DARK_MS - 300);
    harness.blind = false;
    size_t size = client->size;
    HARNESS_WAIT(&harness, client->size > size + 300);
    ck_assert(!client->closed);
}
END_TEST

START_TEST(pictures_end_with_their_stream)
{
    struct client *client = view("/api/v1/streams/door/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, count_pictures(client, 4) == 1);
    harness.streams_gone = true;
    HARNESS_WAIT(&harness, client->closed);
}
END_TEST

START_TEST(a_viewer_that_takes_nothing_is_closed_and_keeps_nobody_waiting)
{
    struct client *stuck = view("/api/v1/streams/big/live.mjpeg?fps=5");
    stuck->paused = true;
    struct client *other = view("/api/v1/streams/door/live.mjpeg?fps=5");
    struct api_server_stats stats;
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.deadline_closed == 1));
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats), stats.viewers == 1));
    ck_assert_int_ge(count_pictures(other, 4), 3);
    ck_assert(!other->closed);
    /* Nothing is owed to one that is up to date, however long no picture comes. */
    harness.hold = true;
    harness_idle(&harness, 2000);
    ck_assert(!other->closed);
}
END_TEST

START_TEST(a_viewer_that_reads_slowly_misses_pictures_and_gets_each_one_whole)
{
    enum { BIG = 32 << 20 };
    struct client *slow = view("/api/v1/streams/big/live.mjpeg?fps=5");
    HARNESS_WAIT(&harness, slow->size > 1000);
    int64_t pictures = 0, limit = harness_limit();
    struct api_server_stats stats;
    while (count_pictures(slow, BIG) < 1 || pictures < 6) {
        ck_assert_int_lt(harness_now(), limit);
        slow->paused = !slow->paused; /* half its time it looks elsewhere */
        harness_idle(&harness, 20);
        api_server_get_stats(harness.server, &stats);
        pictures = stats.pictures;
    }
    ck_assert_int_lt(count_pictures(slow, BIG), pictures);
}
END_TEST

START_TEST(viewers_have_a_limit_per_stream_and_in_all)
{
    struct response response;
    for (int i = 0; i < API_LIVE_STREAM_VIEWERS_MAX; i++)
        view("/api/v1/streams/door/live.mjpeg?fps=1");
    struct api_server_stats stats;
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats),
                            stats.viewers == API_LIVE_STREAM_VIEWERS_MAX));
    harness_ask(&harness, "GET", "/api/v1/streams/door/live.mjpeg", NULL, NULL, &response);
    ck_assert_int_eq(response.status, 503);
    ck_assert_str_eq(response_code(&response), "viewers_full");
    response_finish(&response);
    for (int i = API_LIVE_STREAM_VIEWERS_MAX; i < API_LIVE_VIEWERS_MAX; i++) {
        char target[64];
        snprintf(target, sizeof target, "/api/v1/streams/s%d/live.mjpeg?fps=1", i);
        view(target);
    }
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats),
                            stats.viewers == API_LIVE_VIEWERS_MAX));
    harness_ask(&harness, "GET", "/api/v1/streams/other/live.mjpeg", NULL, NULL, &response);
    ck_assert_int_eq(response.status, 503);
    response_finish(&response);
    client_close(&harness, harness.clients[0]);
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats),
                            stats.viewers == API_LIVE_VIEWERS_MAX - 1));
    struct client *last = view("/api/v1/streams/other/live.mjpeg");
    HARNESS_WAIT(&harness, count_pictures(last, 4) == 1);
}
END_TEST

START_TEST(head_tells_the_type_and_whether_there_is_such_a_stream)
{
    struct response response;
    harness_ask(&harness, "HEAD", "/api/v1/streams/door/live.mjpeg", NULL, NULL, &response);
    ck_assert_int_eq(response.status, 200);
    ck_assert_ptr_nonnull(
        strstr(response_header(&response, "Content-Type"), "multipart/x-mixed-replace"));
    response_finish(&response);
    harness_ask(&harness, "HEAD", "/api/v1/streams/none/live.mjpeg", NULL, NULL, &response);
    ck_assert_int_eq(response.status, 404);
    response_finish(&response);
}
END_TEST

START_TEST(a_server_that_stops_ends_what_is_watched_and_refuses_more)
{
    struct client *client = view("/api/v1/streams/door/live.mjpeg");
    HARNESS_WAIT(&harness, count_pictures(client, 4) == 1);
    harness.hold = true;
    struct client *early = view("/api/v1/streams/shed/live.mjpeg");
    HARNESS_WAIT(&harness, harness.held_count == 1 && strcmp(harness.name, "shed") == 0);
    api_server_drain(harness.server);
    HARNESS_WAIT(&harness, client->closed && early->closed);
    ck_assert_ptr_nonnull(strstr(early->data, "\"stopping\""));
}
END_TEST

int main(void)
{
    TCase *live = tcase_create("live");
    tcase_set_timeout(live, 120);
    tcase_add_checked_fixture(live, set_up, tear_down);
    tcase_add_test(live, pictures_come_one_after_another_at_the_pace_asked_for);
    tcase_add_test(live, all_viewers_of_a_stream_share_one_picture);
    tcase_add_test(live, a_leisurely_viewer_beside_a_quick_one_gets_its_own_pace);
    tcase_add_test(live, a_backend_that_is_slow_is_asked_one_thing_at_a_time);
    tcase_add_test(live, the_backend_may_answer_after_the_server_is_gone);
    tcase_add_test(live, without_a_picture_viewers_are_shown_that_there_is_none);
    tcase_add_test(live, a_picture_that_fails_to_come_is_not_left_standing_as_if_it_were_now);
    tcase_add_test(live, pictures_end_with_their_stream);
    tcase_add_test(live, a_viewer_that_takes_nothing_is_closed_and_keeps_nobody_waiting);
    tcase_add_test(live, a_viewer_that_reads_slowly_misses_pictures_and_gets_each_one_whole);
    tcase_add_test(live, viewers_have_a_limit_per_stream_and_in_all);
    tcase_add_test(live, head_tells_the_type_and_whether_there_is_such_a_stream);
    tcase_add_test(live, a_server_that_stops_ends_what_is_watched_and_refuses_more);
    return suite_run("api/live", &live, 1);
}
