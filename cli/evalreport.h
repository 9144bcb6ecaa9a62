/* The report of an evaluation: a folder with metrics.json, curves.csv and report.html, a page that
 * needs nothing else.
 *
 * Each file is replaced whole. A folder is made where there is none; one that is there must be
 * empty or hold a report, whose files are then replaced and whose other files stay.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: any. */
#ifndef CLI_EVALREPORT_H
#define CLI_EVALREPORT_H

#include "cli/figures.h"

/* Whether it could be written, before what takes long. */
int evalreport_check(const char *folder);

int evalreport_write(const char *folder, const struct figures *figures,
                     const struct figures_about *about);

#endif
