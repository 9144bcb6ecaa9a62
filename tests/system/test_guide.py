#!/usr/bin/env python3
"""docs/api.md: every line of it does what it says, against a real vigild.

The shell blocks are run in order by one shell's rules, with a curl that notes the status of each
answer. A comment at the end of a curl line names the status expected, else it is 2xx. Endless
answers (-N) are cut off after three seconds."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cli'))
from harness import PATIENCE, SOURCE, Daemon, expect, run_tests, wait_for, workspace  # noqa: E402
from trainable import FOLDER, write_pictures, write_recipe  # noqa: E402

GUIDE = os.path.join(SOURCE, 'docs', 'api.md')
CURL = '''#!/bin/sh
# The real one, with a limit of time and a note of the status.
case " $* " in *' -N '*) seconds=3 endless=28 ;; *) seconds=20 endless=0 ;; esac
code=0
"$REAL_CURL" --silent --show-error --max-time $seconds -w '%{stderr}HTTP %{http_code}\\n' "$@" \\
    2>"$NOTES.part" || code=$?
grep '^HTTP ' "$NOTES.part" >>"$NOTES" || { cat "$NOTES.part" >&2; exit 99; }
[ "$code" = 0 ] || [ "$code" = "$endless" ]
'''


def commands():
    """(text, statuses expected of its curl calls) of each command of the shell blocks."""
    with open(GUIDE, encoding='utf-8') as file:
        blocks = re.findall(r'^```sh\n(.*?)^```$', file.read(), re.DOTALL | re.MULTILINE)
    for block in blocks:
        for command in block.replace('\\\n', '').splitlines():
            comment = re.search(r' # (\d{3}(?: or \d{3})*)?[^#]*$', command)
            wanted = comment and comment.group(1)
            statuses = re.split(' or ', wanted) if wanted else ['200', '201', '202', '204']
            yield command, statuses


def each_line_does_what_it_says():
    """every command of docs/api.md is answered as it says"""
    with workspace() as folder:
        binary = os.path.join(folder, 'bin')
        notes = os.path.join(folder, 'notes')
        os.mkdir(binary)
        with open(os.path.join(binary, 'curl'), 'w', encoding='ascii') as file:
            file.write(CURL)
        os.chmod(file.name, 0o755)
        # The port of the guide is taken from it, so that its first block holds.
        running = Daemon(folder, f'[jobs]\ndata = {FOLDER.name}\nmodels = {folder}\n')
        real = subprocess.run(['sh', '-c', 'command -v curl'], check=True, capture_output=True,
                              text=True).stdout.strip()
        environment = {**os.environ, 'PATH': f'{binary}:{os.environ["PATH"]}', 'REAL_CURL': real,
                       'NOTES': notes}
        state, count = '', 0
        try:
            for command, statuses in commands():
                if command == 'url=http://127.0.0.1:8470':
                    command = f'url={running.url}'
                if 'detections' in command or 'snapshot' in command:
                    running.wait_live('street')
                    wait_for('two detections', lambda: len(running.detections()) >= 2, 120)
                open(notes, 'w', encoding='ascii').close()
                # Variables go from one command to the next.
                script = f'set -eu\n{state}{command}\nset >"$NOTES.set"'
                done = subprocess.run(['sh', '-c', script], cwd=folder, env=environment,
                                      capture_output=True, text=True, check=False,
                                      timeout=60 * PATIENCE)
                expect(done.returncode == 0, f'{command}: exit {done.returncode} {done.stderr}')
                with open(notes, encoding='ascii') as file:
                    seen = [line.split()[1] for line in file]
                calls = len(re.findall(r'\bcurl\b', command))
                expect(len(seen) == calls and all(status in statuses for status in seen),
                       f'{command}: {seen}, not {statuses}')
                expect(not calls or done.stdout.strip() or '204' in seen or ' -o ' in command or
                       '=$(' in command or ' -N ' in command, f'{command}: nothing said')
                count += calls
                assigned = re.match(r'(\w+)=', command)
                if assigned:
                    with open(notes + '.set', encoding='utf-8') as file:
                        value = re.search(rf'^{assigned.group(1)}=.*$', file.read(), re.MULTILINE)
                    expect(value and value.group(0) != f"{assigned.group(1)}=''" or 'empty' in command,
                           f'{command}: nothing assigned')
                    state += value.group(0) + '\n'
            expect(count >= 30, f'only {count} calls')
            for name, marks in (('now.jpg', b'\xff\xd8\xff'), ('live.mjpeg', b'--')):
                with open(os.path.join(folder, name), 'rb') as file:
                    expect(file.read(3).startswith(marks), f'{name} is none')
        finally:
            code = running.stop()
        expect(code == 0, f'vigild exited {code}')


def routes_are_in_the_guide():
    """every path of the API is in the guide"""
    with open(GUIDE, encoding='utf-8') as file:
        guide = file.read()
    with open(os.path.join(SOURCE, 'api', 'openapi.yaml'), encoding='utf-8') as file:
        paths = re.findall(r'^  (/\S*):$', file.read(), re.MULTILINE)
    for path in paths:
        # A parameter stands for any name, or for a variable.
        pattern = re.sub(r'\\{\w+\\}', r'(?:[a-z-]+|\\$\\w+)', re.escape(path))
        expect(path in ('/', '/page.css') or re.search(pattern + r'(?![\w/])', guide),
               f'{path} is not in docs/api.md')


write_pictures('pictures')
write_recipe('door.recipe', epochs=100000)
run_tests([routes_are_in_the_guide, each_line_does_what_it_says])
