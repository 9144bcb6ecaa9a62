#include "nn/half.h"

#include <string.h>

float nn_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff, bits;
    if (rest >= 0x7c00) { /* infinities and NaNs */
        bits = sign | 0x7f800000 | rest << 13;
    } else if (rest >= 0x0400) {
        bits = sign | ((rest << 13) + ((127u - 15u) << 23));
    } else {
        /* Zero and subnormals: a whole number of 2^-24, which float32 holds exactly. */
        float tiny = (float)rest * 0x1p-24f;
        memcpy(&bits, &tiny, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t nn_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) /* 65520, half way between the largest half and 2^16 */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) { /* under 2^-14, the smallest normal half */
        /* Beside 0.5 a float's last bit is worth 2^-24, a subnormal half's: the sum rounds. */
        float magnitude;
        memcpy(&magnitude, &rest, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&rest, &magnitude, sizeof rest);
        return (uint16_t)(sign | (rest - 0x3f000000));
    }
    /* Half of the bit that is the last to stay, less one when that is even: ties go to even. */
    rest += 0x0fff + (rest >> 13 & 1);
    return (uint16_t)(sign | (rest - ((127u - 15u) << 23)) >> 13);
}
