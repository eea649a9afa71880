#pragma GCC diagnostic error "-Wall"
#define _GNU_SOURCE
#include "CStatsD.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct statsd {
    int descriptor;
    size_t datagram_bytes_max;
    size_t waiting;
    struct statsd_sent sent;
    char buffer[65536];
};

struct statsd *statsd_open(uint16_t port, size_t datagram_bytes_max) {
    struct statsd *client = calloc(1, sizeof(*client));
    if (client == NULL) return NULL;
    client->datagram_bytes_max = datagram_bytes_max;
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (datagram_bytes_max <= sizeof(client->buffer) && client->descriptor >= 0 &&
        connect(client->descriptor, (struct sockaddr *)&peer, sizeof(peer)) == 0)
        return client;
    int code = errno;
    if (client->descriptor >= 0) close(client->descriptor);
    free(client);
    errno = code;
    return NULL;
}

void statsd_flush(struct statsd *client) {
    if (client->waiting == 0) return;
    if (send(client->descriptor, client->buffer, client->waiting, MSG_NOSIGNAL) < 0) {
        client->sent.refused++;
    } else {
        client->sent.datagrams++;
        client->sent.bytes += client->waiting;
    }
    client->waiting = 0;
}

/// `|#tag:text,tag:text`, which the lines of a record have in common and which is made once.
static size_t put_tags(char *text, const struct statsd_record *record) {
    char *next = text;
    for (unsigned index = 0; index < record->tag_count; index++) {
        next = stpcpy(next, index == 0 ? "|#" : ",");
        next = stpcpy(next, record->tags[index].name);
        *next++ = ':';
        next = stpcpy(next, record->tags[index].value);
    }
    return (size_t)(next - text);
}

void statsd_record(struct statsd *client, const struct statsd_record *record) {
    char tags[STATSD_TEXT_BYTES_MAX], line[2 * STATSD_TEXT_BYTES_MAX];
    size_t tag_bytes = put_tags(tags, record);
    for (unsigned index = 0; index < record->number_count; index++) {
        const struct statsd_number *number = &record->numbers[index];
        int written = number->is_whole
            ? snprintf(
                  line, STATSD_TEXT_BYTES_MAX, "%s.%s:%lld|%s", record->prefix, number->name,
                  (long long)number->value, number->type)
            : snprintf(
                  line, STATSD_TEXT_BYTES_MAX, "%s.%s:%g|%s", record->prefix, number->name, number->value,
                  number->type);
        if (written < 0 || written >= STATSD_TEXT_BYTES_MAX) continue;
        size_t bytes = (size_t)written;
        memcpy(line + bytes, tags, tag_bytes);
        bytes += tag_bytes;
        // Lines of one datagram are divided by a newline.
        if (client->waiting > 0 && client->waiting + 1 + bytes > client->datagram_bytes_max) statsd_flush(client);
        if (client->waiting > 0) client->buffer[client->waiting++] = '\n';
        memcpy(client->buffer + client->waiting, line, bytes);
        client->waiting += bytes;
        if (client->datagram_bytes_max == 0) statsd_flush(client);
    }
}

struct statsd_sent statsd_read(const struct statsd *client) { return client->sent; }

void statsd_close(struct statsd *client) {
    close(client->descriptor);
    free(client);
}
