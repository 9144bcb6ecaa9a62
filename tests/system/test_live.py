#!/usr/bin/env python3
"""Live pictures of a real stream: real JPEGs, one encode for all viewers, and analysis that does
not notice."""
import http.client
import os
import threading
import time

from harness import SANITIZED, daemon, expect, note, run_tests, wait_for, workspace


class Viewer(threading.Thread):
    """Counts the pictures of one live.mjpeg until told to stop or the answer ends."""

    def __init__(self, running, name, fps):
        super().__init__(daemon=True)
        self.pictures, self.ended, self.bad = 0, False, None
        self.connection = http.client.HTTPConnection('127.0.0.1', running.port, timeout=60)
        self.connection.request('GET', f'/api/v1/streams/{name}/live.mjpeg?fps={fps}')
        self.response = self.connection.getresponse()
        expect(self.response.status == 200, f'live.mjpeg: {self.response.status}')
        kind, _, boundary = self.response.headers['Content-Type'].partition('; boundary=')
        expect(kind == 'multipart/x-mixed-replace' and boundary, kind)
        self.boundary = f'--{boundary}\r\n'.encode()
        self.start()

    def run(self):
        try:
            expect(self.response.read(len(self.boundary)) == self.boundary, 'no boundary')
            while True:
                line = self.response.readline()
                if not line:
                    break
                expect(line == b'Content-Type: image/jpeg\r\n', line)
                size = int(self.response.readline().removeprefix(b'Content-Length: '))
                expect(self.response.readline() == b'\r\n', 'no empty line')
                jpeg = self.response.read(size)
                expect(jpeg[:3] == b'\xff\xd8\xff' and jpeg[-2:] == b'\xff\xd9', 'no JPEG')
                end = self.response.read(len(self.boundary) + 2)
                expect(end == b'\r\n' + self.boundary, f'no boundary: {end!r}')
                self.pictures += 1
        except Exception as error:  # told by whoever looks
            self.bad = error
        self.ended = True

    def close(self):
        self.connection.sock.shutdown(2)
        self.join()


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as stat:
        fields = stat.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def metric(running, name):
    text = running.request('GET', '/metrics')[2].decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + ' ')).split()[1])


def results_are_timed():
    """the histograms of decoding, the network and latency have every frame once"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('street', uri='scene://street?seed=1')
        running.wait_status('street', 'has 40 results', lambda s: s['analysed'] >= 40, 30)
        for name in ('inference', 'latency'):
            series = f'vigil_stream_{name}_seconds_count{{stream="street"}}'
            wait_for(series, lambda: 30 <= metric(running, series) <=
                     running.status('street')['analysed'] + 20, 5)


def viewers_see_pictures_until_the_stream_goes():
    """viewers get JPEGs at their own pace, and an end when the stream is deleted"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('street', uri='scene://street?seed=1')
        running.wait_live('street')
        quick, slow = Viewer(running, 'street', 5), Viewer(running, 'street', 1)
        wait_for('pictures', lambda: quick.pictures >= 10, 20)
        expect(0 < slow.pictures < quick.pictures, f'{slow.pictures} and {quick.pictures}')
        expect(running.request('DELETE', '/api/v1/streams/street')[0] == 204, 'not deleted')
        wait_for('the end', lambda: quick.ended and slow.ended, 5)
        expect(not quick.bad or 'no' not in str(quick.bad), f'{quick.bad}')


def analysis_does_not_notice():
    """eight viewers at the highest pace cost one encode each picture, and no analysed frame"""
    with workspace() as folder, daemon(folder) as running:
        running.put_stream('street', uri='scene://street?seed=1')
        pid = running.wait_live('street')['worker_pid']

        def over(seconds):
            before, used, begin = running.status('street'), cpu_seconds(pid), time.monotonic()
            until = begin + seconds
            wait_for('time', lambda: time.monotonic() >= until, seconds + 5)
            after, took = running.status('street'), time.monotonic() - begin
            return ((after['analysed'] - before['analysed']) / took, (cpu_seconds(pid) - used) / took,
                    after['dropped'] - before['dropped'])
        alone = over(5)
        viewers = [Viewer(running, 'street', 5) for _ in range(8)]
        wait_for('pictures', lambda: all(viewer.pictures for viewer in viewers), 20)
        taken = metric(running, 'vigil_http_live_pictures_total')
        watched = over(5)
        taken = metric(running, 'vigil_http_live_pictures_total') - taken
        for viewer in viewers:
            viewer.close()
        wait_for('no viewers', lambda: metric(running, 'vigil_http_viewers') == 0, 5)
        expect(taken <= 5 * 5 + 3, f'{taken} pictures were taken for eight viewers in 5 s')
        note(f'alone {alone[0]:.2f} frames/s, {alone[1] * 1000:.1f} CPU-ms/s; '
             f'watched {watched[0]:.2f} frames/s, {watched[1] * 1000:.1f} CPU-ms/s')
        if not SANITIZED:
            expect(watched[0] >= alone[0] * 0.98 - 0.2, f'{watched[0]} instead of {alone[0]} frames/s')


run_tests([results_are_timed, viewers_see_pictures_until_the_stream_goes, analysis_does_not_notice])
