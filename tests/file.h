/* Whole files, for tests, benches and tools. */
#ifndef TESTS_FILE_H
#define TESTS_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What a regular file holds, with nothing behind it, so that a sanitizer sees a read beyond; to
 * be freed. NULL: it cannot be read, or there is no memory; *ret_size is 0 then. */
static inline void *file_whole(const char *path, size_t *ret_size)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    size_t size = 0;
    void *data = NULL;
    if (file && fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)) {
        size = (size_t)status.st_size;
        data = malloc(size > 0 ? size : 1);
    }
    if (data && fread(data, 1, size, file) != size) {
        free(data);
        data = NULL;
    }
    if (file)
        fclose(file);
    *ret_size = data ? size : 0;
    return data;
}

#endif
