/* The report of an evaluation: metrics.json, curves.csv, report.html, a page that needs nothing
 * else, and its figures for TensorBoard, in a folder as cli/reportfolder.h says.
 *
 * Thread: any. */
#ifndef CLI_EVALREPORT_H
#define CLI_EVALREPORT_H

#include "cli/figures.h"

/* CLI_OK, or another exit code of cli.h with a line said on stderr. */
int evalreport_write(const char *folder, const struct figures *figures,
                     const struct figures_about *about);

#endif
