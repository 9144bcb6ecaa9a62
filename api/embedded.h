/* Files of this folder that are part of the program (embed.py). */
#ifndef API_EMBEDDED_H
#define API_EMBEDDED_H

#include <stddef.h>

/* no_picture.jpg: shown live while a stream has no picture. */
extern const unsigned char api_no_picture[];
extern const size_t api_no_picture_size;

/* page.css */
extern const unsigned char api_page_style[];
extern const size_t api_page_style_size;

#endif
