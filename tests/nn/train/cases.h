/* Small graphs that together hold every row that learns. */
#ifndef TESTS_NN_TRAIN_CASES_H
#define TESTS_NN_TRAIN_CASES_H

#include "nn/model.h"
#include "tests/nn/onnx_builder.h"

struct gradient_case {
    const char *name;
    struct onnx (*build)(void);
    bool may_be_zero; /* a gradient that is zero everywhere is right */
};

extern const struct gradient_case gradient_cases[];
extern const size_t gradient_case_count;

/* Whether a node of the graph has this operator. */
bool gradient_case_has(const struct nn_model *model, const char *op);

#endif
