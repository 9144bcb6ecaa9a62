#!/usr/bin/env python3
"""Clients of the event stream that come back with Last-Event-ID after vigild was killed: each
gets every record once, in order, as the store holds it in the end.

One is there from the start, one asks for one label only, one reads slowly, `vigil watch` is one
as well, and in each of the first rounds another begins at the first record. One round: vigild
starts on the store that the last one left, its workers report, it is killed.
"""
import json
import os

from load import Service
from report import run
from harness import VIGIL, Follower, Program, note, wait_for, workspace

FRESH = 60  # records between a start and the kill
LABEL = 'movement'
ANEW_MAX = 8


class Watcher:
    """`vigil watch`: the followers' interface over what it prints."""

    def __init__(self, folder, port):
        self.program = Program(
            [VIGIL, 'watch', '--json', '--since-seq', '0'], os.path.join(folder, 'watch.log'),
            env={**os.environ, 'VIGIL_URL': f'http://127.0.0.1:{port}'})

    @property
    def records(self):
        """Lines that are whole; what else it says (of lost connections) is no JSON."""
        lines = self.program.output().split('\n')[:-1]
        return [(record['seq'], record)
                for record in (json.loads(line) for line in lines if line.startswith('{'))]

    @property
    def last(self):
        return max((seq for seq, _ in self.records), default=0)

    def stop(self):
        self.program.stop()


def kill_and_resume(report, rounds):
    with workspace() as folder:
        service = Service(folder)
        clients = {}
        try:
            service.start()
            clients['from the start'] = Follower(service.port)
            clients[f'{LABEL} only'] = Follower(service.port, query=f'?label={LABEL}')
            clients['slow'] = Follower(service.port, pace_s=0.02)
            clients['vigil watch'] = Watcher(folder, service.port)
            for number in range(rounds):
                before = max((row['seq'] for row in service.vigild.detections()), default=0)
                wait_for(f'{FRESH} new records',
                         lambda: clients['from the start'].last >= before + FRESH, 60)
                if number < ANEW_MAX:
                    clients[f'anew in round {number + 1}'] = Follower(service.port)
                service.delay()
                service.kill()
                service.start()
            judge(report, service, clients)
        finally:
            for client in clients.values():
                client.stop()
            service.abandon()


def judge(report, service, clients):
    """Once nobody adds to the store, all clients must reach its end."""
    service.kill()
    vigild = service.start(config='')
    rows = vigild.detections()
    ends = {'all': max(row['seq'] for row in rows),
            LABEL: max((row['seq'] for row in rows if row['label'] == LABEL), default=0)}
    for name, client in clients.items():
        end = ends[LABEL if name.startswith(LABEL) else 'all']
        wait_for(f'the last record of the client {name}', lambda: client.last >= end, 30)
    for client in clients.values():
        client.stop()
    service.stop()
    _, stored = service.look()
    note(f'{len(stored)} records in the store after {len(service.orphans)} kills')
    for name, client in clients.items():
        wanted = [row for row in stored
                  if not name.startswith(LABEL) or row[1]['label'] == LABEL]
        difference = find_difference(client.records, wanted)
        report.judge(f'every record once and in order, client {name}', not difference,
                     difference or f'{len(wanted)} records')


def find_difference(got, wanted):
    """The first one, in words; None when there is none."""
    for place, (one, other) in enumerate(zip(got, wanted)):
        if one[0] != other[0]:
            return f'record {place + 1} is seq {one[0]}, not {other[0]}'
        if one[1] != other[1]:
            return f'seq {one[0]} differs from what is stored'
    if len(got) != len(wanted):
        return f'{len(got)} records, not {len(wanted)}'
    return None if wanted else 'there was nothing to compare'


run(kill_and_resume, short=3, long=20, description=__doc__)
