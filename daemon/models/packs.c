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
#define TEXT_MAX        256 /* of the packer's one line */

/* One model, as it was packed, failed, or waits for its turn. */
struct entry {
    char model[RECORD_NAME_SIZE];
    struct file_state file;
    bool wanted; /* somebody waits for `ready` */
    int fd;      /* sealed; -1: not packed */
    char sha256[PACKS_SHA256_SIZE];
    char problem[PACKS_PROBLEM_SIZE]; /* "" unless the last try failed */
    int code;                         /* of that: -EINVAL, or a trouble of ours */
    uint64_t failed_at;
};

struct packs {
    struct packs_options options;
    GHashTable *entries;    /* by name */
    struct oneshot *packer; /* NULL: none runs */
    uv_idle_t *starter;     /* the next one starts outside of packs_get */
    char packing[RECORD_NAME_SIZE];
    bool obsolete;      /* what it packs has changed meanwhile */
    int source, target; /* of the packer: the model's file, the file to be sealed */
    bool stopping;
};

static void entry_free(gpointer data)
{
    struct entry *entry = data;
    if (entry->fd >= 0)
        close(entry->fd);
    g_free(entry);
}

/* --- the packer --------------------------------------------------------------------------- */

static void close_files(struct packs *packs)
{
    if (packs->source >= 0)
        close(packs->source);
    if (packs->target >= 0)
        close(packs->target);
    packs->source = packs->target = -1;
}

static void fail(struct packs *packs, struct entry *entry, int code, const char *problem)
{
    entry->code = code;
    g_strlcpy(entry->problem, problem, sizeof entry->problem);
    entry->failed_at = uv_now(packs->options.loop);
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
        fail(packs, entry, -EINVAL, "it could not be packed in time");
    } else if (result->taken_away) {
        fail(packs, entry, -ENOMEM, "the worker that packed it was killed; is memory short?");
    } else if (result->status != 0) {
        fail(packs, entry, -EINVAL,
             *result->problem ? result->problem : "the worker that packed it died");
    } else if (result->too_long || !read_hash(result, entry->sha256) || !seal(packs->target)) {
        fail(packs, entry, -EINVAL, "the worker that packed it did not do as it should");
    } else {
        entry->fd = packs->target;
        packs->target = -1;
    }
}

static void advance(struct packs *packs);

static void packed(void *owner, const struct oneshot_result *result)
{
    struct packs *packs = owner;
    struct entry *entry = g_hash_table_lookup(packs->entries, packs->packing);
    char model[RECORD_NAME_SIZE];
    memcpy(model, packs->packing, sizeof model);
    packs->packer = NULL;
    bool obsolete = packs->obsolete;
    if (entry && !obsolete) {
        take_result(packs, entry, result);
        entry->wanted = false;
    }
    close_files(packs);
    if (packs->stopping)
        return;
    if (!obsolete) /* else those who wait, wait for the entry that took its place */
        packs->options.ready(packs->options.owner, model);
    advance(packs);
}

static int start(struct packs *packs, const struct entry *entry)
{
    const struct config_model *model = config_find_model(packs->options.config, entry->model);
    packs->source = model ? file_open(model->path) : -ENOENT;
    if (packs->source < 0)
        return packs->source;
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
    memcpy(packs->packing, entry->model, sizeof packs->packing);
    packs->obsolete = false;
    return oneshot_start(&options, &packs->packer);
}

static struct entry *find_wanted(struct packs *packs)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, packs->entries);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (((struct entry *)value)->wanted)
            return value;
    return NULL;
}

static void advance(struct packs *packs)
{
    struct entry *entry;
    while (!packs->packer && !packs->stopping && (entry = find_wanted(packs))) {
        int r = start(packs, entry);
        if (r == 0)
            return;
        char problem[PACKS_PROBLEM_SIZE], model[RECORD_NAME_SIZE];
        snprintf(problem, sizeof problem, "the worker that packs models does not start: %s",
                 file_error_text(r));
        memcpy(model, entry->model, sizeof model);
        close_files(packs);
        fail(packs, entry, r, problem);
        entry->wanted = false;
        packs->options.ready(packs->options.owner, model);
    }
}

static void start_next(uv_idle_t *idle)
{
    struct packs *packs = idle->data;
    uv_idle_stop(idle);
    advance(packs);
}

/* --- questions ---------------------------------------------------------------------------- */

/* The entry for the model as it is; a new one when it has changed. */
static struct entry *find_entry(struct packs *packs, const struct config_model *model,
                                const struct file_state *file)
{
    struct entry *entry = g_hash_table_lookup(packs->entries, model->name);
    if (entry && file_state_equal(&entry->file, file))
        return entry;
    bool wanted = entry && entry->wanted;
    if (packs->packer && strcmp(packs->packing, model->name) == 0) {
        packs->obsolete = true;
        oneshot_kill(packs->packer);
    }
    entry = g_new0(struct entry, 1);
    g_strlcpy(entry->model, model->name, sizeof entry->model);
    entry->file = *file;
    entry->fd = -1;
    entry->wanted = wanted;
    g_hash_table_replace(packs->entries, entry->model, entry);
    return entry;
}

static int refuse(char problem[PACKS_PROBLEM_SIZE], int code, const char *text)
{
    g_strlcpy(problem, text, PACKS_PROBLEM_SIZE);
    return code;
}

int packs_get(struct packs *packs, const char *name, struct packs_pack *ret_pack,
              char problem[PACKS_PROBLEM_SIZE])
{
    const struct config_model *model = config_find_model(packs->options.config, name);
    struct stat status;
    int fd = model ? file_open(model->path) : -ENOENT;
    int r = fd < 0 ? fd : fstat(fd, &status) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        snprintf(problem, PACKS_PROBLEM_SIZE, "its file cannot be opened: %s",
                 file_error_text(r));
        return r;
    }
    struct file_state file = file_state_of(&status, model);
    struct entry *entry = find_entry(packs, model, &file);
    if (entry->fd >= 0) {
        ret_pack->fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
        if (ret_pack->fd < 0)
            return refuse(problem, -errno, "there is no descriptor for it");
        memcpy(ret_pack->sha256, entry->sha256, sizeof ret_pack->sha256);
        return 0;
    }
    if (*entry->problem && uv_now(packs->options.loop) - entry->failed_at < FAILURE_KEPT_MS)
        return refuse(problem, entry->code, entry->problem);
    *entry->problem = '\0';
    entry->wanted = true;
    uv_idle_start(packs->starter, start_next);
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
    packs->starter = g_new0(uv_idle_t, 1);
    uv_idle_init(options->loop, packs->starter); /* cannot fail */
    packs->starter->data = packs;
    *ret_packs = packs;
    return 0;
}

void packs_stop(struct packs *packs)
{
    packs->stopping = true;
    uv_idle_stop(packs->starter);
    if (packs->packer)
        oneshot_kill(packs->packer);
}

bool packs_stopped(const struct packs *packs)
{
    return !packs->packer;
}

static void starter_closed(uv_handle_t *handle)
{
    g_free(handle);
}

void packs_destroy(struct packs *packs)
{
    if (!packs)
        return;
    uv_close((uv_handle_t *)packs->starter, starter_closed);
    g_hash_table_destroy(packs->entries);
    g_free(packs);
}
