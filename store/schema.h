/* The database's layout: migrations are files (store/migrations/NNNN_name.sql), embedded at
 * build time in the order of their numbers. user_version is the number of the last one applied.
 *
 * Thread: as the handle. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/handle.h"

struct schema_migration {
    int number;
    const char *name;
    const char *sql;
};

extern const struct schema_migration schema_migrations[];
extern const int schema_migration_count;

/* 0 when the open database is ours and of the version this program knows, otherwise 1 when it
 * needs migrations (an empty file needs them all), -EPROTO when it is newer, -EUCLEAN when it
 * is damaged or another program's, -errno. */
int schema_check(struct store *store, struct store_error *err);

/* Whether the first bytes of a database file are ours and of an older version. */
#define SCHEMA_HEADER_SIZE 100
bool schema_header_is_older(const unsigned char header[SCHEMA_HEADER_SIZE]);

/* Applies what is missing, each migration in a transaction of its own. 0 or -errno. */
int schema_migrate(struct store *store, struct store_error *err);

#endif
