/* Sequences in CSV: a label, then numbers. The text is read twice: first for how many lines and
 * cells there are, then for what they say. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/file.h"
#include "nn/train/formats.h"

struct table {
    const struct train_files *files;
    const char *text, *end;
    locale_t locale;   /* numbers have points, whatever language the program speaks */
    int first_line;    /* that is no header */
    int rows, columns; /* of numbers */
};

/* A cell without the blanks around it. */
struct cell {
    const char *text;
    size_t length;
};

struct line {
    int number; /* from 1 */
    const char *at, *end;
};

/* The next line that is not empty; false at the end. */
static bool next_line(const struct table *table, struct line *line)
{
    const char *from = line->number == 0 ? table->text : line->end + 1;
    while (from < table->end) {
        const char *newline = memchr(from, '\n', (size_t)(table->end - from));
        line->number++;
        line->at = from;
        line->end = newline ? newline : table->end;
        while (line->at < line->end && isspace((unsigned char)*line->at))
            line->at++;
        if (line->at < line->end)
            return true;
        from = line->end + 1;
    }
    return false;
}

/* The cell that *at is in; *at goes behind its comma, beyond the line's end with the last one. */
static struct cell next_cell(const struct line *line, const char **at)
{
    const char *comma = memchr(*at, ',', (size_t)(line->end - *at));
    const char *stop = comma ? comma : line->end;
    struct cell cell = {*at, 0};
    *at = stop + 1;
    while (cell.text < stop && isspace((unsigned char)*cell.text))
        cell.text++;
    while (stop > cell.text && isspace((unsigned char)stop[-1]))
        stop--;
    cell.length = (size_t)(stop - cell.text);
    return cell;
}

