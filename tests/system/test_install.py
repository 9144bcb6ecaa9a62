#!/usr/bin/env python3
"""What is installed works where it is: programs that find each other, model, plugin, pages."""
import contextlib
import json
import os
import re
import subprocess

import harness
from harness import (PATIENCE, SANITIZED, SOURCE, Skip, daemon, expect, run_tests, workspace)
from installed import install, option, unit_path


def run(*command, **environment):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          text=True, timeout=60 * PATIENCE, cwd='/',
                          env={**os.environ, **environment})
    expect(done.returncode == 0, f'{command}: {done.returncode}: {done.stderr[-1000:]}')
    return done.stdout


@contextlib.contextmanager
def installed_vigild(path):
    built, harness.VIGILD = harness.VIGILD, path
    try:
        yield
    finally:
        harness.VIGILD = built


def installed_programs_find_each_other():
    """vigil and vigild, installed below another root, run the worker and the model of that root"""
    with workspace() as folder:
        root = install(folder)
        text = run(f'{root}{option("bindir")}/vigil', 'run', 'scene://street?seed=7&duration=20')
        records = [json.loads(line) for line in text.splitlines()]
        expect(records and records[0]['model'].startswith('scene@'), f'{records[:1]}')
        with installed_vigild(f'{root}{option("sbindir")}/vigild'), daemon(folder) as vigild:
            vigild.put_stream('street', uri='scene://street?seed=5')
            vigild.wait_live('street')
            worker = vigild.status('street')['worker_pid']
            with open(f'/proc/{worker}/cmdline', 'rb') as file:
                program = file.read().split(b'\0')[0].decode()
            expect(program == f'{root}{option("libexecdir")}/vigil/vigil-worker', program)
            models = vigild.get('/api/v1/models')['models']
            expect([model for model in models if model['name'] == 'scene' and
                    'labels' in model], f'{models}')


def the_plugin_is_in_gstreamers_folder():
    """gst-inspect-1.0 finds both elements in the folder the plugin was installed to"""
    if SANITIZED:
        raise Skip('GStreamer\'s tools are not instrumented and cannot load our plugin')
    with workspace() as folder:
        plugins = f'{install(folder)}{option("libdir")}/gstreamer-1.0'
        text = run('gst-inspect-1.0', 'vigil', GST_PLUGIN_PATH=plugins,
                   GST_REGISTRY=os.path.join(folder, 'registry'))
        expect(f'{plugins}/libgstvigil.so' in text, text)
        for line in (r'vigilanalyze: ', r'vigilscenesrc: ', r'License +Apache 2.0',
                     r'Source module +vigil', r'Binary package +vigil'):
            expect(re.search(line, text), f'no {line} in {text}')
        authors = {run('gst-inspect-1.0', element, GST_PLUGIN_PATH=plugins,
                       GST_REGISTRY=os.path.join(folder, 'registry')).partition('Author')[2]
                   .split('\n')[0].strip() for element in ('vigilanalyze', 'vigilscenesrc')}
        expect(len(authors) == 1, f'authors {authors}')


def everything_has_its_place():
    """the unit, pages, completions, examples and the model's card are where they are looked for"""
    with workspace() as folder:
        root = install(folder)
        share = root + option('datadir')
        for path in (unit_path(root),
                     f'{share}/vigil/models/scene.md',
                     f'{share}/doc/vigil/examples/vigil.conf',
                     f'{share}/bash-completion/completions/vigil',
                     f'{share}/bash-completion/completions/vigild',
                     f'{root}{option("mandir")}/man1/vigil.1',
                     f'{root}{option("mandir")}/man5/vigil.conf.5',
                     f'{root}{option("mandir")}/man8/vigild.8',
                     *(f'{share}/doc/vigil/{page}' for page in os.listdir(f'{SOURCE}/docs')
                       if page.endswith('.md'))):
            expect(os.path.getsize(path) > 0, f'{path} is empty')
        with open(unit_path(root), encoding='utf-8') as unit:
            expect(f'ExecStart={option("sbindir")}/vigild\n' in unit.read(), 'ExecStart')


