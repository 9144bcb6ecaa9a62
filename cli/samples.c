#include "cli/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gio/gio.h>

#include "cli/cli.h"
#include "cli/shape.h"
#include "cli/worker.h"
#include "nn/tensorfile.h"
#include "pipeline/modelfile.h"
#include "record/file.h"

#define CLIP_FD         3
#define WORKER_QUIET_MS 60000 /* the largest pictures of the slowest codec come far sooner */

static void free_sample(gpointer sample)
{
    for (GBytes **input = sample; *input; input++)
        g_bytes_unref(*input);
    g_free(sample);
}

void samples_init(struct samples *samples)
{
    samples->items = g_ptr_array_new_with_free_func(free_sample);
    samples->first_foreign = NULL;
    samples_clear(samples);
}

void samples_clear(struct samples *samples)
{
    g_ptr_array_set_size(samples->items, 0);
    samples->bytes = 0;
    samples->files = 0;
    samples->clips = 0;
    samples->folders = 0;
    samples->foreign = 0;
    g_clear_pointer(&samples->first_foreign, g_free);
}

void samples_finish(struct samples *samples)
{
    g_clear_pointer(&samples->items, g_ptr_array_unref);
    g_clear_pointer(&samples->first_foreign, g_free);
}

void samples_copy(const struct samples *samples, guint index, size_t input,
                  const struct nn_tensor *to)
{
    gsize size;
    GBytes **sample = samples->items->pdata[index];
    const void *data = g_bytes_get_data(sample[input], &size);
    if (size > 0)
        memcpy(to->data, data, size);
}

static size_t input_bytes(const struct samples *samples, size_t input)
{
    return (size_t)nn_shape_count(&samples->shapes[input]) *
           nn_type_size(nn_model_input(samples->model, input)->type);
}

/* Takes the bytes of each input. */
static int add(struct samples *samples, GBytes **sample, const char *path)
{
    for (GBytes **input = sample; *input; input++)
        samples->bytes += g_bytes_get_size(*input);
    g_ptr_array_add(samples->items, sample);
    return samples->bytes <= SAMPLES_BYTES_MAX
               ? CLI_OK
               : cli_fail(CLI_NO_INPUT, "%s: over %zu MiB of samples: take fewer (--samples)",
                          path, SAMPLES_BYTES_MAX >> 20);
}

/* --- tensors ------------------------------------------------------------------------------ */

static int read_tensor(const struct samples *samples, const char *path, size_t input,
                       GBytes **ret_bytes)
{
    const struct nn_value_info *info = nn_model_input(samples->model, input);
    g_autoptr(GBytes) file = NULL;
    struct nn_tensor_file *tensor_file = NULL;
    struct nn_error err;
    gsize size = 0;
    int r = modelfile_read(path, &file, &err);
    const void *data = r == 0 ? g_bytes_get_data(file, &size) : NULL;
    if (r == 0)
        r = nn_tensor_file_load(data, size, path, &tensor_file, &err);
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "%s%s%s", data ? path : "", data ? ": " : "", err.text);
    const struct nn_tensor *tensor = nn_tensor_file_tensor(tensor_file);
    size_t bytes = input_bytes(samples, input);
    bool fits = tensor->type == info->type &&
                nn_shape_count(&tensor->shape) == nn_shape_count(&samples->shapes[input]);
    if (fits)
        *ret_bytes = g_bytes_new(tensor->data, bytes);
    nn_tensor_file_destroy(tensor_file);
    if (fits)
        return CLI_OK;
    g_autofree char *wanted = shape_text(&samples->shapes[input]);
    return cli_fail(CLI_NO_INPUT, "%s: input '%s' is %s %s, this is another (--shape)", path,
                    info->name, nn_type_name(info->type), wanted);
}

/* One sample of as many files as the model has inputs. */
static int add_tensors(struct samples *samples, char **paths, const char *shown)
{
    size_t count = nn_model_input_count(samples->model);
    GBytes **sample = g_new0(GBytes *, count + 1);
    int result = CLI_OK;
    for (size_t i = 0; i < count && result == CLI_OK; i++)
        result = read_tensor(samples, paths[i], i, &sample[i]);
    if (result != CLI_OK) {
        free_sample(sample);
        return result;
    }
    samples->files++;
    return add(samples, sample, shown);
}

