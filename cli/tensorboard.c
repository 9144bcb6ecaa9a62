#include "cli/tensorboard.h"

#include <math.h>
#include <string.h>

/* Fields of the messages, and how protocol buffers lie on the wire. */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_NUMBER = 2 };
enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* --- messages ----------------------------------------------------------------------------- */

static void put_varint(GString *out, guint64 value)
{
    for (; value >= 0x80; value >>= 7)
        g_string_append_c(out, (char)(value | 0x80));
    g_string_append_c(out, (char)value);
}

static void put_key(GString *out, int field, enum wire wire)
{
    put_varint(out, (guint64)field << 3 | wire);
}

static void put_32(GString *out, guint32 value)
{
    value = GUINT32_TO_LE(value);
    g_string_append_len(out, (const char *)&value, sizeof value);
}

static void put_64(GString *out, guint64 value)
{
    value = GUINT64_TO_LE(value);
    g_string_append_len(out, (const char *)&value, sizeof value);
}

static void put_bytes(GString *out, int field, const char *bytes, size_t size)
{
    put_key(out, field, WIRE_BYTES);
    put_varint(out, size);
    g_string_append_len(out, bytes, (gssize)size);
}

static void put_float(GString *out, int field, double value)
{
    float number = (float)value;
    guint32 bits;
    memcpy(&bits, &number, sizeof bits);
    put_key(out, field, WIRE_32);
    put_32(out, bits);
}

static GString *begin_event(double time)
{
    GString *event = g_string_new(NULL);
    guint64 bits;
    memcpy(&bits, &time, sizeof bits);
    put_key(event, EVENT_TIME, WIRE_64);
    put_64(event, bits);
    return event;
}

/* --- records ------------------------------------------------------------------------------ */

/* Bit by bit: there are some hundred bytes an epoch. */
static guint32 checksum(const char *bytes, size_t size)
{
    guint32 sum = ~0U;
    for (size_t i = 0; i < size; i++) {
        sum ^= (guint8)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78U : 0);
    }
    sum = ~sum;
    return (sum >> 15 | sum << 17) + 0xa282ead8U; /* so that sums of sums differ from sums */
}

static void take_event(GString *file, GString *event)
{
    gsize at = file->len;
    put_64(file, event->len);
    put_32(file, checksum(file->str + at, file->len - at));
    g_string_append_len(file, event->str, (gssize)event->len);
    put_32(file, checksum(event->str, event->len));
    g_string_free(event, TRUE);
}

void tensorboard_begin(GString *file, double time)
{
    static const char version[] = "brain.Event:2";
    GString *event = begin_event(time);
    put_bytes(event, EVENT_VERSION, version, strlen(version));
    take_event(file, event);
}

void tensorboard_add(GString *file, double time, int64_t step,
                     const struct tensorboard_scalar *scalars, size_t count)
{
    GString *event = begin_event(time), *summary = g_string_new(NULL),
            *value = g_string_new(NULL);
    for (size_t i = 0; i < count; i++) {
        if (isnan(scalars[i].value))
            continue;
        g_string_truncate(value, 0);
        put_bytes(value, VALUE_TAG, scalars[i].tag, strlen(scalars[i].tag));
        put_float(value, VALUE_NUMBER, scalars[i].value);
        put_bytes(summary, SUMMARY_VALUE, value->str, value->len);
    }
    put_key(event, EVENT_STEP, WIRE_VARINT);
    put_varint(event, (guint64)step);
    put_bytes(event, EVENT_SUMMARY, summary->str, summary->len);
    take_event(file, event);
    g_string_free(summary, TRUE);
    g_string_free(value, TRUE);
}
