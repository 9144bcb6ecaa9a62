#!/usr/bin/env python3
"""`vigil streams test`: what a real camera offers, what it costs, and how it fails."""
import json
import os
import re
import signal
import socket
import subprocess

from harness import (CLIP, PATIENCE, SANITIZED, VIGIL, Program, daemon, expect, need_data, note,
                     rtsp_server, run_tests, workspace)


def run(*arguments, timeout=60):
    return subprocess.run([VIGIL, 'streams', 'test', *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout * PATIENCE, check=False, text=True)


def test_json(*arguments):
    for _ in range(3 if SANITIZED else 1):
        result = run('--json', *arguments)
        # The camera has five seconds, and the instrumented worker that asks it is a slow one.
        if 'does not answer' not in result.stderr:
            break
    expect(result.returncode == 0, f'exit {result.returncode}: {result.stderr}')
    expect(result.stderr == '', result.stderr)
    return json.loads(result.stdout)


def warnings(found):
    return {warning['name'] for warning in found['warnings']}


def a_camera_is_described():
    """codec, size, rate, key pictures, sound and cost of a camera are those it was set up with"""
    with workspace() as folder, rtsp_server(
            folder, '--pattern', 'scene', '--width', '768', '--height', '432', '--fps', '20',
            '--gop', '1', '--audio') as (_, port):
        found = test_json('--seconds', '5', f'rtsp://127.0.0.1:{port}/stream')
    status, cost = found['status'], found['cpu_ms_per_second']
    note(f'cost {cost}, memory {found["memory_bytes"]}')
    expect(found['usable'] and not found['encrypted'], found)
    expect((status['codec'], status['width'], status['height']) == ('h264', 768, 432), status)
    expect(abs(found['fps'] - 20) < 1.5, f'{found["fps"]} pictures a second, not 20')
    expect(abs(status['gop']['seconds']['mean'] - 1) < 0.05, status['gop'])
    expect(status['gop']['frames']['max'] == 20, status['gop'])
    expect(not status['gop']['reordered'] and not status['gop']['open'], status['gop'])
    expect(status['audio'] == 'PCMU', status['audio'])
    expect(status['bitrate_bps'] > 50000, status['bitrate_bps'])
    expect(5 <= found['seconds'] < 5 + 2 * PATIENCE, found['seconds'])
    parts = cost['decode'] + cost['analysis'] + cost['rest']
    expect(cost['decode'] > 0 and cost['analysis'] > 0, cost)
    expect(abs(parts - cost['total']) < 0.1, f'{parts} is not {cost["total"]}: {cost}')
    expect(0 < found['memory_bytes']['own'] < found['memory_bytes']['resident'], found)
    expect(not warnings(found), warnings(found))


def what_hurts_is_warned_of():
    """a long GOP and a password in the clear are warned of, in words and in names"""
    with workspace() as folder, rtsp_server(folder, '--gop', '6', '--user', 'u', '--password',
                                            'canary') as (_, port):
        uri = f'rtsp://u:canary@127.0.0.1:{port}/stream'
        found = test_json('--seconds', '9', uri)
        expect(warnings(found) == {'gop_long', 'not_encrypted'}, warnings(found))
        expect('canary' not in json.dumps(found), 'the password is shown')
        text = run('--seconds', '1', uri)
        expect(text.returncode == 0, text)
        expect(re.search(r'pictures +H\.264 .*320 x 240', text.stdout), text.stdout)
        expect(re.search(r'cost +[\d.]+ ms of a processor core', text.stdout), text.stdout)
        expect(re.search(r'warning +user and password', text.stdout), text.stdout)
        expect('canary' not in text.stdout + text.stderr, 'the password is shown')


def each_failure_is_one_line():
    """401, 404, refused, unknown name, silence, no TLS and no TCP: one line and its code each"""
    with workspace() as folder, socket.create_server(('127.0.0.1', 0)) as mute, rtsp_server(
            folder, '--user', 'u', '--password', 'p') as (_, port), rtsp_server(
            folder, '--udp-only', name='udp') as (_, udp), rtsp_server(
            folder, '--codec', 'vp8', name='vp8') as (_, vp8), rtsp_server(
            folder, '--width', '4608', '--height', '2592', '--fps', '2', name='large') as (
            _, large):
        silent = mute.getsockname()[1]
        for uri, code, reason, pattern in (
                (f'rtsp://127.0.0.1:{port}/stream', 69, 'auth_failed', '401'),
                (f'rtsp://u:wrong@127.0.0.1:{port}/stream', 69, 'auth_failed', '401'),
                (f'rtsp://u:p@127.0.0.1:{port}/nothing', 69, 'not_found', '404'),
                ('rtsp://127.0.0.1:1/x', 69, 'refused', 'nothing listens'),
                ('rtsp://nowhere.invalid/x', 69, 'dns', 'does not resolve'),
                (f'rtsp://127.0.0.1:{silent}/x', 69, 'timeout', 'does not answer'),
                (f'rtsps://127.0.0.1:{port}/stream', 69, 'tls', 'no TLS'),
                (f'rtsp://127.0.0.1:{udp}/stream', 1, 'transport', 'TCP'),
                (f'rtsp://127.0.0.1:{vp8}/stream', 1, 'unsupported_codec', 'VP8'),
                (f'rtsp://127.0.0.1:{large}/stream', 1, 'too_large', '4608 x 2592')):
            result = run('--json', uri)
            line = result.stderr.strip()
            note(f'exit {result.returncode}: {line}')
            expect(result.returncode == code, f'{uri}: exit {result.returncode}, not {code}: {line}')
            expect(len(line.splitlines()) == 1 and re.search(pattern, line), f'{uri}: {line}')
            expect('wrong' not in result.stdout + line, 'a password is shown')
            told = json.loads(result.stdout)
            expect(told['usable'] is False and told['reason'] == reason, told)


def make_certificate(folder):
    """A certificate for 127.0.0.1 that signs itself; its path, and that of one with its key."""
    path, both = os.path.join(folder, 'camera.pem'), os.path.join(folder, 'both.pem')
    key = os.path.join(folder, 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', path,
                    '-days', '2', '-subj', '/CN=camera', '-addext', 'subjectAltName=IP:127.0.0.1'],
                   check=True, capture_output=True)
    with open(both, 'wb') as file:
        for part in (path, key):
            with open(part, 'rb') as source:
                file.write(source.read())
    return path, both


