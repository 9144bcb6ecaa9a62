"""vigil.conf(5) with its keys: puts what `vigil config reference` prints, the parser's own table in
Markdown, into the page in place of @KEYS@. Usage: keys.py VIGIL PAGE > vigil.conf.5"""
import os
import re
import subprocess
import sys


def text(markdown):
    """A sentence of Markdown in mdoc, as one line."""
    escaped = markdown.replace('\\', r'\e').replace('-', r'\-')
    quoted = re.sub(r'`([^`\w])`', r'\\(oq\1\\(cq', escaped) # bold alone would not show
    return re.sub(r'^([.\'])', r'\\&\1', re.sub(r'`([^`]*)`', r'\\fB\1\\fP', quoted))


def lines(markdown):
    """Each sentence of a paragraph on a line of its own, as mdoc wants it."""
    return [text(sentence) for sentence in re.split(r'(?<=\.) +(?=[A-Z`])', markdown.strip())]


def keys(reference):
    in_list = False
    for line in reference.splitlines():
        heading = re.fullmatch(r'### `(\[.*\])`', line)
        row = re.fullmatch(r'\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|', line)
        if in_list and not line.startswith('|'):
            yield '.El'
            in_list = False
        if heading:
            yield f'.Ss {heading.group(1)}'
        elif row:
            key, value, default, meaning = row.groups()
            if not in_list:
                yield '.Bl -tag -width Ds'
                in_list = True
            yield f'.It Li {key}'
            yield from lines(meaning)
            if value != 'text':
                yield text(f'Value: {value}.')
            if default:
                yield text(f'Default: {default}.')
        elif line and not line.startswith('|'):
            yield from lines(line)
    if in_list:
        yield '.El'


def main():
    # Instrumented programs report what GLib never frees, and fail.
    reference = subprocess.run([sys.argv[1], 'config', 'reference'], check=True, text=True,
                               env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'},
                               capture_output=True).stdout
    with open(sys.argv[2], encoding='utf-8') as page:
        print(page.read().replace('@KEYS@', '\n'.join(keys(reference))), end='')


main()
