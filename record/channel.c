#include "record/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int channel_pair(int ret_fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

int channel_send(int fd, const struct message *message, const int *fds, int fd_count)
{
    if (fd_count < 0 || fd_count > CHANNEL_FDS_MAX)
        return -EINVAL;
    char *text = message_to_text(message);
    if (!text)
        return -EINVAL;

    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } control = {0};
    struct iovec data = {.iov_base = text, .iov_len = strlen(text)};
    struct msghdr packet = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd_count > 0) {
        size_t size = (size_t)fd_count * sizeof(int);
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(size);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(&control.header), fds, size);
    }

    ssize_t sent;
    do {
        sent = sendmsg(fd, &packet, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    int status = sent >= 0 ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
    free(text);
    return status;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* Takes every descriptor that came with a packet. The control buffer has room for
 * CHANNEL_FDS_MAX, so the kernel never installs more than fit here. */
static int take_descriptors(struct msghdr *packet, int fds[CHANNEL_FDS_MAX])
{
    int count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(packet); at; at = CMSG_NXTHDR(packet, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t size = at->cmsg_len - CMSG_LEN(0);
        memcpy(fds + count, CMSG_DATA(at), size);
        count += (int)(size / sizeof(int));
    }
    return count;
}

int channel_receive(int fd, struct message *ret_message, int ret_fds[CHANNEL_FDS_MAX],
                    int *ret_fd_count, struct record_error *err)
{
    char *text = malloc(MESSAGE_TEXT_MAX);
    if (!text)
        return -ENOMEM;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } control;
    struct iovec data = {.iov_base = text, .iov_len = MESSAGE_TEXT_MAX};
    struct msghdr packet = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t size;
    do {
        size = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        int status = errno == ECONNRESET ? 0 : -errno;
        free(text);
        return status;
    }

    int fds[CHANNEL_FDS_MAX];
    int fd_count = take_descriptors(&packet, fds);
    int status;
    if (size == 0) {
        /* The peer is gone, or sent an empty packet: no one in good faith does. */
        status = 0;
    } else if (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        if (err && packet.msg_flags & MSG_TRUNC)
            snprintf(err->text, sizeof err->text, "a packet over %d bytes", MESSAGE_TEXT_MAX);
        else if (err)
            snprintf(err->text, sizeof err->text, "a packet with more than %d descriptors",
                     CHANNEL_FDS_MAX);
        status = -EINVAL;
    } else {
        status = message_from_text(text, (size_t)size, ret_message, err);
        status = status == 0 ? 1 : status;
    }
    free(text);
    if (status != 1) {
        close_all(fds, fd_count);
        return status;
    }
    memcpy(ret_fds, fds, (size_t)fd_count * sizeof(int));
    *ret_fd_count = fd_count;
    return 1;
}
