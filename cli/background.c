#include "cli/background.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return written;
}

static void be_idle(void)
{
    const struct sched_param none = {0};
    bool idle = sched_setscheduler(0, SCHED_IDLE, &none) == 0;
    bool nice = setpriority(PRIO_PROCESS, 0, 19) == 0;
    if (!idle || !nice)
        fprintf(stderr, "vigil: the kernel does not let this process be idle: %s\n",
                g_strerror(errno));
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    /* Whoever has least to lose goes first. */
    write_file("/proc/self/oom_score_adj", "1000");
    /* Where the kernel groups processes by session, priorities count within one only, and each
     * has its own. That of a session we lead is ours alone. */
    if (getsid(0) == getpid())
        write_file("/proc/self/autogroup", "19");
}

int background_enter(const struct background *background)
{
    if (background->idle)
        be_idle();
    if (background->parent == 0)
        return CLI_OK;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* It may have ended before we asked to be told. */
    return getppid() == background->parent
               ? CLI_OK
               : cli_fail(CLI_UNAVAILABLE, "--parent %d: it is not our parent, or ended",
                          background->parent);
}
