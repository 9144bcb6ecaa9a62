/* The URI of a stream, taken apart and checked.
 *
 *   rtsp://host[:port]/path?query    rtsps likewise; no credentials, those come apart
 *   file:///absolute/path            the path is only a name here: the file is a descriptor
 *   scene://NAME?seed=1&width=640&height=360&fps=15&duration=60
 *
 * Thread: plain data. */
#ifndef PIPELINE_SOURCEURI_H
#define PIPELINE_SOURCEURI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/message.h"

enum source_kind { SOURCE_RTSP, SOURCE_RTSPS, SOURCE_FILE, SOURCE_SCENE };

#define SOURCE_SCENE_SIDE_MIN 16
#define SOURCE_SCENE_SIDE_MAX 4096
#define SOURCE_SCENE_FPS_MAX  120

struct source_uri {
    enum source_kind kind;
    char host[MESSAGE_HOST_SIZE]; /* rtsp, rtsps: name or numeric address, without brackets */
    bool host_is_address;         /* no need to resolve it */
    int port;
    char path[MESSAGE_URI_SIZE]; /* rtsp, rtsps: from the slash on, with the query */
    struct {
        char name[RECORD_NAME_SIZE];
        uint32_t seed;
        int width, height, fps;
        int duration_s; /* 0: endless */
    } scene;
};

/* 0, or -EINVAL with one line saying what is wrong. */
int source_uri_parse(const char *text, struct source_uri *ret_uri, struct record_error *err);

/* The rtsp(s) URI with `address` for the host, as rtspsrc wants it. 0 or -ENAMETOOLONG. */
int source_uri_locate(const struct source_uri *uri, const char *address, char *ret_text,
                      size_t size);

#endif
