#!/usr/bin/env python3
"""Training by vigil against PyTorch, side by side: the same networks, first weights and batches, steps in turns on
the same pinned processors.

    compare_pytorch.py --build DIR [--out FILE] [--only TEXT] [--rounds N] [--seconds S]

--build holds tests/tools/train_steps. Without PyTorch (python3-torch) vigil is measured alone, and that is said.
--out also writes the page docs/benchmarks-training.md. --only takes rows whose text has TEXT ("cnn-64, 2"). A row
is N rounds of turns, each of at least S seconds on either side.

Fairness. A step is forward, loss, backward and Adam, on both sides; vigil's also copies the batch in. Each side is
a process of its own, pinned by taskset to as many processors as it has threads. They take turns; the first step of a
turn, which finds the other's data in the caches, is dropped on both sides. Threads that look for more work after a
step are given time to sleep before the other side begins."""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
from beside_pytorch import NETWORKS, Builder, Pytorch, Vigil, random_batch, torch, write_design  # noqa: E402

ROWS = [('cnn-28', 32), ('cnn-64', 32), ('crnn-window', 8)]
THREADS = (1, 2)
AIM = 2.0
SLEEP_SECONDS = 0.1  # until threads that wait for work sleep
RATE = 0.001

parser = argparse.ArgumentParser()
parser.add_argument('--build', default='build')
parser.add_argument('--out')
parser.add_argument('--only', default='')
parser.add_argument('--rounds', type=int, default=5)
parser.add_argument('--seconds', type=float, default=0.4)
parser.add_argument('--side', nargs=4, help=argparse.SUPPRESS)  # private: PyTorch, in a pinned process
given = parser.parse_args()


# PyTorch's side: as tests/tools/train_steps answers.

def pytorch_side(name, samples, threads, onnx):
    torch.set_num_threads(threads)
    side = Pytorch(name, onnx, 'adam', {'rate': RATE})
    inputs, targets = random_batch(name, samples, 0)
    inputs, targets = torch.from_numpy(inputs), torch.from_numpy(targets).long()
    print('{}', flush=True)
    for request in sys.stdin:
        times = []
        for _ in range(int(request.split()[1])):
            before = time.perf_counter()
            loss = side.step(inputs, targets)
            times.append((loss, (time.perf_counter() - before) * 1e3))
        print(json.dumps(times), flush=True)


class PytorchChild(Vigil):
    """Started and asked like vigil."""

    def __init__(self, name, samples, threads, onnx, prefix):  # pylint: disable=super-init-not-called
        libraries = {key: str(threads) for key in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'BLIS_NUM_THREADS')}
        self.child = subprocess.Popen(
            [*prefix, sys.executable, os.path.abspath(__file__), '--side', name, str(samples), str(threads), onnx],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **libraries})
        self.about = self.answer()


# What there is to compute.

