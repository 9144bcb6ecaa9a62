#!/usr/bin/env python3
"""Jobs: real trainings started by the API, followed, cancelled, stopped, killed and resumed."""
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cli'))
from harness import (BUILD, PATIENCE, VIGIL, Daemon, children, daemon, expect, run_tests,  # noqa: E402
                     wait_for, workspace)
from trainable import FOLDER, path, write_pictures, write_recipe  # noqa: E402

PUPPET = os.path.join(BUILD, 'tests', 'daemon', 'puppet')
LONG = 100000  # epochs: never done by itself
IDLE = 200     # seconds: a job has only what others leave of a machine that tests fill


def config(models, **keys):
    return (f'[worker]\nprogram = {PUPPET}\n[jobs]\ndata = {FOLDER.name}\nmodels = {models}\n' +
            ''.join(f'{key} = {value}\n' for key, value in keys.items()))


@contextlib.contextmanager
def running(**keys):
    """A vigild with jobs; (it, its folder of models)"""
    with workspace() as folder:
        models = os.path.join(folder, 'models')
        os.mkdir(models)
        with daemon(folder, config(models, **keys)) as it:
            yield it, models


def post(it, recipe, status=202, **members):
    got, _, body = it.request('POST', '/api/v1/jobs', {'kind': 'train', 'recipe': recipe, **members})
    expect(got == status, f'POST {recipe} {members}: {got} {body[:400]!r}')
    return json.loads(body)


def state(it, job):
    return it.get(f'/api/v1/jobs/{job["id"]}')


def wait_state(it, job, *states, seconds=IDLE):
    def probe():
        now = state(it, job)
        expect(now['state'] in states or now['state'] in ('queued', 'running'), f'{now}')
        return now if now['state'] in states else None
    return wait_for(f'job {states}', probe, seconds)


def wait_epochs(it, job, count=1):
    return wait_for(f'{count} epochs', lambda: (lambda p: p and p['epoch'] >= count and p)(
        state(it, job)['progress']), IDLE)


def events(it, job, after=None):
    """(status, [(id, event, data)]) of a job's stream, until it ends."""
    connection = http.client.HTTPConnection('127.0.0.1', it.port, timeout=IDLE * PATIENCE)
    with contextlib.closing(connection):
        connection.request('GET', f'/api/v1/jobs/{job["id"]}/events',
                           headers={} if after is None else {'Last-Event-ID': str(after)})
        response = connection.getresponse()
        found = []
        for block in response.read().decode().split('\n\n'):
            fields = dict(line.split(': ', 1) for line in block.splitlines()
                          if ': ' in line and not line.startswith(':'))
            if 'data' in fields:
                found.append((int(fields['id']), fields['event'], json.loads(fields['data'])))
        return response.status, found


def process_of(it):
    """The pid of the one training."""
    def probe():
        for pid in children(it.pid):
            with contextlib.suppress(OSError), open(f'/proc/{pid}/cmdline', 'rb') as file:
                if file.read().split(b'\0')[1:2] == [b'train']:
                    return pid
        return None
    return wait_for('the training', probe, 20)


def gone(pid):
    with contextlib.suppress(OSError):
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            return file.read().rpartition(')')[2].split()[0] == 'Z'
    return True


def checkpoint(models, name):
    return os.path.join(models, f'{name}.checkpoint')


def a_training_is_told_from_its_beginning_to_its_model():
    """POST trains a model, and each step of it is told, also to who comes late"""
    write_recipe('short.recipe')
    with running() as (it, models):
        job = post(it, 'short.recipe', threads=2)
        expect(job['out'] == 'short.onnx' and job['threads'] == 2, f'{job}')
        status, told = events(it, job)
        expect(status == 200, f'{status}')
        expect([number for number, _, _ in told] == list(range(1, len(told) + 1)), f'{told}')
        states = [data['state'] for _, event, data in told if event == 'job.state']
        expect(states == ['queued', 'running', 'done'], f'{states}')
        epochs = [data['epoch'] for _, event, data in told if event == 'job.progress']
        expect(epochs == [1, 2, 3, 4], f'{epochs}')
        done = state(it, job)
        expect(done['progress']['epochs'] == 4 and done['error'] is None, f'{done}')
        expect(done['result']['validation']['accuracy'] > 0.9, f'{done}')
        expect(done['created'] <= done['started'] <= done['ended'], f'{done}')
        model = os.path.join(models, 'short.onnx')
        expect(done['result']['bytes'] == os.path.getsize(model), f'{done}')
        subprocess.run([VIGIL, 'model', 'inspect', model], check=True, stdout=subprocess.DEVNULL)
        expect(events(it, job, after=3)[1] == told[3:], 'other events to who came back')
        expect(events(it, job, after=told[-1][0])[0] == 204, 'no 204 at the end')
        expect([j['id'] for j in it.get('/api/v1/jobs')['jobs']] == [job['id']], 'not listed')


