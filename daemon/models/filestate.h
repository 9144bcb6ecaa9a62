/* What an answer about a model was made of: its file (device, inode, size, time of change), and
 * what the configuration says instead of the file's metadata. Of change, not of modification:
 * that can be set back (touch -r, cp -p, tar), and this moves on with it.
 *
 * Thread: plain data. */
#ifndef DAEMON_MODELS_FILESTATE_H
#define DAEMON_MODELS_FILESTATE_H

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/config/config.h"

struct file_state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    guint settings; /* a hash of the overrides */
};

static inline guint file_state_settings(const struct config_model *model)
{
    guint settings = 0;
    for (int i = 0; i < model->override_count; i++)
        settings = 31 * (31 * settings + g_str_hash(model->overrides[i].key)) +
                   g_str_hash(model->overrides[i].value);
    return settings;
}

static inline struct file_state file_state_of(const struct stat *status,
                                              const struct config_model *model)
{
    return (struct file_state){status->st_dev, status->st_ino, status->st_size, status->st_ctim,
                               file_state_settings(model)};
}

static inline bool file_state_equal(const struct file_state *a, const struct file_state *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->settings == b->settings && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

#endif
