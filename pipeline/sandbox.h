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
 *   memory          half of the machine's, at least SANDBOX_MEMORY_MIN and at most
 *                   SANDBOX_MEMORY_MAX and SANDBOX_MEMORY_STREAM for each stream but one, of
 *                   what it writes to: a stream that asks for more has its own process die, and
 *                   not whatever the kernel picks on a full machine
 *
 * Whatever the process will need must be there before: plugins, decoders, certificates, time
 * zone (pipeline/warmup.h).
 *
 * Thread: sandbox_close() once, from any thread; it binds every thread of the process. */
#ifndef PIPELINE_SANDBOX_H
#define PIPELINE_SANDBOX_H

#include <stdint.h>

/* Measured with one stream: 230 MB at 768x432 (of which 40 MB are ever touched), 520 MB with
 * the largest pictures of a camera, 4096x2304 in H.265; 1.7 GB with the same in 10 bits and
 * 4:4:4 with 16 reference pictures, which only a hostile stream sends. */
#define SANDBOX_MEMORY_MIN (INT64_C(1) << 30)
#define SANDBOX_MEMORY_MAX (INT64_C(4) << 30)

/* Each further stream of the process: 47 MB at 768x432, most of it stacks that are never
 * touched. */
#define SANDBOX_MEMORY_STREAM (INT64_C(64) << 20)

/* Closes the sandbox for good. Also: no new privileges, not dumpable, no core file, resource
 * limits, and SIGKILL when the parent dies. file_bytes is the most any file it was handed may
 * be made to hold; `streams` how many it will run at once, 0 or more. 0, or -errno: the process
 * should not go on. */
int sandbox_close(uint64_t file_bytes, int streams);

/* Test hook: does one thing the sandbox forbids, by the name tests give it ("open", "exec",
 * "listen", …). Returns -EINVAL for an unknown name, 0 when the deed was possible. "memory"
 * aborts, as GLib does, where it gets no more. */
int sandbox_misbehave(const char *deed);

#endif
