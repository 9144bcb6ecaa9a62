/* What of the environment a worker is given: a short list of variables that GStreamer, TLS and
 * the sanitizers need. Credentials are never among them.
 *
 * Thread: reads the process's environment. */
#ifndef RECORD_ENVIRONMENT_H
#define RECORD_ENVIRONMENT_H

/* NULL-terminated "NAME=value"; caller frees with g_strfreev(). */
char **environment_for_worker(void);

#endif
