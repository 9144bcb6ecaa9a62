#include "cli/chart.h"

/* Units of the drawing, of which a page shows about one a pixel. */
#define WIDTH        340.0
#define HEIGHT       296.0
#define LEFT         46.0
#define RIGHT        330.0
#define TOP          10.0
#define BOTTOM       248.0
#define STRIP        34.0
#define STRIP_MARGIN 8.0
#define TICKS        4

static double x_of(double share)
{
    return LEFT + share * (RIGHT - LEFT);
}

static double y_of(const struct chart *chart, double share)
{
    return chart->bottom - share * (chart->bottom - TOP);
}

void chart_begin(struct chart *chart, GString *out, const char *name, const char *x_name,
                 const char *y_name, bool strip)
{
    *chart =
        (struct chart){.out = out, .bottom = strip ? BOTTOM - STRIP - STRIP_MARGIN : BOTTOM};
    g_string_append_printf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n",
                           WIDTH, HEIGHT, name);
    for (int i = 0; i <= TICKS; i++) {
        double share = (double)i / TICKS, x = x_of(share), y = y_of(chart, share);
        g_string_append_printf(out,
                               "<path class=\"grid\" d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1f\"/>\n",
                               x, TOP, chart->bottom, LEFT, y, RIGHT);
        g_string_append_printf(
            out,
            "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>"
            "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
            x, BOTTOM + 16, share, LEFT - 6, y + 4, share);
    }
    g_string_append_printf(
        out,
        "<text class=\"axis name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>"
        "<text class=\"axis name\" transform=\"translate(12 %.1f)rotate(-90)\" "
        "text-anchor=\"middle\">%s</text>\n",
        x_of(0.5), BOTTOM + 38, x_name, y_of(chart, 0.5), y_name);
}

void chart_end(struct chart *chart)
{
    g_string_append(chart->out, "</svg>\n");
}

void chart_guide(struct chart *chart)
{
    g_string_append_printf(chart->out, "<path class=\"guide\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n",
                           x_of(0), y_of(chart, 0), x_of(1), y_of(chart, 1));
}

void chart_line_begin(struct chart *chart, int colour)
{
    g_string_append_printf(chart->out, "<path class=\"line\" style=\"stroke:var(--c%d)\" d=\"",
                           colour % CHART_COLOURS + 1);
    chart->drawing = false;
}

void chart_line_to(struct chart *chart, double x, double y)
{
    g_string_append_printf(chart->out, "%c%.1f %.1f", chart->drawing ? 'L' : 'M', x_of(x),
                           y_of(chart, y));
    chart->drawing = true;
}

void chart_step_to(struct chart *chart, double x, double y)
{
    if (chart->drawing)
        g_string_append_printf(chart->out, "V%.1fH%.1f", y_of(chart, y), x_of(x));
    else
        chart_line_to(chart, x, y);
}

void chart_line_end(struct chart *chart)
{
    g_string_append(chart->out, "\"/>\n");
}

void chart_dot(struct chart *chart, int colour, double x, double y, const char *title)
{
    g_string_append_printf(chart->out,
                           "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" "
                           "style=\"fill:var(--c%d)\"><title>%s</title></circle>\n",
                           x_of(x), y_of(chart, y), colour % CHART_COLOURS + 1, title);
}

void chart_bar(struct chart *chart, double from, double to, double height, const char *title)
{
    g_string_append_printf(chart->out,
                           "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                           "height=\"%.1f\"><title>%s</title></rect>\n",
                           x_of(from) + 0.5, y_of(chart, height), x_of(to) - x_of(from) - 1,
                           chart->bottom - y_of(chart, height), title);
}

void chart_count(struct chart *chart, double from, double to, double height)
{
    g_string_append_printf(chart->out,
                           "<rect class=\"count\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                           "height=\"%.1f\"/>\n",
                           x_of(from) + 0.5, BOTTOM - height * STRIP, x_of(to) - x_of(from) - 1,
                           height * STRIP);
}
