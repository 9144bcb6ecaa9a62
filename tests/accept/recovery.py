#!/usr/bin/env python3
"""Cameras and workers that fail again and again: every recovery in time, and nothing grows.

One round: the worker of one of three cameras dies of SIGSEGV; then the RTSP server that all four
have in common is gone for 10 s, killed in even rounds and asked to end in odd ones. The worker
of the fourth camera lives through all of it.
"""
import contextlib
import os
import signal
import sqlite3
import time

from load import MODEL, STREAMS
from report import census, census_while_idle, run
from harness import (SANITIZED, Failure, RtspServer, daemon, expect, note, parse_time, wait_for,
                     workspace)

FPS = 15
SERVER = ('--pattern', 'scene', '--width', '640', '--height', '360', '--fps', str(FPS))
CRASHING = ('cam-1', 'cam-2', 'cam-3')
STEADY = 'cam-4'
NAMES = (*CRASHING, STEADY)
OUTAGE_S = 10
LIVE_BETWEEN_S = 6  # an outage counts as a new one after 5 s (pipeline/lifecycle.h)
IDLE_S = 10
MISSING_MAX = 1  # the rate is the camera's, the clock is ours
# Of a stream whose worker is not the one that died. An instrumented decoder may be too slow.
UNDISTURBED = ('worker_pid', 'reconnects', 'damaged') + (() if SANITIZED else ('dropped',))
# What vigild may hold by design: 512 records for event streams, and SQLite's page cache.
PAGE_CACHE_BYTES = 2000 * 1024
# Each outage of the worker that lives leaves the pictures of one source to be given back: 4 MiB.
WORKER_GROWTH_KIB = 8 * 1024
PRIME_FROM = 10  # rounds; fewer cannot fill either, nor grow by a megabyte


def frame_time(status):
    return parse_time(status['last_frame']) if status['last_frame'] else 0


def count_missing(before, after):
    """Frames that should have been analysed or skipped between two states, and were not."""
    lasted = frame_time(after) - frame_time(before)
    passed = sum(after[member] - before[member] for member in ('analysed', 'skipped'))
    return round(lasted * FPS) - passed


class Cameras:
    """Four streams of one server, and what each failure has cost."""

    def __init__(self, folder, vigild):
        self.folder, self.vigild = folder, vigild
        self.port, self.server = 0, None
        self.started = self.stopped = 0.0
        self.crash_packet, self.crash_analysed = [], []
        self.seen, self.back_packet, self.back_analysed = [], [], []
        self.disturbed, self.missing = [], []

    def statuses(self):
        streams = self.vigild.get('/api/v1/streams')['streams']
        return {stream['name']: stream['status'] for stream in streams}

    def wait_statuses(self, what, probe, seconds):
        def ask():
            now = self.statuses()
            return now if probe(now) else None
        try:
            return wait_for(what, ask, seconds)
        except Failure as failure:
            states = (f'{name} is {s["state"]} {s["reason"]} {s["detail"]}'
                      for name, s in self.statuses().items())
            raise Failure(f'{failure}; {"; ".join(states)}') from None

    def wait_analysed(self, names, since, seconds):
        """Until connections younger than `since` have had a frame analysed."""
        return self.wait_statuses(f'{", ".join(names)} analysed again', lambda now: all(
            now[name]['state'] == 'live' and now[name]['first_analysed'] and
            parse_time(now[name]['first_analysed']) > since for name in names), seconds)

    # --- the server ---

    def start_server(self):
        self.server = RtspServer(self.folder, '--port', str(self.port), *SERVER)
        self.port, self.started = self.server.port, time.time()

    def stop_server(self, gently):
        if gently:
            self.server.stop()
        else:
            self.server.process.kill()
            self.server.process.wait()
        os.unlink(self.server.log)
        self.stopped = time.time()

    def measure_outage(self):
        self.wait_statuses('no stream is live',
                           lambda now: all(s['state'] != 'live' for s in now.values()), 10)
        self.seen.append(time.time() - self.stopped)
        wait_for('the end of the outage', lambda: time.time() - self.stopped >= OUTAGE_S,
                 OUTAGE_S + 5)

    def measure_return(self):
        """Longer than it may take, so that what is too slow is a figure."""
        for status in self.wait_analysed(NAMES, self.started, 60).values():
            self.back_packet.append(parse_time(status['first_packet']) - self.started)
            self.back_analysed.append(
                parse_time(status['first_analysed']) - parse_time(status['first_key']))

    # --- a worker ---

    def crash(self, name):
        before = self.statuses()
        killed = time.time()
        os.kill(before[name]['worker_pid'], signal.SIGSEGV)
        status = self.wait_analysed([name], killed, 30)[name]
        self.crash_packet.append(parse_time(status['first_packet']) - killed)
        self.crash_analysed.append(
            parse_time(status['first_analysed']) - parse_time(status['first_key']))
        others = [other for other in NAMES if other != name]
        self.compare(others, before, parse_time(status['first_analysed']), name)

    def compare(self, names, before, until, crashed):
        """Counters come once a second: what happened `until` then must be in them. A busy machine
        analyses a frame late, and is behind for a moment; a frame that was lost never comes."""
        missing = dict.fromkeys(names, FPS)

        def probe():
            now = self.statuses()
            for name in names:
                if frame_time(now[name]) > until:
                    missing[name] = min(missing[name], count_missing(before[name], now[name]))
            return now if all(count <= 0 for count in missing.values()) else None
        try:
            after = wait_for('every frame', probe, 5)
        except Failure:
            after = self.statuses()
        self.missing += missing.values()
        for name in names:
            for member in UNDISTURBED:
                if before[name][member] != after[name][member]:
                    self.disturbed.append(
                        f'{member} of {name} went from {before[name][member]} to '
                        f'{after[name][member]} when the worker of {crashed} died')

    def stay_live(self, seconds):
        """They must, for so long."""
        since = time.time()

        def probe():
            for name, status in self.statuses().items():
                expect(status['state'] == 'live', f'{name} is {status["state"]} by itself')
            return time.time() - since >= seconds
        wait_for(f'{seconds} s of quiet', probe, seconds + 10, interval=0.25)


