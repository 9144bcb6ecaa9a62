/* vigil model verify: every model that comes with test data, run and held against it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/model_test.h"
#include "cli/model_verbs.h"
#include "cli/output.h"
#include "record/file.h"

#define DEFAULT_RTOL 1e-3
#define DEFAULT_ATOL 1e-5

struct verify {
    struct model_test_options options;
    gboolean verbose; /* also tell what passes */
    int passed, failed, unsupported;
};

static void tell(const char *verdict, const char *folder, const char *why)
{
    g_autofree char *path = output_printable(folder);
    g_autofree char *text = output_printable(why ? why : "");
    printf("%-11s  %s%s%s\n", verdict, path, *text ? ": " : "", text);
    fflush(stdout);
}

static void verify_test(struct verify *verify, const char *folder)
{
    g_autofree char *why = NULL;
    double most;
    enum model_verdict verdict = model_test_run(folder, &verify->options, &why, &most);
    g_autoptr(GString) text = g_string_new(why);
    if (verify->verbose && most >= 0)
        g_string_append_printf(text, "%slargest difference %.3g", why ? "; " : "", most);
    switch (verdict) {
    case MODEL_PASSED:
        verify->passed++;
        if (verify->verbose)
            tell("passed", folder, text->str);
        break;
    case MODEL_UNSUPPORTED:
        verify->unsupported++;
        tell("unsupported", folder, text->str);
        break;
    case MODEL_FAILED:
        verify->failed++;
        tell("FAILED", folder, text->str);
        break;
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Folders below the one that was named are not followed through links: those could lead in a
 * circle. */
static void search(struct verify *verify, const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    if (!dir) {
        verify->failed++;
        g_autofree char *why = g_strdup_printf("cannot be read: %s", cli_reason(error));
        tell("FAILED", folder, why);
        return;
    }
    g_autofree char *model = g_build_filename(folder, "model.onnx", NULL);
    bool is_test = g_file_test(model, G_FILE_TEST_EXISTS);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        if (!is_test || !g_str_has_prefix(name, "test_data_set_"))
            g_ptr_array_add(names, g_strdup(name));
    g_clear_pointer(&dir, g_dir_close);
    g_ptr_array_sort(names, by_name);

    if (is_test)
        verify_test(verify, folder);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            search(verify, path);
    }
}

/* What the user names must open; what fails to below it is a test that fails. */
static int check_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    g_autofree char *model = g_build_filename(folder, "model.onnx", NULL);
    if (!dir && g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOTDIR))
        return cli_fail(CLI_NO_INPUT, "%s is not a folder: give the one that model.onnx is in",
                        folder);
    if (!dir)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", folder, cli_reason(error));
    if (!g_file_test(model, G_FILE_TEST_EXISTS))
        return CLI_OK;
    int fd = file_open(model);
    if (fd < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", model, file_error_text(fd));
    close(fd);
    return CLI_OK;
}

static bool is_tolerance(double value)
{
    return isfinite(value) && value >= 0;
}

static int check_arguments(int argc, char **argv, const struct compare_tolerance *tolerance)
{
    int result = CLI_OK;
    if (argc < 2)
        return cli_fail(CLI_USAGE, "give one or more folders (see: vigil model verify --help)");
    if (!is_tolerance(tolerance->rtol) || !is_tolerance(tolerance->atol))
        return cli_fail(CLI_USAGE, "--rtol and --atol are finite numbers from 0 on");
    for (int i = 1; i < argc && result == CLI_OK; i++)
        result = check_folder(argv[i]);
    return result;
}

int model_verify(int argc, char **argv)
{
    struct verify verify = {.options.tolerance = {DEFAULT_RTOL, DEFAULT_ATOL, false}};
    struct compare_tolerance *tolerance = &verify.options.tolerance;
    gboolean strict = FALSE;
    const GOptionEntry entries[] = {
        {"rtol", 0, 0, G_OPTION_ARG_DOUBLE, &tolerance->rtol,
         "Relative tolerance (default: 0.001)", "R"},
        {"atol", 0, 0, G_OPTION_ARG_DOUBLE, &tolerance->atol,
         "Absolute tolerance (default: 0.00001)", "A"},
        {"strict", 0, 0, G_OPTION_ARG_NONE, &strict,
         "Judge each element by itself, on the reference kernels", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verify.verbose,
         "Also name what passes, and tell each test's largest difference", NULL},
        {NULL}};
    int over = cli_parse(
        &argc, &argv, "DIR...",
        "Runs models on their test data and compares the outputs.\n"
        "A test is a folder with model.onnx and test_data_set_N/{input,output}_N.pb, as ONNX "
        "keeps them; DIR is searched for tests to any depth.\n\n"
        "An output b passes as a when |a-b| <= atol*max(1, max|b|) + rtol*|b| everywhere; with "
        "--strict when |a-b| <= atol + rtol*|b|. NaN equals NaN; integers and bools are "
        "exact.\n"
        "Each test that fails, or needs what vigil does not support, is told in a line.\n"
        "Exit code 1 when one fails, 66 when DIR, or model.onnx in it, cannot be read.",
        entries);
    if (over)
        return over - 1;
    int result = check_arguments(argc, argv, tolerance);
    if (result != CLI_OK)
        return result;
    tolerance->strict = strict;
    verify.options.kernels = strict ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST;
    if (!strict)
        cli_check_kernels();
    for (int i = 1; i < argc; i++)
        search(&verify, argv[i]);
    if (verify.passed + verify.failed + verify.unsupported == 0)
        return cli_fail(CLI_NO_INPUT, "%s: no model.onnx beside a test_data_set_N is there",
                        argv[1]);
    printf("%d passed, %d failed, %d unsupported\n", verify.passed, verify.failed,
           verify.unsupported);
    return verify.failed > 0 ? CLI_CHECK_FAILED : CLI_OK;
}
