"""What the system tests share: TAP, the real programs started and stopped, HTTP on loopback.

Every program is started with its output in a file, found by what it prints, and stopped by its
own pid. Waiting is for an event with a deadline, never a sleep of guessed length.
"""
import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

BUILD = os.environ.get('VIGIL_BUILD_ROOT', 'build')
SOURCE = os.environ.get('VIGIL_SOURCE_ROOT', '.')
DATA = os.environ.get('VIGIL_TEST_DATA', '')

VIGILD = os.path.join(BUILD, 'daemon', 'vigild')
VIGIL = os.path.join(BUILD, 'cli', 'vigil')
WORKER = os.path.join(BUILD, 'pipeline', 'vigil-worker')
RTSPSERVER = os.path.join(BUILD, 'tests', 'tools', 'rtspserver')

# An instrumented build is slower: deadlines that guard against hanging are widened, criteria
# that promise speed are shown in the release build only.
SANITIZED = 'asan' in os.path.basename(BUILD)
PATIENCE = 3 if SANITIZED else 1

KERNELS = ('scalar', 'avx2', 'avx512', 'avx512vnni', 'neon')  # as vigil names what it computes with


class Failure(AssertionError):
    """A test's expectation was not met."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


class Skip(Exception):
    """The test cannot run here, and why."""


def need_data(below):
    path = os.path.join(DATA, below) if DATA else ''
    if not path or not os.path.exists(path):
        raise Skip(f'no test data {below}')
    return path


def run_tests(tests):
    """Runs functions in order, printing TAP; a function's docstring is the test's name."""
    print(f'1..{len(tests)}', flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = (test.__doc__ or test.__name__).strip().splitlines()[0]
        try:
            test()
            print(f'ok {number} {name}', flush=True)
        except Skip as skip:
            print(f'ok {number} {name} # SKIP {skip}', flush=True)
        except Exception as error:  # one test's failure must not hide the others
            failed += 1
            print(f'not ok {number} {name}', flush=True)
            for line in f'{type(error).__name__}: {error}'.splitlines():
                print(f'# {line}', flush=True)
    sys.exit(1 if failed else 0)


def note(text):
    """A measured figure, kept in the log."""
    print(f'# {text}', flush=True)


def wait_for(what, probe, seconds, interval=0.02):
    """The first true value of probe(); raises after the deadline."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f'not within {seconds * PATIENCE} s: {what}')
        time.sleep(interval)


class Program:
    """A child process whose output goes to a file."""

    def __init__(self, arguments, log, env=None, **options):
        self.log = log
        self.arguments = arguments
        with open(log, 'ab') as output:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, env=env, **options)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as log:
            return log.read()

    def wait_output(self, pattern, seconds=20):
        def probe():
            match = re.search(pattern, self.output())
            if not match and self.process.poll() is not None:
                raise Failure(f'{self.arguments[0]} exited {self.process.returncode}: '
                              f'{self.output()[-2000:]}')
            return match
        return wait_for(f'{pattern!r} from {self.arguments[0]}', probe, seconds)

    def wait_address(self, pattern):
        """As wait_output, for what a program says when it has started; one that does not say it
        has nobody yet who would stop it."""
        try:
            return self.wait_output(pattern)
        except BaseException:
            self.stop()
            raise

    def stop(self, seconds=10):
        """Asks it to stop and returns its exit status; kills it after the deadline."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


@contextlib.contextmanager
def workspace():
    folder = tempfile.mkdtemp(prefix='vigil-test-')
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class RtspServer(Program):
    """A real RTSP server; `port` is where it serves /stream."""

    def __init__(self, folder, *arguments, name='rtsp'):
        super().__init__([RTSPSERVER, *arguments], os.path.join(folder, f'{name}.log'))
        self.port = int(self.wait_address(r'rtsps?://127\.0\.0\.1:(\d+)/stream').group(1))


@contextlib.contextmanager
def rtsp_server(folder, *arguments, name='rtsp'):
    """A real RTSP server; yields (program, port)."""
    server = RtspServer(folder, *arguments, name=name)
    try:
        yield server, server.port
    finally:
        server.stop()


class Daemon(Program):
    """A real vigild on a free loopback port."""

    def __init__(self, folder, config='', arguments=(), **options):
        self.folder = folder
        self.config = os.path.join(folder, 'vigil.conf')
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write(config)
        log = os.path.join(folder, 'vigild.log')
        started = os.path.getsize(log) if os.path.exists(log) else 0
        super().__init__([VIGILD, '--config', self.config, '--listen', '127.0.0.1:0',
                          '--database', os.path.join(folder, 'vigil.db'), *arguments], log,
                         **options)
        self._started = started
        self.url = self.wait_address(r'http://127\.0\.0\.1:\d+').group(0)
        self.port = urllib.parse.urlsplit(self.url).port

    def output(self):
        with open(self.log, 'rb') as log:
            log.seek(self._started if hasattr(self, '_started') else 0)
            return log.read().decode('utf-8', 'replace')

    def request(self, method, path, body=None, headers=None, timeout=10):
        """(status, headers, bytes)"""
        connection = http.client.HTTPConnection('127.0.0.1', self.port,
                                                timeout=timeout * PATIENCE)
        try:
            headers = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                headers.setdefault('Content-Type', 'application/json')
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.request('GET', path)
        expect(status == 200, f'GET {path}: {status} {body[:300]!r}')
        return json.loads(body)

    def put_stream(self, name, **config):
        status, _, body = self.request('PUT', f'/api/v1/streams/{name}', config)
        expect(status in (200, 201), f'PUT {name}: {status} {body[:300]!r}')
        return json.loads(body)

    def status(self, name):
        return self.get(f'/api/v1/streams/{name}')['status']

    def wait_status(self, name, what, probe, seconds):
        return wait_for(f'{name} {what}', lambda: (lambda s: s if probe(s) else None)(
            self.status(name)), seconds)

    def wait_live(self, name, seconds=20):
        return self.wait_status(name, 'live and analysed', lambda s: s['state'] == 'live' and
                                s['analysed'] > 0, seconds)

    def detections(self, **filters):
        """Every page of GET /detections, oldest first."""
        rows, filters = [], {'order': 'asc', 'limit': 500, **filters}
        while True:
            page = self.get('/api/v1/detections?' + urllib.parse.urlencode(filters))
            rows += page['detections']
            if not page['next']:
                return rows
            filters['cursor'] = page['next']


@contextlib.contextmanager
def daemon(folder, config='', arguments=(), **options):
    running = Daemon(folder, config, arguments, **options)
    try:
        yield running
    finally:
        code = running.stop()
        if sys.exc_info()[0] is None:
            expect(code == 0, f'vigild exited {code}: {running.output()[-2000:]}')


@contextlib.contextmanager
def stray_descriptor():
    """A descriptor of /dev/zero, of a number that no program here gives out itself."""
    with open('/dev/zero', 'rb') as zero:
        stray = fcntl.fcntl(zero, fcntl.F_DUPFD, 100)
    try:
        yield stray
    finally:
        os.close(stray)


def children(pid):
    """Pids of the living children of a process."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f'/proc/{entry}/stat', encoding='ascii', errors='replace') as stat:
                    fields = stat.read().rpartition(')')[2].split()
                if int(fields[1]) == pid and fields[0] != 'Z':
                    found.append(int(entry))
    return found


