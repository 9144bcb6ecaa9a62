#include "cli/configtry.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "record/environment.h"
#include "record/file.h"

#define INSPECT_MS  8000          /* for one model, as at a reload */
#define PROBLEM_MAX 512           /* bytes of what a worker says that are looked at */
#define MODEL_MAX   (256u * 1024) /* bytes of a description, as vigild takes them */

static void tell(const char *grade, const struct config *config, const char *section,
                 const char *key, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* "vigil: warning: vigil.conf:12: ..."; a default has no place, and then its key stands for
 * it. */
static void tell(const char *grade, const struct config *config, const char *section,
                 const char *key, const char *format, ...)
{
    const struct config_setting *setting = config_find_setting(config, section, key);
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *place = setting && setting->origin
                                 ? g_strdup(setting->origin)
                                 : g_strdup_printf("[%s] %s", section, key);
    g_autofree char *text = g_strdup_printf("%s%s: %s", grade, place, what);
    g_autofree char *line = output_printable(text);
    fprintf(stderr, "vigil: %s\n", line);
}

/* --- models ------------------------------------------------------------------------------- */

/* A worker that describes a model on its stdin. The description is read and not looked at: a
 * pipe is what the worker's sandbox expects it to go to. */
struct inspection {
    GMainLoop *loop;
    GSubprocess *worker;
    char problem[PROBLEM_MAX];
    char *description;         /* MODEL_MAX */
    GCancellable *cancellable; /* of the reads */
    int unfinished;            /* of its end and those of the two pipes */
    bool too_late;
    char rest[4096]; /* of its stderr, not looked at */
};

/* A process that it left behind may hold the pipes for ever: they are not waited for. */
static gboolean deadline_passed(gpointer data)
{
    struct inspection *inspection = data;
    inspection->too_late = true;
    g_subprocess_force_exit(inspection->worker);
    g_cancellable_cancel(inspection->cancellable);
    return G_SOURCE_CONTINUE;
}

static void part_finished(struct inspection *inspection)
{
    if (--inspection->unfinished == 0)
        g_main_loop_quit(inspection->loop);
}

/* What it says further is read, lest it wait for room in the pipe, and not looked at. */
static void rest_read(GObject *source, GAsyncResult *result, gpointer data)
{
    struct inspection *inspection = data;
    gssize size = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);
    if (size > 0)
        g_input_stream_read_async(G_INPUT_STREAM(source), inspection->rest,
                                  sizeof inspection->rest, G_PRIORITY_DEFAULT,
                                  inspection->cancellable, rest_read, inspection);
    else
        part_finished(inspection);
}

static void problem_read(GObject *source, GAsyncResult *result, gpointer data)
{
    g_input_stream_read_all_finish(G_INPUT_STREAM(source), result, NULL, NULL);
    struct inspection *inspection = data;
    g_input_stream_read_async(G_INPUT_STREAM(source), inspection->rest, sizeof inspection->rest,
                              G_PRIORITY_DEFAULT, inspection->cancellable, rest_read,
                              inspection);
}

/* At its end, or more than is wanted came. */
static void description_read(GObject *source, GAsyncResult *result, gpointer data)
{
    struct inspection *inspection = data;
    gsize size = 0;
    g_input_stream_read_all_finish(G_INPUT_STREAM(source), result, &size, NULL);
    if (size == MODEL_MAX)
        g_subprocess_force_exit(inspection->worker);
    part_finished(inspection);
}

static void worker_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
    part_finished(data);
}

static GSubprocess *spawn(const char *program, const struct config_model *model, int fd)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(words, g_strdup(program));
    g_ptr_array_add(words, g_strdup("--inspect"));
    for (int i = 0; i < model->override_count; i++)
        g_ptr_array_add(words, g_strdup_printf("--set=%s=%s", model->overrides[i].key,
                                               model->overrides[i].value));
    g_ptr_array_add(words, NULL);
    g_auto(GStrv) environment = environment_for_worker();
    g_subprocess_launcher_set_environ(launcher, environment);
    g_subprocess_launcher_take_stdin_fd(launcher, fd);
    return g_subprocess_launcher_spawnv(launcher, (const char *const *)words->pdata, NULL);
}

/* What is wrong with a model whose file is there, NULL: nothing. Takes fd; g_free(). */
static char *inspect(const struct config *config, const struct config_model *model, int fd)
{
    struct inspection inspection = {.worker = spawn(config->worker, model, fd),
                                    .unfinished = 3};
    if (!inspection.worker)
        return g_strdup_printf("the worker %s does not start", config->worker);
    inspection.description = g_malloc(MODEL_MAX);
    inspection.loop = g_main_loop_new(NULL, FALSE);
    inspection.cancellable = g_cancellable_new();
    guint deadline = g_timeout_add(INSPECT_MS, deadline_passed, &inspection);
    g_input_stream_read_all_async(g_subprocess_get_stderr_pipe(inspection.worker),
                                  inspection.problem, PROBLEM_MAX - 1, G_PRIORITY_DEFAULT,
                                  inspection.cancellable, problem_read, &inspection);
    g_input_stream_read_all_async(g_subprocess_get_stdout_pipe(inspection.worker),
                                  inspection.description, MODEL_MAX, G_PRIORITY_DEFAULT,
                                  inspection.cancellable, description_read, &inspection);
    g_subprocess_wait_async(inspection.worker, NULL, worker_ended, &inspection);
    g_main_loop_run(inspection.loop);
    g_source_remove(deadline);
    g_main_loop_unref(inspection.loop);
    g_object_unref(inspection.cancellable);
    g_free(inspection.description);
    inspection.problem[strcspn(inspection.problem, "\n")] = '\0';
    bool well = !inspection.too_late && g_subprocess_get_if_exited(inspection.worker) &&
                g_subprocess_get_exit_status(inspection.worker) == 0;
    g_object_unref(inspection.worker);
    if (well)
        return NULL;
    return g_strdup(inspection.too_late   ? "it could not be inspected in time"
                    : *inspection.problem ? inspection.problem
                                          : "the worker that inspected it died");
}

