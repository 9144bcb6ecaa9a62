#include "pipeline/vigilmessage.h"

#define WINDOW "vigil-window"
#define EVENT  "vigil-event"

static void append_string(GValue *array, const char *text)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_STRING);
    g_value_set_string(&value, text);
    gst_value_array_append_and_take_value(array, &value);
}

static void append_double(GValue *array, double number)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_DOUBLE);
    g_value_set_double(&value, number);
    gst_value_array_append_and_take_value(array, &value);
}

GstMessage *vigilmessage_window_new(GstObject *source, const struct vigilmessage_window *window)
{
    GstStructure *fields = gst_structure_new(
        WINDOW, "pts", G_TYPE_UINT64, window->pts, "running-time", G_TYPE_UINT64,
        window->running_time, "first-pts", G_TYPE_UINT64, window->first_pts, "last-pts",
        G_TYPE_UINT64, window->last_pts, "frames", G_TYPE_INT, window->frames, "model",
        G_TYPE_STRING, window->model, NULL);
    GValue labels = G_VALUE_INIT, scores = G_VALUE_INIT;
    gst_value_array_init(&labels, window->score_count);
    gst_value_array_init(&scores, window->score_count);
    for (int i = 0; i < window->score_count; i++) {
        append_string(&labels, window->labels[i]);
        append_double(&scores, window->scores[i]);
    }
    gst_structure_take_value(fields, "labels", &labels);
    gst_structure_take_value(fields, "scores", &scores);
    return gst_message_new_element(source, fields);
}

GstMessage *vigilmessage_event_new(GstObject *source, const struct vigilmessage_event *event)
{
    GstStructure *fields = gst_structure_new(
        EVENT, "phase", G_TYPE_STRING, record_phase_name(event->phase), "kind", G_TYPE_STRING,
        record_kind_name(event->kind), "label", G_TYPE_STRING, event->label, "score",
        G_TYPE_DOUBLE, event->score, "start", G_TYPE_UINT64, event->start, "end", G_TYPE_UINT64,
        event->end, "pts", G_TYPE_UINT64, event->pts, "running-time", G_TYPE_UINT64,
        event->running_time, "first-pts", G_TYPE_UINT64, event->first_pts, "last-pts",
        G_TYPE_UINT64, event->last_pts, "frames", G_TYPE_INT, event->frames, "model",
        G_TYPE_STRING, event->model, NULL);
    return gst_message_new_element(source, fields);
}

static const GstStructure *fields_of(GstMessage *message, const char *name)
{
    if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_ELEMENT ||
        !gst_message_has_name(message, name))
        return NULL;
    return gst_message_get_structure(message);
}

bool vigilmessage_window_parse(GstMessage *message, struct vigilmessage_window *ret_window)
{
    const GstStructure *fields = fields_of(message, WINDOW);
    struct vigilmessage_window window = {0};
    if (!fields ||
        !gst_structure_get(fields, "pts", G_TYPE_UINT64, &window.pts, "running-time",
                           G_TYPE_UINT64, &window.running_time, "first-pts", G_TYPE_UINT64,
                           &window.first_pts, "last-pts", G_TYPE_UINT64, &window.last_pts,
                           "frames", G_TYPE_INT, &window.frames, NULL))
        return false;
    const GValue *labels = gst_structure_get_value(fields, "labels");
    const GValue *scores = gst_structure_get_value(fields, "scores");
    if (!labels || !GST_VALUE_HOLDS_ARRAY(labels) || !scores || !GST_VALUE_HOLDS_ARRAY(scores))
        return false;
    guint count = gst_value_array_get_size(labels);
    if (count != gst_value_array_get_size(scores) || count > VIGILMESSAGE_LABELS_MAX)
        return false;
    window.score_count = (int)count;
    window.model = gst_structure_get_string(fields, "model");
    for (guint i = 0; i < count; i++) {
        window.labels[i] = g_value_get_string(gst_value_array_get_value(labels, i));
        window.scores[i] = g_value_get_double(gst_value_array_get_value(scores, i));
    }
    *ret_window = window;
    return true;
}

static int phase_from_name(const char *name)
{
    for (int phase = RECORD_STARTED; phase <= RECORD_ENDED; phase++)
        if (g_strcmp0(name, record_phase_name(phase)) == 0)
            return phase;
    return -1;
}

bool vigilmessage_event_parse(GstMessage *message, struct vigilmessage_event *ret_event)
{
    const GstStructure *fields = fields_of(message, EVENT);
    struct vigilmessage_event event = {0};
    if (!fields || !gst_structure_get(
                       fields, "score", G_TYPE_DOUBLE, &event.score, "start", G_TYPE_UINT64,
                       &event.start, "end", G_TYPE_UINT64, &event.end, "pts", G_TYPE_UINT64,
                       &event.pts, "running-time", G_TYPE_UINT64, &event.running_time,
                       "first-pts", G_TYPE_UINT64, &event.first_pts, "last-pts", G_TYPE_UINT64,
                       &event.last_pts, "frames", G_TYPE_INT, &event.frames, NULL))
        return false;
    int phase = phase_from_name(gst_structure_get_string(fields, "phase"));
    const char *kind_name = gst_structure_get_string(fields, "kind");
    int kind = kind_name ? record_kind_from_name(kind_name) : -1;
    event.label = gst_structure_get_string(fields, "label");
    event.model = gst_structure_get_string(fields, "model");
    if (phase < 0 || kind < 0 || !event.label)
        return false;
    event.phase = phase;
    event.kind = kind;
    *ret_event = event;
    return true;
}
