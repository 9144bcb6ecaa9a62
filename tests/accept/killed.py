#!/usr/bin/env python3
"""kill -9 of vigild under load, again and again: what anybody was shown stays, once.

One round: vigild starts on the store that the last one left, four workers report all they see,
one client follows the event stream, another asks for pages and for single detections; at a random
moment after the first new records vigild is killed. Each fourth time it is killed once more
within its first half second. kill -9 says nothing of a power cut.
"""
import collections

from load import ORPHANS_S, Asker, Service
from report import run
from harness import PATIENCE, Follower, note, wait_for, workspace

FRESH = 60  # records of the life in question before it ends
STARTING_EVERY = 4


class Ledger:
    """What two clients were shown, against what is stored."""

    def __init__(self, service):
        self.service = service
        self.follower, self.asker = Follower(service.port), Asker(service.port)
        self.verified = 0
        self.checks, self.unsound, self.wrong = 0, [], []

    def verify(self, after):
        """vigild is dead. Returns the records with seq > after."""
        check, rows = self.service.look(after)
        self.checks += 1
        if check != 'ok':
            self.unsound.append(check)
        stored = dict(rows)
        for shown in (self.asker.snapshot().items(), list(self.follower.records)):
            for seq, record in shown:
                if seq > after and stored.get(seq) != record:
                    self.wrong.append(f'seq {seq} was shown and is '
                                      f'{"another" if seq in stored else "gone"}')
        self.verified = max(stored, default=after)
        return rows

    def stop(self):
        self.follower.stop()
        self.asker.over.set()


def kill_under_load(service, ledger):
    """The start itself ends what the last kill left open; these records do not count."""
    before = max((row['seq'] for row in service.vigild.detections()), default=0)
    wait_for(f'{FRESH} new records', lambda: ledger.follower.last >= before + FRESH, 60)
    service.delay()
    service.kill()
    ledger.verify(ledger.verified)


def kill_again_and_again(report, rounds):
    with workspace() as folder:
        service = Service(folder)
        service.start()
        ledger = Ledger(service)
        try:
            for number in range(rounds):
                kill_under_load(service, ledger)
                if number % STARTING_EVERY == 0:
                    service.kill_while_it_starts()
                    ledger.verify(ledger.verified)
                service.start()
                if (number + 1) % 10 == 0:
                    note(f'{number + 1} kills under load, {ledger.verified} records')
            judge(report, service, ledger, rounds)
        finally:
            ledger.stop()
            service.abandon()


def find_doubled(rows, listed):
    """What is not there exactly once: numbers, begins and ends, rows of the list."""
    found = []
    seqs = [seq for seq, _ in rows]
    if seqs != list(range(1, len(seqs) + 1)):
        found.append('numbers have gaps or repeat')
    count = collections.Counter((record['id'], record['type']) for _, record in rows
                                if record['type'] != 'detection.updated')
    latest = {record['id']: record for _, record in rows}
    found += [f'{key[0]} has {count[key]} {key[1]}' for identity in latest
              for key in ((identity, 'detection.started'), (identity, 'detection.ended'))
              if count[key] != 1]
    if sorted(row['id'] for row in listed) != sorted(latest):
        found.append(f'{len(listed)} rows list {len(latest)} detections')
    found += [f'{row["id"]} is not listed as its last record' for row in listed
              if row != latest.get(row['id'])]
    return found


def judge(report, service, ledger, rounds):
    """Once nobody adds to the store any more, everything is looked at again."""
    service.kill()
    ledger.verify(ledger.verified)
    vigild = service.start(config='')
    listed = vigild.detections()
    left_open = vigild.detections(state='active')
    service.stop()
    rows = ledger.verify(0)
    follower, asker = ledger.follower, ledger.asker
    note(f'{rounds} kills under load, {len(service.orphans) - rounds - 1} while starting; '
         f'{len(follower.records)} records over the event stream in {follower.connections} '
         f'connections, {asker.answers} answers about {len(asker.snapshot())} records')
    report.judge_speed('the API answers with what is stored', service.ready, 0.5)
    wrong = ledger.wrong + asker.changed
    report.judge('no acknowledged record is lost or changed', rows and not wrong,
                 '; '.join(wrong[:3]) or f'{len(rows)} records, looked at {ledger.checks} times')
    doubled = find_doubled(rows, listed)
    report.judge('none is doubled', not doubled, '; '.join(doubled[:3]) or
                 f'{len(listed)} detections, each begun, ended and listed once')
    report.judge('PRAGMA integrity_check says ok each time', not ledger.unsound,
                 '; '.join(ledger.unsound[:3]) or f'{ledger.checks} times')
    report.judge('the next start ends what a kill left open', not left_open,
                 f'{len(left_open)} left open')
    report.judge(f'orphaned workers are gone within {ORPHANS_S} s',
                 max(service.orphans) <= ORPHANS_S * PATIENCE,
                 f'worst {max(service.orphans):.3f} s of {sum(service.workers)} workers')


run(kill_again_and_again, short=5, long=100, description=__doc__)
