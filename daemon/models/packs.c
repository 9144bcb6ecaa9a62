#include "daemon/models/packs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/models/filestate.h"
#include "daemon/workers/oneshot.h"
#include "record/file.h"

#define FAILURE_KEPT_MS 5000
#define RETRY_MS        1000
#define RETRY_MAX       30000
#define TEXT_MAX        256 /* of the packer's one line */

/* One model: its file is looked at, and when it is not the one that was packed it waits for its
 * turn and is packed. */
struct entry {
    struct packs *packs;
    char model[RECORD_NAME_SIZE];
    bool asked;              /* somebody waits for `ready` */
    struct opening *opening; /* NULL: it is not looked at now */
    char *path;              /* of that */
    int look;                /* how that went last: 0 or -errno */
    struct file_state file;  /* of which the rest speaks; none at first */
    char *file_path;         /* where that was seen */
    bool known;              /* there is one */
    int source;              /* that file while it waits for its turn, else -1 */
    int fd;                  /* sealed; -1: not packed */
    char sha256[PACKS_SHA256_SIZE];
    char problem[PACKS_PROBLEM_SIZE]; /* "" unless the last try failed */
    int code;                         /* of that: -EINVAL, or a trouble of ours */
    int failures;                     /* in a row, that may pass by themselves */
    int own_failures;                 /* of those, the ones that may be the model's own */
    uint64_t failed_at, kept_ms;
};

struct packs {
    struct packs_options options;
    GHashTable *entries;   /* by name */
    GQueue queue;          /* of those with a source */
    struct entry *telling; /* whose `ready` runs */
    struct oneshot *packer;
    struct entry *packing; /* NULL, also when what the packer packs has changed meanwhile */
    int source, target;    /* of the packer: the model's file, the file to be sealed */
    bool stopping;
};

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* What is known of the model was of another file. */
static void entry_reset(struct entry *entry)
{
    struct packs *packs = entry->packs;
    if (packs->packing == entry) {
        packs->packing = NULL;
        oneshot_kill(packs->packer);
    }
    g_queue_remove(&packs->queue, entry);
    close_file(&entry->source);
    close_file(&entry->fd);
    *entry->problem = '\0';
    entry->failures = entry->own_failures = 0;
    entry->known = false;
}

static void entry_free(gpointer data)
{
    struct entry *entry = data;
    opening_cancel(entry->opening);
    entry_reset(entry);
    g_free(entry->path);
    g_free(entry->file_path);
    g_free(entry);
}

/* Those who wait hear of it, and ask from inside. */
static void tell(struct entry *entry)
{
    struct packs *packs = entry->packs;
    if (!entry->asked || packs->stopping)
        return;
    entry->asked = false;
    packs->telling = entry;
    packs->options.ready(packs->options.owner, entry->model);
    packs->telling = NULL;
}

/* --- the packer --------------------------------------------------------------------------- */

static void fail(struct entry *entry, int code, const char *problem)
{
    entry->code = code;
    entry->kept_ms = FAILURE_KEPT_MS;
    g_strlcpy(entry->problem, problem, sizeof entry->problem);
    entry->failed_at = uv_now(entry->packs->options.loop);
}

/* As often as streams try again by themselves (daemon/workers/supervisor.h). */
static void fail_for_now(struct entry *entry, int code, const char *problem)
{
    fail(entry, code, problem);
    entry->kept_ms = MIN((uint64_t)RETRY_MS << MIN(entry->failures, 5), (uint64_t)RETRY_MAX);
    entry->failures++;
}

/* A model that kills each packer is not packed for ever. */
static void fail_again(struct entry *entry, const char *problem)
{
    g_autofree char *text = NULL;
    if (++entry->own_failures < PACKS_TRIES) {
        text = g_strdup_printf("%s (try %d of %d)", problem, entry->own_failures, PACKS_TRIES);
        fail_for_now(entry, -EAGAIN, text);
        return;
    }
    text = g_strdup_printf("%s, %d times; put the stream again to retry", problem, PACKS_TRIES);
    fail(entry, -EINVAL, text);
    entry->failures = entry->own_failures = 0;
}

