#!/usr/bin/env python3
"""vigild as a service: what its manager hears, what the log says and what it leaves out."""
import collections
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from harness import (BUILD, PATIENCE, VIGIL, VIGILD, Events, Skip, children, daemon, expect, note,
                     run_tests, wait_for, workspace)
from manager import held_still, manager

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
# The puppet's records are of 2023: without this they would be removed as old at once.
CONFIG = f'[worker]\nprogram = {PUPPET}\n[store]\nretention_days = 0\n'
SCENE = 'scene://street'


@contextlib.contextmanager
def service(folder, listening, config=CONFIG, watchdog_seconds=10, arguments=()):
    with daemon(folder, config, arguments,
                env=listening.environment(watchdog_seconds)) as running:
        yield running


def is_fed(text):
    return text == 'WATCHDOG=1'


def a_manager_is_told_when_it_is_ready_and_how_it_does():
    """READY=1 comes once the API answers, STATUS= follows the streams, STOPPING=1 before the end"""
    with workspace() as folder, manager() as listening:
        with service(folder, listening) as running:
            listening.wait('READY=1', lambda text: text.startswith('READY=1'), 10)
            expect(running.request('GET', '/livez')[0] == 200, 'ready, yet no answer')
            listening.wait('no stream', lambda text: 'STATUS=0 of 0 streams live' in text and
                           running.url in text, 5)
            running.put_stream('calm-1', uri=SCENE)
            running.put_stream('exit', uri=SCENE)
            listening.wait('one of two', lambda text: 'STATUS=1 of 2 streams live, 1 ' in text, 10)
            listening.wait('a failed one', lambda text:
                           'STATUS=1 of 2 streams live, 1 failed; ' in text, 20)
            # Nothing changes: nothing is said but that it lives.
            quiet = listening.listen(3)
            expect(all(is_fed(text) for text in quiet) and quiet, f'told {quiet}')
        listening.wait('STOPPING=1', lambda text: text.startswith('STOPPING=1\nSTATUS='), 5)


def a_thread_that_stands_still_is_named():
    """with the loop, then the writer held still, each is named and the manager is asked to kill"""
    with workspace() as folder, manager() as listening, \
            service(folder, listening) as running:
        running.put_stream('calm', uri=SCENE)
        listening.wait('WATCHDOG=1', is_fed, 10)
        for thread, told in (('store-writer', 'the writer of the store stands still: '),
                             ('vigild', 'the event loop stands still: ')):
            began = time.monotonic()
            with held_still(running.pid, thread):
                listening.wait('WATCHDOG=trigger', lambda text: text == 'WATCHDOG=trigger', 12)
                took = time.monotonic() - began
                line = running.wait_output(told + r'.*').group(0)
                note(f'{line}; asked for the end after {took:.1f} s')
                expect(took < 11 * PATIENCE, f'{thread}: noticed after {took:.1f} s')
                fed = [text for text in listening.listen(2) if is_fed(text)]
                expect(not fed, f'{thread}: fed {fed} while it stands still')
            listening.wait(f'{thread} goes on', is_fed, 10)
            running.wait_output('goes on')


def nobody_is_fed_by_a_watchdog_that_stands_still():
    """with the thread that feeds held still, nothing is fed: systemd's own clock then runs out"""
    with workspace() as folder, manager() as listening, \
            service(folder, listening) as running:
        listening.wait('WATCHDOG=1', is_fed, 10)
        with held_still(running.pid, 'watchdog'):
            listening.listen(0.5)
            expect(not [text for text in listening.listen(4) if is_fed(text)], 'it is fed')


def a_locked_store_is_waited_for():
    """another process that keeps the database locked is a wait and not a hang: all is fed"""
    with workspace() as folder, manager() as listening, \
            service(folder, listening) as running:
        running.put_stream('calm', uri=SCENE)
        listening.wait('WATCHDOG=1', is_fed, 10)
        rival = sqlite3.connect(os.path.join(folder, 'vigil.db'), isolation_level=None)
        rival.execute('BEGIN IMMEDIATE')
        # Every change fails after its second, and the next is tried: longer than any thread of
        # ours may be silent.
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline:
            status = running.request('PUT', '/api/v1/streams/calm',
                                     {'uri': SCENE, 'enabled': False}, timeout=20)[0]
            expect(status == 503, f'PUT of a locked store: {status}')
            listening.listen(0.01)
        rival.execute('ROLLBACK')
        rival.close()
        listening.listen(0.5)
        heard = [(when, text) for when, text in listening.heard if text.startswith('WATCHDOG')]
        expect(all(is_fed(text) for _, text in heard), f'told {heard}')
        gaps = [later - sooner for (sooner, _), (later, _) in zip(heard, heard[1:])]
        expect(len(heard) >= 10 and max(gaps) < 4 * PATIENCE, f'fed {len(heard)} times, {gaps}')


