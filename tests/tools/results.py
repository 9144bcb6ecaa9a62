"""What meson's runner wrote of the programs of one build directory, the second attempts included."""
import json
import os
import xml.etree.ElementTree as ET

FIRST, AGAIN = 'testlog', 'again'  # the runner's logs: of the whole suite, of what run_suite.py repeated


class Program:
    """One test program: its full name, its result ('OK', 'FAIL', ...), what it printed, its cases."""

    def __init__(self, entry):
        self.name = entry['name']
        self.result = entry['result']
        self.killed = entry['returncode'] < 0 and self.result != 'TIMEOUT'
        self.output = entry.get('stdout', '') + entry.get('stderr', '')
        self.cases = []  # (name, 'passed' | 'failed' | 'skipped')
        self.first = None  # the attempt this one replaces

    @property
    def short(self):
        """As `meson test` takes it: pipeline/camera."""
        return self.name.split(' / ')[-1]

    @property
    def failed(self):
        return self.result not in ('OK', 'SKIP')

    def said(self, count):
        """What it failed with, and its last lines."""
        lines = self.output.splitlines()
        failures = [line for line in lines[:-count] if line.startswith('not ok')]
        return [f'    {line}' for line in failures + lines[-count:]]


def verdict(case):
    kinds = {child.tag for child in case}
    if kinds & {'failure', 'error'}:
        return 'failed'
    return 'skipped' if 'skipped' in kinds else 'passed'


def read_log(build, log):
    programs = {}
    with open(f'{build}/meson-logs/{log}.json', encoding='utf-8') as lines:
        for line in lines:
            program = Program(json.loads(line))
            programs[program.name] = program
    for case in ET.parse(f'{build}/meson-logs/{log}.junit.xml').getroot().iter('testcase'):
        name = case.get('classname', '').partition('.')[2]  # behind the project's name
        if name not in programs:  # a program without cases of its own is a case of its suite
            name = case.get('name')
        programs[name].cases.append((case.get('name'), verdict(case)))
    return programs


def read_results(build):
    """The programs of a build directory by name, each as it ended last."""
    programs = read_log(build, FIRST)
    if os.path.exists(f'{build}/meson-logs/{AGAIN}.json'):
        for name, program in read_log(build, AGAIN).items():
            program.first = programs[name]
            programs[name] = program
    return programs
