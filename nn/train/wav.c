#include "nn/train/wav.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/file.h"

enum {
    RIFF_HEADER = 12,
    CHUNK_HEADER = 8,
    FORMAT_BYTES = 16,
    EXTENSIBLE_BYTES = 40,
    TAG_PCM = 1,
    TAG_FLOAT = 3,
    TAG_EXTENSIBLE = 0xfffe,
};

/* What follows the format's tag in the name of a subformat. */
static const uint8_t subformat_rest[14] = {0, 0, 0,    0, 0x10, 0,    0x80,
                                           0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

struct sound {
    const char *name;
    const uint8_t *bytes;
    size_t size; /* of the RIFF */
    /* "fmt ". */
    int tag, channels, bits;
    uint32_t rate;
    size_t frame; /* bytes; 0: no "fmt " yet */
    /* "data". */
    const uint8_t *data;
    size_t data_size;
};

static uint32_t little16(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t little32(const uint8_t *bytes)
{
    return little16(bytes) | little16(bytes + 2) << 16;
}

/* --- headers ------------------------------------------------------------------------------ */

static int check_riff(struct sound *s, size_t size, struct nn_error *err)
{
    if (size < RIFF_HEADER || memcmp(s->bytes, "RIFF", 4) != 0 ||
        memcmp(s->bytes + 8, "WAVE", 4) != 0)
        return nn_error_set(err, -EINVAL, "'%.160s' is no RIFF/WAVE file", s->name);
    const size_t promised = little32(s->bytes + 4);
    if (promised > size - CHUNK_HEADER)
        return nn_error_set(err, -EINVAL,
                            "'%.160s' is cut: its header promises %zu bytes, %zu are there",
                            s->name, promised + CHUNK_HEADER, size);
    s->size = promised + CHUNK_HEADER;
    return 0;
}

/* The tag of a format chunk; that of its subformat where there is one, 0 for one of other kinds. */
static int find_tag(const uint8_t *chunk, size_t size)
{
    const int tag = (int)little16(chunk);
    if (tag != TAG_EXTENSIBLE)
        return tag;
    if (size < EXTENSIBLE_BYTES || memcmp(chunk + EXTENSIBLE_BYTES - sizeof subformat_rest,
                                          subformat_rest, sizeof subformat_rest) != 0)
        return 0;
    return (int)little16(chunk + EXTENSIBLE_BYTES - sizeof subformat_rest - 2);
}

static bool is_read(int tag, int bits)
{
    return tag == TAG_PCM ? bits == 8 || bits == 16 || bits == 24 || bits == 32
                          : tag == TAG_FLOAT && bits == 32;
}

static int read_format(struct sound *s, const uint8_t *chunk, size_t size, struct nn_error *err)
{
    if (s->frame > 0)
        return nn_error_set(err, -EINVAL, "'%.160s' has two chunks 'fmt '", s->name);
    if (size < FORMAT_BYTES)
        return nn_error_set(err, -EINVAL, "'%.160s': its chunk 'fmt ' has %zu bytes, not %d",
                            s->name, size, FORMAT_BYTES);
    s->tag = find_tag(chunk, size);
    s->channels = (int)little16(chunk + 2);
    s->rate = little32(chunk + 4);
    s->frame = little16(chunk + 12);
    s->bits = (int)little16(chunk + 14);
    if (!is_read(s->tag, s->bits))
        return nn_error_set(err, -EINVAL,
                            "'%.160s' is of format 0x%04x with %d bits; PCM of 8, 16, 24 or 32 "
                            "bits and floats of 32 are read",
                            s->name, little16(chunk), s->bits);
    if (s->channels < 1 || s->channels > TRAIN_WAV_CHANNELS_MAX)
        return nn_error_set(err, -EINVAL, "'%.160s' has %d channels; 1 to %d are read", s->name,
                            s->channels, TRAIN_WAV_CHANNELS_MAX);
    if (s->rate < 1 || s->rate > TRAIN_WAV_RATE_MAX)
        return nn_error_set(err, -EINVAL, "'%.160s' has %u frames a second; 1 to %d are read",
                            s->name, s->rate, TRAIN_WAV_RATE_MAX);
    if (s->frame != (size_t)s->channels * (size_t)s->bits / 8)
        return nn_error_set(err, -EINVAL,
                            "'%.160s' says that %d channels of %d bits take %zu bytes", s->name,
                            s->channels, s->bits, s->frame);
    return 0;
}

static int read_data(struct sound *s, const uint8_t *chunk, size_t size, struct nn_error *err)
{
    if (s->data)
        return nn_error_set(err, -EINVAL, "'%.160s' has two chunks 'data'", s->name);
    if (s->frame == 0)
        return nn_error_set(err, -EINVAL, "'%.160s' has data before it says of which format",
                            s->name);
    if (size % s->frame != 0)
        return nn_error_set(err, -EINVAL, "'%.160s': %zu bytes of data are not frames of %zu",
                            s->name, size, s->frame);
    s->data = chunk;
    s->data_size = size;
    return 0;
}

/* Each chunk is its name, its size and so many bytes, with another behind an odd size, which some
 * writers leave out at the end. */
static int read_chunks(struct sound *s, struct nn_error *err)
{
    size_t at = RIFF_HEADER;
    int r = 0;
    while (r == 0 && at < s->size) {
        const uint8_t *header = s->bytes + at;
        if (s->size - at < CHUNK_HEADER)
            return nn_error_set(err, -EINVAL, "'%.160s' ends within a chunk's header, byte %zu",
                                s->name, at);
        const size_t size = little32(header + 4);
        at += CHUNK_HEADER;
        if (size > s->size - at)
            return nn_error_set(err, -EINVAL,
                                "'%.160s': the chunk at byte %zu promises %zu bytes, %zu are "
                                "left",
                                s->name, at - CHUNK_HEADER, size, s->size - at);
        if (memcmp(header, "fmt ", 4) == 0)
            r = read_format(s, s->bytes + at, size, err);
        else if (memcmp(header, "data", 4) == 0)
            r = read_data(s, s->bytes + at, size, err);
        at += size + size % 2;
    }
    if (r == 0 && !s->data)
        return nn_error_set(err, -EINVAL, "'%.160s' has no chunk 'data'", s->name);
    return r;
}

/* --- numbers ------------------------------------------------------------------------------ */

static float read_number(const struct sound *s, const uint8_t *at)
{
    uint32_t bits;
    float value;
    switch (s->bits) {
    case 8:
        return ((float)at[0] - 128) / 128;
    case 16:
        return (float)(int16_t)little16(at) / 0x1p15f;
    case 24: /* shifted up, so that the sign is where that of 32 bits is */
        bits = (little16(at) | (uint32_t)at[2] << 16) << 8;
        break;
    default:
        bits = little32(at);
    }
    memcpy(&value, &bits, sizeof value);
    return s->tag == TAG_FLOAT ? value : (float)(int32_t)bits / 0x1p31f;
}

static int read_frames(const struct sound *s, struct train_wav *wav, struct nn_error *err)
{
    const size_t bytes = (size_t)s->bits / 8;
    for (size_t i = 0; i < wav->count; i++) {
        double sum = 0;
        for (int c = 0; c < s->channels; c++)
            sum += read_number(s, s->data + i * s->frame + (size_t)c * bytes);
        wav->frames[i] = (float)(sum / s->channels);
        if (!isfinite(wav->frames[i]))
            return nn_error_set(err, -EINVAL, "'%.160s': frame %zu is no number", s->name,
                                i + 1);
    }
    return 0;
}

int train_wav_parse(const uint8_t *bytes, size_t size, const char *name,
                    struct train_wav *ret_wav, struct nn_error *err)
{
    struct sound s = {.name = name, .bytes = bytes};
    int r = check_riff(&s, size, err);
    if (r == 0)
        r = read_chunks(&s, err);
    if (r < 0)
        return r;
    struct train_wav wav = {
        .rate = (int)s.rate, .channels = s.channels, .count = s.data_size / s.frame};
    wav.frames = calloc(wav.count + 1, sizeof *wav.frames);
    if (!wav.frames)
        return nn_error_set(err, -ENOMEM, "no memory for '%.160s'", name);
    r = read_frames(&s, &wav, err);
    if (r < 0)
        free(wav.frames);
    else
        *ret_wav = wav;
    return r;
}

int train_wav_read(const char *path, struct train_wav *ret_wav, struct nn_error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = train_file_read(path, &bytes, &size, err);
    if (r < 0)
        return r;
    r = train_wav_parse(bytes, size, path, ret_wav, err);
    free(bytes);
    return r;
}
