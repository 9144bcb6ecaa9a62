/* What is said about a model outside its file: keys of a section [model NAME], of `vigil run
 * --set`, and of MODEL.onnx.modelinfo beside it. All become the overrides of a stream.start;
 * who sets a key first wins.
 *
 * Thread: plain data. */
#ifndef DAEMON_CONFIG_MODEL_H
#define DAEMON_CONFIG_MODEL_H

#include "daemon/config/stream.h"

/* Sets a metadata key (those of a section [model NAME] but `path`), with or without "vigil."
 * before its name, unless it is set already.
 * `overrides` has room for MESSAGE_OVERRIDES_MAX. -EINVAL, with a text that does not say where,
 * for a key that is none and a value that is too long or not printable. */
int config_override_add(struct message_override *overrides, int *count, const char *key,
                        const char *value, struct config_error *err);

/* Adds what MODEL_PATH.modelinfo says (record/sidecar.h), each key checked as above. The text
 * of an error begins with the sidecar's path. */
int config_sidecar_read(const char *model_path, struct message_override *overrides, int *count,
                        struct config_error *err);

#endif
