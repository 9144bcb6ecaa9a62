/* How a stream is doing, as `vigil streams status` tells a person.
 *
 * Thread: no shared state. */
#ifndef CLI_STREAMS_STATUS_H
#define CLI_STREAMS_STATUS_H

#include <jansson.h>

/* Prints a stream as GET /streams/{name} answers; what is unknown is left out. */
void streams_status_print(const json_t *stream);

#endif
