#include "cli/cli.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"run", cli_run, "analyse a file, camera or scene here and print what happens"},
    {"streams", cli_streams, "list, add, remove and inspect the daemon's streams"},
    {"detections", cli_detections, "list or count what the daemon has recorded"},
    {"watch", cli_watch, "print detections as they happen"},
    {"model", cli_model, "inspect, verify, quantise and compare ONNX models"},
    {"bench", cli_bench, "measure how fast a model runs here"},
    {"train", cli_train, "teach a model from labelled samples"},
    {"eval", cli_eval, "tell how well a model does on labelled samples"},
    {"jobs", cli_jobs, "list, show and cancel what the daemon trains and evaluates"},
    {"config", cli_config, "check a configuration of vigild, or show what is in force"},
};

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

/* Output that did not reach its file must not pass for success. */
static int finish_output(int code)
{
    int result = output_flush();
    return result == 0 ? code
                       : cli_fail(CLI_INTERNAL, "cannot write to standard output: %s",
                                  g_strerror(-result));
}

/* Descriptors that were closed before us must not become a socket that something prints to. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            abort();
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    /* A file that may grow no further (ulimit -f) is told as a full disk is, and what was begun
     * is removed. */
    signal(SIGXFSZ, SIG_IGN);
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return finish_output(CLI_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("vigil " VIGIL_VERSION);
        return finish_output(CLI_OK);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            g_autofree char *program = g_strdup_printf("vigil %s", verbs[i].name);
            g_set_prgname(program);
            return finish_output(verbs[i].run(argc - 1, argv + 1));
        }
    return cli_fail(CLI_USAGE, "no verb \"%s\" (see: vigil --help)", argv[1]);
}
