"""What `meson install` makes of this build, below a root of its own."""
import json
import os
import shutil
import subprocess

from harness import BUILD, PATIENCE, Failure, Skip

MESON = os.environ.get('MESON', 'meson')


def options():
    with open(os.path.join(BUILD, 'meson-info', 'intro-buildoptions.json'),
              encoding='utf-8') as file:
        return {entry['name']: entry['value'] for entry in json.load(file)}


def option(name):
    """A directory option of this build, such as libdir, as an absolute path."""
    return os.path.join(options()['prefix'], options()[name])


def unit_path(root):
    """vigil.service below the root."""
    folder = options()['systemdunitdir'] or option('prefix') + '/lib/systemd/system'
    return f'{root}{folder}/vigil.service'


def install(folder):
    """The root below which everything was installed."""
    if not shutil.which(MESON):
        raise Skip('no meson here')
    root = os.path.join(folder, 'root')
    done = subprocess.run([MESON, 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir',
                           root], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * PATIENCE, check=False)
    if done.returncode != 0:
        raise Failure(f'meson install: {done.stdout[-500:]}{done.stderr[-500:]}')
    return root
