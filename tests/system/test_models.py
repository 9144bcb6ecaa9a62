#!/usr/bin/env python3
"""What vigild says of real models: described by a real one-shot worker, with their cards."""
import json
import os
import shutil
import subprocess
import time

from harness import (BUILD, PATIENCE, SANITIZED, SOURCE, VIGIL, Skip, daemon, expect, note, run_tests,
                     workspace)

SILENT_DISK = os.path.join(BUILD, 'tests', 'tools', 'silentdisk.so')
SCENE = os.path.join(SOURCE, 'models', 'scene.onnx')


def a_model_is_described():
    """a model is described with what is configured, and only anew when it has changed"""
    with workspace() as folder:
        shutil.copy(SCENE, os.path.join(folder, 'mine.onnx'))
        config = '[model mine]\npath = mine.onnx\nenter = 0.97\n[model broken]\npath = vigil.conf\n'
        with daemon(folder, config) as running:
            status, headers, text = running.request('GET', '/api/v1/models/mine', timeout=30)
            model = json.loads(text)
            expect(status == 200 and model['problem'] is None, f'{status} {text}')
            expect(model['window'] == 8 and model['stride'] == 2 and model['fps'] == 8, model)
            expect(model['inputs'][0]['shape'] == [1, 8, 1, 72, 128], model['inputs'])
            expect({row['enter'] for row in model['thresholds']} == {0.97}, model['thresholds'])
            expect(model['metrics']['accuracy'] > 0.9 and model['arena_bytes'] > 1000, model)
            expect([row['label'] for row in model['thresholds']] == model['labels'], model['labels'])
            expect({'name', 'sha256', 'file_bytes', 'pixels', 'layout', 'mean', 'scale', 'resize',
                    'head', 'threads', 'precision', 'weight_bytes', 'parameters'} <= model.keys(), sorted(model))
            shown = subprocess.run([VIGIL, 'model', 'inspect', '--json', SCENE], check=True,
                                   capture_output=True, timeout=60 * PATIENCE)
            for size in ('parameters', 'arena_bytes', 'file_bytes'):
                expect(model[size] == json.loads(shown.stdout)[size], f'{size}: {shown.stdout}')
            again = {'If-None-Match': headers['ETag']}
            status, headers, text = running.request('GET', '/api/v1/models/mine', headers=again)
            expect((status, text) == (304, b'') and headers['ETag'] == again['If-None-Match'],
                   f'{status} {text}')
            models = {model['name']: model for model in running.get('/api/v1/models')['models']}
            expect(models.keys() == {'scene', 'mine', 'broken'}, sorted(models))
            expect(models['broken']['problem'] and 'labels' not in models['broken'], models['broken'])
            with open(os.path.join(folder, 'mine.onnx'), 'ab') as file:
                file.write(b'\0')
            status, _, text = running.request('GET', '/api/v1/models/mine', headers=again)
            expect(status == 200 and text != b'', f'{status}: the file has changed')


def a_model_has_a_card():
    """the card beside a model is served as it is, and what is no card is not"""
    with workspace() as folder:
        for name in ('mine', 'none', 'large', 'binary', 'folder'):
            shutil.copy(SCENE, os.path.join(folder, name + '.onnx'))
        card = '# mine\n\nKnows <script>alert(1)</script> nothing — at all.\n'.encode()
        for name, content in (('mine', card), ('large', b'x' * (256 * 1024 + 1)),
                              ('binary', b'\xff\xfe\0')):
            with open(os.path.join(folder, name + '.md'), 'wb') as file:
                file.write(content)
        os.mkdir(os.path.join(folder, 'folder.md'))
        config = ''.join(f'[model {name}]\npath = {name}.onnx\n'
                         for name in ('mine', 'none', 'large', 'binary', 'folder'))
        with daemon(folder, config) as running:
            status, headers, text = running.request('GET', '/api/v1/models/mine/card')
            expect(status == 200 and text == card, f'{status} {text}')
            expect(headers['Content-Type'] == 'text/markdown; charset=utf-8' and
                   headers['X-Content-Type-Options'] == 'nosniff', str(headers))
            status = running.request('GET', '/api/v1/models/mine/card',
                                     headers={'If-None-Match': headers['ETag']})[0]
            expect(status == 304, f'{status} instead of 304')
            for name in ('none', 'large', 'binary', 'folder'):
                status, _, text = running.request('GET', f'/api/v1/models/{name}/card')
                expect(status == 404 and json.loads(text)['code'] == 'card_unknown',
                       f'{name}: {status} {text[:200]}')
            status, _, text = running.request('GET', '/api/v1/models/nobody/card')
            expect(status == 404 and json.loads(text)['code'] == 'model_unknown', f'{text}')
            status, _, text = running.request('GET', '/api/v1/models/scene/card')
            expect(status == 200 and text.startswith(b'# scene.onnx'), f'{status} {text[:100]}')


def a_silent_disk_holds_up_its_own_models_only():
    """while the folder of one model does not answer, streams of others start, and vigild stops"""
    if SANITIZED:
        raise Skip('what is preloaded would have to come behind the sanitizer')
    with workspace() as folder:
        far = os.path.join(folder, 'far')
        os.mkdir(far)
        silent = os.path.join(far, 'silent')
        for name in ('m', 'far/0', 'far/1', 'far/2'):
            shutil.copy(SCENE, os.path.join(folder, f'{name}.onnx'))
        config = '[model near]\npath = m.onnx\n' + ''.join(
            f'[model far-{i}]\npath = far/{i}.onnx\n' for i in range(3))
        with daemon(folder, config, env={'LD_PRELOAD': SILENT_DISK,
                                         'VIGIL_TEST_SILENT': silent}) as running:
            with open(silent, 'w', encoding='ascii'):
                pass
            for i in range(3):
                running.put_stream(f'far-{i}', uri='scene://street', model=f'far-{i}')
            began = time.monotonic()
            status, _, text = running.request('GET', '/api/v1/models/far-0', timeout=20)
            expect(status == 200 and 'does its disk answer' in json.loads(text)['problem'], text)
            expect(time.monotonic() - began > 5, 'the disk was not silent')
            running.put_stream('near', uri='scene://street', model='near')
            running.wait_status('near', 'live', lambda status: status['state'] == 'live', 5)
            far_state = running.get('/api/v1/streams/far-0')['status']['state']
            expect(far_state != 'live', f'{far_state}: its model cannot have been read')
            began = time.monotonic()
            expect(running.stop() == 0, running.output()[-2000:])
            took = time.monotonic() - began
            expect(took < 6, f'it took {took:.1f} s to stop')
            expect('while a file was still being opened' in running.output(), running.output())
            note(f'stopped after {took:.1f} s')


run_tests([a_model_is_described, a_model_has_a_card, a_silent_disk_holds_up_its_own_models_only])
