#include "pipeline/damage.h"

static _Thread_local struct {
    const void *decoder;
    GstClockTime current;                     /* pts of the coded picture being decoded */
    GstClockTime pending[DAMAGE_PENDING_MAX]; /* of those complained about */
    unsigned count;
} here;

static void on_log(GstDebugCategory *category, GstDebugLevel level, const gchar *file,
                   const gchar *function, gint line, GObject *object, GstDebugMessage *message,
                   gpointer libav)
{
    (void)file, (void)function, (void)line, (void)object, (void)message;
    if (category != libav || level > GST_LEVEL_ERROR || !here.decoder)
        return;
    for (unsigned i = 0; i < here.count; i++)
        if (here.pending[i] == here.current)
            return; /* several lines are about one picture */
    if (here.count == DAMAGE_PENDING_MAX) {
        /* The oldest never came out of the decoder. */
        for (unsigned i = 1; i < here.count; i++)
            here.pending[i - 1] = here.pending[i];
        here.count--;
    }
    here.pending[here.count++] = here.current;
}

void damage_listen(void)
{
    /* The lines may hold what a camera sent; none is printed. */
    gst_debug_remove_log_function(gst_debug_log_default);
    GstDebugCategory *libav = NULL;
    GSList *categories = gst_debug_get_all_categories();
    for (GSList *item = categories; item && !libav; item = item->next)
        if (g_str_equal(gst_debug_category_get_name(item->data), "libav"))
            libav = item->data;
    g_slist_free(categories);
    if (!libav)
        return;
    gst_debug_set_active(TRUE);
    gst_debug_category_set_threshold(libav, GST_LEVEL_ERROR);
    gst_debug_add_log_function(on_log, libav, NULL);
}

void damage_enter(const void *decoder, GstClockTime pts)
{
    if (here.decoder != decoder)
        here.count = 0;
    here.decoder = decoder;
    here.current = pts;
}

/* Where a parser knows no pts (MPEG-4) the decoder works them out, in an order it keeps: the
 * next picture is then the one. */
static bool is_of(GstClockTime pending, GstClockTime pts)
{
    return pending == pts || !GST_CLOCK_TIME_IS_VALID(pending) || !GST_CLOCK_TIME_IS_VALID(pts);
}

bool damage_take(const void *decoder, GstClockTime pts)
{
    if (here.decoder != decoder)
        return false;
    for (unsigned i = 0; i < here.count; i++)
        if (is_of(here.pending[i], pts)) {
            for (unsigned k = i + 1; k < here.count; k++)
                here.pending[k - 1] = here.pending[k];
            here.count--;
            return true;
        }
    return false;
}
