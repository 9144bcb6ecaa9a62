#include "api/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_SIZE 64 /* the longest numeric address, and then some */

struct endpoint {
    char host[HOST_SIZE]; /* without brackets */
    bool bracketed;
    long port; /* -1: absent */
};

/* 1 to 5 digits, 0 to 65535. */
static long parse_port(const char *text)
{
    long port = 0;
    size_t length = strlen(text);
    if (length < 1 || length > 5)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = port * 10 + (*text - '0');
    }
    return port > 65535 ? -1 : port;
}

static int split(const char *text, struct endpoint *ret)
{
    const char *end;
    ret->bracketed = *text == '[';
    if (ret->bracketed) {
        text++;
        end = strchr(text, ']');
    } else {
        end = strchr(text, ':');
        if (!end)
            end = strchr(text, '\0');
    }
    if (!end || (size_t)(end - text) >= HOST_SIZE)
        return -EINVAL;
    memcpy(ret->host, text, (size_t)(end - text));
    ret->host[end - text] = '\0';
    if (ret->bracketed)
        end++;
    ret->port = -1;
    if (*end == '\0')
        return 0;
    ret->port = *end == ':' ? parse_port(end + 1) : -1;
    return ret->port < 0 ? -EINVAL : 0;
}

static bool is_loopback(const union api_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

static int resolve(const struct endpoint *endpoint, union api_address *ret)
{
    memset(ret, 0, sizeof *ret);
    uint16_t port = htons((uint16_t)(endpoint->port < 0 ? 0 : endpoint->port));
    if (endpoint->bracketed) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = port;
        return inet_pton(AF_INET6, endpoint->host, &ret->v6.sin6_addr) == 1 ? 0 : -EINVAL;
    }
    const char *host = endpoint->host;
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = port;
    return inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1 ? 0 : -EINVAL;
}

int api_address_parse(const char *listen, union api_address *ret_address, struct api_error *err)
{
    struct endpoint endpoint;
    union api_address address;
    if (split(listen, &endpoint) < 0 || endpoint.port < 0 || resolve(&endpoint, &address) < 0) {
        snprintf(err->text, sizeof err->text,
                 "cannot listen on '%.80s': write ADDRESS:PORT, like 127.0.0.1:8470 or "
                 "[::1]:8470",
                 listen);
        return -EINVAL;
    }
    if (!is_loopback(&address)) {
        snprintf(err->text, sizeof err->text,
                 "will not listen on '%.80s': there are no access keys yet, so anyone on the "
                 "network could control it; listen on 127.0.0.1:%ld",
                 listen, endpoint.port);
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

socklen_t api_address_length(const union api_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

uint16_t api_address_port(const union api_address *address)
{
    return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port
                                                   : address->v6.sin6_port);
}

void api_address_format_url(const union api_address *address, char ret_url[API_URL_SIZE])
{
    char host[INET6_ADDRSTRLEN];
    bool v4 = address->any.sa_family == AF_INET;
    const void *bytes =
        v4 ? (const void *)&address->v4.sin_addr : (const void *)&address->v6.sin6_addr;
    inet_ntop(address->any.sa_family, bytes, host, sizeof host);
    snprintf(ret_url, API_URL_SIZE, v4 ? "http://%s:%u" : "http://[%s]:%u", host,
             api_address_port(address));
}

bool api_address_host_is_allowed(const char *host, uint16_t port)
{
    struct endpoint endpoint;
    union api_address address;
    if (split(host, &endpoint) < 0 || resolve(&endpoint, &address) < 0)
        return false;
    return is_loopback(&address) && (endpoint.port < 0 ? 80 : endpoint.port) == port;
}
