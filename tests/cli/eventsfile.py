"""Files of TensorBoard's events read byte by byte, strictly: what is not as its definitions say is
a failure."""
import struct

from harness import expect


def crc32c(data):
    """RFC 3720, appendix B.4."""
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def masked(data):
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xa282ead8) & 0xffffffff


def records(content):
    """The records of a file, their checksums looked at."""
    at = 0
    while at < len(content):
        length, check = struct.unpack_from('<QI', content, at)
        expect(check == masked(content[at:at + 8]), f'{at}: sum of the length')
        data = content[at + 12:at + 12 + length]
        expect(len(data) == length, f'{at}: {len(data)} of {length} bytes')
        check, = struct.unpack_from('<I', content, at + 12 + length)
        expect(check == masked(data), f'{at}: sum of the record')
        yield data
        at += 16 + length


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """Number and value of each field of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if size is None:
            expect(key & 7 == 2, f'wire type {key & 7}')
            size, at = varint(data, at)
        expect(at + size <= len(data), f'a field of {size} bytes is cut off')
        yield key >> 3, data[at:at + size]
        at += size


def scalar(message):
    parts = dict(fields(message))
    expect(set(parts) == {1, 2}, f'fields {set(parts)} of a value')
    return parts[1].decode(), struct.unpack('<f', parts[2])[0]


def read_events(path):
    """[(step, {tag: number})] of a file that begins as it should."""
    expect(crc32c(b'123456789') == 0xe3069283, 'the sum that all who sum so have')
    with open(path, 'rb') as file:
        events = [list(fields(record)) for record in records(file.read())]
    times = [struct.unpack('<d', dict(event)[1])[0] for event in events]
    expect(times == sorted(times) and times[0] > 1.7e9, f'{times}')
    expect(dict(events[0]).get(3) == b'brain.Event:2', f'{events[0]}')
    found = []
    for event in events[1:]:
        parts = dict(event)
        expect(set(parts) == {1, 2, 5}, f'fields {set(parts)} of an event')
        summary = list(fields(parts[5]))
        expect({number for number, _ in summary} == {1}, f'{summary}')
        found.append((parts[2], dict(scalar(value) for _, value in summary)))
    return found
