#!/usr/bin/env python3
"""vigil model: verify and inspect, on models written here and on the shared test data."""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import (DATA, KERNELS, PATIENCE, SOURCE, VIGIL, expect, need_data, note,  # noqa: E402
                     run_tests)
from onnxfile import (BOOL, COMPLEX64, DOUBLE, FLOAT, INT8, INT64, model, node,  # noqa: E402
                      tensor, value)

FOLDER = tempfile.TemporaryDirectory()


def vigil(*arguments):
    result = subprocess.run([VIGIL, 'model', *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=300 * PATIENCE, check=False, text=True)
    expect(result.returncode >= 0, f'{arguments}: signal {-result.returncode}')
    return result.returncode, result.stdout.splitlines(), result.stderr


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content)


def make_test(name, graph, inputs, outputs):
    """A folder as ONNX keeps its tests; inputs and outputs are tensors of one data set."""
    folder = os.path.join(FOLDER.name, name)
    write(f'{folder}/model.onnx', graph)
    for kind, tensors in (('input', inputs), ('output', outputs)):
        for i, content in enumerate(tensors):
            write(f'{folder}/test_data_set_0/{kind}_{i}.pb', content)
    return folder


def doubled(kind=FLOAT, count=2):
    """y = x + x"""
    return model([node('Add', ['x', 'x'], ['y'], 'sum')], [value('x', kind, [count])],
                 [value('y', kind, [count])])


def make_doubled(name, x, y, kind=FLOAT):
    return make_test(name, doubled(kind, len(x)), [tensor('x', kind, [len(x)], x)],
                     [tensor('y', kind, [len(y)], y)])


def expect_verdict(arguments, code, summary, *words):
    status, lines, error = vigil('verify', *arguments)
    expect(lines and lines[-1] == summary, f'{arguments}: {lines} {error}')
    expect(status == code, f'{arguments}: exit {status}: {lines}')
    for word in words:
        expect(any(word in line for line in lines[:-1]), f'no {word!r} in {lines}')
    return lines


def what_is_right_passes():
    """verify passes what is right, says nothing else, and exits 0"""
    folder = make_doubled('right', [1, -2], [2, -4])
    lines = expect_verdict([folder], 0, '1 passed, 0 failed, 0 unsupported')
    expect(len(lines) == 1, f'{lines}')
    expect_verdict(['-v', folder], 0, '1 passed, 0 failed, 0 unsupported', folder)


def a_wrong_output_is_told_with_node_operator_and_error():
    """verify names data set, output, node, operator, the largest error and where it is"""
    folder = make_doubled('wrong', [1, 1], [2.25, 4])
    lines = expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', folder,
                           'test_data_set_0', "output 'y'", "node 'sum' (Add)", 'largest error 2',
                           'at [1]: 2, not 4', '2 of 2 elements',
                           'the reference kernels are off as well')
    expect(len(lines) == 2, f'one line for one failure: {lines}')


def the_first_wrong_output_is_named():
    """of several outputs that are off verify names the first, by the node inside that made it"""
    def chain(name, *off):
        """b = x + x, c = b + b, y = c + c, all three outputs; those in `off` are expected wrong"""
        graph = model([node('Add', [a, a], [b], f'make-{b}') for a, b in ('xb', 'bc', 'cy')],
                      [value('x', FLOAT, [1])], [value(v, FLOAT, [1]) for v in 'bcy'])
        return make_test(name, graph, [tensor('x', FLOAT, [1], [1])],
                         [tensor(v, FLOAT, [1], [right + 9 * (v in off)])
                          for v, right in (('b', 2), ('c', 4), ('y', 8))])
    expect_verdict([chain('chain')], 0, '1 passed, 0 failed, 0 unsupported')
    for off in ('bcy', 'cy', 'y'):
        lines = expect_verdict([chain(f'chain-{off}', *off)], 1,
                               '0 passed, 1 failed, 0 unsupported', f"node 'make-{off[0]}' (Add)")
        expect(len(lines) == 2 and lines[0].count('make-') == 1, f'{off}: {lines}')