static int add_tensor(struct samples *samples, const char *path)
{
    char *paths[] = {(char *)(uintptr_t)path};
    size_t count = nn_model_input_count(samples->model);
    if (count != 1)
        return cli_fail(CLI_NO_INPUT,
                        "%s: the model has %zu inputs: give a folder with input_0.pb to "
                        "input_%zu.pb",
                        path, count, count - 1);
    return add_tensors(samples, paths, path);
}

static int add_data_set(struct samples *samples, const char *folder)
{
    size_t count = nn_model_input_count(samples->model);
    g_auto(GStrv) paths = g_new0(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("input_%zu.pb", i);
        paths[i] = g_build_filename(folder, name, NULL);
    }
    return add_tensors(samples, paths, folder);
}

/* --- clips -------------------------------------------------------------------------------- */

/* Samples of one clip as they come: every step-th, and when there are twice too many of them,
 * every other one goes. So they lie evenly, however long the clip. */
struct thinning {
    GPtrArray *kept; /* of GBytes */
    guint64 seen, step;
    guint most;
};

static void thin_out(struct thinning *thinning)
{
    for (guint i = 1; i < thinning->kept->len; i++)
        g_ptr_array_remove_index(thinning->kept, i);
    thinning->step *= 2;
}

static void take(struct thinning *thinning, const void *data, size_t size)
{
    if (thinning->seen++ % thinning->step != 0)
        return;
    g_ptr_array_add(thinning->kept, g_bytes_new(data, size));
    if (thinning->kept->len == 2 * thinning->most)
        thin_out(thinning);
}

/* Moves `most` of what was kept into the samples. */
static int keep(struct samples *samples, const struct thinning *thinning, const char *path)
{
    guint all = thinning->kept->len, count = MIN(all, thinning->most);
    int result = CLI_OK;
    for (guint i = 0; i < count && result == CLI_OK; i++) {
        GBytes **sample = g_new0(GBytes *, 2);
        sample[0] = g_bytes_ref(thinning->kept->pdata[(guint64)i * all / count]);
        result = add(samples, sample, path);
    }
    return result;
}

/* The descriptors of a worker that decodes: its own ends are gone once it runs. */
struct plumbing {
    int model, clip;
    int frames[2]; /* a pipe */
    int errors;    /* memory that it writes to; ours, theirs is a copy */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void unplug(struct plumbing *p)
{
    int *const all[] = {&p->model, &p->clip, &p->frames[0], &p->frames[1], &p->errors};
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        close_fd(all[i]);
}

static int plug(const struct samples *samples, const char *path, struct plumbing *ret_plumbing)
{
    struct plumbing p = {.frames = {-1, -1}, .errors = -1, .clip = -1};
    const char *what = samples->model_path;
    p.model = file_open(what);
    if (p.model >= 0)
        p.clip = file_open(what = path);
    int error = p.model < 0 ? p.model : p.clip;
    if (error < 0) {
        unplug(&p);
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", what, file_error_text(error));
    }
    p.errors = memfd_create("vigil-worker", MFD_CLOEXEC);
    if (p.errors < 0 || pipe2(p.frames, O_CLOEXEC) < 0) {
        error = errno;
        unplug(&p);
        return cli_fail(CLI_INTERNAL, "%s: %s", path, g_strerror(error));
    }
    *ret_plumbing = p;
    return CLI_OK;
}

static int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

static GSubprocess *start_worker(const struct samples *samples, struct plumbing *p,
                                 GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, worker_find_program());
    g_ptr_array_add(argv, g_strdup("--frames"));
    GHashTableIter iterator;
    gpointer key, value;
    g_hash_table_iter_init(&iterator, samples->overrides);
    while (g_hash_table_iter_next(&iterator, &key, &value))
        g_ptr_array_add(argv, g_strdup_printf("--set=%s=%s", (char *)key, (char *)value));
    g_ptr_array_add(argv, NULL);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_subprocess_launcher_take_stdin_fd(launcher, steal_fd(&p->model));
    g_subprocess_launcher_take_stdout_fd(launcher, steal_fd(&p->frames[1]));
    g_subprocess_launcher_take_stderr_fd(launcher, fcntl(p->errors, F_DUPFD_CLOEXEC, 0));
    g_subprocess_launcher_take_fd(launcher, steal_fd(&p->clip), CLIP_FD);
    return g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata, error);
}

