#!/usr/bin/env python3
"""vigil config: what it says is what vigild does, and the reference is the table of keys."""
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import PATIENCE, SOURCE, VIGIL, VIGILD, Skip, expect, run_tests, workspace  # noqa: E402

REFERENCE = os.path.join(SOURCE, 'docs', 'configuration.md')


def run(program, *arguments, **environment):
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=30 * PATIENCE, check=False, text=True,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def config(*arguments, **environment):
    return run(VIGIL, 'config', *arguments, **environment)


def write(folder, text, name='vigil.conf'):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def a_good_configuration_is_summed_up():
    """check says in one line what a good configuration holds, and warns of what is not there"""
    with workspace() as folder:
        path = write(folder, f'[server]\nlisten = 127.0.0.1:9000\nmedia_roots = {folder}/none\n'
                     '[store]\nretention_days = 0\n[stream a]\nuri = scene://street\n'
                     '[stream b]\nuri = scene://room\nenabled = no\n')
        code, output, error = config('check', path)
        expect(code == 0, f'{code} {error}')
        expect(output.startswith(f'{path}: ok: listens on 127.0.0.1:9000, keeps detections for '
                                 'ever in ') and '1 model, 2 streams (1 disabled)' in output, output)
        expect(len(error.splitlines()) == 1 and f'{path}:3: media root' in error, error)


def a_bad_configuration_is_told_as_vigild_tells_it():
    """check exits 78 with the very line vigild exits with"""
    with workspace() as folder:
        for text in ('[server]\nlisten = 0.0.0.0:80\n', '[server]\nlisten = nonsense\n', '[x]\n',
                     '[stream a]\n', '[stream a]\nuri = rtsp://joe:canary@h:99999/\n',
                     '[store]\nretention_days = -1\n', 'junk\n',
                     '[model scene]\nthreads = 0\n', '[model scene]\nthreads = 65\n',
                     '[model scene]\nthreads = two\n', '[model scene]\nprecision = half\n', '[server]\nnode = a # b\n'):
            path = write(folder, text)
            code, output, error = config('check', path)
            other, _, said = run(VIGILD, '--config', path)
            expect(code == 78 and other == 78 and not output, f'{text!r}: {code} {other} {output}')
            expect(error == said.replace('vigild: error: ', 'vigil: '), f'{error!r} {said!r}')
            expect(error.startswith(f'vigil: {path}:') and len(error.splitlines()) == 1, error)
            expect('canary' not in error, error)
        code, _, error = config('check', os.path.join(folder, 'absent.conf'))
        expect(code == 78 and 'absent.conf: cannot be read' in error, f'{code} {error}')


def what_is_shown_is_a_configuration_again():
    """what show prints reads back to the same, whatever the values hold"""
    with workspace() as folder:
        path = write(folder, '[server]\nmedia_roots = /tmp; sub dir ;\\srel\n'
                     '[model odd]\npath = dir/a\\s#b.onnx\nlabels=#1,b\\s#c, straße\nkind = \\sx\\\\y\n'
                     '[stream a]\nuri = rtsp://h/x?a=1;b\nmodel = odd\nloop = Off\nenabled = 0\n')
        for options in ([], ['--defaults'], ['--origin'], ['--defaults', '--origin']):
            code, first, error = config('show', path, *options)
            expect(code == 0, error)
            again = write(folder, first, 'again/vigil.conf')
            code, second, error = config('show', again, *options)
            expect(code == 0, f'{error}\n{first}')
            def strip(text):
                return [line for line in text.splitlines() if not line.startswith('#')]
            expect(strip(first) == strip(second), f'{first}\n---\n{second}')
        expect('labels =#1,b\\s#c, straße' in first and 'enabled = false' in first, first)


def origins_are_told():
    """show says of every key which file and line, variable or default set it"""
    with workspace() as folder:
        path = write(folder, '[server]\nnode = a\n[store]\nretention_days = 1\npath = v.db\n')
        drop = write(folder, '\n[store]\nretention_days = 2\n', 'conf.d/10.conf')
        code, output, _ = config('show', path, '--origin', '--defaults', VIGIL_SERVER_NODE='b')
        expect(code == 0, output)
        for origin, line in (('VIGIL_SERVER_NODE', 'node = b'), (f'{drop}:3', 'retention_days = 2'),
                             (f'{path}:5', f'path = {folder}/v.db'),
                             ('default', 'listen = 127.0.0.1:8470')):
            expect(f'# {origin}\n{line}\n' in output, f'{origin}: {line}: {output}')


