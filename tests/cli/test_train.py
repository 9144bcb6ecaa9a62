#!/usr/bin/env python3
"""vigil train: networks that learn small pictures written here, stopped, killed and continued."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from eventsfile import read_events  # noqa: E402
from harness import PATIENCE, VIGIL, expect, run_tests  # noqa: E402
from trainable import learned, path, run, train, write_pictures, write_recipe  # noqa: E402


def digest(name):
    with open(path(name), 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def refused(recipe, code, *words):
    status, said, error = train(recipe, 'refused.onnx')
    expect(status == code, f'exit {status}, not {code}: {said} {error}')
    expect(error.count('\n') == 1, f'not one line: {error}')
    for word in words:
        expect(word in error, f'no {word!r} in {error!r}')
    for left in ('refused.onnx', 'refused.onnx.checkpoint'):
        expect(not os.path.exists(path(left)), f'{left} is there')


def it_learns_and_what_it_wrote_runs():
    """a network learns, and the file it writes is a model that says what it is"""
    said = learned(write_recipe('learns.ini'), 'learns.onnx').splitlines()
    accuracy = float(said[-1].split('accuracy ')[1].split()[0])
    expect(accuracy >= 0.95, said[-1])
    expect(any(line == 'Total params: 2,915' for line in said), f'{said}')
    expect(len([line for line in said if line.startswith('epoch ')]) == 4, f'{said}')
    expect(not os.path.exists(path('learns.onnx.checkpoint')), 'a checkpoint is left')
    inspect = subprocess.run([VIGIL, 'model', 'inspect', '--json', path('learns.onnx')],
                             capture_output=True, check=True, timeout=60 * PATIENCE)
    metadata = json.loads(inspect.stdout)['metadata']
    expect(metadata['vigil.labels'] == '0,1,2', f'{metadata}')
    expect(metadata['vigil.pixels'] == 'GRAY', f'{metadata}')
    metrics = json.loads(metadata['vigil.metrics'])
    expect(abs(metrics['accuracy'] - accuracy) < 1e-3, f'{metrics} {accuracy}')
    expect(metrics['validation_samples'] == 60, f'{metrics}')


def paths_may_be_from_here():
    """a recipe and the folder of its data are found by relative paths, too"""
    recipe = write_recipe('relative.ini', epochs=1)
    learned(os.path.relpath(recipe), 'beside.onnx')
    os.mkdir(path('elsewhere'))
    os.rename(recipe, path('elsewhere/relative.ini'))
    learned(os.path.relpath(path('elsewhere/relative.ini')), 'there.onnx', '--data',
            os.path.relpath(path('.')))
    expect(digest('beside.onnx') == digest('there.onnx'), 'the files differ')
    os.unlink(path('there.onnx'))


def epochs_are_told_as_json():
    """--json-lines tells each epoch as an object, then the model, and nothing else"""
    said = learned(write_recipe('json.ini'), 'json.onnx', '--json-lines').splitlines()
    *epochs, model = [json.loads(line) for line in said]
    expect(model['model'] == path('json.onnx'), f'{model}')
    expect(model['bytes'] == os.path.getsize(path('json.onnx')), f'{model}')
    expect(model['validation']['samples'] == 60, f'{model}')
    expect(all(e['epochs'] == 4 for e in epochs), f'{epochs}')
    expect([e['epoch'] for e in epochs] == [1, 2, 3, 4], f'{epochs}')
    expect(all(e['train']['samples'] == 240 for e in epochs), f'{epochs}')
    expect(all(e['validation']['samples'] == 60 for e in epochs), f'{epochs}')
    expect(epochs[-1]['train']['loss'] < epochs[0]['train']['loss'] / 2, f'{epochs}')


def threads_change_no_bit():
    """one thread and three give the same file"""
    recipe = write_recipe('threads.ini', training='[augmentation]\nflip = 0.5\nmixup = 0.4')
    learned(recipe, 'one.onnx')
    learned(recipe, 'three.onnx', '--threads', '3')
    expect(digest('one.onnx') == digest('three.onnx'), 'the files differ')


def a_killed_training_goes_on_to_the_same_bytes():
    """kill -9 in the middle, --resume: the file is that of a training that was not killed"""
    recipe = write_recipe('killed.ini', epochs=60, training='average = 0.9\n'
                          'schedule = cosine\nwarmup = 1\nmomentum = 0\nweight_decay = 1e-4')
    learned(recipe, 'whole.onnx')
    kills = 0
    checkpoint = path('killed.onnx.checkpoint')
    for delay in (0, 0.1, 0.25):
        before = os.stat(checkpoint).st_mtime_ns if os.path.exists(checkpoint) else 0
        with subprocess.Popen([VIGIL, 'train', recipe, '--out', path('killed.onnx'), '--resume'],
                              stdout=subprocess.DEVNULL) as process:
            until = time.monotonic() + 60 * PATIENCE
            while process.poll() is None and time.monotonic() < until:
                if os.path.exists(checkpoint) and os.stat(checkpoint).st_mtime_ns != before:
                    break
                time.sleep(0.005)
            time.sleep(delay)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    expect(kills >= 2, f'only {kills} were running when they were killed')
    expect(not os.path.exists(path('killed.onnx')), 'it ended before it was killed')
    code, said, error = train(recipe, 'killed.onnx')
    expect(code == 2 and '--resume' in error, f'{code} {said} {error}')
    said = learned(recipe, 'killed.onnx', '--resume')
    expect('epoch 1/' not in said, 'it began anew')
    expect(digest('killed.onnx') == digest('whole.onnx'), 'the files differ')


def ctrl_c_keeps_what_was_learned():
    """Ctrl-C ends with a line that says how to go on"""
    recipe = write_recipe('stopped.ini', epochs=2000)
    with subprocess.Popen([VIGIL, 'train', recipe, '--out', path('stopped.onnx')],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith('epoch 2/'):
                break
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60 * PATIENCE)
    expect(process.returncode == 1, f'exit {process.returncode}')
    expect('--resume' in error and 'stopped.onnx.checkpoint' in error, error)
    expect(os.path.exists(path('stopped.onnx.checkpoint')), 'no checkpoint')
    code, _, error = train(write_recipe('other.ini', epochs=3), 'stopped.onnx', '--resume')
    expect(code == 78 and 'another recipe' in error, f'{code} {error}')


def events():
    """What the files of the training's report tell, in their order."""
    names = sorted(os.listdir(path('report')))
    return names, [event for name in names for event in read_events(path(f'report/{name}'))]