def flops(name, samples):
    """Of a step, each product of a direct computation as two: forward, gradients of weights and, but for the
    first layer, of inputs."""
    builder = Builder(*NETWORKS[name])
    total, first = 0, True

    def count(module, inputs, output):
        nonlocal total, first
        if isinstance(module, torch.nn.LSTM):
            rows = inputs[0].shape[0] * inputs[0].shape[1]
            forward = 2 * rows * (module.weight_ih_l0.numel() + module.weight_hh_l0.numel())
        elif isinstance(module, torch.nn.Conv2d):
            forward = 2 * output.numel() * module.weight[0].numel()
        else:
            forward = 2 * output.numel() * module.in_features
        total += forward * (2 if first else 3)
        first = False
    for module in builder.module.modules():
        if isinstance(module, (torch.nn.LSTM, torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        builder.module(torch.zeros(samples, *builder.input))
    return total


# Turns.

def take_turns(sides):
    """ms of each step, for each side."""
    steps = []
    for side in sides:
        side.ask('steps 2')
        once = min(ms for _, ms in side.ask('steps 2'))
        steps.append(max(2, int(given.seconds * 1e3 / once)))
    times = [[] for _ in sides]
    for _ in range(given.rounds):
        for i, side in enumerate(sides):
            time.sleep(SLEEP_SECONDS)
            times[i] += [ms for _, ms in side.ask(f'steps {steps[i] + 1}')[1:]]
    return times


def measure(folder, name, samples, threads):
    last = os.cpu_count() - 1
    prefix = ['taskset', '-c', f'{max(0, last + 1 - threads)}-{last}']
    onnx = write_design(given.build, name, 1, os.path.join(folder, f'{name}.onnx'))
    ours = Vigil(given.build, [f'--threads={threads}', '--optimizer=adam', f'--rate={RATE}'], samples, onnx, prefix)
    sides = [ours]
    if torch:
        ours.ask('batch', *random_batch(name, samples, 0))
        sides.append(PytorchChild(name, samples, threads, onnx, prefix))
    times = take_turns(sides)
    peak = ours.ask('peak')
    for side in sides:
        side.stop()
    return {'kernels': ours.about['kernels'], 'peak': peak, 'flops': flops(name, samples) if torch else None,
            'ours': times[0], 'theirs': times[1] if torch else None}


# The page.

HEAD = '''| network, batch, threads | PyTorch, ms | vigil, ms | ratio | aim | PyTorch, steps/s | vigil, steps/s | PyTorch, \
GFLOP/s | vigil, GFLOP/s | of the peak |
|---|---|---|---|---|---|---|---|---|---|'''


def line(text, result):
    def pair(times):
        return f'{statistics.median(times):.2f} / {min(times):.2f}'
    ours, theirs = result['ours'], result['theirs']
    middle = statistics.median(ours)
    cells = [text, '–', pair(ours), '–', f'≥ {AIM:g}', '–', f'{1e3 / middle:.1f}', '–', '–', '–']
    if theirs:
        other, work = statistics.median(theirs), result['flops'] / 1e6
        cells[1] = pair(theirs)
        cells[3] = f'**{other / middle:.2f}** / {min(theirs) / min(ours):.2f}'
        cells[5] = f'{1e3 / other:.1f}'
        cells[7:] = f'{work / other:.0f}', f'{work / middle:.0f}', f'{work / middle / result["peak"]:.0%}'
    return f'| {" | ".join(cells)} |'


def page(lines, results):
    model = next((text.split(':')[1].strip() for text in open('/proc/cpuinfo', encoding='utf-8')
                  if text.startswith('model name')), 'unknown')
    against = f'PyTorch {torch.__version__} (Debian\'s python3-torch)' if torch else \
        'nothing: PyTorch (python3-torch) was not there, so vigil was measured alone'
    peaks = {threads: [f'{r["peak"]:.0f}' for t, r in results if t == threads] for threads in THREADS}
    peaks = ', '.join(f'{" / ".join(values)} GFLOP/s with {threads} thread{"s"[:threads > 1]}'
                      for threads, values in peaks.items() if values)
    load = ', '.join(f'{value:.1f}' for value in os.getloadavg())
    return f'''# Benchmarks of training

Written by `make bench-train` (tests/bench/compare_pytorch.py); do not edit.

{datetime.date.today()}, {model}, {os.cpu_count()} processors, vigil's {results[0][1]['kernels']} kernels, against {against}.
Both train the same network (tests/tools/beside_pytorch.py; `crnn-window` is three convolutions for each of 16 frames,
LSTM 128 and a dense layer) from the same weights with the same batch, in turns, pinned to as many processors as they
have threads. A step is forward, loss (cross-entropy), backward and Adam. Times are wall-clock, median / minimum of {given.rounds} rounds.

{HEAD}
{chr(10).join(lines)}

*Ratio* is PyTorch's time divided by vigil's, of the medians / of the minima. *GFLOP/s* count each product of a direct
computation as two, of the medians, for both: where vigil uses Winograd's algorithm it does fewer, so its share *of the
peak* may be over 1. *The peak* is what vigil's product of 1024×1024 matrices reaches, {peaks}, one product for each
thread at once.

The figures are of one run on a machine that other programs share (load {load} over 1, 5 and 15 minutes at the end).
'''


def main():
    lines, results = [], []
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for threads in THREADS:
            for name, samples in ROWS:
                text = f'{name}, {samples}, {threads}'
                if given.only not in text or threads > os.cpu_count():
                    continue
                results.append((threads, measure(folder, name, samples, threads)))
                lines.append(line(text, results[-1][1]))
                print(lines[-1], flush=True)
    if given.out and results:
        with open(given.out, 'w', encoding='utf-8') as file:
            file.write(page(lines, results))


if given.side:
    pytorch_side(given.side[0], int(given.side[1]), int(given.side[2]), given.side[3])
else:
    main()
