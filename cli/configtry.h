/* Whether what a configuration names is there and works, tried without changing anything: a
 * configuration may be without a mistake and vigild still not do what it says.
 *
 * What vigild itself would answer for at a start or reload (config_load) comes before. Another
 * user than vigild's may see less than vigild: what could be due to that is a warning.
 *
 * Thread: runs a main loop of its own on the default context. */
#ifndef CLI_CONFIGTRY_H
#define CLI_CONFIGTRY_H

#include "daemon/config/config.h"

/* Each model whose file is there is inspected by a worker as at a reload, with the same
 * environment (8 s each at most); the worker, the authorities of [worker] tls_ca, the
 * database's folder where one is named, and the address are looked at. A file that everybody
 * may read and that holds a camera's password is a warning. Says each with file and line on
 * stderr; returns how many do not work, warnings not counted. */
int configtry_all(const struct config *config);

#endif
