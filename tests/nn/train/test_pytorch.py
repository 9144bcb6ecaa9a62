#!/usr/bin/env python3
"""Training by vigil and by PyTorch: the same networks, first weights and batches give the same losses, and what
vigil exports gives the same answers in PyTorch and in ONNX Runtime.

ONNX Runtime is asked where `make bench-networks` has fetched it, or ONNXRUNTIME names a folder it is in."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
sys.path[:0] = [os.path.join(ROOT, folder) for folder in ('tools', 'system', 'cli')]
from beside_pytorch import (CROSS_ENTROPY, SQUARED, Pytorch, Vigil, random_batch, torch,  # noqa: E402
                            write_design)
from harness import BUILD, PATIENCE, SANITIZED, Skip, expect, note, run_tests  # noqa: E402
from onnxfile import FLOAT, tensor  # noqa: E402

# LEARNED: how much of the loss may be left. Instrumented, a step takes twenty times as long.
STEPS, LEARNED = (6, 1) if SANITIZED else (20, 0.95)
BATCHES, LOSS_LIMIT, ANSWER_LIMIT = 2, 1e-4, 1e-5
FOLDER = tempfile.TemporaryDirectory()
ONNXRUNTIME = os.environ.get('ONNXRUNTIME', os.path.join(BUILD, 'tests/bench/networks/npm'))
TRAINED = {}  # by network and optimizer: vigil's file

# Slow rates: where two numbers of MaxPool's window differ by no more than rounding, either side may choose another
# for the gradient, which is then off by a thousandth. That happens every few dozen steps, and a loss that does not leap
# about hardly shows it, as it would show anything that is off at each step.
ROWS = [  # network, samples of a batch, rates of SGD and of Adam
    ('cnn-28', 8, 0.005, 0.0003),
    ('cnn-64', 4, 0.0001, 0.00001),
    ('crnn-window', 2, 0.0002, 0.00001),
    ('lstm', 16, 0.05, 0.002),
    ('gru', 16, 0.05, 0.002),
    ('autoencoder-dense', 16, 2, 0.001),
]


def need_pytorch():
    if not torch:
        raise Skip('there is no PyTorch here (python3-torch)')
    torch.set_num_threads(1)  # its threads wait for each other by spinning, however busy the machine is


def loss_of(name):
    return SQUARED if name.startswith('autoencoder') else CROSS_ENTROPY


def train(name, samples, optimizer, options, threads=2):
    """Both sides, step by step: losses, then how far the weights are from each other."""
    first = write_design(BUILD, name, 3, os.path.join(FOLDER.name, f'{name}.onnx'))
    last = os.path.join(FOLDER.name, f'{name}-{optimizer}{"-nesterov" * ("nesterov" in options)}.onnx')
    arguments = [f'--threads={threads}', f'--loss={loss_of(name)}', f'--optimizer={optimizer}']
    arguments += ['--nesterov' if key == 'nesterov' else f'--{key}={value}' for key, value in options.items()]
    vigil = Vigil(BUILD, arguments, samples, first)
    pytorch = Pytorch(name, first, optimizer, options)
    losses = []
    for step in range(STEPS):
        inputs, targets = random_batch(name, samples, step % BATCHES)
        vigil.ask('batch', inputs, targets)
        (ours, _), = vigil.ask('steps 1')
        theirs = pytorch.step(torch.from_numpy(inputs), torch.from_numpy(targets).long()
                              if loss_of(name) == CROSS_ENTROPY else torch.from_numpy(targets))
        losses.append((ours, theirs))
    vigil.ask(f'save {last}')
    vigil.stop()
    TRAINED[name, optimizer] = last
    return losses, pytorch, last


def expect_same_training(name, samples, optimizer, options):
    need_pytorch()
    losses, pytorch, last = train(name, samples, optimizer, options)
    off = [abs(ours - theirs) / max(1, theirs) for ours, theirs in losses]
    weights, where = pytorch.distance(last)
    (begin, _), (end, _) = losses[0], losses[-BATCHES]  # of the same batch
    note(f'{name}, {optimizer} {options}: loss {begin:.4f} to {end:.4f}, apart by at most {max(off):.1e}; weights by '
         f'{weights:.1e} ({where})')
    expect(all(x < LOSS_LIMIT for x in off), f'step by step, ours and PyTorch\'s: {losses}')
    expect(end < LEARNED * begin, f'nothing was learned: {losses}')


def training_test(what, name, samples, optimizer, **options):
    def test():
        expect_same_training(name, samples, optimizer, options)
    test.__doc__ = f'{name} with {what}: the losses of {STEPS} steps are PyTorch\'s'
    return test


def run_vigil(onnx, inputs):
    path = os.path.join(FOLDER.name, 'input.pb')
    with open(path, 'wb') as file:
        file.write(tensor('input', FLOAT, inputs.shape, inputs.reshape(-1).tolist()))
    result = subprocess.run([os.path.join(BUILD, 'tests/tools/run_model'), onnx, path], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=60 * PATIENCE, check=False)
    expect(result.returncode == 0, result.stderr)
    return torch.frombuffer(bytearray(result.stdout), dtype=torch.float32).numpy()


RUN_ONNXRUNTIME = '''
const [folder, model, shape] = process.argv.slice(1);
const ort = require('module').createRequire(folder + '/package.json')('onnxruntime-node');
const bytes = require('fs').readFileSync(0);
const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
ort.InferenceSession.create(model).then(async session => {
    const output = await session.run({ input: new ort.Tensor('float32', values, JSON.parse(shape)) });
    console.log(JSON.stringify([...output.output.data]));
});
'''


def run_onnxruntime(onnx, inputs):
    result = subprocess.run(['node', '-e', RUN_ONNXRUNTIME, os.path.abspath(ONNXRUNTIME), onnx, json.dumps(inputs.shape)],
                            input=inputs.tobytes(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=60 * PATIENCE, check=False)
    expect(result.returncode == 0, result.stderr)
    return json.loads(result.stdout)


def expect_same_answer(name, ours, theirs):
    expect(len(ours) == len(theirs), (name, len(ours), len(theirs)))
    off = [abs(float(a) - float(b)) for a, b in zip(ours, theirs)]
    note(f'{name}: answers apart by at most {max(off):.1e}')
    expect(all(x < ANSWER_LIMIT for x in off), (name, ours, theirs))


def each_exported():
    """(name, inputs it has not learned, vigil's answer, PyTorch with the exported weights)"""
    for (name, optimizer), onnx in TRAINED.items():
        if optimizer == 'adam':
            inputs, _ = random_batch(name, 5, 1000)
            yield name, inputs, onnx, run_vigil(onnx, inputs)


def what_is_exported_answers_as_pytorch_does():
    """what is exported answers in the engine as its weights do in PyTorch"""
    need_pytorch()
    expect(len(TRAINED) >= len(ROWS), f'trained: {list(TRAINED)}')
    for name, inputs, onnx, answer in each_exported():
        theirs = Pytorch(name, onnx, 'adam', {}).output(torch.from_numpy(inputs))
        expect_same_answer(name, answer, theirs.reshape(-1))


def what_is_exported_answers_in_onnxruntime():
    """what is exported answers in ONNX Runtime as in the engine"""
    need_pytorch()
    if not (shutil.which('node') and os.path.isdir(os.path.join(ONNXRUNTIME, 'node_modules/onnxruntime-node'))):
        raise Skip('there is no ONNX Runtime here (make bench-networks fetches it)')
    for name, inputs, onnx, answer in each_exported():
        expect_same_answer(name, answer, run_onnxruntime(onnx, inputs))


TESTS = [what_is_exported_answers_as_pytorch_does, what_is_exported_answers_in_onnxruntime]
for network, count, sgd, adam in reversed(ROWS):
    TESTS[:0] = [training_test('SGD and momentum', network, count, 'sgd', rate=sgd, momentum=0.9),
                 training_test('Adam', network, count, 'adam', rate=adam)]
TESTS.insert(0, training_test('Nesterov\'s momentum', 'cnn-28', 8, 'sgd', rate=0.005, momentum=0.9, nesterov=True))
run_tests(TESTS)
