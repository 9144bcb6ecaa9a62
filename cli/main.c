#include "cli/cli.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"run", cli_run, "analyse a file, camera or scene here and print what happens"},
    {"streams", cli_streams, "list, add, remove and inspect the daemon's streams"},
    {"detections", cli_detections, "list what the daemon has recorded"},
    {"watch", cli_watch, "print detections as they happen"},
};

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
        return cli_fail(CLI_USAGE, "%s (see: vigil %s --help)", error->message, (*argv)[0]) + 1;
    if (help) {
        g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);
        fputs(text, stdout);
        return CLI_OK + 1;
    }
    return 0;
}

static void print_help(FILE *file)
{
    fputs("Usage: vigil VERB [OPTION...]\n\n"
          "Watches camera streams and files, and tells what happened, where and when.\n\n",
          file);
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        fprintf(file, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\n  vigil VERB --help tells the options of a verb, vigil --version the version.\n\n"
          "Environment:\n"
          "  VIGIL_URL     the daemon's address, default http://127.0.0.1:8470\n"
          "  VIGIL_WORKER  the vigil-worker program `vigil run` starts\n\n"
          "Exit codes: 0 ok, 1 a check failed, 2 usage, 66 unreadable input, 69 unavailable,\n"
          "70 internal error, 78 configuration or model.\n",
          file);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("vigil " VIGIL_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            g_autofree char *program = g_strdup_printf("vigil %s", verbs[i].name);
            g_set_prgname(program);
            return verbs[i].run(argc - 1, argv + 1);
        }
    return cli_fail(CLI_USAGE, "no verb \"%s\" (see: vigil --help)", argv[1]);
}
