/* Feeds seed files to a fuzz target without a fuzzer, so that each seed stays tested in every
 * build: replay FILE|DIRECTORY... prints TAP, one line per file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count;

static int replay_file(const char *path)
{
    size_t size;
    uint8_t *data = file_whole(path, &size);
    if (!data) {
        fprintf(stderr, "%s cannot be read\n", path);
        return -1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    printf("ok %d %s\n", ++count, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    return 0;
}

static int replay(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return replay_file(path);
    int status = 0;
    struct dirent *entry;
    while (status == 0 && (entry = readdir(directory))) {
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            status = replay_file(below);
    }
    closedir(directory);
    return status;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) < 0)
            return 1;
    }
    printf("1..%d\n", count);
    return count > 0 ? 0 : 1;
}