def what_vigil_lacks_is_named_and_no_failure():
    """verify counts an operator or type vigil lacks apart, naming it, and exits 0"""
    expect_verdict([make_test('lacks', model([node('StringSplit', ['x'], ['y'], 'ring')],
                                             [value('x', FLOAT, [1])], [value('y', FLOAT, [1])]),
                              [tensor('x', FLOAT, [1], [1])], [tensor('y', FLOAT, [1], [1])])],
                   0, '0 passed, 0 failed, 1 unsupported', "node 'ring'", 'StringSplit')
    expect_verdict([make_doubled('complex', [1], [2], COMPLEX64)], 0,
                   '0 passed, 0 failed, 1 unsupported', 'complex64')


def doubles_are_converted():
    """verify converts a model of float64 and its data sets alike"""
    expect_verdict([make_doubled('double', [1, -0.5], [2, -1], DOUBLE)], 0,
                   '1 passed, 0 failed, 0 unsupported')
    expect_verdict([make_doubled('double', [1], [3], DOUBLE)], 1,
                   '0 passed, 1 failed, 0 unsupported', '2, not 3')


def tolerances_are_as_documented():
    """verify's absolute tolerance grows with the tensor's largest element, unless --strict"""
    folder = make_doubled('tolerance', [500, 0], [1000, 0.005])
    expect_verdict([folder], 0, '1 passed, 0 failed, 0 unsupported')
    expect_verdict(['--strict', folder], 1, '0 passed, 1 failed, 0 unsupported')
    expect_verdict(['--strict', '--atol', '0.006', folder], 0,
                   '1 passed, 0 failed, 0 unsupported')
    expect_verdict(['--atol', '1e-7', folder], 1, '0 passed, 1 failed, 0 unsupported')
    relative = make_doubled('relative', [500], [1000.5])
    expect_verdict(['--strict', relative], 0, '1 passed, 0 failed, 0 unsupported')
    expect_verdict(['--strict', '--rtol', '1e-4', relative], 1,
                   '0 passed, 1 failed, 0 unsupported')


def not_a_number_equals_itself_only():
    """verify: NaN equals NaN and infinity itself, and neither lets anything else through"""
    nan, inf = math.nan, math.inf
    for name, x, y, passes in (('nan', [nan, 1], [nan, 2], True), ('inf', [inf], [inf], True),
                               ('nan-for-1', [nan], [1], False), ('1-for-nan', [1], [nan], False),
                               ('1-for-inf', [1], [inf], False),
                               ('beside-inf', [inf, 1], [inf, 3], False),
                               ('minus-inf', [-inf], [inf], False)):
        expect_verdict([make_doubled(name, x, y)], 0 if passes else 1,
                       f'{int(passes)} passed, {int(not passes)} failed, 0 unsupported')


def integers_and_bools_are_exact():
    """verify: integers and bools have no tolerance"""
    big = 1 << 60
    expect_verdict([make_doubled('int', [big], [2 * big], INT64)], 0,
                   '1 passed, 0 failed, 0 unsupported')
    expect_verdict([make_doubled('int-off', [big], [2 * big + 1], INT64)], 1,
                   '0 passed, 1 failed, 0 unsupported', '1 of 1')
    graph = model([node('Identity', ['x'], ['y'], 'same')], [value('x', BOOL, [2])],
                  [value('y', BOOL, [2])])
    x = tensor('x', BOOL, [2], [True, False])
    expect_verdict([make_test('bool', graph, [x], [tensor('y', BOOL, [2], [True, False])])], 0,
                   '1 passed, 0 failed, 0 unsupported')
    expect_verdict([make_test('bool-off', graph, [x], [tensor('y', BOOL, [2], [True, True])])], 1,
                   '0 passed, 1 failed, 0 unsupported')


def another_shape_or_type_fails():
    """verify: an output of another shape or type fails, even with the same elements"""
    folder = make_test('shape', doubled(), [tensor('x', FLOAT, [2], [1, 1])],
                       [tensor('y', FLOAT, [1, 2], [2, 2])])
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', '[2], not [1, 2]')
    folder = make_test('type', doubled(), [tensor('x', FLOAT, [2], [1, 1])],
                       [tensor('y', INT64, [2], [2, 2])])
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', 'float32, not int64')


