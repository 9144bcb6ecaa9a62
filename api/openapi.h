/* openapi.yaml as JSON, made at build time (embed_openapi.py). */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include <stddef.h>

extern const unsigned char api_openapi[];
extern const size_t api_openapi_size;

#endif
