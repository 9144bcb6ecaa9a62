/* Is a tensor what it should be? What `vigil model verify` holds outputs against.
 *
 * Floats: |a - b| <= atol * max(1, max|b|) + rtol * |b|, the maximum over the finite elements
 * of the expected tensor; strict: |a - b| <= atol + rtol * |b|. NaN equals NaN, an infinity
 * itself. Integers and bools must be the same.
 *
 * Thread: pure functions. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include "nn/tensor.h"

struct compare_tolerance {
    double rtol, atol; /* >= 0, finite */
    bool strict;
};

struct compare_difference {
    bool same_form;   /* type and shape agree; what follows is written only then */
    int64_t count;    /* elements */
    double most;      /* |a - b| of all; infinite when only one of two is a number */
    int64_t outside;  /* elements beyond the tolerance */
    double largest;   /* |a - b| among these */
    int64_t at;       /* where that is */
    double got, want; /* what stands there (a 64-bit integer beyond 2^53 is rounded) */
};

/* Whether all of `got` is `want` within the tolerance; how it differs in any case. */
bool compare_tensors(const struct nn_tensor *got, const struct nn_tensor *want,
                     const struct compare_tolerance *tolerance,
                     struct compare_difference *ret_difference);

#endif