def credentials_are_not_shown():
    """users and passwords are said to be set, and not shown"""
    with workspace() as folder:
        path = write(folder, '[stream a]\nuri = rtsp://joe:canary@h/\n'
                     '[stream b]\nuri = rtsp://h/\nuser = joe\npassword = canary\n')
        code, output, error = config('show', path, '--origin', '--defaults')
        expect(code == 0 and 'canary' not in output + error and 'joe' not in output, output)
        for line in (2, 6):
            expect(f'# password is set ({path}:{line})\n' in output, output)


def threads_and_precision_are_refused_by_line_and_key():
    """check names the line of `threads` and `precision`, and takes all that the worker takes"""
    with workspace() as folder:
        for key, bad, good in (('threads', ('0', '65', '-1', '1.5', ''), ('1', '64')),
                               ('precision', ('half', 'FP32', ''), ('fp32', 'fast', 'int8'))):
            for value in bad:
                path = write(folder, f'[model scene]\nfps = 4\n{key} = {value}\n')
                code, _, error = config('check', path)
                expect(code == 78 and error.startswith(f'vigil: {path}:3: {key} must be '), error)
            for value in good:
                path = write(folder, f'[model scene]\n{key} = {value}\n')
                code, output, error = config('check', path)
                expect(code == 0 and not error, f'{key} = {value}: {output}{error}')


def what_is_named_is_tried():
    """check names file and line of each model, folder, program and certificate that fails"""
    with workspace() as folder:
        scene = os.path.abspath(os.path.join(SOURCE, 'models', 'scene.onnx'))
        broken = write(folder, 'no model', 'broken.onnx')
        path = write(folder, f'[store]\npath = absent/v.db\n[model broken]\npath = {broken}\n'
                     f'[model tuned]\npath = {scene}\nenter = 3\n'
                     f'[model good]\npath = {scene}\nenter = 0.7\n[worker]\ntls_ca = absent.pem\n')
        code, output, error = config('check', path)
        expect(code == 1 and not output and len(error.splitlines()) == 4, f'{code} {output} {error}')
        for line, words in ((2, f'there is no folder {folder}/absent'),
                            (4, 'model broken would not run: not an ONNX model'),
                            (7, 'model tuned would not run: vigil.enter "3"'),
                            (12, f'{folder}/absent.pem cannot be read')):
            expect(f'vigil: {path}:{line}: {words}' in error, error)
        os.mkdir(os.path.join(folder, 'v'))
        path = write(folder, '[worker]\nprogram = absent\n[store]\npath = v\n')
        code, _, error = config('check', path)
        expect(code == 1 and f'{path}:2: {folder}/absent cannot be started: No such' in error and
               f'{path}:4: {folder}/v is a folder' in error, error)
        path = write(folder, '[store]\npath = v/v.db\n[worker]\nprogram = /bin/true\n')
        code, output, error = config('check', path)
        expect(code == 0 and ': ok: ' in output and not error, f'{code} {error}')


def what_vigilds_user_may_do_is_a_warning():
    """check warns of a folder that the one who asks cannot write, and takes an address in use"""
    as_other = [] if os.geteuid() else ['setpriv', '--reuid=65534', '--clear-groups']
    with workspace() as folder, socket.create_server(('127.0.0.1', 0)) as listener:
        os.mkdir(os.path.join(folder, 'v'))
        path = write(folder, f'[server]\nlisten = 127.0.0.1:{listener.getsockname()[1]}\n'
                     '[store]\npath = v/v.db\n')
        os.chmod(folder, 0o755)
        os.chmod(os.path.join(folder, 'v'), 0o555)
        if subprocess.run([*as_other, VIGIL, '--version'], check=False,
                          capture_output=True).returncode != 0:
            raise Skip('vigil cannot be started by another user here')
        code, output, error = run(*as_other, VIGIL, 'config', 'check', path)
        expect(code == 0 and ': ok: ' in output and error ==
               f'vigil: warning: {path}:4: {folder}/v cannot be written by the user who asks; '
               "vigild's must be able to\n", f'{code} {error}')
        for name in ('private', 'programs'):
            os.makedirs(os.path.join(folder, name, 'v'))
        path = write(folder, '[worker]\nprogram = programs/v/worker\n[store]\npath = private/v/v.db\n')
        for name in ('private', 'programs'):
            os.chmod(os.path.join(folder, name), 0)
        try:
            code, output, error = run(*as_other, VIGIL, 'config', 'check', path)
        finally:
            for name in ('private', 'programs'):
                os.chmod(os.path.join(folder, name), 0o755)
        expect(code == 0 and ': ok: ' in output and error ==
               f'vigil: warning: {path}:2: {folder}/programs/v/worker cannot be started by the user '
               'who asks: Permission denied\n'
               f'vigil: warning: {path}:4: {folder}/private/v cannot be seen by the user who asks; '
               "vigild's must be able to\n", f'{code} {error}')
        path = write(folder, '[worker]\nprogram = vigil.conf\n')
        code, _, error = config('check', path)
        expect(code == 1 and f'{path}:2: {path} cannot be started: Permission' in error, error)


