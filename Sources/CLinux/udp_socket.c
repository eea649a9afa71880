#define _GNU_SOURCE
#include "udp_socket.h"
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// One control message is asked for, the drop total; room for a second keeps a surprise from cutting it off.
#define CONTROL_BYTES (2 * CMSG_SPACE(sizeof(uint32_t)))

union control {
    struct cmsghdr aligned;
    char bytes[CONTROL_BYTES];
};

struct spillway_datagram_batch {
    unsigned datagrams_max;
    size_t datagram_bytes_max;
    struct mmsghdr *headers;
    struct iovec *vectors;
    struct sockaddr_storage *peers;
    union control *controls;
    uint8_t *bytes;
};

static int enable(int descriptor, int level, int option) {
    int one = 1;
    return setsockopt(descriptor, level, option, &one, sizeof(one));
}

int spillway_udp_socket(int is_ipv6, int shares_port) {
    int descriptor = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -1;
    if ((is_ipv6 && enable(descriptor, IPPROTO_IPV6, IPV6_V6ONLY) != 0) ||
        (shares_port && enable(descriptor, SOL_SOCKET, SO_REUSEPORT) != 0) ||
        enable(descriptor, SOL_SOCKET, SO_RXQ_OVFL) != 0) {
        int code = errno;
        close(descriptor);
        errno = code;
        return -1;
    }
    return descriptor;
}

int spillway_udp_bind(int descriptor, const struct spillway_address *address) {
    struct sockaddr_in6 six = {0};
    struct sockaddr_in four = {0};
    if (address->is_ipv6) {
        uint64_t halves[2] = {htobe64(address->high), htobe64(address->low)};
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(address->port);
        memcpy(&six.sin6_addr, halves, sizeof(halves));
        return bind(descriptor, (const struct sockaddr *)&six, sizeof(six));
    }
    four.sin_family = AF_INET;
    four.sin_port = htons(address->port);
    four.sin_addr.s_addr = htonl((uint32_t)address->low);
    return bind(descriptor, (const struct sockaddr *)&four, sizeof(four));
}

static struct spillway_address flatten(const struct sockaddr_storage *storage) {
    struct spillway_address address = {0};
    if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)storage;
        uint64_t halves[2];
        memcpy(halves, &six->sin6_addr, sizeof(halves));
        address.high = be64toh(halves[0]);
        address.low = be64toh(halves[1]);
        address.port = ntohs(six->sin6_port);
        address.is_ipv6 = 1;
    } else if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)storage;
        address.low = ntohl(four->sin_addr.s_addr);
        address.port = ntohs(four->sin_port);
    }
    return address;
}

int spillway_udp_local_address(int descriptor, struct spillway_address *address) {
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof(storage);
    if (getsockname(descriptor, (struct sockaddr *)&storage, &length) != 0) return -1;
    *address = flatten(&storage);
    return 0;
}

int spillway_set_receive_buffer(int descriptor, int bytes) {
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 &&
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0)
        return -1;
    int reserved = 0;
    socklen_t length = sizeof(reserved);
    if (getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &reserved, &length) != 0) return -1;
    // The kernel doubles what it is asked for, to pay for its own bookkeeping, and reports the double.
    return reserved / 2;
}

int spillway_udp_drops(int descriptor, uint32_t *drops) {
    uint32_t information[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof(information);
    if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, information, &length) != 0) return -1;
    if (length <= SK_MEMINFO_DROPS * sizeof(uint32_t)) {
        errno = ENOPROTOOPT;
        return -1;
    }
    *drops = information[SK_MEMINFO_DROPS];
    return 0;
}

int spillway_udp_refuse_arrivals(int descriptor) {
    // A socket filter that keeps zero bytes of every packet is a drop, and udp_queue_rcv_one_skb counts it as one.
    struct sock_filter keep_nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &keep_nothing};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

struct spillway_datagram_batch *spillway_datagram_batch_create(unsigned datagrams_max, size_t datagram_bytes_max) {
    struct spillway_datagram_batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) return NULL;
    batch->datagrams_max = datagrams_max;
    batch->datagram_bytes_max = datagram_bytes_max;
    batch->headers = calloc(datagrams_max, sizeof(*batch->headers));
    batch->vectors = calloc(datagrams_max, sizeof(*batch->vectors));
    batch->peers = calloc(datagrams_max, sizeof(*batch->peers));
    batch->controls = calloc(datagrams_max, sizeof(*batch->controls));
    batch->bytes = calloc(datagrams_max, datagram_bytes_max);
    if (!batch->headers || !batch->vectors || !batch->peers || !batch->controls || !batch->bytes) {
        spillway_datagram_batch_destroy(batch);
        return NULL;
    }
    for (unsigned index = 0; index < datagrams_max; index++) {
        batch->vectors[index].iov_base = batch->bytes + index * datagram_bytes_max;
        batch->vectors[index].iov_len = datagram_bytes_max;
    }
    return batch;
}

void spillway_datagram_batch_destroy(struct spillway_datagram_batch *batch) {
    if (batch == NULL) return;
    free(batch->headers);
    free(batch->vectors);
    free(batch->peers);
    free(batch->controls);
    free(batch->bytes);
    free(batch);
}

int spillway_datagram_batch_receive(struct spillway_datagram_batch *batch, int descriptor) {
    for (unsigned index = 0; index < batch->datagrams_max; index++) {
        // The kernel writes lengths and flags here, so each call needs them anew.
        batch->headers[index].msg_hdr = (struct msghdr){
            .msg_name = &batch->peers[index],
            .msg_namelen = sizeof(batch->peers[index]),
            .msg_iov = &batch->vectors[index],
            .msg_iovlen = 1,
            .msg_control = &batch->controls[index],
            .msg_controllen = sizeof(batch->controls[index]),
        };
    }
    return recvmmsg(descriptor, batch->headers, batch->datagrams_max, MSG_DONTWAIT, NULL);
}

struct spillway_datagram spillway_datagram_batch_get(const struct spillway_datagram_batch *batch, unsigned index) {
    const struct mmsghdr *header = &batch->headers[index];
    struct spillway_datagram datagram = {
        .bytes = batch->vectors[index].iov_base,
        .length = header->msg_len,
        .is_truncated = (header->msg_hdr.msg_flags & MSG_TRUNC) != 0,
        .peer = flatten(&batch->peers[index]),
    };
    struct msghdr *message = (struct msghdr *)&header->msg_hdr;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&datagram.drops, CMSG_DATA(control), sizeof(datagram.drops));
            datagram.has_drops = 1;
        }
    }
    return datagram;
}

const uint8_t *spillway_datagram_batch_buffer(const struct spillway_datagram_batch *batch, unsigned index) {
    return batch->bytes + index * batch->datagram_bytes_max;
}
