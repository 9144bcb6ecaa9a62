#!/usr/bin/env python3
"""Streams changed, restarted and guarded by conditions over the API of a real vigild, whose
workers are tests/daemon/puppet.c."""
import contextlib
import html.parser
import json
import os
import sqlite3
import threading

from harness import BUILD, daemon, expect, run_tests, wait_for, workspace

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
CONFIG = f'[worker]\nprogram = {PUPPET}\n[store]\nretention_days = 0\n'
SCENE = 'scene://street'
STREAM = '/api/v1/streams/calm'


def ask(running, method, path, body=None, status=200, **headers):
    """(the answer as JSON, its ETag); headers with _ for -"""
    names = {name.replace('_', '-'): value for name, value in headers.items()}
    got, answered, text = running.request(method, path, body, names)
    expect(got == status, f'{method} {path} {body}: {got} {text[:300]!r}')
    return json.loads(text) if text else None, answered['ETag']


def wait_up(running, name='calm'):
    return running.wait_status(name, 'live', lambda s: s['state'] == 'live', 10)


def stored(folder):
    """What the store has of the stream: credentials are shown nowhere else."""
    with contextlib.closing(sqlite3.connect(
            f'file:{folder}/vigil.db?mode=ro', uri=True)) as database:
        row = database.execute("SELECT config FROM stream WHERE name = 'calm'").fetchone()
    config = json.loads(row[0])
    return config['uri'], config.get('user'), config.get('password')


def a_patch_changes_what_it_names():
    """PATCH changes what it names, keeps the rest and the credentials, and outlives a restart"""
    with workspace() as folder:
        with daemon(folder, CONFIG) as running:
            camera = {'uri': 'rtsp://cam.test/a', 'user': 'joe', 'password': 'pw'}
            _, first = ask(running, 'PUT', STREAM, camera, 201)
            seen, second = ask(running, 'PATCH', STREAM, {'uri': 'rtsp://cam.test/b'})
            expect(seen['uri'] == 'rtsp://cam.test/b' and seen['credentials'], f'{seen}')
            expect(first != second, 'the tag stayed')
            expect(stored(folder) == ('rtsp://cam.test/b', 'joe', 'pw'), f'{stored(folder)}')
            problem, _ = ask(running, 'PATCH', STREAM, {'uri': 'rtsp://evil.test/'}, 422)
            expect('another server' in problem['detail'] and 'pw' not in problem['detail'], problem)
            pid = wait_up(running)['worker_pid']
            ask(running, 'PATCH', STREAM, {'enabled': None}, **{
                'Content_Type': 'application/merge-patch+json'}) # as it is: undisturbed
            expect(wait_up(running)['worker_pid'] == pid, 'an empty patch restarts')
            seen, kept = ask(running, 'PATCH', STREAM, {'retention_days': 7, 'retention_mb': 100})
            expect((seen['retention_days'], seen['retention_mb']) == (7, 100), f'{seen}')
            expect(kept not in (first, second), 'the tag stayed')
            expect(wait_up(running)['worker_pid'] == pid, 'keeping records longer restarts')
            seen, _ = ask(running, 'PATCH', STREAM, {'retention_mb': None})
            expect('retention_mb' not in seen and seen['retention_days'] == 7, f'{seen}')
            problem, _ = ask(running, 'PATCH', STREAM, {'enabeld': False}, 422)
            expect('did you mean enabled' in problem['detail'], problem)
            ask(running, 'PATCH', '/api/v1/streams/nobody', {}, 404)
        with daemon(folder, CONFIG) as running:
            seen, third = ask(running, 'GET', STREAM)
            expect(seen['uri'] == 'rtsp://cam.test/b' and seen['credentials'], f'{seen}')
            expect(seen['retention_days'] == 7, f'{seen}')
            expect(third != second, 'a tag outlived the process')
            seen, _ = ask(running, 'PATCH', STREAM, {'user': None, 'password': None})
            expect(not seen['credentials'] and stored(folder)[1:] == (None, None), f'{seen}')