def initializers_that_are_inputs_are_not_fed():
    """verify: an initializer listed as a graph input has the file's value, wherever it stands"""
    graph = model([node('Sub', ['x', 'c'], ['y'], 'less')],
                  [value('c', FLOAT, [1]), value('x', FLOAT, [1])], [value('y', FLOAT, [1])],
                  [tensor('c', FLOAT, [1], [3])])
    folder = make_test('initializer', graph, [tensor('x', FLOAT, [1], [10])],
                       [tensor('y', FLOAT, [1], [7])])
    expect_verdict([folder], 0, '1 passed, 0 failed, 0 unsupported')


def tensors_without_names_are_taken_in_order():
    """verify: tensors are matched by name, and by number where they have none"""
    graph = model([node('Sub', ['a', 'b'], ['y'], 'less')],
                  [value('a', FLOAT, [1]), value('b', FLOAT, [1])], [value('y', FLOAT, [1])])
    y = tensor('', FLOAT, [1], [7])
    expect_verdict([make_test('named', graph, [tensor('b', FLOAT, [1], [3]),
                                               tensor('a', FLOAT, [1], [10])], [y])], 0,
                   '1 passed, 0 failed, 0 unsupported')
    expect_verdict([make_test('nameless', graph, [tensor('', FLOAT, [1], [10]),
                                                  tensor('', FLOAT, [1], [3])], [y])], 0,
                   '1 passed, 0 failed, 0 unsupported')


def bad_test_data_fails_and_is_told():
    """verify: data that is missing, cut short, no tensor or no file is a failure, in one line"""
    whole = tensor('x', FLOAT, [2], [1, 1])
    right = tensor('y', FLOAT, [2], [2, 2])
    for name, inputs, outputs, word in (
            ('no-data', [], [], 'test_data_set_0'), ('no-input', [], [right], "input 'x'"),
            ('no-output', [whole], [], "output 'y'"), ('cut', [whole[:-1]], [right], 'input_0.pb'),
            ('garbage', [whole], [b'\xff' * 40], 'output_0.pb'), ('empty', [b''], [right], 'empty'),
            ('wide', [tensor('x', FLOAT, [3], [1, 1, 1])], [right], '[3], not [2]'),
            ('other', [tensor('x', INT64, [2], [1, 1])], [right], 'int64')):
        expect_verdict([make_test(name, doubled(), inputs, outputs)], 1,
                       '0 passed, 1 failed, 0 unsupported', word)
    folder = make_doubled('folder', [1], [2])
    os.unlink(f'{folder}/test_data_set_0/input_0.pb')
    os.mkdir(f'{folder}/test_data_set_0/input_0.pb')
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', 'input_0.pb')
    expect_verdict([make_test('no-model', b'no model at all', [whole], [right])], 1,
                   '0 passed, 1 failed, 0 unsupported', 'not an ONNX model')


def what_of_a_data_set_cannot_be_read_is_named():
    """verify: a data set or a tensor that is not there or does not open is named as what it is"""
    folder = make_test('cause', model([node('Sub', ['a', 'b'], ['y'], 'less')],
                                      [value('a', FLOAT, [1]), value('b', FLOAT, [1])],
                                      [value('y', FLOAT, [1])]),
                       [tensor(name, FLOAT, [1], [1]) for name in 'ab'],
                       [tensor('y', FLOAT, [1], [0])])
    data, aside = f'{folder}/test_data_set_0', f'{folder}/aside'
    for missing, *words in (('input_0.pb', 'cannot read input_0.pb: No such file'),
                            ('input_1.pb', 'input_1.pb is missing', "input 'b'"),
                            ('output_0.pb', 'output_0.pb is missing', "output 'y'")):
        os.rename(f'{data}/{missing}', aside)
        expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', *words)
        os.symlink(missing, f'{data}/{missing}')  # leads to itself
        expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported',
                       f'test_data_set_0: cannot read {missing}: Too many')
        os.rename(aside, f'{data}/{missing}')
    os.rename(data, aside)
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', 'there is no test_data_set_0')
    os.symlink('nowhere', data)
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported',
                   'test_data_set_0: cannot be read: No such file')
    os.unlink(data)
    write(data, b'')
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported',
                   'test_data_set_0: cannot be read: Not a directory')


