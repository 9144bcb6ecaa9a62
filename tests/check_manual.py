#!/usr/bin/env python3
"""The manual pages have no mistakes, and name every option that --help names and no other.
Usage: check_manual.py SOURCE BUILD VIGIL VIGILD. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys

source, build, vigil, vigild = sys.argv[1:]
results = []


def report(name, problem, skip=''):
    results.append(not problem)
    print(f'{"not ok" if problem else "ok"} {len(results)} {name}{skip}')
    for line in problem.splitlines():
        print(f'# {line}')


def page_text(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def help_of(*command):
    return subprocess.run([*command, '--help'], capture_output=True, text=True,
                          check=True).stdout


def help_options(text):
    """{(short or '', long)} of GOption's help, --help itself left out."""
    return set(re.findall(r'(?m)^ +(?:-(\w), )?--([a-z-]+)', text)) - {('h', 'help')}


def page_options(text):
    """The same of the items of a list in mdoc."""
    found = set()
    for item in re.findall(r'(?m)^\.It (Fl .*)$', text):
        for short, name in re.findall(r'(?:\bFl (\w) , )?Fl Fl ([\w-]+)', item):
            found.add((short, name))
    return found - {('h', 'help')}


def section(page, title):
    match = re.search(rf'(?ms)^\.Sh {title}$(.*?)(?=^\.Sh )', page)
    return match.group(1) if match else ''


def verbs(text):
    return re.findall(r'(?m)^  ([a-z]+) {2,}[a-z]', text)


def compare(name, asked, written):
    report(f'{name}: the page has the options of --help',
           ''.join(f'not in the page: {option}\n' for option in sorted(asked - written)) +
           ''.join(f'not in --help: {option}\n' for option in sorted(written - asked)))


def main():
    pages = [f'{source}/docs/man/vigil.1', f'{source}/docs/man/vigild.8',
             f'{build}/docs/vigil.conf.5']
    for page in pages:
        name = os.path.basename(page)
        if shutil.which('mandoc'):
            lint = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page],
                                  capture_output=True, text=True, check=False)
            report(f'{name} has no mistakes', lint.stdout + lint.stderr)
        else:
            report(f'{name} has no mistakes', '', ' # SKIP no mandoc here')
    commands = page_text(pages[0])
    compare('vigild', help_options(help_of(vigild)), page_options(page_text(pages[1])))
    for verb in verbs(help_of(vigil)):
        text = help_of(vigil, verb)
        inner = verbs(text) + (['test'] if verb == 'streams' else [])
        asked = help_options(text).union(*(help_options(help_of(vigil, verb, each))
                                           for each in inner))
        compare(f'vigil {verb}', asked, page_options(section(commands, verb.upper())))
    keys = page_text(pages[2])
    missing = [key for key in re.findall(r'(?m)^\| `(\w+)` \|', subprocess.run(
        [vigil, 'config', 'reference'], capture_output=True, text=True, check=True).stdout)
        if f'\n.It Li {key}\n' not in keys]
    report('vigil.conf.5 has every key', '\n'.join(missing))
    print(f'1..{len(results)}')


main()
