/* Work that takes only what others leave: of the processors, of the disk, and of the memory when
 * there is none any more. For a job of vigild, and for whoever says --idle.
 *
 * Thread: before the first other thread, which then has the same priority. */
#ifndef CLI_BACKGROUND_H
#define CLI_BACKGROUND_H

#include <glib.h>

struct background {
    gboolean idle;
    gint parent; /* SIGTERM when this process, our parent, ends; 0: no matter */
};

/* Rows of a verb's options. */
#define BACKGROUND_OPTIONS(background)                                                         \
    {"idle",                                                                                   \
     0,                                                                                        \
     0,                                                                                        \
     G_OPTION_ARG_NONE,                                                                        \
     &(background)->idle,                                                                      \
     "Take only what other processes leave of processors and disk",                            \
     NULL},                                                                                    \
    {                                                                                          \
        "parent", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &(background)->parent,            \
            "End when this process does", "PID"                                                \
    }

/* What the kernel does not grant is told on stderr, and done without: CLI_OK. CLI_UNAVAILABLE:
 * the parent has ended already. */
int background_enter(const struct background *background);

#endif
