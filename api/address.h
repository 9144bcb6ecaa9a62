/* Where the server may listen, and which names a client may call it by.
 *
 * Both answer with loopback only. A browser that was lured to a name which resolves to
 * 127.0.0.1 (DNS rebinding) gives itself away by the Host it sends.
 *
 * Thread: plain data. */
#ifndef API_ADDRESS_H
#define API_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <netinet/in.h>

#include "api/server.h"

union api_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Reads "127.0.0.1:8470", "[::1]:0" or "localhost:8470". -EINVAL with one line, which for an
 * address beyond loopback says what to write instead. */
int api_address_parse(const char *listen, union api_address *ret_address,
                      struct api_error *err);

socklen_t api_address_length(const union api_address *address);
uint16_t api_address_port(const union api_address *address);

#define API_URL_SIZE 64
/* "http://127.0.0.1:8470", "http://[::1]:8470" */
void api_address_format_url(const union api_address *address, char ret_url[API_URL_SIZE]);

/* Whether a Host header (or the authority of a target) names loopback and this port: localhost,
 * 127.0.0.0/8 or [::1]; without a port it means port 80. */
bool api_address_host_is_allowed(const char *host, uint16_t port);

#endif