def the_largest_difference_is_told_when_asked_for():
    """verify -v: how far a test is off, also where it passes; without -v no word of it"""
    folder = make_doubled('near', [500, 1], [1000.25, 2.001])
    expect_verdict(['-v', folder], 0, '1 passed, 0 failed, 0 unsupported',
                   'near: largest difference 0.25')
    expect_verdict(['-v', make_doubled('same', [1], [2])], 0, '1 passed, 0 failed, 0 unsupported',
                   'same: largest difference 0')
    for option, told in (('-v', True), ('--strict', False)):
        lines = expect_verdict(['--rtol=1e-4', option, make_doubled('far', [500], [1001])], 1,
                               '0 passed, 1 failed, 0 unsupported', 'largest error 1 at')
        expect(('largest difference 1' in lines[0]) == told, lines)


def every_data_set_counts():
    """verify: a test passes only when all its data sets do"""
    folder = make_doubled('sets', [1], [2])
    write(f'{folder}/test_data_set_1/input_0.pb', tensor('x', FLOAT, [1], [2]))
    write(f'{folder}/test_data_set_1/output_0.pb', tensor('y', FLOAT, [1], [5]))
    expect_verdict([folder], 1, '0 passed, 1 failed, 0 unsupported', 'test_data_set_1')


def folders_are_searched_to_any_depth():
    """verify: tests are found at any depth, in order, and links lead in no circle"""
    for name in ('deep/b/c/d/e/f/one', 'deep/a', 'deep/a/below'):
        make_doubled(name, [1], [2])
    os.symlink(os.path.join(FOLDER.name, 'deep'), os.path.join(FOLDER.name, 'deep', 'circle'))
    lines = expect_verdict(['-v', os.path.join(FOLDER.name, 'deep')], 0,
                           '3 passed, 0 failed, 0 unsupported')
    found = [line.split()[1].strip(':').partition('/deep/')[2] for line in lines[:-1]]
    expect(found == ['a', 'a/below', 'b/c/d/e/f/one'], f'{found}')


def nothing_to_verify_is_no_success():
    """verify: a folder without tests, or that is not there, exits 66; no folder at all 2"""
    os.makedirs(os.path.join(FOLDER.name, 'bare'))
    for arguments, code in ((['verify', os.path.join(FOLDER.name, 'bare')], 66),
                            (['verify', '/nonexistent'], 66), (['verify'], 2),
                            (['verify', '--rtol', '-1', FOLDER.name], 2),
                            (['verify', '--rtol', 'nan', FOLDER.name], 2),
                            (['verify', '--atol', 'inf', FOLDER.name], 2), ([], 2), (['frob'], 2)):
        status, lines, error = vigil(*arguments)
        expect(status == code and not lines and len(error.splitlines()) == 1,
               f'{arguments}: {status} {lines} {error}')


def what_is_named_and_cannot_be_read_is_no_failed_test():
    """verify: a folder or its model.onnx that does not open exits 66 before any test runs"""
    good, bad = make_doubled('opens', [1], [2]), make_doubled('below/shut', [1], [2])
    os.unlink(f'{bad}/model.onnx')
    os.mkdir(f'{bad}/model.onnx')
    loop = os.path.join(FOLDER.name, 'loop')
    os.symlink(loop, loop)
    for named, word in ((bad, 'model.onnx: it is a folder'), (f'{good}/model.onnx', 'not a folder'),
                        (loop, 'cannot read'), ('/nonexistent', 'No such file')):
        status, lines, error = vigil('verify', good, named)
        expect(status == 66 and not lines and len(error.splitlines()) == 1 and word in error,
               f'{named}: {status} {lines} {error}')
    expect_verdict([os.path.dirname(bad)], 1, '0 passed, 1 failed, 0 unsupported', 'it is a folder')


def hostile_names_do_not_reach_the_terminal():
    """verify: a folder's control characters are not printed"""
    lines = expect_verdict([make_doubled('esc\x1b[31m', [1], [9])], 1,
                           '0 passed, 1 failed, 0 unsupported')
    expect('\x1b' not in ''.join(lines), f'{lines}')


