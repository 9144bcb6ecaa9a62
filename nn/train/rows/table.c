#include <string.h>

#include "nn/train/row.h"

#define ROW(name) extern const struct train_row TRAIN_NAME(train_row_##name);
#include "nn/train/rows.inc"
#undef ROW

#define ROW(name) &TRAIN_NAME(train_row_##name),
static const struct train_row *const rows[] = {
#include "nn/train/rows.inc"
};
#undef ROW

const struct train_row *TRAIN_NAME(train_row_at)(size_t index)
{
    return index < sizeof rows / sizeof *rows ? rows[index] : NULL;
}

const struct train_row *TRAIN_NAME(train_row_find)(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i]->op, op) == 0)
            return rows[i];
    return NULL;
}