def complete(root, line, url='http://127.0.0.1:9'):
    """What bash offers at the end of a line, as it loads the completion of the command."""
    words = line.split(' ')
    script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              'complete -p "${1##*/}" >/dev/null || exit 1; "_${1##*/}"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    name = os.path.basename(words[0])
    page = f'{root}{option("datadir")}/bash-completion/completions/{name}'
    return run('bash', '-c', script, page, *words, VIGIL_URL=url).split()


def completion_offers_what_there_is():
    """bash completes verbs, their actions and options, and the streams of a running vigild"""
    with workspace() as folder:
        root = install(folder)
        vigil, vigild = f'{root}{option("bindir")}/vigil', f'{root}{option("sbindir")}/vigild'
        help_text = run(vigil, '--help')
        verbs = re.findall(r'(?m)^  ([a-z]+) {2,}', help_text)
        expect({'run', 'streams', 'watch'} <= set(verbs), help_text)
        expect(set(complete(root, f'{vigil} ')) == {*verbs, '--help', '--version'}, 'verbs')
        expect(complete(root, f'{vigil} str') == ['streams'], 'a verb begun')
        expect(set(complete(root, f'{vigil} streams ')) ==
               {'ls', 'add', 'set', 'restart', 'status', 'rm', 'test'}, 'actions')
        expect(set(complete(root, f'{vigil} config ')) == {'check', 'show', 'reference'}, 'actions')
        expect(complete(root, f'{vigil} streams test --sec') == ['--seconds='], 'its option')
        expect(complete(root, f'{vigil} run --json') == ['--json-lines'], 'an option')
        expect(complete(root, f'{vigil} model ins') == ['inspect'], 'a verb of a verb')
        expect(complete(root, f'{vigil} model inspect --he') == ['--help'], '--help, once')
        expect(complete(root, f'{vigil} bench scene -p ') == ['fp32', 'fast', 'int8'], 'precisions')
        expect(complete(root, f'{vigil} bench sc') == ['scene'], 'a model that comes with vigil')
        expect(complete(root, f'{vigil} model quantize sc') == ['scene'], 'the same')
        expect('--time-axis=' in complete(root, f'{vigil} model inspect --'), 'its options')
        for verb in verbs:
            expect('--help' in complete(root, f'{vigil} {verb} --'), f'{verb}: no options')
        expect({'--config=', '--log-level=', '--version'} <= set(complete(root, f'{vigild} --')),
               'options of vigild')
        expect(complete(root, f'{vigild} --log-format = j') == ['json', 'journal'], 'values')
        expect(complete(root, f'{vigil} streams rm ') == [], 'streams of no vigild')
        with installed_vigild(vigild), daemon(folder) as running:
            for name in ('front-door', 'front-yard', 'back'):
                running.put_stream(name, uri='scene://street', enabled=False)
            for line in ('bench -s front', 'model quantize -s front'):
                expect(complete(root, f'{vigil} {line}', running.url) == [], line)
            for line in ('streams rm front', 'watch --stream = front', 'detections -s front'):
                expect(complete(root, f'{vigil} {line}', running.url) ==
                       ['front-door', 'front-yard'], line)


def the_example_configuration_is_valid():
    """vigild starts with the installed example as it is, and with all it shows made active"""
    with workspace() as folder:
        example = f'{install(folder)}{option("datadir")}/doc/vigil/examples/vigil.conf'
        with open(example, encoding='utf-8') as file:
            text = file.read()
        active = re.sub(r'(?m)^#(?=\w+ = |\[)', '', text)
        expect(active.count('\n#') < text.count('\n#') - 5, 'nothing was made active')
        for config in (text, active.replace('/srv/recordings', folder)):
            with daemon(folder, config) as vigild:
                expect('street' in [stream['name'] for stream in
                                    vigild.get('/api/v1/streams')['streams']], config)


run_tests([installed_programs_find_each_other, the_plugin_is_in_gstreamers_folder,
           everything_has_its_place, completion_offers_what_there_is,
           the_example_configuration_is_valid])
