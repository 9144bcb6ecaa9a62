/* Reading a JSON object's members into bounded fields, and the values that writers need.
 *
 * The reader keeps the first failure and ignores what follows, so that a schema reads as a list
 * of members with their limits. A field is written only when its member is present and good.
 * Error lines name the member and the limit, never the value: it may be hostile or secret.
 *
 * Thread: a reader belongs to its holder. */
#ifndef RECORD_MEMBER_H
#define RECORD_MEMBER_H

#include "record/record.h"

#define MEMBER_DEPTH_MAX 8 /* objects and arrays within each other */

enum member_presence {
    MEMBER_REQUIRED,
    MEMBER_OPTIONAL, /* may be absent or null */
};

struct member_reader {
    const json_t *object;
    struct record_error *err; /* may be NULL */
    int status;               /* 0, or -EINVAL once something failed */
};

/* Parses one JSON object of at most size_max bytes: no duplicate members, no NUL, bounded
 * depth. The caller owns the reference; NULL with err on failure. */
json_t *member_parse(const char *text, size_t size, size_t size_max, struct record_error *err);

/* Fails when `object` is not a JSON object. */
void member_reader_init(struct member_reader *reader, const json_t *object,
                        struct record_error *err);

/* Records a failure of a member, unless one was recorded before. */
void member_fail(struct member_reader *reader, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The member's value, or NULL when it is absent (a failure if required) or of another type. */
const json_t *member_get(struct member_reader *reader, const char *name,
                         enum member_presence presence, json_type type, const char *type_name);

/* Printable text of less than `size` bytes. */
void member_string(struct member_reader *reader, const char *name,
                   enum member_presence presence, char *ret_text, size_t size);
/* Text for which record_name_is_valid. */
void member_name(struct member_reader *reader, const char *name, enum member_presence presence,
                 char ret_name[RECORD_NAME_SIZE]);
void member_integer(struct member_reader *reader, const char *name,
                    enum member_presence presence, int64_t min, int64_t max,
                    int64_t *ret_value);
void member_int(struct member_reader *reader, const char *name, enum member_presence presence,
                int min, int max, int *ret_value);
/* Integers are taken as reals too. */
void member_real(struct member_reader *reader, const char *name, enum member_presence presence,
                 double min, double max, double *ret_value);
void member_bool(struct member_reader *reader, const char *name, enum member_presence presence,
                 bool *ret_value);
/* RFC 3339 text into Unix milliseconds. */
void member_time(struct member_reader *reader, const char *name, enum member_presence presence,
                 int64_t *ret_ms);
/* One of the names that from_name knows (it returns a value, or -EINVAL). */
void member_enum(struct member_reader *reader, const char *name, int (*from_name)(const char *),
                 int *ret_value);
/* An array of at most `max` elements. */
const json_t *member_array(struct member_reader *reader, const char *name,
                           enum member_presence presence, size_t max);

/* Values to write, as every text of ours shows them; NULL without memory. */
json_t *member_time_value(int64_t ms);       /* RFC 3339, null for RECORD_NO_TIME */
json_t *member_integer_value(int64_t value); /* null for RECORD_NO_TIME */
/* Rounded to as many decimals as `scale` has zeros; also NULL when not finite. */
json_t *member_real_value(double value, double scale);

/* Index of a name in a table, or -EINVAL. */
int member_find_name(const char *const *names, int count, const char *name);

#endif
