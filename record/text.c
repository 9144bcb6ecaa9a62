#include "record/text.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the character at `text` and its code point; 0 when it is not valid UTF-8 (RFC 3629:
 * shortest form, no surrogates, at most U+10FFFF). */
static size_t decode(const unsigned char *text, size_t size, uint32_t *ret_code)
{
    unsigned char first = text[0];
    if (first < 0x80) {
        *ret_code = first;
        return 1;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size < length)
        return 0;
    uint32_t code = first & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

static bool is_printable(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return false;
    bool separates = code == 0x2028 || code == 0x2029;
    bool reorders = code == 0x061c || code == 0x200e || code == 0x200f ||
                    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return !separates && !reorders;
}

bool text_is_printable(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0; i < size;) {
        uint32_t code;
        size_t length = decode(at + i, size - i, &code);
        if (length == 0 || !is_printable(code))
            return false;
        i += length;
    }
    return true;
}

size_t text_copy_printable(char *ret_text, size_t size, const char *text)
{
    size_t left = strlen(text), written = 0;
    while (left > 0) {
        uint32_t code;
        size_t length = decode((const unsigned char *)text, left, &code);
        bool fit = length > 0 && is_printable(code);
        size_t out = fit ? length : 1;
        if (written + out >= size)
            break;
        memcpy(ret_text + written, fit ? text : "?", out);
        written += out;
        /* After a bad byte the next one may begin a good character. */
        size_t step = length > 0 ? length : 1;
        text += step;
        left -= step;
    }
    ret_text[written] = 0;
    return written;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

const char *text_nearest(const char *name, const char *const *names)
{
    enum { LONGEST = 32 };
    size_t length = strlen(name);
    if (length > LONGEST)
        return NULL;
    const char *best = NULL;
    size_t best_distance = length / 3 + 2; /* further off than this is no help */
    for (; *names; names++) {
        size_t other = strlen(*names);
        if (other > LONGEST)
            continue;
        size_t row[LONGEST + 1];
        for (size_t j = 0; j <= other; j++)
            row[j] = j;
        for (size_t i = 1; i <= length; i++) {
            size_t diagonal = row[0];
            row[0] = i;
            for (size_t j = 1; j <= other; j++) {
                size_t substitute = diagonal + (name[i - 1] != (*names)[j - 1]);
                diagonal = row[j];
                row[j] = min_of(substitute, min_of(row[j], row[j - 1]) + 1);
            }
        }
        if (row[other] < best_distance) {
            best_distance = row[other];
            best = *names;
        }
    }
    return best;
}
