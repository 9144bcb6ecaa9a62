#include "pipeline/paramsets.h"

/* The parsers' own way of reading sets, at the version they have. */
#define GST_USE_UNSTABLE_API
#include <gst/codecparsers/gsth264parser.h>
#include <gst/codecparsers/gsth265parser.h>

#include "pipeline/media.h"

struct paramsets {
    GstH264NalParser *h264; /* one of the two */
    GstH265Parser *h265;
    guint8 length_size; /* bytes of length before each unit; 0: start codes */
    bool clean_key;     /* of the buffer last checked */
};

struct paramsets *paramsets_create(const char *codec)
{
    bool h264 = g_str_equal(codec, "h264");
    if (!h264 && !g_str_equal(codec, "h265"))
        return NULL;
    struct paramsets *sets = g_new0(struct paramsets, 1);
    sets->h264 = h264 ? gst_h264_nal_parser_new() : NULL;
    sets->h265 = h264 ? NULL : gst_h265_parser_new();
    return sets;
}

void paramsets_destroy(struct paramsets *sets)
{
    if (!sets)
        return;
    g_clear_pointer(&sets->h264, gst_h264_nal_parser_free);
    g_clear_pointer(&sets->h265, gst_h265_parser_free);
    g_free(sets);
}

static enum paramsets_verdict judge(bool read, int width, int height, int *ret_width,
                                    int *ret_height)
{
    if (!read)
        return PARAMSETS_BROKEN;
    if (media_size_is_allowed(width, height))
        return PARAMSETS_FINE;
    *ret_width = width;
    *ret_height = height;
    return PARAMSETS_TOO_LARGE;
}

/* The unit at *offset, which moves behind it; *ret_more: there is another. */
static enum paramsets_verdict look_h264(struct paramsets *sets, const guint8 *data, gsize size,
                                        guint8 length_size, guint *offset, bool *ret_more,
                                        int *ret_width, int *ret_height)
{
    GstH264NalUnit unit;
    GstH264ParserResult r =
        length_size ? gst_h264_parser_identify_nalu_avc(sets->h264, data, *offset, size,
                                                        length_size, &unit)
                    : gst_h264_parser_identify_nalu(sets->h264, data, *offset, size, &unit);
    *ret_more = r == GST_H264_PARSER_OK;
    if (r != GST_H264_PARSER_OK && r != GST_H264_PARSER_NO_NAL_END)
        return PARAMSETS_FINE;
    *offset = unit.offset + unit.size;
    sets->clean_key |= unit.type == GST_H264_NAL_SLICE_IDR;
    if (unit.type != GST_H264_NAL_SPS)
        return PARAMSETS_FINE;
    GstH264SPS set;
    bool read = gst_h264_parse_sps(&unit, &set) == GST_H264_PARSER_OK;
    enum paramsets_verdict verdict =
        judge(read, read ? set.width : 0, read ? set.height : 0, ret_width, ret_height);
    if (read)
        gst_h264_sps_clear(&set);
    return verdict;
}

static enum paramsets_verdict look_h265(struct paramsets *sets, const guint8 *data, gsize size,
                                        guint8 length_size, guint *offset, bool *ret_more,
                                        int *ret_width, int *ret_height)
{
    GstH265NalUnit unit;
    GstH265ParserResult r =
        length_size ? gst_h265_parser_identify_nalu_hevc(sets->h265, data, *offset, size,
                                                         length_size, &unit)
                    : gst_h265_parser_identify_nalu(sets->h265, data, *offset, size, &unit);
    *ret_more = r == GST_H265_PARSER_OK;
    if (r != GST_H265_PARSER_OK && r != GST_H265_PARSER_NO_NAL_END)
        return PARAMSETS_FINE;
    *offset = unit.offset + unit.size;
    sets->clean_key |=
        unit.type >= GST_H265_NAL_SLICE_BLA_W_LP && unit.type <= GST_H265_NAL_SLICE_IDR_N_LP;
    if (unit.type != GST_H265_NAL_SPS)
        return PARAMSETS_FINE;
    GstH265SPS set;
    bool read = gst_h265_parse_sps(sets->h265, &unit, &set, TRUE) == GST_H265_PARSER_OK;
    return judge(read, read ? set.width : 0, read ? set.height : 0, ret_width, ret_height);
}

