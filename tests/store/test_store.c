/* Opening, reopening, damage, and streams. */
#include "tests/store/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void exec_sql(const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int64_t read_sql(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

START_TEST(a_new_file_is_private_and_strict)
{
    ok(store_open(path, &store, &err));
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    char wal[4096];
    snprintf(wal, sizeof wal, "%s-wal", path);
    ck_assert_int_eq(stat(wal, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    store_close(store);
    store = NULL;

    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO stream VALUES ('a', x'00')", 0, 0, 0),
                     SQLITE_CONSTRAINT);
    sqlite3_close(db);
}
END_TEST

START_TEST(what_was_stored_is_there_after_reopening)
{
    for (int round = 0; round < 3; round++) {
        ok(store_open(path, &store, &err));
        struct record record = fixture_record(RECORD_STARTED, round, 1000);
        ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
        ck_assert_int_eq(record.seq, round + 1);
        struct record_page page;
        ok(store_records_after(store, 0, 10, &page, &err));
        ck_assert_uint_eq(page.count, (size_t)round + 1);
        record_page_finish(&page);
        store_close(store);
        store = NULL;
    }
}
END_TEST

START_TEST(a_second_writer_is_refused_while_the_first_lives)
{
    ok(store_open(path, &store, &err));
    struct store *second = NULL;
    ck_assert_int_eq(store_open(path, &second, &err), -EBUSY);
    ck_assert_ptr_nonnull(strstr(err.text, "another vigild"));
    ck_assert_ptr_null(second);
    store_close(store);
    store = NULL;
    ok(store_open(path, &store, &err));
}
END_TEST

START_TEST(a_newer_schema_is_left_alone)
{
    ok(store_open(path, &store, &err));
    store_close(store);
    store = NULL;
    int64_t version = read_sql("PRAGMA user_version");
    exec_sql("PRAGMA user_version = 99");
    ck_assert_int_eq(store_open(path, &store, &err), -EPROTO);
    ck_assert_ptr_nonnull(strstr(err.text, "newer vigil"));
    ck_assert_int_eq(store_open_reader(path, 0, &store, &err), -EPROTO);
    char back[64];
    snprintf(back, sizeof back, "PRAGMA user_version = %d", (int)version);
    exec_sql(back);
    ok(store_open(path, &store, &err));
}
END_TEST

START_TEST(another_programs_database_is_left_alone)
{
    exec_sql("CREATE TABLE bookmarks (url TEXT)");
    ck_assert_int_eq(store_open(path, &store, &err), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(err.text, "another program"));
    exec_sql("INSERT INTO bookmarks VALUES ('still here')");
}
END_TEST

START_TEST(a_file_that_is_no_database_is_named_with_what_to_do)
{
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fprintf(file, "this is no database %d\n", i);
    fclose(file);
    ck_assert_int_eq(store_open(path, &store, &err), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_ptr_nonnull(strstr(err.text, "move it away"));
    ck_assert_int_eq(store_open_reader(path, 0, &store, &err), -EUCLEAN);
}
END_TEST

/* Fills some pages and closes. */
static void make_file(void)
{
    ok(store_open(path, &store, &err));
    for (int i = 0; i < 200; i++) {
        struct record record = fixture_record(RECORD_ENDED, i, 1000 + i);
        ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    }
    store_close(store);
    store = NULL;
}

static off_t file_size(void)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return info.st_size;
}

START_TEST(a_file_cut_at_any_page_is_damaged_or_empty_and_never_crashes)
{
    make_file();
    off_t size = file_size();
    ck_assert_int_gt(size, 10 * 4096);
    char *whole = malloc((size_t)size);
    FILE *file = fopen(path, "r");
    ck_assert_uint_eq(fread(whole, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    for (off_t cut = 4096; cut < size; cut += 4096) {
        file = fopen(path, "w");
        ck_assert_uint_eq(fwrite(whole, 1, (size_t)cut, file), (size_t)cut);
        fclose(file);
        err.text[0] = 0;
        ck_assert_int_eq(store_open(path, &store, &err), -EUCLEAN);
        ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
        ck_assert_int_eq(file_size(), cut);
    }
    free(whole);
}
END_TEST

START_TEST(overwritten_pages_are_found_or_harmless)
{
    make_file();
    off_t size = file_size();
    int found = 0;
    for (off_t page = 0; page < size; page += 4096) {
        char saved[512], junk[512];
        memset(junk, 0xa5, sizeof junk);
        int fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, saved, sizeof saved, page), sizeof saved);
        ck_assert_int_eq(pwrite(fd, junk, sizeof junk, page), sizeof junk);
        close(fd);
        int status = store_open(path, &store, &err);
        ck_assert_msg(status == 0 || status == -EUCLEAN, "page %d: %d %s", (int)page / 4096,
                      status, err.text);
        found += status == -EUCLEAN;
        if (status == 0) {
            store_close(store);
            store = NULL;
        }
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pwrite(fd, saved, sizeof saved, page), sizeof saved);
        close(fd);
    }
    ck_assert_int_ge(found, (int)(size / 4096) - 1);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused_and_gets_nothing_beside_it)
{
    char lock[4096];
    struct stat info;
    snprintf(lock, sizeof lock, "%s-lock", path);
    static const struct {
        const char *target, *says;
    } rows[] = {{"/dev/full", "is not a regular file: choose"},
                {"/tmp", "is a folder: choose"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(symlink(rows[i].target, path), 0);
        ck_assert_int_lt(store_open(path, &store, &err), 0);
        ck_assert_msg(strstr(err.text, rows[i].says), "%s", err.text);
        ck_assert_int_eq(stat(lock, &info), -1);
        ck_assert_int_eq(unlink(path), 0);
    }
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(store_open(path, &store, &err), -ENOTSUP);
    ck_assert_int_eq(stat(lock, &info), -1);
}
END_TEST

START_TEST(a_path_that_cannot_be_used_is_said)
{
    char missing[4096];
    snprintf(missing, sizeof missing, "%s/no/such/folder.db", folder);
    ck_assert_int_eq(store_open(missing, &store, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "check the folder"));
    ck_assert_int_eq(store_open_reader(missing, 0, &store, &err), -ENOENT);
    ck_assert_int_ne(store_open(folder, &store, &err), 0);
    char lock[4096];
    snprintf(lock, sizeof lock, "%s-lock", folder);
    unlink(lock); /* beside the folder, which alone is removed */
    ck_assert_ptr_null(store);
}
END_TEST

START_TEST(a_long_path_does_not_push_out_what_to_do)
{
    char longest[1024];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "/no/", 4);
    longest[1023] = 0;
    ck_assert_int_lt(store_open(longest, &store, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "check the folder"));
}
END_TEST

