/* One test of a model, as ONNX keeps them: a folder with model.onnx and, in each
 * test_data_set_N, the inputs input_0.pb, input_1.pb, ... and the outputs that belong to them.
 *
 * Tensors are matched with the model's inputs and outputs by name where they have one, else by
 * their number. Inputs for which the file has an initializer are not fed. Inputs that are no
 * float tensors and that cannot be planned around (shapes and axes that come from outside) are
 * made constants of the plan.
 *
 * All files are hostile; nn bounds what they may cost.
 *
 * Thread: any; one test at a time each. */
#ifndef CLI_MODEL_TEST_H
#define CLI_MODEL_TEST_H

#include <glib.h>

#include "cli/compare.h"
#include "nn/plan.h"

enum model_verdict {
    MODEL_PASSED,
    MODEL_FAILED,
    MODEL_UNSUPPORTED, /* an operator, attribute or type that vigil lacks */
};

struct model_test_options {
    struct compare_tolerance tolerance;
    enum nn_kernel_choice kernels;
};

/* Runs every data set of a folder until one does not pass. *ret_why is one line then, with the
 * data set, node and operator where they are known (the caller frees it), else NULL.
 * *ret_most is the largest |a - b| of all outputs that were compared, -1 when none was. */
enum model_verdict model_test_run(const char *folder, const struct model_test_options *options,
                                  char **ret_why, double *ret_most);

#endif
