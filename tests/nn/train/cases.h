/* Small graphs that together hold every row that learns. */
#ifndef TESTS_NN_TRAIN_CASES_H
#define TESTS_NN_TRAIN_CASES_H

#include "nn/model.h"
#include "tests/nn/onnx_builder.h"

struct gradient_case {
    const char *name; /* NULL behind the last of a family */
    struct onnx (*build)(void);
    bool may_be_zero; /* a gradient that is zero everywhere is right */
};

/* Families, each in a file of its own. */
extern const struct gradient_case gradient_cases[], gradient_cases_elementwise[],
    gradient_cases_moves[], gradient_cases_norms[], gradient_cases_products[],
    gradient_cases_reductions[];

/* All of them, one by one; NULL behind the last. */
const struct gradient_case *gradient_case_at(size_t index);
size_t gradient_case_count(void);

/* An initializer of numbers in -0.6..0.7; where gradients are checked the test gives it others. */
static inline void weights(struct onnx *b, const char *name, struct onnx_dims dims)
{
    size_t count = onnx_dims_count(dims);
    float *numbers = calloc(count, sizeof *numbers);
    if (!numbers)
        abort();
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)(i * 37 % 131) / 100 - 0.6f;
    onnx_floats(b, name, dims, numbers);
    free(numbers);
}

/* Whether a node of the graph has this operator. */
bool gradient_case_has(const struct nn_model *model, const char *op);

#endif
