#include "daemon/exposition.h"

void exposition_family(GString *out, const char *name, const char *type, const char *help)
{
    g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_escaped(GString *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            g_string_append(out, "\\n");
        else if (*p == '"' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else
            g_string_append_c(out, *p);
    }
}

static void append_number(GString *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append(out, g_ascii_formatd(text, sizeof text, "%.15g", value));
}

/* `bound`, where it is not NULL, is the label `le`. */
static void append_sample(GString *out, const char *name, const char *suffix,
                          const struct exposition_label *labels, const char *bound,
                          double value)
{
    char before = '{';
    g_string_append(out, name);
    g_string_append(out, suffix);
    for (; labels && labels->name; labels++) {
        g_string_append_printf(out, "%c%s=\"", before, labels->name);
        append_escaped(out, labels->value);
        g_string_append_c(out, '"');
        before = ',';
    }
    if (bound) {
        g_string_append_printf(out, "%cle=\"%s\"", before, bound);
        before = ',';
    }
    g_string_append(out, before == ',' ? "} " : " ");
    append_number(out, value);
    g_string_append_c(out, '\n');
}

void exposition_sample(GString *out, const char *name, const struct exposition_label *labels,
                       double value)
{
    append_sample(out, name, "", labels, NULL, value);
}

void exposition_labelled(GString *out, const char *name, const char *label, const char *value,
                         double number)
{
    const struct exposition_label labels[] = {{label, value}, {NULL, NULL}};
    exposition_sample(out, name, labels, number);
}

void exposition_single(GString *out, const char *name, const char *type, const char *help,
                       double value)
{
    exposition_family(out, name, type, help);
    exposition_sample(out, name, NULL, value);
}

void exposition_histogram(GString *out, const char *name, const struct exposition_label *labels,
                          const struct histogram *histogram)
{
    double below = 0; /* what a worker counts may not fit an integer once added up */
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
        if (i < HISTOGRAM_BOUNDS)
            g_ascii_formatd(bound, sizeof bound, "%g", histogram_bounds[i]);
        below += (double)histogram->counts[i];
        append_sample(out, name, "_bucket", labels, bound, below);
    }
    append_sample(out, name, "_sum", labels, NULL, histogram->sum_seconds);
    append_sample(out, name, "_count", labels, NULL, below);
}
