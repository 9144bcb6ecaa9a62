#!/usr/bin/env python3
"""vigil train learns from sounds: WAVE files in folders, by their names, or in a table."""
import json
import math
import os
import random
import struct
import subprocess
import sys
import wave

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import PATIENCE, VIGIL, expect, run_tests  # noqa: E402
from trainable import path, run  # noqa: E402

RATE = 2000
PITCHES = {'high': 700, 'low': 200}


def write_sound(name, hertz, length=800):
    """A tone in noise."""
    rng = random.Random(name)
    begin = rng.random()
    values = [rng.gauss(0, 0.02) + 0.4 * math.sin(math.tau * (begin + hertz * t / RATE))
              for t in range(length)]
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with wave.open(path(name), 'wb') as file:
        file.setparams((1, 2, RATE, 0, 'NONE', ''))
        file.writeframes(b''.join(struct.pack('<h', int(32767 * max(-1, min(1, v))))
                                  for v in values))


def write_recipe(name, samples, more='', rate=RATE, length=800, evaluation=''):
    with open(path(name), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = {length}x1
layers = log_mel 8 {RATE} window 100 stride 100; lstm 8; dense 2 softmax
[data]
format = wav
samples = {samples}
rate = {rate}
{more}
[training]
loss = sparse_categorical_crossentropy
rate = 0.02
batch = 8
epochs = 15
keep = last
[evaluation]
{evaluation}
''')
    return path(name)


def train(recipe, *options):
    return run('train', recipe, '--out', path('out.onnx'), '--force', *options)


def trained(recipe, *options):
    code, said, error = train(recipe, *options)
    expect(code == 0, f'exit {code}: {said} {error}')
    return said, error


def refused(recipe, code, *words):
    status, said, error = train(recipe)
    expect(status == code, f'exit {status}, not {code}: {said} {error}')
    expect(error.count('\n') == 1, f'not one line: {error}')
    for word in words:
        expect(word in error, f'no {word!r} in {error!r}')


def folders_are_classes():
    """sounds in a folder for each class are learned, and the model says its labels"""
    said, error = trained(write_recipe('folders.ini', 'sounds', 'validation = 0.25'))
    expect(error == '40 sounds, 2 classes, 40 sources; 0 cut, 0 left out\n', error)
    expect(float(said.splitlines()[-1].split('accuracy ')[1].split()[0]) >= 0.9, said)
    inspect = subprocess.run([VIGIL, 'model', 'inspect', '--json', path('out.onnx')],
                             capture_output=True, check=True, timeout=60 * PATIENCE)
    metadata = json.loads(inspect.stdout)['metadata']
    expect(metadata['vigil.labels'] == 'high,low', f'{metadata}')
    expect('vigil.pixels' not in metadata, f'{metadata}')


def names_say_label_and_source():
    """a flat folder by a pattern, and a fold for each source that it names"""
    recipe = write_recipe('flat.ini', 'flat', 'pattern = {label}-{source}-*.wav',
                          evaluation='split = each-source')
    code, said, error = run('train', recipe, '--cross-validate', '--json-lines')
    expect(code == 0, f'{said} {error}')
    expect(error == '36 sounds, 2 classes, 3 sources; 0 cut, 0 left out\n', error)
    *folds, whole = [json.loads(line) for line in said.splitlines()]
    expect([(f['learned'], f['samples']) for f in folds] == [(24, 12)] * 3, f'{folds}')
    expect(whole['accuracy'] >= 0.9 and whole['interval']['groups'] == 3 and
           whole['interval']['sources'], f'{whole}')


def a_table_names_path_label_source_and_times():
    """what is learned of a sound is what lies within its times"""
    lines = ['path,label,source,start,end']
    for i in range(20):
        label = ('high', 'low')[i % 2]
        # The label of the second half; the first is the other's.
        other = write_halves(f'halves/{i}.wav', label)
        lines += [f'halves/{i}.wav,{label},s{i % 4},{800 / RATE},', f'halves/{i}.wav,{other},,,'
                  f'{800 / RATE}']
    with open(path('table.csv'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')
    recipe = write_recipe('table.ini', 'table.csv', evaluation='folds = 2')
    code, said, error = run('train', recipe, '--cross-validate', '--json-lines')
    expect(code == 0, f'{said} {error}')
    expect(error == '40 sounds, 2 classes, 24 sources; 0 cut, 0 left out\n', error)
    whole = json.loads(said.splitlines()[-1])
    expect(whole['accuracy'] >= 0.9, f'{whole}')


def write_halves(name, label):
    """The other pitch, then that of the label; returns what the other is called."""
    other = 'low' if label == 'high' else 'high'
    write_sound(name, PITCHES[other])
    with wave.open(path(name)) as file:
        first = file.readframes(800)
    write_sound(name, PITCHES[label])
    with wave.open(path(name)) as file:
        second = file.readframes(800)
    with wave.open(path(name), 'wb') as file:
        file.setparams((1, 2, RATE, 0, 'NONE', ''))
        file.writeframes(first + second)
    return other


def long_ones_are_cut_and_bad_ones_left_out():
    """what is cut or cannot be read is counted, the latter by name"""
    for i in range(8):
        write_sound(f'mixed/high/{i}.wav', 700, length=600 + 100 * i)
        write_sound(f'mixed/low/{i}.wav', 200)
    with open(path('mixed/low/bad.wav'), 'wb') as file:
        file.write(b'RIFF\xff\xff\0\0WAVE')
    with open(path('mixed/low/readme.txt'), 'w', encoding='utf-8') as file:
        file.write('no sound')
    _, error = trained(write_recipe('mixed.ini', 'mixed'))
    first, second = error.splitlines()
    expect('bad.wav' in first and 'is cut' in first, error)
    expect(second == '16 sounds, 2 classes, 16 sources; 5 cut, 1 left out, which are named above',
           error)


def slips_are_told_in_one_line():
    """a rate that is another, a pattern that fits nothing, an input that is no sound"""
    refused(write_recipe('slip.ini', 'sounds', rate=8000), 78, '.wav has 2000', 'says 8000')
    refused(write_recipe('slip.ini', 'sounds', rate=''), 78, 'rate', 'missing')
    refused(write_recipe('slip.ini', 'flat', 'pattern = {label}+{source}.wav'), 66, 'name like')
    refused(write_recipe('slip.ini', 'flat', 'pattern = {source}-*.wav'), 78, '{label}')
    refused(write_recipe('slip.ini', 'flat', 'pattern = {label}{label}.wav'), 78, 'once')
    refused(write_recipe('slip.ini', 'flat'), 66, 'a folder for each class')
    refused(write_recipe('slip.ini', 'nowhere.csv'), 66, 'nowhere.csv')
    recipe = write_recipe('slip.ini', 'sounds')
    with open(recipe, encoding='utf-8') as file:
        text = file.read()
    with open(recipe, 'w', encoding='utf-8') as file:
        file.write(text.replace('800x1', '400x2').replace('log_mel 8 2000 window 100 stride 100',
                                                          'lstm 4 return_sequences'))
    refused(recipe, 78, 'as 8000x1')


for word, pitch in PITCHES.items():
    for number in range(20):
        write_sound(f'sounds/{word}/{number}.wav', pitch)
    for number in range(18):
        write_sound(f'flat/{word}-voice{number % 3}-{number}.wav', pitch + 20 * (number % 3))
run_tests([folders_are_classes, names_say_label_and_source,
           a_table_names_path_label_source_and_times, long_ones_are_cut_and_bad_ones_left_out,
           slips_are_told_in_one_line])
