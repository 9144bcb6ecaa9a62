/* Retention, the part that opening needs. Private to store/. */
#ifndef STORE_EXPIRE_H
#define STORE_EXPIRE_H

#include "store/handle.h"

/* Reads how far records were thinned; for the writer, when it opens. 0 or -errno. */
int expire_prepare(struct store *store, struct store_error *err);

#endif
