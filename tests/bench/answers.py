#!/usr/bin/env python3
"""What vigild answers a second while it watches: `make bench-http`.

    make bench-http                                      a table, and exit 1 when it falls short
    make bench-http BENCH_FLAGS='--connections 8'        more than a core of vigild's

A database of --rows detections, four cameras, and wrk on GET /api/v1/detections?limit=50 from
loopback. The verdict is the last line: 3 000 requests a second for one core of vigild's, 99 of
100 within 20 ms, and no less analysed than without them. Two connections that never rest keep about one core of
vigild's busy, which is what is promised; with more of them wrk and vigild take all there is, and
analysis is to share the rest. On a quiet machine; it needs wrk."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import BUILD, daemon, workspace  # noqa: E402

STORE = os.path.join(BUILD, 'tests', 'bench', 'bench_store')
PATH = '/api/v1/detections?limit=50'
CAMERAS = [f'street-{seed}' for seed in range(1, 5)]
REQUESTS_PER_CORE = 3000
P99_MS = 20
ANALYSED = 0.98


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as stat:
        fields = stat.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def analysed(running):
    return sum(running.status(name)['analysed'] for name in CAMERAS)


def milliseconds(text):
    number, unit = re.fullmatch(r'([0-9.]+)(us|ms|s)', text).groups()
    return float(number) * {'us': 0.001, 'ms': 1, 's': 1000}[unit]


def watch(running, seconds, command=None):
    """Frames analysed a second over some time, vigild's processor time, what the command said."""
    frames, used, begin = analysed(running), cpu_seconds(running.pid), time.monotonic()
    said = ''
    if command:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    else:
        time.sleep(seconds)
    took = time.monotonic() - begin
    return (analysed(running) - frames) / took, cpu_seconds(running.pid) - used, said


def measure(options):
    with workspace() as folder:
        subprocess.run([STORE, '--rows', str(options.rows), '--check-each', '1000000', '--folder',
                        folder, '--keep'], check=True, stdout=subprocess.DEVNULL)
        database = next(name for name in os.listdir(folder) if name.endswith('.db'))
        config = '[store]\nretention_days = 0\n' + ''.join(
            f'[stream {name}]\nuri = scene://street?seed={name[-1]}\n' for name in CAMERAS)
        with daemon(folder, config, ('--database', os.path.join(folder, database))) as running:
            for name in CAMERAS:
                running.wait_live(name, 60)
            alone, _, _ = watch(running, options.seconds)
            busy, used, said = watch(running, options.seconds, [
                'wrk', '-t1', f'-c{options.connections}', f'-d{options.seconds}', '--latency',
                running.url + PATH])
    requests = int(re.search(r'(\d+) requests in', said).group(1))
    rate = float(re.search(r'Requests/sec: *([0-9.]+)', said).group(1))
    p99 = milliseconds(re.search(r'99% +(\S+)', said).group(1))
    errors = re.findall(r'(?:Socket errors|Non-2xx).*', said)
    per_core = requests / used
    print(f'{rate:.0f} requests/s over {options.connections} connections; {per_core:.0f} for each '
          f'second of a core ({1e6 * used / requests:.0f} us each)')
    print(f'p99 {p99:.1f} ms; analysed {alone:.1f} frames/s without, {busy:.1f} with them')
    good = (not errors and min(rate, per_core) >= REQUESTS_PER_CORE and p99 <= P99_MS and
            busy >= ANALYSED * alone)
    print(*errors, 'as promised' if good else
          f'NOT as promised: {REQUESTS_PER_CORE}/s, {P99_MS} ms, {ANALYSED:.0%} analysed')
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', type=int, default=100000)
    parser.add_argument('--seconds', type=int, default=20)
    parser.add_argument('--connections', type=int, default=2)
    options = parser.parse_args()
    if not shutil.which('wrk'):
        print('wrk is missing; on Debian: apt-get install wrk', file=sys.stderr)
        return 2
    return measure(options)


sys.exit(main())
