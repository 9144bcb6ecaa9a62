#!/usr/bin/env python3
"""`vigil run` on a real clip: what happened, when, and the same bytes each time."""
import json
import subprocess

from harness import (CLIP, VIGIL, PATIENCE, check_clip_movement, expect, need_data, note,
                     parse_time, run_tests)

runs = []


def run_clip(*arguments):
    result = subprocess.run([VIGIL, 'run', need_data(CLIP), '--json-lines', *arguments],
                            stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=120 * PATIENCE, check=False)
    expect(result.returncode == 0,
           f'exit {result.returncode}: {result.stderr[-1000:].decode("utf-8", "replace")}')
    return result.stdout


def records(output):
    return [json.loads(line) for line in output.decode('utf-8').splitlines()]


def movement_events(rows):
    return [(parse_time(row['start']), parse_time(row['end'])) for row in rows
            if row['type'] == 'detection.ended' and row['label'] == 'movement']


def six_people_come_and_go():
    """each arrival and departure of six people is in a movement event, the empty room in none"""
    runs.append(run_clip())
    events = movement_events(records(runs[0]))
    note(f'{len(events)} movement events: ' + ' '.join(f'{a:.1f}-{b:.1f}' for a, b in events))
    check_clip_movement(events)


def records_are_valid():
    """every record has the members of the contract, starts before it ends, once each"""
    rows = records(runs[0])
    expect(rows, 'no record at all')
    seen = {}
    for row in rows:
        for member in ('type', 'id', 'stream', 'kind', 'label', 'score', 'box', 'time', 'pts_ns',
                       'start', 'end', 'window', 'model'):
            expect(member in row, f'no member {member} in {row}')
        expect('seq' not in row and 'latency_ms' not in row, f'a file has no {row}')
        expect(0 <= row['score'] <= 1, f'score of {row}')
        phase = row['type'].partition('.')[2]
        before = seen.get(row['id'])
        expect(before in {'started': (None,), 'updated': ('started', 'updated'),
                          'ended': ('started', 'updated')}[phase],
               f'{phase} after {before}: {row["id"]}')
        expect((row['end'] is not None) == (phase == 'ended'), f'end of {row}')
        seen[row['id']] = phase
    expect(set(seen.values()) == {'ended'}, 'an event of a file is left open')
    note(f'{len(rows)} records, {len(seen)} detections, labels '
         f'{sorted({row["label"] for row in rows})}')


def two_runs_are_identical():
    """two runs print the same bytes"""
    expect(run_clip() == runs[0], 'the second run differs')


def windows_are_printed_on_request():
    """--windows adds every window's scores, which sum to one"""
    rows = [row for row in records(run_clip('--windows')) if row['type'] == 'window']
    expect(len(rows) > 139, f'only {len(rows)} windows in 139 s')
    for row in rows:
        total = sum(row['scores'].values())
        expect(abs(total - 1) < 0.01, f'scores sum to {total}: {row}')


run_tests([six_people_come_and_go, records_are_valid, two_runs_are_identical,
           windows_are_printed_on_request])
