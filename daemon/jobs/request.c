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

static const char *const kinds[] = {[JOBS_TRAIN] = "train"};

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

enum member_type { MEMBER_KIND, MEMBER_PATH, MEMBER_THREADS, MEMBER_FLAG };

static const struct member {
    const char *name;
    enum member_type type;
    size_t place;
    bool needed;
} members[] = {
    {"kind", MEMBER_KIND, offsetof(struct jobs_request, kind), true},
    {"recipe", MEMBER_PATH, offsetof(struct jobs_request, recipe), true},
    {"data", MEMBER_PATH, offsetof(struct jobs_request, data), false},
    {"out", MEMBER_PATH, offsetof(struct jobs_request, out), false},
    {"threads", MEMBER_THREADS, offsetof(struct jobs_request, threads), false},
    {"resume", MEMBER_FLAG, offsetof(struct jobs_request, resume), false},
    {"replace", MEMBER_FLAG, offsetof(struct jobs_request, replace), false},
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
    return INVALID(err, "kind should be \"train\"");
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

static int check_members(const json_t *json, struct jobs_error *err)
{
    const char *names[G_N_ELEMENTS(members) + 1] = {NULL};
    const char *name;
    json_t *value;
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        names[i] = members[i].name;
    json_object_foreach ((json_t *)json, name, value) {
        const char *nearest = text_nearest(name, names);
        if (!g_strv_contains(names, name))
            return INVALID(err, "a job has no member \"%.60s\"%s%s", name,
                           nearest ? "; did you mean " : "", nearest ? nearest : "");
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

int jobs_request_from_json(const json_t *json, struct jobs_request *ret_request,
                           struct jobs_error *err)
{
    struct jobs_request request = {.threads = 1};
    if (!json_is_object(json))
        return INVALID(err, "a job is a JSON object");
    int r = check_members(json, err);
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(members); i++) {
        const json_t *value = json_object_get(json, members[i].name);
        if (value)
            r = read_member(&members[i], value, &request, err);
        else if (members[i].needed)
            r = INVALID(err, "a job needs \"%s\"", members[i].name);
    }
    if (r < 0)
        return r;
    if (!*request.out)
        name_model(&request);
    if (!g_str_has_suffix(request.out, ".onnx"))
        return INVALID(err, "out should end in .onnx: it is a model's file");
    if (request.resume && request.replace)
        return INVALID(err, "resume goes on with a training, replace begins one anew: one of "
                            "them is meant");
    *ret_request = request;
    return 0;
}

json_t *jobs_request_to_json(const struct jobs_request *request)
{
    json_t *json =
        json_pack("{s:s, s:s}", "kind", kinds[request->kind], "recipe", request->recipe);
    if (*request->data)
        json_object_set_new(json, "data", json_string(request->data));
    json_object_set_new(json, "out", json_string(request->out));
    json_object_set_new(json, "threads", json_integer(request->threads));
    json_object_set_new(json, "resume", json_boolean(request->resume));
    json_object_set_new(json, "replace", json_boolean(request->replace));
    return json;
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

static int check_out(const struct jobs_request *request, const char *model_folder,
                     struct jobs_error *err)
{
    const char *slash = strrchr(request->out, '/');
    g_autofree char *below =
        g_strndup(request->out, slash ? (size_t)(slash - request->out) : 0);
    int folder = media_open_folder_beneath(model_folder, below);
    if (folder < 0)
        return refuse_place(err, folder, "the folder of out", request->out);
    int r = check_out_in(folder, slash ? slash + 1 : request->out, request, err);
    close(folder);
    return r;
}

int jobs_request_check(const struct jobs_request *request, const char *data_folder,
                       const char *model_folder, struct jobs_error *err)
{
    int r = check_file(data_folder, "recipe", request->recipe, err);
    if (r == 0 && *request->data)
        r = check_folder(data_folder, "data", request->data, err);
    return r == 0 ? check_out(request, model_folder, err) : r;
}

/* --- the program -------------------------------------------------------------------------- */

char **jobs_request_arguments(const struct jobs_request *request, const char *program,
                              const char *data_folder, const char *model_folder, int parent)
{
    GPtrArray *list = g_ptr_array_new();
    g_ptr_array_add(list, g_strdup(program));
    g_ptr_array_add(list, g_strdup(kinds[request->kind]));
    g_ptr_array_add(list, g_build_filename(data_folder, request->recipe, NULL));
    if (*request->data) {
        g_ptr_array_add(list, g_strdup("--data"));
        g_ptr_array_add(list, g_build_filename(data_folder, request->data, NULL));
    }
    g_ptr_array_add(list, g_strdup("--out"));
    g_ptr_array_add(list, g_build_filename(model_folder, request->out, NULL));
    g_ptr_array_add(list, g_strdup_printf("--threads=%d", request->threads));
    g_ptr_array_add(list, g_strdup("--json-lines"));
    g_ptr_array_add(list, g_strdup("--idle"));
    g_ptr_array_add(list, g_strdup_printf("--parent=%d", parent));
    if (request->resume)
        g_ptr_array_add(list, g_strdup("--resume"));
    if (request->replace)
        g_ptr_array_add(list, g_strdup("--force"));
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}
