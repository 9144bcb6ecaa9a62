/* Defaults that depend on the machine: its name, the state folder that systemd gave, and where
 * our own programs and models lie. Each is a new text, g_free().
 *
 * Thread: any; the environment is read. */
#ifndef DAEMON_CONFIG_DEFAULT_H
#define DAEMON_CONFIG_DEFAULT_H

char *config_default_node(void);     /* the host's name, made one of ours */
char *config_default_database(void); /* vigil.db in $STATE_DIRECTORY, else in /var/lib/vigil */
char *config_default_worker(void);   /* vigil-worker: beside us, in a build tree, installed */
char *config_default_vigil(void);    /* vigil: likewise */
char *config_default_scene(void);    /* scene.onnx: likewise */

/* Where a file is that was installed as `path`: an installed tree may have been moved, or stand
 * below another root. The place it was configured for if it is not found beside us. */
char *config_find_installed(const char *path);

#endif
