#!/usr/bin/env python3
"""The systemd unit: how closed it is, and vigild really running in it, under a real systemd."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import time

from harness import (DATA, SANITIZED, SOURCE, Daemon, Skip, expect, note, rtsp_server, run_tests,
                     wait_for, workspace)
from installed import install, option, unit_path
from machine import machine
from manager import held_still

EXPOSURE = 1.2 # as Debian's redis-server; an unhardened service has 9.6
CLIPS = option('datadir') + '/clips'


def analyze(*arguments):
    if not shutil.which('systemd-analyze'):
        raise Skip('no systemd-analyze here')
    done = subprocess.run(['systemd-analyze', *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def unit_folder(folder):
    """A copy of the unit whose program exists, with every drop-in of the examples beside it."""
    root = install(folder)
    path = os.path.join(folder, 'vigil.service')
    with open(unit_path(root), encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text.replace('ExecStart=', f'ExecStart={root}'))
    return path


def the_unit_has_no_mistakes():
    """systemd-analyze verify has nothing to say about the unit, alone and with every drop-in"""
    with workspace() as folder:
        path = unit_folder(folder)
        for drop_ins in ((), ('media-folder', 'public-cameras', 'training')):
            os.makedirs(path + '.d', exist_ok=True)
            for name in drop_ins:
                shutil.copy(f'{SOURCE}/systemd/examples/{name}.conf', path + '.d')
            code, text = analyze('verify', '--man=no', '--recursive-errors=no', path)
            expect(code == 0 and not text.strip(), f'with {drop_ins}: {code}: {text}')


def the_unit_is_closed():
    """systemd-analyze security rates the unit no worse than 1.2"""
    with workspace() as folder:
        code, text = analyze('security', '--offline=yes', f'--threshold={EXPOSURE * 10:.0f}',
                             '--no-pager', unit_folder(folder))
        level = re.search(r'Overall exposure level for vigil.service: ([\d.]+)', text)
        expect(level, text)
        note(f'exposure {level.group(1)}')
        expect(code == 0 and float(level.group(1)) <= EXPOSURE, level.group(0))


class Service(Daemon):
    """The vigild that a machine's systemd has started."""

    def __init__(self, running):
        self.machine = running
        status = wait_for('the address', lambda: re.search(
            r'http://127\.0\.0\.1:(\d+)', running.show('vigil.service', 'StatusText')), 10)
        self.url, self.port = status.group(0), int(status.group(1))


def status_of(pid, name):
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
        return re.search(rf'(?m)^{name}:\s+(.*)$', file.read()).group(1)


def check_process(running):
    """Not root, no capability, no new privileges, filtered."""
    pid = running.outer_pid(running.show('vigil.service', 'MainPID'))
    expect(status_of(pid, 'Uid').split()[0] != '0', 'it runs as root')
    expect(int(status_of(pid, 'CapBnd'), 16) == 0, 'it has capabilities')
    expect(status_of(pid, 'NoNewPrivs') == '1' and status_of(pid, 'Seccomp') == '2', 'unfiltered')
    return pid


def check_state_folder(running):
    mode = running.run('stat', '-c', '%a', '/var/lib/private/vigil').stdout.strip()
    files = running.run('sh', '-c', 'stat -c "%a %n" /var/lib/private/vigil/*').stdout.split('\n')
    expect(mode == '700', f'the state folder has mode {mode}')
    expect(all(line.startswith('600 ') for line in files if line), f'files {files}')


@contextlib.contextmanager
def vigil_machine(folder, config, start=True):
    """A machine with vigil installed, /etc/vigil/vigil.conf and vigil.service."""
    if SANITIZED:
        raise Skip('a sanitizer needs what the unit forbids')
    path = os.path.join(folder, 'vigil.conf')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'[server]\nlisten = 127.0.0.1:0\nmedia_roots = {CLIPS}\n{config}')
    root = install(folder)
    os.makedirs(root + CLIPS)
    clip = os.path.join(DATA, 'clips', 'one-by-one-person-detection.mp4')
    if DATA and os.path.exists(clip):
        shutil.copy(clip, f'{root}{CLIPS}/clip.mp4')
    with machine(folder, root, option('prefix'), path) as running:
        if start:
            running.run('systemctl', 'start', 'vigil.service')
        yield running


def cameras_are_analysed_inside_the_unit():
    """under the whole unit cameras, a file and a scene are analysed, recorded, logged; it stops well"""
    with workspace() as folder, contextlib.ExitStack() as stack:
        ports = {codec: stack.enter_context(rtsp_server(
            folder, '--port', '0', '--pattern', 'scene', '--codec', codec, '--width', '320',
            '--height', '240', name=codec))[1] for codec in ('h264', 'h265', 'jpeg')}
        config = ''.join(f'[stream {codec}]\nuri = rtsp://127.0.0.1:{port}/stream\n'
                         for codec, port in ports.items())
        config += '[stream named]\n' \
            f'uri = rtsp://localhost:{ports["h264"]}/stream\n' \
            '[stream street]\nuri = scene://street?seed=7\n'
        running = stack.enter_context(vigil_machine(folder, config))
        vigild = Service(running)
        for name in (*ports, 'named', 'street'):
            vigild.wait_live(name, 30)
        if os.path.exists(f'{folder}/root{CLIPS}/clip.mp4'):
            vigild.put_stream('file', uri=f'file://{CLIPS}/clip.mp4')
            vigild.wait_live('file', 20)
        wait_for('the number of live streams in its status', lambda: re.match(
            r'(\d) of \1 streams live; ', running.show('vigil.service', 'StatusText')), 10)
        wait_for('a detection', vigild.detections, 30)
        expect(vigild.request('GET', '/api/v1/streams/h264/snapshot.jpg')[0] == 200, 'no picture')
        check_process(running)
        check_state_folder(running)
        entry = json.loads(running.run('journalctl', '-o', 'json', '-n', '1',
                                       'VIGIL_STREAM=h265', 'VIGIL_STATE=live').stdout)
        expect(entry['MESSAGE'] == 'stream h265: live' and entry['PRIORITY'] == '6', f'{entry}')
        code, text = analyze_inside(running)
        note(f'exposure of the running service {text}')
        expect(code == 0, text)
        running.run('systemctl', 'stop', 'vigil.service')
        expect(running.show('vigil.service', 'Result') == 'success' and
               running.show('vigil.service', 'ExecMainStatus') == '0', running.journal())
        expect('error' not in running.journal('-u', 'vigil.service', '-p', 'err'), 'errors')


