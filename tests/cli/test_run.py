#!/usr/bin/env python3
"""`vigil run` as the parent of a worker: the real one, and the puppet of tests/daemon, which
misbehaves on demand."""
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import (BUILD, PATIENCE, SOURCE, VIGIL, children, expect, parse_time,  # noqa: E402
                     run_tests, stray_descriptor, wait_for, workspace)
from onnxfile import FLOAT, model, node, tensor, value  # noqa: E402

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
MODEL = os.path.join(SOURCE, 'models', 'scene.onnx')  # the puppet does not read it


def command(name, *arguments):
    return [VIGIL, 'run', 'scene://street', '--model', MODEL, '--name', name, *arguments]


def environment(program=PUPPET):
    return {**os.environ, 'VIGIL_WORKER': program}


@contextlib.contextmanager
def running(name, *arguments, **options):
    options = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'env': environment(),
               **options}
    process = subprocess.Popen(command(name, *arguments), stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_work(process):
    """The pid of the worker, once it has its stream: only then the puppet wakes by itself."""
    worker = wait_for('a worker', lambda: children(process.pid), 10)[0]

    def is_awake():
        with open(f'/proc/{worker}/status', encoding='ascii') as status:
            return int(status.read().split('voluntary_ctxt_switches:')[1].split()[0]) > 20
    wait_for('the worker at work', is_awake, 20)
    return worker


def misbehaviour_is_told_in_one_line():
    """whatever a worker does wrong ends in exit 70, one line and no process left"""
    with workspace() as folder:
        for name, *words in (('crash', 'signal 11', 'check that another player'),
                             ('exit', 'code 3', 'one version'), ('garbage', 'JSON', 'one version'),
                             ('foreign', 'not given', 'one version'), ('parent', 'may not'),
                             ('twice', 'may not', 'one version'), ('orphan', 'gave it up'),
                             ('dead', 'code 9', 'one version'), ('unlocked', 'sandbox'),
                             ('early', 'may not')):
            program = os.path.join(folder, name)
            os.symlink(PUPPET, program)
            result = subprocess.run(command(name + '-1'), stdin=subprocess.DEVNULL,
                                    capture_output=True, timeout=20 * PATIENCE, check=False,
                                    env=environment(program))
            lines = result.stderr.decode().splitlines()
            expect(result.returncode == 70 and len(lines) == 1 and
                   all(word in lines[0] for word in words),
                   f'{name}: exit {result.returncode}: {lines}')


STUCK_WORKER = """#!/usr/bin/env python3
import os, socket, sys
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=3)
print('the plugins are read from a slow disk', file=sys.stderr, flush=True)
if 'hung' in sys.argv[0]:
    control.send(b'{"type":"ready","pid":1,"locked":true,"version":"test"}')
while control.recv(65536):
    pass
"""


def a_worker_that_is_stuck_is_told_with_what_it_said_and_what_to_try():
    """a worker that does not get ready, or falls silent, is given up with its own last words"""
    with workspace() as folder, contextlib.ExitStack() as stack:
        runs = []
        for name, words in (('late', 'did not get ready within 20 s'),
                            ('hung', 'has said nothing for 10 s')):
            program = os.path.join(folder, name)
            with open(program, 'w', encoding='ascii') as script:
                script.write(STUCK_WORKER)
            os.chmod(program, 0o700)
            runs.append((stack.enter_context(running('x', env=environment(program))), words))
        for process, words in runs:
            error = process.communicate(timeout=40 * PATIENCE)[1].decode()
            expect(process.returncode == 70 and len(error.splitlines()) == 1, error)
            expect(f'{words}, saying "the plugins are read from a slow disk"; this machine' in error
                   and 'uptime' in error, error)


def what_the_model_refuses_is_told_before_a_worker_is_needed():
    """a wrong model, or a setting that it does not take, is told whatever the worker does"""
    with workspace() as folder:
        broken = os.path.join(folder, 'broken.onnx')
        with open(broken, 'wb') as file, open(MODEL, 'rb') as whole:
            file.write(whole.read()[:1000])
        for verb in (('run',), ('streams', 'test')):
            for arguments, code, word in ((('--set', 'fps=no'), 2, '--set fps=no: should be'),
                                          (('--set', 'labels=a'), 78, 'scene.onnx: vigil.'),
                                          (('--model', broken), 78, 'broken.onnx: ')):
                if verb[0] == 'streams' and arguments[0] == '--set':
                    continue
                result = subprocess.run([VIGIL, *verb, 'scene://street', *arguments],
                                        stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                        timeout=20 * PATIENCE, env=environment('/bin/false'))
                error = result.stderr.decode()
                expect(result.returncode == code and word in error and
                       len(error.splitlines()) == 1, f'{verb} {arguments}: {result}')


def scores_that_lack_a_softmax_are_told_once():
    """a model whose scores leave 0..1 is named with what it may lack, and runs on"""
    graph = model([node('GlobalAveragePool', ['x'], ['m'], 'mean'),
                   node('Mul', ['m', 'k'], ['y'], 'far')],
                  [value('x', FLOAT, [1, 3, 8, 8])], [value('y', FLOAT, [1, 3, 1, 1])],
                  [tensor('k', FLOAT, [], [50])])
    with workspace() as folder:
        path = os.path.join(folder, 'bare.onnx')
        with open(path, 'wb') as file:
            file.write(graph)
        scene = 'scene://street?seed=4&width=320&height=180&fps=8&duration=3'
        code, _, error = run_real(scene, '--model', path)
        expect(code == 0 and len(error.splitlines()) == 1 and error.startswith(f'vigil: {path}: score')
               and 'softmax' in error, f'{code} {error}')
        code, _, error = run_real(scene, '--model', path, '--set', 'head=softmax')
        expect(code == 0 and not error, f'{code} {error}')


def the_worker_inherits_nothing():
    """a descriptor that the shell left open does not reach the worker"""
    with stray_descriptor() as stray, running('calm', pass_fds=[stray]) as process:
        worker = wait_for_work(process)
        fds = [os.readlink(f'/proc/{worker}/fd/{fd}') for fd in os.listdir(f'/proc/{worker}/fd')]
        expect('/dev/zero' not in fds, f'descriptors {fds}')


def an_ended_stream_is_a_success():
    """a stream that ends gives exit 0 and not a word"""
    result = subprocess.run(command('ended-1'), stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=20 * PATIENCE, check=False, env=environment())
    expect(result.returncode == 0 and not result.stderr and not result.stdout,
           f'{result.returncode} {result.stderr}')


def the_first_interrupt_ends_events():
    """Ctrl-C lets the worker end its events and exits 0"""
    with running('record-1') as process:
        started = json.loads(process.stdout.readline())
        expect(started['type'] == 'detection.started', started)
        process.send_signal(signal.SIGINT)
        ended = json.loads(process.stdout.readline())
        expect(ended['type'] == 'detection.ended', ended)
        expect(process.wait(20 * PATIENCE) == 0, process.returncode)
        expect(not process.stderr.read(), 'said something')


def the_second_interrupt_does_not_wait():
    """a second Ctrl-C kills a worker that does not stop"""
    with running('deaf-1') as process:
        worker = wait_for_work(process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        code = process.wait(2 * PATIENCE)
        expect(code == 130, f'exit {code}')
        expect(not os.path.exists(f'/proc/{worker}'), 'the worker lives')


def an_interrupt_of_the_group_reaches_the_parent_alone():
    """the terminal's Ctrl-C does not hit the worker, which is a process group of its own"""
    with running('record-1', start_new_session=True) as process:
        process.stdout.readline()
        worker = children(process.pid)[0]
        expect(os.getpgid(worker) != os.getpgid(process.pid), 'one group')
        os.killpg(process.pid, signal.SIGINT)
        expect(json.loads(process.stdout.readline())['type'] == 'detection.ended', 'no end')
        expect(process.wait(20 * PATIENCE) == 0, process.returncode)


def a_reader_that_leaves_is_no_error():
    """when nobody reads the output any more (| head) the run ends without a word"""
    with running('record-1') as process:
        worker = children(process.pid) or wait_for('a worker', lambda: children(process.pid), 10)
        process.stdout.readline()
        process.stdout.close()
        process.send_signal(signal.SIGINT)  # makes the worker say one more record
        process.wait(20 * PATIENCE)
        expect(process.returncode in (0, -signal.SIGPIPE), process.returncode)
        expect(not process.stderr.read(), 'said something')
        wait_for('the worker gone', lambda: not os.path.exists(f'/proc/{worker[0]}'), 10)
        process.stdout = None


def who_kills_a_worker_is_guessed():
    """a worker that somebody else kills ends the run with exit 70 and a word on memory"""
    with running('record-1', stderr=subprocess.PIPE) as process:
        os.kill(wait_for_work(process), signal.SIGKILL)
        process.wait(20 * PATIENCE)
        error = process.stderr.read().decode()
        expect(process.returncode == 70 and len(error.splitlines()) == 1 and
               'signal 9' in error and 'memory' in error, f'{process.returncode} {error}')


def a_killed_parent_takes_its_worker_along():
    """kill -9 of vigil leaves no worker behind"""
    with running('record-1') as process:
        process.stdout.readline()
        worker = children(process.pid)[0]
        process.kill()
        process.wait()
        wait_for('the worker gone', lambda: not os.path.exists(f'/proc/{worker}'), 10)


def people_get_lines_programs_get_json():
    """on a terminal a record is a line for people, with --json-lines it is JSON"""
    for arguments, start in (((), b'22:13:20.000  record-1  movement started  0.75'),
                             (('--json-lines',), b'{"type":"detection.started"')):
        mine, theirs = pty.openpty()
        with running('record-1', *arguments, stdout=theirs):
            os.close(theirs)
            text = b''
            while b'\n' not in text:
                text += os.read(mine, 4096)
            expect(text.startswith(start), text)
        os.close(mine)


ASKING_WORKER = """#!/usr/bin/env python3
import json, socket
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=3)
def say(**message):
    control.send(json.dumps(message).encode())
def hear():
    return json.loads(control.recv(65536))
say(type='ready', pid=1, locked=True, version='test')
stream = hear()['stream']
answers = []
for request, host in enumerate(('localhost', 'elsewhere.localhost', 'LOCALHOST')):
    say(type='resolve', request=request, stream=stream, host=host)
    answers.append(hear())
say(type='stream.status', stream=stream, state='failed', reason='dns', detail=json.dumps(answers))
hear()
"""


def only_the_address_own_host_is_resolved():
    """a worker learns the addresses of the host it was given and of no other"""
    with workspace() as folder:
        program = os.path.join(folder, 'asking')
        with open(program, 'w', encoding='ascii') as script:
            script.write(ASKING_WORKER)
        os.chmod(program, 0o700)
        result = subprocess.run([VIGIL, 'run', 'rtsp://localhost:1/x', '--model', MODEL],
                                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                timeout=20 * PATIENCE, env=environment(program))
        error = result.stderr.decode()
        expect(result.returncode == 69, f'exit {result.returncode}: {error}')
        answers, _ = json.JSONDecoder().raw_decode(error[error.index('['):])
        expect([answer['request'] for answer in answers] == [0, 1, 2], answers)
        expect(set(answers[0]['addresses']) & {'127.0.0.1', '::1'}, answers)
        expect(answers[1]['addresses'] == [], answers)
        expect(answers[2]['addresses'] == answers[0]['addresses'], answers)


def run_real(*arguments, timeout=60):
    result = subprocess.run([VIGIL, 'run', *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=timeout * PATIENCE, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def a_camera_that_never_answered_ends_the_run():
    """a camera nobody listens for, or whose name does not resolve, is exit 69 at once"""
    for uri, word in (('rtsp://127.0.0.1:9/x', 'port'), ('rtsp://camera.invalid/x', 'resolve')):
        code, output, error = run_real(uri)
        expect(code == 69 and not output and len(error.splitlines()) == 1, f'{code} {error}')
        expect(uri in error and word in error, error)


def a_scene_is_stopped_and_its_events_ended():
    """Ctrl-C on an endless scene ends what is open; its times are of today"""
    with subprocess.Popen([VIGIL, 'run', 'scene://street?seed=1&fps=15'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        first = json.loads(process.stdout.readline())
        expect(abs(parse_time(first['start']) - time.time()) < 120 * PATIENCE, first)
        process.send_signal(signal.SIGINT)
        rows = [first] + [json.loads(line) for line in process.stdout]
        expect(process.wait(20 * PATIENCE) == 0, process.returncode)
    state = {row['id']: row['type'] for row in rows}
    expect(set(state.values()) == {'detection.ended'}, rows)


def a_model_that_comes_with_vigil_may_be_named():
    """--model scene is the model that runs without --model; a name that is none exits 66"""
    scene = 'scene://street?seed=4&width=320&height=180&fps=8&duration=3'
    code, output, error = run_real(scene, '--windows', '--model', 'scene')
    _, without, _ = run_real(scene, '--windows')
    expect(code == 0 and output and output == without, f'{code} {error} {output} {without}')
    code, output, error = run_real(scene, '--model', 'nosuchmodel')
    expect(code == 66 and 'nosuchmodel' in error and not output, f'{code} {error}')


def full_disks_are_told():
    """output that cannot be written is an error, and ends also what would go on for ever"""
    with open('/dev/full', 'wb') as full:
        result = subprocess.run([VIGIL, 'run', '--windows', 'scene://street'], stdout=full,
                                check=False, stderr=subprocess.PIPE, timeout=60 * PATIENCE)
        expect(result.returncode == 70 and b'No space' in result.stderr and
               len(result.stderr.splitlines()) == 1, f'{result}')
        with running('record-1', stdout=full) as process:
            process.wait(20 * PATIENCE)
            error = process.stderr.read()
            expect(process.returncode == 70 and b'No space' in error,
                   f'{process.returncode} {error}')
        scene = 'scene://street?seed=4&width=320&height=180&fps=8&duration=3'
        result = subprocess.run([VIGIL, 'run', '--windows', scene], stdout=full, check=False,
                                stderr=subprocess.PIPE, timeout=60 * PATIENCE)
        expect(result.returncode == 70 and b'cannot write' in result.stderr
               and b'No space' in result.stderr, f'{result}')


run_tests([misbehaviour_is_told_in_one_line,
           a_worker_that_is_stuck_is_told_with_what_it_said_and_what_to_try,
           what_the_model_refuses_is_told_before_a_worker_is_needed,
           scores_that_lack_a_softmax_are_told_once, the_worker_inherits_nothing, an_ended_stream_is_a_success,
           the_first_interrupt_ends_events, the_second_interrupt_does_not_wait,
           an_interrupt_of_the_group_reaches_the_parent_alone, a_reader_that_leaves_is_no_error,
           who_kills_a_worker_is_guessed, a_killed_parent_takes_its_worker_along, only_the_address_own_host_is_resolved,
           people_get_lines_programs_get_json, full_disks_are_told,
           a_model_that_comes_with_vigil_may_be_named,
           a_camera_that_never_answered_ends_the_run, a_scene_is_stopped_and_its_events_ended])
