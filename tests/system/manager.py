"""What a service manager is to vigild: the socket it reports to, and one thread held still."""
import contextlib
import ctypes
import os
import socket
import time

from harness import Failure, PATIENCE, Skip, wait_for

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


class Manager:
    """The reading end of NOTIFY_SOCKET, an abstract one, for which no folder's path is too long."""

    def __init__(self):
        self.name = f'vigil-manager-{os.getpid()}'
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f'\0{self.name}')
        self.heard = []  # (seconds, text)

    def environment(self, watchdog_seconds=None):
        environment = {**os.environ, 'NOTIFY_SOCKET': f'@{self.name}'}
        if watchdog_seconds:
            environment['WATCHDOG_USEC'] = str(int(watchdog_seconds * 1e6))
        return environment

    def listen(self, seconds):
        """Takes what comes within the time; returns it."""
        first, deadline = len(self.heard), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                text = self.socket.recv(4096).decode()
                self.heard.append((time.monotonic(), text))
        return [text for _, text in self.heard[first:]]

    def wait(self, what, probe, seconds):
        """The first message for which probe is true; those before it are kept in `heard`."""
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.01))
            with contextlib.suppress(TimeoutError):
                text = self.socket.recv(4096).decode()
                self.heard.append((time.monotonic(), text))
                if probe(text):
                    return text
        raise Failure(f'not within {seconds * PATIENCE} s: {what}; heard {self.heard[-5:]}')

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def manager():
    listening = Manager()
    try:
        yield listening
    finally:
        listening.close()


def find_thread(pid, name):
    def probe():
        for task in os.listdir(f'/proc/{pid}/task'):
            with contextlib.suppress(OSError), \
                    open(f'/proc/{pid}/task/{task}/comm', encoding='ascii') as comm:
                if comm.read().strip() == name:
                    return int(task)
        return None
    return wait_for(f'thread {name}', probe, 5)


@contextlib.contextmanager
def held_still(pid, name):
    """One thread of a child of ours does not run; the others do (ptrace stops a single one)."""
    libc = ctypes.CDLL(None, use_errno=True)
    thread = find_thread(pid, name)

    def ptrace(request):
        if libc.ptrace(request, thread, None, None) < 0:
            raise OSError(ctypes.get_errno(), 'ptrace')
    try:
        ptrace(PTRACE_SEIZE)
    except OSError as error:
        raise Skip(f'no thread can be held still here: {error}') from error
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, WALL)

    def is_dead():
        """Whether it was killed meanwhile; its process is gone only once we have asked."""
        return os.waitpid(thread, WALL | os.WNOHANG)[0] == thread
    try:
        yield is_dead
    finally:
        with contextlib.suppress(ProcessLookupError):
            ptrace(PTRACE_DETACH)