/* All of `size` bytes: 1; 0 at the end of the stream before the first, -errno else. */
static int read_whole(int fd, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int waited = poll(&ready, 1, WORKER_QUIET_MS);
        if (waited == 0)
            return -ETIMEDOUT;
        ssize_t n = waited < 0 ? -1 : read(fd, data + done, size - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return done == 0 ? 0 : -ENODATA;
        done += n > 0 ? (size_t)n : 0;
    }
    return 1;
}

/* Frames that a sample of a clip has. */
static size_t frames_of(const struct samples *samples)
{
    return samples->frames ? 1 : (size_t)samples->info->window;
}

static size_t clip_sample_bytes(const struct samples *samples)
{
    return input_bytes(samples, 0) / (size_t)samples->info->window * frames_of(samples);
}

static int read_frames(const struct samples *samples, int fd, struct thinning *thinning)
{
    size_t count = frames_of(samples), size = clip_sample_bytes(samples), frame = size / count;
    g_autofree char *sample = g_malloc(size);
    int r = 1;
    while (r > 0) {
        for (size_t i = 0; i < count && r > 0; i++)
            r = read_whole(fd, sample + i * frame, frame);
        if (r > 0)
            take(thinning, sample, size);
    }
    return r;
}

/* The last line that the worker said. */
static char *last_words(int fd)
{
    g_autofree char *said = NULL;
    size_t size = 0;
    if (lseek(fd, 0, SEEK_SET) < 0 || file_read(fd, 1 << 16, &said, &size) < 0)
        return NULL;
    g_auto(GStrv) lines = g_strsplit(g_strchomp(said), "\n", -1);
    guint count = g_strv_length(lines);
    return count > 0 && *lines[count - 1] ? g_strdup(lines[count - 1]) : NULL;
}

static int explain(GSubprocess *worker, int frames, int errors, const char *path)
{
    g_autofree char *why = last_words(errors);
    if (frames == -ETIMEDOUT)
        return cli_fail(CLI_INTERNAL,
                        "%s: the worker has hung, or this machine has too much to do; try "
                        "again later",
                        path);
    if (g_subprocess_get_if_signaled(worker))
        return cli_fail(CLI_INTERNAL, "%s: the worker died of signal %d%s%s", path,
                        g_subprocess_get_term_sig(worker), why ? ": " : "", why ? why : "");
    int status = g_subprocess_get_exit_status(worker);
    if (status == 0 && frames == 0)
        return CLI_OK;
    return cli_fail(status == CLI_NO_INPUT || status == CLI_CONFIG ? (enum cli_exit)status
                                                                   : CLI_INTERNAL,
                    "%s: %s", path, why ? why : "the worker gave it up");
}

static int decode(const struct samples *samples, const char *path, struct thinning *thinning)
{
    g_autoptr(GError) error = NULL;
    struct plumbing plumbing;
    int result = plug(samples, path, &plumbing);
    if (result != CLI_OK)
        return result;
    g_autoptr(GSubprocess) worker = start_worker(samples, &plumbing, &error);
    if (!worker) {
        result = cli_fail(CLI_INTERNAL,
                          "cannot start the worker: %s (VIGIL_WORKER says where it is)",
                          error->message);
    } else {
        int frames = read_frames(samples, plumbing.frames[0], thinning);
        if (frames < 0)
            g_subprocess_force_exit(worker);
        g_subprocess_wait(worker, NULL, NULL);
        result = explain(worker, frames, plumbing.errors, path);
    }
    unplug(&plumbing);
    return result;
}

