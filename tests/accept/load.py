"""A vigild under load, killed and started again on the same port and store, and who watches it."""
import contextlib
import http.client
import json
import os
import random
import shutil
import sqlite3
import threading
import time

from report import adopt_orphans, wait_orphans
from harness import PATIENCE, SOURCE, Daemon, Program, children, expect

# Streets seen by the default model, whose every change of mind is an event here: many records
# from real workers.
STREAMS = 4
MODEL = f'''
[model nervous]
path = {os.path.abspath(os.path.join(SOURCE, 'models', 'scene.onnx'))}
background = frozen
stride = 1
fps = 15
enter = 0.01
exit = 0.01
min_duration_ms = 0
cooldown_ms = 0
'''
ORPHANS_S = 5


def load(life):
    """A configuration whose streets are others in each life."""
    return MODEL + ''.join(f'''
[stream street-{i}]
uri = scene://street?seed={life * STREAMS + i}&width=320&height=192&fps=15
model = nervous
''' for i in range(STREAMS))


class Service:
    """vigild in a folder of its own: started, killed, looked at."""

    def __init__(self, folder):
        self.folder = folder
        self.vigild, self.port = None, 0
        self.ready, self.orphans, self.workers = [], [], []
        self.random = random.Random(1)
        adopt_orphans()

    def start(self, config=None):
        """Until the API has answered with what is stored; `ready` keeps how long that took."""
        config = load(len(self.ready)) if config is None else config
        began = time.monotonic()
        self.vigild = Daemon(self.folder, config, ('--listen', f'127.0.0.1:{self.port}'))
        self.port = self.vigild.port
        self.vigild.get('/api/v1/detections?limit=1')
        self.ready.append(time.monotonic() - began)
        return self.vigild

    def kill_while_it_starts(self):
        """At some moment of its first half second, whether the API answers by then or not."""
        self.vigild = Program(self.vigild.arguments, self.vigild.log)
        self.delay()
        expect(self.vigild.process.poll() is None, f'vigild ended: {self.vigild.output()[-500:]}')
        self.kill()

    def delay(self):
        """A random part of half a second: when a kill comes must not depend on anything."""
        time.sleep(self.random.uniform(0, 0.5))

    def kill(self):
        """And waits until none of its workers lives; `orphans` keeps how long that took."""
        self.workers.append(len(children(self.vigild.pid)))
        self.vigild.process.kill()
        self.vigild.process.wait()
        self.orphans.append(wait_orphans('vigil-worker', 2 * ORPHANS_S * PATIENCE))

    def stop(self):
        expect(self.vigild.stop() == 0, f'vigild: {self.vigild.output()[-500:]}')

    def abandon(self):
        if self.vigild and self.vigild.process.poll() is None:
            self.vigild.process.kill()
            self.vigild.process.wait()

    def look(self, after=0):
        """(what the integrity check says, the records with seq > after in the table's order, none
        of a store that cannot be read). Of a copy: the next vigild must recover what this one
        left by itself."""
        copy = os.path.join(self.folder, 'copy')
        os.mkdir(copy)
        try:
            for name in ('vigil.db', 'vigil.db-wal'):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(os.path.join(self.folder, name), copy)
            with contextlib.closing(sqlite3.connect(os.path.join(copy, 'vigil.db'))) as store:
                check = store.execute('PRAGMA integrity_check').fetchone()[0]
                rows = store.execute('SELECT seq, text FROM record WHERE seq > ? ORDER BY seq',
                                     (after,)).fetchall()
        except sqlite3.DatabaseError as error:
            return str(error), []
        finally:
            shutil.rmtree(copy)
        return check, [(seq, json.loads(text)) for seq, text in rows]


class Asker(threading.Thread):
    """A client that asks for pages of detections and for single ones, again and again, whoever
    answers on the port; `shown` is every record it was shown, by seq."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.lock = threading.Lock()
        self.shown, self.changed = {}, []
        self.answers = 0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.01):
            with contextlib.suppress(OSError, http.client.HTTPException):
                rows = self.ask('/api/v1/detections?limit=50')['detections']
                for row in rows:
                    self.note(row)
                if rows:
                    self.note(self.ask(f'/api/v1/detections/{rows[0]["id"]}'))

    def ask(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request('GET', path)
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            raise http.client.HTTPException(f'{path}: {response.status}')
        return json.loads(body)

    def note(self, record):
        with self.lock:
            self.answers += 1
            if self.shown.setdefault(record['seq'], record) != record:
                self.changed.append(f'seq {record["seq"]} is another record than before')

    def snapshot(self):
        with self.lock:
            return dict(self.shown)
