/* What Keras's summary() prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/design.h"

enum {
    TEXT_MAX = 256,
    INDENT = 4, /* for each layer around */
    /* Where Keras's columns end; wider where something needs it. */
    NAME_WIDTH = 28,
    SHAPE_WIDTH = 26,
    NUMBER_WIDTH = 10,
};

/* "93,322" */
static const char *grouped(int64_t number, char text[TEXT_MAX])
{
    char digits[32];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)number), used = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static void name_text(const struct train_design_row *row, char text[TEXT_MAX])
{
    snprintf(text, TEXT_MAX, "%*s%s (%s)", INDENT * row->depth, "", row->name, row->type);
}

/* "(None, 26, 26, 32)" */
static void shape_text(const struct nn_shape *shape, char text[TEXT_MAX])
{
    int used = snprintf(text, TEXT_MAX, "(None");
    for (int d = 0; d < shape->rank; d++)
        used += snprintf(text + used, (size_t)(TEXT_MAX - used), ", %lld",
                         (long long)shape->dim[d]);
    snprintf(text + used, (size_t)(TEXT_MAX - used), ")");
}

static void line(FILE *out, char mark, int width)
{
    for (int i = 0; i < width; i++)
        fputc(mark, out);
    fputc('\n', out);
}

/* Returns how wide it is. */
static int print_rows(const struct train_design *design, FILE *out)
{
    size_t count = train_design_row_count(design);
    int name_width = NAME_WIDTH, shape_width = SHAPE_WIDTH;
    char name[TEXT_MAX], shape[TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct train_design_row *row = train_design_row(design, i);
        name_text(row, name);
        shape_text(&row->shape, shape);
        name_width = name_width > (int)strlen(name) + 1 ? name_width : (int)strlen(name) + 1;
        shape_width =
            shape_width > (int)strlen(shape) + 1 ? shape_width : (int)strlen(shape) + 1;
    }
    int width = 1 + name_width + shape_width + NUMBER_WIDTH;
    line(out, '_', width);
    fprintf(out, " %-*s%-*s%s\n", name_width, "Layer (type)", shape_width, "Output Shape",
            "Param #");
    line(out, '=', width);
    for (size_t i = 0; i < count; i++) {
        const struct train_design_row *row = train_design_row(design, i);
        name_text(row, name);
        shape_text(&row->shape, shape);
        fprintf(out, " %-*s%-*s%lld\n", name_width, name, shape_width, shape,
                (long long)(row->trainable + row->statistics));
    }
    line(out, '=', width);
    return width;
}

char *train_design_summary(const struct train_design *design)
{
    char *text = NULL, number[TEXT_MAX];
    size_t size;
    int64_t trainable = 0, statistics = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    int width = print_rows(design, out);
    for (size_t i = 0; i < train_design_row_count(design); i++) {
        const struct train_design_row *row = train_design_row(design, i);
        trainable += row->depth == 0 ? row->trainable : 0;
        statistics += row->depth == 0 ? row->statistics : 0;
    }
    fprintf(out, "Total params: %s\n", grouped(trainable + statistics, number));
    fprintf(out, "Trainable params: %s\n", grouped(trainable, number));
    fprintf(out, "Non-trainable params: %s\n", grouped(statistics, number));
    line(out, '_', width);
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