def the_shared_tests_pass():
    """verify: the ONNX tests made of the supported operators pass, and none fails"""
    for folder, least in (('node', 116), ('graphs', 45), ('gen', 82)):
        status, lines, error = vigil('verify', need_data(f'onnx/{folder}'))
        match = re.fullmatch(r'(\d+) passed, (\d+) failed, (\d+) unsupported', lines[-1])
        expect(match, f'{lines[-1:]} {error}')
        passed, failed = int(match[1]), int(match[2])
        note(f'{folder}: {lines[-1]}')
        expect(status == 0 and failed == 0, [line for line in lines if 'FAILED' in line])
        expect(passed >= least, f'{folder}: {passed} of {least}')
        unsupported = [line for line in lines[:-1] if line.startswith('unsupported')]
        expect(len(unsupported) == int(match[3]), f'{len(unsupported)} are named')


def the_shared_models_pass():
    """verify: the networks made of the supported operators pass"""
    for name in ('mnist_cntk_8', 'mnist14_conv_pytorch', 'keras2onnx_lstm_toy', 'dtln_1',
                 'super_resolution_10', 'arch_squeezenet_rnd'):
        expect_verdict([need_data(f'models/{name}')], 0, '1 passed, 0 failed, 0 unsupported')


def small_network(path, batch='n'):
    """Conv 3x3 of 2 channels on 5x5, Relu, Flatten, MatMul to 4: 18 + 72 numbers"""
    graph = model([node('Conv', ['x', 'w'], ['c'], 'look'), node('Relu', ['c'], ['r'], 'bend'),
                   node('Flatten', ['r'], ['f'], 'flat'), node('MatMul', ['f', 'd'], ['y'], 'out')],
                  [value('x', FLOAT, [batch, 1, 5, 5])], [value('y', FLOAT, [batch, 4])],
                  [tensor('w', FLOAT, [2, 1, 3, 3], [0.5] * 18),
                   tensor('d', FLOAT, [18, 4], [0.25] * 72)])
    write(path, graph)
    return path


def inspect_counts_what_a_model_costs():
    """inspect --json: shapes, parameters, multiply-accumulates, what was fused, operators"""
    path = small_network(os.path.join(FOLDER.name, 'small.onnx'))
    status, lines, error = vigil('inspect', '--json', path)
    expect(status == 0 and len(lines) == 1, f'{status} {lines} {error}')
    told = json.loads(lines[0])
    layers = {layer['name']: layer for layer in told['layers']}
    expect([layer['name'] for layer in told['layers']] == ['look', 'bend', 'flat', 'out'], told)
    expect(layers['look']['shape'] == [1, 2, 3, 3] and layers['look']['parameters'] == 18, told)
    expect(layers['look']['macs'] == 2 * 9 * 9 and layers['out']['macs'] == 18 * 4, told)
    expect(layers['bend']['fused_into'] == 0 and 'fused_into' not in layers['look'], told)
    expect(told['parameters'] == 90 and told['macs_per_window'] == 162 + 72, told)
    expect(told['macs_per_frame'] == 0 and told['window'] == 0, told)
    expect(told['operators'] == {'Conv': 1, 'Flatten': 1, 'MatMul': 1, 'Relu': 1}, told)
    expect(told['kernels'] in KERNELS, told)
    expect(told['arena_bytes'] > 0 and told['weight_bytes'] >= 90 * 4, told)
    expect(told['inputs'] == [{'name': 'x', 'type': 'float32', 'shape': [1, 1, 5, 5]}], told)


def inspect_counts_parameters_as_they_are_stored():
    """inspect: an 8-bit weight is one byte, its scale a float of four"""
    graph = model([node('DequantizeLinear', ['q', 's', 'z'], ['w'], 'widen'),
                   node('MatMul', ['x', 'w'], ['y'], 'out')],
                  [value('x', FLOAT, [1, 64])], [value('y', FLOAT, [1, 64])],
                  [tensor('q', INT8, [64, 64], [1] * 4096), tensor('s', FLOAT, [], [0.5]),
                   tensor('z', INT8, [], [0])])
    path = os.path.join(FOLDER.name, 'bytes.onnx')
    write(path, graph)
    _, lines, error = vigil('inspect', path)
    expect('Parameters   4097 (4.0 KiB)' in lines, f'{lines} {error}')
    told = json.loads(vigil('inspect', '--json', path)[1][0])
    expect((told['parameters'], told['parameter_bytes']) == (4097, 4096 + 4), told)


