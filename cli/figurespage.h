/* Figures as a page for a browser: one file with its own style and pictures, nothing to load and no
 * script. It follows the reader's choice of dark or light. Labels and names are anybody's text,
 * and are escaped.
 *
 * Thread: any. */
#ifndef CLI_FIGURESPAGE_H
#define CLI_FIGURESPAGE_H

#include "cli/figures.h"

/* Caller frees. The same figures give the same bytes. */
GString *figurespage_make(const struct figures *figures, const struct figures_about *about);

#endif
