#!/usr/bin/env python3
"""Sums what meson's runner wrote: how many tests of each program were skipped, what passed only when it
was run again (run_suite.py), what failed and what it said, what never ran, then 'N passed, N failed'.

usage: count_results.py BUILD_DIR...

Exit 1 when something failed, a build directory has no result, or nothing ran at all.
"""
import collections
import json
import re
import sys
import xml.etree.ElementTree as ET

from results import read_results

LAST_LINES = 40  # shown of a program that failed


def never_ran(build, results):
    """Programs of the suite without a result: the runner ended before them, or two have one name."""
    with open(f'{build}/meson-info/intro-tests.json', encoding='utf-8') as file:
        names = collections.Counter(test['name'] for test in json.load(file))
    names.subtract(program.short for program in results.values())
    return sorted(names.elements())


def count(build):
    """How many tests of one build directory passed, failed, were skipped, naming what did not pass."""
    total = collections.Counter()
    results = read_results(build)
    for name in never_ran(build, results):
        print(f'never ran: {build}: {name}')
        total['failed'] += 1
    for program in results.values():
        own = collections.Counter(verdict for _, verdict in program.cases)
        # A Check test cannot say "skip" in TAP: it says so in a comment line.
        said = re.findall(r'^# skipped: (.*)$', program.output, re.MULTILINE)
        own['skipped'] += len(said)
        own['passed'] -= len(said)
        names = [name for name, verdict in program.cases if verdict == 'skipped'] + said
        if names:
            print(f'skipped: {build}: {program.short}: {"; ".join(names)}')
        if program.first:
            print(f'run again: {build}: {program.short}: {program.first.result}, then '
                  f'{program.result}; first it said', *program.first.said(LAST_LINES), sep='\n')
        if program.failed:
            # A program that dies half-way leaves only passed cases behind: its own result counts too.
            own['failed'] = max(own['failed'], 1)
            cases = [name for name, verdict in program.cases if verdict == 'failed']
            print(f'failed: {build}: {program.short} ({program.result}): {"; ".join(cases)}',
                  *program.said(LAST_LINES), sep='\n')
        total += own
    return total


def main():
    total = collections.Counter()
    for build in sys.argv[1:]:
        try:
            total += count(build)
        except (OSError, ET.ParseError, ValueError) as error:
            print(f'no result of {build}: {error}')
            total['failed'] += 1
    print(f'{total["skipped"]} skipped, named above' if total['skipped'] else 'none skipped')
    print(f'{total["passed"]} passed, {total["failed"]} failed')
    return 1 if total['failed'] or not total['passed'] else 0


sys.exit(main())