def a_model_is_judged():
    """an evaluation's figures are its result, and its report lies below the models"""
    write_recipe('short.recipe')
    with running() as (it, models):
        wait_state(it, post(it, 'short.recipe'), 'done')
        job = post(it, 'short.recipe', kind='eval', model='short.onnx', report='report')
        expect('out' not in job and job['model'] == 'short.onnx', f'{job}')
        done = wait_state(it, job, 'done')
        with open(os.path.join(models, 'report', 'metrics.json'), encoding='utf-8') as file:
            expect(json.load(file) == done['result'], f'{done["result"]}')
        expect(os.path.exists(os.path.join(models, 'report', 'report.html')), 'no page')
        failed = wait_state(it, post(it, 'short.recipe', kind='eval', model='short.onnx',
                                     split='test'), 'failed')
        expect(failed['error'], f'{failed}')


def it_takes_only_what_others_leave():
    """a job has the least priority for processors, disk and memory, in a session of its own"""
    write_recipe('long.recipe', epochs=LONG)
    with running() as (it, _):
        job = post(it, 'long.recipe')
        wait_epochs(it, job)
        pid = process_of(it)
        expect(os.sched_getscheduler(pid) == os.SCHED_IDLE, f'{os.sched_getscheduler(pid)}')
        expect(os.getpriority(os.PRIO_PROCESS, pid) == 19, 'it is not nice')
        expect(os.getsid(pid) == pid, 'it is in our session')
        with open(f'/proc/{pid}/oom_score_adj', encoding='ascii') as file:
            expect(file.read().strip() == '1000', 'others would be killed first')
        said = subprocess.run(['ionice', '-p', str(pid)], capture_output=True, text=True, check=True)
        expect(said.stdout.strip() == 'idle', f'{said.stdout}')


def one_runs_and_the_others_wait():
    """of three jobs one runs; the next has its turn when that is cancelled, in order"""
    write_recipe('long.recipe', epochs=LONG)
    write_recipe('short.recipe')
    with running() as (it, models):
        first = post(it, 'long.recipe', out='first.onnx')
        second = post(it, 'short.recipe', out='second.onnx')
        third = post(it, 'short.recipe', out='third.onnx')
        wait_epochs(it, first)
        expect(state(it, second)['state'] == state(it, third)['state'] == 'queued', 'they run')
        clash = post(it, 'short.recipe', 409, out='second.onnx')
        expect(clash['code'] == 'job_conflict', f'{clash}')
        cancelled, _, body = it.request('DELETE', f'/api/v1/jobs/{third["id"]}')
        expect(cancelled == 202 and json.loads(body)['state'] == 'cancelled', f'{body}')
        expect(it.request('DELETE', f'/api/v1/jobs/{first["id"]}')[0] == 202, 'not cancelled')
        expect(wait_state(it, first, 'cancelled')['error'] is None, 'it has an error')
        wait_state(it, second, 'done')
        expect(os.listdir(models).count('third.onnx') == 0, 'the third ran')
        expect(it.request('DELETE', f'/api/v1/jobs/{first["id"]}')[0] == 204, 'not forgotten')
        expect(it.request('GET', f'/api/v1/jobs/{first["id"]}')[0] == 404, 'still there')


def what_is_cancelled_can_be_resumed():
    """a cancelled training leaves its last epoch, and goes on with it when that is asked for"""
    with running() as (it, models):
        write_recipe('resumed.recipe', epochs=LONG)
        job = post(it, 'resumed.recipe')
        wait_epochs(it, job, 3)
        it.request('DELETE', f'/api/v1/jobs/{job["id"]}')
        reached = wait_state(it, job, 'cancelled')['progress']['epoch']
        expect(os.path.exists(checkpoint(models, 'resumed.onnx')), 'nothing is kept')
        again = post(it, 'resumed.recipe', 409)
        expect(again['code'] == 'model_exists' and 'resume' in again['detail'], f'{again}')
        job = post(it, 'resumed.recipe', resume=True)
        wait_epochs(it, job)
        it.request('DELETE', f'/api/v1/jobs/{job["id"]}')
        wait_state(it, job, 'cancelled')
        first = next(data for _, event, data in events(it, job)[1] if event == 'job.progress')
        # One may have been kept whose line was not heard any more.
        expect(first['epoch'] in (reached + 1, reached + 2), f'{first} after {reached}')
        expect(os.listdir(models) == ['resumed.onnx.checkpoint'], f'{os.listdir(models)}')