class Events(threading.Thread):
    """A subscriber of GET /api/v1/events; records in order of arrival."""

    def __init__(self, running, headers=None):
        super().__init__(daemon=True)
        self.records = []
        self.connection = http.client.HTTPConnection('127.0.0.1', running.port, timeout=60)
        self.connection.request('GET', '/api/v1/events', headers=headers or {})
        self.response = self.connection.getresponse()
        expect(self.response.status == 200, f'GET /events: {self.response.status}')
        self.start()

    def run(self):
        event = {}
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError,
                                 AttributeError):
            for line in self.response:
                text = line.decode('utf-8').rstrip('\r\n')
                if text:
                    name, _, value = text.partition(':')
                    event[name] = value.lstrip(' ')
                elif 'data' in event:
                    self.records.append((int(event['id']), json.loads(event['data'])))
                    event = {}
                else:
                    event = {}


class Follower(threading.Thread):
    """A subscriber of GET /api/v1/events that comes back with Last-Event-ID whenever its
    connection breaks, as browsers do; (id, record) in order of arrival.

    The port may be another vigild's by then. `pace_s` is how long it takes over each record."""

    def __init__(self, port, after=0, query='', pace_s=0.0):
        super().__init__(daemon=True)
        self.port, self.last, self.query, self.pace_s = port, after, query, pace_s
        self.records = []
        self.connections = 0
        self.finished = threading.Event()
        self.start()

    def run(self):
        while not self.finished.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError,
                                     AttributeError):
                self.follow()
            self.finished.wait(0.02)

    def follow(self):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request('GET', '/api/v1/events' + self.query,
                               headers={'Last-Event-ID': str(self.last)})
            response = connection.getresponse()
            if response.status != 200:
                return
            self.connections += 1
            event = {}
            for line in response:
                text = line.decode('utf-8').rstrip('\r\n')
                if text:
                    name, _, value = text.partition(':')
                    event[name] = value.lstrip(' ')
                    continue
                if 'data' in event:
                    self.last = int(event['id'])
                    self.records.append((self.last, json.loads(event['data'])))
                    if self.finished.wait(self.pace_s):
                        return
                event = {}

    def stop(self):
        """It ends with its connection, which the caller's vigild closes."""
        self.finished.set()


def parse_time(text):
    """RFC 3339 with milliseconds, as records carry it, in seconds."""
    import datetime
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()


# The ground truth of one-by-one-person-detection.mp4 (768x432, 10 fps): six people come and go.
CLIP = 'clips/one-by-one-person-detection.mp4'
ARRIVALS = (6.0, 22.7, 50.2, 74.5, 92.1, 123.4)
DEPARTURES = (19.6, 44.9, 69.6, 86.8, 119.6, 135.7)
EMPTY = ((0, 4.5), (46.5, 49), (71.5, 73), (88.5, 90.5), (121, 122), (137.5, 139))


def check_clip_movement(events, tolerance=1.5):
    """events: (start, end) seconds of movement. What issue-level acceptance asks of the clip."""
    for name, times in (('arrival', ARRIVALS), ('departure', DEPARTURES)):
        for moment in times:
            expect(any(start - tolerance <= moment <= end + tolerance for start, end in events),
                   f'{name} at {moment} s lies in no movement event of {events}')
    for first, last in EMPTY:
        for start, end in events:
            expect(end < first or start > last,
                   f'movement {start}-{end} s touches the empty room {first}-{last} s')