def an_encrypted_camera_is_met_when_its_authority_is_named():
    """rtsps: with --tls-ca and [worker] tls_ca a camera of an own authority is met, else refused"""
    with workspace() as folder:
        authority, both = make_certificate(folder)
        with rtsp_server(folder, '--tls', both, '--gop', '1', '--user', 'u', '--password',
                         'p') as (_, port):
            uri = f'rtsps://u:p@127.0.0.1:{port}/stream'
            found = test_json('--seconds', '2', '--tls-ca', authority, uri)
            expect(found['encrypted'] and not warnings(found), found)
            refused = run(uri)
            expect(refused.returncode == 69 and 'tls_ca' in refused.stderr, refused)
            absent = run('--tls-ca', os.path.join(folder, 'absent.pem'), uri)
            expect(absent.returncode == 66 and 'absent.pem' in absent.stderr, absent)
            with daemon(folder, f'[worker]\ntls_ca = {authority}\n') as vigild:
                vigild.put_stream('door', uri=uri)
                vigild.wait_live('door')


def files_and_scenes_are_tested_too():
    """a clip and a scene are watched in real time; one that is shorter than that ends it"""
    found = test_json('--seconds', '2', need_data(CLIP))
    expect(found['status']['codec'] == 'h264' and abs(found['fps'] - 10) < 1.5, found)
    found = test_json('--seconds', '60', 'scene://street?duration=3&fps=15')
    expect(found['seconds'] < 10 * PATIENCE and found['status']['codec'] == 'scene', found)
    expect(found['status']['gop'] is None, found)


def usage_is_checked_before_anything_starts():
    """no address, a second one, absurd seconds and a file that is none are mistakes of usage"""
    for arguments, code in (((), 2), (('a', 'b'), 2), (('--seconds', '0', 'scene://street'), 2),
                            (('--seconds', '4000', 'scene://street'), 2),
                            (('http://127.0.0.1/',), 2), (('/nowhere.mp4',), 66)):
        result = run(*arguments)
        expect(result.returncode == code, f'{arguments}: exit {result.returncode}')
        expect(len(result.stderr.strip().splitlines()) == 1, result.stderr)


def an_interrupt_tells_what_was_seen():
    """Ctrl-C ends the watching early and the report is printed all the same"""
    with workspace() as folder:
        # Before its first picture there is nothing to tell: then a little later.
        for seconds in (1, 2, 4, 8, 16):
            program = Program([VIGIL, 'streams', 'test', '--seconds', '600', '--json',
                               'scene://street'], os.path.join(folder, f'{seconds}.log'))
            try:
                program.process.wait(seconds)
            except subprocess.TimeoutExpired:
                program.process.send_signal(signal.SIGINT)
                program.process.wait(10 * PATIENCE)
            if program.process.returncode != 128 + signal.SIGINT:
                break
        expect(program.process.returncode == 0, f'exit {program.process.returncode}')
        expect(json.loads(program.output())['usable'], program.output())


run_tests([a_camera_is_described, what_hurts_is_warned_of, each_failure_is_one_line,
           an_encrypted_camera_is_met_when_its_authority_is_named, files_and_scenes_are_tested_too, usage_is_checked_before_anything_starts,
           an_interrupt_tells_what_was_seen])
