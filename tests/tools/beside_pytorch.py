"""Training by vigil and by PyTorch, side by side: for the test that holds one against the other, and for the
benchmark.

A network is a list of layers as docs/recipes write it. vigil makes an ONNX file of it; PyTorch's modules are
made of the same text here, and get their first weights from that file. Definitions are PyTorch's own, options
(Adam's epsilon, say) vigil's, which are Keras's.

It needs Debian's python3-torch, which the interpreter that started this may not see; then the system's takes
over. Without it, torch is None.
"""
import json
import os
import re
import subprocess
import sys

SYSTEM_PYTHON = '/usr/bin/python3'

try:
    import numpy
    import torch
    from torch import nn
except ImportError:
    torch = None
    if os.path.exists(SYSTEM_PYTHON) and not os.environ.get('BESIDE_PYTORCH'):
        os.environ['BESIDE_PYTORCH'] = '1'
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])

CONVS = 'conv2d 32 3 relu; maxpool2d 2; conv2d 64 3 relu; maxpool2d 2; '
NETWORKS = {  # input, layers
    'cnn-28': ('28x28x1', f'{CONVS}conv2d 64 3 relu; flatten; dense 64 relu; dense 10 softmax'),
    'cnn-64': ('64x64x3', f'{CONVS}conv2d 128 3 relu; maxpool2d 2; flatten; dense 512 relu; dense 10 softmax'),
    'crnn-window': ('16x64x64x3', f'time_distributed({CONVS}conv2d 64 3 relu; maxpool2d 2; flatten); lstm 128; '
                                  'dense 2 softmax'),
    'lstm': ('20x12', 'lstm 32 return_sequences; lstm 24; dense 5 softmax'),
    'gru': ('20x12', 'gru 32 return_sequences; gru 24; dense 5 softmax'),
    'autoencoder-dense': ('96', 'dense 64 relu; dense 64 relu; dense 96 sigmoid'),
}
FIELD = 7
CROSS_ENTROPY, SQUARED = 'sparse_categorical_crossentropy', 'mean_squared_error'


# Weights of an ONNX file.

def fields(message):
    """(number, value) of a protobuf message: integers, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 2: None, 5: 4}[kind]
        size = varint() if size is None else size
        yield key >> 3, message[at:at + size]
        at += size


def read_weights(path):
    """Initializers of float32 by their names."""
    graph_field, initializer_field, dims, kind, name, raw, float32 = 7, 5, 1, 2, 8, 9, 1
    with open(path, 'rb') as file:
        graph = dict(fields(file.read()))[graph_field]
    weights = {}
    for number, value in fields(graph):
        if number != initializer_field:
            continue
        parts = list(fields(value))
        tensor, shape = dict(parts), [d for n, d in parts if n == dims]
        if tensor[kind] == float32:
            weights[tensor[name].decode()] = numpy.frombuffer(bytearray(tensor[raw]), '<f4').reshape(shape)
    return weights


# How initializers lie in PyTorch's modules.

def same(weight):
    return weight


def turned(weight):
    return weight.T


def gates(order, half=None):
    """ONNX has an axis of directions before the rows, which are blocks, one for each gate, in another order;
    GRU's bias has two halves, that of the input and that of the state."""
    def read(weight):
        rows = weight[0] if half is None else numpy.split(weight[0], 2)[half]
        blocks = numpy.split(rows, len(order))
        return numpy.concatenate([blocks[i] for i in order])
    return read


if torch:
    FUNCTIONS = {'relu': nn.ReLU, 'tanh': nn.Tanh, 'sigmoid': nn.Sigmoid}

    class TimeDistributed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            y = self.inner(x.flatten(0, 1))
            return y.view(x.shape[0], x.shape[1], *y.shape[1:])

    class Recurrent(nn.Module):
        def __init__(self, module, sequences):
            super().__init__()
            self.module, self.sequences = module, sequences

        def forward(self, x):
            y, _ = self.module(x)
            return y if self.sequences else y[:, -1]


