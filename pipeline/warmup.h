/* Everything a stream may need, loaded and used once before the sandbox closes.
 *
 * Loading: the plugins of pipeline/media.h from their files, and no other; the registry of what
 * else is installed is neither read nor written. Using: tiny embedded clips run through the
 * same sources, decoders and picture encoder that streams will use, so that whatever those
 * libraries set up lazily (tables, threads, further libraries) is there. TLS and its
 * certificate authorities are loaded too.
 *
 * Thread: the main thread. */
#ifndef PIPELINE_WARMUP_H
#define PIPELINE_WARMUP_H

#include "record/record.h"

/* Sets the environment that GStreamer, GIO and ORC read, then gst_init and the plugins. Before
 * any thread exists. 0, or -ENOENT with a line naming what is missing. */
int warmup_init(struct record_error *err);

/* Plays the clips. 0, or -EIO with a line naming the clip. Under half a second. */
int warmup_run(struct record_error *err);

#endif
