#!/usr/bin/env python3
"""The command line against a real daemon: streams, detections, and watching through a restart."""
import json
import os
import subprocess

from harness import PATIENCE, VIGIL, Daemon, Program, daemon, expect, run_tests, wait_for, workspace


def vigil(running, *arguments, code=0):
    result = subprocess.run([VIGIL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=60 * PATIENCE, check=False, text=True,
                            env={**os.environ, 'VIGIL_URL': running.url})
    expect(result.returncode == code, f'{arguments}: exit {result.returncode}: {result.stderr}')
    return result.stdout if code == 0 else result.stderr


def streams_are_managed():
    """streams are added, listed, inspected and removed; what does not exist is named"""
    with workspace() as folder, daemon(folder) as running:
        vigil(running, 'streams', 'add', 'front', 'scene://street?seed=5')
        vigil(running, 'streams', 'add', 'back', 'scene://street?seed=6', '--disabled')
        running.wait_live('front')
        listing = vigil(running, 'streams', 'ls').splitlines()
        expect(len(listing) == 3 and listing[0].startswith('NAME'), listing)
        rows = {line.split()[0]: line.split() for line in listing[1:]}
        expect(rows['front'][1] == 'live' and rows['back'][1] == 'disabled', rows)
        shown = json.loads(vigil(running, 'streams', 'status', 'front', '--json'))
        expect(shown['uri'] == 'scene://street?seed=5', shown)
        expect('analysed' in vigil(running, 'streams', 'status', 'front'), 'no counters')
        vigil(running, 'streams', 'rm', 'front')
        expect('front' in vigil(running, 'streams', 'status', 'front', code=1), 'not named')
        expect('front' in vigil(running, 'streams', 'rm', 'front', code=1), 'not named')
        expect('colour' in vigil(running, 'streams', 'add', 'x', 'scene://street?colour=1',
                                 code=2), 'not named')


def passwords_come_from_a_file_and_are_not_shown():
    """a password is read from a file, reaches the stream and is shown nowhere"""
    with workspace() as folder, daemon(folder) as running:
        path = os.path.join(folder, 'password')
        with open(path, 'w', encoding='ascii') as file:
            file.write('s3cret canary\n')
        vigil(running, 'streams', 'add', 'front', 'rtsp://127.0.0.1:9/x', '--user', 'viewer',
              '--password-file', path)
        shown = vigil(running, 'streams', 'status', 'front')
        expect('credentials      true' in shown, shown)
        for text in (shown, vigil(running, 'streams', 'ls'), running.output()):
            expect('canary' not in text, text)
        expect(folder in vigil(running, 'streams', 'add', 'front', 'rtsp://127.0.0.1:9/x',
                               '--user', 'viewer', '--password-file', folder, code=66), 'no word')


def detections_are_listed():
    """detections lists what the API has, newest first, filtered and in pages"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('front', uri='scene://street?seed=1')
        wait_for('three detections', lambda: len(running.detections(state='ended')) >= 3, 120)
        rows = [json.loads(line) for line in
                vigil(running, 'detections', '--json', '-n', '0').splitlines()]
        starts = [row['start'] for row in rows]
        expect(len(rows) >= 3 and starts == sorted(starts, reverse=True), starts)
        two = vigil(running, 'detections', '-n', '2', '--oldest-first', '--state', 'ended')
        expect(len(two.splitlines()) == 2 and 'front' in two, two)
        expect(not vigil(running, 'detections', '--stream', 'absent'), 'a row of no stream')
        expect('colour' in vigil(running, 'detections', '--kind', 'colour', code=2), 'no word')


def watching_survives_a_restart():
    """watch goes on after the daemon was killed and started again: every record once, in order"""
    with workspace() as folder:
        config = '[stream front]\nuri = scene://street?seed=1\n'
        first = Daemon(folder, config)
        log = os.path.join(folder, 'watch.log')
        watcher = Program([VIGIL, 'watch', '--json', '--since-seq', '0'], log,
                          env={**os.environ, 'VIGIL_URL': first.url})
        try:
            watcher.wait_output(r'detection\.ended', 120)
            first.process.kill()
            first.process.wait()
            second = Daemon(folder, config, ('--listen', f'127.0.0.1:{first.port}'))
            try:
                before = second.get('/api/v1/detections?limit=1')['detections'][0]['seq']
                wait_for('a record after the restart', lambda: any(
                    json.loads(line)['seq'] > before
                    for line in watcher.output().splitlines() if line.startswith('{')), 120)
            finally:
                second.stop()
        finally:
            first.stop()
            watcher.stop()
        seqs = [json.loads(line)['seq'] for line in watcher.output().splitlines()
                if line.startswith('{')]
        expect(seqs == list(range(1, len(seqs) + 1)), seqs)


run_tests([streams_are_managed, passwords_come_from_a_file_and_are_not_shown,
           detections_are_listed, watching_survives_a_restart])
