#!/usr/bin/env python3
"""The command line against a real daemon: streams, detections, and watching through a restart."""
import json
import os
import re
import subprocess

from harness import (BUILD, PATIENCE, VIGIL, Daemon, Program, daemon, expect, run_tests, wait_for,
                     workspace)

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
HANGING = [f'slow{i}' for i in range(8)] # inspected in turn: longer than a request may take


def vigil(running, *arguments, code=0):
    result = subprocess.run([VIGIL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=60 * PATIENCE, check=False, text=True,
                            env={**os.environ, 'VIGIL_URL': running.url})
    expect(result.returncode == code, f'{arguments}: exit {result.returncode}: {result.stderr}')
    return result.stdout if code == 0 else result.stderr


def check_status(shown):
    lines = shown.splitlines()
    expect(re.match(r'front: live, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$', lines[0]), shown)
    facts = {line[:13].strip(): line[14:] for line in lines[1:]}
    expect(facts['address'] == 'scene://street?seed=5' and facts['set by'] == 'the API', shown)
    expect(re.match(r'scene@[0-9a-f]{8}$', facts['model']), shown)
    expect(facts['picture'].startswith('scene, 640x360'), shown)
    sums = [int(number) for number in re.findall(r'\d+', facts['frames'])]
    expect(sums[0] == sum(sums[1:]) and ' analysed + ' in facts['frames'], shown)
    expect(facts['worker'].startswith('process ') and 'null' not in shown, shown)


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
        check_status(vigil(running, 'streams', 'status', 'front'))
        vigil(running, 'streams', 'rm', 'front')
        for verb in ('status', 'rm', 'restart'):
            expect(vigil(running, 'streams', verb, 'front', code=1) ==
                   'vigil: there is no stream front; vigil streams ls lists them\n', 'not named')
        expect('colour' in vigil(running, 'streams', 'add', 'x', 'scene://street?colour=1',
                                 code=2), 'not named')


def streams_are_changed():
    """set changes what it names, restart starts anew, and each says what has happened"""
    with workspace() as folder, daemon(folder) as running:
        expect(vigil(running, 'streams', 'add', 'front', 'scene://street') == 'front: added\n',
               'not said')
        expect('replaced' in vigil(running, 'streams', 'add', 'front', 'scene://street?seed=2'),
               'not said')
        pid = running.wait_live('front')['worker_pid']
        vigil(running, 'streams', 'restart', 'front')
        running.wait_status('front', 'with another worker', lambda s: s['state'] == 'live' and
                            s['worker_pid'] != pid, 20)
        expect(vigil(running, 'streams', 'set', 'front', 'enabled=no', 'uri=scene://street?seed=3')
               == 'front: set\n', 'not said')
        seen = running.get('/api/v1/streams/front')
        expect(seen['uri'].endswith('seed=3') and not seen['enabled'], seen)
        vigil(running, 'streams', 'set', 'front', 'enabled=')
        expect(running.get('/api/v1/streams/front')['enabled'], 'not the default')
        secret = os.path.join(folder, 'password')
        with open(secret, 'w', encoding='ascii') as file:
            file.write('canary\n')
        vigil(running, 'streams', 'set', 'front', 'uri=rtsp://127.0.0.1:9/x', 'user=joe',
              '--password-file', secret)
        expect(running.get('/api/v1/streams/front')['credentials'], 'no credentials')
        for arguments, word in ((('set', 'front', 'enabled'), 'key=value'),
                                (('set', 'front'), 'what to set'),
                                (('set', 'front', 'colour=1'), 'unknown key "colour"; known: uri,'),
                                (('set', 'front', 'uri=rtsp://127.0.0.1:8/x'), 'another server'),
                                (('restart', 'front', 'x'), 'usage')):
            expect(word in vigil(running, 'streams', *arguments, code=2), f'{arguments}')
        vigil(running, 'streams', 'restart', 'absent', code=1)


def plain_paths_are_addresses():
    """a path below a media root is taken for its address; another is told what to do"""
    with workspace() as folder:
        root = os.path.join(folder, 'media')
        os.mkdir(root)
        for path in (os.path.join(root, 'a clip #1.mp4'), os.path.join(folder, 'b.mp4')):
            with open(path, 'wb') as file:
                file.write(b'film')
        with daemon(folder, '[server]\nmedia_roots = media\n') as running:
            vigil(running, 'streams', 'add', 'clip', f'{root}/../media/a clip #1.mp4')
            uri = running.get('/api/v1/streams/clip')['uri']
            expect(uri == f'file://{root}/a%20clip%20%231.mp4', uri)
            expect('media_roots' in vigil(running, 'streams', 'add', 'b',
                                          os.path.join(folder, 'b.mp4'), code=2), 'no word')
            expect('rtsp://' in vigil(running, 'streams', 'add', 'b', 'camera.example', code=66),
                   'no word')


def passwords_come_from_a_file_and_are_not_shown():
    """a password is read from a file, reaches the stream and is shown nowhere"""
    with workspace() as folder, daemon(folder) as running:
        path = os.path.join(folder, 'password')
        with open(path, 'w', encoding='ascii') as file:
            file.write('s3cret canary\n')
        vigil(running, 'streams', 'add', 'front', 'rtsp://127.0.0.1:9/x', '--user', 'viewer',
              '--password-file', path)
        shown = vigil(running, 'streams', 'status', 'front')
        expect('rtsp://127.0.0.1:9/x, with credentials\n' in shown, shown)
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
        for option, value, words in (('--kind', 'colour', '--kind must be one of activity, '),
                                     ('--min-score', '4', '--min-score must be a number from 0'),
                                     ('--stream', 'A', '--stream must be 1 to 64 of a-z')):
            error = vigil(running, 'detections', option, value, code=2)
            expect(error.startswith(f'vigil: {words}') and '(4' not in error, error)
        with open('/dev/full', 'wb') as full:
            for verb in (('detections', '-n', '0'), ('watch', '--since-seq', '0')):
                done = subprocess.run([VIGIL, *verb], stdin=subprocess.DEVNULL, stdout=full,
                                      stderr=subprocess.PIPE, timeout=60 * PATIENCE, check=False,
                                      env={**os.environ, 'VIGIL_URL': running.url})
                expect(done.returncode == 70 and b'No space' in done.stderr, done)


def names_that_are_not_there_are_told():
    """a stream or label that is not there is told with what was meant, by watch at once"""
    with workspace() as folder, daemon(folder) as running:
        none = vigil(running, 'detections', '--stream', 'front', code=1)
        expect('"front"' in none and 'vigil streams add' in none, none)
        running.put_stream('front', uri='scene://street?seed=1')
        running.put_stream('gate', uri='scene://room?seed=1', enabled=False)
        expect(not vigil(running, 'detections', '--stream', 'gate'), 'not an empty list')
        expect(not vigil(running, 'detections', '--label', 'weather', '--since', 'now'),
               'not an empty list')
        for verb in (('detections',), ('detections', '--json', '-n', '0'),
                     ('detections', '--summary', 'day'), ('watch',)):
            for option, name, names in (('--stream', 'frnt', '(front, gate); did you mean front?'),
                                        ('--label', 'wether', 'did you mean weather?'),
                                        ('--label', 'quiet', '"quiet" (movement, ')):
                error = vigil(running, *verb, option, name, code=1)
                expect(names in error and f'"{name}"' in error and len(error.splitlines()) == 1,
                       f'{verb} {option} {name}: {error!r}')


def names_that_cannot_be_listed_now_are_not_refused():
    """while models hang longer than the API waits, no label is called unknown and nothing fails"""
    with workspace() as folder:
        config = f'[worker]\nprogram = {PUPPET}\n'
        for name in HANGING:
            with open(os.path.join(folder, f'{name}.onnx'), 'w', encoding='ascii') as file:
                file.write('hang')
            config += f'[model {name}]\npath = {name}.onnx\n'
        with daemon(folder, config) as running:
            done = subprocess.run([VIGIL, 'detections', '--label', 'weather'], timeout=60 * PATIENCE,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                  env={**os.environ, 'VIGIL_URL': running.url})
            expect((done.returncode, done.stdout, done.stderr) == (0, b'', b''), done)


def what_is_left_of_a_removed_stream_is_found():
    """a removed stream's detections are listed, and watch says what it has of the stream"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('front', uri='scene://street?seed=1')
        wait_for('a detection', lambda: running.detections(stream='front'), 120)
        vigil(running, 'streams', 'rm', 'front')
        expect(vigil(running, 'detections', '--stream', 'front'), 'no row')
        expect(not vigil(running, 'detections', '--stream', 'front', '--until', '2026-01-01'),
               'not an empty list')
        watched = subprocess.run([VIGIL, 'watch', '--stream', 'front', '-n', '1', '--since-seq',
                                  '0'], capture_output=True, timeout=60 * PATIENCE, text=True,
                                 check=False, env={**os.environ, 'VIGIL_URL': running.url})
        expect(watched.returncode == 0 and 'front' in watched.stdout, watched)
        expect('waiting for it' in watched.stderr, watched)


def detections_are_counted():
    """detections --summary counts what the list shows, by what it is asked"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('front', uri='scene://street?seed=1')
        running.put_stream('back', uri='scene://street?seed=2')
        wait_for('five detections', lambda: len(running.detections(state='ended')) >= 5, 120)
        rows = running.detections(state='ended')
        newest = max(row['start'] for row in rows)
        rows = [row for row in rows if row['start'] < newest]
        expected = {}
        for row in rows:
            key = (row['start'][:13], row['stream'], row['label'])
            expected[key] = expected.get(key, 0) + 1
        asked = ('detections', '--state', 'ended', '--until', newest, '--summary')
        answer = json.loads(vigil(running, *asked, 'stream,label,hour', '--json'))
        counts = {(group['time'][:13], group['stream'], group['label']): group['count']
                  for group in answer['groups']}
        expect(counts == expected and answer['total'] == len(rows), f'{answer}, not {expected}')
        table = vigil(running, *asked, 'day,stream').splitlines()
        expect(table[0].split() == ['DAY', '(UTC)', 'STREAM', 'COUNT'], table)
        expect(table[1].split()[0] == newest[:10] and table[-1].split() == ['total', str(len(rows))],
               table)
        turned = vigil(running, *asked, 'stream,day').splitlines()
        expect(turned[0].split() == ['STREAM', 'DAY', '(UTC)', 'COUNT'], turned)
        expect(turned[1:-1] == sorted(turned[1:-1]) and len(turned) == len(table) and
               [line.split()[-1] for line in turned[-1:]] == [str(len(rows))], turned)
        expect({tuple(line.split()) for line in turned[1:-1]} ==
               {(stream, day, count) for day, stream, count in
                (line.split() for line in table[1:-1])}, f'{turned} {table}')
        expect('commas' in vigil(running, 'detections', '--summary', 'week', code=2), 'no word')
        expect('--limit' in vigil(running, 'detections', '--summary', 'day', '-n', '3', code=2),
               'no word')


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


run_tests([streams_are_managed, streams_are_changed, plain_paths_are_addresses,
           passwords_come_from_a_file_and_are_not_shown,
           detections_are_listed, names_that_are_not_there_are_told,
           names_that_cannot_be_listed_now_are_not_refused,
           what_is_left_of_a_removed_stream_is_found, detections_are_counted,
           watching_survives_a_restart])
