/* vigil model: what concerns a model by itself, without a stream or a daemon. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/model_verbs.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"compare", model_compare, "which of two classifiers does better on labelled samples"},
    {"inspect", model_inspect, "what a model is made of, needs and costs"},
    {"quantize", model_quantize, "make a model of 8-bit weights and activations"},
    {"verify", model_verify, "run models on their test data and compare"},
};

static int show_help(void)
{
    puts("Usage: vigil model VERB [OPTION...]\n");
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        printf("  %-12s %s\n", verbs[i].name, verbs[i].summary);
    puts("\n  vigil model VERB --help tells the options of a verb.");
    return CLI_OK;
}

int cli_model(int argc, char **argv)
{
    if (argc < 2)
        return cli_fail(CLI_USAGE,
                        "give compare, inspect, quantize or verify (see: vigil model --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return show_help();
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            g_autofree char *program = g_strdup_printf("vigil model %s", verbs[i].name);
            g_set_prgname(program);
            return verbs[i].run(argc - 1, argv + 1);
        }
    return cli_fail(CLI_USAGE, "no verb \"%s\" (see: vigil model --help)", argv[1]);
}
