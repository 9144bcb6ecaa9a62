#include "tests/suite.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/watchdog.h"

static int manager = -1; /* the service manager's end of NOTIFY_SOCKET */
static struct watchdog *watchdog;

/* A manager whose watchdog wants to be fed so often that ours looks every 10 ms. */
static void setup(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* Of the abstract ones: no file, and no limit on how long the path of a folder is. */
    char name[64];
    int length = snprintf(name, sizeof name, "@vigil-watchdog-%d", getpid());
    memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "40000", 1);
    unsetenv("WATCHDOG_PID");
    ck_assert_int_eq(watchdog_create(&watchdog), 0);
}

static void teardown(void)
{
    watchdog_destroy(watchdog);
    close(manager);
}

static const char *hear(void)
{
    static char text[256];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    ck_assert_msg(size >= 0, "nothing was heard");
    text[size] = '\0';
    return text;
}

static void drain(void)
{
    char text[256];
    while (recv(manager, text, sizeof text, MSG_DONTWAIT) >= 0)
        ;
}

/* Reads on until that was said. */
static void wait_for(const char *said)
{
    for (int i = 0; i < 10000; i++)
        if (strcmp(hear(), said) == 0)
            return;
    ck_abort_msg("never heard: %s", said);
}

START_TEST(it_is_fed_while_every_promise_is_kept)
{
    struct pulse *resting = watchdog_add(watchdog, "resting one");
    struct pulse *busy = watchdog_add(watchdog, "busy one");
    pulse_rest(resting);
    watchdog_set_phase(watchdog, WATCHDOG_RUNNING);
    drain();
    for (int i = 0; i < 20; i++) {
        pulse_expect(busy, 5000, "working");
        ck_assert_str_eq(hear(), "WATCHDOG=1");
    }
}
END_TEST

START_TEST(one_that_is_late_stops_the_feeding_and_asks_for_the_end)
{
    struct pulse *good = watchdog_add(watchdog, "good one");
    struct pulse *late = watchdog_add(watchdog, "late one");
    watchdog_set_phase(watchdog, WATCHDOG_RUNNING);
    pulse_expect(good, 60000, "working");
    pulse_expect(late, 100, "sleeping");
    wait_for("WATCHDOG=trigger");
    usleep(100000); /* ten looks: it is said once, and nothing is fed */
    char text[256];
    ck_assert_int_eq(recv(manager, text, sizeof text, MSG_DONTWAIT), -1);
    pulse_expect(late, 60000, "working again");
    ck_assert_str_eq(hear(), "WATCHDOG=1");
}
END_TEST

START_TEST(patience_is_asked_for_while_starting_and_stopping)
{
    wait_for("EXTEND_TIMEOUT_USEC=15000000");
    watchdog_set_phase(watchdog, WATCHDOG_RUNNING);
    usleep(30000);
    drain();
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(hear(), "WATCHDOG=1");
}
END_TEST

/* What is stopped and continued is late with everything, and nothing hangs. */
START_TEST(a_standstill_of_all_is_excused)
{
    struct pulse *pulse = watchdog_add(watchdog, "stopped one");
    watchdog_set_phase(watchdog, WATCHDOG_RUNNING);
    wait_for("WATCHDOG=1");
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        kill(parent, SIGSTOP);
        usleep((WATCHDOG_LATE_MS + 500) * 1000);
        kill(parent, SIGCONT);
        _exit(0);
    }
    pulse_expect(pulse, 1000, "standing still with all others");
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    drain();
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(hear(), "WATCHDOG=1");
}
END_TEST

START_TEST(there_is_room_for_so_many_and_none_is_fine)
{
    for (int i = 0; i < WATCHDOG_PULSES_MAX; i++)
        ck_assert_ptr_nonnull(watchdog_add(watchdog, "one of many"));
    ck_assert_ptr_null(watchdog_add(watchdog, "one too many"));
    ck_assert_ptr_null(watchdog_add(NULL, "nobody's"));
    pulse_expect(NULL, 1, "nothing");
    pulse_rest(NULL);
    watchdog_destroy(NULL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("watchdog");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_is_fed_while_every_promise_is_kept);
    tcase_add_test(tests, one_that_is_late_stops_the_feeding_and_asks_for_the_end);
    tcase_add_test(tests, patience_is_asked_for_while_starting_and_stopping);
    tcase_add_test(tests, a_standstill_of_all_is_excused);
    tcase_add_test(tests, there_is_room_for_so_many_and_none_is_fine);
    return suite_run("daemon/watchdog", &tests, 1);
}
