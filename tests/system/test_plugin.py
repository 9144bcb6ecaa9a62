#!/usr/bin/env python3
"""The plugin in other people's pipelines: gst-inspect-1.0 and gst-launch-1.0, without vigil."""
import json
import os
import re
import subprocess

from harness import BUILD, SANITIZED, SOURCE, Skip, expect, note, run_tests, workspace


def gst(folder, *arguments):
    if SANITIZED:
        raise Skip('GStreamer\'s tools are not instrumented and cannot load our plugin')
    result = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=100,
                            check=False, text=True,
                            env={**os.environ, 'GST_PLUGIN_PATH': os.path.join(BUILD, 'pipeline'),
                                 'GST_REGISTRY': os.path.join(folder, 'registry.bin')})
    expect(result.returncode == 0, f'{arguments}: {result.returncode}: {result.stderr[-1000:]}')
    return result.stdout


def the_elements_describe_themselves():
    """gst-inspect-1.0 knows both elements, their pads and their properties"""
    with workspace() as folder:
        for element, properties in (
                ('vigilanalyze', ('model', 'threshold', 'fps', 'stride', 'roi', 'post-windows')),
                ('vigilscenesrc', ('seed', 'is-live', 'truth-location', 'faults'))):
            text = gst(folder, 'gst-inspect-1.0', element)
            for word in ('Long-name', 'Klass', 'SRC template', *properties):
                expect(word in text, f'{element}: no {word}')
            described = re.findall(r'^  ([a-z-]+) +: (.+)$', text, re.MULTILINE)
            expect(all(blurb.strip() for _, blurb in described), f'{element}: {described}')


def a_scene_is_labelled_and_analysed():
    """a rendered clip carries its truth, and the analyser posts its events on the bus"""
    with workspace() as folder:
        clip, truth = os.path.join(folder, 'street.mp4'), os.path.join(folder, 'truth.jsonl')
        gst(folder, 'gst-launch-1.0', '-q', 'vigilscenesrc', 'seed=7', 'num-buffers=600',
            f'truth-location={truth}', '!', 'video/x-raw,width=640,height=360,framerate=15/1',
            '!', 'x264enc', 'speed-preset=veryfast', '!', 'h264parse', '!', 'mp4mux', '!',
            'filesink', f'location={clip}')
        with open(truth, encoding='utf-8') as file:
            frames = [json.loads(line) for line in file]
        expect(len(frames) == 600, f'{len(frames)} lines of truth')
        text = gst(folder, 'gst-launch-1.0', '-m', 'filesrc', f'location={clip}', '!', 'qtdemux',
                   '!', 'h264parse', '!', 'avdec_h264', '!', 'vigilanalyze',
                   f'model={SOURCE}/models/scene.onnx', '!', 'fakesink')
        events = re.findall(r'vigil-event.*?phase=\(string\)(\w+).*?label=\(string\)(\w+)', text)
        note(f'{len(frames)} frames of truth, {len(events)} event messages: '
             f'{sorted({label for _, label in events})}')
        expect(('started', 'movement') in events and ('ended', 'movement') in events, events)


run_tests([the_elements_describe_themselves, a_scene_is_labelled_and_analysed])
