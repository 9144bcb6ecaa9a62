/* Files that others name to us: only regular ones, opened so that nothing can hold us up.
 *
 * Errors beside those of open(2): -EISDIR for a folder, -EMEDIUMTYPE for a pipe, device or
 * socket, -EFBIG for more bytes than asked for.
 *
 * Thread: any. A slow disk is waited for. */
#ifndef RECORD_FILE_H
#define RECORD_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A descriptor for reading, close-on-exec; or -errno. */
int file_open(const char *path);

/* Takes `fd`, what an open of some other kind returned (with O_NONBLOCK, else a pipe may have
 * waited already): the same descriptor when it is a regular file's; else closed, and -errno.
 * A negative fd gives the -errno of errno. */
int file_check(int fd);

/* Reads what the descriptor (borrowed) has from its position on, at most size_max bytes.
 * *ret_data is NUL-terminated behind its *ret_size bytes; free(). 0 or -errno. */
int file_read(int fd, size_t size_max, char **ret_data, size_t *ret_size);

/* file_open, file_read. */
int file_read_path(const char *path, size_t size_max, char **ret_data, size_t *ret_size);

/* What such an -errno means, for a person: "it is a folder", "No such file or directory". */
const char *file_error_text(int error);

#endif
