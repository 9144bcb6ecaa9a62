/* Charts of shares against shares, both 0 to 1, as SVG within a page: axes with names, a grid, and
 * lines or bars on it. Colours and letters are the page's: classes `grid`, `axis`, `guide`, `line`,
 * `bar` and `count`; the stroke of line i is var(--c1) .. var(--c8).
 *
 * Values that are not finite must not come here.
 *
 * Thread: any. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include <stdbool.h>

#include <glib.h>

#define CHART_COLOURS 8

struct chart {
    GString *out;
    double bottom; /* of the plot, in its own units */
    bool drawing;  /* a line has a point */
};

/* `strip`: room below the plot for chart_count. `name` is what the picture shows, for who does not
 * see it. All text is ours, or escaped. */
void chart_begin(struct chart *chart, GString *out, const char *name, const char *x_name,
                 const char *y_name, bool strip);
void chart_end(struct chart *chart);

/* From the lower left corner to the upper right one. */
void chart_guide(struct chart *chart);

void chart_line_begin(struct chart *chart, int colour);
void chart_line_to(struct chart *chart, double x, double y);
/* Up or down first, then along. */
void chart_step_to(struct chart *chart, double x, double y);
void chart_line_end(struct chart *chart);

void chart_dot(struct chart *chart, int colour, double x, double y, const char *title);
/* From the axis up. */
void chart_bar(struct chart *chart, double from, double to, double height, const char *title);
/* A bar in the strip. */
void chart_count(struct chart *chart, double from, double to, double height);

#endif
