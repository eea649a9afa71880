#define _GNU_SOURCE
#include "datagram_sender.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int spillway_send_datagrams(int descriptor, const void *bytes, const uint32_t *lengths, unsigned count) {
    struct mmsghdr messages[SPILLWAY_SEND_DATAGRAMS_MAX];
    struct iovec parts[SPILLWAY_SEND_DATAGRAMS_MAX];
    if (count == 0 || count > SPILLWAY_SEND_DATAGRAMS_MAX) {
        errno = EINVAL;
        return -1;
    }
    memset(messages, 0, count * sizeof(messages[0]));
    char *next = (char *)bytes;
    for (unsigned index = 0; index < count; index++) {
        parts[index].iov_base = next;
        parts[index].iov_len = lengths[index];
        messages[index].msg_hdr.msg_iov = &parts[index];
        messages[index].msg_hdr.msg_iovlen = 1;
        next += lengths[index];
    }
    return sendmmsg(descriptor, messages, count, MSG_NOSIGNAL);
}
