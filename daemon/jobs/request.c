#include "daemon/jobs/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media.h"
#include "record/file.h"
#include "record/text.h"

static const char *const kinds[] = {[JOBS_TRAIN] = "train", [JOBS_EVAL] = "eval"};

const char *jobs_kind_name(enum jobs_kind kind)
{
    return kinds[kind];
}

G_GNUC_PRINTF(3, 4)
static int refuse(struct jobs_error *err, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    text_copy_printable(err->text, sizeof err->text, text);
    return result;
}

#define INVALID(err, ...) refuse(err, -EINVAL, __VA_ARGS__)

/* --- from JSON and back ------------------------------------------------------------------- */

enum member_type { MEMBER_KIND, MEMBER_PATH, MEMBER_SPLIT, MEMBER_THREADS, MEMBER_FLAG };

#define TRAIN    (1u << JOBS_TRAIN)
#define EVAL     (1u << JOBS_EVAL)
#define OF(name) offsetof(struct jobs_request, name)

static const struct member {
    const char *name;
    enum member_type type;
    size_t place;
    unsigned kinds; /* that have it */
    unsigned needed;
} members[] = {
    {"kind", MEMBER_KIND, OF(kind), TRAIN | EVAL, TRAIN | EVAL},
    {"model", MEMBER_PATH, OF(model), EVAL, EVAL},
    {"recipe", MEMBER_PATH, OF(recipe), TRAIN | EVAL, TRAIN},
    {"data", MEMBER_PATH, OF(data), TRAIN | EVAL, 0},
    {"split", MEMBER_SPLIT, OF(split), EVAL, 0},
    {"report", MEMBER_PATH, OF(report), EVAL, 0},
    {"out", MEMBER_PATH, OF(out), TRAIN, 0},
    {"threads", MEMBER_THREADS, OF(threads), TRAIN | EVAL, 0},
    {"resume", MEMBER_FLAG, OF(resume), TRAIN, 0},
    {"replace", MEMBER_FLAG, OF(replace), TRAIN, 0},
};

/* A path from a folder on, each part of which is a name: not "", ".", ".." or one that begins
 * with a dot, which are those of programs. */
static bool is_below(const char *path)
{
    if (!g_utf8_validate(path, -1, NULL))
        return false;
    for (const char *p = path; *p; p++)
        if (g_ascii_iscntrl(*p))
            return false;
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    bool is = *parts;
    for (char **part = parts; *part; part++)
        is = is && **part && **part != '.';
    return is;
}

static int read_path(const char *name, const json_t *value, char *place, struct jobs_error *err)
{
    const char *text = json_string_value(value);
    if (!text || json_string_length(value) != strlen(text) || !is_below(text))
        return INVALID(err,
                       "%s should be the path of a file or folder below the one that is "
                       "configured, such as \"doors/door.recipe\"",
                       name);
    if (strlen(text) >= JOBS_PATH_SIZE)
        return INVALID(err, "%s is longer than %d bytes", name, JOBS_PATH_SIZE - 1);
    strcpy(place, text);
    return 0;
}

static int read_kind(const json_t *value, enum jobs_kind *ret_kind, struct jobs_error *err)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(text, kinds[i]) == 0) {
            *ret_kind = (enum jobs_kind)i;
            return 0;
        }
    return INVALID(err, "kind should be \"train\" or \"eval\"");
}

static int read_split(const json_t *value, struct jobs_request *request, struct jobs_error *err)
{
    static const char *const splits[] = {"test", "validation", "train", "all", NULL};
    const char *text = json_string_value(value);
    if (!text || !g_strv_contains(splits, text))
        return INVALID(err, "split should be test, validation, train or all");
    g_strlcpy(request->split, text, sizeof request->split);
    return 0;
}

static int read_member(const struct member *member, const json_t *value,
                       struct jobs_request *request, struct jobs_error *err)
{
    void *place = (char *)request + member->place;
    switch (member->type) {
    case MEMBER_KIND:
        return read_kind(value, place, err);
    case MEMBER_PATH:
        return read_path(member->name, value, place, err);
    case MEMBER_SPLIT:
        return read_split(value, request, err);
    case MEMBER_THREADS:
        if (!json_is_integer(value) || json_integer_value(value) < 1 ||
            json_integer_value(value) > JOBS_THREADS_MAX)
            return INVALID(err, "%s should be a whole number from 1 to %d", member->name,
                           JOBS_THREADS_MAX);
        *(int *)place = (int)json_integer_value(value);
        return 0;
    case MEMBER_FLAG:
        if (!json_is_boolean(value))
            return INVALID(err, "%s should be true or false", member->name);
        *(bool *)place = json_is_true(value);
        return 0;
    }
    return -EINVAL;
}

