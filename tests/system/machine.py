"""A systemd of our own: the real one, as the first process of namespaces of its own, with journald
and nothing else of the machine's. Needs root; what it writes goes to file systems in memory.
"""
import contextlib
import os
import shutil
import subprocess
import time

from harness import Failure, PATIENCE, Skip, children, wait_for

SYSTEMD = '/lib/systemd/systemd'
CGROUPS = '/sys/fs/cgroup/unified' if os.path.isdir('/sys/fs/cgroup/unified') else '/sys/fs/cgroup'

# $1 the installed tree's prefix below its root, $2 the prefix, $3 the configuration. Only the
# units named here exist: nothing that is enabled on this machine is started a second time.
BOOT = r'''
set -e
mount --make-rprivate /
for folder in /run /var/lib /var/cache /var/log; do
    mount -t tmpfs -o mode=755 tmpfs "$folder"
done
mount --bind "$1" "$2"
mkdir -p /run/etc/upper/vigil /run/etc/work /run/log /run/lock
cp "$3" /run/etc/upper/vigil/vigil.conf
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
mkdir /run/units
cp /lib/systemd/system/systemd-journald.service /lib/systemd/system/systemd-journald.socket \
    /lib/systemd/system/systemd-journald-dev-log.socket /run/units
for target in sysinit basic shutdown network-online test; do
    printf '[Unit]\nDescription=%s\n' "$target" > "/run/units/$target.target"
done
echo 'Wants=systemd-journald.service' >> /run/units/test.target
mount --bind /run/units /lib/systemd/system
for folder in /etc/systemd/system /lib/systemd/system-generators; do
    mount -t tmpfs tmpfs "$folder"
done
mkdir -p /run/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nRateLimitBurst=0\n' \
    > /run/systemd/journald.conf.d/test.conf
mount -t proc proc /proc
umount -l -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=1777 tmpfs /tmp
# Credentials reach a service by propagation, within this namespace only.
mount --make-rshared /
cd /
exec env -i container=vigil-test PATH="$PATH" /lib/systemd/systemd --system --unit=test.target \
    --log-target=console --show-status=no
'''


class Machine:
    def __init__(self, folder, installed, prefix, config):
        self.cgroup = f'{CGROUPS}/vigil-test-{os.getpid()}'
        os.mkdir(self.cgroup)
        with open(os.path.join(folder, 'machine.log'), 'wb') as log:
            # In a cgroup of its own, which then is the root of what it sees.
            self.process = subprocess.Popen(
                ['sh', '-c', f'echo $$ > {self.cgroup}/cgroup.procs; exec unshare --mount --pid '
                 '--fork --kill-child --cgroup --uts --ipc sh -c "$0" boot "$@"',
                 BOOT, installed + prefix, prefix, config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.log = log.name
        self.pid = None

    def boot(self):
        def first():
            if self.process.poll() is not None:
                with open(self.log, encoding='utf-8', errors='replace') as log:
                    raise Skip(f'no systemd of our own here: {log.read()[-300:].strip()}')
            return next(iter(children(self.process.pid)), None)
        self.pid = wait_for('the first process', first, 10)
        wait_for('journald', lambda: self.process.poll() is not None or self.run(
            'systemctl', 'is-active', 'systemd-journald.service', check=False).returncode == 0, 20)
        first()

    def run(self, *command, check=True):
        done = subprocess.run(['nsenter', '--target', str(self.pid), '--all', *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60 * PATIENCE, check=False)
        if check and done.returncode != 0:
            raise Failure(f'{command}: {done.returncode}: {done.stdout[-1000:]}'
                          f'{done.stderr[-1000:]}')
        return done

    def show(self, unit, name):
        return self.run('systemctl', 'show', '--value', '-p', name, unit).stdout.strip()

    def journal(self, *filters):
        return self.run('journalctl', '--no-pager', '-o', 'cat', *filters).stdout

    def outer_pid(self, inner):
        """The pid that we see of a process of the machine."""
        def probe():
            for entry in filter(str.isdigit, os.listdir('/proc')):
                with contextlib.suppress(OSError), \
                        open(f'/proc/{entry}/status', encoding='ascii', errors='replace') as file:
                    pids = [line.split()[1:] for line in file if line.startswith('NSpid:')][0]
                    if len(pids) == 2 and pids[1] == str(inner) and self.owns(entry):
                        return int(entry)
            return None
        return wait_for(f'pid {inner} seen from outside', probe, 5)

    def owns(self, pid):
        return os.readlink(f'/proc/{pid}/ns/pid') == os.readlink(f'/proc/{self.pid}/ns/pid')

    def halt(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9) # the first process: all others go with it
        self.process.wait(20)
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            deadline = time.monotonic() + 10
            while os.path.isdir(folder):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                if time.monotonic() > deadline:
                    raise Failure(f'{folder} is left')
                time.sleep(0.05)


@contextlib.contextmanager
def machine(folder, installed, prefix, config):
    if os.geteuid() != 0 or not os.path.exists(SYSTEMD) or not shutil.which('nsenter'):
        raise Skip('a systemd of our own needs root')
    if prefix in ('/', '/usr'):
        raise Skip(f'the prefix {prefix} is the machine\'s own')
    try:
        running = Machine(folder, installed, prefix, config)
    except OSError as error:
        raise Skip(f'no cgroup of our own here: {error}') from error
    try:
        running.boot()
        yield running
    finally:
        running.halt()