def fail_and_recover(report, rounds):
    with workspace() as folder, daemon(folder, MODEL) as vigild:
        cameras = Cameras(folder, vigild)
        try:
            fail_rounds(report, rounds, cameras)
        finally:
            if cameras.server:
                cameras.server.stop()


def prime(folder, vigild):
    """Records until the memory that has a size by design has it: what grows later is a leak."""
    store = f'file:{os.path.join(folder, "vigil.db")}?mode=ro'
    for i in range(STREAMS):
        vigild.put_stream(f'prime-{i}', uri=f'scene://street?seed={i}&width=320&height=192',
                          model='nervous')

    def probe():
        with contextlib.closing(sqlite3.connect(store, uri=True)) as connection:
            pages = connection.execute('PRAGMA page_count').fetchone()[0]
            size = connection.execute('PRAGMA page_size').fetchone()[0]
        return pages * size > PAGE_CACHE_BYTES
    wait_for('a store larger than its cache', probe, 600, interval=1)
    for i in range(STREAMS):
        vigild.request('DELETE', f'/api/v1/streams/prime-{i}')


def fail_rounds(report, rounds, cameras):
    vigild = cameras.vigild
    cameras.start_server()
    for name in NAMES:
        vigild.put_stream(name, uri=f'rtsp://127.0.0.1:{cameras.port}/stream')
    steady = cameras.wait_analysed(NAMES, 0, 30)[STEADY]['worker_pid']
    if rounds >= PRIME_FROM:
        prime(cameras.folder, vigild)
    before, worker_before = census_while_idle([vigild.pid, steady], IDLE_S)
    for number in range(rounds):
        cameras.crash(CRASHING[number % len(CRASHING)])
        cameras.stay_live(LIVE_BETWEEN_S)
        cameras.stop_server(gently=number % 2 == 1)
        cameras.measure_outage()
        cameras.start_server()
        cameras.measure_return()
        note(f'round {number + 1}: first packet {cameras.crash_packet[-1]:.3f} s after SIGSEGV; '
             f'server gone: seen after {cameras.seen[-1]:.3f} s, back: first packets '
             f'{max(cameras.back_packet[-len(NAMES):]):.3f} s after it')
    last = cameras.statuses()[STEADY]
    after, worker_after = census_while_idle([vigild.pid, last['worker_pid']], IDLE_S)
    judge_recovery(report, cameras)
    judge_growth(report, 'vigild', before, after)
    judge_memory(report, 'vigild has grown by less than 1 MB', 1000000 / 1024, before, after)
    report.judge('the worker that was not killed lives', last['worker_pid'] == steady,
                 f'through {rounds} outages')
    judge_growth(report, 'it', worker_before, worker_after)
    judge_memory(report, f'it has grown by less than {WORKER_GROWTH_KIB >> 10} MiB',
                 WORKER_GROWTH_KIB, worker_before, worker_after)


def judge_recovery(report, cameras):
    report.judge_speed('first packet after SIGSEGV of a worker', cameras.crash_packet, 1.0)
    report.judge_speed('first analysed frame after its key frame', cameras.crash_analysed, 1.0)
    report.judge('the other streams go on, drop no frame and damage none', not cameras.disturbed,
                 '; '.join(cameras.disturbed[:3]) or f'{len(cameras.crash_packet)} deaths')
    missing = f'at most {max(cameras.missing)} fewer than time and rate say'
    if SANITIZED:
        note(f'frames, not counted in an instrumented build: {missing}')
    else:
        report.judge('and miss none', max(cameras.missing) <= MISSING_MAX, missing)
    report.judge_speed('a server that stops is seen', cameras.seen, 3.5)
    report.judge_speed('first packet after its return', cameras.back_packet, 1.5)
    report.judge_speed('first analysed frame after its key frame', cameras.back_analysed, 1.0)


def judge_memory(report, what, limit_kib, before, after):
    grown = after['rss_kib'] - before['rss_kib']
    figure = f'{before["rss_kib"]} KiB before, {after["rss_kib"]} KiB after: {grown:+d} KiB'
    if SANITIZED:
        note(f'{what}, not judged in an instrumented build, which keeps what is freed: {figure}')
    else:
        report.judge(what, grown < limit_kib, figure)


def judge_growth(report, what, before, after):
    for key, name in (('fds', 'descriptors'), ('threads', 'threads'), ('zombies', 'zombies')):
        report.judge(f'{what} holds no more {name} than before', after[key] <= before[key],
                     f'{before[key]} before, {after[key]} after')


run(fail_and_recover, short=3, long=100, description=__doc__)