def tensorboard_is_told_each_epoch():
    """--report writes each epoch as TensorBoard reads it, also of a training that goes on"""
    recipe = write_recipe('report.ini', epochs=5)
    report = ('--json-lines', '--report', path('report'))
    lines = [json.loads(line) for line in learned(recipe, 'report.onnx', *report).splitlines()]
    names, told = events()
    expect(names == ['events.out.tfevents.0000000000.vigil-train'], f'{names}')
    expect([step for step, _ in told] == [1, 2, 3, 4, 5], f'{told}')
    for line, (_, numbers) in zip(lines, told):
        for tag, number in (('loss/train', line['train']['loss']), ('rate', line['rate']),
                            ('loss/validation', line['validation']['loss']),
                            ('accuracy/train', line['train']['accuracy']),
                            ('accuracy/validation', line['validation']['accuracy'])):
            expect(abs(numbers[tag] - number) <= 1e-6 * abs(number), f'{tag}: {numbers} {line}')
    # Stopped behind the second epoch, and continued: the same numbers.
    with subprocess.Popen([VIGIL, 'train', write_recipe('long.ini', epochs=2000), '--out',
                           path('long.onnx'), *report], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        for line in process.stdout:
            if json.loads(line)['epoch'] == 2:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * PATIENCE)
    before = len(events()[1])
    expect(before >= 2 and len(events()[0]) == 1, f'{events()}')
    with subprocess.Popen([VIGIL, 'train', path('long.ini'), '--resume', '--out',
                           path('long.onnx'), *report], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * PATIENCE)
    names, told = events()
    expect(names[1] == f'events.out.tfevents.{before:010}.vigil-train', f'{names}')
    expect([step for step, _ in told] == list(range(1, len(told) + 1)) and len(told) > before,
           f'{told}')
    os.unlink(path('long.onnx.checkpoint'))
    # Another training forgets them.
    learned(recipe, 'report.onnx', '--force', *report)
    expect(len(events()[0]) == 1 and len(events()[1]) == 5, f'{events()}')
    code, _, error = train(recipe, 'no.onnx', '--report', path('.'))
    expect(code == 2 and 'something else' in error, f'{code} {error}')
    expect(not os.path.exists(path('no.onnx')), 'it learned nevertheless')


def read_card(name):
    with open(path(name), encoding='utf-8') as file:
        return file.read()


def a_card_tells_what_it_learned_from():
    """beside the model: data, split, figures of what was held back, limits, the recipe"""
    learned(write_recipe('card.ini'), 'card.onnx')
    card = read_card('card.md')
    code, said, error = run('eval', path('card.onnx'), '--recipe', path('card.ini'), '--json')
    f = json.loads(said)
    expect(code == 0, error)
    expect(f'Accuracy **{f["accuracy"]:.4f}** of 60 samples' in card, card)
    expect(f['data']['sha256'] in card, card)
    for label, c in enumerate(f['classes']):
        expect(f'| {label} | 80 | 20 |' in card, card)
        expect(f'| {label} | 20 | {c["precision"]:.4f} | {c["recall"]:.4f} | {c["f1"]:.4f} | '
               f'{c["auc"]:.4f} |' in card, card)
    for words in ('the last 60 samples', 'pictures of 12×12 pixels (width × height), grey',
                  'Who always says 0 is right in 0.3333', 'chose the epoch',
                  'is not known: what was held back', 'fewer than 30 samples of each', '4 epochs',
                  'none of 60 samples was wrong leaves room for up to 5.0 %',
                  '    layers = conv2d 16 3 relu; maxpool2d 2;', '    [training]\n'):
        expect(words in card, f'no {words!r} in {card}')
    learned(write_recipe('blind.ini', validation='0'), 'blind.onnx')
    card = read_card('blind.md')
    expect('nothing is known' in card and 'Accuracy' not in card, card)
    learned(write_recipe('auto.ini', loss='mean_squared_error', epochs=1,
                         layers='flatten; dense 4 relu; dense 144'), 'auto.onnx')
    expect('Its labels were not what it learned' in read_card('auto.md'), read_card('auto.md'))


