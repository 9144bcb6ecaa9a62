#!/usr/bin/env python3
"""The recipes of docs/recipes: each for an epoch on small data made here, some for a few epochs on the
shared test data; with --whole all as they are, by several seeds. Usage: test_recipes.py [--whole]
[NAME ...]"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import SANITIZED, SOURCE, expect, need_data, note, run_tests  # noqa: E402
import recipedata  # noqa: E402
import write_sequences  # noqa: E402
from trainable import path, run  # noqa: E402

NAMES = [name for name in sys.argv[1:] if not name.startswith('-')]
WHOLE = '--whole' in sys.argv[1:]
SEEDS = (1, 2, 3)
os.environ['XDG_CACHE_HOME'] = path('cache')

# What makes small data; where the shared data is (none: sequences that are made); what the whole recipe
# must reach: an accuracy, by folds where the recipe says how it is evaluated.
RECIPES = {
    'cifar-10': (recipedata.make_cifar, 'stills/cifar10', 0.62),
    'cnn-224-10': (recipedata.make_signs, 'clips', 0.8),
    'cnn-224-512': (recipedata.make_signs, 'clips', 0.8),
    'cnn-28': (recipedata.make_mnist, 'stills/mnist', 0.985),
    'cnn-64': (recipedata.make_signs, 'clips', 0.85),
    'crnn-attention': (recipedata.make_fights, 'video-fight', 0.55),
    'crnn-window': (recipedata.make_fights, 'video-fight', 0.55),
    'digits-audio': (recipedata.make_recordings, 'audio', 0.80),
    'embedding-attention': (recipedata.make_sequences, None, 0.9),
    'embedding-lstm': (recipedata.make_sequences, None, 0.9),
    'gesture': (recipedata.make_points, 'sequences', 0.985),
    'lstm-128-relu': (recipedata.make_points, 'sequences', 0.95),
    'lstm-3x50': (recipedata.make_points, 'sequences', 0.95),
    'lstm-3x50-binary': (recipedata.make_sequences, None, 0.95),
    'lstm-3x64-binary': (recipedata.make_sequences, None, 0.9),
    'rnn-tanh': (recipedata.make_points, 'sequences', 0.95),
    'scene': (recipedata.make_nothing, None, 0.93),
}
# Keys that make little of much: samples that are kept back, scenes that are rendered.
LITTLE = {
    **dict.fromkeys(('autoencoder-dense', 'cifar-10', 'cnn-28'), {'validation': 'last 20'}),
    'scene': {'seeds': '1-3', 'validation_seeds': '100001-100002', 'test_seeds': ''},
}
# It has no accuracy: its loss is what it must stay below.
LOSSES = {'autoencoder-dense': (recipedata.make_mnist, 'stills/mnist', 0.01)}
# Over the limit of a model's size.
TOO_LARGE = {'cnn-224-1024': 403746698}
# A few epochs on the shared data, and what they must reach.
SOME = {'cnn-28': (2, 0.96), 'cifar-10': (2, 0.2), 'gesture': (30, 0.98)}
# An instrumented convolution of these takes minutes; what it would show the others show.
SLOW = {'cifar-10', 'cnn-224-10', 'cnn-224-512'}


def recipe_of(name, epochs=None, seed=1, **changed):
    """A copy, with keys changed; and whether it says how it is evaluated."""
    with open(f'{SOURCE}/docs/recipes/{name}.recipe', encoding='utf-8') as file:
        text = file.read()
    for key, value in {'epochs': epochs, 'seed': seed, **changed}.items():
        if value is not None:
            text = re.sub(rf'(?m)^{key} = .*$', f'{key} = {value}', text)
    copy = path(f'{name}.recipe')
    with open(copy, 'w', encoding='utf-8') as file:
        file.write(text)
    return copy, '[evaluation]' in text


def reached(name, folder, folds, **changed):
    """The accuracy, or validation loss, that is told at the end."""
    recipe, _ = recipe_of(name, **changed)
    how = ['--cross-validate'] if folds else ['--force', '--out', path(f'{name}.onnx')]
    code, said, error = run('train', recipe, '--data', folder, '--threads', '2', *how,
                            patience=60 if WHOLE else 1)
    expect(code == 0, f'{name}: exit {code}: {error}')
    if folds:
        return float(re.search(r'^mean of .* folds ([0-9.]+),', said, re.M).group(1))
    if name in LOSSES:
        return float(re.findall(r'validation: loss ([0-9.]+)', said)[-1])
    return float(re.search(r'accuracy ([0-9.]+) of', said.splitlines()[-1]).group(1))


def small(name):
    """Of the folder that its maker fills, once for all recipes that share it."""
    make = {**RECIPES, **LOSSES}[name][0]
    folder = path(make.__name__)
    if not os.path.exists(folder):
        os.mkdir(folder)
        make(folder)
    return folder


def runs(name):
    def test():
        _, folds = recipe_of(name)
        figure = reached(name, small(name), folds, epochs=1, warmup=0, batch=8,
                         **LITTLE.get(name, {}))
        expect(0 <= figure < 100, f'{name}: {figure}')
    test.__doc__ = f'{name} runs on small data'
    return test


def learns(name):
    def test():
        epochs, least = SOME[name]
        figure = reached(name, need_data(RECIPES[name][1]), False, epochs=epochs)
        note(f'{name}: {figure:.4f} after {epochs} epochs')
        expect(figure >= least, f'{name}: {figure}')
    test.__doc__ = f'{name} learns from the shared data'
    return test


def made_sequences():
    folder = path('sequences')
    if not os.path.exists(folder):
        os.mkdir(folder)
        write_sequences.write(folder)
    return folder


def reaches(name):
    def test():
        _, below, bound = {**RECIPES, **LOSSES}[name]
        _, folds = recipe_of(name)
        folder = need_data(below) if below else made_sequences()
        figures = [reached(name, folder, folds, seed=seed) for seed in SEEDS]
        mean = sum(figures) / len(figures)
        note(f'{name}: {mean:.4f} ({", ".join(f"{f:.4f}" for f in figures)})')
        expect(mean <= bound if name in LOSSES else mean >= bound, f'{name}: {figures}')
    test.__doc__ = f'{name} reaches what it says'
    return test


def too_large_ones_are_told():
    """what is larger than a model may be has a summary, and is refused by its size"""
    for name, parameters in TOO_LARGE.items():
        recipe, _ = recipe_of(name)
        code, said, error = run('train', recipe, '--summary')
        expect(code == 0 and f'Total params: {parameters:,}' in said, f'{name}: {said} {error}')
        code, said, error = run('train', recipe, '--out', path('large.onnx'))
        expect(code == 78 and 'larger than' in error and 'MiB' in error, f'{code} {said} {error}')


def every_recipe_is_run():
    """each file of docs/recipes is among those"""
    there = {name[:-len('.recipe')] for name in os.listdir(f'{SOURCE}/docs/recipes')
             if name.endswith('.recipe')}
    expect(there == {*RECIPES, *LOSSES, *TOO_LARGE}, f'{there ^ {*RECIPES, *LOSSES, *TOO_LARGE}}')


names = [name for name in sorted({**RECIPES, **LOSSES})
         if (not NAMES or name in NAMES) and not (SANITIZED and name in SLOW)]
if WHOLE:
    run_tests([every_recipe_is_run, *(reaches(name) for name in names)])
else:
    run_tests([every_recipe_is_run, too_large_ones_are_told, *(runs(name) for name in names),
               *(learns(name) for name in names if name in SOME)])
