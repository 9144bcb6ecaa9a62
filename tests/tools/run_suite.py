#!/usr/bin/env python3
"""Runs the whole suite of a build directory, two programs to a processor: the longest of them wait
most of their time.

usage: run_suite.py BUILD_DIR

A few programs hold the real daemon to promised times while others run beside them, on machines that
others share. What fails is shown and run once more with nothing beside it; it has failed when it fails
again. What a sanitizer found or a signal ended is never excused, nor more than FEW programs at once.
"""
import os
import re
import subprocess
import sys

from results import AGAIN, FIRST, read_log

FEW = 3
LAST_LINES = 30  # shown of a program that failed
FINDING = re.compile(r'Sanitizer|runtime error:|Received signal|Assertion `')


def meson_test(build, *arguments):
    return subprocess.run(['meson', 'test', '-C', build, '--print-errorlogs', *arguments],
                          check=False).returncode


def main():
    build, = sys.argv[1:]
    for ending in 'json', 'junit.xml', 'txt':
        try:
            os.unlink(f'{build}/meson-logs/{AGAIN}.{ending}')
        except FileNotFoundError:
            pass
    status = meson_test(build, '--num-processes', str(2 * len(os.sched_getaffinity(0))))
    if status == 0:
        return 0
    try:
        failed = [program for program in read_log(build, FIRST).values() if program.failed]
    except OSError:
        return status  # it did not come to a test
    for program in failed:
        print(f'failed: {program.short} ({program.result}), which said:',
              *program.said(LAST_LINES), sep='\n', flush=True)
    grave = [program for program in failed if program.killed or FINDING.search(program.output)]
    if grave or not 0 < len(failed) <= FEW:
        return status
    print('Once more, with nothing beside it:', flush=True)
    return meson_test(build, '--no-rebuild', '--num-processes', '1', '--logbase', AGAIN,
                      *(program.short for program in failed))


sys.exit(main())