static int add_clip(struct samples *samples, const char *path)
{
    if (!samples->info)
        return cli_fail(CLI_CONFIG, "%s: pictures are no input of this model: %s", path,
                        samples->no_pictures);
    /* Never many more than there is room for: they are refused when they are added. */
    size_t room = SAMPLES_BYTES_MAX / clip_sample_bytes(samples) + 1;
    struct thinning thinning = {
        .kept = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref),
        .step = 1,
        .most = (guint)MIN((size_t)samples->most, room)};
    int result = decode(samples, path, &thinning);
    if (result == CLI_OK && thinning.kept->len == 0)
        result = cli_fail(CLI_NO_INPUT, "%s: it is shorter than one window of %d frames", path,
                          samples->info->window);
    if (result == CLI_OK)
        result = keep(samples, &thinning, path);
    g_ptr_array_unref(thinning.kept);
    samples->files += result == CLI_OK;
    samples->clips += result == CLI_OK;
    return result;
}

/* --- files and folders -------------------------------------------------------------------- */

static bool ends_in_one_of(const char *path, const char *const *endings)
{
    for (; *endings; endings++) {
        size_t length = strlen(path), end = strlen(*endings);
        if (length > end && g_ascii_strcasecmp(path + length - end, *endings) == 0)
            return true;
    }
    return false;
}

static bool is_data_set(const char *folder)
{
    g_autofree char *first = g_build_filename(folder, "input_0.pb", NULL);
    return g_file_test(first, G_FILE_TEST_IS_REGULAR);
}

static const char *const tensors[] = {".pb", NULL};

bool samples_is_clip(const char *path)
{
    static const char *const known[] = {".mp4",  ".m4v", ".mov", ".3gp",  ".mkv", ".mk3d",
                                        ".webm", ".ts",  ".mts", ".m2ts", NULL};
    return ends_in_one_of(path, known);
}

static bool belongs_to_folder(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR)
               ? is_data_set(path)
               : samples_is_clip(path) || ends_in_one_of(path, tensors);
}

/* What else lies in a folder (notes, licences, outputs of data sets) is no sample, and was not
 * meant to be one, unless it is called as a clip is. */
static void pass_over(struct samples *samples, const char *path)
{
    static const char *const foreign[] = {".avi", ".mpg", ".mpeg", ".vob", ".wmv",
                                          ".asf", ".flv", ".ogv",  ".dav", NULL};
    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        samples->folders++;
    } else if (ends_in_one_of(path, foreign)) {
        samples->foreign++;
        if (!samples->first_foreign)
            samples->first_foreign = g_path_get_basename(path);
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_folder(struct samples *samples, const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    if (!dir)
        return cli_fail(CLI_NO_INPUT, "%s: the folder cannot be read: %s", folder,
                        cli_reason(error));
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    g_ptr_array_sort(paths, by_name);
    const int folders = samples->folders, foreign = samples->foreign;
    int result = CLI_OK, added = 0;
    for (guint i = 0; i < paths->len && result == CLI_OK; i++) {
        if (belongs_to_folder(paths->pdata[i])) {
            result = samples_add(samples, paths->pdata[i]);
            added++;
        } else {
            pass_over(samples, paths->pdata[i]);
        }
    }
    if (added > 0)
        return result;
    if (samples->foreign > foreign)
        return cli_fail(CLI_NO_INPUT, "%s: no clip in it is " SAMPLES_CLIPS, folder);
    return cli_fail(CLI_NO_INPUT, "%s: there is no clip and no tensor in it%s", folder,
                    samples->folders > folders ? " (folders in it are not entered: name them)"
                                               : "");
}

int samples_find(const char *path)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return 0;
    int fd = file_open(path);
    if (fd >= 0)
        close(fd);
    return MIN(fd, 0);
}

int samples_add(struct samples *samples, const char *path)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return is_data_set(path) ? add_data_set(samples, path) : add_folder(samples, path);
    return ends_in_one_of(path, tensors) ? add_tensor(samples, path) : add_clip(samples, path);
}
