#!/usr/bin/env python3
"""GET /metrics of a real vigild: by the rules of Prometheus' text format and names, with counters
that only grow. promtool checks it too where it is installed."""
import json
import os
import re
import shutil
import subprocess
import time

from harness import BUILD, daemon, expect, run_tests, wait_for, workspace

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
CONFIG = f'[worker]\nprogram = {PUPPET}\n[store]\nretention_days = 0\n'
NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)$')
SPARSE = 'vigil_stream_sessions_lost_total' # only reasons that have occurred


def parse(text):
    """{family: (type, {(sample's name, labels): value})}; raises for what breaks a rule."""
    families, current = {}, None
    expect(text.endswith('\n'), 'the last line does not end')
    for line in text.splitlines():
        if line.startswith('# HELP '):
            _, _, current, words = line.split(' ', 3)
            expect(current not in families, f'{current} comes twice')
            expect(re.fullmatch(NAME, current) and words.endswith('.'), line)
            families[current] = [None, {}]
        elif line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            expect(name == current and families[name] == [None, {}], line)
            expect(kind in ('counter', 'gauge', 'histogram'), line)
            families[name][0] = kind
        else:
            match = SAMPLE.fullmatch(line)
            expect(match, f'no sample: {line}')
            kind, samples = families[current]
            suffixes = ('_bucket', '_sum', '_count') if kind == 'histogram' else ('',)
            expect(match[1] in [current + suffix for suffix in suffixes], f'not of {current}: {line}')
            labels = re.findall(LABEL, match[2] or '')
            expect(len(dict(labels)) == len(labels), f'a label twice: {line}')
            key = (match[1], tuple(sorted(labels)))
            expect(key not in samples, f'twice: {line}')
            samples[key] = float(match[7])
    return families


def check_histogram(name, samples):
    series = {}
    for (sample, labels), value in samples.items():
        rest = tuple(pair for pair in labels if pair[0] != 'le')
        part = series.setdefault(rest, {'buckets': []})
        if sample.endswith('_bucket'):
            part['buckets'].append((float(dict(labels)['le'].replace('+Inf', 'inf')), value))
        else:
            part[sample.removeprefix(name)] = value
    for labels, part in series.items():
        where = f'{name}{labels}'
        bounds, counts = zip(*part['buckets'])
        expect(list(bounds) == sorted(bounds) and bounds[-1] == float('inf'), where)
        expect(list(counts) == sorted(counts) and counts[-1] == part['_count'], where)
        expect(part['_sum'] >= 0, where)


def scrape(running):
    status, headers, body = running.request('GET', '/metrics')
    expect(status == 200 and headers['Content-Type'].startswith('text/plain; version=0.0.4'),
           f'{status} {headers}')
    return body.decode()


def busy(running):
    """Something of everything that is counted."""
    running.put_stream('record', uri='scene://street')
    running.put_stream('calm', uri='scene://street')
    for name in ('record', 'calm'):
        running.wait_status(name, 'live', lambda s: s['state'] == 'live', 10)
    wait_for('the detection', lambda: running.detections(), 10)
    for path in ('/', '/nowhere', '/livez', '/api/v1/streams/nobody', '/api/v1/detections?limit=0'):
        running.request('GET', path)


def the_format_is_kept():
    """every family has its help, type and samples, named by Prometheus' rules"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        busy(running)
        text = scrape(running)
        families = parse(text)
        expect(len(families) > 30, f'only {len(families)}')
        for name, (kind, samples) in families.items():
            expect(samples or kind != 'counter' or name == SPARSE,
                   f'{name} has no sample')
            expect((kind == 'counter') == name.endswith('_total'), f'{name} is a {kind}')
            expect(name.startswith(('vigil_', 'process_')), name)
            expect(not re.search(r'_(ms|millis|milliseconds|minutes|kb|mb|percent)(_|$)', name), name)
            if kind == 'histogram':
                expect(name.endswith('_seconds'), name)
                check_histogram(name, samples)
        began = families['process_start_time_seconds'][1][('process_start_time_seconds', ())]
        expect(0 <= time.time() - began < 60, f'began at {began}')
        promtool = shutil.which('promtool')
        if promtool:
            checked = subprocess.run([promtool, 'check', 'metrics'], input=text, text=True,
                                     capture_output=True, check=False)
            expect(checked.returncode == 0, checked.stdout + checked.stderr)


def requests_are_counted_by_route():
    """each request is in its route's histogram once, and the labels stay few"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        busy(running)
        name = 'vigil_http_request_duration_seconds'

        def count(route, status_class, method='GET'):
            labels = tuple(sorted((('method', method), ('route', route), ('class', status_class))))
            return parse(scrape(running))[name][1].get((name + '_count', labels), 0)
        before = count('/api/v1/streams/{name}', '4xx')
        for stranger in range(20):
            running.request('GET', f'/api/v1/streams/nobody-{stranger}')
        expect(count('/api/v1/streams/{name}', '4xx') == before + 20, 'not counted once each')
        expect(count('none', '4xx', 'none') >= 1, 'what reached no route is not counted')
        routes = json.loads(running.request('GET', '/openapi.json')[2])['paths']
        for _, labels in parse(scrape(running))[name][1]:
            route = dict(labels)['route']
            expect(route in routes or route == 'none', f'{route} is no route')


def counters_only_grow():
    """no counter goes back, not even over a worker's death"""
    with workspace() as folder, daemon(folder, CONFIG) as running:
        busy(running)
        before = parse(scrape(running))
        os.kill(running.status('calm')['worker_pid'], 9)
        wait_for('the death', lambda: parse(scrape(running))['vigil_workers_crashed_total'][1][
            ('vigil_workers_crashed_total', ())] == 1, 10)
        after = parse(scrape(running))
        for name, (kind, samples) in before.items():
            for key, value in samples.items() if kind != 'gauge' else ():
                expect(after[name][1].get(key, -1) >= value, f'{key} went back from {value}')
        committed = after['vigil_store_commit_seconds'][1][('vigil_store_commit_seconds_count', ())]
        expect(committed >= 1, 'no commit counted')


def each_stream_has_its_state():
    """the state of each stream is one sample, with the reason its status gives"""
    with workspace() as folder, daemon(folder, f'{CONFIG}[server]\nmedia_roots = {folder}\n') as running:
        busy(running)
        running.put_stream('gone', uri=f'file://{folder}/gone.mp4')
        running.put_stream('paused', uri='scene://street', enabled=False)
        running.wait_status('gone', 'failed', lambda s: s['state'] == 'failed', 10)
        name = 'vigil_stream_state'
        samples = parse(scrape(running))[name][1]
        told = {dict(labels)['stream']: (dict(labels)['state'], dict(labels)['reason'])
                for _, labels in samples}
        expect(len(samples) == 4 and set(samples.values()) == {1}, samples)
        expect(told == {'record': ('live', 'none'), 'calm': ('live', 'none'),
                        'gone': ('failed', 'not_found'), 'paused': ('disabled', 'none')}, told)


run_tests([the_format_is_kept, requests_are_counted_by_route, counters_only_grow,
           each_stream_has_its_state])
