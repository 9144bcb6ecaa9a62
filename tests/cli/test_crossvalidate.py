#!/usr/bin/env python3
"""vigil train --cross-validate: what judges a network is what it has not seen, however folds are
made, and the same recipe tells the same."""
import json
import os
import random
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import PATIENCE, VIGIL, expect, run_tests  # noqa: E402
from trainable import FOLDER, path, run, write_pictures, write_recipe  # noqa: E402

WIDTH = 12


def write_table(name, rows):
    """Rows of a label and numbers."""
    with open(path(f'{name}.csv'), 'w', encoding='utf-8') as file:
        for label, values in rows:
            file.write(','.join([str(label), *(f'{value:.5f}' for value in values)]) + '\n')


def write_table_recipe(name, table, evaluation, more='', epochs=60):
    """Enough of a network to remember every sample of a small table."""
    with open(path(name), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = {WIDTH}x1
layers = flatten; dense 64 relu; dense 2 softmax
[data]
format = table
samples = {table}.csv
{more}
[training]
loss = sparse_categorical_crossentropy
rate = 0.01
batch = 16
epochs = {epochs}
keep = last
[evaluation]
{evaluation}
''')
    return path(name)


def told(recipe, *options):
    """What --cross-validate says as JSON: the folds, all of it, and standard error."""
    code, said, error = run('train', recipe, '--cross-validate', '--json-lines', *options)
    expect(code == 0, f'exit {code}: {said} {error}')
    lines = [json.loads(line) for line in said.splitlines()]
    return lines[:-1], lines[-1], error


def noise(rng):
    return [rng.uniform(-1, 1) for _ in range(WIDTH)]


def every_sample_judges_once():
    """each fold is judged by its own samples, and means are means of what is told"""
    recipe = write_recipe('once.ini', validation='0', epochs=3, training='keep = last\n'
                          '[evaluation]\nfolds = 4\nrepeats = 2\n')
    folds, whole, error = told(recipe)
    expect(not error, error)
    expect([(f['repeat'], f['fold']) for f in folds] ==
           [(r, f) for r in (1, 2) for f in (1, 2, 3, 4)], f'{folds}')
    for repeat in (folds[:4], folds[4:]):
        expect(sum(f['samples'] for f in repeat) == 300, f'{repeat}')
        expect(all(f['learned'] == 300 - f['samples'] for f in repeat), f'{repeat}')
        expect(all(f['validation'] == 0 and f['epochs'] == 3 for f in repeat), f'{repeat}')
    expect(folds[:4] != folds[4:], 'the repeats are one')
    mean = sum(f['accuracy'] for f in folds) / 8
    right = sum(f['accuracy'] * f['samples'] for f in folds) / 600
    expect(abs(whole['mean'] - mean) < 1e-9, f'{whole} {mean}')
    expect(abs(whole['accuracy'] - right) < 1e-9, f'{whole} {right}')
    expect(whole['mean'] > 0.8, f'{whole}')
    interval = whole['interval']
    expect(interval['low'] <= right <= interval['high'] <= 1, f'{whole}')
    expect(interval['groups'] == 300 and not interval['sources'], f'{whole}')


def it_is_told_in_lines():
    """a line for each fold, then means and the interval"""
    recipe = write_recipe('lines.ini', validation='0', epochs=1, training='keep = last\n'
                          '[evaluation]\nfolds = 3\nrepeats = 2\n')
    code, said, error = run('train', recipe, '--cross-validate')
    expect(code == 0 and not error, f'{code} {error}')
    for line in (r'^repeat 1/2 fold 3/3: accuracy [0-9.]+ of 100 samples, learned from 200 in 1 '
                 r'epochs$', r'^repeat 2/2: mean of 3 folds [0-9.]+, deviation [0-9.]+$',
                 r'^mean of 2 repeats of 3 folds [0-9.]+, deviation of repeats [0-9.]+$',
                 r'^accuracy of all samples [0-9.]+; 95 % interval [0-9.]+ to [0-9.]+, by '
                 r'resampling 300 samples$'):
        expect(re.search(line, said, re.M), f'no {line}: {said}')


def threads_change_nothing():
    """one thread and three tell the same, another seed something else"""
    recipe = write_recipe('same.ini', validation='0', epochs=2, training='keep = last\n'
                          '[evaluation]\nfolds = 3\n')
    one, three = told(recipe), told(recipe, '--threads', '3')
    expect(one == three, f'{one} {three}')
    other = told(write_recipe('same.ini', validation='0', epochs=2, training='keep = last\n'
                              'seed = 2\n[evaluation]\nfolds = 3\n'))
    expect(one != other, f'{one}')


def what_judges_has_taught_nothing():
    """samples without rhyme or reason are guessed, unless others like them were learned"""
    rng = random.Random('noise')
    rows = [(rng.randrange(2), noise(rng)) for _ in range(120)]
    write_table('noise', rows)
    write_table('twice', rows + rows)
    folds = 'folds = 4\nsplit = samples'
    _, plain, _ = told(write_table_recipe('noise.ini', 'noise', folds))
    expect(0.25 < plain['accuracy'] < 0.75, f'{plain}')
    _, kept, error = told(write_table_recipe('twice.ini', 'twice', folds))
    expect(kept['accuracy'] > 0.85 and not error, f'{kept} {error}')
    _, dropped, error = told(write_table_recipe('twice.ini', 'twice', folds,
                                                more='duplicates = drop'))
    expect('120 of 240 samples' in error and 'class' not in error, error)
    expect(dropped == plain, f'{dropped} {plain}')


def duplicates_of_another_class_are_counted():
    """one sample with two labels is told apart"""
    rng = random.Random('two')
    rows = [(i % 2, noise(rng)) for i in range(40)]
    write_table('two', rows + [(1 - label, values) for label, values in rows[:3]])
    _, whole, error = told(write_table_recipe('two.ini', 'two', 'folds = 2', epochs=1,
                                              more='duplicates = drop'))
    expect(error == '3 of 43 samples repeat an earlier one and are left out; the class of 3 of '
           'them is another\n', error)
    expect(whole['interval']['groups'] == 40, f'{whole}')


def blocks_are_of_neighbours():
    """what neighbours give away by being alike, blocks do not"""
    rng = random.Random('blocks')
    rows = []
    for _ in range(12):
        label, centre = rng.randrange(2), noise(rng)
        rows += [(label, [c + rng.gauss(0, 0.02) for c in centre]) for _ in range(10)]
    write_table('blocks', rows)
    _, samples, _ = told(write_table_recipe('blocks.ini', 'blocks', 'folds = 4\nsplit = samples'))
    expect(samples['accuracy'] > 0.95, f'{samples}')
    folds, blocks, _ = told(write_table_recipe('blocks.ini', 'blocks',
                                               'folds = 4\nsplit = blocks'))
    expect([f['samples'] for f in folds] == [30] * 4, f'{folds}')
    expect(blocks['accuracy'] < 0.85, f'{blocks}')


def what_chooses_is_not_what_judges():
    """the best epoch is chosen by a share of what a fold learns from"""
    recipe = write_recipe('chooses.ini', validation='0.25', epochs=3,
                          training='patience = 2\n[evaluation]\nfolds = 3\n')
    folds, _, _ = told(recipe)
    for f in folds:
        expect(f['validation'] == 50 and f['learned'] + f['validation'] + f['samples'] == 300,
               f'{f}')


def nothing_is_written():
    """no model, no checkpoint"""
    before = set(os.listdir(FOLDER.name))
    recipe = write_recipe('nothing.ini', validation='0', epochs=1,
                          training='[evaluation]\nfolds = 2\n')
    result = subprocess.run([os.path.abspath(VIGIL), 'train', recipe, '--cross-validate'], cwd=FOLDER.name,
                            capture_output=True, check=False, timeout=240 * PATIENCE)
    expect(result.returncode == 0, f'{result}')
    expect(set(os.listdir(FOLDER.name)) - before == {'nothing.ini'}, f'{os.listdir(FOLDER.name)}')


def ctrl_c_ends_it():
    """Ctrl-C ends with a line that says where"""
    recipe = write_recipe('stopped.ini', validation='0', epochs=5,
                          training='[evaluation]\nfolds = 100\n')
    with subprocess.Popen([VIGIL, 'train', recipe, '--cross-validate'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith('fold 1/'):
                break
        process.send_signal(signal.SIGINT)
        said, error = process.communicate(timeout=60 * PATIENCE)
    expect(process.returncode == 1, f'exit {process.returncode}')
    expect(error.startswith('vigil: stopped in fold ') and error.count('\n') == 1, error)
    expect('mean' not in said, said)


def refused(recipe, code, *words, options=()):
    status, said, error = run('train', recipe, '--cross-validate', *options)
    expect(status == code, f'exit {status}, not {code}: {said} {error}')
    expect(error.count('\n') == 1, f'not one line: {error}')
    for word in words:
        expect(word in error, f'no {word!r} in {error!r}')


def slips_are_told_in_one_line():
    """what cannot be is told in a line that says what can"""
    def recipe(evaluation, **changed):
        return write_recipe('slip.ini', **{'validation': '0', **changed,
                                           'training': f'[evaluation]\n{evaluation}'})
    refused(recipe('folds = 1'), 78, '[evaluation]', 'folds', '2')
    refused(recipe('split = persons'), 78, 'split', 'sources, samples, blocks, each-source')
    refused(recipe('fold = 3'), 78, 'folds')
    refused(recipe('folds = 301'), 78, 'split', '300')
    refused(recipe('', validation='last 60'), 78, 'validation', 'share', 'keep = last')
    refused(recipe('', loss='mean_squared_error'), 78, 'accuracy', 'mean_squared_error')
    for option in ('--resume', '--force', '--out=x.onnx'):
        refused(recipe(''), 2, '--cross-validate', options=[option])


write_pictures('pictures')
run_tests([
    every_sample_judges_once, it_is_told_in_lines, threads_change_nothing,
    what_judges_has_taught_nothing, duplicates_of_another_class_are_counted,
    blocks_are_of_neighbours, what_chooses_is_not_what_judges, nothing_is_written,
    ctrl_c_ends_it, slips_are_told_in_one_line])
