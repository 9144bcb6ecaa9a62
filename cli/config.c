/* vigil config: what vigild would make of a configuration, without vigild. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/configtry.h"
#include "cli/output.h"
#include "daemon/config/show.h"

struct config_verb {
    const char *file; /* NULL: as vigild without --config */
    gboolean defaults, origins;
};

static int load(const struct config_verb *verb, struct config *ret_config)
{
    struct config_options options = {.file = verb->file,
                                     .environment = (const char *const *)environ};
    struct config_error err;
    if (config_load(&options, ret_config, &err) < 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    for (guint i = 0; i < ret_config->warnings->len; i++) {
        g_autofree char *line = output_printable(ret_config->warnings->pdata[i]);
        fprintf(stderr, "vigil: warning: %s\n", line);
    }
    return CLI_OK;
}

static int check(const struct config_verb *verb)
{
    struct config config;
    int result = load(verb, &config);
    if (result != CLI_OK)
        return result;
    const char *name = verb->file                               ? verb->file
                       : access(CONFIG_FILE_DEFAULT, F_OK) == 0 ? CONFIG_FILE_DEFAULT
                                                                : "no file, defaults";
    int failures = configtry_all(&config);
    if (failures == 0) {
        g_autofree char *text = config_summary(&config);
        g_autofree char *line = output_printable(text);
        printf("%s: ok: %s\n", name, line);
    }
    config_finish(&config);
    return failures == 0 ? CLI_OK : CLI_CHECK_FAILED;
}

static int show(const struct config_verb *verb)
{
    struct config config;
    int result = load(verb, &config);
    if (result != CLI_OK)
        return result;
    g_autofree char *text = config_show(&config, verb->defaults, verb->origins);
    output_text(text);
    config_finish(&config);
    return CLI_OK;
}

static int reference(const struct config_verb *verb)
{
    g_autofree char *text = config_reference();
    (void)verb;
    output_text(text);
    return CLI_OK;
}

static const struct action {
    const char *name;
    int (*run)(const struct config_verb *verb);
    bool takes_file;
} actions[] = {{"check", check, true}, {"show", show, true}, {"reference", reference, false}};

int cli_config(int argc, char **argv)
{
    struct config_verb verb = {NULL};
    const GOptionEntry entries[] = {{"defaults", 0, 0, G_OPTION_ARG_NONE, &verb.defaults,
                                     "show: also the keys that have their default", NULL},
                                    {"origin", 0, 0, G_OPTION_ARG_NONE, &verb.origins,
                                     "show: where each key was set, in a comment above it",
                                     NULL},
                                    {NULL}};
    int over = cli_parse(
        &argc, &argv, "check [FILE] | show [FILE] | reference",
        "Checks a configuration, shows what is in force, or lists every key there is.\n"
        "FILE: what vigild --config would be given (" CONFIG_FILE_DEFAULT "). conf.d beside "
        "it and the VIGIL_SECTION_KEY variables of this shell count, as they would for a "
        "vigild started here. Credentials are never shown. Works without vigild.\n\n"
        "check also tries what is named: models, the database's folder, the address, the "
        "worker. Exit codes: 0 vigild would take it, 78 it would not, 1 it would, and "
        "something that is named does not work.",
        entries);
    if (over)
        return over - 1;
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(argv[1], actions[i].name) != 0 || argc > (actions[i].takes_file ? 3 : 2))
            continue;
        verb.file = argc == 3 ? argv[2] : NULL;
        return actions[i].run(&verb);
    }
    return cli_fail(CLI_USAGE, "usage: vigil config check [FILE] | show [FILE] | reference "
                               "(see: vigil config --help)");
}