def a_card_holds_what_others_wrote_as_text():
    """names of labels and lines of a recipe stay what they are; a file that is no card stays"""
    with open(path('odd.names'), 'w', encoding='utf-8') as file:
        file.write('<script>|x|\n**bold** `code`\n[a](b)\u202e\n')
    learned(write_recipe('odd.ini', epochs=1, more='classes = odd.names\n# </pre>```\n#\x1b[31m'),
            'odd.onnx')
    card = read_card('odd.md')
    expect('| &lt;script\\>\\|x\\| | 80 | 20 |' in card, card)
    expect('\\*\\*bold\\*\\* \\`code\\`' in card and '\\[a\\](b)\ufffd' in card, card)
    expect('\n    # </pre>```\n    #\ufffd[31m\n' in card and '\x1b' not in card, card)
    with open(path('odd.md'), 'w', encoding='utf-8') as file:
        file.write('# My notes\n')
    code, _, error = train(path('odd.ini'), 'odd.onnx', '--force')
    expect(code == 0 and 'odd.md is no card' in error and error.count('\n') == 1, error)
    expect(read_card('odd.md') == '# My notes\n', 'notes were replaced')


def slips_are_told_in_one_line():
    """what is wrong with a recipe or data is told in a line that names the place"""
    refused(path('none.ini'), 66, 'none.ini')
    refused(write_recipe('slip.ini', layers='conv3d 16'), 78, 'slip.ini', '[model]', 'conv3d')
    refused(write_recipe('slip.ini', training='rat = 1'), 78, '[training]', 'rat', 'rate')
    refused(write_recipe('slip.ini', training='[augmentation]\nmixup = -1'), 78, 'mixup', '0 to 100')
    refused(write_recipe('slip.ini', model='[train]'), 78, '[train]', '[training]')
    refused(write_recipe('slip.ini', rate='fast'), 78, 'rate', 'number')
    refused(write_recipe('slip.ini', batch='0.5'), 78, 'batch', 'whole number')
    refused(write_recipe('slip.ini', loss='crossentropy'), 78, 'loss', 'categorical_crossentropy')
    refused(write_recipe('slip.ini', validation='last 300'), 78, 'none to learn')
    refused(write_recipe('slip.ini', validation='0', training='patience = 3'), 78, 'validation')
    refused(write_recipe('slip.ini', input='16x16x1'), 78, '12')
    refused(write_recipe('slip.ini', layers='flatten; dense 5 softmax'), 78, '5', '3')
    refused(write_recipe('slip.ini', data='missing'), 66, 'missing.')


def bad_data_is_told_in_one_line():
    """truncated files, labels that do not fit, and one class only"""
    write_pictures('cut', cut=100)
    refused(write_recipe('bad.ini', data='cut'), 78, 'cut.images')
    write_pictures('alike', labels=[1] * 300)
    refused(write_recipe('bad.ini', data='alike'), 78, 'class 1')
    write_pictures('short', count=200)
    os.rename(path('short.images'), path('mixed.images'))
    os.link(path('pictures.labels'), path('mixed.labels'))
    refused(write_recipe('bad.ini', data='mixed'), 78, 'mixed')


def a_loss_that_is_no_number_stops():
    """a rate that is too large ends with the step and the layer"""
    code, _, error = train(write_recipe('nan.ini', rate=100, epochs=50, scale=1e9,
                                        training='optimizer = sgd'), 'nan.onnx')
    expect(code == 1, f'exit {code}: {error}')
    expect('step ' in error and 'conv2d' in error, error)


def other_files_are_not_replaced():
    """a model that is there stays, unless --force says otherwise"""
    recipe = write_recipe('there.ini', epochs=1)
    learned(recipe, 'there.onnx')
    before = digest('there.onnx')
    code, _, error = train(write_recipe('there2.ini', epochs=2), 'there.onnx')
    expect(code != 0 and '--force' in error, f'{code} {error}')
    expect(digest('there.onnx') == before, 'it was replaced')
    learned(path('there2.ini'), 'there.onnx', '--force')
    expect(digest('there.onnx') != before, 'it was not replaced')
    code, _, error = train(recipe, 'there.ini', '--force')
    expect(code != 0, 'a recipe was replaced')


write_pictures('pictures')
run_tests([
    it_learns_and_what_it_wrote_runs, paths_may_be_from_here, epochs_are_told_as_json, threads_change_no_bit,
    a_killed_training_goes_on_to_the_same_bytes, ctrl_c_keeps_what_was_learned,
    tensorboard_is_told_each_epoch, a_card_tells_what_it_learned_from,
    a_card_holds_what_others_wrote_as_text, slips_are_told_in_one_line, bad_data_is_told_in_one_line, a_loss_that_is_no_number_stops,
    other_files_are_not_replaced])