class Builder:
    """A layer list as modules; `parameters` are (initializer's name, parameter, how it is read)."""

    def __init__(self, shape, text):
        sizes = [int(size) for size in shape.split('x')]
        self.counts, self.parameters, self.softmax = {}, [], False
        time = sizes[:1] if len(sizes) in (2, 4) else []
        sizes = sizes[len(time):]
        self.input = time + (sizes[-1:] + sizes[:-1])  # channels come first in a picture
        self.module = self.build(text, torch.zeros(1, *self.input))[0]

    def name(self, kind):
        self.counts[kind] = self.counts.get(kind, -1) + 1
        return kind if self.counts[kind] == 0 else f'{kind}_{self.counts[kind]}'

    def take(self, name, owner, how):
        for attribute, (suffix, read) in how.items():
            self.parameters.append((f'{name}.{suffix}', getattr(owner, attribute), read))

    def build(self, text, x):
        layers = []
        for layer in re.findall(r'\w+\(.*?\)|[^;()]+', text):
            made = self.layer(layer.strip(), x) if layer.strip() else []
            for module in made:
                with torch.no_grad():
                    x = module(x)
            layers += made
        return nn.Sequential(*layers), x

    def layer(self, text, x):
        kind, *words = text.split()
        if text.startswith('time_distributed('):
            return [TimeDistributed(self.build(text[text.index('(') + 1:-1], x.flatten(0, 1))[0])]
        functions = [FUNCTIONS[word]() for word in words if word in FUNCTIONS]
        self.softmax |= 'softmax' in words
        numbers = [int(word) for word in words if word.isdigit()]
        if kind == 'flatten':
            return [nn.Flatten()]
        if kind == 'maxpool2d':
            return [nn.MaxPool2d(numbers[0])]
        name = self.name(kind)
        if kind == 'conv2d':
            module = nn.Conv2d(x.shape[1], *numbers)
            self.take(name, module, {'weight': ('weight', same), 'bias': ('bias', same)})
        elif kind == 'dense':
            module = nn.Linear(x.shape[-1], numbers[0])
            self.take(name, module, {'weight': ('weight', turned), 'bias': ('bias', same)})
        elif kind == 'lstm':  # i o f c there, i f g o here; its second bias is 0 and is not learned
            module, order = nn.LSTM(x.shape[-1], numbers[0], batch_first=True), (0, 2, 3, 1)
            module.bias_hh_l0.data.zero_()
            module.bias_hh_l0.requires_grad = False
            self.take(name, module, {'weight_ih_l0': ('weight', gates(order)),
                                     'weight_hh_l0': ('recurrent_weight', gates(order)),
                                     'bias_ih_l0': ('bias', gates(order))})
            return [Recurrent(module, 'return_sequences' in words)]
        elif kind == 'gru':  # z r h there, r z n here
            module, order = nn.GRU(x.shape[-1], numbers[0], batch_first=True), (1, 0, 2)
            self.take(name, module, {'weight_ih_l0': ('weight', gates(order)),
                                     'weight_hh_l0': ('recurrent_weight', gates(order)),
                                     'bias_ih_l0': ('bias', gates(order, 0)),
                                     'bias_hh_l0': ('bias', gates(order, 1))})
            return [Recurrent(module, 'return_sequences' in words)]
        else:
            raise ValueError(f'no module for {text!r}')
        return [module, *functions]


class Pytorch:
    """A network in training, with the weights of an ONNX file."""

    def __init__(self, name, onnx, optimizer, options):
        builder = Builder(*NETWORKS[name])
        self.module, self.softmax, self.input = builder.module, builder.softmax, builder.input
        self.parameters = builder.parameters
        self.set_weights(onnx)
        rule = {'sgd': torch.optim.SGD, 'adam': torch.optim.Adam}[optimizer]
        extra = {'eps': 1e-7} if optimizer == 'adam' else {}
        learned = [parameter for _, parameter, _ in builder.parameters]
        self.optimizer = rule(learned, lr=options.get('rate', 0.001), **extra,
                              **{key: value for key, value in options.items() if key != 'rate'})
        self.loss = nn.CrossEntropyLoss() if self.softmax else nn.MSELoss()

    def set_weights(self, onnx):
        weights = read_weights(onnx)
        for name, parameter, read in self.parameters:
            value = numpy.ascontiguousarray(read(weights[name]))
            if value.shape != tuple(parameter.shape):
                raise ValueError(f'{name} is {value.shape}, not {tuple(parameter.shape)}')
            parameter.data.copy_(torch.from_numpy(value))

    def distance(self, onnx):
        """|theirs - those of the file| at most, and the name of that."""
        weights = read_weights(onnx)
        return max((float(numpy.abs(read(weights[name]) - parameter.detach().numpy()).max()), name)
                   for name, parameter, read in self.parameters)

    def step(self, inputs, targets):
        self.optimizer.zero_grad()
        loss = self.loss(self.module(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def output(self, inputs):
        with torch.no_grad():
            y = self.module(inputs)
            return (torch.softmax(y, -1) if self.softmax else y).numpy()


def random_batch(name, samples, seed):
    """Inputs and targets: classes that can be told apart, or, for the autoencoder, the inputs."""
    rng = numpy.random.default_rng(seed)
    builder = Builder(*NETWORKS[name])
    if not builder.softmax:
        inputs = rng.random((samples, *builder.input), numpy.float32)
        return inputs, inputs
    with torch.no_grad():
        classes = builder.module(torch.zeros(1, *builder.input)).shape[-1]
    patterns = numpy.random.default_rng(0).standard_normal((classes, *builder.input))
    if len(builder.input) > 2:  # pictures: fields of one brightness, as convolutions can tell apart
        for axis in (-1, -2):
            size = builder.input[axis]
            patterns = patterns.take(numpy.arange(size) // FIELD * FIELD, axis)
    labels = rng.integers(0, classes, samples).astype(numpy.int32)
    inputs = 0.5 * rng.standard_normal((samples, *builder.input)) + patterns[labels]
    return inputs.astype(numpy.float32), labels


class Vigil:
    """tests/tools/train_steps as a child."""

    def __init__(self, build, arguments, batch, onnx, prefix=()):
        self.child = subprocess.Popen(
            [*prefix, os.path.join(build, 'tests/tools/train_steps'), *arguments, str(batch), onnx],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.about = self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        answer = json.loads(line) if line else {'error': 'it ended without an answer'}
        if isinstance(answer, dict) and 'error' in answer:
            raise RuntimeError(answer['error'])
        return answer

    def ask(self, request, *data):
        self.child.stdin.write(f'{request}\n'.encode())
        for array in data:
            self.child.stdin.write(array.tobytes())
        self.child.stdin.flush()
        return self.answer()

    def stop(self):
        self.child.stdin.close()
        self.child.wait()


def write_design(build, name, seed, path):
    """The network as vigil begins with it."""
    subprocess.run([os.path.join(build, 'tests/tools/train_steps'), '--design', *NETWORKS[name], str(seed), path],
                   check=True)
    return path
