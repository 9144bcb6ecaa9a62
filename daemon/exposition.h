/* Prometheus' text format 0.0.4, written family by family: exposition_family first, then all
 * samples of that family.
 *
 * Source: prometheus.io/docs/instrumenting/exposition_formats. Thread: plain data. */
#ifndef DAEMON_EXPOSITION_H
#define DAEMON_EXPOSITION_H

#include <glib.h>

#include "record/histogram.h"

struct exposition_label {
    const char *name; /* NULL ends a list */
    const char *value;
};

/* type: "counter", "gauge" or "histogram" */
void exposition_family(GString *out, const char *name, const char *type, const char *help);

/* `labels` may be NULL: none. */
void exposition_sample(GString *out, const char *name, const struct exposition_label *labels,
                       double value);

/* A sample with one label. */
void exposition_labelled(GString *out, const char *name, const char *label, const char *value,
                         double number);

/* A family of one sample without labels. */
void exposition_single(GString *out, const char *name, const char *type, const char *help,
                       double value);

/* The samples of a histogram: cumulative buckets, sum and count. */
void exposition_histogram(GString *out, const char *name, const struct exposition_label *labels,
                          const struct histogram *histogram);

#endif
