#!/usr/bin/env python3
"""Bad input gets one clear line saying what and where, and changes nothing."""
import os
import re
import subprocess

from harness import (DATA, PATIENCE, SOURCE, VIGIL, VIGILD, Skip, daemon, expect, note,
                     rtsp_server, run_tests, workspace)

SCENE = 'scene://street?seed=1&duration=2'
MODEL = os.path.join(SOURCE, 'models', 'scene.onnx')


def run_fails(arguments, code, pattern):
    """The command exits with a code and says one line on stderr that matches."""
    result = subprocess.run([VIGIL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=60 * PATIENCE, check=False)
    error = result.stderr.decode('utf-8', 'replace').strip()
    note(f'exit {result.returncode}: {error}')
    expect(result.returncode == code, f'{arguments}: exit {result.returncode}: {error}')
    expect(len(error.splitlines()) == 1, f'{arguments}: not one line: {error}')
    expect(re.search(pattern, error), f'{arguments}: {error!r} does not match {pattern!r}')
    expect(not result.stdout, f'{arguments}: printed {result.stdout[:200]!r}')


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def damaged_models_are_refused():
    """truncated, garbage, empty, foreign and unsupported models are refused by name"""
    with open(MODEL, 'rb') as file:
        good = file.read()
    with workspace() as folder:
        for name, data in (('truncated.onnx', good[:len(good) // 2]),
                           ('garbage.onnx', os.urandom(4096)), ('empty.onnx', b''),
                           ('text.onnx', b'not a model\n' * 20)):
            path = write(folder, name, data)
            run_fails(['run', SCENE, '--model', path], 78, re.escape(name))
        run_fails(['run', SCENE, '--model', os.path.join(folder, 'absent.onnx')], 66,
                  'absent.onnx')
        run_fails(['run', SCENE, '--model', folder], 66, re.escape(folder))


def foreign_models_are_refused():
    """a model of an unknown operator or with shapes that fit no frames is refused by name"""
    if not DATA:
        raise Skip('no test data')
    node = os.path.join(DATA, 'onnx', 'node', 'brief')
    for below, pattern in (
            ('NonMaxSuppression/test_nonmaxsuppression_limit_output_size', 'NonMaxSuppression'),
            ('Add/test_add', r'shape|rank|input|dimension')):
        model = os.path.join(node, below, 'model.onnx')
        expect(os.path.exists(model), f'the test data has no {below}')
        run_fails(['run', SCENE, '--model', model], 78, pattern)


def bad_inputs_are_refused():
    """unreadable, damaged and unknown files and bad URIs are refused by name"""
    with workspace() as folder:
        run_fails(['run', os.path.join(folder, 'absent.mp4')], 66, r'absent\.mp4')
        run_fails(['run', write(folder, 'noise.mp4', os.urandom(100000))], 66, r'noise\.mp4')
        run_fails(['run', write(folder, 'empty.mp4', b'')], 66, r'empty\.mp4')
        run_fails(['run', folder], 66, re.escape(os.path.basename(folder)))
    run_fails(['run', 'gopher://camera/1'], 2, 'gopher')
    run_fails(['run', 'rtsp://'], 2, 'rtsp://')
    run_fails(['run', 'scene://nowhere'], 2, 'nowhere')
    run_fails(['run', 'scene://street?colour=blue'], 2, 'colour')
    run_fails(['run'], 2, r'URI|usage')
    run_fails(['frobnicate'], 2, 'frobnicate')


def unsupported_codecs_are_named():
    """a file and a camera of a codec vigil does not decode are refused naming it"""
    with workspace() as folder:
        clip = os.path.join(folder, 'theora.mkv')
        subprocess.run(['gst-launch-1.0', '-q', 'videotestsrc', 'num-buffers=5', '!',
                        'theoraenc', '!', 'matroskamux', '!', 'filesink', f'location={clip}'],
                       check=True, timeout=60 * PATIENCE)
        run_fails(['run', clip], 66, '(?i)theora')


def cameras_that_refuse_are_classified():
    """401, 404 and a refused connection are told apart; a good stream beside them goes on"""
    with workspace() as folder, \
            rtsp_server(folder, '--port', '0', '--pattern', 'scene', '--user', 'viewer',
                        '--password', 'right') as (_, port), \
            daemon(folder) as vigild:
        base = f'127.0.0.1:{port}'
        vigild.put_stream('good', uri=f'rtsp://viewer:right@{base}/stream')
        vigild.wait_live('good')
        for name, uri, reason in (
                ('locked', f'rtsp://viewer:wrong@{base}/stream', 'auth_failed'),
                ('missing', f'rtsp://viewer:right@{base}/missing', 'not_found'),
                ('nobody', 'rtsp://127.0.0.1:9/stream', 'refused'),
                ('nameless', 'rtsp://camera.invalid/stream', 'dns')):
            vigild.put_stream(name, uri=uri)
            status = vigild.wait_status(name, reason, lambda s: s['reason'] == reason, 5.5)
            note(f'{name}: {status["state"]} {status["reason"]}: {status["detail"]}')
            expect(status['detail'], f'{name}: no word for a person')
        before = vigild.status('good')
        vigild.wait_status('good', 'still analysed',
                           lambda s: s['analysed'] > before['analysed'] + 10, 10)
        listing = vigild.request('GET', '/api/v1/streams')[2] + vigild.output().encode()
        for secret in (b'wrong', b'right@', b':right'):
            expect(secret not in listing, f'a credential is shown: {secret}')


def bad_requests_change_nothing():
    """malformed JSON, unknown streams and members, over-long bodies: a problem each, no change"""
    with workspace() as folder, daemon(folder) as vigild:
        vigild.put_stream('kept', uri='scene://street?seed=3')
        before = vigild.get('/api/v1/streams/kept')
        path = '/api/v1/streams/'
        json_type = {'Content-Type': 'application/json'}
        for what, status, request in (
                ('malformed JSON', 400, ('PUT', path + 'kept', '{"uri": ', json_type)),
                ('not an object', (400, 422), ('PUT', path + 'kept', '[1]', json_type)),
                ('duplicate member', 400,
                 ('PUT', path + 'kept', '{"uri":"scene://street","uri":"x"}', json_type)),
                ('no uri', 422, ('PUT', path + 'kept', '{}', json_type)),
                ('unknown member', 422,
                 ('PUT', path + 'kept', '{"uri":"scene://street","colour":1}', json_type)),
                ('bad scheme', 422, ('PUT', path + 'kept', '{"uri":"http://x/"}', json_type)),
                ('a file outside', 422,
                 ('PUT', path + 'kept', '{"uri":"file:///etc/passwd"}', json_type)),
                ('unknown model', 422,
                 ('PUT', path + 'kept', '{"uri":"scene://street","model":"nope"}', json_type)),
                ('wrong type', 415,
                 ('PUT', path + 'kept', '{"uri":"scene://street"}', {'Content-Type': 'text/plain'})),
                ('bad name', (400, 404, 422),
                 ('PUT', path + '..%2f..%2fetc', '{"uri":"scene://street"}', json_type)),
                ('over-long body', 413,
                 ('PUT', path + 'kept', '{"uri":"' + 'a' * 70000 + '"}', json_type)),
                ('unknown stream', 404, ('GET', path + 'absent', None, {})),
                ('delete unknown', 404, ('DELETE', path + 'absent', None, {})),
                ('unknown detection', (400, 404), ('GET', '/api/v1/detections/absent', None, {})),
                ('unknown filter', 400, ('GET', '/api/v1/detections?colour=blue', None, {})),
                ('bad cursor', 400, ('GET', '/api/v1/detections?cursor=zzz', None, {})),
                ('bad limit', 400, ('GET', '/api/v1/detections?limit=100000', None, {})),
                ('bad time', 400, ('GET', '/api/v1/detections?since=yesterday', None, {})),
                ('unknown path', 404, ('GET', '/api/v1/nothing', None, {})),
                ('wrong method', 405, ('POST', '/api/v1/detections', '{}', json_type))):
            method, target, body, headers = request
            code, reply_headers, reply = vigild.request(method, target, body, headers)
            wanted = status if isinstance(status, tuple) else (status,)
            expect(code in wanted, f'{what}: {code} {reply[:300]!r}')
            expect(reply_headers['Content-Type'].startswith('application/problem+json'),
                   f'{what}: {reply_headers["Content-Type"]}')
            expect(b'"detail"' in reply and b'"code"' in reply, f'{what}: {reply!r}')
        after = vigild.get('/api/v1/streams/kept')
        before.pop('status'), after.pop('status')
        expect(after == before, f'the stream changed: {after}')
        expect(len(vigild.get('/api/v1/streams')['streams']) == 1, 'a stream was made')


def bad_configurations_are_refused():
    """a configuration with an error exits 78 naming file, line and key"""
    with workspace() as folder:
        for text, line, word in (
                ('[server]\nlisten = 192.0.2.1:80\n', 2, 'listen'),
                ('[server]\nlisten = nonsense\n', 2, 'listen'),
                ('[server]\nlistem = 127.0.0.1:1\n', 2, 'listen'),
                ('[servers]\n', 1, 'server'),
                ('[stream front]\nurl = rtsp://127.0.0.1/\n', 2, 'uri'),
                ('[stream Front Door]\nuri = scene://street\n', 1, 'Front Door'),
                ('[stream front]\nuri = scene://street\nmodel = nope\n', 3, 'nope'),
                ('[stream front]\nuri = scene://street\nloop = maybe\n', 3, 'loop'),
                ('not a configuration\n', 1, '')):
            path = write(folder, 'bad.conf', text.encode())
            result = subprocess.run([VIGILD, '--config', path], stdin=subprocess.DEVNULL,
                                    capture_output=True, timeout=20 * PATIENCE, check=False)
            error = result.stderr.decode('utf-8', 'replace').strip()
            note(f'exit {result.returncode}: {error}')
            expect(result.returncode == 78, f'{text!r}: exit {result.returncode}: {error}')
            expect(len(error.splitlines()) == 1, f'{text!r}: not one line: {error}')
            expect(f'bad.conf:{line}' in error and word in error, f'{text!r}: {error}')


run_tests([damaged_models_are_refused, foreign_models_are_refused, bad_inputs_are_refused,
           unsupported_codecs_are_named, cameras_that_refuse_are_classified,
           bad_requests_change_nothing, bad_configurations_are_refused])
