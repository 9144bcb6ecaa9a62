/* The GStreamer plugin "vigil": the elements of this folder.
 *
 * libgstvigil.so is for gst-launch-1.0 and other people's pipelines. Our own programs link the
 * elements and register them in place: inside a sandbox nothing can be loaded. A process does
 * one or the other, never both: the types would be registered twice.
 *
 * Thread: any; after gst_init(). */
#ifndef PIPELINE_PLUGIN_H
#define PIPELINE_PLUGIN_H

#include <gst/gst.h>

/* Makes the elements known to this process. FALSE when GStreamer refuses them. */
gboolean vigil_plugin_register_static(void);

#endif