/* The line it said before it looked at the model. */
static bool read_hash(const struct oneshot_result *result, char sha256[PACKS_SHA256_SIZE])
{
    static const char head[] = "sha256 ";
    const char *digits = result->text + strlen(head);
    if (!g_str_has_prefix(result->text, head) ||
        strspn(digits, "0123456789abcdef") != PACKS_SHA256_SIZE - 1 ||
        digits[PACKS_SHA256_SIZE - 1] != '\n')
        return false;
    g_strlcpy(sha256, digits, PACKS_SHA256_SIZE);
    return true;
}

/* Nobody else has it open or mapped for writing: its writer is reaped. */
static bool seal(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_size > 0 && status.st_size <= PACKS_BYTES_MAX &&
           fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) ==
               0;
}

static void take_result(struct packs *packs, struct entry *entry,
                        const struct oneshot_result *result)
{
    if (result->too_late) {
        fail_again(entry, "it could not be packed in time");
    } else if (result->taken_away) {
        fail_for_now(entry, -ENOMEM, "the worker that packed it was killed; is memory short?");
    } else if (result->status < 0 && !result->too_long) {
        fail_again(entry, "the worker that packed it died");
    } else if (result->status > 0) {
        fail(entry, -EINVAL,
             *result->problem ? result->problem : "the worker that packed it gave up");
    } else if (result->too_long || !read_hash(result, entry->sha256) || !seal(packs->target)) {
        fail(entry, -EINVAL, "the worker that packed it did not do as it should");
    } else {
        entry->fd = packs->target;
        packs->target = -1;
        entry->failures = entry->own_failures = 0;
    }
}

static void advance(struct packs *packs);

static void packed(void *owner, const struct oneshot_result *result)
{
    struct packs *packs = owner;
    struct entry *entry = packs->packing;
    packs->packer = NULL;
    packs->packing = NULL;
    if (entry)
        take_result(packs, entry, result);
    close_file(&packs->source);
    close_file(&packs->target);
    /* While its file is looked at once more, that look tells. */
    if (entry && !entry->opening)
        tell(entry);
    advance(packs);
}

