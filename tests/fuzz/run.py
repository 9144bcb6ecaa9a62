#!/usr/bin/env python3
"""Fuzzes: runs each target, as many at once as there are processors, until it has done so many
executions or so many seconds have passed, and tells what came of it.

    make fuzz                                    every target, ten million executions or an hour
    make fuzz TARGET='onnx packed' FUZZ_SECONDS=600

usage: run.py --runs N --seconds N BUILD_DIR [TARGET...]

BUILD_DIR is a build with -Dfuzzing=true. What was learnt (BUILD_DIR/fuzz/TARGET/corpus) is where the next
time begins; what was found is in BUILD_DIR/fuzz/TARGET/findings, with the log beside it, and the exit
status is 1. A finding becomes a seed in tests/fuzz/seeds/TARGET along with its mend."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# What is quantised is what is run.
SEEDS = {'quantize': 'onnx'}
# The weighing of inputs by rare features (-entropic) takes nine tenths of the time of targets as
# wide as the engine. A unit that takes seconds is a finding, too: whoever sends it stops a worker.
OPTIONS = ['-entropic=0', '-timeout=25', '-report_slow_units=30', '-rss_limit_mb=4096',
           '-print_final_stats=1']


def environment():
    return dict(os.environ, UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1',
                LSAN_OPTIONS=f'suppressions={HERE.parent}/lsan.supp:print_suppressions=0',
                ASAN_OPTIONS='detect_leaks=1')


def last(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def fuzz(build, target, runs, seconds):
    """The line to print, and whether all is well."""
    folder = build / 'fuzz' / target
    corpus, findings, log = folder / 'corpus', folder / 'findings', folder / 'log'
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    before = set(findings.iterdir())
    began = time.monotonic()
    with open(log, 'wb') as file:
        status = subprocess.run(
            [build / 'tests' / 'fuzz' / f'fuzz_{target}', *OPTIONS, f'-runs={runs}',
             f'-max_total_time={seconds}', f'-artifact_prefix={findings}/', corpus,
             HERE / 'seeds' / SEEDS.get(target, target)],
            stdout=file, stderr=subprocess.STDOUT, env=environment(), cwd=folder,
            check=False).returncode
    took = time.monotonic() - began
    said = log.read_text(encoding='utf-8', errors='replace')
    executions = last(r'stat::number_of_executed_units: (\d+)', said)
    found = sorted(set(findings.iterdir()) - before)
    good = status == 0 and not found and (executions >= runs or took >= seconds)
    line = (f'{target:10} {executions:>10} {took:>8.0f} {executions / max(took, 1):>8.0f} '
            f'{last(r"cov: ([0-9]+)", said):>8}   ')
    line += 'nothing found' if good else ', '.join(map(str, found)) or f'ended with {status}: {log}'
    return line, good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('build', type=pathlib.Path)
    parser.add_argument('--runs', type=int, required=True)
    parser.add_argument('--seconds', type=int, required=True)
    parser.add_argument('targets', nargs='*')
    options = parser.parse_args()
    build = options.build.resolve()
    every = sorted(source.stem[len('fuzz_'):] for source in HERE.glob('fuzz_*.c'))
    targets = options.targets or every
    unknown = set(targets) - set(every)
    if unknown:
        parser.error(f'no target {", ".join(unknown)}; there are {", ".join(every)}')
    subprocess.run(['ninja', '-C', build, *(f'tests/fuzz/fuzz_{t}' for t in targets)], check=True)
    print(f'{"target":10} {"executions":>10} {"seconds":>8} {"a second":>8} {"edges":>8}', flush=True)
    good = True
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [pool.submit(fuzz, build, t, options.runs, options.seconds) for t in targets]
        for job in concurrent.futures.as_completed(jobs):
            line, well = job.result()
            print(line, flush=True)
            good = good and well
    return 0 if good else 1


sys.exit(main())