def analyze_inside(running):
    done = running.run('systemd-analyze', 'security', '--no-pager', '--threshold=12',
                       'vigil.service', check=False)
    return done.returncode, (re.search(r'level for vigil.service: ([\d.]+)', done.stdout) or
                             [done.stderr])[0]


def a_camera_that_asks_for_a_password(folder):
    return rtsp_server(folder, '--port', '0', '--pattern', 'scene', '--user', 'viewer',
                       '--password', 'canary-77', name='asks')


def passwords_are_handed_over():
    """/etc/vigil/secrets.conf, which only root may read, holds what the configuration leaves out"""
    with workspace() as folder, a_camera_that_asks_for_a_password(folder) as (_, port), \
            vigil_machine(folder, f'[stream door]\nuri = rtsp://127.0.0.1:{port}/stream\n',
                          start=False) as running:
        running.run('sh', '-c', 'umask 077; printf "[stream door]\nuser = viewer\n'
                                'password = canary-77\n" > /etc/vigil/secrets.conf')
        running.run('systemctl', 'start', 'vigil.service')
        Service(running).wait_live('door', 30)
        expect('canary-77' not in running.journal() + running.run(
            'systemctl', 'status', '--no-pager', 'vigil.service').stdout, 'the password is shown')


def a_thread_that_stands_still_restarts_the_service():
    """with its event loop held still vigild is started anew within 12 s, and the log says why"""
    with workspace() as folder, \
            vigil_machine(folder, '[stream street]\nuri = scene://street?seed=5\n') as running:
        Service(running).wait_live('street', 30)
        first = running.show('vigil.service', 'MainPID')
        began = time.monotonic()
        with held_still(running.outer_pid(first), 'vigild') as is_dead:
            wait_for('the end of what stands still', is_dead, 20)
        wait_for('another vigild', lambda: running.show('vigil.service', 'MainPID') not in
                 (first, '0') and running.show('vigil.service', 'SubState') == 'running', 20)
        took = time.monotonic() - began
        note(f'started anew after {took:.1f} s')
        expect(took <= 12, f'{took:.1f} s')
        expect(running.show('vigil.service', 'NRestarts') == '1', 'not one restart')
        expect('the event loop stands still' in running.journal('-u', 'vigil.service', '-p', 'err'),
               'the log does not say why')
        Service(running).wait_live('street', 30)


def a_reload_is_systemds_too():
    """systemctl reload takes a new stream over, and says so when the file is wrong"""
    with workspace() as folder, \
            vigil_machine(folder, '[stream street]\nuri = scene://street?seed=5\n') as running:
        vigild = Service(running)
        vigild.wait_live('street', 30)
        worker = vigild.status('street')['worker_pid']
        running.run('sh', '-c', 'printf "[stream room]\nuri = scene://room\n" '
                                '>> /etc/vigil/vigil.conf')
        running.run('systemctl', 'reload', 'vigil.service')
        vigild.wait_live('room', 30)
        expect(vigild.status('street')['worker_pid'] == worker, 'the other worker was replaced')
        running.run('sh', '-c', 'echo nonsense >> /etc/vigil/vigil.conf')
        running.run('systemctl', 'reload', 'vigil.service')
        expect(running.show('vigil.service', 'ActiveState') == 'active', 'a mistake ended it')
        wait_for('the mistake in the log', lambda: '/etc/vigil/vigil.conf:' in
                 running.journal('-u', 'vigil.service', '-p', 'warning'), 10)


def a_wrong_configuration_is_not_tried_again():
    """exit status 78 leaves the service failed, with the file and line in its log"""
    with workspace() as folder, vigil_machine(folder, 'listne = x\n', start=False) as running:
        running.run('systemctl', 'start', 'vigil.service', check=False)
        wait_for('failed', lambda: running.show('vigil.service', 'ActiveState') == 'failed', 10)
        expect(running.show('vigil.service', 'ExecMainStatus') == '78', 'not 78')
        expect('/etc/vigil/vigil.conf:4: ' in running.journal('-u', 'vigil.service'),
               running.journal('-u', 'vigil.service'))


run_tests([the_unit_has_no_mistakes, the_unit_is_closed, cameras_are_analysed_inside_the_unit,
           passwords_are_handed_over, a_thread_that_stands_still_restarts_the_service,
           a_reload_is_systemds_too, a_wrong_configuration_is_not_tried_again])
