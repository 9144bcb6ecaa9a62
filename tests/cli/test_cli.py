#!/usr/bin/env python3
"""The command line itself: help, usage errors and exit codes, without a daemon."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import PATIENCE, VIGIL, expect, run_tests  # noqa: E402


def vigil(*arguments, **environment):
    result = subprocess.run([VIGIL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=30 * PATIENCE, check=False, text=True,
                            env={**os.environ, **environment})
    return result.returncode, result.stdout, result.stderr


def help_names_every_verb():
    """--help names the verbs, and each verb has a help of its own"""
    code, output, _ = vigil('--help')
    expect(code == 0, f'exit {code}')
    for verb in ('run', 'streams', 'detections', 'watch', 'model', 'bench', 'config'):
        expect(f'  {verb} ' in output, f'no {verb} in {output}')
        code, text, error = vigil(verb, '--help')
        expect(code == 0 and f'vigil {verb}' in text and not error, f'{verb}: {code} {text}')


def help_fits_a_terminal():
    """no line of a help is longer than 80 columns or begins with an option it does not explain"""
    for words in (('run',), ('streams',), ('streams', 'test'), ('detections',), ('watch',),
                  ('model',), ('model', 'inspect'), ('model', 'verify'), ('bench',), ('config',)):
        code, text, _ = vigil(*words, '--help')
        expect(code == 0 and f'vigil {" ".join(words)} ' in text, f'{words}: {code} {text}')
        for line in text.splitlines():
            expect(len(line) <= 80 and line == line.rstrip(), f'{words}: {line!r}')
            expect(not re.match(r' {3,}--', line), f'{words}: {line!r}')


def usage_errors_are_one_line():
    """a wrong verb, option or argument is told in one line and exits 2"""
    for arguments in (('frobnicate',), ('run',), ('run', 'a', 'b'), ('run', '--colour', 'x'),
                      ('streams', 'add', 'front'), ('streams', 'add', 'Bad Name', 'scene://street'),
                      ('streams', 'frobnicate'), ('detections', 'x'), ('watch', 'x'),
                      ('run', 'scene://street', '--set', 'enter'),
                      ('run', 'scene://street', '--start-time', 'noon'),
                      ('run', 'scene://street', '--name', 'Front Door')):
        code, output, error = vigil(*arguments)
        expect(code == 2, f'{arguments}: exit {code}: {error}')
        expect(len(error.splitlines()) == 1 and error.startswith('vigil: ') and not output,
               f'{arguments}: {error!r} {output!r}')


def an_absent_daemon_is_named():
    """without a daemon the verbs exit 69 and say where they looked"""
    for arguments in (('streams', 'ls'), ('detections',), ('watch',)):
        code, output, error = vigil(*arguments, VIGIL_URL='http://127.0.0.1:9')
        expect(code == 69, f'{arguments}: exit {code}: {error}')
        expect('127.0.0.1:9' in error and len(error.splitlines()) == 1 and not output,
               f'{arguments}: {error!r}')
    for url in ('127.0.0.1:9', '[::1]:9', 'localhost:9'):
        code, _, error = vigil('streams', 'ls', VIGIL_URL=url)
        expect(code == 69 and f'no answer from http://{url}: ' in error, f'{code} {error}')
    for url in ('camera', ':9', 'ftp://127.0.0.1:9', '127.0.0.1:9/x', '127.0.0.1:'):
        code, _, error = vigil('streams', 'ls', VIGIL_URL=url)
        expect(code == 2 and f'VIGIL_URL is "{url}"; write http://HOST:PORT' in error,
               f'{code} {error}')


def a_mistyped_model_brings_the_name_that_was_meant():
    """a model's name that is none is told with those there are; a path with its own error"""
    for verb in (('run', 'scene://street', '--model'), ('bench',), ('model', 'inspect'),
                 ('streams', 'test', 'scene://street', '--model')):
        code, output, error = vigil(*verb, 'scen')
        expect(code == 66 and not output and error == 'vigil: there is no model "scen", neither a '
               'file here nor with vigil (scene); did you mean scene?\n', f'{verb}: {code} {error}')
        code, _, error = vigil(*verb, './scen')
        expect(code == 66 and './scen: No such file' in error, f'{verb}: {code} {error}')


def a_setting_out_of_range_is_told_as_it_was_given():
    """a value of --set that the model does not take is named with its option, exit 2"""
    code, output, error = vigil('run', 'scene://street', '--set', 'vigil.enter=2')
    expect(code == 2 and not output and
           error == 'vigil: --set enter=2: should be above 0, at most 1\n', f'{code} {error}')


def a_worker_that_cannot_start_is_named():
    """vigil run says which worker program it could not start"""
    code, _, error = vigil('run', 'scene://street', VIGIL_WORKER='/nonexistent/worker')
    expect(code == 70 and '/nonexistent/worker' in error, f'{code} {error}')


def full_disks_are_told():
    """what cannot be written is told with the reason, however much it is, and exits 70"""
    with open('/dev/full', 'wb') as full:
        for words in (('--help',), ('--version',), ('run', '--help'), ('config', 'show', '--defaults'),
                      ('config', 'reference'), ('model', 'inspect', 'scene'),
                      ('model', 'inspect', 'scene', '--json'), ('bench', 'scene', '--runs', '10')):
            done = subprocess.run([VIGIL, *words], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60 * PATIENCE,
                                  check=False)
            expect(done.returncode == 70 and
                   done.stderr == 'vigil: cannot write to standard output: No space left on device\n',
                   f'{words}: {done}')


def control_characters_are_not_printed():
    """an argument's escape sequence does not reach the terminal"""
    code, _, error = vigil('frob\x1b[31mnicate')
    expect(code == 2 and '\x1b' not in error and '\ufffd' in error, repr(error))


run_tests([help_names_every_verb, help_fits_a_terminal, usage_errors_are_one_line,
           an_absent_daemon_is_named, a_worker_that_cannot_start_is_named,
           a_mistyped_model_brings_the_name_that_was_meant,
           a_setting_out_of_range_is_told_as_it_was_given, full_disks_are_told, control_characters_are_not_printed])
