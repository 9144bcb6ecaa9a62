#include "nn/train/names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/file.h"

void train_names_finish(struct train_names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct train_names){0};
}

int train_names_find(const struct train_names *names, const char *name, size_t length)
{
    for (int i = 0; i < names->count; i++)
        if (strlen(names->names[i]) == length && memcmp(names->names[i], name, length) == 0)
            return i;
    return -1;
}

int train_names_add(struct train_names *names, const char *name, size_t length)
{
    int at = train_names_find(names, name, length);
    if (at >= 0)
        return at;
    if (names->count == TRAIN_NAMES_MAX)
        return -E2BIG;
    if (names->count == names->capacity) {
        int capacity = names->capacity ? 2 * names->capacity : 16;
        char **grown = realloc(names->names, (size_t)capacity * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        names->names = grown;
        names->capacity = capacity;
    }
    char *copy = strndup(name, length);
    if (!copy)
        return -ENOMEM;
    names->names[names->count] = copy;
    return names->count++;
}

int train_names_number(struct train_names *names, int count)
{
    for (int i = names->count; i < count; i++) {
        char name[16];
        int r = train_names_add(names, name, (size_t)snprintf(name, sizeof name, "%d", i));
        if (r < 0)
            return r;
    }
    return 0;
}

bool train_names_agree(const struct train_names *a, const struct train_names *b)
{
    for (int i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

static int add_line(struct train_names *names, const char *path, int line, const char *name,
                    size_t length, struct nn_error *err)
{
    if (length == 0 || length > TRAIN_NAME_BYTES_MAX)
        return nn_error_set(err, -EINVAL,
                            "'%.160s', line %d: a name of %zu bytes; 1 to %d are "
                            "allowed",
                            path, line, length, TRAIN_NAME_BYTES_MAX);
    if (train_names_find(names, name, length) >= 0)
        return nn_error_set(err, -EINVAL, "'%.160s', line %d: '%.*s' is there twice", path,
                            line, (int)length, name);
    int r = train_names_add(names, name, length);
    if (r == -E2BIG)
        return nn_error_set(err, r, "'%.160s' has more than %d names", path, TRAIN_NAMES_MAX);
    return r < 0 ? nn_error_set(err, r, "no memory for the names of '%.160s'", path) : 0;
}

static int read_lines(struct train_names *names, const char *path, const char *text,
                      size_t size, struct nn_error *err)
{
    const char *end = text + size;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    for (int line = 1; text < end; line++) {
        const char *next = memchr(text, '\n', (size_t)(end - text));
        const char *stop = next ? next : end;
        while (text < stop && isspace((unsigned char)*text))
            text++;
        size_t length = (size_t)(stop - text);
        while (length > 0 && isspace((unsigned char)text[length - 1]))
            length--;
        int r = add_line(names, path, line, text, length, err);
        if (r < 0)
            return r;
        text = next ? next + 1 : end;
    }
    return names->count > 0 ? 0 : nn_error_set(err, -EINVAL, "'%.160s' has no names", path);
}

int train_names_read(const char *path, struct train_names *ret_names, struct nn_error *err)
{
    struct train_names names = {0};
    uint8_t *data = NULL;
    size_t size = 0;
    int r = train_file_read(path, &data, &size, err);
    if (r < 0)
        return r;
    const uint8_t *nul = memchr(data, '\0', size);
    if (nul)
        r = nn_error_set(err, -EINVAL, "'%.160s' is not text: byte %td is 0", path, nul - data);
    else
        r = read_lines(&names, path, (const char *)data, size, err);
    free(data);
    if (r < 0)
        train_names_finish(&names);
    else
        *ret_names = names;
    return r;
}
