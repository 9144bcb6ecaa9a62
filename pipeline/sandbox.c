/* Why an allow-list that kills: a decoder that has been taken over should not be able to learn
 * by trial what is possible. The list is what GStreamer, GIO and GnuTLS of Debian 12 were seen
 * to use over hundreds of rebuilt sources, with arguments narrowed where seccomp can see them.
 */
#include "pipeline/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <seccomp.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Allowed whatever the arguments. */
static const int allowed[] = {
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mbind),
    /* threads and time */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    /* Helpers of a run are sent to other processors (nn/threads.h), by numbers that are not
     * known yet. Who has taken the process over may move any thread of its user's so, which
     * costs others time and shows it nothing. */
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getattr),
    SCMP_SYS(sched_setattr),
    SCMP_SYS(getcpu),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo), /* glibc's qsort, beyond 1 KiB */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    /* signals to itself: abort() and the stack overflow handler of sanitizers */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    /* descriptors it has */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(ftruncate),
    /* sockets it has */
    SCMP_SYS(connect),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
#ifdef SANITIZED
    /* The sanitizers find out what memory may be read by writing it into a pipe. */
    SCMP_SYS(pipe),
#endif
};

/* Calls with a path: trapped, so that the handler below can say which. */
static const int trapped[] = {
#ifdef __NR_open
    SCMP_SYS(open),       SCMP_SYS(stat),     SCMP_SYS(lstat),
    SCMP_SYS(access),     SCMP_SYS(readlink),
#endif
    SCMP_SYS(openat),     SCMP_SYS(openat2),  SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(statx),    SCMP_SYS(readlinkat),
};

/* Ends of paths that are known to be tried and fine to be absent. GIO looks at the resolver's
 * configuration and at a port's service name on each connect, GnuTLS at the authorities for
 * each session (ours are loaded already: tlsname.h), glib at aliases of character sets, glibc
 * at the processors for the number of its arenas, and at overcommit before it shrinks one. */
static const char *const absent_paths[] = {
    "/etc/services",
    "/etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/charset.alias",
    "/sys/devices/system/cpu/online",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
};

static bool ends_with(const char *text, const char *end)
{
    size_t text_length = strlen(text), end_length = strlen(end);
    return text_length >= end_length && strcmp(text + text_length - end_length, end) == 0;
}

/* Of the interrupted thread: the path argument and the place of the result. */
#if defined(__x86_64__)
#define CONTEXT_ARGUMENT(context, n)                                                           \
    ((n) == 0 ? (context)->uc_mcontext.gregs[REG_RDI] : (context)->uc_mcontext.gregs[REG_RSI])
#define CONTEXT_RESULT(context) (context)->uc_mcontext.gregs[REG_RAX]
#elif defined(__aarch64__)
#define CONTEXT_ARGUMENT(context, n) (context)->uc_mcontext.regs[n]
#define CONTEXT_RESULT(context)      (context)->uc_mcontext.regs[0]
#else
#error "sandbox: say where this processor keeps system call arguments"
#endif

static bool path_is_first_argument(int call)
{
#ifdef __NR_open
    return call == __NR_open || call == __NR_stat || call == __NR_lstat ||
           call == __NR_access || call == __NR_readlink;
#else
    (void)call;
    return false;
#endif
}

static void die_of_path(const char *path)
{
    char line[400] = "worker: tried to open ";
    size_t length = strlen(line);
    for (; *path && length < sizeof line - 64; path++)
        line[length++] = *path < ' ' || *path > '~' ? '?' : *path;
    static const char end[] = " after its sandbox was closed\n";
    memcpy(line + length, end, sizeof end);
    length += sizeof end - 1;
    while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR)
        ;
    /* Any call that is not on the list ends the process, whatever its signal handlers say. */
    syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
    _exit(70);
}

/* The kernel has refused the call already: this only chooses between -ENOENT and death. Runs on
 * any thread in any state, so it does nothing that is not async-signal-safe. */
static void on_trapped_call(int signal_number, siginfo_t *info, void *opaque)
{
    (void)signal_number;
    ucontext_t *context = opaque;
    const char *path = (const char *)(uintptr_t)CONTEXT_ARGUMENT(
        context, path_is_first_argument(info->si_syscall) ? 0 : 1);
    for (size_t i = 0; i < COUNT(absent_paths); i++)
        if (path && ends_with(path, absent_paths[i])) {
            CONTEXT_RESULT(context) = -ENOENT;
            return;
        }
    die_of_path(path ? path : "(null)");
}

static int allow_socket(scmp_filter_ctx filter, int domain)
{
    /* TCP only: with protocols=tcp nothing needs UDP, and without it nothing needs bind(). */
    return seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, domain),
        SCMP_A1(SCMP_CMP_MASKED_EQ, ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_STREAM));
}

