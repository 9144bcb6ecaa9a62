/* The operator table: what vigil can run. */
#include <string.h>

#include "nn/op.h"

#define ROW(name) &nn_op_##name,
static const struct nn_op *const ops[] = {
#include "nn/ops/list.inc"
};
#undef ROW

size_t nn_op_count(void)
{
    return sizeof ops / sizeof ops[0];
}

const struct nn_op *nn_op_at(size_t index)
{
    return ops[index];
}

const struct nn_op *nn_op_find(const char *name)
{
    for (size_t i = 0; i < nn_op_count(); i++)
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    return NULL;
}
