#!/usr/bin/env python3
"""vigil train on scenes: rendered, encoded and decoded by the real programs, labelled by their truth."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import expect, run_tests  # noqa: E402
from trainable import path, run, train  # noqa: E402

os.environ['XDG_CACHE_HOME'] = path('cache')
FRAMES = path('cache/vigil/windows')
LABELS = 'quiet,movement,lighting,weather,covered,moved,defocused,frozen'


def write_recipe(name, seeds='seeds = 1-2\nvalidation_seeds = 9-9', events='background = quiet'):
    with open(path(name), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = 4x18x32x1
layers = flatten; dense 8 softmax
[data]
format = scene
{seeds}
fps = 4
mean = 112
scale = 1/64
[training]
loss = sparse_categorical_crossentropy
epochs = 2
rate = 0.001
[events]
{events}
''')
    return path(name)


def learned(recipe, out):
    code, said, error = train(recipe, out, '--json-lines')
    expect(code == 0, f'exit {code}: {said} {error}')
    return [json.loads(line) for line in said.splitlines()], error


def seeds_become_windows():
    """seeds are rendered, labelled and learned; each is kept for the next time"""
    lines, told = learned(write_recipe('scene.recipe'), 'scene.onnx')
    expect('3 rendered minutes' in told, told)
    expect(len(os.listdir(FRAMES)) == 3, f'{os.listdir(FRAMES)}')
    last = [line for line in lines if 'epoch' in line][-1]
    # At four frames a second, a window every second one: at most 119 of a minute judge.
    expect(60 < last['validation']['samples'] <= 119, f'{last}')
    expect(last['train']['samples'] > 60, f'{last}')


def a_second_time_nothing_is_rendered():
    """what is kept gives the same bytes, and no worker is started"""
    before = open(path('scene.onnx'), 'rb').read()
    os.environ['VIGIL_WORKER'] = '/bin/false'
    try:
        learned(path('scene.recipe'), 'again.onnx')
    finally:
        del os.environ['VIGIL_WORKER']
    expect(open(path('again.onnx'), 'rb').read() == before, 'the files differ')


def rendering_again_gives_the_same():
    """a spoilt file of the cache is rendered anew, to the same bytes"""
    spoilt = os.path.join(FRAMES, sorted(os.listdir(FRAMES))[0])
    with open(spoilt, 'r+b') as file:
        file.truncate(1000)
    learned(path('scene.recipe'), 'third.onnx')
    expect(open(path('scene.onnx'), 'rb').read() == open(path('third.onnx'), 'rb').read(),
           'the files differ')


def what_was_learned_is_served():
    """the model says how it is fed and when scores are an event"""
    code, said, error = run('model', 'inspect', path('scene.onnx'), '--json')
    expect(code == 0, error)
    about = json.loads(said)['metadata']
    expect(about['vigil.labels'] == LABELS and about['vigil.background'] == 'quiet' and
           about['vigil.fps'] == '4', f'{about}')
    code, said, error = run('run', 'scene://street?seed=3&duration=5', '--model',
                            path('scene.onnx'), '--json-lines')
    expect(code == 0, f'{code} {error}')


def what_is_wrong_is_told():
    """seeds that judge what they taught, none, no range; events that are none: one line each"""
    for name, changed, words in (
            ('overlap', {'seeds': 'seeds = 1-5\ntest_seeds = 5-6'}, 'seeds of train are among'),
            ('none', {'seeds': ''}, '[data] seeds: is missing'),
            ('backwards', {'seeds': 'seeds = 5-1'}, 'should be as 1-400'),
            ('word', {'seeds': 'seeds = many'}, 'should be as 1-400'),
            ('toomany', {'seeds': 'seeds = 1-20000'}, 'at most 10000'),
            ('label', {'events': 'enter = 0.5,cat:0.2'}, 'cat'),
            ('level', {'events': 'enter = 1.5'}, 'enter')):
        status, said, error = train(write_recipe(f'{name}.recipe', **changed), f'{name}.onnx',
                                    '--json-lines')
        lines = [line for line in error.splitlines() if 'rendered minutes' not in line]
        expect(status == 78 and len(lines) == 1 and words in error,
               f'{name}: {status} {said} {error}')


run_tests([seeds_become_windows, a_second_time_nothing_is_rendered, rendering_again_gives_the_same,
           what_was_learned_is_served, what_is_wrong_is_told])
