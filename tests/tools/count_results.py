#!/usr/bin/env python3
"""Sums what meson's runner wrote: what was skipped, by name and number, what the programs that failed
said last, then 'N passed, N failed'.

usage: count_results.py BUILD_DIR...

Exit 1 when something failed, a build directory has no result, or nothing ran at all.
"""
import json
import re
import sys
import xml.etree.ElementTree as ET

LAST_LINES = 40  # shown of a program that failed


def count(build):
    """Passed, failed, skipped of one build directory, naming what did not pass."""
    passed = failed = skipped = 0
    failed_suites = set()
    root = ET.parse(f'{build}/meson-logs/testlog.junit.xml').getroot()
    for case in root.iter('testcase'):
        kinds = {child.tag for child in case}
        suite, name = case.get('classname', ''), case.get('name')
        if kinds & {'failure', 'error'}:
            failed += 1
            failed_suites.add(suite.removeprefix('vigil.'))
            failed_suites.add(name)
            print(f'failed: {build}: {suite}: {name}')
        elif 'skipped' in kinds:
            skipped += 1
            print(f'skipped: {build}: {suite}: {name}')
        else:
            passed += 1
    # A program that dies half-way leaves only passed cases behind: its own result counts too.
    with open(f'{build}/meson-logs/testlog.json', encoding='utf-8') as log:
        for line in log:
            test = json.loads(line)
            name = test['name'].removeprefix('vigil:').split(' / ')[-1]
            if test['result'] not in ('OK', 'SKIP') and name not in failed_suites:
                failed += 1
                print(f"failed: {build}: {name}: {test['result']}")
            if test['result'] not in ('OK', 'SKIP'):
                lines = (test.get('stdout', '') + test.get('stderr', '')).splitlines()
                print('\n'.join(f'    {line}' for line in lines[-LAST_LINES:]))
            # A Check test cannot say "skip" in TAP: it says so in a comment line.
            for said in re.findall(r'^# skipped: .*$', test.get('stdout', ''), re.MULTILINE):
                skipped += 1
                passed -= 1
                print(f'skipped: {build}: {name}: {said[11:]}')
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for build in sys.argv[1:]:
        try:
            result = count(build)
        except (OSError, ET.ParseError, ValueError) as error:
            print(f'no result of {build}: {error}')
            result = (0, 1, 0)
        totals = [a + b for a, b in zip(totals, result)]
    passed, failed, skipped = totals
    print(f'{skipped} skipped, named above' if skipped else 'none skipped')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


sys.exit(main())
