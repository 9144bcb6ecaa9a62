"""Small data that recipes of docs/recipes take, made here: files of the names and formats that they
read, with something in them that differs by class."""
import gzip
import math
import os
import random
import struct
import subprocess
import sys
import wave

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
from harness import PATIENCE, expect  # noqa: E402
import write_sequences  # noqa: E402

# What videotestsrc has; one for each class.
PATTERNS = ('ball', 'circular', 'smpte', 'snow', 'checkers-1', 'checkers-8', 'zone-plate', 'gamut',
            'pinwheel', 'spokes')


def pixels(rng, label, count):
    """Brighter by class, in noise."""
    return bytes(min(255, 20 * label + rng.randrange(40)) for _ in range(count))


def make_mnist(folder, count=96):
    rng = random.Random('mnist')
    labels = [i % 10 for i in range(count)]
    with gzip.open(f'{folder}/t10k-images-idx3-ubyte.gz', 'wb') as file:
        file.write(struct.pack('>IIII', 0x803, count, 28, 28))
        file.write(b''.join(pixels(rng, label, 784) for label in labels))
    with gzip.open(f'{folder}/t10k-labels-idx1-ubyte.gz', 'wb') as file:
        file.write(struct.pack('>II', 0x801, count) + bytes(labels))


def make_cifar(folder):
    rng = random.Random('cifar')
    with open(f'{folder}/classes.txt', 'w', encoding='utf-8') as file:
        file.write('\n'.join(f'class {i}' for i in range(10)))
    for name, count in (('train_5000', 64), ('test_1000', 32)):
        with open(f'{folder}/{name}.bin', 'wb') as file:
            for i in range(count):
                file.write(bytes([i % 10]) + pixels(rng, i % 10, 3072))


def make_nothing(_):
    """Of scenes: they are rendered."""


def make_sequences(folder):
    write_sequences.write(folder, 64)


def make_points(folder, count=100):
    """Four ways to go, and the first again at the end."""
    rng = random.Random('points')
    rows = []
    for i in range(count):
        angle = i % 4 * math.pi / 2
        way = [(t * 0.02 * math.cos(angle) + rng.gauss(0, 0.005),
                t * 0.02 * math.sin(angle) + rng.gauss(0, 0.005)) for t in range(16)]
        rows.append(','.join([str(i % 4), *(f'{v:.5f}' for point in way for v in point)]))
    with open(f'{folder}/point_history_open.csv', 'w', encoding='utf-8') as file:
        file.write('\n'.join([*rows, rows[0]]) + '\n')


def make_recordings(folder):
    rng = random.Random('recordings')
    os.mkdir(f'{folder}/recordings')
    for number in range(80):
        digit, speaker, take = number % 10, number // 10 % 4, number // 40
        with wave.open(f'{folder}/recordings/{digit}_speaker{speaker}_{take}.wav', 'wb') as file:
            file.setparams((1, 2, 8000, 0, 'NONE', ''))
            step = math.tau * (200 + 150 * digit + 20 * speaker) / 8000
            file.writeframes(b''.join(
                struct.pack('<h', int(9000 * math.sin(step * t) + rng.gauss(0, 300)))
                for t in range(rng.randrange(2000, 9000))))


def write_clip(path, pattern, seconds, muxer):
    result = subprocess.run(
        ['gst-launch-1.0', '-q', 'videotestsrc', f'num-buffers={int(8 * seconds)}',
         f'pattern={pattern}', '!', 'video/x-raw,width=96,height=96,framerate=8/1', '!', 'x264enc',
         'key-int-max=8', 'speed-preset=ultrafast', '!', 'h264parse', '!', muxer, '!', 'filesink',
         f'location={path}'],
        capture_output=True, check=False, timeout=240 * PATIENCE, text=True)
    expect(result.returncode == 0, result.stderr)


def make_signs(folder):
    os.mkdir(f'{folder}/asl')
    for sign, pattern in zip(('again', 'bird', 'book', 'eat', 'help', 'learn', 'milk', 'night',
                              'school', 'yes'), PATTERNS):
        write_clip(f'{folder}/asl/{sign}.mkv', pattern, 2, 'matroskamux')


def make_fights(folder):
    """Ten clips of ten sources."""
    lines = ['clip,label,source']
    for number in range(10):
        label = ('noFight', 'fight')[number % 2]
        write_clip(f'{folder}/{number}.mp4', PATTERNS[number % 2], 2.2, 'mp4mux')
        lines.append(f'{number}.mp4,{label},camera {number}')
    with open(f'{folder}/split.csv', 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')
