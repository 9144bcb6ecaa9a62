/* Rendered scenes as a data set (format `scene`): windows of clips (cli/sceneclip.h), labelled by
 * the renderer's own truth (cli/scenelabel.h). A seed is a source: it teaches, or it judges.
 *
 * What teaches is drawn evenly: of what there is much of (nothing happens most of the time), only
 * every so many windows are taken, and quiet and movement are changed at random
 * (cli/scenechange.h), each window in its own way, the same at each reading. What judges are all
 * windows at the network's own stride, as they are.
 *
 * Thread: single-threaded. */
#ifndef CLI_SCENEDATA_H
#define CLI_SCENEDATA_H

#include <stdint.h>

#include "cli/clipreader.h"
#include "nn/train/dataset.h"

#define SCENEDATA_SEEDS_MAX 10000

/* From `first` to `last`; no seeds when last is 0, since seeds are from 1. */
struct scenedata_seeds {
    uint64_t first, last;
};

struct scenedata {
    struct clipreader reader; /* how windows are shown: what is to be set before it is opened */
    struct scenedata_seeds seeds[TRAIN_PARTS]; /* of each part; that of NONE is empty */
};

/* CLI_OK, or an exit code of cli.h with a line said on stderr. Tells a terminal how far the
 * rendering is. */
int scenedata_open(const struct scenedata *what, struct train_dataset **ret_data);

#endif
