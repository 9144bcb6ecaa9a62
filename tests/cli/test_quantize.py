#!/usr/bin/env python3
"""vigil model quantize: on clips of the tree and small models written here, and on FastestDet."""
import json
import math
import os
import random
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import BUILD, PATIENCE, SOURCE, VIGIL, expect, need_data, note, run_tests  # noqa: E402
from onnxfile import FLOAT, data, model, node, tensor, value  # noqa: E402

FOLDER = tempfile.TemporaryDirectory()
RUN_MODEL = os.path.join(BUILD, 'tests', 'tools', 'run_model')
CLIPS = os.path.join(SOURCE, 'pipeline', 'warmup')
CLIP = os.path.join(CLIPS, 'h264.mp4')
SHAPE = [1, 3, 24, 32]


def path_of(name):
    return os.path.join(FOLDER.name, name)


def write(name, content):
    path = path_of(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def quantize(*arguments, cwd=None):
    result = subprocess.run([VIGIL, 'model', 'quantize', *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=300 * PATIENCE, check=False, text=True,
                            cwd=cwd)
    expect(result.returncode >= 0, f'{arguments}: signal {-result.returncode}')
    return result.returncode, result.stdout, result.stderr


def expect_made(*arguments):
    status, out, error = quantize(*arguments)
    expect(status == 0 and error == '', f'{arguments}: exit {status}: {error}')
    return out


def expect_refused(code, words, *arguments):
    status, out, error = quantize(*arguments)
    expect(status == code, f'{arguments}: exit {status}, not {code}: {out}{error}')
    expect(words in error and error.count('\n') == 1, f'{arguments}: {error!r} has no {words!r}')


def weights(name, dims, seed):
    state = random.Random(seed)
    return tensor(name, FLOAT, dims, [state.uniform(-0.4, 0.4) for _ in range(math.prod(dims))])


def small_model(labels='left,right'):
    """Two convolutions, a mean over the picture, two scores."""
    graph = model([node('Conv', ['x', 'w'], ['a'], 'first', pads=[1, 1, 1, 1]),
                   node('Relu', ['a'], ['b'], 'relu'),
                   node('Conv', ['b', 'v'], ['c'], 'second'),
                   node('GlobalAveragePool', ['c'], ['d'], 'mean'),
                   node('Flatten', ['d'], ['y'], 'flat')],
                  [value('x', FLOAT, SHAPE)], [value('y', FLOAT, [1, 2])],
                  [weights('w', [6, 3, 3, 3], 1), weights('v', [2, 6, 3, 3], 2)])
    return graph + (data(14, data(1, 'vigil.labels') + data(2, labels)) if labels else b'')


def small():
    return write('small.onnx', small_model())


def picture(seed):
    state = random.Random(seed)
    return tensor('x', FLOAT, SHAPE, [state.random() for _ in range(math.prod(SHAPE))])


def outputs_of(path, tensor_path, *kernels):
    result = subprocess.run([RUN_MODEL, path, tensor_path, *kernels], capture_output=True,
                            check=False, timeout=60 * PATIENCE)
    expect(result.returncode == 0, f'{path}: {result.stderr}')
    return struct.unpack(f'<{len(result.stdout) // 4}f', result.stdout)


def a_clip_gives_a_model_that_computes_about_the_same():
    """a clip of the tree quantises a model, which then gives about the outputs it gave"""
    out = path_of('clip.onnx')
    said = expect_made(small(), '--calibrate', CLIP, '--out', out)
    expect('Layers      2 of 2 in 8 bits' in said and 'of 1 file,' in said, said)
    expect('Output      y: signal to noise' in said, said)
    probe = write('probe.pb', picture(3))
    for kernels in ([], ['reference']):
        before = outputs_of(small(), probe, *kernels)
        after = outputs_of(out, probe, *kernels)
        off = max(abs(a - b) for a, b in zip(before, after))
        expect(0 < off < 0.02, f'{before} became {after}')
    inspected = subprocess.run([VIGIL, 'model', 'inspect', '--json', out], capture_output=True,
                               check=True, text=True)
    metadata = json.loads(inspected.stdout)['metadata']
    expect(metadata.get('vigil.labels') == 'left,right', f'{metadata}')


def the_same_clips_give_the_same_bytes():
    """two runs over the same clips write the same file, byte for byte"""
    for name in ('one.onnx', 'two.onnx'):
        expect_made(small(), '--calibrate', CLIPS, '--out', path_of(name), '--samples', '5')
    expect(read(path_of('one.onnx')) == read(path_of('two.onnx')), 'the files differ')


def folders_clips_and_tensors_may_be_mixed():
    """clips behind FILE, folders of clips, tensors and data sets are all samples"""
    write('set/input_0.pb', picture(1))
    write('set/output_0.pb', b'no sample')
    write('mixed/a.pb', picture(2))
    write('mixed/LICENSE.txt', b'no sample either')
    write('mixed/b/input_0.pb', picture(3))
    shutil.copy(CLIP, path_of('mixed/c.mp4'))
    said = expect_made(small(), '-c', path_of('set'), '-o', path_of('mixed.onnx'), '-n', '4',
                       path_of('mixed'), CLIP)
    expect('Calibrated  11 samples of 5 files' in said, said)


def layers_are_listed_and_may_be_kept():
    """--verbose lists each layer with its noise, --keep leaves one in float"""
    said = expect_made(small(), '-c', CLIP, '-o', path_of('kept.onnx'), '-v', '--keep', 'sec*')
    lines = said.splitlines()
    expect(any(l.startswith('first') and '8 bits' in l and l.endswith('dB') for l in lines), said)
    expect(any(l.startswith('second') and 'float, as asked' in l for l in lines), said)
    expect('1 of 2 in 8 bits' in said, said)


def accuracy_is_told_where_labels_are_given():
    """--labels tells how many labelled files each network gets right"""
    for i in range(6):
        write(f'labelled/{i}.pb', picture(i))
    right = outputs_of(small(), path_of('labelled/0.pb'))
    best, other = ('left', '1') if right[0] > right[1] else ('right', '0')
    write('labelled/table.csv',
          'clip,label,source\n' + ''.join(f'{i}.pb, {best},x\n' for i in range(4)) +
          f'\n4.pb,{other}\n')
    said = expect_made(small(), '-c', path_of('labelled/0.pb'), '-o', path_of('labelled.onnx'),
                       '--labels', path_of('labelled/table.csv'))
    expect('Accuracy    80.0 % before, 80.0 % after, on 5 labelled files' in said, said)
    write('labelled/wrong.csv', '0.pb,left\n1.pb,middle\n')
    expect_refused(66, 'wrong.csv:2: "middle" is no label', small(), '-c',
                   path_of('labelled/0.pb'), '-o', path_of('x.onnx'), '-l',
                   path_of('labelled/wrong.csv'))
    expect(not os.path.exists(path_of('x.onnx')), 'it was written all the same')


def tables_of_spreadsheets_are_read():
    """--labels: a byte order mark, fields in quotes, line ends of Windows; labels without names"""
    for i in range(2):
        write(f'sheet/{i}.pb', picture(i))
    shutil.copy(path_of('sheet/0.pb'), path_of('sheet/a "b", c.pb'))
    right = outputs_of(small(), path_of('sheet/0.pb'))
    best = right.index(max(right))
    unnamed = write('unnamed.onnx', small_model(''))
    for path, label in ((small(), ('left', 'right')[best]), (unnamed, f'class_{best}')):
        write('sheet/table.csv', '\ufeff"a ""b"", c.pb","%s"\r\n"1.pb", %s ,,\r\n' %
              (label, best))
        said = expect_made(path, '-c', path_of('sheet/0.pb'), '-o', path_of('sheet.onnx'), '-f',
                           '-l', path_of('sheet/table.csv'))
        expect('100.0 % before, 100.0 % after, on 2 labelled files' in said, said)


def tables_that_say_nothing_are_refused():
    """--labels: what is no label is told with what was meant; maps and single scores are no labels"""
    write('labels/0.pb', picture(0))
    write('labels/near.csv', '0.pb,lefft\n')
    write('labels/good.csv', '0.pb,0\n')
    write('labels/far.csv', '0.pb;left\n')
    write('labels/nothing.csv', '0.pb,left\n,right\n')
    outputs = (('map', ['c', SHAPE[2:]]), ('single', ['d', [1, 1]]))
    graphs = [write(f'{name}.onnx', model(
        [node('Conv', ['x', 'w'], ['a'], 'first', pads=[1, 1, 1, 1]),
         node('Conv', ['a', 'v'], ['c'], 'second'), node('GlobalAveragePool', ['c'], ['d'], 'mean')],
        [value('x', FLOAT, SHAPE)], [value(output, FLOAT, [1, 1, *dims])],
        [weights('w', [6, 3, 3, 3], 1), weights('v', [1, 6, 1, 1], 2)]))
        for name, (output, dims) in outputs]
    for code, words, path, table in (
            (66, 'near.csv:1: "lefft" is no label of the model: give a name of vigil.labels, or 0 '
             'to 1; did you mean left?', small(), 'near'),
            (66, 'far.csv:1: there is no comma: a line is a file and its label with a comma between, as '
             'a.mp4,left, not a semicolon or tab', small(), 'far'),
            (66, 'is no label of the model: it names none, give 0 to 1', write(
                'unnamed.onnx', small_model('')), 'near'),
            (66, 'nothing.csv:2: no file is named', small(), 'nothing'),
            (78, 'float32 [1, 1, 24, 32], not a score for each', graphs[0], 'good'),
            (78, 'float32 [1, 1, 1, 1], not a score for each', graphs[1], 'good')):
        expect_refused(code, words, path, '-c', path_of('labels/0.pb'), '-o', path_of('x.onnx'),
                       '-l', path_of(f'labels/{table}.csv'))


def what_is_wrong_is_one_line():
    """whatever is missing or wrong is one line that says what, and nothing is written"""
    out = path_of('never.onnx')
    made = write('there.onnx', small_model())
    text = write('text.mp4', 'no clip at all, but long enough to be looked at\n' * 40)
    dense = write('relu.onnx', model([node('Relu', ['x'], ['y'], 'relu')],
                                     [value('x', FLOAT, SHAPE)], [value('y', FLOAT, SHAPE)]))
    os.makedirs(path_of('empty'), exist_ok=True)
    for code, words, arguments in (
            (2, 'give a model', ['-c', CLIP, '-o', out]),
            (2, '--calibrate: give clips', [small(), '-o', out]),
            (2, '--out: say where', [small(), '-c', CLIP]),
            (2, 'is there already (--force', [small(), '-c', CLIP, '-o', made]),
            (2, '--percentile', [small(), '-c', CLIP, '-o', out, '-p', '101']),
            (2, '--samples', [small(), '-c', CLIP, '-o', out, '-n', '0']),
            (2, '--set colour', [small(), '-c', CLIP, '-o', out, '-s', 'colour']),
            (66, 'No such file', [small(), '-c', path_of('nowhere.mp4'), '-o', out]),
            (66, 'no MP4, Matroska', [small(), '-c', text, '-o', out]),
            (66, 'no clip and no tensor', [small(), '-c', path_of('empty'), '-o', out]),
            (66, "input 'x' is float32 [1, 3, 24, 32], this is another", [small(), '-c', write('small.pb', tensor(
                'x', FLOAT, [2], [1, 2])), '-o', out]),
            (78, 'nothing to quantise', [dense, '-c', write('ok.pb', picture(0)), '-o', out]),
            (78, "called 'third'", [small(), '-c', CLIP, '-o', out, '-k', 'third']),
            (78, 'vigil.layout NCHW: the channel axis holds 5', [write('five.onnx', model(
                [node('Conv', ['x', 'w'], ['a'], 'one'), node('Conv', ['a', 'w'], ['y'], 'two')],
                [value('x', FLOAT, [1, 5, 4, 4])], [value('y', FLOAT, [1, 5, 4, 4])],
                [weights('w', [5, 5, 1, 1], 1)])), '-c', CLIP, '-o', out, '-s',
                'layout=NCHW'])):
        expect_refused(code, words, *arguments)
    expect(not os.path.exists(out), f'{out} was written')
    expect(read(made) == small_model(), 'a file that was there was replaced')
    expect_made(small(), '-c', CLIP, '-o', made, '--force')
    expect(read(made) != small_model(), '--force did not replace it')


def a_table_is_looked_for_from_where_one_stands():
    """--labels with a relative path; lines that name no file or label are told by their number"""
    for i in range(3):
        write(f'relative/{i}.pb', picture(i))
    write('relative/table.csv', '0.pb,0\n1.pb,1\n')
    for table in ('table.csv', './table.csv', '../relative/table.csv'):
        status, said, error = quantize(small(), '-c', '0.pb', '-o', 'made.onnx', '-f', '-l', table,
                                       cwd=path_of('relative'))
        expect(status == 0 and error == '' and 'on 2 labelled files' in said, f'{said}{error}')
    sample = path_of('relative/2.pb')
    for words, content in (('no line names a file', 'a.pb,5\n'),
                           ('no line names a file', 'file,label\n\n'),
                           ('odd.csv:1: cannot read', 'a.pb,1\n0.pb,1\n'),
                           ('odd.csv:3: cannot read', '0.pb,1\n\nb.pb,1\n'),
                           ('odd.csv:2: "2" is no label', '0.pb,1\n1.pb,2\n'),
                           ('odd.csv:2: there is no comma', '0.pb,1\n0.pb\n'),
                           ('between, as a.mp4,left, not a semicolon', '0.pb;1\n'),
                           ('odd.csv:1: "" is no label', '0.pb,\n')):
        table = write('relative/odd.csv', content)
        status, said, error = quantize(small(), '-c', sample, '-o', path_of('odd.onnx'), '-l', table)
        expect(status == 66 and words in error and error.count('\n') == 1, f'{content}: {error}')
        expect(said == '', f'{content}: it was calibrated first: {said}')


def what_may_grow_no_further_leaves_nothing_behind():
    """--out: a limit on the size of files (ulimit -f) is told, and no half file stays"""
    sample, folder = write('limited/0.pb', picture(0)), path_of('limited')
    made = subprocess.run([VIGIL, 'model', 'quantize', small(), '-c', sample, '-o', f'{folder}/out.onnx'],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * PATIENCE,
                          check=False, text=True, preexec_fn=lambda: resource.setrlimit(
                              resource.RLIMIT_FSIZE, (100, 100)))
    expect(made.returncode == 66 and 'out.onnx: it cannot be written: File too large' in made.stderr,
           f'{made}')
    expect(os.listdir(folder) == ['0.pb'], os.listdir(folder))


def nothing_but_a_file_is_replaced():
    """--out: neither what is no file, nor the model that is read; links are replaced themselves"""
    pipe, folder, link = path_of('pipe.onnx'), path_of('folder.onnx'), path_of('link.onnx')
    os.mkfifo(pipe)
    os.mkdir(folder)
    os.symlink(pipe, path_of('to_pipe.onnx'))
    os.symlink('nowhere', link)
    os.symlink(small(), path_of('same.onnx'))
    os.link(small(), path_of('hard.onnx'))
    os.makedirs(path_of('shut'))
    os.chmod(path_of('shut'), 0o500)
    for code, words, out in ((2, 'is not a file', pipe), (2, 'is a folder', folder),
                             (2, 'is not a file', path_of('to_pipe.onnx')),
                             (2, 'the file that is read', small()),
                             (2, 'the file that is read', path_of('same.onnx')),
                             (2, 'the file that is read', path_of('hard.onnx')),
                             (2, 'give the name of a file', ''),
                             (66, 'there is no folder', path_of('nowhere/x.onnx'))):
        for force in ([], ['--force']):
            expect_refused(code, words, path_of('small.onnx'), '-c', CLIP, '-o', out, *force)
    if os.geteuid() != 0:
        expect_refused(66, 'cannot write into the folder', small(), '-c', CLIP, '-o',
                       path_of('shut/x.onnx'))
    expect(read(path_of('small.onnx')) == small_model(), 'the model that was read is gone')
    expect(stat.S_ISFIFO(os.stat(pipe).st_mode), 'the pipe was replaced')
    expect_refused(2, 'a link that leads nowhere', small(), '-c', CLIP, '-o', link)
    target = write('target.onnx', small_model())
    os.unlink(link)
    os.symlink(target, link)
    expect_made(small(), '-c', CLIP, '-o', link, '-f')
    expect(read(target) == small_model() and not os.path.islink(link), 'what a link led to was replaced')


def only_models_are_replaced():
    """--force: the clips, tensors, tables and settings that are read stay, and so does all else"""
    shutil.copyfile(CLIP, path_of('mine.mp4'))
    write('mine.pb', picture(0))
    write('mine.csv', 'mine.pb,0\n')
    write('small.onnx.modelinfo', '[model]\nvigil.pixels = RGB\n')
    write('empty.onnx', b'')
    for name in ('mine.mp4', 'mine.pb', 'mine.csv', 'small.onnx.modelinfo', 'empty.onnx'):
        before = read(path_of(name))
        for force in ([], ['--force']):
            expect_refused(2, f'{name}: it is not an ONNX model, and is not replaced', small(),
                           '-c', path_of('mine.mp4'), path_of('mine.pb'), '-l',
                           path_of('mine.csv'), '-o', path_of(name), *force)
        expect(read(path_of(name)) == before, f'{name} was replaced')
    os.unlink(path_of('small.onnx.modelinfo'))


def what_is_wrong_is_told_before_clips_are_decoded():
    """nodes to keep, settings, clips that are missing and quantised models come to light at once"""
    out, made = path_of('early.onnx'), path_of('made.onnx')
    expect_made(small(), '-c', write('ok.pb', picture(0)), '-o', made, '-f')
    text = write('late.mp4', 'no clip at all, but long enough to be looked at\n' * 40)
    for code, words, arguments in (
            (78, "called 'third'", [small(), '-c', text, '-o', out, '-k', 'third']),
            (78, 'already', [made, '-c', text, '-o', out]),
            (66, 'cannot read', [small(), '-c', text, path_of('gone.mp4'), '-o', out]),
            (2, '--set mean=x: should be numbers', [small(), '-c', text, '-o', out, '-s', 'mean=x']),
            (2, '--set resize=wide: should be one of', [small(), '-c', text, '-o', out, '-s',
                                                        'vigil.resize=wide'])):
        expect_refused(code, words, *arguments)


def what_pictures_become_is_told():
    """how frames became input, and what of that was assumed; folders that were not entered, too"""
    said = expect_made(small(), '-c', CLIP, '-o', path_of('told.onnx'), '-n', '2')
    expect('Input       RGB, less 0 and times 1/255, stretched to 32x24 (assumed: pixels, mean, '
           'scale, resize; --set' in said, said)
    said = expect_made(small(), '-c', CLIP, '-o', path_of('told.onnx'), '-n', '2', '-f', '-s',
                       'pixels=BGR', '-s', 'mean=1,2,3', '-s', 'scale=0.5', '-s', 'resize=crop')
    expect('Input       BGR, less 1,2,3 and times 0.5, cropped to 32x24\n' in said, said)
    write('deep/a.pb', picture(1))
    write('deep/below/b.pb', picture(2))
    said = expect_made(small(), '-c', path_of('deep'), '-o', path_of('told.onnx'), '-f')
    expect('1 sample of 1 file,' in said and '1 folder within was not entered' in said, said)
    expect('Input' not in said, said)


def clips_of_other_kinds_are_not_passed_over_in_silence():
    """clips in a folder go by any ending of what is read; those of other kinds are told"""
    folder = os.path.dirname(write('kinds/front.avi', b'RIFF'))
    expect_refused(66, 'no clip in it is MP4', small(), '-c', folder, '-o', path_of('kinds.onnx'))
    shutil.copy(os.path.join(CLIPS, 'h264.ts'), os.path.join(folder, 'a.MTS'))
    shutil.copy(CLIP, os.path.join(folder, 'b.3gp'))
    write('kinds/NOTES.txt', b'no clip')
    said = expect_made(small(), '-c', folder, '-o', path_of('kinds.onnx'), '-n', '2')
    expect('of 2 files,' in said and '1 clip was passed over, as front.avi: not MP4' in said, said)
    expect('NOTES' not in said, said)


def a_shape_is_enough_for_what_the_model_leaves_open():
    """--shape: clips become input of that size, without --set size"""
    open_size = write('open.onnx', model(
        [node('Conv', ['x', 'w'], ['a'], 'first', pads=[1, 1, 1, 1]),
         node('Conv', ['a', 'v'], ['y'], 'second')],
        [value('x', FLOAT, ['n', 3, 'h', 'w'])], [value('y', FLOAT, ['n', 2, 'h', 'w'])],
        [weights('w', [6, 3, 3, 3], 1), weights('v', [2, 6, 3, 3], 2)]))
    out = path_of('shaped.onnx')
    said = expect_made(open_size, '-c', CLIP, '-o', out, '--shape', '1x3x20x36', '-n', '2')
    expect('stretched to 36x20' in said, said)
    expect_refused(78, 'give --shape x=1x3xNxN', open_size, '-c', CLIP, '-o', out, '-f')


def what_is_far_off_is_pointed_at():
    """a layer that eight bits cannot hold is named with --verbose, and the output's noise is told"""
    spread = model([node('Conv', ['x', 'w'], ['a'], 'wide', group=3),
                    node('Conv', ['a', 'v'], ['b'], 'narrow'),
                    node('Flatten', ['b'], ['y'], 'flat')],
                   [value('x', FLOAT, SHAPE)], [value('y', FLOAT, [1, 24 * 32])],
                   [tensor('w', FLOAT, [3, 1, 1, 1], [1e6, 1, 1]),
                    tensor('v', FLOAT, [1, 3, 1, 1], [1e-9, 1, 1])])
    path = write('spread.onnx', spread)
    arguments = [path, '-c', write('ok.pb', picture(0)), '-o', path_of('far.onnx'), '-f']
    said = expect_made(*arguments)
    expect('Hint        below 10 dB' in said and '--verbose' in said, said)
    said = expect_made(*arguments, '--verbose')
    expect('Hint        narrow is the first layer below 10 dB' in said, said)
    said = expect_made(small(), *arguments[1:], '--verbose')
    expect('Hint' not in said, said)


def digits_are_still_told_apart():
    """a classifier of digits keeps its answers, calibrated on data sets as ONNX keeps them"""
    folder = need_data('models/mnist_cntk_8')
    table = write('digits.csv', ''.join(f'{folder}/test_data_set_{i},{digit}\n'
                                        for i, digit in enumerate((7, 2, 1))))
    said = expect_made(os.path.join(folder, 'model.onnx'), '-c', folder, '-o',
                       path_of('digits.onnx'), '-l', table)
    expect('Accuracy    100.0 % before, 100.0 % after, on 3 labelled files' in said, said)


# --- FastestDet ---------------------------------------------------------------------------------

def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def boxes_of(scores, width, height):
    """(85, 22, 22): objectness, x, y, w, h, then 80 classes; greedy suppression in each class."""
    side, found = 22, []
    squash = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    for row in range(side):
        for column in range(side):
            cell = [scores[(c * side + row) * side + column] for c in range(85)]
            kind = max(range(80), key=lambda c: cell[5 + c])
            score = cell[0] ** 0.6 * cell[5 + kind] ** 0.4
            x, y = (column + math.tanh(cell[1])) / side, (row + math.tanh(cell[2])) / side
            w, h = squash(cell[3]) / 2, squash(cell[4]) / 2
            box = [(x - w) * width, (y - h) * height, (x + w) * width, (y + h) * height]
            found.append((score, kind, box))
    kept = []
    for score, kind, box in sorted(found, key=lambda b: -b[0]):
        if score >= 0.45 and not any(k == kind and overlap(box, b) > 0.45 for _, k, b in kept):
            kept.append((score, kind, box))
    return kept


def expect_boxes(model_path, folder, *kernels):
    """Every expected box of 0.5 and more is there at IoU 0.85, no other is; the least overlap."""
    least, count = 1, 0
    for k in range(3):
        expected = json.loads(read(f'{folder}/expected_{k}.json'))
        found = boxes_of(outputs_of(model_path, f'{folder}/test_data_set_{k}/input_0.pb', *kernels),
                         expected['width'], expected['height'])
        wanted = [d for d in expected['detections'] if d['score'] >= 0.5]
        for d in wanted:
            best = max((overlap(box, d['box']) for _, kind, box in found if kind == d['cls']),
                       default=0)
            least, count = min(least, best), count + 1
            expect(best >= 0.85, f'set {k}: {d["name"]} {d["score"]}: IoU {best:.3f}')
        added = [(round(score, 3), kind) for score, kind, box in found if score >= 0.5 and not any(
            d['cls'] == kind and overlap(box, d['box']) >= 0.85 for d in wanted)]
        expect(not added, f'set {k}: added {added}')
    expect(count == 11, f'{count} boxes are expected')
    return least


def boxes_of_fastestdet_stay():
    """FastestDet, calibrated on clips, finds the 11 boxes of the shared frames and no other"""
    folder, clips = need_data('models/fastestdet'), need_data('clips')
    plain, out = os.path.join(folder, 'model.onnx'), path_of('fastestdet.onnx')
    expect(expect_boxes(plain, folder) > 0.99, 'the float model is not the one of expected_k.json')
    said = expect_made(plain, '--set', 'pixels=BGR', '--out', out, '--calibrate',
                       f'{clips}/one-by-one-person-detection.mp4', f'{clips}/bottle-detection.mp4')
    expect('70 of 70 in 8 bits' in said and 'opset 13 instead of 11' in said, said)
    note(said.strip().splitlines()[-1])
    for kernels in ([], ['reference']):
        note(f'{kernels or "best kernels"}: least IoU {expect_boxes(out, folder, *kernels):.3f}')


run_tests([a_clip_gives_a_model_that_computes_about_the_same,
           the_same_clips_give_the_same_bytes,
           folders_clips_and_tensors_may_be_mixed,
           layers_are_listed_and_may_be_kept,
           what_may_grow_no_further_leaves_nothing_behind, accuracy_is_told_where_labels_are_given,
           a_table_is_looked_for_from_where_one_stands,
           tables_of_spreadsheets_are_read,
           tables_that_say_nothing_are_refused,
           nothing_but_a_file_is_replaced,
           only_models_are_replaced,
           what_is_wrong_is_told_before_clips_are_decoded,
           what_pictures_become_is_told,
           clips_of_other_kinds_are_not_passed_over_in_silence,
           a_shape_is_enough_for_what_the_model_leaves_open,
           what_is_far_off_is_pointed_at,
           what_is_wrong_is_one_line,
           digits_are_still_told_apart,
           boxes_of_fastestdet_stay])