static int allow_fcntl(scmp_filter_ctx filter)
{
    static const int commands[] = {F_GETFD, F_SETFD,         F_GETFL,
                                   F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS};
    int r = 0;
    for (size_t i = 0; i < COUNT(commands) && r == 0; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
    return r;
}

/* Calls allowed with some arguments only. */
static int allow_narrowed(scmp_filter_ctx filter)
{
    const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    int r = 0;
#define ALLOW(call, count, ...)                                                                \
    (r = r ? r : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(call), count, __VA_ARGS__))
    ALLOW(mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    ALLOW(mprotect, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    ALLOW(clone, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    ALLOW(tgkill, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    ALLOW(prctl, 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    ALLOW(ioctl, 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));
    ALLOW(ioctl, 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO));
    /* GstPoll wakes itself through a pair. Only of streams: a pair of datagram sockets could be
     * connected anew, to any socket that has a path. */
    ALLOW(socketpair, 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX), SCMP_A1(SCMP_CMP_EQ, SOCK_STREAM));
    /* fstat() of glibc 2.36: an empty path with a descriptor. */
    ALLOW(newfstatat, 1, SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    /* Reading a limit, not setting one. */
    ALLOW(prlimit64, 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
#undef ALLOW
    return r;
}

static int load_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return -ENOMEM;
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
    for (size_t i = 0; i < COUNT(allowed) && r == 0; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < COUNT(trapped) && r == 0; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_TRAP, trapped[i], 0);
    /* glibc tries clone3 first and falls back to clone, whose flags the filter can see. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(newfstatat), 1,
                             SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
    if (r == 0)
        r = allow_socket(filter, AF_INET);
    if (r == 0)
        r = allow_socket(filter, AF_INET6);
    if (r == 0)
        r = allow_fcntl(filter);
    if (r == 0)
        r = allow_narrowed(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}

static int limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) < 0)
        return -errno;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
        value = now.rlim_max;
    struct rlimit lower = {value, value};
    return setrlimit(resource, &lower) < 0 ? -errno : 0;
}

/* What is written to (RLIMIT_DATA) and not the address space, most of which nobody touches. */
static int limit_memory(int streams)
{
#ifdef SANITIZED
    (void)streams;
    return 0; /* shadow memory is many times that */
#else
    int64_t half = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    half = half < SANDBOX_MEMORY_MIN ? SANDBOX_MEMORY_MIN : half;
    half = half > SANDBOX_MEMORY_MAX ? SANDBOX_MEMORY_MAX : half;
    return limit(RLIMIT_DATA,
                 (rlim_t)(half + (streams > 1 ? streams - 1 : 0) * SANDBOX_MEMORY_STREAM));
#endif
}

int sandbox_close(uint64_t file_bytes, int streams)
{
    struct sigaction action = {.sa_sigaction = on_trapped_call,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) < 0)
        return -errno;
    /* A core file of this process would hold passwords and pictures. */
    int r = limit(RLIMIT_CORE, 0);
    if (r == 0)
        r = limit(RLIMIT_NOFILE, 1024); /* some 6 for each of at most 64 streams, 13 without */
    if (r == 0)
        r = limit(RLIMIT_FSIZE, file_bytes);
    if (r == 0)
        r = limit_memory(streams);
    if (r < 0)
        return r;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    return load_filter();
}

static int misbehave_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 1) < 0;
}

/* In pieces, as a decoder does. */
static int misbehave_memory(void)
{
    const size_t piece = 64u << 20;
    for (int64_t all = 0; all <= SANDBOX_MEMORY_MAX; all += (int64_t)piece)
        if (mmap(NULL, piece, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            abort();
    return 0;
}

int sandbox_misbehave(const char *deed)
{
    static char *const nothing[] = {NULL};
    const char *const deeds[] = {"open", "create", "stat",   "exec", "fork",      "listen",
                                 "unix", "udp",    "ptrace", "kill", "mmap-exec", "memory"};
    size_t which = 0;
    while (which < COUNT(deeds) && strcmp(deeds[which], deed) != 0)
        which++;
    struct stat status;
    switch (which) {
    case 0:
        return open("/etc/passwd", O_RDONLY) < 0;
    case 1:
        return open("/tmp/worker-was-here", O_CREAT | O_WRONLY, 0600) < 0;
    case 2:
        return stat("/etc/shadow", &status) < 0;
    case 3:
        return execve("/bin/true", nothing, nothing) < 0;
    case 4:
        return fork() < 0;
    case 5:
        return misbehave_listen();
    case 6:
        return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
    case 7:
        return socket(AF_INET, SOCK_DGRAM, 0) < 0;
    case 8:
        return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0;
    case 9:
        return kill(getppid(), 0) < 0;
    case 10:
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
               MAP_FAILED;
    case 11:
        return misbehave_memory();
    default:
        return -EINVAL;
    }
}