def a_worker_that_hangs_or_talks_is_ended():
    """check ends a worker that does not answer in time, or says too much, and tells of the model"""
    with workspace() as folder:
        for words, said in (('exec sleep 1000', 'not be inspected in time'),
                            ('sleep 30 & exit 0', 'not be inspected in time'),
                            ('exec yes >&2', 'not be inspected in time'),
                            ('exec yes', 'inspected it died'),
                            ('yes | head -n 100000 >&2; exit 78', 'would not run: y')):
            program = write(folder, f'#!/bin/sh\n{words}\n', 'worker')
            os.chmod(program, 0o755)
            path = write(folder, f'[worker]\nprogram = {program}\n')
            code, _, error = config('check', path)
            expect(code == 1 and said in error and len(error.splitlines()) == 1, f'{code} {error}')


def a_worker_is_run_as_by_vigild():
    """check lets a worker talk to its end, and gives it no more of the environment than vigild"""
    with workspace() as folder:
        program = write(folder, '#!/bin/sh\nyes | head -n 100000 >&2\n'
                        '[ -z "$VIGIL_CANARY" ] && [ -n "$PATH" ]\n', 'worker')
        os.chmod(program, 0o755)
        path = write(folder, f'[worker]\nprogram = {program}\n')
        code, output, error = config('check', path, VIGIL_CANARY='canary')
        expect(code == 0 and ': ok: ' in output and not error, f'{code} {error}')


def a_password_for_everybody_is_warned_of():
    """check warns of a file that everybody may read and that holds a camera's password, once"""
    with workspace() as folder:
        path = write(folder, '[stream a]\nuri = rtsp://joe:canary@h/\n'
                     '[stream b]\nuri = rtsp://h/\nuser = joe\npassword = canary\n')
        for mode, lines in ((0o644, 1), (0o640, 0), (0o600, 0)):
            os.chmod(path, mode)
            code, _, error = config('check', path)
            expect(code == 0 and len(error.splitlines()) == lines and 'canary' not in error, error)
            expect(not lines or f'warning: {path}:2: everybody' in error, error)


def the_reference_is_the_table_of_keys():
    """docs/configuration.md ends with what `vigil config reference` prints; its example is good"""
    with open(REFERENCE, encoding='utf-8') as file:
        text = file.read()
    code, output, _ = config('reference')
    expect(code == 0, f'{code}')
    marker = '<!-- From here to the end: vigil config reference -->\n\n'
    expect(text.partition(marker)[2] == output,
           'docs/configuration.md is not as the table of keys: `make reference` writes it')
    with workspace() as folder:
        example = re.search(r'```ini\n(.*?)```', text, re.S).group(1)
        code, output, error = config('check', write(folder, example))
        expect(code == 0 and '2 models, 2 streams' in output,
               f'{output} {error}')


def wrong_usage_is_told():
    """an unknown action or too many arguments are a usage error of one line"""
    for arguments in ((), ('frobnicate',), ('check', 'a', 'b'), ('reference', 'a'), ('--colour',)):
        code, output, error = config(*arguments)
        expect(code == 2 and len(error.splitlines()) == 1 and not output, f'{arguments}: {error}')


run_tests([a_good_configuration_is_summed_up, a_bad_configuration_is_told_as_vigild_tells_it,
           what_is_shown_is_a_configuration_again, origins_are_told, credentials_are_not_shown,
           threads_and_precision_are_refused_by_line_and_key, what_is_named_is_tried, what_vigilds_user_may_do_is_a_warning,
           a_worker_that_hangs_or_talks_is_ended, a_worker_is_run_as_by_vigild,
           a_password_for_everybody_is_warned_of, the_reference_is_the_table_of_keys,
           wrong_usage_is_told])
