#!/usr/bin/env python3
"""Another model for a stream that runs: it takes over between two frames, or not at all."""
import contextlib
import http.client
import json
import os
import shutil
import threading

from harness import SOURCE, children, daemon, expect, rtsp_server, run_tests, wait_for, workspace

MODEL = os.path.join(SOURCE, 'models', 'scene.onnx')
MODELS = (f'[model other]\npath = {MODEL}\nfps = 4\nstride = 1\n[model bad]\npath = bad.onnx\n'
          '[model missing]\npath = missing.onnx\n')


def write_bad(folder):
    with open(MODEL, 'rb') as good, open(os.path.join(folder, 'bad.onnx'), 'wb') as bad:
        bad.write(good.read()[:5000])


def watched_by(running, name, model):
    return running.wait_status(name, f'watched by {model}',
                               lambda s: (s['model'] or '').startswith(model + '@'), 30)


def connection(status):
    """What would be another if the stream had begun anew."""
    return [status[key] for key in ('worker_pid', 'attempts', 'reconnects', 'connected',
                                    'first_packet', 'first_key', 'damaged', 'lost')]


def more_windows(running, name, count=3):
    least = running.status(name)['windows'] + count
    return running.wait_status(name, f'{count} more windows', lambda s: s['windows'] >= least, 60)


def no_frame_is_lost():
    """a camera's stream goes on through ten changes of its model: same connection, no frame dropped"""
    with workspace() as folder, rtsp_server(folder, '--pattern', 'scene') as (_, port), \
            daemon(folder, MODELS) as running:
        uri = f'rtsp://127.0.0.1:{port}/stream'
        running.put_stream('front', uri=uri)
        before = running.wait_live('front')
        for turn in range(10):
            model = ('other', 'scene')[turn % 2]
            answer = running.put_stream('front', uri=uri, model=model)
            expect(answer['model'] == model and answer['status']['state'] == 'live', f'{answer}')
            watched_by(running, 'front', model)
            status = more_windows(running, 'front', 1)
            expect(connection(status) == connection(before), f'{status} is not {before}')
        expect(status['dropped'] == before['dropped'], f'{status["dropped"]} frames dropped')
        expect(status['analysed'] > before['analysed'], f'{status} after {before}')
        flying = status['received'] - sum(status[key] for key in ('analysed', 'skipped', 'dropped'))
        expect(0 <= flying <= 8, f'{flying} frames are unaccounted for: {status}')
        expect(len(children(running.pid)) <= 2, 'workers are left')


def each_record_names_the_model_that_saw_it():
    """what one model had begun ends with it, and what the next sees has its name and hash"""
    with workspace() as folder, daemon(folder, MODELS) as running:
        uri = 'scene://street?seed=5'
        running.put_stream('street', uri=uri)
        running.wait_live('street')
        first = running.status('street')['model']
        wait_for('a detection of the first', lambda: running.detections(), 60)
        running.put_stream('street', uri=uri, model='other')
        second = watched_by(running, 'street', 'other')['model']
        expect(first.split('@')[1] == second.split('@')[1], 'it is the same file')
        wait_for('a detection of the second', lambda: [
            d for d in running.detections() if d['model'] == second], 90)
        for row in running.detections():
            expect(row['model'] in (first, second), f'{row}')
            expect(row['model'] == second or row['end'], f'still open: {row}')


def a_model_of_no_use_is_refused():
    """a model that is damaged or missing is refused by name, and the one that runs goes on"""
    with workspace() as folder:
        write_bad(folder)
        config = MODELS + '[model garbage]\npath = vigil.conf\n'
        with daemon(folder, config) as running:
            uri = 'scene://street?seed=5'
            running.put_stream('street', uri=uri)
            before = running.wait_live('street')
            for model in ('bad', 'missing', 'garbage'):
                for method, body in (('PUT', {'uri': uri, 'model': model}), ('PATCH', {'model': model})):
                    status, _, text = running.request(method, '/api/v1/streams/street', body)
                    problem = json.loads(text)
                    expect(status == 422 and problem['code'] == 'stream_invalid' and
                           f'since {model} cannot be used: ' in problem['detail'], f'{status} {text}')
            status = more_windows(running, 'street', 1)
            expect(connection(status) == connection(before), f'{status} is not {before}')
            expect(running.get('/api/v1/streams/street')['model'] == 'scene', 'it has another')
        with daemon(folder, config) as running:
            expect(running.get('/api/v1/streams/street')['model'] == 'scene', 'it was kept')
            running.wait_live('street')


def a_new_file_is_tried_too():
    """a file that became good is taken, without a word to vigild; so is one that changed"""
    with workspace() as folder:
        write_bad(folder)
        with daemon(folder, MODELS) as running:
            uri = 'scene://street?seed=5'
            running.put_stream('street', uri=uri)
            pid = running.wait_live('street')['worker_pid']
            body = {'uri': uri, 'model': 'bad'}
            expect(running.request('PUT', '/api/v1/streams/street', body)[0] == 422, 'it was taken')
            shutil.copyfile(MODEL, os.path.join(folder, 'new.onnx'))
            os.replace(os.path.join(folder, 'new.onnx'), os.path.join(folder, 'bad.onnx'))
            running.put_stream('street', **body)
            expect(watched_by(running, 'street', 'bad')['worker_pid'] == pid, 'another worker')


def changes_that_cross_are_made_in_order():
    """of many changes at once the last one holds, and vigild stops in the midst of them"""
    with workspace() as folder, daemon(folder, MODELS) as running:
        uri = 'scene://street?seed=5'
        running.put_stream('street', uri=uri)
        pid = running.wait_live('street')['worker_pid']
        answers = []

        def change(model):
            answers.append(running.request('PUT', '/api/v1/streams/street',
                                           {'uri': uri, 'model': model})[0])
        threads = [threading.Thread(target=change, args=(('other', 'scene', 'missing')[i % 3],))
                   for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(sorted(set(answers)) == [200, 422], f'{answers}')
        model = running.get('/api/v1/streams/street')['model']
        expect(watched_by(running, 'street', model)['worker_pid'] == pid, 'another worker')

        def change_late(model):
            with contextlib.suppress(OSError, http.client.HTTPException):
                change(model)
        for i in range(6):
            threading.Thread(target=change_late, args=(('other', 'scene')[i % 2],)).start()


run_tests([no_frame_is_lost, each_record_names_the_model_that_saw_it, a_model_of_no_use_is_refused,
           a_new_file_is_tried_too, changes_that_cross_are_made_in_order])
