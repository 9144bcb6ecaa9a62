#!/usr/bin/env python3
"""A worker that crashes and a camera that goes away: how soon the pictures are back.

The promised times are held in the release build, where nothing instruments them."""
import os
import signal
import time

from harness import (PATIENCE, SANITIZED, children, daemon, expect, note, parse_time, rtsp_server,
                     run_tests, wait_for, workspace)


def connection_times(status):
    return {key: parse_time(status[key]) for key in ('first_packet', 'first_key', 'first_analysed')}


def a_crashed_worker_is_back_within_a_second():
    """after SIGSEGV of a worker: first packet within 1 s, first analysed frame within 1 s of the
    first key frame, and the other streams lose no frame"""
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--pattern', 'scene') as (_, port), \
            daemon(folder) as vigild:
        for name in ('front', 'other'):
            vigild.put_stream(name, uri=f'rtsp://127.0.0.1:{port}/stream')
        for name in ('front', 'other'):
            vigild.wait_live(name)
        victim = vigild.status('front')['worker_pid']
        expect(victim in children(vigild.pid), f'{victim} is no child of vigild')
        before = vigild.status('other')
        killed = time.time()
        os.kill(victim, signal.SIGSEGV)
        status = vigild.wait_status(
            'front', 'analysed again', lambda s: s['first_analysed'] and
            parse_time(s['first_analysed']) > killed, 10)
        times = connection_times(status)
        packet = times['first_packet'] - killed
        analysed = times['first_analysed'] - times['first_key']
        note(f'first packet after {packet:.3f} s, analysed {analysed:.3f} s after its key frame')
        expect(SANITIZED or packet <= 1.0, f'first packet after {packet:.3f} s')
        expect(SANITIZED or analysed <= 1.0, f'first analysed frame {analysed:.3f} s after the key frame')
        after = vigild.status('other')
        expect(after['worker_pid'] == before['worker_pid'], 'the other worker was replaced')
        expect(after['reconnects'] == before['reconnects'], 'the other stream reconnected')
        expect(SANITIZED or after['dropped'] == before['dropped'], 'the other stream lost frames')


def a_stopped_server_is_seen_and_reconnected():
    """10 s without the RTSP server: visible within 3.5 s, first packet within 1.5 s of its return"""
    with workspace() as folder, daemon(folder) as vigild:
        with rtsp_server(folder, '--port', '0', '--pattern', 'scene') as (server, port):
            vigild.put_stream('front', uri=f'rtsp://127.0.0.1:{port}/stream')
            vigild.wait_live('front')
            stopped = time.time()
            server.process.kill()
            server.process.wait()
            vigild.wait_status('front', 'no longer live', lambda s: s['state'] != 'live', 5)
            seen = time.time() - stopped
            wait_for('10 s of outage', lambda: time.time() - stopped >= 10, 20)
        with rtsp_server(folder, '--port', str(port), '--pattern', 'scene', name='again'):
            back = time.time()
            status = vigild.wait_status(
                'front', 'receiving again', lambda s: s['first_packet'] and
                parse_time(s['first_packet']) > stopped + 5, 10)
            packet = parse_time(status['first_packet']) - back
            status = vigild.wait_status(
                'front', 'analysed again', lambda s: s['first_analysed'] and
                parse_time(s['first_analysed']) > stopped + 5, 10)
            times = connection_times(status)
        analysed = times['first_analysed'] - times['first_key']
        expect(0 <= status['latency_ms'] < 1000 * PATIENCE,
               f'frames of the new connection are dated {status["latency_ms"]} ms ago')
        note(f'seen after {seen:.2f} s, first packet {packet:.2f} s after the server, '
             f'analysed {analysed:.2f} s after its key frame')
        expect(SANITIZED or seen <= 3.5, f'seen after {seen:.2f} s')
        expect(SANITIZED or packet <= 1.5, f'first packet {packet:.2f} s after the server is back')
        expect(SANITIZED or analysed <= 1.0, f'first analysed frame {analysed:.2f} s after the key frame')
        detections = vigild.detections(stream='front', kind='stream')
        note(f'{len(detections)} stream detections after the reconnect')


run_tests([a_crashed_worker_is_back_within_a_second, a_stopped_server_is_seen_and_reconnected])
