#!/usr/bin/env python3
"""vigil train on a model that is there: taught further, in part, or for other classes."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import PATIENCE, VIGIL, expect, run_tests  # noqa: E402
from onnxfile import data  # noqa: E402
from trainable import learned, path, run, train, write_pictures, write_recipe  # noqa: E402


def further(name, model='', **changed):
    """A recipe that goes on from base.onnx."""
    return write_recipe(name, model=f'onnx = base.onnx\n{model}', input='', layers='',
                        **{'scale': '', 'epochs': 2, 'rate': 0.0001, **changed})


def metadata_of(name):
    code, said, error = run('model', 'inspect', '--json', path(name))
    expect(code == 0, error)
    return json.loads(said)['metadata']


def refused(recipe, code, *words):
    status, said, error = train(recipe, 'refused.onnx')
    expect(status == code, f'exit {status}, not {code}: {said} {error}')
    for word in words:
        expect(word in error, f'no {word!r} in {error!r}')
    expect(not os.path.exists(path('refused.onnx')), 'refused.onnx is there')


def it_goes_on_from_what_was_learned():
    """a model is taught further: it begins with what it knows, and pixels enter as it says"""
    said = learned(further('further.ini'), 'further.onnx', '--json-lines').splitlines()
    first = json.loads(said[0])
    expect(first['train']['accuracy'] >= 0.95, f'{first}')
    metadata = metadata_of('further.onnx')
    expect(abs(float(metadata['vigil.scale']) - 1 / 255) < 1e-9, f'{metadata}')
    expect(metadata['vigil.pixels'] == 'GRAY', f'{metadata}')
    expect(metadata['vigil.enter'] == '0.6,1:0.9', f'{metadata}')
    before = metadata_of('base.onnx')
    expect(metadata['vigil.metrics'] != before['vigil.metrics'], f'{metadata}')


def labels_keep_their_numbers():
    """classes get the numbers that the model's labels have, all of which stay"""
    with open(path('names'), 'w', encoding='utf-8') as file:
        file.write('lies\nstands\nblot\n')
    with open(path('others'), 'w', encoding='utf-8') as file:
        file.write('stands\nlies\nblot\n')
    learned(write_recipe('named.ini', more='classes = names'), 'named.onnx')
    # The same pictures, called otherwise: 0 is called stands, and is a bar that lies.
    recipe = write_recipe('swapped.ini', model='onnx = named.onnx', input='', layers='', epochs=1,
                          rate=1e-9, more='classes = others')
    first = json.loads(learned(recipe, 'swapped.onnx', '--json-lines').splitlines()[0])
    expect(0.2 < first['validation']['accuracy'] < 0.5, f'{first}')
    metadata = metadata_of('swapped.onnx')
    expect(metadata['vigil.labels'] == 'lies,stands,blot', f'{metadata}')


def a_part_stays_as_it_is():
    """what is frozen is not among what learns, and the rest is"""
    recipe = further('frozen.ini', 'freeze = max_pooling2d')
    code, said, error = run('train', recipe, '--summary')
    expect(code == 0, error)
    expect('conv2d_1.weight' in said and 'conv2d.weight' not in said, said)
    expect('2755 numbers learn' in said, said)  # of 2915, without the 160 of the first layer
    learned(recipe, 'frozen.onnx')
    code, said, error = run('train', further('whole.ini'), '--summary')
    expect(code == 0 and '2915 numbers learn' in said, f'{said} {error}')


def other_classes_begin_anew():
    """outputs = N: the last layer begins anew, and what is said by label goes"""
    write_pictures('two', labels=[i % 2 for i in range(300)])
    recipe = further('two.ini', 'freeze = flatten\noutputs = 2', data='two', rate=0.01, epochs=4)
    said = learned(recipe, 'two.onnx').splitlines()
    expect(float(said[-1].split('accuracy ')[1].split()[0]) >= 0.9, said[-1])
    metadata = metadata_of('two.onnx')
    expect(metadata['vigil.labels'] == '0,1', f'{metadata}')
    expect('vigil.enter' not in metadata, f'{metadata}')
    # Validation figures of the file that is taught are none of the new one.
    learned(further('blind.ini', 'outputs = 2', data='two', validation='0', epochs=1),
            'blind.onnx')
    expect('vigil.metrics' not in metadata_of('blind.onnx'), 'old figures are kept')


def a_checkpoint_is_of_one_file():
    """--resume refuses a checkpoint when the file that is taught is another by now"""
    recipe = further('stopped.ini', epochs=5000)
    with subprocess.Popen([VIGIL, 'train', recipe, '--out', path('stopped.onnx')],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith('epoch 2/'):
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * PATIENCE)
    expect(os.path.exists(path('stopped.onnx.checkpoint')), 'no checkpoint')
    os.rename(path('base.onnx'), path('kept.onnx'))
    learned(write_recipe('another.ini', epochs=1, training='seed = 2'), 'base.onnx')
    code, _, error = train(recipe, 'stopped.onnx', '--resume')
    os.replace(path('kept.onnx'), path('base.onnx'))
    expect(code == 78 and 'another recipe' in error, f'{code} {error}')


def slips_are_told_in_one_line():
    """what does not go together, and what is not there, is refused by key"""
    refused(write_recipe('slip.ini', model='onnx = base.onnx'), 78, '[model] input', 'onnx')
    refused(write_recipe('slip.ini', model='freeze = flatten'), 78, '[model] freeze', 'no onnx')
    refused(write_recipe('slip.ini', model='outputs = 3'), 78, '[model] outputs', 'no onnx')
    refused(write_recipe('slip.ini', layers=''), 78, '[model] layers: is missing')
    refused(further('slip.ini', 'freeze = conv7'), 78, "no tensor and no layer 'conv7'")
    refused(further('slip.ini', 'freeze = output'), 78, 'nothing to learn')
    refused(further('slip.ini', 'outputs = 5'), 78, 'answers with 5 numbers')
    refused(further('slip.ini', 'outputs = 0'), 78, '[model] outputs', '1 to 4096')
    refused(write_recipe('slip.ini', model='onnx = none.onnx', input='', layers=''), 66,
            '[model] onnx', 'none.onnx')
    refused(write_recipe('slip.ini', model='onnx = slip.ini', input='', layers=''), 78,
            '[model] onnx', 'slip.ini')
    with open(path('base.onnx'), 'rb') as file:
        content = file.read()
    with open(path('colours.onnx'), 'wb') as file:
        file.write(content.replace(said_by('vigil.mean', '0'),
                                   said_by('vigil.mean', '0.4,0.5,0.6')))
    refused(write_recipe('slip.ini', model='onnx = colours.onnx', input='', layers=''), 78,
            '[data] mean', '0.4,0.5,0.6')


def said_by(key, value):
    """An entry of a model's metadata, which may follow the rest of the file."""
    return data(14, data(1, key) + data(2, value))


write_pictures('pictures')
learned(write_recipe('base.ini'), 'base.onnx')
with open(path('base.onnx'), 'ab') as base:
    base.write(said_by('vigil.enter', '0.6,1:0.9'))
run_tests([it_goes_on_from_what_was_learned, labels_keep_their_numbers, a_part_stays_as_it_is,
           other_classes_begin_anew, a_checkpoint_is_of_one_file, slips_are_told_in_one_line])
