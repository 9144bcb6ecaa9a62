#!/usr/bin/env python3
"""vigil bench: that it measures what it says, not how fast this machine is."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import KERNELS, PATIENCE, VIGIL, expect, need_data, run_tests  # noqa: E402
from onnxfile import FLOAT, model, node, tensor, value  # noqa: E402

FOLDER = tempfile.TemporaryDirectory()


def vigil(*arguments):
    result = subprocess.run([VIGIL, 'bench', *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=120 * PATIENCE, check=False, text=True)
    expect(result.returncode >= 0, f'{arguments}: signal {-result.returncode}')
    return result.returncode, result.stdout, result.stderr


def measured(*arguments):
    status, output, error = vigil('--json', *arguments)
    expect(status == 0 and output.count('\n') == 1 and not error, f'{arguments}: {status} {error}')
    told = json.loads(output)
    expect(0 < told['min_ms'] <= told['median_ms'] <= told['p95_ms'], told)
    expect(told['per_second'] > 0 and told['arena_bytes'] > 0, told)
    expect(told['kernels'] in KERNELS and told['precision'] == 'fp32', told)
    return told


def write(name, *dims):
    path = os.path.join(FOLDER.name, name)
    with open(path, 'wb') as file:
        file.write(model([node('Tanh', ['x'], ['y'], 'bend')], [value('x', FLOAT, dims)],
                         [value('y', FLOAT, dims)]))
    return path


def every_run_of_every_session_counts():
    """--runs and --sessions: as many runs are measured as were asked for"""
    told = measured('--runs', '7', 'scene')
    expect(told['runs'] == 7 and told['sessions'] == 1 and told['batch'] == 1, told)
    told = measured('--runs', '7', '--sessions', '3', 'scene')
    expect(told['runs'] == 21 and told['sessions'] == 3 and told['threads'] == 1, told)


def a_run_is_split_over_as_many_threads_as_there_are_processors():
    """--threads: what was asked for, or the processors"""
    processors = len(os.sched_getaffinity(0))
    told = measured('--runs', '7', '--threads', '2', 'scene')
    expect(told['runs'] == 7 and told['threads'] == min(2, processors), told)
    told = measured('--runs', '7', '--threads', '64', '--sessions', '2', 'scene')
    expect(told['runs'] == 14 and told['threads'] == min(64, processors), told)
    told = json.loads(subprocess.run(
        ['taskset', '-c', str(min(os.sched_getaffinity(0))), VIGIL, 'bench', '--json', '--runs',
         '2', '--threads', '2', 'scene'], capture_output=True, check=True).stdout)
    expect(told['threads'] == 1, told)


def few_runs_have_quantiles_too():
    """the time within which 95 % of two runs are is that of the slower one"""
    told = measured('--runs', '2', 'scene')
    slower = 2 * told['median_ms'] - told['min_ms']
    expect(abs(told['p95_ms'] - slower) < 1e-5, told)


def a_larger_batch_takes_a_larger_arena():
    """--batch: the plan is one for that batch"""
    path = write('batch.onnx', 'n', 1000)
    one, four = measured('--runs', '3', path), measured('--runs', '3', '--batch', '4', path)
    two = measured('--runs', '3', write('two.onnx', 2, 10))
    expect(one['batch'] == 1 and two['batch'] == 2, f'{one} {two}')
    expect(four['batch'] == 4 and four['arena_bytes'] > 2 * one['arena_bytes'], f'{one} {four}')


def a_stream_is_measured_with_its_parts():
    """--stream: window and stride are those asked for or the model's, the parts measured alone"""
    told = measured('--stream', '--runs', '20', 'scene')
    expect(told['window'] == 8 and told['stride'] == 2, told)
    told = measured('--stream', '--stride', '1', '--runs', '20', 'scene')
    expect(told['window'] == 8 and told['stride'] == 1 and told['runs'] == 20, told)
    expect(told['frame_ms'] > 0 and told['window_ms'] > 0, told)
    parts = told['frame_ms'] + told['window_ms']
    expect(abs(told['ratio'] - told['median_ms'] / parts) < 0.01 * told['ratio'], told)
    told = measured('--stream', '--runs', '20', '--stride', '4', 'scene')
    parts = told['frame_ms'] + told['window_ms'] / 4
    expect(told['stride'] == 4, told)
    expect(abs(told['ratio'] - told['median_ms'] / parts) < 0.01 * told['ratio'], told)


def windows_may_be_longer_than_the_models():
    """--window: a network exported for 8 frames streams windows of 16"""
    path = need_data('onnx/gen/graph_cnn_rnn/cnn_lstm_01/model.onnx')
    told = measured('--stream', '--window', '16', '--stride', '1', '--runs', '20', path)
    expect(told['window'] == 16, told)
    own = measured('--stream', '--runs', '20', path)
    expect(own['window'] == 8 and own['arena_bytes'] < told['arena_bytes'], f'{own} {told}')


def people_read_the_same_figures():
    """without --json: kernels, times, throughput and memory in lines"""
    status, output, error = vigil('--stream', '--runs', '5', 'scene')
    expect(status == 0 and not error, error)
    for word in ('kernels', 'windows of 8 frames, one every 2', 'per frame of a stream', 'median',
                 'a frame alone', 'a window alone', 'ratio', 'frames a second', 'arena'):
        expect(word in output, f'no {word} in {output}')
    _, output, _ = vigil('--runs', '5', '--sessions', '2', 'scene')
    expect('2 sessions side by side, each on a thread of its own' in output, output)
    expect('weights as in the model' in output and 'asked for' not in output, output)
    processors = len(os.sched_getaffinity(0))
    if processors < 64:
        _, output, _ = vigil('--runs', '5', '--threads', '64', '--sessions', '2', 'scene')
        expect(f'64 threads were asked for: this machine has {processors} processor' in output, output)
    if processors == 2:
        expect('; 1 more helps a run that finds it free' in output, output)


