#!/usr/bin/env python3
"""What a frame of a stream costs, against its parts measured by themselves.

A CNN+LSTM graph is cut here, in the file, into the CNN for one frame and the temporal part for a
window of 16. Each is a model of its own then, and runs without any of the streaming code: their
sum is what a frame costs when every frame completes a window and nothing of the one before is
kept. `vigil bench --stream` on the whole graph should come close to it (the aim: 1.3 times at
most), or below: the product of a recurrent layer with its input is kept.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cli'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import DATA, VIGIL  # noqa: E402
from onnxfile import FLOAT, INT64, data, tensor, value, varint  # noqa: E402

WINDOW = 16
GRAPHS = ('cnn_lstm_01', 'cnn_lstm_03', 'cnn_lstm_06', 'cnn_lstm_09', 'cnn_gru_02')


def read_varint(content, at):
    result = shift = 0
    while True:
        byte = content[at]
        at += 1
        result |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return result, at


def fields(content):
    """[(field, value)]: integers, or bytes of what has a length."""
    at, found = 0, []
    while at < len(content):
        tag, at = read_varint(content, at)
        if tag & 7 == 0:
            item, at = read_varint(content, at)
        else:
            size, at = read_varint(content, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            item, at = content[at:at + size], at + size
        found.append((tag >> 3, item))
    return found


def every(found, field):
    return [item for number, item in found if number == field]


class Graph:
    """A model taken apart, as far as is needed to make others of its pieces."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            found = fields(file.read())
        self.head = b''.join(varint(n << 3) + varint(v) if isinstance(v, int) else data(n, v)
                             for n, v in found if n in (1, 8))
        graph = fields(every(found, 7)[0])
        self.nodes = every(graph, 1)
        self.output = every(graph, 12)[0]
        self.tensors = {every(fields(t), 8)[0].decode(): t for t in every(graph, 5)}
        info = fields(every(graph, 11)[0])
        shape = fields(every(fields(every(fields(every(info, 2)[0]), 1)[0]), 2)[0])
        self.shape = [every(fields(dim), 1)[0] for dim in every(shape, 1)]
        # The Reshape from frames back to windows is where the CNN ends: the second one.
        reshapes = [i for i, n in enumerate(self.nodes) if every(fields(n), 4) == [b'Reshape']]
        self.cut = reshapes[1]
        node = fields(self.nodes[self.cut])
        self.unfold = every(node, 1)[1].decode()
        self.features = every(node, 2)[0].decode()
        self.width = self.integers(self.unfold)[2]

    def integers(self, name):
        raw = every(fields(self.tensors[name]), 9)[0]
        return struct.unpack(f'<{len(raw) // 8}q', raw)

    def model(self, nodes, given, made, frames):
        """A model of some of the nodes, for a batch of one and that many frames."""
        tensors = dict(self.tensors)
        tensors[self.unfold] = tensor(self.unfold, INT64, [3], [-1, frames, self.width])
        used = {name.decode() for n in nodes for name in every(fields(n), 1)}
        graph = (b''.join(data(1, n) for n in nodes) +
                 b''.join(data(5, t) for name, t in tensors.items() if name in used) +
                 data(11, given) + data(12, made))
        return self.head + data(7, graph)

    def cnn(self):
        return self.model(self.nodes[:self.cut + 1],
                          value('x', FLOAT, [1, 1, *self.shape[2:]]),
                          value(self.features, FLOAT, [1, 1, self.width]), 1)

    def temporal(self):
        return self.model(self.nodes[self.cut + 1:],
                          value(self.features, FLOAT, [1, WINDOW, self.width]), self.output,
                          WINDOW)


def bench(path, *arguments):
    result = subprocess.run([VIGIL, 'bench', '--json', *arguments, path], check=True,
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return json.loads(result.stdout)


def measure(path, folder):
    graph = Graph(path)
    parts = []
    for name, content in (('cnn', graph.cnn()), ('temporal', graph.temporal())):
        part = os.path.join(folder, f'{name}.onnx')
        with open(part, 'wb') as file:
            file.write(content)
        parts.append(part)
    # In turns, and the quietest of three: the machine may be busy with something else.
    rounds = [(bench(path, '--stream', '--window', str(WINDOW), '--stride', '1')['median_ms'],
               bench(parts[0])['median_ms'], bench(parts[1])['median_ms']) for _ in range(3)]
    return [min(column) for column in zip(*rounds)]


def main():
    folder = os.path.join(DATA, 'onnx', 'gen', 'graph_cnn_rnn')
    if not DATA or not os.path.isdir(folder):
        print('skipped: no shared data here')
        return
    print(f'{"graph":12} {"frame of a stream":>18} {"CNN":>10} {"temporal":>10} {"ratio":>6}')
    with tempfile.TemporaryDirectory() as scratch:
        for name in GRAPHS:
            stream, cnn, temporal = measure(os.path.join(folder, name, 'model.onnx'), scratch)
            print(f'{name:12} {stream:15.4f} ms {cnn:7.4f} ms {temporal:7.4f} ms '
                  f'{stream / (cnn + temporal):6.2f}', flush=True)


if __name__ == '__main__':
    main()
