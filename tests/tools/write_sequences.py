#!/usr/bin/env python3
"""Sequences that recipes of docs/recipes learn from, made here: chirps.csv (100 numbers: does the
pitch rise or fall), turns.csv (16 points in a plane: with the clock or against it) and tokens.csv (32
words of 50: in which halves do two of them stand). A line is a label and the numbers. The same on
every machine and at every call. Usage: write_sequences.py FOLDER [SEQUENCES]"""
import math
import os
import random
import sys


def chirp(rng):
    """A tone whose pitch changes, in noise."""
    label = rng.randrange(2)
    low, high = rng.uniform(2, 4), rng.uniform(6, 9)
    first, last = (low, high) if label else (high, low)
    begin, loud = rng.uniform(0, math.tau), rng.uniform(0.5, 1)
    return label, [f'{loud * math.sin(begin + math.tau * (first * t + (last - first) * t * t / 2)) + rng.gauss(0, 0.2):.4f}'
                   for t in (i / 100 for i in range(100))]


def turn(rng):
    """Part of a circle somewhere, by a hand that is not steady."""
    label = rng.randrange(2)
    x, y, size = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.1, 0.4)
    begin, step = rng.uniform(0, math.tau), rng.uniform(0.15, 0.5) * (1 if label else -1)
    angles = (begin + step * i for i in range(16))
    return label, [f'{value + rng.gauss(0, 0.02):.4f}' for angle in angles
                   for value in (x + size * math.cos(angle), y + size * math.sin(angle))]


def sentence(rng):
    """Word 1 and word 2 among others, each in the first or the second half."""
    label = rng.randrange(4)
    words = [rng.randrange(3, 50) for _ in range(32)]
    for word, half in ((1, label // 2), (2, label % 2)):
        place = rng.randrange(16)
        # The second may not stand where the first does.
        while words[16 * half + place] < 3:
            place = rng.randrange(16)
        words[16 * half + place] = word
    return label, words


def write(folder, count=1500):
    for name, make in (('chirps', chirp), ('turns', turn), ('tokens', sentence)):
        rng = random.Random(name)
        with open(os.path.join(folder, f'{name}.csv'), 'w', encoding='utf-8') as file:
            for _ in range(count):
                label, values = make(rng)
                file.write(','.join(str(value) for value in (label, *values)) + '\n')


if __name__ == '__main__':
    write(sys.argv[1], *(int(count) for count in sys.argv[2:]))