/* Decimal numbers that a float holds: no hexadecimal ones, no nan, no infinity. */
static bool read_number(const struct table *table, struct cell cell, float *ret_number)
{
    for (size_t i = 0; i < cell.length; i++)
        if (!isdigit((unsigned char)cell.text[i]) && !strchr("+-.eE", cell.text[i]))
            return false;
    char *stop = NULL;
    const float number = (float)strtod_l(cell.text, &stop, table->locale);
    if (cell.length == 0 || stop != cell.text + cell.length || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* The number of the class, -1 when it is none. */
static int read_label(const struct train_names *classes, struct cell cell)
{
    int label = train_names_find(classes, cell.text, cell.length);
    const int most = classes->count > 0 ? classes->count : TRAIN_CLASSES_MAX;
    if (label >= 0 || cell.length == 0)
        return label;
    label = 0;
    for (size_t i = 0; i < cell.length; i++) {
        if (!isdigit((unsigned char)cell.text[i]))
            return -1;
        label = 10 * label + (cell.text[i] - '0');
        if (label >= most)
            return -1;
    }
    return label;
}

static bool is_header(const struct table *table, const struct line *line)
{
    float number;
    for (const char *at = line->at; at <= line->end;)
        if (read_number(table, next_cell(line, &at), &number))
            return false;
    return true;
}

/* Lines and cells. */
static int measure(struct table *table, struct nn_error *err)
{
    const char *path = table->files->samples;
    const int numbers = table->files->numbers;
    struct line line = {0};
    bool more = next_line(table, &line);
    if (more && is_header(table, &line))
        more = next_line(table, &line);
    table->first_line = line.number;
    for (; more; more = next_line(table, &line)) {
        int columns = 0;
        for (const char *at = line.at; (at = memchr(at, ',', (size_t)(line.end - at))); at++)
            columns++;
        if (table->rows == 0)
            table->columns = columns;
        if (columns != table->columns)
            return nn_error_set(err, -EINVAL,
                                "'%.160s', line %d: %d numbers behind the label, but "
                                "%d in line %d",
                                path, line.number, columns, table->columns, table->first_line);
        table->rows++;
    }
    if (table->rows == 0)
        return nn_error_set(err, -EINVAL, "'%.160s' has no samples", path);
    if (table->columns == 0 || table->columns % numbers != 0)
        return nn_error_set(err, -EINVAL,
                            "'%.160s', line %d: %d numbers behind the label are not "
                            "steps of %d",
                            path, table->first_line, table->columns, numbers);
    return 0;
}

static int fill(const struct table *table, struct train_dataset *data, float *numbers,
                struct nn_error *err)
{
    const struct train_files *files = table->files;
    struct line line = {0};
    int row = 0, highest = 0;
    int r = files->classes ? train_format_name_classes(data, files, 0, err) : 0;
    while (r == 0 && next_line(table, &line)) {
        if (line.number < table->first_line)
            continue;
        const char *at = line.at;
        struct cell cell = next_cell(&line, &at);
        data->parts[row] = files->part;
        data->labels[row] = read_label(&data->classes, cell);
        if (data->labels[row] < 0)
            return nn_error_set(err, -EINVAL,
                                "'%.120s', line %d: '%.*s' is no label: labels are "
                                "0 to %d%s",
                                files->samples, line.number,
                                cell.length < 40 ? (int)cell.length : 40, cell.text,
                                (files->classes ? data->classes.count : TRAIN_CLASSES_MAX) - 1,
                                files->classes ? ", or the name of a class" : "");
        highest = data->labels[row] > highest ? data->labels[row] : highest;
        for (int i = 0; i < table->columns; i++) {
            cell = next_cell(&line, &at);
            if (!read_number(table, cell,
                             &numbers[(size_t)row * (size_t)table->columns + (size_t)i]))
                return nn_error_set(err, -EINVAL,
                                    "'%.160s', line %d, cell %d: '%.*s' is not a "
                                    "finite number",
                                    files->samples, line.number, i + 2,
                                    cell.length < 40 ? (int)cell.length : 40, cell.text);
        }
        row++;
    }
    return r == 0 && !files->classes ? train_format_name_classes(data, files, highest, err) : r;
}

/* Of a text that has been measured. */
static int make(const struct table *table, struct train_dataset **ret_data,
                struct nn_error *err)
{
    const size_t stride = (size_t)table->columns * sizeof(float);
    const int numbers = table->files->numbers;
    float *block = malloc((size_t)table->rows * stride);
    if (!block)
        return nn_error_set(err, -ENOMEM, "no memory for '%.160s'", table->files->samples);
    const struct train_memory memory = {
        .shape = {2, {table->columns / numbers, numbers}},
        .count = table->rows,
        .type = NN_TYPE_FLOAT,
        .block = block,
        .stride = stride,
    };
    struct train_dataset *data = NULL;
    int r = train_dataset_create(&memory, table->files->samples, &data, err);
    if (r == 0)
        r = fill(table, data, block, err);
    if (r < 0)
        train_dataset_destroy(data);
    else
        *ret_data = data;
    return r;
}

int train_table_open(const struct train_files *files, struct train_dataset **ret_data,
                     struct nn_error *err)
{
    if (files->numbers < 1 || files->numbers > TRAIN_SAMPLE_MAX)
        return nn_error_set(err, -EINVAL, "'%.160s': a step has 1 to %d numbers, not %d",
                            files->samples, TRAIN_SAMPLE_MAX, files->numbers);
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = train_file_read(files->samples, &bytes, &size, err);
    if (r < 0)
        return r;
    struct table table = {.files = files, .locale = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    table.text = (const char *)bytes;
    table.end = table.text + size;
    if (size >= 3 && memcmp(table.text, "\xef\xbb\xbf", 3) == 0)
        table.text += 3;
    if (!table.locale)
        r = nn_error_set(err, -ENOMEM, "no memory to read '%.160s'", files->samples);
    if (r == 0)
        r = measure(&table, err);
    if (r == 0)
        r = make(&table, ret_data, err);
    if (table.locale)
        freelocale(table.locale);
    free(bytes);
    return r;
}