def a_stop_interrupts_and_a_start_tells():
    """vigild stops its jobs with itself; what waited runs after the next start"""
    write_recipe('long.recipe', epochs=LONG)
    write_recipe('short.recipe')
    with workspace() as folder:
        models = os.path.join(folder, 'models')
        os.mkdir(models)
        with daemon(folder, config(models)) as it:
            first = post(it, 'long.recipe')
            second = post(it, 'short.recipe')
            wait_epochs(it, first)
            pid = process_of(it)
        expect(gone(pid), 'the training goes on')
        expect(os.path.exists(checkpoint(models, 'long.onnx')), 'nothing is kept')
        with daemon(folder, config(models)) as it:
            told = state(it, first)
            expect(told['state'] == 'interrupted' and 'resume' in told['error'], f'{told}')
            expect(told['progress']['epoch'] >= 1, f'{told}')
            status, last = events(it, first)
            expect(status == 200 and last[-1][2]['state'] == 'interrupted', f'{last}')
            expect(events(it, first, after=last[-1][0])[0] == 204, 'more would come')
            wait_state(it, second, 'done')


def a_vigild_that_is_killed_takes_its_jobs_along():
    """kill -9 of vigild ends the training; the next vigild tells of it and can resume it"""
    write_recipe('long.recipe', epochs=LONG)
    with workspace() as folder:
        models = os.path.join(folder, 'models')
        os.mkdir(models)
        it = Daemon(folder, config(models))
        job = post(it, 'long.recipe')
        wait_epochs(it, job, 2)
        pid = process_of(it)
        it.process.kill()
        it.process.wait()
        wait_for('the end of the training', lambda: gone(pid), 20)
        with daemon(folder, config(models)) as it:
            told = state(it, job)
            expect(told['state'] == 'interrupted' and 'killed' in told['error'], f'{told}')
            again = post(it, 'long.recipe', resume=True)
            expect(wait_epochs(it, again)['epoch'] >= 3, 'it began anew')


def the_command_line_lists_shows_and_cancels():
    """vigil jobs ls, show and cancel say what the API says"""
    write_recipe('long.recipe', epochs=LONG)
    with running() as (it, _):
        def jobs(*words, code=0):
            done = subprocess.run([VIGIL, 'jobs', *words], env={**os.environ, 'VIGIL_URL': it.url},
                                  capture_output=True, text=True, check=False, timeout=60)
            expect(done.returncode == code, f'{words}: {done.returncode} {done.stderr}')
            return done.stdout
        expect(jobs('ls').split() == ['ID', 'KIND', 'STATE', 'RECIPE', 'MODEL', 'EPOCH'], 'a list of none')
        job = post(it, 'long.recipe')
        wait_epochs(it, job)
        row = jobs('ls').splitlines()[1]
        expect(row.split()[:5] == [job['id'], 'train', 'running', 'long.recipe', 'long.onnx'], row)
        expect(f'/{LONG}  loss 0.' in row and 'accuracy' in row, row)
        expect(json.loads(jobs('ls', '--json'))['id'] == job['id'], 'another job')
        expect(f'id         {job["id"]}\n' in jobs('show', job['id']), 'not shown')
        expect(json.loads(jobs('show', '--json', job['id']))['state'] == 'running', 'not running')
        jobs('cancel', job['id'])
        wait_state(it, job, 'cancelled')
        expect(jobs('cancel', job['id']) == '', 'it was not forgotten')
        jobs('show', job['id'], code=1)
        for words in ((), ('show',), ('ls', 'x'), ('show', '../streams'), ('start',)):
            jobs(*words, code=2)
        text = it.request('GET', '/metrics')[2].decode()
        expect('vigil_jobs{state="running"} 0\n' in text, text)
        expect('vigil_jobs_ended_total{state="cancelled"} 1\n' in text, text)


def what_fails_says_why():
    """a recipe that is wrong, a program that is not there, a process that is killed: one line"""
    write_recipe('wrong.recipe', layers='conv3d 1')
    write_recipe('long.recipe', epochs=LONG)
    with running() as (it, _):
        failed = wait_state(it, post(it, 'wrong.recipe'), 'failed')
        expect('conv3d' in failed['error'] and 'wrong.recipe' in failed['error'], f'{failed}')
        job = post(it, 'long.recipe')
        wait_epochs(it, job)
        os.kill(process_of(it), signal.SIGKILL)
        expect('killed' in wait_state(it, job, 'failed')['error'], 'no reason')
    with running(program='/nowhere/vigil') as (it, _):
        failed = wait_state(it, post(it, 'wrong.recipe'), 'failed')
        expect('/nowhere/vigil cannot be started' in failed['error'], f'{failed}')