START_TEST(streams_are_kept_replaced_listed_and_deleted)
{
    ok(store_open(path, &store, &err));
    ok(store_put_text(store, STORE_STREAMS, "gate", "{\"uri\":\"scene://street\"}", &err));
    ok(store_put_text(store, STORE_STREAMS, "door", "{}", &err));
    ok(store_put_text(store, STORE_STREAMS, "door", "{\"uri\":\"scene://door\"}", &err));
    store_close(store);
    ok(store_open(path, &store, &err));
    struct store_text *streams;
    size_t count;
    ok(store_list_texts(store, STORE_STREAMS, &streams, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(streams[0].name, "door");
    ck_assert_str_eq(streams[0].text, "{\"uri\":\"scene://door\"}");
    ck_assert_str_eq(streams[1].name, "gate");
    store_texts_free(streams, count);
    ok(store_delete_text(store, STORE_STREAMS, "gate", &err));
    ck_assert_int_eq(store_delete_text(store, STORE_STREAMS, "gate", &err), -ENOENT);
    ok(store_list_texts(store, STORE_STREAMS, &streams, &count, &err));
    ck_assert_uint_eq(count, 1);
    store_texts_free(streams, count);
}
END_TEST

START_TEST(jobs_have_a_shelf_of_their_own_by_id)
{
    static const char *const ids[] = {"01KAGXQ7P8V5T3N2M1K0J9H8G8",
                                      "01KAGXQ7P8V5T3N2M1K0J9H8G7"};
    ok(store_open(path, &store, &err));
    ok(store_put_text(store, STORE_JOBS, ids[0], "{\"state\":\"queued\"}", &err));
    ok(store_put_text(store, STORE_JOBS, ids[1], "{}", &err));
    ok(store_put_text(store, STORE_JOBS, ids[0], "{\"state\":\"done\"}", &err));
    ck_assert_int_eq(store_put_text(store, STORE_JOBS, "door", "{}", &err), -EINVAL);
    store_close(store);
    ok(store_open(path, &store, &err));
    struct store_text *jobs;
    size_t count;
    ok(store_list_texts(store, STORE_STREAMS, &jobs, &count, &err));
    ck_assert_uint_eq(count, 0);
    store_texts_free(jobs, count);
    ok(store_list_texts(store, STORE_JOBS, &jobs, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(jobs[0].name, ids[1]);
    ck_assert_str_eq(jobs[1].text, "{\"state\":\"done\"}");
    store_texts_free(jobs, count);
    ok(store_delete_text(store, STORE_JOBS, ids[0], &err));
    ck_assert_int_eq(store_delete_text(store, STORE_JOBS, ids[0], &err), -ENOENT);
}
END_TEST

START_TEST(bad_names_and_large_configurations_of_streams_are_refused)
{
    ok(store_open(path, &store, &err));
    ck_assert_int_eq(store_put_text(store, STORE_STREAMS, "../x", "{}", &err), -EINVAL);
    char *config = malloc(STORE_TEXT_MAX + 2);
    memset(config, 'c', STORE_TEXT_MAX + 1);
    config[STORE_TEXT_MAX + 1] = 0;
    ck_assert_int_eq(store_put_text(store, STORE_STREAMS, "door", config, &err), -E2BIG);
    config[STORE_TEXT_MAX] = 0;
    ok(store_put_text(store, STORE_STREAMS, "door", config, &err));
    free(config);
}
END_TEST

START_TEST(a_reader_does_not_write)
{
    ok(store_open(path, &store, &err));
    struct store *reader;
    ok(store_open_reader(path, 0, &reader, &err));
    ck_assert_int_eq(store_put_text(reader, STORE_STREAMS, "door", "{}", &err), -EROFS);
    struct record record = fixture_record(RECORD_STARTED, 1, 1000);
    ck_assert_int_eq(store_append(reader, &record, 1, FIXTURE_NOW, &err), -EROFS);
    ck_assert_int_eq(record.seq, -1);
    store_close(reader);
}
END_TEST

int main(void)
{
    TCase *opening = tcase_create("opening"), *streams = tcase_create("streams");
    tcase_set_timeout(opening, 60);
    tcase_add_checked_fixture(opening, fixture_folder, fixture_close);
    tcase_add_test(opening, a_new_file_is_private_and_strict);
    tcase_add_test(opening, what_was_stored_is_there_after_reopening);
    tcase_add_test(opening, a_second_writer_is_refused_while_the_first_lives);
    tcase_add_test(opening, a_newer_schema_is_left_alone);
    tcase_add_test(opening, another_programs_database_is_left_alone);
    tcase_add_test(opening, a_file_that_is_no_database_is_named_with_what_to_do);
    tcase_add_test(opening, a_file_cut_at_any_page_is_damaged_or_empty_and_never_crashes);
    tcase_add_test(opening, overwritten_pages_are_found_or_harmless);
    tcase_add_test(opening, what_is_no_regular_file_is_refused_and_gets_nothing_beside_it);
    tcase_add_test(opening, a_path_that_cannot_be_used_is_said);
    tcase_add_test(opening, a_long_path_does_not_push_out_what_to_do);
    tcase_add_test(opening, a_reader_does_not_write);
    tcase_add_checked_fixture(streams, fixture_folder, fixture_close);
    tcase_add_test(streams, streams_are_kept_replaced_listed_and_deleted);
    tcase_add_test(streams, jobs_have_a_shelf_of_their_own_by_id);
    tcase_add_test(streams, bad_names_and_large_configurations_of_streams_are_refused);
    TCase *cases[] = {opening, streams};
    return suite_run("store/store", cases, 2);
}
