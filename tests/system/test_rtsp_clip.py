#!/usr/bin/env python3
"""The same clip from a file and over RTSP through the daemon: the same events."""
import json
import subprocess
import time

from harness import (CLIP, PATIENCE, SANITIZED, VIGIL, Skip, daemon, expect, need_data, note,
                     parse_time, rtsp_server, run_tests, wait_for, workspace)

LENGTH = 139
WINDOW = 1.0  # seconds, of the default model


def events_of_file(clip):
    result = subprocess.run([VIGIL, 'run', clip, '--json-lines'], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=120 * PATIENCE, check=True)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return [(row['label'], parse_time(row['start']), parse_time(row['end'])) for row in rows
            if row['type'] == 'detection.ended']


def distance(found, wanted):
    """Largest difference of a start or an end; infinite where the labels differ."""
    if [row[0] for row in found] != [row[0] for row in wanted]:
        return float('inf')
    return max(max(abs(a - c), abs(b - d))
               for (_, a, b), (_, c, d) in zip(found, wanted))


def same_events_over_rtsp():
    """the clip over RTSP gives the labels and times of the file, within a window"""
    clip = need_data(CLIP)
    if SANITIZED:
        raise Skip('plays 139 s in real time; the release build shows it')
    wanted = events_of_file(clip)
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--file', clip) as (_, port), \
            daemon(folder) as vigild:
        started = time.monotonic()
        vigild.put_stream('clip', uri=f'rtsp://127.0.0.1:{port}/stream')
        origin = parse_time(vigild.wait_live('clip')['first_analysed'])
        wait_for('the end of the clip',
                 lambda: time.monotonic() - started > LENGTH + 2 * WINDOW, LENGTH + 60)
        status = vigild.status('clip')
        note(f"{status['analysed']} frames analysed, {status['dropped']} dropped")
        expect(status['reconnects'] == 0, status)
        rows = vigild.detections(stream='clip')
    found = [(row['label'], parse_time(row['start']) - origin,
              parse_time(row['end']) - origin if row['end'] else LENGTH) for row in rows]
    # We joined a picture that was running: the first analysed frame is one of the clip's key
    # frames, which stand at whole seconds.
    shift = min(range(4), key=lambda s: distance(
        [(label, start + s, end + s) for label, start, end in found], wanted))
    found = [(label, start + shift, end + shift) for label, start, end in found]
    for label, start, end in found:
        note(f'rtsp {label} {start:.2f}-{end:.2f}')
    for label, start, end in wanted:
        note(f'file {label} {start:.2f}-{end:.2f}')
    worst = distance(found, wanted)
    note(f'joined at {shift} s; largest difference {worst:.2f} s')
    expect(worst <= WINDOW, f'events differ by {worst} s')


run_tests([same_events_over_rtsp])
