#!/usr/bin/env python3
"""The same clip from a file and over RTSP through the daemon: the same events."""
import json
import subprocess

from harness import (CLIP, PATIENCE, SANITIZED, VIGIL, Skip, daemon, expect, need_data, note,
                     parse_time, rtsp_server, run_tests, workspace)


def events_of_file(clip):
    result = subprocess.run([VIGIL, 'run', clip, '--json-lines'], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=120 * PATIENCE, check=True)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return [(row['label'], parse_time(row['start']), parse_time(row['end'])) for row in rows
            if row['type'] == 'detection.ended']


def same_events_over_rtsp():
    """the clip over RTSP gives the labels and times of the file, within a window"""
    clip = need_data(CLIP)
    if SANITIZED:
        raise Skip('plays 139 s in real time; the release build shows it')
    wanted = events_of_file(clip)
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--file', clip, '--once') as (_, port), \
            daemon(folder) as vigild:
        vigild.put_stream('clip', uri=f'rtsp://127.0.0.1:{port}/stream')
        status = vigild.wait_live('clip')
        origin = status['first_analysed']
        vigild.wait_status('clip', 'over', lambda s: s['state'] != 'live', 170)
        rows = vigild.detections(stream='clip', state='ended')
    origin = parse_time(origin)
    found = [(row['label'], parse_time(row['start']) - origin, parse_time(row['end']) - origin)
             for row in rows]
    for label, start, end in found:
        note(f'rtsp {label} {start:.2f}-{end:.2f}')
    for label, start, end in wanted:
        note(f'file {label} {start:.2f}-{end:.2f}')
    window = 1.0
    expect([row[0] for row in found] == [row[0] for row in wanted], 'other labels')
    for (_, start, end), (label, first, last) in zip(found, wanted):
        expect(abs(start - first) <= window and abs(end - last) <= window,
               f'{label} {first:.2f}-{last:.2f} became {start:.2f}-{end:.2f}')


run_tests([same_events_over_rtsp])