static int check_members(const json_t *json, enum jobs_kind kind, struct jobs_error *err)
{
    const char *names[G_N_ELEMENTS(members) + 1] = {NULL};
    const char *name;
    json_t *value;
    for (size_t i = 0, count = 0; i < G_N_ELEMENTS(members); i++)
        if (members[i].kinds & 1u << kind)
            names[count++] = members[i].name;
    json_object_foreach ((json_t *)json, name, value) {
        const char *nearest = text_nearest(name, names);
        if (!g_strv_contains(names, name))
            return INVALID(err, "a job of kind %s has no member \"%.60s\"%s%s", kinds[kind],
                           name, nearest ? "; did you mean " : "", nearest ? nearest : "");
    }
    return 0;
}

/* NAME.onnx for a recipe NAME.recipe. */
static void name_model(struct jobs_request *request)
{
    g_autofree char *name = g_path_get_basename(request->recipe);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    snprintf(request->out, sizeof request->out, "%.*s.onnx", JOBS_PATH_SIZE - 6, name);
}

static int check_training(struct jobs_request *request, struct jobs_error *err)
{
    if (!*request->out)
        name_model(request);
    if (!g_str_has_suffix(request->out, ".onnx"))
        return INVALID(err, "out should end in .onnx: it is a model's file");
    if (request->resume && request->replace)
        return INVALID(err, "resume goes on with a training, replace begins one anew: one of "
                            "them is meant");
    return 0;
}

static int check_evaluation(const struct jobs_request *request, struct jobs_error *err)
{
    if (!*request->recipe && !*request->data)
        return INVALID(err, "an evaluation needs a recipe, which says what its data is, or "
                            "data: a folder of a folder of clips for each label, or a table");
    if (!*request->recipe && *request->split)
        return INVALID(err, "split: without a recipe there is one part only");
    return 0;
}

int jobs_request_from_json(const json_t *json, struct jobs_request *ret_request,
                           struct jobs_error *err)
{
    struct jobs_request request = {.threads = 1};
    if (!json_is_object(json))
        return INVALID(err, "a job is a JSON object");
    int r = read_kind(json_object_get(json, "kind"), &request.kind, err);
    if (r == 0)
        r = check_members(json, request.kind, err);
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(members); i++) {
        const json_t *value = json_object_get(json, members[i].name);
        if (value)
            r = read_member(&members[i], value, &request, err);
        else if (members[i].needed & 1u << request.kind)
            r = INVALID(err, "a job of kind %s needs \"%s\"", kinds[request.kind],
                        members[i].name);
    }
    if (r == 0)
        r = request.kind == JOBS_TRAIN ? check_training(&request, err)
                                       : check_evaluation(&request, err);
    if (r == 0)
        *ret_request = request;
    return r;
}

static json_t *member_json(const struct member *member, const struct jobs_request *request)
{
    const void *place = (const char *)request + member->place;
    switch (member->type) {
    case MEMBER_KIND:
        return json_string(kinds[request->kind]);
    case MEMBER_PATH:
    case MEMBER_SPLIT:
        return *(const char *)place ? json_string(place) : NULL;
    case MEMBER_THREADS:
        return json_integer(*(const int *)place);
    case MEMBER_FLAG:
        return json_boolean(*(const bool *)place);
    }
    return NULL;
}

json_t *jobs_request_to_json(const struct jobs_request *request)
{
    json_t *json = json_object();
    for (size_t i = 0; json && i < G_N_ELEMENTS(members); i++) {
        json_t *value =
            members[i].kinds & 1u << request->kind ? member_json(&members[i], request) : NULL;
        if (value)
            json_object_set_new(json, members[i].name, value);
    }
    return json;
}

const char *jobs_request_subject(const struct jobs_request *request)
{
    return request->kind == JOBS_EVAL ? request->model : request->recipe;
}

/* --- on the disk -------------------------------------------------------------------------- */

static int refuse_place(struct jobs_error *err, int r, const char *member, const char *path)
{
    if (r == -EXDEV || r == -ELOOP)
        return refuse(err, -EXDEV, "%s %s is reached through a link or leaves its folder",
                      member, path);
    return refuse(err, -ENOENT, "%s %s cannot be used: %s", member, path, file_error_text(r));
}

static int check_file(const char *folder, const char *member, const char *path,
                      struct jobs_error *err)
{
    int fd = media_open_beneath(folder, path);
    if (fd < 0)
        return refuse_place(err, fd, member, path);
    close(fd);
    return 0;
}

static int check_folder(const char *folder, const char *member, const char *path,
                        struct jobs_error *err)
{
    int fd = media_open_folder_beneath(folder, path);
    if (fd < 0)
        return refuse_place(err, fd, member, path);
    close(fd);
    return 0;
}

