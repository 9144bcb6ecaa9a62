/* MODEL.onnx.modelinfo: what someone says about a model beside its file. A GKeyFile whose group
 * [vigil] holds metadata keys (docs/models.md), with or without "vigil." before their names.
 *
 * Thread: any. */
#ifndef RECORD_SIDECAR_H
#define RECORD_SIDECAR_H

#define SIDECAR_BYTES_MAX (64 * 1024)

struct sidecar_error {
    char text[512]; /* one line; begins with the sidecar's path */
};

/* One key; 0, or -errno to refuse it with a text that need not say where. */
typedef int sidecar_take(void *data, const char *key, const char *value,
                         struct sidecar_error *err);

/* Hands every key of the group, in order, to `take`. Without that file there is nothing to say:
 * 0. -EINVAL when it is no such text, -errno when it cannot be read (record/file.h), or what
 * `take` refused with. */
int sidecar_read(const char *model_path, sidecar_take *take, void *data,
                 struct sidecar_error *err);

#endif