static enum paramsets_verdict look(struct paramsets *sets, const guint8 *data, gsize size,
                                   guint8 length_size, guint *offset, bool *ret_more,
                                   int *ret_width, int *ret_height)
{
    return (sets->h264 ? look_h264 : look_h265)(sets, data, size, length_size, offset, ret_more,
                                                ret_width, ret_height);
}

/* `count` sets, each behind a length of two bytes, from *offset on. */
static enum paramsets_verdict look_at_list(struct paramsets *sets, const guint8 *data,
                                           gsize size, guint count, guint *offset,
                                           int *ret_width, int *ret_height)
{
    enum paramsets_verdict verdict = PARAMSETS_FINE;
    bool more = true;
    for (guint i = 0; i < count && more && verdict == PARAMSETS_FINE; i++)
        verdict = look(sets, data, size, 2, offset, &more, ret_width, ret_height);
    return more || verdict != PARAMSETS_FINE ? verdict : PARAMSETS_BROKEN;
}

/* codec_data: avcC (ISO/IEC 14496-15, 5.3.3.1) or hvcC (8.3.3.1). */
static enum paramsets_verdict look_at_record(struct paramsets *sets, const guint8 *data,
                                             gsize size, int *ret_width, int *ret_height)
{
    guint offset = sets->h264 ? 6 : 23;
    if (size < offset)
        return PARAMSETS_BROKEN;
    sets->length_size = (data[sets->h264 ? 4 : 21] & 3) + 1;
    if (sets->h264)
        return look_at_list(sets, data, size, data[5] & 31, &offset, ret_width, ret_height);
    enum paramsets_verdict verdict = PARAMSETS_FINE;
    for (guint arrays = data[22]; arrays > 0 && verdict == PARAMSETS_FINE; arrays--) {
        if (size - offset < 3)
            return PARAMSETS_BROKEN;
        guint count = (guint)data[offset + 1] << 8 | data[offset + 2];
        offset += 3;
        verdict = look_at_list(sets, data, size, count, &offset, ret_width, ret_height);
    }
    return verdict;
}

enum paramsets_verdict paramsets_check_caps(struct paramsets *sets, const GstStructure *caps,
                                            int *ret_width, int *ret_height)
{
    const GValue *value = gst_structure_get_value(caps, "codec_data");
    sets->length_size = 0;
    GstBuffer *record = value ? gst_value_get_buffer(value) : NULL;
    GstMapInfo map;
    if (!record)
        return PARAMSETS_FINE;
    if (!gst_buffer_map(record, &map, GST_MAP_READ))
        return PARAMSETS_BROKEN;
    enum paramsets_verdict verdict =
        look_at_record(sets, map.data, map.size, ret_width, ret_height);
    gst_buffer_unmap(record, &map);
    return verdict;
}

enum paramsets_verdict paramsets_check(struct paramsets *sets, GstBuffer *buffer,
                                       int *ret_width, int *ret_height)
{
    GstMapInfo map;
    if (!gst_buffer_map(buffer, &map, GST_MAP_READ))
        return PARAMSETS_BROKEN;
    enum paramsets_verdict verdict = PARAMSETS_FINE;
    guint offset = 0;
    sets->clean_key = false;
    for (bool more = true; more && verdict == PARAMSETS_FINE && offset < map.size;)
        verdict = look(sets, map.data, map.size, sets->length_size, &offset, &more, ret_width,
                       ret_height);
    gst_buffer_unmap(buffer, &map);
    return verdict;
}

bool paramsets_saw_clean_key(const struct paramsets *sets)
{
    return sets->clean_key;
}
