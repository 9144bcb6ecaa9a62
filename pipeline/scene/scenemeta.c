#include "pipeline/scene/scenemeta.h"

GType scene_meta_api_get_type(void)
{
    static gsize type;
    /* No tags: nothing that happens to size, format or memory makes the truth untrue. */
    static const gchar *tags[] = {NULL};
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, gst_meta_api_type_register("VigilSceneMetaAPI", tags));
    return type;
}

static gboolean meta_init(GstMeta *meta, gpointer params, GstBuffer *buffer)
{
    (void)params;
    (void)buffer;
    ((struct scene_meta *)meta)->truth = (struct scene_truth){0};
    return TRUE;
}

static gboolean meta_transform(GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type,
                               gpointer data)
{
    (void)from;
    (void)type;
    (void)data;
    return scene_meta_add(to, &((struct scene_meta *)meta)->truth) != NULL;
}

const GstMetaInfo *scene_meta_get_info(void)
{
    static const GstMetaInfo *info;
    if (g_once_init_enter(&info)) {
        const GstMetaInfo *made =
            gst_meta_register(scene_meta_api_get_type(), "VigilSceneMeta",
                              sizeof(struct scene_meta), meta_init, NULL, meta_transform);
        g_once_init_leave(&info, made);
    }
    return info;
}

struct scene_meta *scene_meta_add(GstBuffer *buffer, const struct scene_truth *truth)
{
    struct scene_meta *meta =
        (struct scene_meta *)gst_buffer_add_meta(buffer, scene_meta_get_info(), NULL);
    if (meta)
        meta->truth = *truth;
    return meta;
}

const struct scene_meta *scene_meta_get(GstBuffer *buffer)
{
    return (const struct scene_meta *)gst_buffer_get_meta(buffer, scene_meta_api_get_type());
}

/* Four decimals, with a point in every locale. */
static void append_part(GString *line, const char *before, float value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(text, sizeof text, "%.4f", (gdouble)value);
    g_string_append(line, before);
    g_string_append(line, text);
}

char *scene_meta_to_json(const struct scene_truth *truth, guint64 frame, GstClockTime pts)
{
    GString *line = g_string_new(NULL);
    g_string_append_printf(
        line, "{\"frame\":%" G_GUINT64_FORMAT ",\"pts_ns\":%" G_GUINT64_FORMAT ",\"labels\":[",
        frame, pts);
    const char *comma = "";
    for (int label = 0; label < SCENE_LABELS; label++) {
        if (!(truth->labels & 1u << label))
            continue;
        g_string_append_printf(line, "%s\"%s\"", comma,
                               scene_label_name((enum scene_label)label));
        comma = ",";
    }
    g_string_append_printf(line, "],\"insect\":%s,\"objects\":[",
                           truth->insect ? "true" : "false");
    for (size_t i = 0; i < truth->object_count; i++) {
        const struct scene_object *object = &truth->objects[i];
        g_string_append_printf(line, "%s{\"id\":%u,\"kind\":\"%s\",\"box\":", i ? "," : "",
                               object->id,
                               object->kind == SCENE_OBJECT_PERSON ? "person" : "vehicle");
        append_part(line, "[", object->x);
        append_part(line, ",", object->y);
        append_part(line, ",", object->w);
        append_part(line, ",", object->h);
        g_string_append_printf(line, "],\"moving\":%s}", object->moving ? "true" : "false");
    }
    g_string_append(line, "]}\n");
    return g_string_free(line, FALSE);
}
