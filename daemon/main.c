/* vigild: options, loop, run, teardown. Everything else is daemon/app.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "daemon/app.h"
#include "daemon/heart.h"
#include "daemon/log.h"
#include "daemon/notify.h"

/* As of DESIGN: 0 ok, 2 usage, 69 something needed is unavailable, 78 configuration. */
enum { EXIT_USAGE = 2, EXIT_UNAVAILABLE = 69, EXIT_CONFIGURATION = 78 };

/* For threads of the pool once all else has ended: longer, and they wait for a disk that does
 * not answer, maybe for ever. */
#define LAST_THREADS_MS 2000

struct daemon {
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t last_threads;
    bool in_terminal; /* started in one */
    struct app *app;
    struct watchdog *watchdog;
    struct heart *heart;
};

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Then the loop has nothing more to wait for. */
static void close_handles(struct daemon *daemon)
{
    for (size_t i = 0; i < G_N_ELEMENTS(daemon->signals); i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    heart_close(daemon->heart);
}

/* Not exit(): libuv waits for its threads there, too. */
static void leave_threads(uv_timer_t *timer)
{
    (void)timer;
    log_warning("stopped while a file was still being opened; does its disk answer?");
    _exit(EXIT_SUCCESS);
}

static void app_status(void *owner, const char *line)
{
    (void)owner;
    notify_status(line);
}

static void app_stopped(void *owner)
{
    struct daemon *daemon = owner;
    app_destroy(daemon->app);
    daemon->app = NULL;
    close_handles(daemon);
    uv_update_time(&daemon->loop);
    uv_timer_start(&daemon->last_threads, leave_threads, LAST_THREADS_MS, 0);
    uv_unref((uv_handle_t *)&daemon->last_threads);
}

static void reloading(void *owner, bool begins)
{
    (void)owner;
    if (begins)
        notify_reloading();
    else
        notify_ready(NULL);
}

static void signalled(uv_signal_t *handle, int signal_number)
{
    struct daemon *daemon = handle->data;
    if (!daemon->app)
        return;
    /* SIGHUP is also how a terminal ends: what it started should not outlive it half dead. */
    if (signal_number == SIGHUP && !(daemon->in_terminal && !has_terminal())) {
        app_reload(daemon->app);
        return;
    }
    log_info("%s: stopping", strsignal(signal_number));
    notify_stopping();
    watchdog_set_phase(daemon->watchdog, WATCHDOG_STOPPING);
    app_stop(daemon->app);
}

static void watch_signals(struct daemon *daemon)
{
    G_STATIC_ASSERT(G_N_ELEMENTS(signals) == G_N_ELEMENTS(daemon->signals));
    daemon->in_terminal = has_terminal();
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        uv_signal_init(&daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        uv_signal_start(&daemon->signals[i], signalled, signals[i]);
    }
}

static int run(struct config *config, const struct config_options *config_options)
{
    struct daemon daemon = {0};
    struct app_error err = {{0}};
    struct app_options options = {
        .loop = &daemon.loop,
        .config = config,
        .config_options = config_options,
        .version = VIGIL_VERSION,
        .status = app_status,
        .stopped = app_stopped,
        .reloading = reloading,
        .owner = &daemon,
    };
    if (uv_loop_init(&daemon.loop) < 0 || watchdog_create(&daemon.watchdog) < 0 ||
        heart_create(&daemon.loop, daemon.watchdog, &daemon.heart) < 0) {
        log_error("cannot make an event loop, or a thread beside it");
        return EXIT_UNAVAILABLE;
    }
    uv_timer_init(&daemon.loop, &daemon.last_threads);
    watch_signals(&daemon);
    options.watchdog = daemon.watchdog;
    options.pulse = heart_pulse(daemon.heart);
    int r = app_create(&options, &daemon.app, &err);
    if (r < 0) {
        log_error("%s", err.text);
        close_handles(&daemon);
    } else {
        log_info("%s listens on %s", VIGIL_VERSION, app_url(daemon.app));
        watchdog_set_phase(daemon.watchdog, WATCHDOG_RUNNING);
        notify_ready(NULL);
    }
    uv_run(&daemon.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&daemon.last_threads, NULL);
    uv_run(&daemon.loop, UV_RUN_DEFAULT);
    watchdog_destroy(daemon.watchdog);
    uv_loop_close(&daemon.loop);
    return r == -EINVAL ? EXIT_CONFIGURATION : r < 0 ? EXIT_UNAVAILABLE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    g_autofree char *file = NULL;
    g_autofree char *listen = NULL;
    g_autofree char *database = NULL;
    g_autofree char *log_format = NULL;
    g_autofree char *log_level = NULL;
    gboolean show_version = FALSE;
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &file,
         "Configuration file (default " CONFIG_FILE_DEFAULT ")", "FILE"},
        {"listen", 'l', 0, G_OPTION_ARG_STRING, &listen,
         "Address and port, loopback only (default 127.0.0.1:8470)", "ADDRESS:PORT"},
        {"database", 'd', 0, G_OPTION_ARG_FILENAME, &database, "Database file", "FILE"},
        {"log-format", 0, 0, G_OPTION_ARG_STRING, &log_format,
         "text, json, journal, or auto (default): journal under systemd, else text", "FORMAT"},
        {"log-level", 0, 0, G_OPTION_ARG_STRING, &log_level,
         "The least grave to log: error, warning, info (default) or debug", "LEVEL"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &show_version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GError) error = NULL;
    setlocale(LC_CTYPE, "C.UTF-8"); /* GLib's help has an ellipsis */
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_set_summary(context,
                                 "Analyses camera streams and serves what it detects.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        fprintf(stderr, "vigild: %s; see vigild --help\n",
                error ? error->message : "it takes no arguments, only options");
        return EXIT_USAGE;
    }
    int format = log_format ? log_format_from_name(log_format) : LOG_FORMAT_AUTO;
    int level = log_level ? log_level_from_name(log_level) : LOG_LEVEL_INFO;
    if (format < 0 || level < 0) {
        fprintf(stderr, "vigild: %s; see vigild --help\n",
                format < 0 ? "--log-format is text, json, journal or auto"
                           : "--log-level is error, warning, info or debug");
        return EXIT_USAGE;
    }
    if (show_version) {
        puts("vigild " VIGIL_VERSION);
        return EXIT_SUCCESS;
    }
    /* Descriptors that whoever started us left open are none of a worker's business. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    log_setup((enum log_format)format, (enum log_level)level);
    log_take_glib();
    /* Broken pipes and sockets are return values. */
    signal(SIGPIPE, SIG_IGN);
    /* Look-ups may fill half of libuv's pool; queries keep the other half. glibc's own waits
     * for a silent name server are shortened, since they hold a thread until they end. */
    setenv("UV_THREADPOOL_SIZE", "8", 0);
    setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);

    struct config_options options = {
        .file = file,
        .listen = listen,
        .database = database,
        .environment = (const char *const *)environ,
    };
    struct config config;
    struct config_error err;
    if (config_load(&options, &config, &err) < 0) {
        log_error("%s", err.text);
        return EXIT_CONFIGURATION;
    }
    for (guint i = 0; i < config.warnings->len; i++)
        log_warning("%s", (const char *)config.warnings->pdata[i]);
    int status = run(&config, &options);
    config_finish(&config);
    return status;
}
