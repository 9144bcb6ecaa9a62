#!/usr/bin/env python3
"""`make accept`: the long form of each acceptance script, one after the other, and a table.

usage: run.py BUILD_DIR [SCRIPT...] [--short | --rounds N]

Exit 1 when a criterion does not hold. Nothing is written beside temporary folders.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.normpath(os.path.join(HERE, '..', '..'))
SCRIPTS = ('recovery', 'killed', 'resume')
CRITERION = re.compile(r'^(ok|not ok) \d+ - (.*?): (.*)$')


def run_script(name, arguments, environment):
    """Shows its output as it comes; returns its criteria as (verdict, what, figure)."""
    print(f'\n== {name}', flush=True)
    began = time.monotonic()
    criteria = []
    with subprocess.Popen([sys.executable, os.path.join(HERE, f'{name}.py'), *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          env=environment) as script:
        try:
            for line in script.stdout:
                print(line, end='', flush=True)
                match = CRITERION.match(line)
                if match:
                    criteria.append(match.groups())
        except BaseException:  # we are told to stop: so is what we started
            script.terminate()
            raise
    minutes = (time.monotonic() - began) / 60
    print(f'# {name} took {minutes:.1f} min', flush=True)
    good = all(verdict == 'ok' for verdict, _, _ in criteria)
    if not criteria or (script.returncode != 0) == good:
        criteria.append(('not ok', 'the script says how it went',
                         f'exit status {script.returncode}'))
    return criteria


def print_table(results):
    rows = [(name, *criterion) for name, criteria in results.items() for criterion in criteria]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    print()
    for name, verdict, what, figure in rows:
        print(f'{name:{widths[0]}}  {verdict:{widths[1]}}  {what:{widths[2]}}  {figure}')
    failed = sum(row[1] != 'ok' for row in rows)
    print(f'{len(rows) - failed} of {len(rows)} criteria hold')
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('build')
    parser.add_argument('scripts', nargs='*', metavar='SCRIPT', help=', '.join(SCRIPTS))
    parser.add_argument('--short', action='store_true', help='as in the test suite')
    parser.add_argument('--rounds', type=int, metavar='N')
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in options.scripts:
        if name not in SCRIPTS:
            parser.error(f'there is no script {name}')
    build = os.path.abspath(options.build)
    environment = {**os.environ, 'VIGIL_BUILD_ROOT': build, 'VIGIL_SOURCE_ROOT': SOURCE,
                   'GST_REGISTRY': os.path.join(build, 'gst-registry.bin')}
    arguments = ['--rounds', str(options.rounds)] if options.rounds else \
        [] if options.short else ['--long']
    results = {name: run_script(name, arguments, environment)
               for name in options.scripts or SCRIPTS}
    sys.exit(1 if print_table(results) else 0)


main()
