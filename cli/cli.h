/* What every verb of `vigil` shares: exit codes, how an error is told, where to find the rest.
 *
 * A verb is a function of its own file; main.c has the table. A verb gets argc and argv with
 * its own name first and returns the exit code.
 *
 * Thread: single-threaded. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <glib.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_CHECK_FAILED = 1, /* what was asked for is not there */
    CLI_USAGE = 2,
    CLI_NO_INPUT = 66,    /* a file or model that cannot be read */
    CLI_UNAVAILABLE = 69, /* a camera or daemon that does not answer */
    CLI_INTERNAL = 70,
    CLI_CONFIG = 78, /* a model or configuration that is wrong */
};

int cli_run(int argc, char **argv);
int cli_streams(int argc, char **argv);
int cli_detections(int argc, char **argv);
int cli_watch(int argc, char **argv);
int cli_model(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_train(int argc, char **argv);
int cli_eval(int argc, char **argv);
int cli_jobs(int argc, char **argv);
int cli_config(int argc, char **argv);

/* Prints "vigil: ..." on stderr as one line, whatever the text holds, and returns `code`. */
int cli_fail(enum cli_exit code, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Why something failed, without GLib's words on what did: its messages name files of its own
 * and end in the reason. Part of the error's text. */
const char *cli_reason(const GError *error);

/* "--set KEY=VALUE: should be ...", when `detail` (pipeline/modelkeys.h) refuses just that
 * value; NULL: it is about something else. Caller frees with g_free(). */
char *cli_refused_setting(const char *key, const char *value, const char *detail);

/* Parses options with GOption; `summary` and `parameters` are for --help, which is broken into
 * lines of 80 columns: a newline in them ends a paragraph. 0, or the exit code
 * plus one when the verb is over (help was shown, or the usage was wrong). */
int cli_parse(int *argc, char ***argv, const char *parameters, const char *summary,
              const GOptionEntry *entries);

/* The path of the model a user names: a path as it is, or the name of a model that comes with
 * vigil ("scene"; a file of that name is ./scene). NULL: scene. Caller frees with g_free(). */
char *cli_find_model(const char *given);

/* Of a model that is not where cli_find_model found it: 0 when a path was given, so that its
 * error is that of the file; else CLI_NO_INPUT, having said which names there are. */
int cli_check_model(const char *given, const char *path);

/* Says on stderr when VIGIL_KERNELS names none that run here, which nn_kernels_best ignores. */
void cli_check_kernels(void);

/* `relative` to the folder of this program's own file if it is there (the build tree), else
 * `installed` (may be NULL). Caller frees with g_free(). */
char *cli_find(const char *relative, const char *installed);

#endif
