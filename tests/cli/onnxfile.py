"""ONNX files and tensors written byte by byte, for tests that must not depend on what they test."""
import struct

FLOAT, INT8, INT64, BOOL, DOUBLE, COMPLEX64 = 1, 3, 7, 9, 11, 14


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while True:
        byte = value & 127
        value >>= 7
        out.append(byte | (128 if value else 0))
        if not value:
            return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def tensor(name, kind, dims, values):
    """A TensorProto: what a .pb file of a data set holds, and what an initializer is."""
    code = {FLOAT: 'f', INT8: 'b', INT64: 'q', BOOL: '?', DOUBLE: 'd', COMPLEX64: 'd'}[kind]
    return (b''.join(number(1, d) for d in dims) + number(2, kind) + data(8, name) +
            data(9, struct.pack(f'<{len(values)}{code}', *values)))


def value(name, kind, dims):
    """A ValueInfoProto; a dimension that is text stays open."""
    shape = b''.join(data(1, data(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


def node(kind, inputs, outputs, name, **attributes):
    """A NodeProto with attributes that are integers or lists of them."""
    out = b''.join(data(1, i) for i in inputs) + b''.join(data(2, o) for o in outputs)
    out += data(3, name) + data(4, kind)
    for key, given in attributes.items():
        if isinstance(given, int):
            out += data(5, data(1, key) + number(3, given) + number(20, 2))
        else:
            out += data(5, data(1, key) + b''.join(number(8, v) for v in given) + number(20, 7))
    return out


def model(nodes, inputs, outputs, initializers=(), opset=13):
    graph = (b''.join(data(1, n) for n in nodes) + b''.join(data(5, t) for t in initializers) +
             b''.join(data(11, v) for v in inputs) + b''.join(data(12, v) for v in outputs))
    return number(1, 8) + data(8, data(1, '') + number(2, opset)) + data(7, graph)