def inspect_shows_the_cut_of_the_model_that_comes_with_vigil():
    """inspect NAME: the table with what runs per frame and per window, metadata, costs"""
    status, lines, error = vigil('inspect', 'scene')
    text = '\n'.join(lines)
    expect(status == 0 and not error, f'{status} {error}')
    frame, window = text.find('-- once per frame'), text.find('-- once per window of 8 frames')
    expect(0 < frame < text.find('look1 (Conv)') < window < text.find('lstm (LSTM)'), text)
    for word in ('Params', 'vigil.labels = quiet,movement', 'Per frame', 'Per window', 'MACs',
                 'floating-point operations', 'Kernels', 'Memory', 'in look1'):
        expect(word in text, f'no {word} in {text}')
    status, lines, _ = vigil('inspect', '--json', 'scene')
    told = json.loads(lines[0])
    expect(sum(layer['parameters'] for layer in told['layers']) == told['parameters'], told)
    per_frame = sum(layer['macs'] if layer['runs'] == 'frame' else layer.get('frame_macs', 0)
                    for layer in told['layers'])
    expect(per_frame == told['macs_per_frame'] > 0, told)
    expect(told['streams'] and told['metadata']['vigil.layout'] == 'NTCHW', told)
    expect(told['file'] == os.path.join(SOURCE, 'models', 'scene.onnx') or
           told['file'].endswith('/models/scene.onnx'), told['file'])


def inspect_says_why_a_detector_is_not_for_streams():
    """inspect: what gives boxes or maps is told apart from a classifier of too many classes"""
    for name, dims, kinds, words in (
            ('boxes', [1, 40, 85], ['y'], "the model's 3400 numbers are no score for each label: boxes "
             'and maps are not read from streams yet (vigil bench, model verify and model quantize'),
            ('heads', [1, 400], ['y', 'z'], "the model's 400 numbers are no score"),
            ('classes', [1, 1000], ['y'], 'the model gives 1000 scores; at most 256 are supported')):
        path = os.path.join(FOLDER.name, f'{name}.onnx')
        pictures, count = [1, 3, 8, 8], math.prod(dims)
        write(path, model([node('Flatten', ['x'], ['f'], 'flat'), node('MatMul', ['f', 'w'], ['m'], 'm'),
                           *(node('Reshape', ['m', 's'], [kind], kind) for kind in kinds)],
                          [value('x', FLOAT, pictures)], [value(kind, FLOAT, dims) for kind in kinds],
                          [tensor('w', FLOAT, [192, count], [0.5] * 192 * count),
                           tensor('s', INT64, [len(dims)], dims)]))
        told = json.loads(vigil('inspect', '--json', path)[1][0])
        expect(not told['streams'] and words in told['not_for_streams'], told['not_for_streams'])


def inspect_says_what_each_run_decides():
    """inspect: a shape that only a run can tell is the most it can be, and told as such"""
    path = os.path.join(FOLDER.name, 'late.onnx')
    write(path, model([node('NonZero', ['x'], ['y'], 'find')], [value('x', FLOAT, [2, 3])],
                      [value('y', INT64, ['rank', 'n'])]))
    status, lines, _ = vigil('inspect', path)
    text = '\n'.join(lines)
    expect(status == 0 and 'int64 [2, 6] at most, each run decides' in text, text)
    status, lines, _ = vigil('inspect', '--json', path)
    told = json.loads(lines[0])
    expect(status == 0 and 'late' not in told['inputs'][0], told)
    expect(told['outputs'] == [{'name': 'y', 'type': 'int64', 'shape': [2, 6], 'late': True}],
           told)


