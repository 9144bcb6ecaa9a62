#!/usr/bin/env python3
"""vigil train on clips: decoded by the real worker, once, from folders and from tables."""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import expect, run_tests  # noqa: E402
from trainable import CLASSES, path, run, train, write_clip  # noqa: E402

os.environ['XDG_CACHE_HOME'] = path('cache')
WINDOWS = path('cache/vigil/windows')


def write_recipe(name, samples, validation='0.34', more='', channels=1, before=''):
    """Of layers, `before` comes first."""
    with open(path(name), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = 8x32x48x{channels}
layers = {before}time_distributed(conv2d 4 3 relu; maxpool2d 4; flatten); flatten; dense 2 softmax
[data]
format = clips
samples = {samples}
fps = 8
mean = 112
scale = 1/64
validation = {validation}
{more}
[training]
loss = sparse_categorical_crossentropy
epochs = 8
batch = 4
rate = 0.01
''')
    return path(name)


def learned(recipe, out, *options):
    """Epochs, and what was told of the clips."""
    code, said, error = train(recipe, out, '--json-lines', *options)
    expect(code == 0, f'exit {code}: {said} {error}')
    *epochs, model = [json.loads(line) for line in said.splitlines()]
    expect(model['model'] == path(out), f'{model}')
    return epochs, error


def folders_are_classes():
    """a folder for each class: clips are decoded, learned and kept for the next time"""
    epochs, told = learned(write_recipe('folders.recipe', 'clips', more='stride = 8'),
                           'folders.onnx')
    expect('18 windows of 6 clips, 2 classes, 6 sources; 0 clips left out' in told, told)
    # Whole clips are for one purpose: three windows each.
    last = epochs[-1]
    expect(last['train']['samples'] == 12 and last['validation']['samples'] == 6, f'{last}')
    expect(last['train']['accuracy'] == 1 and last['validation']['accuracy'] == 1, f'{last}')
    expect(len(os.listdir(WINDOWS)) == 6, f'{os.listdir(WINDOWS)}')


def what_was_learned_is_served():
    """the model says how it is fed: vigil run finds in a clip what it is of"""
    for kind in CLASSES:
        code, said, error = run('run', path(f'clips/{kind}/1.mp4'), '--model',
                                path('folders.onnx'), '--json-lines')
        expect(code == 0, f'{code} {error}')
        labels = {json.loads(line)['label'] for line in said.splitlines()}
        expect(labels == {kind}, f'{kind}: {said} {error}')


def clips_are_decoded_once():
    """a second training needs no worker, and gives the same file"""
    before = open(path('folders.onnx'), 'rb').read()
    os.environ['VIGIL_WORKER'] = '/bin/false'
    try:
        learned(path('folders.recipe'), 'again.onnx')
        expect(open(path('again.onnx'), 'rb').read() == before, 'the files differ')
        # What is spoilt is decoded again.
        spoilt = os.path.join(WINDOWS, sorted(os.listdir(WINDOWS))[0])
        with open(spoilt, 'r+b') as file:
            file.truncate(100)
        _, error = learned(path('folders.recipe'), 'third.onnx')
        expect('1 clips left out' in error, error)
    finally:
        del os.environ['VIGIL_WORKER']
    learned(path('folders.recipe'), 'fourth.onnx')
    expect(open(path('fourth.onnx'), 'rb').read() == before, 'the files differ')


def tables_name_sources_and_times():
    """a table says label, source and times of each clip; sources are never split"""
    with open(path('table.csv'), 'w', encoding='utf-8') as file:
        file.write('clip,label,source,start,end\n')
        for i in range(3):
            file.write(f'clips/moves/{i}.mp4,moves,camera{i},0,\n')
            file.write(f'clips/rests/{i}.mp4,rests,camera{i},1,2\n')
    epochs, told = learned(write_recipe('table.recipe', 'table.csv', more='stride = 8'),
                           'table.onnx')
    expect('12 windows of 6 clips, 2 classes, 3 sources' in told, told)
    expect(epochs[-1]['train']['samples'] == 8, f'{epochs[-1]}')
    expect(epochs[-1]['validation']['samples'] == 4, f'{epochs[-1]}')


def windows_overlap_by_the_stride():
    """without a stride a window begins in the middle of the one before; times hold for each"""
    _, told = learned(write_recipe('overlap.recipe', 'clips'), 'overlap.onnx')
    expect('30 windows of 6 clips' in told, told)
    _, told = learned(write_recipe('third.recipe', 'table.csv', more='stride = 4'), 'third.onnx', '--force')
    # Five of each clip that is whole, and of a second's worth one.
    expect('18 windows of 6 clips' in told, told)


def times_need_a_frame_rate():
    """times in a table are refused without fps, and where they are none"""
    recipe = write_recipe('timeless.recipe', 'table.csv')
    with open(recipe, encoding='utf-8') as file:
        text = file.read()
    with open(recipe, 'w', encoding='utf-8') as file:
        file.write(text.replace('fps = 8', ''))
    code, _, error = train(recipe, 'no.onnx', '--json-lines')
    expect(code == 78 and 'table.csv, line 2' in error and 'fps' in error, error)
    with open(path('times.csv'), 'w', encoding='utf-8') as file:
        file.write('path,label,start,end\nclips/moves/0.mp4,moves,2,1\n')
    code, _, error = train(write_recipe('times.recipe', 'times.csv'), 'no.onnx', '--json-lines')
    expect(code == 78 and 'times.csv, line 2' in error and 'end' in error, error)


def bad_clips_are_left_out_by_name():
    """a clip that is cut off, empty or too short is named, and the others are learned"""
    shutil.copytree(path('clips'), path('bad'))
    with open(path('bad/moves/0.mp4'), 'r+b') as file:
        file.truncate(2000)
    with open(path('bad/moves/none.mp4'), 'wb'):
        pass
    shutil.copy(path('short.mp4'), path('bad/rests/short.mp4'))
    _, told = learned(write_recipe('bad.recipe', 'bad', more='stride = 8'), 'bad.onnx')
    expect('15 windows of 5 clips' in told and '3 clips left out' in told, told)
    for name in ('moves/0.mp4', 'moves/none.mp4', 'rests/short.mp4'):
        expect(f'bad/{name}: ' in told, f'{name} is not named: {told}')


def what_names_no_clips_is_told():
    """no classes, no clips, a table that is none: one line each"""
    os.makedirs(path('empty/class'), exist_ok=True)
    with open(path('wrong.csv'), 'w', encoding='utf-8') as file:
        file.write('clip,label\nclips/moves/0.mp4\n')
    with open(path('headless.csv'), 'w', encoding='utf-8') as file:
        file.write('clips/moves/0.mp4,moves\n')
    for samples, code, words in (('empty', 66, 'a folder for each class'),
                                 ('wrong.csv', 78, 'wrong.csv, line 2'),
                                 ('headless.csv', 78, 'line 1'), ('nothing', 66, 'nothing')):
        status, said, error = train(write_recipe('no.recipe', samples), 'no.onnx', '--json-lines')
        expect(status == code and words in error and error.count('\n') == 1,
               f'{samples}: {status} {said} {error}')


def what_changes_is_shown_to_the_network():
    """grey, differences and a background are part of the model: a clip is all that it is served"""
    recipe = write_recipe('changes.recipe', 'clips', more='stride = 8', channels=3,
                          before='stacked(identity | grey; frame_difference absolute | '
                          'grey; background_difference 0.2); ')
    epochs, _ = learned(recipe, 'changes.onnx')
    expect(epochs[-1]['validation']['accuracy'] == 1, f'{epochs[-1]}')
    for kind in CLASSES:
        code, said, error = run('run', path(f'clips/{kind}/1.mp4'), '--model',
                                path('changes.onnx'), '--json-lines')
        expect(code == 0, f'{code} {error}')
        labels = {json.loads(line)['label'] for line in said.splitlines()}
        expect(labels == {kind}, f'{kind}: {said} {error}')


for number in range(3):
    for kind in CLASSES:
        write_clip(f'clips/{kind}/{number}.mp4', kind)
write_clip('short.mp4', 'rests', 0.5)
run_tests([folders_are_classes, what_was_learned_is_served, clips_are_decoded_once, tables_name_sources_and_times,
           windows_overlap_by_the_stride, times_need_a_frame_rate, bad_clips_are_left_out_by_name,
           what_names_no_clips_is_told, what_changes_is_shown_to_the_network])