/* The key that a problem is about: the worker names those it refuses, as "vigil.enter". */
static const char *blamed_key(const struct config_model *model, const char *problem)
{
    for (int i = 0; i < model->override_count; i++) {
        const char *key = model->overrides[i].key;
        if (g_str_has_prefix(problem, key) && problem[strlen(key)] == ' ')
            return key + strlen("vigil.");
    }
    return "path";
}

/* A model that is not there was warned of when the configuration was loaded. */
static int try_models(const struct config *config)
{
    int failures = 0;
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        int fd = model->file.exists ? file_open(model->path) : -ENOENT;
        if (fd < 0)
            continue;
        g_autofree char *section = g_strdup_printf("model %s", model->name);
        g_autofree char *problem = inspect(config, model, fd);
        if (problem)
            tell("", config, section, blamed_key(model, problem), "model %s would not run: %s",
                 model->name, problem);
        failures += problem != NULL;
    }
    return failures;
}

/* --- places ------------------------------------------------------------------------------- */

/* Whether it can be started, without which no model can be tried. What no user may execute is
 * no matter of who asks. */
static bool try_worker(const struct config *config, int *failures)
{
    struct stat status;
    if (access(config->worker, X_OK) == 0)
        return true;
    int error = errno;
    bool for_nobody = stat(config->worker, &status) == 0 && !(status.st_mode & 0111);
    bool another_user = error == EACCES && !for_nobody;
    tell(another_user ? "warning: " : "", config, "worker", "program",
         "%s cannot be started%s: %s", config->worker,
         another_user ? " by the user who asks" : "", g_strerror(error));
    *failures += !another_user;
    return false;
}

static int try_authorities(const struct config *config)
{
    if (!config->tls_ca || access(config->tls_ca, R_OK) == 0)
        return 0;
    bool another_user = errno == EACCES;
    tell(another_user ? "warning: " : "", config, "worker", "tls_ca", "%s cannot be read: %s",
         config->tls_ca, g_strerror(errno));
    return !another_user;
}

/* The default folder is made by systemd when the service starts, and belongs to it alone. */
static int try_database(const struct config *config)
{
    const struct config_setting *path = config_find_setting(config, "store", "path");
    if (!path || !path->origin)
        return 0;
    g_autofree char *folder = g_path_get_dirname(config->database);
    struct stat status;
    if (stat(folder, &status) < 0 && errno == EACCES) {
        tell("warning: ", config, "store", "path",
             "%s cannot be seen by the user who asks; vigild's must be able to", folder);
        return 0;
    }
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        tell("", config, "store", "path", "there is no folder %s; make it", folder);
        return 1;
    }
    if (g_file_test(config->database, G_FILE_TEST_IS_DIR)) {
        tell("", config, "store", "path", "%s is a folder; name a file in it",
             config->database);
        return 1;
    }
    const char *shut = access(folder, W_OK | X_OK) < 0 ? folder
                       : access(config->database, R_OK | W_OK) < 0 && errno != ENOENT
                           ? config->database
                           : NULL;
    if (shut)
        tell("warning: ", config, "store", "path",
             "%s cannot be written by the user who asks; vigild's must be able to", shut);
    return 0;
}

/* Bound and let go: that it is in use means, as a rule, that vigild runs. */
static int try_address(const struct config *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketConnectable) parts = g_network_address_parse(config->listen, 0, NULL);
    if (!parts)
        return 0;
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(
        g_network_address_get_hostname(G_NETWORK_ADDRESS(parts)),
        g_network_address_get_port(G_NETWORK_ADDRESS(parts)));
    if (!address)
        return 0;
    g_autoptr(GSocket) socket =
        g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                     G_SOCKET_PROTOCOL_TCP, &error);
    if (socket && g_socket_bind(socket, address, TRUE, &error))
        return 0;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE))
        return 0;
    bool another_user = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    tell(another_user ? "warning: " : "", config, "server", "listen", "%s", error->message);
    return !another_user;
}

/* --- secrets ------------------------------------------------------------------------------ */

/* Once for each file, at the first password in it. An origin that is no FILE:LINE is a
 * variable. */
static void warn_of_readers(const struct config *config)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < config->settings->len; i++) {
        const struct config_setting *setting = config->settings->pdata[i];
        const char *colon = setting->origin ? strrchr(setting->origin, ':') : NULL;
        struct stat status;
        if (setting->value || strcmp(setting->key, "password") != 0 || !colon)
            continue;
        char *path = g_strndup(setting->origin, (gsize)(colon - setting->origin));
        bool open =
            stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IROTH);
        if (g_hash_table_add(seen, path) && open)
            tell("warning: ", config, setting->section, setting->key,
                 "everybody on this machine can read this file, and there is a password in it: "
                 "chmod 600 %s, or give the password apart (secrets.conf in vigil.conf(5))",
                 path);
    }
}

int configtry_all(const struct config *config)
{
    int failures = 0;
    if (try_worker(config, &failures))
        failures += try_models(config);
    failures += try_authorities(config) + try_database(config) + try_address(config);
    warn_of_readers(config);
    return failures;
}
