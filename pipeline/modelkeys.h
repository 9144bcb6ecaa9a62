/* The `vigil.` keys of a model as typed values: overrides first, then the model's own
 * metadata_props. What each key means is modelinfo's; here is how its text is read, and how it
 * is refused: one line with key and value. Text is hostile: bounded, and escaped in messages.
 *
 * Thread: plain data, one thread at a time. */
#ifndef PIPELINE_MODELKEYS_H
#define PIPELINE_MODELKEYS_H

#include <stdbool.h>

#include <glib.h>

#include "nn/model.h"

enum modelkey {
    MODELKEY_TASK,
    MODELKEY_LAYOUT,
    MODELKEY_WINDOW,
    MODELKEY_SIZE,
    MODELKEY_LABELS,
    MODELKEY_PIXELS,
    MODELKEY_MEAN,
    MODELKEY_SCALE,
    MODELKEY_RESIZE,
    MODELKEY_FPS,
    MODELKEY_STRIDE,
    MODELKEY_PRECISION,
    MODELKEY_THREADS,
    MODELKEY_HEAD,
    MODELKEY_ENTER,
    MODELKEY_EXIT,
    MODELKEY_MIN_DURATION,
    MODELKEY_COOLDOWN,
    MODELKEY_KIND,
    MODELKEY_BACKGROUND,
    MODELKEY_COUNT,
};

struct modelkeys {
    const struct nn_model *model;
    GHashTable *overrides; /* may be NULL */
    GPtrArray *assumed;    /* of char *: what was not said */
    struct nn_error *err;  /* may be NULL */
};

/* A table for overrides; owns its keys and values. */
GHashTable *modelkeys_overrides_new(void);

/* Sets one, with or without "vigil." before its name, unless it is set already. */
void modelkeys_overrides_add(GHashTable *overrides, const char *name, const char *value);

/* -EINVAL, with one line and what was probably meant, for a name (with or
 * without "vigil." before it) that is no key. */
int modelkeys_check_name(const char *name, struct nn_error *err);
/* The same for all overrides. */
int modelkeys_check(const struct modelkeys *keys);

bool modelkeys_is_overridden(const struct modelkeys *keys, enum modelkey key);

/* Each leaves its output alone, and returns 0, when the key is absent. */
const char *modelkeys_text(const struct modelkeys *keys, enum modelkey key); /* or NULL */
int modelkeys_number(const struct modelkeys *keys, enum modelkey key, double min, double max,
                     bool whole, double *number);
/* Index of the text in names (NULL-terminated). */
int modelkeys_choice(const struct modelkeys *keys, enum modelkey key, const char *const *names,
                     int *choice);
/* One number for all `count`, or one for each, comma between. */
int modelkeys_numbers(const struct modelkeys *keys, enum modelkey key, int count, double min,
                      double max, float *numbers);
/* WIDTHxHEIGHT, each 1..max. */
int modelkeys_size(const struct modelkeys *keys, enum modelkey key, int max, int *width,
                   int *height);

/* Puts "KEY: ..." on the list of assumptions. */
void modelkeys_assume(const struct modelkeys *keys, enum modelkey key, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* KEY "value": wanted. Returns -EINVAL. */
int modelkeys_refuse_value(const struct modelkeys *keys, enum modelkey key, const char *value,
                           const char *wanted);
/* The line as formatted; returns code. */
int modelkeys_refuse(const struct modelkeys *keys, int code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

#define MODELKEYS_SHOWN_SIZE 49
/* Text fit for one line of a log: at most 48 printable ASCII characters. Returns buffer. */
const char *modelkeys_show(const char *text, char buffer[MODELKEYS_SHOWN_SIZE]);

/* The whole text is one finite number. */
bool modelkeys_parse_number(const char *text, double *ret_number);

#endif
