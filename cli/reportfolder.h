/* The folder of a report: of an evaluation, of a training, or of both.
 *
 * It is made where there is none; one that is there must be empty or hold a report, whose files
 * are then replaced and whose other files stay.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: any. */
#ifndef CLI_REPORTFOLDER_H
#define CLI_REPORTFOLDER_H

#include <stddef.h>

#define REPORTFOLDER_METRICS "metrics.json"

/* What TensorBoard looks for in names, and what tells ours from those of others. */
#define REPORTFOLDER_EVENTS       "events.out.tfevents."
#define REPORTFOLDER_EVENTS_OF_US ".vigil-"
#define REPORTFOLDER_EVAL_EVENTS                                                               \
    REPORTFOLDER_EVENTS "0000000000" REPORTFOLDER_EVENTS_OF_US "eval"
#define REPORTFOLDER_TRAIN_EVENTS REPORTFOLDER_EVENTS_OF_US "train"

/* Whether it could be written, before what takes long. */
int reportfolder_check(const char *folder);

/* Checks again, and makes it. */
int reportfolder_make(const char *folder);

/* Writes a file of it, whole. */
int reportfolder_write(const char *folder, const char *name, const char *text, size_t size);

#endif