/* The model that is to be, in its folder. */
static int check_out_in(int folder, const char *name, const struct jobs_request *request,
                        struct jobs_error *err)
{
    g_autofree char *checkpoint = g_strconcat(name, ".checkpoint", NULL);
    struct stat status;
    bool there = fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISREG(status.st_mode))
        return refuse(err, -EEXIST, "out %s is there, and is no file", request->out);
    if (there && !request->replace)
        return refuse(err, -EEXIST, "model %s is there already; \"replace\": true replaces it",
                      request->out);
    if (!request->replace && !request->resume &&
        fstatat(folder, checkpoint, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return refuse(err, -EEXIST,
                      "a training of %s did not end; \"resume\": true goes on with it, "
                      "\"replace\": true begins anew",
                      request->out);
    return 0;
}

/* The folder that `path` is to be made in. */
static int open_parent(const char *folder, const char *member, const char *path,
                       const char **ret_name, struct jobs_error *err)
{
    const char *slash = strrchr(path, '/');
    g_autofree char *below = g_strndup(path, slash ? (size_t)(slash - path) : 0);
    int fd = media_open_folder_beneath(folder, below);
    *ret_name = slash ? slash + 1 : path;
    return fd < 0 ? refuse_place(err, fd, member, path) : fd;
}

static int check_out(const struct jobs_request *request, const char *model_folder,
                     struct jobs_error *err)
{
    const char *name;
    int folder = open_parent(model_folder, "the folder of out", request->out, &name, err);
    if (folder < 0)
        return folder;
    int r = check_out_in(folder, name, request, err);
    close(folder);
    return r;
}

/* What is in it already is looked at by `vigil eval`, which replaces nothing but a report. */
static int check_report(const char *model_folder, const char *report, struct jobs_error *err)
{
    const char *name;
    struct stat status;
    int folder = open_parent(model_folder, "the folder of report", report, &name, err);
    if (folder < 0)
        return folder;
    bool is_other =
        fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode);
    close(folder);
    return is_other ? refuse(err, -EEXIST, "report %s is there, and is no folder", report) : 0;
}

static int check_evaluated(const struct jobs_request *request, const char *model_folder,
                           struct jobs_error *err)
{
    int r = check_file(model_folder, "model", request->model, err);
    return r == 0 && *request->report ? check_report(model_folder, request->report, err) : r;
}

/* With a recipe the folder its files are in; else that of clips, or a table of them. */
static int check_data(const struct jobs_request *request, const char *data_folder,
                      struct jobs_error *err)
{
    int r = check_folder(data_folder, "data", request->data, err);
    bool may_be_table = request->kind == JOBS_EVAL && !*request->recipe;
    return r < 0 && may_be_table ? check_file(data_folder, "data", request->data, err) : r;
}

int jobs_request_check(const struct jobs_request *request, const char *data_folder,
                       const char *model_folder, struct jobs_error *err)
{
    int r = *request->recipe ? check_file(data_folder, "recipe", request->recipe, err) : 0;
    if (r == 0 && *request->data)
        r = check_data(request, data_folder, err);
    if (r < 0)
        return r;
    return request->kind == JOBS_TRAIN ? check_out(request, model_folder, err)
                                       : check_evaluated(request, model_folder, err);
}

/* --- the program -------------------------------------------------------------------------- */

static void add(GPtrArray *list, const char *word)
{
    g_ptr_array_add(list, g_strdup(word));
}

/* "--option FOLDER/PATH", unless there is no path. */
static void add_path(GPtrArray *list, const char *option, const char *folder, const char *path)
{
    if (!*path)
        return;
    if (option)
        add(list, option);
    g_ptr_array_add(list, g_build_filename(folder, path, NULL));
}

static void add_training(GPtrArray *list, const struct jobs_request *request,
                         const char *data_folder, const char *model_folder)
{
    add_path(list, NULL, data_folder, request->recipe);
    add_path(list, "--out", model_folder, request->out);
    add(list, "--json-lines");
    if (request->resume)
        add(list, "--resume");
    if (request->replace)
        add(list, "--force");
}

static void add_evaluation(GPtrArray *list, const struct jobs_request *request,
                           const char *data_folder, const char *model_folder)
{
    add_path(list, NULL, model_folder, request->model);
    add_path(list, "--recipe", data_folder, request->recipe);
    add_path(list, "--report", model_folder, request->report);
    if (*request->split)
        g_ptr_array_add(list, g_strconcat("--split=", request->split, NULL));
    add(list, "--json");
}

char **jobs_request_arguments(const struct jobs_request *request, const char *program,
                              const char *data_folder, const char *model_folder, int parent)
{
    GPtrArray *list = g_ptr_array_new();
    add(list, program);
    add(list, kinds[request->kind]);
    if (request->kind == JOBS_TRAIN)
        add_training(list, request, data_folder, model_folder);
    else
        add_evaluation(list, request, data_folder, model_folder);
    add_path(list, "--data", data_folder, request->data);
    g_ptr_array_add(list, g_strdup_printf("--threads=%d", request->threads));
    add(list, "--idle");
    g_ptr_array_add(list, g_strdup_printf("--parent=%d", parent));
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}
