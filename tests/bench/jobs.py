#!/usr/bin/env python3
"""What a training beside four streams costs them.

    make bench-jobs                        a line for each round, and exit 1 when it costs more
    tests/bench/jobs.py --seconds 60 --rounds 5
    tests/bench/jobs.py --busy             the same with a training that is not idle

A real vigild watches four rendered streets. Rounds without a training and with one (POST
/api/v1/jobs, on every processor) take turns, so that what else the machine does meets both. What
counts is how many frames were analysed, of how many the models asked for. The short form takes
a minute; the machine should have nothing else to do."""
import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'system'))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'cli'))
from harness import VIGIL, daemon, wait_for, workspace  # noqa: E402
from trainable import FOLDER, path, write_pictures, write_recipe  # noqa: E402

CAMERAS = [f'street-{i}' for i in range(4)]
PROMISE = 0.02
SETTLE = 2  # seconds: clocks of processors, caches


def statuses(vigild):
    return [vigild.get(f'/api/v1/streams/{name}')['status'] for name in CAMERAS]


def cpu_seconds(vigild):
    """Of the workers, so far; a training is none of them."""
    total = 0
    for status in statuses(vigild):
        with open(f'/proc/{status["worker_pid"]}/stat', encoding='ascii') as file:
            total += sum(int(field) for field in file.read().rpartition(')')[2].split()[11:13])
    return total / os.sysconf('SC_CLK_TCK')


def watch(vigild, seconds):
    """Frames analysed and dropped in a while, each a second; and the workers' share of the
    machine."""
    before, cpu, began = statuses(vigild), cpu_seconds(vigild), time.monotonic()
    time.sleep(seconds)
    after, took = statuses(vigild), time.monotonic() - began

    def rate(member):
        return sum(a[member] - b[member] for a, b in zip(after, before)) / took
    return {'analysed': rate('analysed'), 'dropped': rate('dropped'),
            'share': (cpu_seconds(vigild) - cpu) / took / os.cpu_count(),
            'latency': max(status['latency_p99_ms'] or 0 for status in after)}


def ask(vigild, method, path, body=None):
    status, _, text = vigild.request(method, f'/api/v1/jobs{path}', body)
    if status != 202:
        sys.exit(f'{method} /jobs{path}: {status} {text.decode()}')
    return json.loads(text)


def with_training(vigild, seconds):
    job = ask(vigild, 'POST', '', {'kind': 'train', 'recipe': 'endless.recipe', 'replace': True,
                                   'threads': os.cpu_count()})
    url = f'/api/v1/jobs/{job["id"]}'

    def epoch():
        return (vigild.get(url)['progress'] or {}).get('epoch', 0)
    wait_for('its first epoch', epoch, 60)
    time.sleep(SETTLE)
    first = epoch()
    found = watch(vigild, seconds)
    found['epochs'] = (epoch() - first) / seconds
    ask(vigild, 'DELETE', f'/{job["id"]}')
    wait_for('its end', lambda: vigild.get(url)['state'] == 'cancelled', 20)
    return found


def busy_program():
    """vigil, but that it is never told to be idle."""
    program = path('busy')
    with open(program, 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\nfor word; do shift; [ "$word" = --idle ] || set -- "$@" "$word"; done\n'
                   f'exec {os.path.abspath(VIGIL)} "$@"\n')
    os.chmod(program, 0o755)
    return f'program = {program}\n'


def measure(options):
    config = (f'[jobs]\ndata = {FOLDER.name}\nmodels = {FOLDER.name}\n' +
              (busy_program() if options.busy else '') + ''.join(
        f'[stream {name}]\nuri = scene://street?seed={i}&fps=25&width=1280&height=720\n'
        for i, name in enumerate(CAMERAS)))
    without, beside = [], []
    with workspace() as folder, daemon(folder, config) as vigild:
        for name in CAMERAS:
            vigild.wait_live(name, 60)
        time.sleep(SETTLE)
        for turn in range(options.rounds):
            without.append(watch(vigild, options.seconds))
            beside.append(with_training(vigild, options.seconds))
            print(f'{turn + 1}: alone {without[-1]["analysed"]:.2f} frames/s, '
                  f'{without[-1]["dropped"]:.2f} dropped/s, {without[-1]["share"]:.0%} of the '
                  f'machine; beside a training {beside[-1]["analysed"]:.2f}, '
                  f'{beside[-1]["dropped"]:.2f}, {beside[-1]["share"]:.0%}, '
                  f'{beside[-1]["epochs"]:.2f} epochs/s', flush=True)
    alone = sum(found['analysed'] for found in without)
    lost = 1 - sum(found['analysed'] for found in beside) / alone
    print(f'A training costs {len(CAMERAS)} streams {lost:.2%} of their analysed frames '
          f'(at most {PROMISE:.0%}); latency p99 {max(f["latency"] for f in beside):.0f} ms')
    return 0 if lost <= PROMISE else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=8, help='of a round')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--busy', action='store_true', help='a training that is not idle')
    write_pictures('pictures', count=2000)
    write_recipe('endless.recipe', epochs=1000000, layers='conv2d 64 3 relu; conv2d 64 3 relu; '
                 'maxpool2d 2; flatten; dense 128 relu; dense 3 softmax')
    sys.exit(measure(parser.parse_args()))


if __name__ == '__main__':
    main()
