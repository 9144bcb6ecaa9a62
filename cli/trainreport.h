/* The course of a training for TensorBoard: loss, accuracy and rate of each epoch, told while it
 * runs, in a folder as cli/reportfolder.h says.
 *
 * A training from the beginning forgets what was told before; one that goes on from a checkpoint
 * begins a file behind those of the epochs that it has. An epoch that was told but not kept is
 * told twice, with the same numbers.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: single-threaded. */
#ifndef CLI_TRAINREPORT_H
#define CLI_TRAINREPORT_H

#include "nn/train/fit.h"

struct trainreport;

/* `epochs`: that are behind. */
int trainreport_open(const char *folder, int epochs, struct trainreport **ret_report);
void trainreport_close(struct trainreport *report); /* NULL is fine */

int trainreport_add(struct trainreport *report, const struct train_epoch *epoch);

#endif
