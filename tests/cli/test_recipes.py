#!/usr/bin/env python3
"""The recipes of docs/recipes, on the shared test data: as they are with --whole (by several seeds),
else for a few epochs. Usage: test_recipes.py [--whole]"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import SANITIZED, SOURCE, expect, need_data, note, run_tests  # noqa: E402
from trainable import path, run  # noqa: E402

WHOLE = '--whole' in sys.argv[1:]
# Where the data of each is, what a few epochs and the whole recipe must reach.
RECIPES = {
    'cnn-28': ('stills/mnist', 2, 0.96, 0.985),
    'cifar-10': ('stills/cifar10', 2, 0.2, 0.62),
    'gesture': ('sequences', 30, 0.98, 0.985),
    'scene': ('', 2, 0.4, 0.93),
}
# Data that is rendered: a few minutes of it for a few epochs.
SOME = {'scene': {'seeds': '1-3', 'validation_seeds': '100001-100002', 'test_seeds': ''}}


def train(name, epochs, seed):
    """The accuracy that is told at the end."""
    folder, *_ = RECIPES[name]
    with open(f'{SOURCE}/docs/recipes/{name}.recipe', encoding='utf-8') as file:
        text = file.read()
    changed = {'seed': seed, **({'epochs': epochs, **SOME.get(name, {})} if epochs else {})}
    for key, value in changed.items():
        text = re.sub(rf'(?m)^{key} = .*$', f'{key} = {value}', text)
    recipe = path(f'{name}.recipe')
    with open(recipe, 'w', encoding='utf-8') as file:
        file.write(text)
    code, said, error = run('train', recipe, '--data', need_data(folder), '--force', '--threads',
                            '2', '--out', path(f'{name}.onnx'), patience=20 if WHOLE else 1)
    expect(code == 0, f'{name}: exit {code}: {error}')
    return float(re.search(r'accuracy ([0-9.]+) of', said.splitlines()[-1]).group(1))


def reaches(name):
    def test():
        _, epochs, some, whole = RECIPES[name]
        seeds = (1, 2, 3) if WHOLE else (1,)
        reached = [train(name, None if WHOLE else epochs, seed) for seed in seeds]
        mean = sum(reached) / len(reached)
        note(f'{name}: {mean:.4f} ({", ".join(f"{r:.4f}" for r in reached)})')
        expect(mean >= (whole if WHOLE else some), f'{name}: {reached}')
    test.__doc__ = f'{name} reaches what it says'
    return test


def every_recipe_is_run():
    """each file of docs/recipes is among those"""
    there = {name[:-len('.recipe')] for name in os.listdir(f'{SOURCE}/docs/recipes')
             if name.endswith('.recipe')}
    expect(there == set(RECIPES), f'{there ^ set(RECIPES)}')


# An instrumented convolution of CIFAR's takes minutes; what it would show the others show.
SLOW = {'cifar-10'} if SANITIZED else set()
run_tests([every_recipe_is_run, *(reaches(name) for name in RECIPES if name not in SLOW)])
