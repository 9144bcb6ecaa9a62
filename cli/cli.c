#include "cli/cli.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "daemon/config/default.h"
#include "nn/kernels/kernels.h"
#include "pipeline/modelkeys.h"
#include "record/text.h"

int cli_fail(enum cli_exit code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *line = output_printable(text);
    fprintf(stderr, "vigil: %s\n", line);
    return (int)code;
}

const char *cli_reason(const GError *error)
{
    const char *colon = strrchr(error->message, ':');
    return colon && colon[1] == ' ' ? colon + 2 : error->message;
}

char *cli_refused_setting(const char *key, const char *value, const char *detail)
{
    static const char prefix[] = "vigil.";
    char shown[MODELKEYS_SHOWN_SIZE];
    const char *own = g_str_has_prefix(key, prefix) ? key + strlen(prefix) : key;
    g_autofree char *quoted =
        g_strdup_printf("%s%s \"%s\": ", prefix, own, modelkeys_show(value, shown));
    const char *at = strstr(detail, quoted);
    return at ? g_strdup_printf("--set %s=%s: %s", own, value, at + strlen(quoted)) : NULL;
}

/* Where the text of an option begins, behind its name and at least two blanks; else 0, and 2
 * for the indented line of the usage. */
static size_t hanging_indent(const char *line, size_t length)
{
    const char *gap =
        length > 2 && line[2] == '-' ? g_strstr_len(line + 2, (gssize)length - 2, "  ") : NULL;
    if (gap)
        return (size_t)(gap - line) + strspn(gap, " ");
    return strspn(line, " ");
}

/* How many bytes of `line` fit into `columns`: up to a blank behind which no option begins, for
 * one at the beginning of a line would look like one that is explained there. */
static size_t fitting(const char *line, size_t length, size_t columns)
{
    size_t best = 0, column = 0;
    for (const char *at = line; at < line + length && (column <= columns || best == 0);
         at = g_utf8_next_char(at), column++)
        if (*at == ' ' && at[1] != '-' && column > 0)
            best = (size_t)(at - line);
    return column <= columns || best == 0 ? length : best;
}

/* GOption breaks no lines. */
static void print_wrapped(const char *text)
{
    enum { COLUMNS = 80 };
    while (*text) {
        size_t length = strcspn(text, "\n"), indent = hanging_indent(text, length);
        /* The first line brings its own indent along, which is no place to break. */
        size_t begin = MIN(indent, length), room = COLUMNS - MIN(indent, COLUMNS / 2);
        printf("%.*s", (int)begin, text);
        for (const char *at = text + begin, *end = text + length; at < end;) {
            size_t size = fitting(at, (size_t)(end - at), room);
            printf("%.*s\n", (int)size, at);
            at += size;
            at += at < end;
            if (at < end)
                printf("%*s", (int)indent, "");
        }
        if (begin == length)
            putchar('\n');
        text += length + (text[length] == '\n');
    }
}

int cli_parse(int *argc, char ***argv, const char *parameters, const char *summary,
              const GOptionEntry *entries)
{
    g_autoptr(GOptionContext) context = g_option_context_new(parameters);
    g_autoptr(GError) error = NULL;
    gboolean help = FALSE;
    const GOptionEntry help_entry[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this text", NULL}, {NULL}};

    /* GOption's own --help calls exit() before a verb can clean up. */
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, help_entry, NULL);
    if (!g_option_context_parse(context, argc, argv, &error))
        return cli_fail(CLI_USAGE, "%s (see: %s --help)", error->message, g_get_prgname()) + 1;
    if (help) {
        g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);
        print_wrapped(text);
        return CLI_OK + 1;
    }
    return 0;
}

char *cli_find(const char *relative, const char *installed)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = program ? g_path_get_dirname(program) : NULL;
    g_autofree char *path = folder ? g_canonicalize_filename(relative, folder) : NULL;
    if (path && g_file_test(path, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&path);
    return installed ? config_find_installed(installed) : NULL;
}

/* A name holds neither folders nor an ending. */
static bool is_model_name(const char *text)
{
    return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(text);
}

char *cli_find_model(const char *given)
{
    const char *name = given ? given : "scene";
    if (!is_model_name(name))
        return g_strdup(name);
    /* In a build tree as the build or the sources have it, else where it was installed. */
    g_autofree char *built = g_strdup_printf("../models/%s.onnx", name);
    g_autofree char *source = g_strdup_printf("../../models/%s.onnx", name);
    g_autofree char *configured = g_strdup_printf(VIGIL_DATADIR "/models/%s.onnx", name);
    g_autofree char *installed = config_find_installed(configured);
    char *path = cli_find(built, NULL);
    path = path ? path : cli_find(source, NULL);
    if (path)
        return path;
    bool is_built_in = !given || g_file_test(installed, G_FILE_TEST_EXISTS);
    return g_strdup(is_built_in ? installed : given);
}

/* The names of the models that lie beside scene; NULL-terminated strings. */
static GPtrArray *list_models(void)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *scene = cli_find_model(NULL), *folder = g_path_get_dirname(scene);
    GDir *files = g_dir_open(folder, 0, NULL);
    for (const char *file; files && (file = g_dir_read_name(files)) != NULL;)
        if (g_str_has_suffix(file, ".onnx"))
            g_ptr_array_add(names, g_strndup(file, strlen(file) - strlen(".onnx")));
    if (files)
        g_dir_close(files);
    g_ptr_array_add(names, NULL);
    return names;
}

int cli_check_model(const char *given, const char *path)
{
    if (!given || !is_model_name(given) || g_file_test(path, G_FILE_TEST_EXISTS))
        return CLI_OK;
    g_autoptr(GPtrArray) names = list_models();
    g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
    const char *nearest = text_nearest(given, (const char *const *)names->pdata);
    return cli_fail(CLI_NO_INPUT,
                    "there is no model \"%s\", neither a file here nor with vigil (%s)%s%s%s",
                    given, all, nearest ? "; did you mean " : "", nearest ? nearest : "",
                    nearest ? "?" : "");
}

void cli_check_kernels(void)
{
    const char *asked = g_getenv("VIGIL_KERNELS");
    const struct nn_kernels *kernels;
    g_autoptr(GString) names = g_string_new(NULL);
    if (!asked || !*asked)
        return;
    for (size_t i = 0; (kernels = nn_kernels_at(i)) != NULL; i++) {
        if (strcmp(kernels->name, asked) == 0)
            return;
        g_string_append_printf(names, "%s%s", i ? ", " : "", kernels->name);
    }
    g_autofree char *shown = output_printable(asked);
    fprintf(stderr, "vigil: VIGIL_KERNELS=%s is ignored: the kernels that run here are %s\n",
            shown, names->str);
}
