/* What a model makes of a tensor file, for tests that look at numbers:
 *
 *     run_model MODEL.onnx INPUT.pb [reference]
 *
 * Output 0 as float32 on stdout, without anything around it; the shape on stderr. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/session.h"
#include "nn/tensorfile.h"
#include "tests/file.h"

static int run(struct nn_model *model, const struct nn_tensor *input,
               enum nn_kernel_choice kernels, struct nn_error *err)
{
    const struct nn_plan_options options = {
        .input_shapes = &input->shape, .kernels = kernels, .time_axis = -1};
    struct nn_plan *plan = NULL;
    struct nn_session *session = NULL;
    int r = nn_plan_create(model, &options, &plan, err);
    if (r == 0)
        r = nn_session_create(plan, &session, err);
    if (r == 0) {
        memcpy(nn_session_input(session, 0)->data, input->data, nn_tensor_bytes(input));
        r = nn_session_run(session, err);
    }
    if (r == 0) {
        const struct nn_tensor *output = nn_session_output(session, 0);
        for (int d = 0; d < output->shape.rank; d++)
            fprintf(stderr, "%lld ", (long long)output->shape.dim[d]);
        if (fwrite(output->data, 1, nn_tensor_bytes(output), stdout) != nn_tensor_bytes(output))
            r = -1;
    }
    nn_session_destroy(session);
    nn_plan_unref(plan);
    return r;
}

int main(int argc, char **argv)
{
    struct nn_model *model = NULL;
    struct nn_tensor_file *input = NULL;
    struct nn_error err = {""};
    size_t model_size = 0, input_size = 0;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: run_model MODEL.onnx INPUT.pb [reference]\n");
        return 2;
    }
    void *model_data = file_whole(argv[1], &model_size);
    void *input_data = file_whole(argv[2], &input_size);
    int r = 0;
    if (!model_data || !input_data)
        r = nn_error_set(&err, -EINVAL, "%s cannot be read", argv[model_data ? 2 : 1]);
    if (r == 0)
        r = nn_model_load(model_data, model_size, &model, &err);
    if (r == 0)
        r = nn_tensor_file_load(input_data, input_size, argv[2], &input, &err);
    if (r == 0)
        r = run(model, nn_tensor_file_tensor(input),
                argc == 4 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    nn_model_unref(model);
    nn_tensor_file_destroy(input);
    free(model_data);
    free(input_data);
    return r < 0 ? 1 : 0;
}
