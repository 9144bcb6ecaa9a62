/* The address of a stream, taken apart and checked: one grammar for the configuration, the API
 * and the worker that opens it.
 *
 *   rtsp://host[:port]/path?query    rtsps likewise; no credentials, those come apart
 *   file:///absolute/path            the path is only a name here: the file is a descriptor
 *   scene://NAME?seed=1&width=640&height=360&fps=15&duration=60     NAME: street, room
 *
 * Thread: plain data. */
#ifndef RECORD_ADDRESS_H
#define RECORD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/message.h"

enum address_kind { ADDRESS_RTSP, ADDRESS_RTSPS, ADDRESS_FILE, ADDRESS_SCENE };

#define ADDRESS_SCENE_SIDE_MIN 16
#define ADDRESS_SCENE_SIDE_MAX 4096
#define ADDRESS_SCENE_FPS_MAX  60

struct address {
    enum address_kind kind;
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
int address_parse(const char *text, struct address *ret_address, struct record_error *err);

/* The names a scene's parameters have, NULL-terminated: for "did you mean". */
const char *const *address_scene_parameters(void);

/* The rtsp(s) URI with the numeric `host` in the name's place, as rtspsrc wants it. 0 or
 * -ENAMETOOLONG. */
int address_locate(const struct address *address, const char *host, char *ret_text,
                   size_t size);

#endif
