#include "pipeline/plugin.h"

#include "pipeline/vigilanalyze.h"
#include "pipeline/scene/vigilscenesrc.h"

#define DESCRIPTION "Analysis of video by CNN and LSTM networks"
#define LICENSE     "Apache 2.0" /* as GStreamer's list of accepted licences spells it */
#define ORIGIN      "Unknown package origin"
#define PACKAGE     "vigil"

static const struct {
    const char *name;
    GType (*type)(void);
} elements[] = {
    {"vigilanalyze", vigil_analyze_get_type},
    {"vigilscenesrc", vigil_scene_src_get_type},
    {NULL, NULL},
};

static gboolean plugin_init(GstPlugin *plugin)
{
    for (size_t i = 0; elements[i].name; i++)
        if (!gst_element_register(plugin, elements[i].name, GST_RANK_NONE, elements[i].type()))
            return FALSE;
    return TRUE;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, vigil, DESCRIPTION, plugin_init,
                  VIGIL_VERSION, LICENSE, PACKAGE, ORIGIN)

gboolean vigil_plugin_register_static(void)
{
    return gst_plugin_register_static(GST_VERSION_MAJOR, GST_VERSION_MINOR, "vigil",
                                      DESCRIPTION, plugin_init, VIGIL_VERSION, LICENSE, PACKAGE,
                                      PACKAGE, ORIGIN);
}
