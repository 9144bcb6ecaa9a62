/* Data sets: what each format gives, and that bad files are refused by name and place. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "nn/train/dataset.h"
#include "nn/train/file.h"
#include "nn/train/random.h"
#include "tests/nn/allocator.h"
#include "tests/suite.h"

enum { FILES = 3 };

/* Of the test that runs: "a", "b" and "c" in a folder of its own. */
static char folder[512], paths[FILES][600];

static void make_folder(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/dataset-XXXXXX", root ? root : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%c", folder, 'a' + i);
}

static void remove_folder(void)
{
    for (int i = 0; i < FILES; i++)
        unlink(paths[i]);
    rmdir(folder);
}

static const char *write_bytes(int file, const void *bytes, size_t size)
{
    FILE *to = fopen(paths[file], "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, size, to), size);
    ck_assert_int_eq(fclose(to), 0);
    return paths[file];
}

static const char *write_text(int file, const char *text)
{
    return write_bytes(file, text, strlen(text));
}

static const char *write_gzip(int file, const void *bytes, size_t size)
{
    gzFile to = gzopen(paths[file], "wb9");
    ck_assert_ptr_nonnull(to);
    ck_assert_int_eq(gzwrite(to, bytes, (unsigned)size), (int)size);
    ck_assert_int_eq(gzclose(to), Z_OK);
    return paths[file];
}

static struct train_dataset *open_good(const char *format, const struct train_files *files)
{
    struct nn_error err = {""};
    struct train_dataset *data = NULL;
    int r = train_dataset_open(format, files, &data, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    ck_assert_ptr_nonnull(data);
    return data;
}

/* One line, with every word that is given (up to a NULL). */
static void check_refused(const char *format, const struct train_files *files, int code,
                          const char *const *words)
{
    struct nn_error err = {""};
    struct train_dataset *data = NULL;
    ck_assert_int_eq(train_dataset_open(format, files, &data, &err), code);
    ck_assert_ptr_null(data);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    for (; *words; words++)
        ck_assert_msg(strstr(err.text, *words), "'%s' lacks '%s'", err.text, *words);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_values(const struct train_dataset *data, int at, const float *expected,
                         size_t size)
{
    float *values = calloc(size, sizeof *values);
    ck_assert_int_eq(nn_shape_count(&data->shape), (int64_t)size);
    ck_assert_int_eq(train_dataset_read(data, at, values, NULL), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_float_eq(values[i], expected[i]);
    free(values);
}

/* Two pictures of 2 rows and 3 columns, and their labels. */
static const uint8_t pictures[] = {0, 0, 8, 3, 0, 0, 0,   2, 0, 0,  0,  2,  0,  0,
                                   0, 3, 1, 2, 3, 4, 255, 6, 7, 80, 90, 10, 11, 12};
static const uint8_t picture_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 1};

static struct train_files idx_files(const void *samples, size_t size, const void *labels,
                                    size_t labels_size)
{
    return (struct train_files){.samples = write_bytes(0, samples, size),
                                .labels = write_bytes(1, labels, labels_size)};
}

START_TEST(idx_gives_pictures_of_one_channel_and_their_labels)
{
    struct train_files files =
        idx_files(pictures, sizeof pictures, picture_labels, sizeof picture_labels);
    files.part = TRAIN_PART_TEST;
    struct train_dataset *data = open_good("idx", &files);
    ck_assert_int_eq(data->count, 2);
    ck_assert(data->pictures);
    ck_assert(nn_shape_equal(&data->shape, &(struct nn_shape){3, {1, 2, 3}}));
    ck_assert_int_eq(data->labels[0], 4);
    ck_assert_int_eq(data->labels[1], 1);
    ck_assert_int_eq(data->classes.count, 5);
    ck_assert_str_eq(data->classes.names[4], "4");
    ck_assert_int_eq(data->group_count, 2);
    ck_assert_int_eq(data->sources.count, 0);
    ck_assert_int_ne(data->groups[0], data->groups[1]);
    ck_assert_int_eq(data->parts[1], TRAIN_PART_TEST);
    check_values(data, 0, (float[]){1, 2, 3, 4, 255, 6}, 6);
    check_values(data, 1, (float[]){7, 80, 90, 10, 11, 12}, 6);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(gzipped_files_are_what_they_unpack_to)
{
    struct train_files files = {.samples = write_gzip(0, pictures, sizeof pictures),
                                .labels = write_gzip(1, picture_labels, sizeof picture_labels),
                                .classes = write_gzip(2, "a\nb\nc\nd\ne\n", 10)};
    struct train_dataset *data = open_good("idx", &files);
    check_values(data, 1, (float[]){7, 80, 90, 10, 11, 12}, 6);
    ck_assert_str_eq(data->classes.names[data->labels[0]], "e");
    train_dataset_destroy(data);
}
END_TEST

/* Whichever file is cut, and however it is packed. */
START_TEST(a_file_cut_anywhere_is_refused)
{
    struct train_dataset *data = NULL;
    struct nn_error err;
    uint8_t *bytes;
    size_t size;
    for (int packed = 0; packed < 2; packed++)
        for (int cut = 0; cut < 2; cut++) {
            struct train_files files =
                idx_files(pictures, sizeof pictures, picture_labels, sizeof picture_labels);
            const char *path = cut == 0 ? files.samples : files.labels;
            if (packed && cut == 0)
                write_gzip(0, pictures, sizeof pictures);
            else if (packed)
                write_gzip(1, picture_labels, sizeof picture_labels);
            struct stat status;
            ck_assert_int_eq(stat(path, &status), 0);
            train_dataset_destroy(open_good("idx", &files));
            for (off_t left = status.st_size - 1; left >= 0; left--) {
                ck_assert_int_eq(truncate(path, left), 0);
                err.text[0] = '\0';
                ck_assert_msg(train_dataset_open("idx", &files, &data, &err) == -EINVAL,
                              "%d of %d bytes were enough", (int)left, (int)status.st_size);
                ck_assert_ptr_nonnull(strstr(err.text, path));
            }
        }
    /* What is cut is said to be: half of a stream is not what it unpacks to. */
    write_gzip(0, pictures, sizeof pictures);
    ck_assert_int_eq(train_file_read(paths[0], &bytes, &size, NULL), 0);
    ck_assert_uint_eq(size, sizeof pictures);
    ck_assert_int_eq(bytes[size], 0);
    free(bytes);
    ck_assert_int_eq(truncate(paths[0], 20), 0);
    ck_assert_int_eq(train_file_read(paths[0], &bytes, &size, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "is cut"));
}
END_TEST

START_TEST(a_damaged_gzip_stream_is_refused)
{
    uint8_t *packed;
    struct nn_error err;
    struct stat status;
    write_gzip(0, pictures, sizeof pictures);
    ck_assert_int_eq(stat(paths[0], &status), 0);
    const size_t size = (size_t)status.st_size;
    packed = malloc(size);
    FILE *from = fopen(paths[0], "rb");
    ck_assert_uint_eq(fread(packed, 1, size, from), size);
    fclose(from);
    packed[size - 8] ^= 1; /* of the checksum */
    write_bytes(0, packed, size);
    uint8_t *data;
    size_t unpacked;
    ck_assert_int_eq(train_file_read(paths[0], &data, &unpacked, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    free(packed);
}
END_TEST

START_TEST(idx_headers_are_held_against_the_file)
{
    static const struct {
        int at;
        uint8_t byte;
        const char *word;
    } changes[] = {
        {0, 1, "no idx file"},
        {2, 0x0d, "type 0x0d"},
        {3, 1, "1 dimensions"},
        {3, 4, "4 dimensions"},
        {7, 3, "promises 3 pictures of 6 bytes; 12 bytes follow"},
        {4, 0x7f, "promises 2130706434 pictures"},
        {4, 0xff, "promises 4278190082 pictures"},
        {8, 0xff, "pictures of 12834570246 bytes"},
        {15, 0, "promises 2 pictures of 0 bytes"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t bytes[sizeof pictures];
        memcpy(bytes, pictures, sizeof bytes);
        bytes[changes[i].at] = changes[i].byte;
        struct train_files files =
            idx_files(bytes, sizeof bytes, picture_labels, sizeof picture_labels);
        check_refused("idx", &files, -EINVAL, WORDS(paths[0], changes[i].word));
    }
    /* 2^32 - 1 pictures of (2^32 - 1)^2 bytes; and a product that is 0 again. */
    uint8_t huge[16] = {0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    struct train_files files =
        idx_files(huge, sizeof huge, picture_labels, sizeof picture_labels);
    check_refused("idx", &files, -EINVAL, WORDS(paths[0], "promises 4294967295"));
    memset(huge + 4, 0, 12);
    huge[4] = huge[8] = huge[12] = 0x80;
    idx_files(huge, sizeof huge, picture_labels, sizeof picture_labels);
    check_refused("idx", &files, -EINVAL, WORDS(paths[0], "promises 2147483648"));
}
END_TEST

START_TEST(empty_files_and_files_of_nothing_are_refused)
{
    const uint8_t none[] = {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3};
    const uint8_t rowless[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3};
    const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 0};
    struct train_files files = idx_files(none, sizeof none, labels, sizeof labels);
    check_refused("idx", &files, -EINVAL, WORDS(paths[0], "no samples"));
    idx_files(rowless, sizeof rowless, picture_labels, sizeof picture_labels);
    check_refused("idx", &files, -EINVAL, WORDS(paths[0], "1 to 16777216 numbers"));
    idx_files("", 0, labels, sizeof labels);
    check_refused("idx", &files, -EINVAL, WORDS(paths[0], "no idx file"));
    check_refused("cifar", &files, -EINVAL, WORDS(paths[0], "no samples"));
    files.numbers = 1;
    check_refused("table", &files, -EINVAL, WORDS(paths[0], "no samples"));
    write_text(0, "label,x\n\n  \r\n");
    check_refused("table", &files, -EINVAL, WORDS(paths[0], "no samples"));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    struct train_files files = {.samples = paths[0], .labels = paths[0], .numbers = 1};
    check_refused("idx", &files, -ENOENT, WORDS(paths[0], "No such file"));
    files.samples = files.labels = folder;
    check_refused("table", &files, -EINVAL, WORDS(folder, "is not a file"));
    ck_assert_int_eq(mkfifo(paths[1], 0600), 0);
    files.samples = paths[1];
    check_refused("cifar", &files, -EINVAL, WORDS(paths[1], "is not a file"));
    files.labels = NULL;
    check_refused("idx", &files, -EINVAL, WORDS("needs a file of labels"));
    check_refused("mat", &files, -EINVAL, WORDS("'mat'", "idx, cifar, table"));
    ck_assert_int_eq(truncate(write_text(0, "x"), (off_t)TRAIN_FILE_BYTES_MAX + 1), 0);
    files.samples = paths[0];
    check_refused("cifar", &files, -E2BIG, WORDS(paths[0], "1024 MiB"));
}
END_TEST

START_TEST(labels_have_pictures_and_classes)
{
    const uint8_t three[] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 1, 0};
    struct train_files files = idx_files(pictures, sizeof pictures, three, sizeof three);
    check_refused("idx", &files, -EINVAL, WORDS("3 labels", "2 pictures"));
    files = idx_files(pictures, sizeof pictures, picture_labels, sizeof picture_labels);
    files.classes = write_text(2, "a\nb\nc\nd\n");
    check_refused("idx", &files, -EINVAL,
                  WORDS(paths[1], "sample 1 has label 4 (byte 8)", "classes 0 to 3"));
    write_text(2, "a\nb\nc\nd\ne");
    struct train_dataset *data = open_good("idx", &files);
    ck_assert_str_eq(data->classes.names[4], "e");
    train_dataset_destroy(data);
}
END_TEST

START_TEST(names_are_lines_without_marks_and_blanks)
{
    struct train_names names;
    struct nn_error err;
    write_text(0, "\xef\xbb\xbfStop\r\n Counter Clockwise \r\nMove\r\n\r\n \n");
    ck_assert_int_eq(train_names_read(paths[0], &names, &err), 0);
    ck_assert_int_eq(names.count, 3);
    ck_assert_str_eq(names.names[0], "Stop");
    ck_assert_str_eq(names.names[1], "Counter Clockwise");
    ck_assert_int_eq(train_names_find(&names, "Move it", 4), 2);
    ck_assert_int_eq(train_names_find(&names, "Mov", 3), -1);
    ck_assert_int_eq(train_names_find(&names, "Move\0it", 7), -1);
    train_names_finish(&names);

    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "has no names"},
        {" \r\n\n", "has no names"},
        {"a\n\nb", "line 2: a name of 0"},
        {"a\nb\na\n", "line 3: 'a' is there twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(0, bad[i].text);
        ck_assert_int_eq(train_names_read(paths[0], &names, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, paths[0]));
        ck_assert_msg(strstr(err.text, bad[i].word), "%s", err.text);
    }
    write_bytes(0, "a\nb\0c\n", 6);
    ck_assert_int_eq(train_names_read(paths[0], &names, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "byte 3 is 0"));
    char text[TRAIN_NAME_BYTES_MAX + 2] = "";
    memset(text, 'x', TRAIN_NAME_BYTES_MAX + 1);
    write_text(0, text);
    ck_assert_int_eq(train_names_read(paths[0], &names, &err), -EINVAL);
    write_bytes(0, text, TRAIN_NAME_BYTES_MAX);
    ck_assert_int_eq(train_names_read(paths[0], &names, &err), 0);
    train_names_finish(&names);
}
END_TEST

enum { RECORD = 3073 };

START_TEST(cifar_gives_planes_of_colour)
{
    uint8_t *bytes = calloc(2, RECORD);
    bytes[0] = 1;
    bytes[RECORD] = 2;
    for (int i = 0; i < RECORD - 1; i++)
        bytes[RECORD + 1 + i] = (uint8_t)(i / 32 * 7 + i % 32);
    struct train_files files = {.samples = write_bytes(0, bytes, 2 * RECORD),
                                .classes = write_text(1, "air\nboat\ncar\n")};
    struct train_dataset *data = open_good("cifar", &files);
    ck_assert_int_eq(data->count, 2);
    ck_assert(data->pictures);
    ck_assert(nn_shape_equal(&data->shape, &(struct nn_shape){3, {3, 32, 32}}));
    ck_assert_str_eq(data->classes.names[data->labels[1]], "car");
    float values[RECORD - 1];
    ck_assert_int_eq(train_dataset_read(data, 1, values, NULL), 0);
    for (int i = 0; i < RECORD - 1; i++)
        ck_assert_float_eq(values[i], bytes[RECORD + 1 + i]);
    train_dataset_destroy(data);

    bytes[RECORD] = 3;
    write_bytes(0, bytes, 2 * RECORD);
    check_refused("cifar", &files, -EINVAL,
                  WORDS(paths[0], "sample 2 has label 3 (byte 3073)"));
    write_bytes(0, bytes, 2 * RECORD - 1);
    check_refused("cifar", &files, -EINVAL, WORDS(paths[0], "1 records of 3073 and 3072 more"));
    free(bytes);
}
END_TEST

START_TEST(table_gives_sequences_step_by_step)
{
    struct train_files files = {.samples = write_text(0, "\xef\xbb\xbflabel,x0,y0,x1,y1\r\n"
                                                         "2, 0.5,-1e-3 ,+7,.25\r\n"
                                                         "\r\n"
                                                         "0,1,2,3,4"),
                                .numbers = 2};
    struct train_dataset *data = open_good("table", &files);
    ck_assert_int_eq(data->count, 2);
    ck_assert(!data->pictures);
    ck_assert(nn_shape_equal(&data->shape, &(struct nn_shape){2, {2, 2}}));
    ck_assert_int_eq(data->labels[0], 2);
    ck_assert_int_eq(data->classes.count, 3);
    check_values(data, 0, (float[]){0.5f, -1e-3f, 7, 0.25f}, 4);
    check_values(data, 1, (float[]){1, 2, 3, 4}, 4);
    train_dataset_destroy(data);

    files.samples = write_text(0, "walk,1,2\nrun,3,4\n0,5,6\n");
    files.classes = write_text(1, "run\nwalk\n");
    data = open_good("table", &files);
    ck_assert_int_eq(data->count, 3);
    ck_assert_int_eq(data->labels[0], 1);
    ck_assert_int_eq(data->labels[1], 0);
    ck_assert_int_eq(data->labels[2], 0);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(table_names_the_line_and_the_cell)
{
    static const struct {
        const char *text, *word;
        int numbers;
    } bad[] = {
        {"0,1,2\n1,3\n", "line 2: 1 numbers behind the label, but 2 in line 1", 1},
        {"l,x,y\n\n1,3,4\n1,3,4,5", "line 4: 3 numbers behind the label, but 2 in line 3", 1},
        {"0,1,2,3\n", "line 1: 3 numbers behind the label are not steps of 2", 2},
        {"0\n1\n", "line 1: 0 numbers", 1},
        {"0,1,2\n1,3,nan\n", "line 2, cell 3: 'nan' is not a finite number", 1},
        {"0,1,2\n1,inf,3\n", "line 2, cell 2: 'inf'", 1},
        {"0,1,2\n1,3,1e39\n", "line 2, cell 3: '1e39'", 1},
        {"0,1,2\n1,3,0x1p3\n", "line 2, cell 3: '0x1p3'", 1},
        {"0,1,2\n1,3,\n", "line 2, cell 3: ''", 1},
        {"0,1,2\n1,3,4 5\n", "line 2, cell 3: '4 5'", 1},
        {"0,1,2\n1,3,--4\n", "line 2, cell 3: '--4'", 1},
        {"0,1,2\n-1,3,4\n", "line 2: '-1' is no label: labels are 0 to 4095", 1},
        {"0,1,2\n1.5,3,4\n", "line 2: '1.5' is no label", 1},
        {"0,1,2\n,3,4\n", "line 2: '' is no label", 1},
        {"0,1,2\n4096,3,4\n", "line 2: '4096' is no label", 1},
        {"0,1,2\n99999999999999999999,3,4\n", "'99999999999999999999' is no label", 1},
        {"0,1,2\n", "a step has 1 to 16777216 numbers, not 0", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct train_files files = {.samples = write_text(0, bad[i].text),
                                    .numbers = bad[i].numbers};
        check_refused("table", &files, -EINVAL, WORDS(paths[0], bad[i].word));
    }
    struct train_files files = {.samples = write_text(0, "run,1,2\nstay,3,4\n"),
                                .classes = write_text(1, "run\nwalk\n"),
                                .numbers = 2};
    check_refused("table", &files, -EINVAL,
                  WORDS("line 2: 'stay' is no label: labels are 0 to 1, or the name"));
    write_text(0, "1,1,2\n2,3,4\n");
    check_refused("table", &files, -EINVAL, WORDS("line 2: '2' is no label"));
    write_bytes(0, "1,1,2\n1,3\0,4\n", 13);
    check_refused("table", &files, -EINVAL, WORDS("line 2, cell 2"));
    write_bytes(0, "1,1,2\nrun\0,3,4\n", 15);
    check_refused("table", &files, -EINVAL, WORDS("line 2: 'run' is no label"));
}
END_TEST

/* A data set of single numbers, in memory. */
static struct train_dataset *from_numbers(const float *numbers, const int *labels, int count)
{
    struct train_dataset *data = NULL;
    float *block = malloc((size_t)count * sizeof *block);
    memcpy(block, numbers, (size_t)count * sizeof *block);
    ck_assert_int_eq(train_dataset_create(&(struct train_memory){.shape = {2, {1, 1}},
                                                                 .count = count,
                                                                 .type = NN_TYPE_FLOAT,
                                                                 .block = block,
                                                                 .stride = sizeof *block},
                                          "numbers", &data, NULL),
                     0);
    memcpy(data->labels, labels, (size_t)count * sizeof *labels);
    ck_assert_int_eq(train_names_number(&data->classes, 10), 0);
    return data;
}

START_TEST(duplicates_are_found_and_can_be_left_out)
{
    struct train_dataset *data =
        from_numbers((float[]){1, 2, 1, 0, 2, 1, -0.0f}, (int[]){0, 1, 2, 3, 4, 5, 6}, 7);
    int first[7];
    ck_assert_int_eq(train_dataset_duplicates(data, first, NULL), 4);
    const int expected[7] = {0, 1, 0, 3, 1, 0, 3};
    bool marked[7];
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(first[i], expected[i]);
        marked[i] = first[i] != i;
    }
    train_dataset_drop(data, marked);
    ck_assert_int_eq(data->count, 3);
    const int kept[3] = {0, 1, 3};
    const float values[3] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(data->labels[i], kept[i]);
        ck_assert_int_eq(data->groups[i], kept[i]);
        ck_assert_int_eq(data->origins[i], kept[i]);
        check_values(data, i, &values[i], 1);
    }
    ck_assert_int_eq(train_dataset_duplicates(data, first, NULL), 0);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(joined_data_keeps_order_parts_and_groups)
{
    struct train_dataset *parts[] = {from_numbers((float[]){1, 2, 3}, (int[]){0, 1, 2}, 3),
                                     from_numbers((float[]){4, 5}, (int[]){3, 4}, 2)};
    struct train_dataset *joined = NULL;
    train_dataset_drop(parts[0], (bool[]){false, true, false});
    parts[1]->parts[1] = TRAIN_PART_VALIDATION;
    ck_assert_int_eq(train_names_number(&parts[1]->classes, 11), 0);
    ck_assert_int_eq(train_dataset_join(parts, 2, &joined, NULL), 0);
    ck_assert_int_eq(joined->count, 4);
    ck_assert_int_eq(joined->group_count, 4);
    ck_assert_int_eq(joined->classes.count, 11);
    const float values[4] = {1, 3, 4, 5};
    const int labels[4] = {0, 2, 3, 4};
    for (int i = 0; i < 4; i++) {
        check_values(joined, i, &values[i], 1);
        ck_assert_int_eq(joined->labels[i], labels[i]);
        ck_assert_int_eq(joined->groups[i], i);
        ck_assert_int_eq(joined->parts[i], i == 3 ? TRAIN_PART_VALIDATION : TRAIN_PART_NONE);
    }
    train_dataset_destroy(joined);
}
END_TEST

/* Samples of one source each. */
static struct train_dataset *from_sources(const char *const *names, int count)
{
    const float numbers[4] = {0};
    const int labels[4] = {0};
    struct train_dataset *data = from_numbers(numbers, labels, count);
    for (int i = 0; i < count; i++)
        data->groups[i] = train_names_add(&data->sources, names[i], strlen(names[i]));
    data->group_count = data->sources.count;
    return data;
}

START_TEST(a_source_that_two_data_sets_share_stays_one_group)
{
    struct train_dataset *parts[] = {from_sources((const char *[]){"door", "yard"}, 2),
                                     from_sources((const char *[]){"yard", "hall", "yard"}, 3)};
    struct train_dataset *joined = NULL;
    ck_assert_int_eq(train_dataset_join(parts, 2, &joined, NULL), 0);
    ck_assert_int_eq(joined->group_count, 3);
    const int groups[5] = {0, 1, 1, 2, 1};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(joined->groups[i], groups[i]);
    ck_assert_str_eq(joined->sources.names[2], "hall");
    train_dataset_destroy(joined);
}
END_TEST

START_TEST(what_differs_is_not_joined)
{
    for (int difference = 0; difference < 4; difference++) {
        struct train_dataset *parts[] = {from_sources((const char *[]){"door", "yard"}, 2),
                                         from_sources((const char *[]){"door", "yard"}, 2)};
        struct train_dataset *joined = NULL;
        struct nn_error err = {""};
        if (difference == 0)
            parts[1]->shape.dim[0] = 2;
        else if (difference == 1)
            parts[1]->pictures = true;
        else if (difference == 2)
            parts[1]->classes.names[1][0] = 'x';
        else
            train_names_finish(&parts[1]->sources);
        ck_assert_int_eq(train_dataset_join(parts, 2, &joined, &err), -EINVAL);
        ck_assert_ptr_null(joined);
        ck_assert_ptr_nonnull(strstr(err.text, "data sets 1 and 2 cannot be joined"));
    }
    struct train_dataset *joined = NULL;
    ck_assert_int_eq(train_dataset_join(NULL, 0, &joined, NULL), -EINVAL);
}
END_TEST

/* A format and files of it, as bytes. */
static const struct {
    const char *format;
    const char *bytes[FILES];
    size_t sizes[FILES];
} samples_of_formats[] = {
    {"idx",
     {(const char *)pictures, (const char *)picture_labels, "a\nb\nc\nd\ne\n"},
     {sizeof pictures, sizeof picture_labels, 10}},
    {"table",
     {"label,x,y\n0,1.5,-2e1\nrun,.25,+4\n\n2,5,6", "", "walk\nrun\nstay\n"},
     {38, 0, 14}},
};

/* Written as they are, or the first gzipped. */
static struct train_files write_sample(size_t format, bool packed)
{
    for (int i = 0; i < FILES; i++)
        (packed && i == 0 ? write_gzip : write_bytes)(i, samples_of_formats[format].bytes[i],
                                                      samples_of_formats[format].sizes[i]);
    return (struct train_files){
        .samples = paths[0], .labels = paths[1], .classes = paths[2], .numbers = 1};
}

/* Nothing else happens, which a sanitizer sees. */
START_TEST(changed_bytes_are_read_or_refused)
{
    struct train_random random = train_random_start(9);
    int read = 0, refused = 0;
    for (int i = 0; i < 2000; i++) {
        const size_t format = train_random_below(&random, 2);
        const int changed = (int)train_random_below(&random, FILES);
        const struct train_files files = write_sample(format, false);
        const size_t size = samples_of_formats[format].sizes[changed];
        char bytes[64];
        memcpy(bytes, samples_of_formats[format].bytes[changed], size);
        for (uint64_t left = 1 + train_random_below(&random, 2); size > 0 && left > 0; left--)
            bytes[train_random_below(&random, size)] =
                train_random_below(&random, 2)
                    ? (char)train_random_next(&random)
                    : "\n,\r 0-.e\"9a"[train_random_below(&random, 11)];
        write_bytes(changed, bytes, size);
        struct nn_error err = {""};
        struct train_dataset *data = NULL;
        int r = train_dataset_open(samples_of_formats[format].format, &files, &data, &err);
        if (r < 0) {
            ck_assert_ptr_nonnull(strstr(err.text, folder));
            refused++;
            continue;
        }
        float values[8];
        ck_assert_int_le(nn_shape_count(&data->shape), 8);
        for (int k = 0; k < data->count; k++) {
            ck_assert_int_lt(data->labels[k], data->classes.count);
            ck_assert_int_ge(data->labels[k], 0);
            ck_assert_int_eq(train_dataset_read(data, k, values, NULL), 0);
        }
        train_dataset_destroy(data);
        read++;
    }
    ck_assert_int_gt(read, 400);
    ck_assert_int_gt(refused, 400);
}
END_TEST

/* Opens, joins and compares; nothing is left behind. */
static int use_memory(const char *format, const struct train_files *files, struct nn_error *err)
{
    struct train_dataset *parts[2] = {NULL}, *data = NULL;
    int first[16];
    int r = train_dataset_open(format, files, &parts[0], err);
    if (r == 0)
        r = train_dataset_open(format, files, &parts[1], err);
    if (r < 0) {
        train_dataset_destroy(parts[0]);
        return r;
    }
    r = train_dataset_join(parts, 2, &data, err);
    if (r == 0) {
        r = train_dataset_duplicates(data, first, err);
        ck_assert(r < 0 || r == data->count / 2);
    }
    train_dataset_destroy(data);
    return r;
}

START_TEST(memory_that_is_refused_anywhere_is_said)
{
    for (size_t format = 0; OWN_ALLOCATOR && format < 2; format++) {
        const struct train_files files = write_sample(format, true);
        int r = -ENOMEM, refusals = 0;
        for (; r == -ENOMEM; refusals++) {
            struct nn_error err = {""};
            fail_at = refusals;
            r = use_memory(samples_of_formats[format].format, &files, &err);
            fail_at = -1;
            ck_assert_msg(r >= 0 || strstr(err.text, "no memory"), "%d: %s", r, err.text);
        }
        ck_assert_int_gt(r, 0);
        ck_assert_int_gt(refusals, 40);
    }
}
END_TEST

static void count_labels(const struct train_dataset *data, int *ret_counts)
{
    for (int i = 0; i < data->count; i++)
        ret_counts[data->labels[i]]++;
}

START_TEST(the_shared_digits_are_read)
{
    char samples[4096], labels[4096];
    if (!suite_data("stills/mnist")) {
        suite_skip("no shared test data");
        return;
    }
    strcpy(samples, suite_data("stills/mnist/t10k-images-idx3-ubyte.gz"));
    strcpy(labels, suite_data("stills/mnist/t10k-labels-idx1-ubyte.gz"));
    struct train_dataset *data =
        open_good("idx", &(struct train_files){.samples = samples, .labels = labels});
    ck_assert_int_eq(data->count, 10000);
    ck_assert_int_eq(data->classes.count, 10);
    ck_assert(nn_shape_equal(&data->shape, &(struct nn_shape){3, {1, 28, 28}}));
    ck_assert_int_eq(data->labels[0], 7);
    /* As many of each as the data set is known to have. */
    const int known[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    int counts[10] = {0};
    count_labels(data, counts);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(counts[i], known[i]);
    float values[28 * 28];
    ck_assert_int_eq(train_dataset_read(data, 0, values, NULL), 0);
    float most = 0, corner = values[0];
    for (int i = 0; i < 28 * 28; i++)
        most = fmaxf(most, values[i]);
    ck_assert_float_eq(most, 255); /* white on black */
    ck_assert_float_eq(corner, 0);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(the_shared_pictures_are_read)
{
    char samples[2][4096], classes[4096];
    struct train_dataset *parts[2], *data = NULL;
    if (!suite_data("stills/cifar10")) {
        suite_skip("no shared test data");
        return;
    }
    strcpy(samples[0], suite_data("stills/cifar10/train_5000.bin"));
    strcpy(samples[1], suite_data("stills/cifar10/test_1000.bin"));
    strcpy(classes, suite_data("stills/cifar10/classes.txt"));
    for (int i = 0; i < 2; i++)
        parts[i] = open_good(
            "cifar", &(struct train_files){.samples = samples[i],
                                           .classes = classes,
                                           .part = i ? TRAIN_PART_TEST : TRAIN_PART_TRAIN});
    ck_assert_int_eq(train_dataset_join(parts, 2, &data, NULL), 0);
    ck_assert_int_eq(data->count, 6000);
    ck_assert_int_eq(data->parts[4999], TRAIN_PART_TRAIN);
    ck_assert_int_eq(data->parts[5000], TRAIN_PART_TEST);
    ck_assert_str_eq(data->classes.names[9], "truck");
    int counts[10] = {0};
    count_labels(data, counts);
    for (int i = 0; i < 10; i++)
        ck_assert_int_gt(counts[i], 0);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(the_shared_sequences_are_read_and_their_duplicates_counted)
{
    char samples[4096], classes[4096];
    if (!suite_data("sequences")) {
        suite_skip("no shared test data");
        return;
    }
    strcpy(samples, suite_data("sequences/point_history_open.csv"));
    strcpy(classes, suite_data("sequences/point_history_classifier_label.csv"));
    struct train_dataset *data = open_good(
        "table", &(struct train_files){.samples = samples, .classes = classes, .numbers = 2});
    ck_assert_int_eq(data->count, 3974);
    ck_assert(nn_shape_equal(&data->shape, &(struct nn_shape){2, {16, 2}}));
    ck_assert_str_eq(data->classes.names[2], "Counter Clockwise");
    const int known[4] = {1111, 926, 960, 977};
    int counts[4] = {0};
    count_labels(data, counts);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(counts[i], known[i]);
    int *first = calloc((size_t)data->count, sizeof *first);
    bool *marked = calloc((size_t)data->count, sizeof *marked);
    ck_assert_int_eq(train_dataset_duplicates(data, first, NULL), 19);
    for (int i = 0; i < data->count; i++)
        marked[i] = first[i] != i;
    train_dataset_drop(data, marked);
    ck_assert_int_eq(data->count, 3955);
    ck_assert_int_eq(train_dataset_duplicates(data, first, NULL), 0);
    free(first);
    free(marked);
    train_dataset_destroy(data);
}
END_TEST

int main(void)
{
    TCase *files = tcase_create("files"), *sets = tcase_create("sets");
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, idx_gives_pictures_of_one_channel_and_their_labels);
    tcase_add_test(files, gzipped_files_are_what_they_unpack_to);
    tcase_add_test(files, a_file_cut_anywhere_is_refused);
    tcase_add_test(files, a_damaged_gzip_stream_is_refused);
    tcase_add_test(files, idx_headers_are_held_against_the_file);
    tcase_add_test(files, empty_files_and_files_of_nothing_are_refused);
    tcase_add_test(files, what_is_no_file_is_refused);
    tcase_add_test(files, labels_have_pictures_and_classes);
    tcase_add_test(files, names_are_lines_without_marks_and_blanks);
    tcase_add_test(files, cifar_gives_planes_of_colour);
    tcase_add_test(files, table_gives_sequences_step_by_step);
    tcase_add_test(files, table_names_the_line_and_the_cell);
    tcase_add_test(files, changed_bytes_are_read_or_refused);
    tcase_add_test(files, memory_that_is_refused_anywhere_is_said);
    tcase_add_test(sets, duplicates_are_found_and_can_be_left_out);
    tcase_add_test(sets, joined_data_keeps_order_parts_and_groups);
    tcase_add_test(sets, a_source_that_two_data_sets_share_stays_one_group);
    tcase_add_test(sets, what_differs_is_not_joined);
    tcase_add_test(sets, the_shared_digits_are_read);
    tcase_add_test(sets, the_shared_pictures_are_read);
    tcase_add_test(sets, the_shared_sequences_are_read_and_their_duplicates_counted);
    TCase *cases[] = {files, sets};
    return suite_run("nn/train/dataset", cases, 2);
}
