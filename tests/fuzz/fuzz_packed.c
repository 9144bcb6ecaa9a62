/* Any bytes as a packed file whose writer knew the header and the checksum: opened, loaded,
 * planned whole and by frames, and run. Nothing is checked but that nothing breaks. The scalar
 * kernels, so that a seed means the same on every processor. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/packed_file.h"
#include "nn/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run(struct nn_model *model, int time_axis)
{
    struct nn_plan_options options = {.time_axis = time_axis, .limit_bytes = 128 * 1024};
    struct nn_plan *plan = NULL;
    struct nn_session *session = NULL;
    struct nn_error err;
    unsigned sum = 0;
    if (nn_plan_create(model, &options, &plan, &err) == 0 &&
        nn_session_create(plan, &session, &err) == 0 && nn_session_run(session, &err) == 0) {
        for (size_t i = 0; i < nn_model_output_count(model); i++) {
            const struct nn_tensor *t = nn_session_output(session, i);
            size_t bytes = (size_t)nn_shape_count(&t->shape) * nn_type_size(t->type);
            for (size_t b = 0; b < bytes; b++)
                sum += ((const uint8_t *)t->data)[b];
        }
    }
    nn_session_destroy(session);
    nn_plan_unref(plan);
    return sum;
}

static void complete_header(char *bytes, size_t size)
{
    struct nn_packed_header h;
    memcpy(&h, bytes, sizeof h);
    memcpy(h.magic, NN_PACKED_MAGIC, sizeof h.magic);
    memset(h.kernels, 0, sizeof h.kernels);
    memcpy(h.kernels, "scalar", sizeof "scalar");
    h.version = NN_PACKED_VERSION;
    h.header_bytes = sizeof h;
    h.file_bytes = size;
    h.checksum = 0;
    uint64_t end = h.weights.offset + h.weights.bytes;
    if (end >= sizeof h && end <= size)
        h.checksum = nn_packed_checksum(nn_packed_checksum(0, &h, sizeof h), bytes + sizeof h,
                                        end - sizeof h);
    memcpy(bytes, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setenv("VIGIL_KERNELS", "scalar", 1);
    struct nn_packed *packed = NULL;
    struct nn_model *model = NULL;
    struct nn_error err;
    char *bytes;
    if (size < sizeof(struct nn_packed_header) ||
        posix_memalign((void **)&bytes, NN_PACKED_ALIGNMENT, size) != 0)
        return 0;
    memcpy(bytes, data, size);
    complete_header(bytes, size);
    if (nn_packed_open(bytes, size, NULL, NULL, &packed, &err) == 0 &&
        nn_model_load_packed(packed, &model, &err) == 0) {
        volatile unsigned keep = run(model, -1) + run(model, data[size - 1] % 4);
        (void)keep;
    }
    nn_model_unref(model);
    nn_packed_unref(packed);
    free(bytes);
    return 0;
}
