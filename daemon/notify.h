/* What the service manager is told (sd_notify(3), Type=notify). Without NOTIFY_SOCKET nothing
 * happens.
 *
 * Thread: any. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* One line for `systemctl status`. */
void notify_status(const char *line);

/* Requests are answered; also the end of a reload. NULL: the status line stays. */
void notify_ready(const char *line);

/* A reload has begun, notify_ready follows. With the time, as Type=notify-reload of newer
 * systemd asks. */
void notify_reloading(void);

void notify_stopping(void);

/* The watchdog of WatchdogSec= is fed. */
void notify_alive(void);

/* It need not wait any longer: a thread of ours stands still. */
void notify_hung(void);

/* Starting or stopping goes on: another `ms` from now before it counts as failed. */
void notify_extend(int ms);

#endif
