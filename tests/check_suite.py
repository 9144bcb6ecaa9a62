#!/usr/bin/env python3
"""How the suite is run and counted (tools/run_suite.py, tools/count_results.py), seen on a small
project whose test programs behave as they are told. Usage: check_suite.py SOURCE. Prints TAP."""
import pathlib
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(sys.argv[1]) / 'tests' / 'tools'
MESON_BUILD = """project('small')
sh = find_program('sh')
test('steady', sh, args: [files('steady.sh')], suite: 'a', protocol: 'tap')
test('told', sh, args: [files('told.sh')], suite: 'b', protocol: 'tap')
"""
STEADY = 'echo 1..1; echo "ok 1 - steady"'
PASSES = 'echo 1..2; echo "ok 1 - it is"; echo "ok 2 - left out # SKIP no reason"'
FAILS = 'echo 1..2; echo "ok 1 - it is"; echo "not ok 2 - said why"'
# Fails unless it has run before.
FAILS_ONCE = f'if [ -e "$0.ran" ]; then {PASSES}; else touch "$0.ran"; {FAILS}; exit 1; fi'
DIES_ONCE = f'if [ -e "$0.ran" ]; then {PASSES}; else touch "$0.ran"; echo 1..2; kill -9 $$; fi'
FINDING_ONCE = f'if [ -e "$0.ran" ]; then {PASSES}; else touch "$0.ran"; {FAILS}; ' \
               'echo "ERROR: AddressSanitizer: heap-use-after-free" >&2; fi'
BEHAVIOURS = [  # what the program does; whether the suite passes, how it is counted, what is said
    ('what passes passes', PASSES, True, '2 passed, 0 failed', 'skipped: {}: told: '),
    ('what fails fails', FAILS, False, '2 passed, 1 failed', '    not ok 2 - said why'),
    ('what passes when run again passed, and is named', FAILS_ONCE, True, '2 passed, 0 failed',
     'run again: {}: told: ERROR, then OK'),
    ('what the second attempt did is not remembered', PASSES, True, '2 passed, 0 failed', ''),
    ('what a sanitizer found is not run again', FINDING_ONCE, False, '2 passed, 1 failed',
     '    ERROR: AddressSanitizer: heap-use-after-free'),
    ('what a signal ended is not run again', DIES_ONCE, False, '1 failed', 'failed: {}: told'),
]


def run(tool, build):
    return subprocess.run([sys.executable, TOOLS / tool, build], capture_output=True, text=True,
                          check=False)


def write_project(folder, meson_build):
    folder.mkdir()
    (folder / 'meson.build').write_text(meson_build, encoding='utf-8')
    (folder / 'steady.sh').write_text(STEADY, encoding='utf-8')
    (folder / 'told.sh').write_text('', encoding='utf-8')
    subprocess.run(['meson', 'setup', 'build'], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def check(folder, script, passes, counted, said):
    """What is wrong, or an empty text."""
    build = str(folder / 'build')
    (folder / 'told.sh').write_text(script, encoding='utf-8')
    (folder / 'told.sh.ran').unlink(missing_ok=True)
    suite, results = run('run_suite.py', build), run('count_results.py', build)
    for wrong, what in [((suite.returncode == 0) != passes, 'the suite'),
                        ((results.returncode == 0) != passes, 'the count'),
                        (not results.stdout.strip().endswith(counted), counted),
                        (said.format(build) not in results.stdout, said)]:
        if wrong:
            return f'{what}\n{suite.stdout}{suite.stderr}{results.stdout}{results.stderr}'
    return ''


print(f'1..{len(BEHAVIOURS) + 1}')
with tempfile.TemporaryDirectory() as name:
    small, twins = pathlib.Path(name, 'small'), pathlib.Path(name, 'twins')
    write_project(small, MESON_BUILD)
    write_project(twins, MESON_BUILD.replace("'told'", "'steady'").replace("'b'", "'a'"))
    checks = [(title, small, *behaviour) for title, *behaviour in BEHAVIOURS]
    checks.append(('a program that has no result has failed', twins, PASSES, False, ' 1 failed',
                   'never ran: {}: steady'))
    for number, (title, *behaviour) in enumerate(checks, 1):
        problem = check(*behaviour)
        print(f'{"not " if problem else ""}ok {number} - {title}')
        print(''.join(f'# {line}\n' for line in problem.splitlines()), end='')
