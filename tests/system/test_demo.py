#!/usr/bin/env python3
"""make demo, as its user sees it: three streams, detections before one's eyes, Ctrl-C."""
import glob
import json
import os
import signal
import urllib.request

from harness import BUILD, SANITIZED, SOURCE, Program, Skip, expect, note, run_tests, wait_for, workspace


def the_demo_shows_detections_and_stops_on_ctrl_c():
    """the demo prints its addresses and detections, answers curl, and leaves nothing behind"""
    if SANITIZED:
        raise Skip('gst-launch-1.0 is not instrumented and cannot load our plugin')
    with workspace() as folder:
        demo = Program([os.path.join(SOURCE, 'cli', 'demo.sh'), BUILD],
                       os.path.join(folder, 'demo.log'), env={**os.environ, 'TMPDIR': folder},
                       start_new_session=True)
        try:
            url = demo.wait_output(r'curl (http://127\.0\.0\.1:\d+)/api/v1/streams', 60).group(1)
            with urllib.request.urlopen(f'{url}/api/v1/streams', timeout=10) as reply:
                names = [stream['name'] for stream in json.load(reply)['streams']]
            expect(sorted(names) == ['car-park', 'front-door', 'recording'], names)
            line = demo.wait_output(r'\d\d:\d\d:\d\d\.\d\d\d  \S+  \S+ started  \d\.\d\d', 120)
            note(line.group(0))

            def listed():
                with urllib.request.urlopen(f'{url}/api/v1/detections', timeout=10) as reply:
                    return json.load(reply)['detections']
            expect(listed(), 'watch showed what the list does not have')
            os.killpg(demo.pid, signal.SIGINT)  # what a terminal sends for Ctrl-C
            wait_for('the end of the demo', lambda: demo.process.poll() is not None, 15)
        finally:
            demo.stop()
        expect(demo.process.returncode == 0, f'exit {demo.process.returncode}: {demo.output()}')
        expect('vigild stopped (status 0).' in demo.output(), demo.output()[-500:])
        left = glob.glob(os.path.join(folder, 'vigil-demo.*'))
        expect(not left, f'left behind: {left}')


run_tests([the_demo_shows_detections_and_stops_on_ctrl_c])
