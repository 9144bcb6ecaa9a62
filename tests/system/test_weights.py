#!/usr/bin/env python3
"""Weights once: what the workers of a real vigild hold of their model."""
import hashlib
import os
import re
import shutil

from harness import SOURCE, daemon, expect, note, run_tests, wait_for, workspace

SCENE = os.path.join(SOURCE, 'models', 'scene.onnx')
LIVE = 'scene://street?width=320&height=180'


def mapping(pid):
    """kB of the packed model in the process: resident, its share of it, and its own."""
    sizes = {}
    inside = False
    with open(f'/proc/{pid}/smaps', encoding='utf-8', errors='replace') as file:
        for line in file:
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                inside = 'memfd:vigil-model' in line
                expect(not inside or line.split()[1] == 'r--p', f'mapped as {line.split()[1]}')
            elif inside and line.split(':')[0] in ('Rss', 'Pss', 'Private_Dirty'):
                key = line.split(':')[0]
                sizes[key] = sizes.get(key, 0) + int(line.split()[1])
    return sizes


def weights_are_shared():
    """two workers map one sealed copy of their model, and know it by the hash of its file"""
    with workspace() as folder, daemon(folder) as vigild:
        for name in ('one', 'two'):
            vigild.put_stream(name, uri=LIVE)
        for name in ('one', 'two'):
            vigild.wait_live(name)
            vigild.wait_status(name, 'analysed', lambda s: s['analysed'] > 20, 20)
        with open(SCENE, 'rb') as file:
            sha256 = hashlib.sha256(file.read()).hexdigest()
        for name in ('one', 'two'):
            status = vigild.status(name)
            expect(status['model'] == f'scene@{sha256[:8]}', status['model'])
            sizes = mapping(status['worker_pid'])
            note(f'{name}: {sizes}')
            expect(sizes.get('Rss', 0) >= 40, f'{name} does not map its model: {sizes}')
            expect(sizes['Private_Dirty'] == 0, f'{name} has pages of its own: {sizes}')
            expect(sizes['Pss'] <= sizes['Rss'] * 0.6, f'{name} does not share: {sizes}')
        expect(not mapping(vigild.pid), 'vigild itself maps the model')


def a_new_model_is_packed_anew():
    """a model's new file is packed for the next start; one that is none fails its stream with why"""
    with workspace() as folder:
        path = os.path.join(folder, 'm.onnx')
        shutil.copy(SCENE, path)
        with daemon(folder, f'[model m]\npath = {path}\n') as vigild:
            vigild.put_stream('front', uri=LIVE, model='m')
            vigild.wait_live('front')
            first = vigild.status('front')['model']
            # The same network with one more metadata entry: protobuf appends.
            with open(SCENE, 'rb') as file:
                other = file.read() + b'\x72\x0a\x0a\x04note\x12\x02hi'
            with open(path + '.new', 'wb') as file:
                file.write(other)
            os.rename(path + '.new', path)
            expect(vigild.status('front')['model'] == first, 'changed while it runs')
            vigild.put_stream('front', uri=LIVE, model='m', loop=True)
            vigild.wait_status(
                'front', 'the new model',
                lambda s: s['model'] == f'm@{hashlib.sha256(other).hexdigest()[:8]}', 20)
            with open(path + '.new', 'wb') as file:
                file.write(b'no network at all')
            os.rename(path + '.new', path)
            vigild.put_stream('front', uri=LIVE, model='m')
            status = vigild.wait_status('front', 'failed', lambda s: s['state'] == 'failed', 20)
            expect(status['reason'] == 'model', status['reason'])
            expect('not an ONNX model' in status['detail'], status['detail'])
            # And repaired, for who asks again.
            shutil.copy(SCENE, path)
            vigild.put_stream('front', uri=LIVE, model='m')
            vigild.wait_live('front')
            wait_for('the first model', lambda: vigild.status('front')['model'] == first, 10)


run_tests([weights_are_shared, a_new_model_is_packed_anew])
