#!/usr/bin/env python3
"""What vigild and its workers hold in memory while they watch real cameras.

    make bench-memory                      a table, and exit 1 when a promise is not kept
    tests/bench/memory.py --detail         also which mappings of the worker it is in

A camera is tests/tools/rtspserver with the clip one-by-one-person-detection.mp4 (768x432, H.264)
of the shared data; without it, a rendered scene of the same size. Figures are the kernel's own
proportional set size (smaps_rollup): a page that processes share counts in parts. They are read
once every stream has been analysed for a minute, ten seconds with --quick."""
import argparse
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'system'))
from harness import DATA, daemon, rtsp_server, wait_for, workspace  # noqa: E402

CLIP = os.path.join(DATA, 'clips', 'one-by-one-person-detection.mp4') if DATA else ''
MIB = 1024.0

# streams, streams_per_worker, most MiB of one stream in its worker
CASES = [(1, 1, 60), (4, 1, 60), (8, 8, 25)]
DAEMON_MIB = 20


def rollup(pid, field):
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
        return int(re.search(rf'^{field}:\s+(\d+) kB', file.read(), re.MULTILINE)[1]) / MIB


def resident(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'^VmRSS:\s+(\d+) kB', file.read(), re.MULTILINE)[1]) / MIB


def mappings(pid):
    """PSS in MiB by what is mapped, largest first."""
    sizes = collections.Counter()
    name = ''
    with open(f'/proc/{pid}/smaps', encoding='utf-8', errors='replace') as file:
        for line in file:
            head = re.match(r'[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)', line)
            if head:
                name = os.path.basename(head[1]) or 'anonymous'
            elif line.startswith('Pss:'):
                sizes[name] += int(line.split()[1]) / MIB
    return sizes.most_common()


def measure(streams, per_worker, frames, detail):
    """MiB of vigild (RSS), and of the streams' workers together (PSS)."""
    camera = ['--file', CLIP] if os.path.exists(CLIP) else \
        ['--pattern', 'scene', '--width', '768', '--height', '432']
    config = f'[worker]\nstreams_per_worker = {per_worker}\n'
    with workspace() as folder, rtsp_server(folder, '--port', '0', *camera) as (_, port), \
            daemon(folder, config) as vigild:
        names = [f'camera-{i}' for i in range(streams)]
        for name in names:
            vigild.put_stream(name, uri=f'rtsp://127.0.0.1:{port}/stream')
        for name in names:
            wait_for(f'{frames} analysed frames of {name}',
                     lambda name=name: vigild.status(name)['analysed'] >= frames, 300, 0.5)
        pids = {vigild.status(name)['worker_pid'] for name in names}
        total = sum(rollup(pid, 'Pss') for pid in pids)
        if detail:
            pid = min(pids)
            print(f'worker {pid}: private {rollup(pid, "Private_Dirty"):.1f} MiB dirty, '
                  f'{rollup(pid, "Private_Clean"):.1f} MiB clean')
            for what, size in mappings(pid)[:25]:
                print(f'    {size:6.2f} MiB  {what}')
        return resident(vigild.pid), total, len(pids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--detail', action='store_true', help='the mappings of one worker')
    parser.add_argument('--quick', action='store_true', help='after ten seconds')
    parser.add_argument('--streams', type=int, help='only this many, with --per-worker')
    parser.add_argument('--per-worker', type=int, default=1)
    options = parser.parse_args()
    cases = CASES if not options.streams else \
        [(options.streams, options.per_worker, float('inf'))]
    frames = 80 if options.quick else 480  # of the model's 8 a second
    kept = True
    print(f'{"streams":>7} {"a worker":>9} {"workers":>8} {"vigild RSS":>11} {"PSS a stream":>13}')
    for streams, per_worker, most in cases:
        vigild, total, workers = measure(streams, per_worker, frames, options.detail)
        each = total / streams
        good = each <= most and vigild <= DAEMON_MIB
        kept = kept and good
        print(f'{streams:>7} {per_worker:>9} {workers:>8} {vigild:>7.1f} MiB {each:>9.1f} MiB'
              f'{"" if good else "   over the promise"}', flush=True)
    return 0 if kept else 1


sys.exit(main())