def a_disturbed_measurement_is_told():
    """a median far above the least is told as such, and no other"""
    for sessions in ('1', '2', '16'):
        _, output, _ = vigil('--runs', '30', '--sessions', sessions, 'scene')
        median, least = (float(number) for number in
                         re.search(r'median ([0-9.]+) ms, least ([0-9.]+)', output).groups())
        told = re.search(r'^disturbed +the median is ([0-9.]+) times the least', output, re.M)
        if abs(median / least - 1.3) > 0.01:
            expect(bool(told) == (median / least > 1.3), output)
        if told:
            expect(abs(float(told[1]) - median / least) < 0.06 * median / least, output)


def kernels_that_do_not_run_here_are_told():
    """VIGIL_KERNELS: a name that is none is told on stderr with those there are, by each verb"""
    for verb in (['bench', '--runs', '2', 'scene'], ['model', 'inspect', 'scene'],
                 ['run', 'scene://street?duration=1'], ['model', 'verify', FOLDER.name]):
        for name, told in (('abacus', True), ('scalar', False)):
            result = subprocess.run([VIGIL, *verb], stdin=subprocess.DEVNULL, capture_output=True,
                                    timeout=60 * PATIENCE, check=False, text=True,
                                    env={**os.environ, 'VIGIL_KERNELS': name})
            expect(('vigil: VIGIL_KERNELS=abacus is ignored: the kernels that run here are scalar'
                    in result.stderr) == told, f'{verb} {name}: {result}')
            expect(result.stderr.count('VIGIL_KERNELS') == told, f'{verb} {name}: {result}')


def what_cannot_be_measured_is_told_in_one_line():
    """wrong options exit 2, models that do not fit 78, missing files 66"""
    frames, plain = write('frames.onnx', 1, 3, 8, 8), write('plain.onnx', 1, 4)
    open_shape = write('open.onnx', 1, 'm', 3)
    for arguments, code, word in (
            (('--precision', 'half', 'scene'), 2, 'fp32'), (('--threads', '0', 'scene'), 2, '1 to'),
            (('--threads', '65', 'scene'), 2, '1 to'), (('--sessions', '0', 'scene'), 2, '1 to'),
            (('--runs', '-1', 'scene'), 2, '1 to'), (('--runs', '0', 'scene'), 2, '--runs is 1 to'),
            (('--batch', '0', 'scene'), 2, '--batch is 1 to'),
            (('--stream', '--window', '0', 'scene'), 2, '1 to'),
            (('--stream', '--stride', '0', 'scene'), 2, '1 to'),
            (('--batch', '100000', 'scene'), 2, '1 to'),
            (('--window', '4', 'scene'), 2, '--stream'),
            (('--time-axis', '1', 'scene'), 2, '--stream'),
            (('--stream', '--time-axis', '-1', 'scene'), 2, '0 to'),
            (('--batch', '4', 'scene'), 78, '--batch 4: the model says 1'), ((), 2, 'one ONNX file'),
            (('--stream', '--batch', '2', 'scene'), 2, '--sessions'),
            (('--stream', '--stride', '99999', 'scene'), 2, '1 to'),
            (('--stream', frames), 78, 'single frames'), (('--stream', plain), 78, '--time-axis'),
            (('--stream', '--time-axis', '7', plain), 78, 'time axis'),
            (('--shape', '1x2', open_shape), 78, 'dimensions'),
            (('/nonexistent.onnx',), 66, '/nonexistent.onnx')):
        status, output, error = vigil(*arguments)
        expect(status == code and not output and word in error and len(error.splitlines()) == 1,
               f'{arguments}: {status} {output} {error}')


def weights_in_fewer_bits_are_measured():
    """--precision: fewer bytes, and how much outputs change"""
    rows, columns = 1024, 300
    weights = [(i * 7919 % 2003 - 1001) / 1001 for i in range(rows * columns)]
    path = os.path.join(FOLDER.name, 'dense.onnx')
    with open(path, 'wb') as file:
        file.write(model([node('MatMul', ['x', 'w'], ['y'], 'dense')],
                         [value('x', FLOAT, [1, rows])], [value('y', FLOAT, [1, columns])],
                         [tensor('w', FLOAT, [rows, columns], weights)]))
    sizes = {}
    for precision in ('fp32', 'fast', 'int8'):
        status, output, error = vigil('--json', '--runs', '2', '--precision', precision, path)
        told = json.loads(output)
        expect(status == 0 and told['precision'] == precision, (status, error))
        expect(('weight_error' in told) == (precision != 'fp32'), told)
        sizes[precision] = told['weight_bytes']
        if precision == 'fast':
            expect(0 < told['weight_error'] <= 1e-3, told)
            text = vigil('--runs', '2', '--precision', precision, path)[1]
            expect('fewer bits' in text, text)
    expect(sizes['fp32'] < sizes['int8'] < sizes['fast'] < 4 * rows * columns, sizes)


run_tests([every_run_of_every_session_counts,
           a_run_is_split_over_as_many_threads_as_there_are_processors, few_runs_have_quantiles_too,
           a_larger_batch_takes_a_larger_arena, a_stream_is_measured_with_its_parts,
           windows_may_be_longer_than_the_models, a_disturbed_measurement_is_told,
           kernels_that_do_not_run_here_are_told, people_read_the_same_figures,
           what_cannot_be_measured_is_told_in_one_line, weights_in_fewer_bits_are_measured])