def conditions_hold():
    """If-Match and If-None-Match guard a change; the tag is of the configuration alone"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        _, tag = ask(running, 'PUT', STREAM, {'uri': SCENE}, 201, If_None_Match='*')
        wait_up(running)
        expect(ask(running, 'GET', STREAM)[1] == tag, 'the tag follows the status')
        # The status is not the tag's matter: reading is never answered by 304.
        ask(running, 'GET', STREAM, If_None_Match=tag)
        problem, _ = ask(running, 'PUT', STREAM, {'uri': SCENE}, 412, If_None_Match='*')
        expect(problem['code'] == 'precondition_failed', problem)
        _, newer = ask(running, 'PATCH', STREAM, {'enabled': False}, If_Match=tag)
        for method, body in (('PUT', {'uri': SCENE}), ('PATCH', {'enabled': True}),
                             ('DELETE', None)):
            ask(running, method, STREAM, body, 412, If_Match=tag)
        expect(running.status('calm')['state'] == 'disabled', 'a refused change happened')
        ask(running, 'PUT', '/api/v1/streams/nobody', {'uri': SCENE}, 412, If_Match='*')
        ask(running, 'DELETE', '/api/v1/streams/nobody', None, 404, If_Match='*')
        ask(running, 'PUT', STREAM, {'uri': 'http://no'}, 422, If_Match=tag)
        ask(running, 'DELETE', STREAM, None, 204, If_Match=f'"x", {newer}')


def one_of_many_wins():
    """of 12 changes at once that saw the same configuration exactly one happens"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        _, tag = ask(running, 'PUT', STREAM, {'uri': SCENE}, 201)
        start, answers = threading.Barrier(12), []

        def change(seed):
            start.wait()
            answers.append((running.request('PATCH', STREAM, {'uri': f'{SCENE}?seed={seed}'},
                                            {'If-Match': tag})[0], seed))
        threads = [threading.Thread(target=change, args=(seed,)) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [seed for status, seed in answers if status == 200]
        expect(len(won) == 1 and sorted(answers)[-1][0] == 412, f'{answers}')
        expect(ask(running, 'GET', STREAM)[0]['uri'] == f'{SCENE}?seed={won[0]}', 'another won')


def changes_are_made_in_order():
    """patches of different members at the same time lose nothing of each other"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        ask(running, 'PUT', STREAM, {'uri': SCENE}, 201)
        for _ in range(10):
            patches = ({'uri': f'{SCENE}?seed=7'}, {'enabled': False}, {'loop': True})
            threads = [threading.Thread(target=ask, args=(running, 'PATCH', STREAM, patch))
                       for patch in patches]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seen, _ = ask(running, 'GET', STREAM)
            expect((seen['uri'], seen['enabled'], seen['loop']) ==
                   (f'{SCENE}?seed=7', False, True), f'{seen}')
            ask(running, 'PUT', STREAM, {'uri': SCENE})


def a_restart_is_a_new_worker():
    """restart gives a stream a fresh worker, also one of a file and one that failed"""
    with workspace() as folder, daemon(folder, CONFIG + f'[stream calm-1]\nuri = {SCENE}\n') \
            as running:
        path = '/api/v1/streams/calm-1'
        pid = wait_up(running, 'calm-1')['worker_pid']
        seen, _ = ask(running, 'POST', path + ':restart', '', 202, **{
            'Content_Type': 'application/json'})
        expect(seen['status']['state'] == 'connecting', f'{seen}')
        running.wait_status('calm-1', 'with another worker', lambda s: s['state'] == 'live' and
                            s['worker_pid'] != pid, 10)
        running.put_stream('exit', uri=SCENE)
        running.wait_status('exit', 'failed', lambda s: s['state'] == 'failed', 20)
        ask(running, 'POST', '/api/v1/streams/exit:restart', {}, 202)
        wait_for('another try', lambda: running.status('exit')['reason'] in ('crashed', 'none'), 5)
        ask(running, 'POST', '/api/v1/streams/nobody:restart', {}, 404)
        running.put_stream('calm', uri=SCENE, enabled=False)
        problem, _ = ask(running, 'POST', STREAM + ':restart', {}, 409)
        expect(problem['code'] == 'stream_disabled', problem)
        # What a form on another site can send.
        for kind in ('application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data'):
            ask(running, 'POST', path + ':restart', '{}', 415, Content_Type=kind,
                Origin='https://evil.example')


class Page(html.parser.HTMLParser):
    """Takes a page apart; raises for what is not nested, or could run or load anything foreign."""

    VOID = ('meta', 'link', 'img', 'wbr')

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.links = [], '', []
        self.feed(text)
        self.close()
        expect(not self.open, f'left open: {self.open}')

    def handle_starttag(self, tag, attrs):
        expect(tag not in ('script', 'style', 'iframe', 'object', 'form', 'base'), f'<{tag}>')
        for name, value in attrs:
            expect(not name.startswith('on') and name != 'style' and value is not None,
                   f'<{tag} {name}>')
            if name in ('href', 'src'):
                expect(value.startswith('/') and not value.startswith('//'), f'{name}={value}')
                self.links.append(value)
        expect(len(dict(attrs)) == len(attrs), f'<{tag}> has an attribute twice')
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        expect(self.open and self.open.pop() == tag, f'</{tag}> closes another')

    def handle_data(self, data):
        self.text += data


def the_page_is_whole():
    """GET / is well-formed HTML of streams and detections, whose links lead somewhere"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        page = Page(running.request('GET', '/')[2].decode())
        expect('There are none.' in page.text, page.text)
        for name in ('calm', 'record', 'ended'):
            running.put_stream(name, uri=f'{SCENE}?seed=1&fps=5')
            running.wait_status(name, 'up', lambda s: s['state'] in ('live', 'ended'), 10)
        running.put_stream('paused', uri=SCENE, enabled=False)
        wait_for('the detection', lambda: running.detections(), 10)
        page = Page(running.request('GET', '/')[2].decode())
        for word in ('calm', 'record', 'ended', 'paused', 'disabled', '2 of 4 streams live',
                     'seed=1&fps=5', 'movement', 'still on'):
            expect(word in page.text, f'no {word} in {page.text}')
        expect('/api/v1/streams/calm/snapshot.jpg' in page.links, page.links)
        for link in page.links:
            if not link.endswith('live.mjpeg'):
                status = running.request('HEAD', link)[0]
                expect(status == 200, f'{link}: {status}')


run_tests([the_page_is_whole, a_patch_changes_what_it_names, conditions_hold, one_of_many_wins,
           changes_are_made_in_order, a_restart_is_a_new_worker])
