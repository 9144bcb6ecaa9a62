#!/usr/bin/env python3
"""What docs/troubleshooting.md says that vigild says, it says: each part of a message between two
ellipses stands in a source file, or is the C library's.
Usage: check_troubleshooting.py SOURCE. Prints TAP."""
import os
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
results = []


def literals():
    """The texts in the sources, those of several lines and formats put together."""
    texts = [os.strerror(number) for number in range(1, 134)]
    for folder in ('api', 'daemon', 'record', 'store'):
        for path in (source / folder).rglob('*.c'):
            code = re.sub(r'"\s*\n?\s*"', '', path.read_text(encoding='utf-8'))
            texts += re.findall(r'"((?:[^"\\]|\\.)*)"', code)
    return [re.sub(r'%[-.\d]*[a-z]', '%', text) for text in texts]


def messages():
    """First cells of the tables headed "it says"."""
    told = False
    for line in (source / 'docs/troubleshooting.md').read_text(encoding='utf-8').splitlines():
        cell = line.split('|')[1].strip() if line.startswith('|') else ''
        told = cell != '' and (told or cell == 'it says')
        if told:
            yield from re.findall(r'`([^`]+)`', cell)


def parts(message):
    """What stands between what differs from case to case."""
    for part in re.split(r'…|FILE:LINE:|vigil\.conf:', message):
        part = part.strip(' :;,')
        if part:
            yield part


def forms(part):
    """It, and it with one of its words put in by the format."""
    words = part.split(' ')
    return [part] + [' '.join(words[:i] + ['%'] + words[i + 1:])
                     for i in range(len(words)) if len(words) > 1]


known = literals()
for message in messages():
    missing = [part for part in parts(message)
               if not any(form in text for form in forms(part) for text in known)]
    results.append(not missing)
    print(f'{"not ok" if missing else "ok"} {len(results)} {message}')
    for part in missing:
        print(f'# nothing says "{part}"')
print(f'1..{len(results)}')
sys.exit(0 if results and all(results) else 1)
