#!/usr/bin/env python3
"""What docs/troubleshooting.md says that vigild says, it says: each message is one text of the
sources, whole or from one of its stops to another, with an ellipsis where the text has a format.
Usage: check_troubleshooting.py SOURCE. Prints TAP."""
import os
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
FORMAT = re.compile(r'%[-.*\d]*(?:[lhjz]*[diouxX]|[gfeGcspm]|$)')
REASONS = {os.strerror(number) for number in range(1, 134)}
# Where a message may be put before another, or cut off.
BEFORE, AFTER = r'(?:^|[:;,] |% )', r'(?:$|[.:;,)%]| [%(])'


def literals():
    """The texts in the sources, those of several lines and formats put together, % for each
    format."""
    for folder in ('api', 'daemon', 'record', 'store'):
        for path in (source / folder).rglob('*.c'):
            code = path.read_text(encoding='utf-8')
            code = re.sub(r'"\s*(?:(?:PRI\w+|G_\w+_FORMAT)\s*)?"', '', code)
            for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code):
                yield FORMAT.sub('%', text.replace('\\"', '"'))


def messages():
    """First cells of the tables headed "it says"."""
    told = False
    for line in (source / 'docs/troubleshooting.md').read_text(encoding='utf-8').splitlines():
        cell = line.split('|')[1].strip() if line.startswith('|') else ''
        told = cell != '' and (told or cell == 'it says')
        if told:
            yield from re.findall(r'`([^`]+)`', cell)


def patterns(message):
    """What texts must match to be that message. The place in a file before it and the C library's
    reason at its end are formats, and so may one of its words be; what follows a semicolon may be a
    text that another takes in."""
    message = re.sub(r'^(?:FILE:LINE|vigil\.conf): ', '', message)
    for reason in REASONS:
        message = re.sub(rf'(?:… )?{re.escape(reason)}$', '…', message)
    for clause in message.split('; '):
        if clause != '…':
            words = re.escape(re.sub('^… |…$', '', clause)).replace('…', '%').split('\\ ')
            forms = [' '.join(words[:i] + ['%'] + words[i + 1:]) for i in range(1, len(words))]
            whole = '|'.join([' '.join(words), *forms])
            yield re.compile(f'{BEFORE}(?:{whole})' + ('' if clause.endswith('…') else AFTER))


known = list(literals())
results = []
for said in messages():
    missing = [wanted.pattern for wanted in patterns(said)
               if not any(wanted.search(text) for text in known)]
    results.append(not missing)
    print(f'{"not ok" if missing else "ok"} {len(results)} {said}')
    for wanted in missing:
        print(f'# no text matches {wanted}')
print(f'1..{len(results)}')
sys.exit(0 if results and all(results) else 1)