def no_path_leads_out():
    """what a job names stays below the two folders"""
    write_recipe('short.recipe')
    with running() as (it, models):
        outside = os.path.join(it.folder, 'outside')
        os.mkdir(outside)
        os.symlink(outside, os.path.join(models, 'link'))
        with contextlib.suppress(FileExistsError):
            os.symlink(path('short.recipe'), path('link.recipe'))
        for members in ({'recipe': '../short.recipe'}, {'recipe': path('short.recipe')},
                        {'recipe': 'link.recipe'}, {'recipe': ''}, {'recipe': '.'},
                        {'recipe': 'a//b'}, {'recipe': 'x\0y'}, {'recipe': 7},
                        {'recipe': 'short.recipe', 'data': '..'},
                        {'recipe': 'short.recipe', 'out': '../x.onnx'},
                        {'recipe': 'short.recipe', 'out': 'link/x.onnx'},
                        {'recipe': 'short.recipe', 'out': '/tmp/x.onnx'},
                        {'recipe': 'short.recipe', 'out': '.x.onnx'},
                        {'recipe': 'short.recipe', 'out': 'x.txt'},
                        {'recipe': 'short.recipe', 'threads': 65},
                        {'recipe': 'short.recipe', 'kind': 'shell'},
                        {'recipe': 'short.recipe', 'resum': True},
                        {'recipe': 'short.recipe', 'resume': True, 'replace': True}):
            got, _, body = it.request('POST', '/api/v1/jobs', {'kind': 'train', **members})
            expect(got in (400, 422), f'{members}: {got} {body!r}')
        for members in ({'recipe': 'none.recipe'}, {'recipe': 'short.recipe', 'data': 'none'},
                        {'recipe': 'short.recipe', 'out': 'none/x.onnx'}):
            got, _, body = it.request('POST', '/api/v1/jobs', {'kind': 'train', **members})
            expect(got == 422 and json.loads(body)['code'] == 'job_file_unknown', f'{members}: {body!r}')
        expect(it.get('/api/v1/jobs')['jobs'] == [], 'one was taken')
        expect(os.listdir(outside) == [], 'something was written outside')


def nothing_is_lost_unasked():
    """a model that is there is replaced when that is asked for, and nothing but a model ever is"""
    write_recipe('short.recipe')
    with running() as (it, models):
        model, text = os.path.join(models, 'short.onnx'), os.path.join(models, 'text.onnx')
        wait_state(it, post(it, 'short.recipe'), 'done')
        was = os.stat(model).st_ino
        expect(post(it, 'short.recipe', 409)['code'] == 'model_exists', 'another code')
        wait_state(it, post(it, 'short.recipe', replace=True), 'done')
        expect(os.stat(model).st_ino != was, 'it is the old one')
        with open(text, 'w', encoding='utf-8') as file:
            file.write('not a model\n')
        failed = wait_state(it, post(it, 'short.recipe', out='text.onnx', replace=True), 'failed')
        expect('not an ONNX model' in failed['error'], f'{failed}')
        with open(text, encoding='utf-8') as file:
            expect(file.read() == 'not a model\n', 'it was overwritten')


def without_folders_there_are_no_jobs():
    """a vigild that was told no folders runs no jobs, and says what to do"""
    with workspace() as folder, daemon(folder, f'[worker]\nprogram = {PUPPET}\n') as it:
        problem = post(it, 'short.recipe', 409)
        expect(problem['code'] == 'jobs_off' and '[jobs]' in problem['detail'], f'{problem}')
        expect(it.get('/api/v1/jobs') == {'jobs': []}, 'there are jobs')


write_pictures('pictures')
run_tests([a_training_is_told_from_its_beginning_to_its_model,
           a_model_is_judged,
           it_takes_only_what_others_leave,
           one_runs_and_the_others_wait,
           what_is_cancelled_can_be_resumed,
           a_stop_interrupts_and_a_start_tells,
           a_vigild_that_is_killed_takes_its_jobs_along,
           the_command_line_lists_shows_and_cancels,
           what_fails_says_why,
           no_path_leads_out,
           nothing_is_lost_unasked,
           without_folders_there_are_no_jobs])