static int start(struct packs *packs, struct entry *entry)
{
    const struct config_model *model = config_find_model(packs->options.config, entry->model);
    packs->source = entry->source;
    entry->source = -1;
    packs->target = memfd_create("vigil-model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (packs->target < 0)
        return -errno;
    struct oneshot_options options = {
        .loop = packs->options.loop,
        .program = packs->options.config->worker,
        .verb = "--pack",
        .model = model,
        .input = packs->source,
        .output = packs->target,
        .text_max = TEXT_MAX,
        .deadline_ms = packs->options.deadline_ms,
        .done = packed,
        .owner = packs,
    };
    packs->packing = entry;
    return model ? oneshot_start(&options, &packs->packer) : -ENOENT;
}

static void advance(struct packs *packs)
{
    struct entry *entry;
    while (!packs->packer && !packs->stopping && (entry = g_queue_pop_head(&packs->queue))) {
        int r = start(packs, entry);
        if (r == 0)
            return;
        char problem[PACKS_PROBLEM_SIZE];
        snprintf(problem, sizeof problem, "the worker that packs models does not start: %s",
                 file_error_text(r));
        packs->packing = NULL;
        close_file(&packs->source);
        close_file(&packs->target);
        fail(entry, r, problem);
        tell(entry);
    }
}

/* --- questions ---------------------------------------------------------------------------- */

/* Its file as it is now. Takes fd. */
static void take_file(struct entry *entry, int fd, const struct file_state *file)
{
    struct packs *packs = entry->packs;
    if (!entry->known || !file_state_equal(&entry->file, file)) {
        entry_reset(entry);
        entry->file = *file;
        entry->known = true;
    }
    g_free(entry->file_path);
    entry->file_path = g_strdup(entry->path);
    bool failed =
        *entry->problem && uv_now(packs->options.loop) - entry->failed_at < entry->kept_ms;
    if (entry->fd >= 0 || failed) {
        close(fd);
        tell(entry);
    } else if (entry->source >= 0 || packs->packing == entry) {
        close(fd);
    } else {
        *entry->problem = '\0';
        entry->source = fd;
        g_queue_push_tail(&packs->queue, entry);
        advance(packs);
    }
}

static void looked(void *owner, int fd, const struct stat *status);

static void look(struct entry *entry, const struct config_model *model)
{
    g_free(entry->path);
    entry->path = g_strdup(model->path);
    entry->opening = opener_open(entry->packs->options.opener, model->path, looked, entry);
}

static void looked(void *owner, int fd, const struct stat *status)
{
    struct entry *entry = owner;
    const struct config_model *model =
        config_find_model(entry->packs->options.config, entry->model);
    entry->opening = NULL;
    if (model && strcmp(entry->path, model->path) != 0) { /* it lies elsewhere since */
        close_file(&fd);
        look(entry, model);
        return;
    }
    entry->look = fd < 0 ? fd : model ? 0 : -ENOENT;
    if (entry->look == 0) {
        struct file_state file = file_state_of(status, model);
        take_file(entry, fd, &file);
    } else {
        close_file(&fd);
        tell(entry);
    }
}

static struct entry *find_entry(struct packs *packs, const char *model)
{
    struct entry *entry = g_hash_table_lookup(packs->entries, model);
    if (entry)
        return entry;
    entry = g_new0(struct entry, 1);
    entry->packs = packs;
    g_strlcpy(entry->model, model, sizeof entry->model);
    entry->source = entry->fd = -1;
    g_hash_table_insert(packs->entries, entry->model, entry);
    return entry;
}

static int say(char problem[PACKS_PROBLEM_SIZE], int code, const char *text)
{
    g_strlcpy(problem, text, PACKS_PROBLEM_SIZE);
    return code;
}

/* Of the file as it was seen last, and that is the model's. */
static bool has_pack_of(const struct entry *entry, const struct config_model *model)
{
    return entry->fd >= 0 && strcmp(entry->file_path, model->path) == 0 &&
           entry->file.settings == file_state_settings(model);
}

static int give(const struct entry *entry, const struct config_model *model,
                struct packs_pack *ret_pack, char problem[PACKS_PROBLEM_SIZE])
{
    if (entry->look < 0 && !(entry->look == -ETIMEDOUT && has_pack_of(entry, model))) {
        snprintf(problem, PACKS_PROBLEM_SIZE, "its file cannot be opened: %s",
                 opener_error_text(entry->look));
        return entry->look;
    }
    if (entry->fd < 0)
        return say(problem, entry->code, entry->problem);
    int fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return say(problem, -errno, "there is no descriptor for it");
    ret_pack->fd = fd;
    memcpy(ret_pack->sha256, entry->sha256, sizeof ret_pack->sha256);
    return 0;
}

int packs_get(struct packs *packs, const char *name, struct packs_pack *ret_pack,
              char problem[PACKS_PROBLEM_SIZE])
{
    const struct config_model *model = config_find_model(packs->options.config, name);
    if (!model)
        return say(problem, -ENOENT, "it is not configured");
    struct entry *entry = find_entry(packs, name);
    if (entry == packs->telling)
        return give(entry, model, ret_pack, problem);
    entry->asked = true;
    if (entry->opening && strcmp(entry->path, model->path) != 0)
        opening_cancel(g_steal_pointer(&entry->opening));
    if (!entry->opening)
        look(entry, model);
    return -EINPROGRESS;
}

void packs_forget(struct packs *packs)
{
    GHashTableIter iter;
    gpointer name;
    g_hash_table_iter_init(&iter, packs->entries);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (!config_find_model(packs->options.config, name))
            g_hash_table_iter_remove(&iter);
}

/* --- life --------------------------------------------------------------------------------- */

int packs_create(const struct packs_options *options, struct packs **ret_packs)
{
    struct packs *packs = g_new0(struct packs, 1);
    packs->options = *options;
    packs->options.deadline_ms =
        options->deadline_ms ? options->deadline_ms : PACKS_DEADLINE_MS;
    packs->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
    packs->source = packs->target = -1;
    g_queue_init(&packs->queue);
    *ret_packs = packs;
    return 0;
}

void packs_stop(struct packs *packs)
{
    packs->stopping = true;
    if (packs->packer)
        oneshot_kill(packs->packer);
}

bool packs_stopped(const struct packs *packs)
{
    return !packs->packer;
}

void packs_destroy(struct packs *packs)
{
    if (!packs)
        return;
    g_hash_table_destroy(packs->entries);
    g_free(packs);
}