def inspect_says_what_it_assumed():
    """inspect: open dimensions are taken as 1 and told; --shape says otherwise"""
    path = os.path.join(FOLDER.name, 'open.onnx')
    write(path, model([node('Relu', ['x'], ['y'], 'bend')], [value('x', FLOAT, ['n', 'm', 3])],
                      [value('y', FLOAT, ['n', 'm', 3])]))
    status, lines, _ = vigil('inspect', path)
    text = '\n'.join(lines)
    expect(status == 0 and "input 'x': dimension 1 is open, taken as 1" in text, text)
    expect('Not for streams' in text, text)
    status, lines, _ = vigil('inspect', '--json', '--shape', '2x7x3', path)
    told = json.loads(lines[0])
    expect(status == 0 and told['outputs'][0]['shape'] == [2, 7, 3] and not told['assumed'], told)
    status, lines, _ = vigil('inspect', '--json', '--shape', 'x=2x7x3', '--time-axis', '1', path)
    told = json.loads(lines[0])
    expect(told['window'] == 7 and told['layers'][0]['runs'] == 'frame', told)
    kernel = os.path.join(FOLDER.name, 'kernel.onnx')
    with open(kernel, 'wb') as file:
        file.write(model([node('MaxPool', ['x'], ['y'], 'pool', kernel_shape=[3, 3])],
                         [value('x', FLOAT, [1, 2, 'h', 'w'])], [value('y', FLOAT, [1, 2, 'a', 'b'])]))
    status, lines, error = vigil('inspect', kernel)
    expect(status == 78 and "open dimensions were taken as 1: input 'x' is [1, 2, ?, ?]; give "
           '--shape x=1x2xNxN with numbers for N' in error, error)
    status, lines, error = vigil('inspect', '--shape', '1x2x3x3', kernel)
    expect(status == 0 and not error, error)
    for shape, word in (('2x7', 'dimensions'), ('2x7x4', 'dimension 2'), ('2xx', '--shape'),
                        ('z=1', 'no such input')):
        status, lines, error = vigil('inspect', '--shape', shape, path)
        expect(status in (2, 78) and not lines and word in error, f'{shape}: {status} {error}')


def names_that_are_no_text_are_told_as_json_can():
    """inspect --json: a path that is not UTF-8 still gives one JSON object"""
    path = os.fsencode(FOLDER.name) + b'/\xff.onnx'
    write(path, open(small_network(os.path.join(FOLDER.name, 'text.onnx')), 'rb').read())
    status, lines, error = vigil('inspect', '--json', path)
    expect(status == 0 and json.loads(lines[0])['file'].endswith('\ufffd.onnx'), f'{lines} {error}')


def inspect_names_what_stands_in_the_way():
    """inspect: what cannot be run is refused in one line that names it, with its exit code"""
    path = os.path.join(FOLDER.name, 'ring.onnx')
    write(path, model([node('StringSplit', ['x'], ['y'], 'ring')], [value('x', FLOAT, [1])],
                      [value('y', FLOAT, [1])]))
    garbage = os.path.join(FOLDER.name, 'garbage.onnx')
    write(garbage, b'garbage')
    for given, code, word in ((path, 78, 'StringSplit'), (garbage, 78, 'not an ONNX model'),
                              ('/nonexistent.onnx', 66, '/nonexistent.onnx'),
                              (FOLDER.name, 66, FOLDER.name), ('nosuchmodel', 66, 'nosuchmodel')):
        status, lines, error = vigil('inspect', given)
        expect(status == code and not lines and word in error and len(error.splitlines()) == 1,
               f'{given}: {status} {lines} {error}')


TESTS = [what_is_right_passes, a_wrong_output_is_told_with_node_operator_and_error,
         the_first_wrong_output_is_named, what_vigil_lacks_is_named_and_no_failure,
         doubles_are_converted,
         tolerances_are_as_documented, not_a_number_equals_itself_only,
         integers_and_bools_are_exact, another_shape_or_type_fails,
         initializers_that_are_inputs_are_not_fed, tensors_without_names_are_taken_in_order,
         bad_test_data_fails_and_is_told, what_of_a_data_set_cannot_be_read_is_named,
         the_largest_difference_is_told_when_asked_for, every_data_set_counts,
         folders_are_searched_to_any_depth,
         nothing_to_verify_is_no_success,
         what_is_named_and_cannot_be_read_is_no_failed_test, hostile_names_do_not_reach_the_terminal,
         the_shared_tests_pass, the_shared_models_pass, inspect_counts_what_a_model_costs,
         inspect_counts_parameters_as_they_are_stored,
         inspect_shows_the_cut_of_the_model_that_comes_with_vigil, inspect_says_what_it_assumed,
         inspect_says_why_a_detector_is_not_for_streams, inspect_says_what_each_run_decides,
         names_that_are_no_text_are_told_as_json_can, inspect_names_what_stands_in_the_way]


run_tests(TESTS)
