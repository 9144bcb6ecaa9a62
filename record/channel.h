/* One packet at a time over an AF_UNIX SOCK_SEQPACKET pair, with descriptors beside it.
 *
 * The kernel keeps packet boundaries, so a reader never has to trust a length field; a packet
 * over MESSAGE_TEXT_MAX is reported and dropped whole.
 *
 * Thread: one reader and one writer at a time per end; the caller locks if it has more. */
#ifndef RECORD_CHANNEL_H
#define RECORD_CHANNEL_H

#include "record/message.h"

#define CHANNEL_FDS_MAX 4

/* Both ends close-on-exec. 0 or -errno. */
int channel_pair(int ret_fds[2]);

/* Sends one message. fds are borrowed (the kernel duplicates them). Blocking or not follows
 * the descriptor: 0, -EAGAIN, -EPIPE when the peer is gone (without a signal), -EINVAL for a
 * message that message_to_text refuses or too many descriptors, -errno. */
int channel_send(int fd, const struct message *message, const int *fds, int fd_count);

/* Receives one message. ret_fds holds CHANNEL_FDS_MAX entries; the caller owns the
 * *ret_fd_count descriptors written there (close-on-exec), also none on failure.
 * 1 a message, 0 the peer closed, -EAGAIN, -EINVAL (not a valid message, too large or with too
 * many descriptors; see err), -errno. */
int channel_receive(int fd, struct message *ret_message, int ret_fds[CHANNEL_FDS_MAX],
                    int *ret_fd_count, struct record_error *err);

#endif