def a_standstill_of_the_whole_process_is_excused():
    """after SIGSTOP and SIGCONT nothing is taken for hung, and no worker is replaced"""
    with workspace() as folder, manager() as listening, \
            service(folder, listening) as running:
        running.put_stream('calm', uri=SCENE)
        running.wait_status('calm', 'live', lambda s: s['state'] == 'live', 10)
        worker = running.status('calm')['worker_pid']
        running.process.send_signal(signal.SIGSTOP)
        listening.listen(10)
        running.process.send_signal(signal.SIGCONT)
        told = listening.listen(3)
        expect('WATCHDOG=1' in told and 'WATCHDOG=trigger' not in told, f'told {told}')
        running.wait_output('stood still for')
        expect('stands still' not in running.output(), running.output())
        expect(running.status('calm')['worker_pid'] == worker, 'the worker was replaced')


class Load(threading.Thread):
    """A client that asks on and on; every answer must be whole."""

    def __init__(self, running, path):
        super().__init__(daemon=True)
        self.running, self.path = running, path
        self.answers, self.broken = collections.Counter(), []
        self.start()

    def run(self):
        while True:
            try:
                status, _, body = self.running.request('GET', self.path)
                json.loads(body)
                self.answers[status] += 1
            except ConnectionError: # nobody takes it any more
                return
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.broken.append(repr(error))
                return


def it_stops_in_order_under_load():
    """SIGTERM amid requests and detections: whole answers, nothing left open or lost, exit 0"""
    with workspace() as folder, manager() as listening, \
            service(folder, listening, config='') as running:
        for name, seed in (('one', 5), ('two', 6), ('three', 7), ('four', 8)):
            running.put_stream(name, uri=f'scene://street?seed={seed}')
        events = Events(running)
        wait_for('a detection that is open', lambda: running.detections(state='active'), 60)
        load = [Load(running, path) for path in ('/api/v1/detections?limit=500',
                                                 '/api/v1/streams', '/readyz') * 3]
        wait_for('requests', lambda: all(client.answers for client in load), 10)
        listening.wait('WATCHDOG=1', is_fed, 10)
        children_before = children(running.pid)
        began = time.monotonic()
        running.process.terminate()
        code = running.process.wait(20 * PATIENCE)
        took = time.monotonic() - began
        for client in load:
            client.join(20)
        answers = sum((client.answers for client in load), collections.Counter())
        note(f'stopped after {took:.2f} s, answers {dict(answers)}')
        expect(code == 0, f'exit {code}: {running.output()[-500:]}')
        expect(took < 3 * PATIENCE, f'it took {took:.2f} s')
        broken = [error for client in load for error in client.broken]
        expect(not broken and set(answers) <= {200, 503}, f'{answers}, broken: {broken}')
        wait_for('the end of every worker', lambda: not any(
            os.path.exists(f'/proc/{pid}') for pid in children_before), 5)
        listening.listen(0.1)
        expect('STOPPING=1' in ''.join(text for _, text in listening.heard), 'it did not tell')
        events.join(10)
        connection = sqlite3.connect(os.path.join(folder, 'vigil.db'))
        still_open = connection.execute(
            'SELECT count(*) FROM detection WHERE ended_ms IS NULL').fetchone()[0]
        stored = {row[0] for row in connection.execute('SELECT seq FROM record')}
        connection.close()
        expect(still_open == 0, f'{still_open} detections are left open')
        lost = [seq for seq, _ in events.records if seq not in stored]
        expect(events.records and not lost, f'shown and not stored: {lost}')


def log_lines(running):
    return [json.loads(line) for line in running.output().splitlines()]


def json_lines_are_for_programs():
    """--log-format=json writes nothing but objects, with the stream and its state as members"""
    with workspace() as folder, \
            daemon(folder, CONFIG, ('--log-format=json', '--log-level=debug')) as running:
        running.put_stream('shout', uri=SCENE)
        running.put_stream('exit', uri=SCENE)
        running.wait_status('exit', 'failed', lambda s: s['state'] == 'failed', 20)
        lines = log_lines(running)
        for line in lines:
            expect({'time', 'level', 'message'} <= set(line), f'{line}')
        failed = [line for line in lines if line.get('state') == 'failed']
        expect(len(failed) == 1 and failed[0]['stream'] == 'exit' and
               failed[0]['reason'] == 'crashed' and failed[0]['level'] == 'warning', f'{failed}')
        said = [line for line in lines if line.get('stream') == 'shout' and
                'one?[31m line' in line['message']]
        expect(len(said) == 1, f'of its stderr: {said}')
        expect([line for line in lines if line['level'] == 'debug'], 'nothing of level debug')


