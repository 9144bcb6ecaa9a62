"""Small pictures that a network learns in seconds, and recipes for them, for what tests training
and what comes after it."""
import gzip
import os
import random
import struct
import subprocess
import tempfile

from harness import PATIENCE, VIGIL, expect

FOLDER = tempfile.TemporaryDirectory()
LAYERS = 'conv2d 16 3 relu; maxpool2d 2; conv2d 16 3 relu; flatten; dense 3 softmax'
CLASSES = {'moves': 'ball', 'rests': 'circular'}  # patterns of videotestsrc


def path(name):
    return os.path.join(FOLDER.name, name)


def picture(rng, label):
    """12x12 grey: a bar that lies, a bar that stands, a blot; in noise."""
    pixels = [[rng.randrange(60) for _ in range(12)] for _ in range(12)]
    at, to = rng.randrange(2, 9), rng.randrange(2, 9)
    for i in range(12):
        if label == 0:
            pixels[at][i] = 200
        elif label == 1:
            pixels[i][at] = 200
        elif i < 9:
            pixels[at + i // 3][to + i % 3] = 200
    return bytes(value for row in pixels for value in row)


def write_pictures(name, count=300, labels=None, cut=0):
    """Pictures and labels as MNIST has them, gzipped."""
    rng = random.Random(name)
    labels = labels or [i % 3 for i in range(count)]
    content = struct.pack('>IIII', 0x803, count, 12, 12)
    content += b''.join(picture(rng, label % 3) for label in labels)
    with gzip.open(path(f'{name}.images'), 'wb') as file:
        file.write(content[:len(content) - cut])
    with gzip.open(path(f'{name}.labels'), 'wb') as file:
        file.write(struct.pack('>II', 0x801, count) + bytes(labels))


def write_clip(name, label, seconds=3):
    """A clip of 96x64 at 8 frames a second."""
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    result = subprocess.run(
        ['gst-launch-1.0', '-q', 'videotestsrc', f'num-buffers={int(8 * seconds)}',
         f'pattern={CLASSES[label]}', '!',
         'video/x-raw,width=96,height=64,framerate=8/1', '!', 'x264enc', 'key-int-max=8', '!',
         'h264parse', '!', 'mp4mux', '!', 'filesink', f'location={path(name)}'],
        capture_output=True, check=False, timeout=60 * PATIENCE, text=True)
    expect(result.returncode == 0, result.stderr)


def write_recipe(name, data='pictures', model='', training='', more='', **changed):
    """A recipe for pictures; `model`, `more` and `training` are lines for [model], [data] and
    [training]."""
    keys = {'layers': LAYERS, 'input': '12x12x1', 'validation': 'last 60', 'epochs': 4,
            'batch': 16, 'rate': 0.01, 'scale': '1/255', 'loss': 'sparse_categorical_crossentropy', **changed}
    with open(path(name), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = {keys['input']}
layers = {keys['layers']}
{model}
[data]
format = idx
samples = {data}.images
labels = {data}.labels
scale = {keys['scale']}
validation = {keys['validation']}
{more}
[training]
loss = {keys['loss']}
rate = {keys['rate']}
batch = {keys['batch']}
epochs = {keys['epochs']}
{training}
''')
    return path(name)


def run(*arguments, patience=1):
    """Of vigil: exit code, standard output and error."""
    result = subprocess.run([VIGIL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            check=False, timeout=240 * PATIENCE * patience, text=True)
    expect(result.returncode >= 0, f'{arguments}: signal {-result.returncode}: {result.stderr}')
    return result.returncode, result.stdout, result.stderr


def train(recipe, out, *options):
    return run('train', recipe, '--out', path(out), *options)


def learned(recipe, out, *options):
    code, said, error = train(recipe, out, *options)
    expect(code == 0 and not error, f'exit {code}: {said} {error}')
    return said
