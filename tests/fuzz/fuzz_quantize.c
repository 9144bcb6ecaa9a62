/* Any bytes as a model to quantise: read, raised, folded, shown two samples and written twice,
 * with small limits. Nothing may break; what is written loads, and is the same both times. The
 * last byte picks the percentile. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/quantize/quantize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT_BYTES = 128 * 1024 };

static void fill(const struct nn_tensor *t, int sample)
{
    int64_t count = nn_shape_count(&t->shape);
    for (int64_t i = 0; i < count && t->type == NN_TYPE_FLOAT; i++)
        ((float *)t->data)[i] = (float)((i + sample) % 17) / 8 - 1;
    if (t->type != NN_TYPE_FLOAT)
        memset(t->data, sample, (size_t)count * nn_type_size(t->type));
}

static bool observe(struct nn_quantizer *quantizer)
{
    for (int sample = 0; sample < 2; sample++) {
        for (size_t i = 0; i < nn_quantizer_input_count(quantizer); i++)
            fill(nn_quantizer_input(quantizer, i), sample);
        if (nn_quantizer_observe(quantizer, NULL) < 0)
            return false;
    }
    return true;
}

static void check(const void *first, size_t first_size, const void *second, size_t second_size)
{
    struct nn_model *model = NULL;
    if (first_size != second_size || memcmp(first, second, first_size) != 0 ||
        nn_model_load(first, first_size, &model, NULL) < 0)
        abort();
    nn_model_unref(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double percentiles[] = {100, 99.99, 90, 50};
    struct nn_quantize_options options = {.percentile =
                                              percentiles[size > 0 ? data[size - 1] % 4 : 0],
                                          .limit_bytes = LIMIT_BYTES};
    struct nn_quantizer *quantizer = NULL;
    void *written[2] = {NULL, NULL};
    size_t bytes[2];
    if (nn_quantizer_create(data, size, &options, &quantizer, NULL) < 0)
        return 0;
    if (observe(quantizer) &&
        nn_quantizer_write(quantizer, &written[0], &bytes[0], NULL) == 0) {
        nn_quantizer_compare(quantizer, NULL);
        if (nn_quantizer_write(quantizer, &written[1], &bytes[1], NULL) < 0)
            abort();
        check(written[0], bytes[0], written[1], bytes[1]);
    }
    free(written[0]);
    free(written[1]);
    nn_quantizer_destroy(quantizer);
    return 0;
}
