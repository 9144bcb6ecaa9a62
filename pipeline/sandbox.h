/* The sandbox of a worker: after sandbox_close() the process can decode, compute, talk TCP to
 * cameras and write to the descriptors it was handed, and nothing else. It is an allow-list of
 * system calls (seccomp); the kernel kills the whole process at any other.
 *
 *   gone            opening, creating or naming files; starting programs; listening, binding,
 *                   accepting; signals to and inspection of other processes; executable memory
 *   sockets         TCP over IPv4 and IPv6, outwards
 *   open, stat, …   refused by the kernel. The few paths that libraries are known to try
 *                   (sandbox.c names them) are answered with ENOENT; for any other the process
 *                   writes one line naming the path and dies.
 *
 * Whatever the process will need must be there before: plugins, decoders, certificates, time
 * zone (pipeline/warmup.h).
 *
 * Thread: sandbox_close() once, from any thread; it binds every thread of the process. */
#ifndef PIPELINE_SANDBOX_H
#define PIPELINE_SANDBOX_H

/* Closes the sandbox for good. Also: no new privileges, not dumpable, no core file, resource
 * limits, and SIGKILL when the parent dies. 0, or -errno: the process should not go on. */
int sandbox_close(void);

/* Test hook: does one thing the sandbox forbids, by the name tests give it ("open", "exec",
 * "listen", …). Returns -EINVAL for an unknown name, 0 when the deed was possible. */
int sandbox_misbehave(const char *deed);

#endif
