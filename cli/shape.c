#include "cli/shape.h"

#include <glib.h>

char *shape_text(const struct nn_shape *shape)
{
    GString *text = g_string_new("[");
    for (int d = 0; d < shape->rank; d++) {
        g_string_append(text, d ? ", " : "");
        if (shape->dim[d] < 0)
            g_string_append_c(text, '?');
        else
            g_string_append_printf(text, "%" G_GINT64_FORMAT, shape->dim[d]);
    }
    return g_string_free(g_string_append_c(text, ']'), FALSE);
}

struct nn_shape shape_place(const struct nn_shape *shape, int64_t at)
{
    struct nn_shape place = {.rank = shape->rank};
    for (int d = shape->rank - 1; d >= 0; d--) {
        place.dim[d] = at % shape->dim[d];
        at /= shape->dim[d];
    }
    return place;
}

bool shape_parse(const char *text, struct nn_shape *ret_shape)
{
    g_auto(GStrv) dims = g_strsplit(text, "x", NN_MAX_RANK + 1);
    guint rank = g_strv_length(dims);
    struct nn_shape shape = {.rank = (int)rank};
    if (rank > NN_MAX_RANK)
        return false;
    for (guint d = 0; d < rank; d++) {
        guint64 extent;
        if (!g_ascii_string_to_unsigned(dims[d], 10, 0, G_MAXINT32, &extent, NULL))
            return false;
        shape.dim[d] = (int64_t)extent;
    }
    *ret_shape = shape;
    return true;
}
