/* Sound from RIFF/WAVE files, as numbers from -1 to 1.
 *
 * Read are PCM of 8 (unsigned), 16, 24 and 32 bits and IEEE floats of 32, also in
 * WAVE_FORMAT_EXTENSIBLE; channels are averaged. Whole numbers are divided by 2^(bits - 1), so that
 * the loudest negative one is -1. Floats are as they are, and must be finite. Chunks that are
 * neither "fmt " nor "data" are passed over. Everything that a header says is held against what is
 * there: sizes, the bytes of a frame, where the file ends.
 *
 * Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991),
 * and Microsoft, "Multiple channel audio data and WAVE files" (2007).
 *
 * Thread: any. */
#ifndef NN_TRAIN_WAV_H
#define NN_TRAIN_WAV_H

#include <stddef.h>
#include <stdint.h>

#include "nn/tensor.h"

enum { TRAIN_WAV_CHANNELS_MAX = 64, TRAIN_WAV_RATE_MAX = 768000 };

struct train_wav {
    int rate; /* frames a second */
    int channels;
    size_t count;  /* of frames; there may be none */
    float *frames; /* to be freed */
};

/* A file, plain or gzipped. *ret_wav is written only on success. 0; -EINVAL with what is wrong and
 * at which byte; -ENOMEM; or what nn/train/file.h says of the file. */
int train_wav_read(const char *path, struct train_wav *ret_wav, struct nn_error *err);

/* The same of its bytes; `name` is that of messages. */
int train_wav_parse(const uint8_t *bytes, size_t size, const char *name,
                    struct train_wav *ret_wav, struct nn_error *err);

#endif
