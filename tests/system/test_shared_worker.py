#!/usr/bin/env python3
"""Several cameras in one worker: what one of them does to the others."""
import os
import signal
import time

from harness import (PATIENCE, SANITIZED, daemon, expect, note, parse_time, rtsp_server, run_tests,
                     wait_for, workspace)

CONFIG = '[worker]\nstreams_per_worker = 4\n'
NAMES = ('north', 'east', 'south', 'west')


def put_all(vigild, port):
    for name in NAMES:
        vigild.put_stream(name, uri=f'rtsp://127.0.0.1:{port}/stream')
    for name in NAMES:
        vigild.wait_live(name)
    pids = {vigild.status(name)['worker_pid'] for name in NAMES}
    expect(len(pids) == 1, f'four streams have {len(pids)} workers')
    return pids.pop()


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def memory_limit(pid):
    with open(f'/proc/{pid}/limits', encoding='ascii') as file:
        line = next(line for line in file if line.startswith('Max data size'))
    return line.split()[3]


def wait_for_frames(vigild, name, count):
    start = vigild.status(name)['received']
    vigild.wait_status(name, f'{count} more frames', lambda s: s['received'] >= start + count, 20)


def one_stream_stops():
    """a stream that stops leaves the others of its worker without a lost frame or descriptor"""
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--pattern', 'scene') as (_, port), \
            daemon(folder, CONFIG) as vigild:
        pid = put_all(vigild, port)
        wait_for_frames(vigild, 'north', 15)
        before = {name: vigild.status(name) for name in NAMES[:3]}
        held = descriptors(pid)
        note(f'{held} descriptors with four cameras')
        half = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2
        limit = min(max(half, 1 << 30), 4 << 30) + 3 * (64 << 20)
        expect(SANITIZED or memory_limit(pid) == str(limit),
               f'its memory is limited to {memory_limit(pid)}, not {limit}')
        expect(vigild.request('DELETE', '/api/v1/streams/west')[0] == 204, 'not deleted')
        for name in NAMES[:3]:
            wait_for_frames(vigild, name, 30)
            after = vigild.status(name)
            expect(after['worker_pid'] == pid, f'{name} was moved')
            for count in ('reconnects', 'damaged'):
                expect(after[count] == before[name][count], f'{name}: {count} {after[count]}')
            expect(SANITIZED or after['dropped'] == before[name]['dropped'], f'{name} lost frames')
        wait_for('the descriptors of the stopped stream to be closed',
                 lambda: descriptors(pid) < held, 10 * PATIENCE)
        # Its place is taken again, by the same worker, and costs what it cost before.
        vigild.put_stream('west', uri=f'rtsp://127.0.0.1:{port}/stream')
        vigild.wait_live('west')
        expect(vigild.status('west')['worker_pid'] == pid, 'the free place was not used')
        wait_for('as many descriptors as at first', lambda: descriptors(pid) <= held,
                 10 * PATIENCE)


def the_worker_crashes():
    """after SIGSEGV of a shared worker each of its streams has its first packet within 1 s"""
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--pattern', 'scene') as (_, port), \
            daemon(folder, CONFIG) as vigild:
        pid = put_all(vigild, port)
        killed = time.time()
        os.kill(pid, signal.SIGSEGV)
        packets = []
        for name in NAMES:
            status = vigild.wait_status(
                name, 'receiving again', lambda s: s['first_packet'] and
                parse_time(s['first_packet']) > killed, 20)
            packets.append(parse_time(status['first_packet']) - killed)
        note('first packets after ' + ', '.join(f'{p:.3f} s' for p in packets))
        expect(SANITIZED or max(packets) <= 1.0, f'first packet after {max(packets):.3f} s')
        for name in NAMES:
            vigild.wait_live(name)
        pids = {vigild.status(name)['worker_pid'] for name in NAMES}
        expect(len(pids) == 1 and pid not in pids, f'workers {pids} after {pid}')


run_tests([one_stream_stops, the_worker_crashes])
