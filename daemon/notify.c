#include "daemon/notify.h"

#include <inttypes.h>
#include <time.h>

#include <systemd/sd-daemon.h>

void notify_status(const char *line)
{
    sd_notifyf(0, "STATUS=%s", line);
}

void notify_ready(const char *line)
{
    sd_notifyf(0, "READY=1%s%s", line ? "\nSTATUS=" : "", line ? line : "");
}

void notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIi64,
               (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=Stopping: ending streams, committing their records");
}

void notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

void notify_hung(void)
{
    sd_notify(0, "WATCHDOG=trigger");
}

void notify_extend(int ms)
{
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIi64, (int64_t)ms * 1000);
}