def a_camera_that_stays_away_is_told_once():
    """a refused camera is one warning however often it is tried"""
    with workspace() as folder, socket.socket() as closed, daemon(folder) as running:
        closed.bind(('127.0.0.1', 0))  # bound, not listening: refuses
        running.put_stream('away', uri=f'rtsp://127.0.0.1:{closed.getsockname()[1]}/none')
        tries = wait_for('five tries', lambda: (lambda n: n if n >= 5 else None)(
            running.status('away').get('attempts', running.status('away')['reconnects'])), 60)
        lines = [line for line in running.output().splitlines() if 'stream away: ' in line and
                 ' by the API' not in line]
        note(f'{tries} tries, told: {lines}')
        texts = {line.partition('stream away: ')[2].split(':')[0] for line in lines}
        expect(1 <= len(lines) == len(texts) <= 3, f'{tries} tries, {len(lines)} lines: {lines}')
        expect([line for line in lines if 'warning: stream away: backoff refused' in line],
               f'not a warning: {lines}')


# Speaks for the journal: receives entries, says what they held, and how vigild ended.
JOURNAL = r'''
import os, signal, socket, subprocess, sys
subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/run'], check=True)
os.makedirs('/run/systemd/journal')
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind('/run/systemd/journal/socket')
journal.settimeout(30)
vigild = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
while True:
    entry = journal.recv(65536).decode()
    print(entry.replace('\n', '|'), flush=True)
    if 'VIGIL_STATE=failed' in entry:
        break
vigild.send_signal(signal.SIGTERM)
sys.exit(vigild.wait())
'''


def the_journal_gets_fields():
    """--log-format=journal sends entries with priority, place and VIGIL_ fields of their own"""
    can = subprocess.run(['unshare', '--user', '--map-root-user', '--mount', 'mount', '-t',
                          'tmpfs', 'tmpfs', '/run'], capture_output=True, check=False)
    if can.returncode != 0:
        raise Skip('no mount namespace of our own here')
    with workspace() as folder:
        config = os.path.join(folder, 'vigil.conf')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(CONFIG + f'[stream exit]\nuri = {SCENE}\n')
        done = subprocess.run(
            ['unshare', '--user', '--map-root-user', '--mount', 'python3', '-c', JOURNAL, VIGILD,
             '--config', config, '--listen', '127.0.0.1:0', '--database',
             os.path.join(folder, 'vigil.db'), '--log-format=journal'],
            capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
        expect(done.returncode == 0, f'exit {done.returncode}: {done.stderr[-1000:]}')
        entries = [dict(field.split('=', 1) for field in line.split('|') if '=' in field)
                   for line in done.stdout.splitlines()]
        last = entries[-1]
        for field, value in (('VIGIL_STREAM', 'exit'), ('VIGIL_REASON', 'crashed'),
                             ('PRIORITY', '4'), ('SYSLOG_IDENTIFIER', 'vigild'),
                             ('CODE_FILE', 'daemon/app.c')):
            expect(last.get(field) == value, f'{field} is {last.get(field)} in {last}')
        expect(last['MESSAGE'].startswith('stream exit: failed crashed: '), last['MESSAGE'])
        expect('vigild' not in done.stderr, f'also on stderr: {done.stderr}')


def wrong_log_options_are_told():
    """a format or level there is not is told in one line with the ones there are"""
    for option, says in (('--log-format=xml', 'text, json, journal or auto'),
                         ('--log-level=loud', 'error, warning, info or debug')):
        done = subprocess.run([VIGILD, option], capture_output=True, text=True, timeout=20,
                              check=False)
        expect(done.returncode == 2 and says in done.stderr and
               len(done.stderr.splitlines()) == 1, f'{option}: {done.returncode} {done.stderr}')


def help_is_readable_in_any_locale():
    """--help shows no question mark for what the locale cannot write"""
    programs = [[VIGILD], [VIGIL, 'run'], [VIGIL, 'streams'],
                [os.path.join(BUILD, 'pipeline', 'vigil-worker')],
                [os.path.join(BUILD, 'tests', 'tools', 'rtspserver')]]
    for program in programs:
        for locale in ('C', 'C.UTF-8'):
            done = subprocess.run([*program, '--help'], capture_output=True, timeout=20 * PATIENCE,
                                  check=False, env={**os.environ, 'LC_ALL': locale})
            text = done.stdout.decode('utf-8')
            expect(done.returncode == 0 and '[OPTION' in text and '?]' not in text,
                   f'{program} in {locale}: {text[:200]}')


run_tests([
    a_manager_is_told_when_it_is_ready_and_how_it_does, a_thread_that_stands_still_is_named,
    nobody_is_fed_by_a_watchdog_that_stands_still, a_locked_store_is_waited_for,
    a_standstill_of_the_whole_process_is_excused, it_stops_in_order_under_load,
    json_lines_are_for_programs, a_camera_that_stays_away_is_told_once, the_journal_gets_fields,
    wrong_log_options_are_told, help_is_readable_in_any_locale,
])
