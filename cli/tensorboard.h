/* Figures in the files that TensorBoard shows (events.out.tfevents.*): records with checksums,
 * each an event with the numbers of one step.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc (records), tensorboard/compat/proto/event.proto
 * and summary.proto (events), RFC 3720, appendix B.4 (CRC-32C).
 *
 * Thread: any. */
#ifndef CLI_TENSORBOARD_H
#define CLI_TENSORBOARD_H

#include <glib.h>

struct tensorboard_scalar {
    const char *tag; /* "loss/train": before the stroke the name of a group of charts */
    double value;    /* not a number: is left out */
};

/* What a file begins with. Time is in seconds since 1970. */
void tensorboard_begin(GString *file, double time);

/* The numbers of a step. */
void tensorboard_add(GString *file, double time, int64_t step,
                     const struct tensorboard_scalar *scalars, size_t count);

#endif
