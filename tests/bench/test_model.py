#!/usr/bin/env python3
"""vigil's side of the comparison with ONNX Runtime: that it runs what it is given, and says what came out."""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cli'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import BUILD, PATIENCE, expect, run_tests  # noqa: E402
from onnxfile import FLOAT, model, node, value  # noqa: E402

BENCH_MODEL = os.path.join(BUILD, 'tests/bench/bench_model')
WRITE_NETWORKS = os.path.join(BUILD, 'tests/tools/write_networks')
FOLDER = tempfile.TemporaryDirectory()


def write(kind, *dims):
    path = os.path.join(FOLDER.name, f'{kind}.onnx')
    with open(path, 'wb') as file:
        file.write(model([node(kind, ['x'], ['y'], 'only')], [value('x', FLOAT, dims)],
                         [value('y', FLOAT, dims)]))
    return path


def ask(arguments, inputs, *requests):
    """What it says of the model, and its answers."""
    given = struct.pack(f'<{len(inputs)}f', *inputs) + ''.join(f'{r}\n' for r in requests).encode()
    result = subprocess.run([BENCH_MODEL, *arguments], input=given, stdout=subprocess.PIPE,
                            timeout=120 * PATIENCE, check=False)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def expect_tanh(outputs, inputs):
    expect(len(outputs) == 1 and len(outputs[0]) == len(inputs), outputs)
    for got, x in zip(outputs[0], inputs):
        expect(abs(got - math.tanh(x)) < 1e-6, (got, x))


def what_is_given_is_run_as_often_as_is_asked():
    """as many times as runs, and the outputs of the given input"""
    inputs = [i / 8 - 1 for i in range(12)]
    status, (about, times, outputs) = ask([write('Tanh', 3, 4)], inputs, 'runs 5', 'outputs')
    expect(status == 0 and about['inputs'] == [{'name': 'x', 'type': 'float32', 'shape': [3, 4]}], about)
    expect(about['outputs'] == ['y'] and about['floor']['peak_gflops'] > 0, about)
    expect(len(times) == 5 and all(t >= 0 for t in times), times)
    expect_tanh(outputs, inputs)


def a_stream_ends_where_the_window_ends():
    """--stream: whatever number of frames ran, the outputs are those of the window as it was given"""
    inputs = [i / 8 - 1 for i in range(15)]
    for runs in (1, 2, 7):
        status, (_, times, outputs) = ask(['--stream', write('Tanh', 1, 5, 3)], inputs,
                                          f'runs {runs}', 'outputs')
        expect(status == 0 and len(times) == runs, times)
        expect_tanh(outputs, inputs)


def what_cannot_be_measured_is_one_line():
    """an operator we lack, inputs that end early, requests and options that are none"""
    path = write('Tanh', 2)
    for arguments, inputs, requests, text in (
            ([write('Nonsense', 2)], [], [], 'Nonsense'), ([path], [1], [], 'end early'),
            ([path], [1, 2], ['stop'], 'request'), (['--fest', path], [], [], 'options'),
            ([], [], [], 'one ONNX file'), (['/nowhere'], [], [], 'cannot be read')):
        status, answers = ask(arguments, inputs, *requests)
        expect(status == 1 and text in answers[-1]['error'], (arguments, answers))


def networks_are_the_same_in_every_run():
    """write_networks: the same bytes each time, which load and give a distribution over ten classes"""
    for name, count in (('lstm3-50', 16 * 512), ('cnn3-28', 28 * 28)):
        content = []
        for _ in range(2):
            subprocess.run([WRITE_NETWORKS, FOLDER.name, name], check=True)
            with open(os.path.join(FOLDER.name, f'{name}.onnx'), 'rb') as file:
                content.append(file.read())
        expect(content[0] == content[1] and len(content[0]) > 100000, name)
        status, (about, _, (scores,)) = ask([os.path.join(FOLDER.name, f'{name}.onnx')],
                                            [i % 17 / 16 for i in range(count)], 'runs 1', 'outputs')
        expect(status == 0 and len(scores) == 10 and abs(sum(scores) - 1) < 1e-5, scores)
        expect(0.01 < max(scores) < 0.99, scores)
        expect(about['floor']['counted_macs'] <= about['floor']['macs'], about)


run_tests([what_is_given_is_run_as_often_as_is_asked, a_stream_ends_where_the_window_ends,
           what_cannot_be_measured_is_one_line, networks_are_the_same_in_every_run])
