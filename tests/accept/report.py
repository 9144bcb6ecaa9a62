"""What the acceptance scripts share: criteria with their figures, and what a process holds.

A script prints one TAP line per criterion, with the figure it was judged by, and exits 1 when
one does not hold:

    ok 3 - first packet after SIGSEGV within 1 s: worst 0.143 s, median 0.121 s of 100

Each has a short form, which the test suite runs, and a long one (--long, or --rounds N), which
`make accept` runs. Speed is judged in a build that nothing instruments, and shown in the others.
"""
import argparse
import contextlib
import ctypes
import os
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))

from harness import SANITIZED, Failure, children, note  # noqa: E402  (the path comes first)


class Report:
    """Criteria of one script, in the order in which they are judged."""

    def __init__(self):
        self.count = self.failed = 0

    def judge(self, what, holds, figure):
        self.count += 1
        self.failed += not holds
        print(f'{"ok" if holds else "not ok"} {self.count} - {what}: {figure}', flush=True)

    def judge_speed(self, what, seconds, limit_s):
        """The worst of a list of seconds against a limit."""
        worst = max(seconds, default=float('inf'))
        figure = (f'worst {worst:.3f} s, median {statistics.median(seconds or [worst]):.3f} s '
                  f'of {len(seconds)}')
        if SANITIZED:
            note(f'{what} within {limit_s} s, not judged in an instrumented build: {figure}')
        else:
            self.judge(f'{what} within {limit_s} s', worst <= limit_s, figure)

    def finish(self):
        print(f'1..{self.count}', flush=True)
        sys.exit(1 if self.failed or not self.count else 0)


def run(script, short, long, description):
    """Runs script(report, rounds) and exits. What goes wrong on the way is a failed criterion."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--long', action='store_true', help=f'{long} rounds, not {short}')
    parser.add_argument('--rounds', type=int, metavar='N')
    options = parser.parse_args()
    report = Report()
    # The stacks of `with` stop what was started, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        script(report, options.rounds or (long if options.long else short))
    except Exception as error:  # whatever it was, the table must show it
        report.judge('the script runs to its end', False,
                     ' '.join(f'{type(error).__name__}: {error}'.split()))
    report.finish()


# --- processes ---------------------------------------------------------------------------------


def census(pid):
    """What a process holds: descriptors, threads, dead children not waited for, resident KiB."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
        status = dict(line.split(':', 1) for line in file)
    return {
        'fds': len(os.listdir(f'/proc/{pid}/fd')),
        'threads': int(status['Threads']),
        'zombies': len(zombies(pid)),
        'rss_kib': int(status['VmRSS'].split()[0]),
    }


def zombies(pid):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f'/proc/{entry}/stat', encoding='ascii', errors='replace') as stat:
                    fields = stat.read().rpartition(')')[2].split()
                if fields[0] == 'Z' and int(fields[1]) == pid:
                    found.append(int(entry))
    return found


def census_while_idle(pids, seconds):
    """For each process the median of its figures over some seconds, two samples a second."""
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        samples.append([census(pid) for pid in pids])
        time.sleep(0.5)
    return [{key: int(statistics.median_high(sample[i][key] for sample in samples))
             for key in samples[0][i]} for i in range(len(pids))]


def adopt_orphans():
    """From now on who loses its parent becomes a child of this script, and so is seen."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
        raise Failure(f'cannot become a subreaper: {os.strerror(ctypes.get_errno())}')


def wait_orphans(name, patience_s):
    """Seconds until no orphan of that program lived. After patience_s they are killed."""
    began = time.monotonic()
    while True:
        for pid in zombies(os.getpid()):
            if program_of(pid) == name:
                os.waitpid(pid, 0)
        living = [pid for pid in children(os.getpid()) if program_of(pid) == name]
        took = time.monotonic() - began
        if not living:
            return took
        if took > patience_s:
            for pid in living:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def program_of(pid):
    """Its name as the kernel keeps it: the first 15 bytes."""
    with contextlib.suppress(OSError):
        with open(f'/proc/{pid}/comm', encoding='utf-8', errors='replace') as comm:
            return comm.read().strip()
    return ''
