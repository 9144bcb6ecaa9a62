#!/usr/bin/env python3
"""vigil eval: figures held against sums made here, models that learned and models made by hand,
on pictures, sequences and clips."""
import csv
import html.parser
import json
import math
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import onnxfile as onnx  # noqa: E402
from eventsfile import read_events  # noqa: E402
from harness import expect, run_tests  # noqa: E402
from trainable import (CLASSES, learned, path, run, train, write_clip, write_pictures,  # noqa: E402
                       write_recipe)

os.environ['XDG_CACHE_HOME'] = path('cache')
NAMES = ['empty', 'calm', 'crowd']  # of the data, in this order
ODD = '<b>"q",&\u202e'


def evaluated(model, *options):
    code, said, error = run('eval', path(model), *options)
    expect(code == 0 and not error, f'exit {code}: {said} {error}')
    return said


def figures(model, *options):
    return json.loads(evaluated(model, '--json', *options))


def refused(code, words, model, *options):
    status, said, error = run('eval', path(model), *options)
    expect(status == code and not said, f'exit {status}, not {code}: {said} {error}')
    expect(error.count('\n') == 1, f'not one line: {error}')
    for word in words:
        expect(word in error, f'no {word!r} in {error!r}')


def near(a, b, what):
    expect(a is not None and abs(a - b) < 2e-6, f'{what}: {a}, not {b}')


# --- models and data made by hand --------------------------------------------------------------


def write_model(name, nodes, dims, out, initializers=(), **metadata):
    """From "x" to "y"; keys of metadata are vigil's."""
    content = onnx.model(nodes, [onnx.value('x', onnx.FLOAT, dims)],
                         [onnx.value('y', onnx.FLOAT, out)], initializers)
    for key, text in metadata.items():
        content += onnx.data(14, onnx.data(1, f'vigil.{key}') + onnx.data(2, text))
    with open(path(name), 'wb') as file:
        file.write(content)


def write_mirror(name, count=3, **metadata):
    """A model that gives what it is given as scores; what is 0, as no number."""
    write_model(name, [onnx.node('Div', ['x', 'x'], ['one'], 'one'),
                       onnx.node('Mul', ['x', 'one'], ['y'], 'y')],
                ['n', count], ['n', count], **metadata)


def write_table(name, rows, names=None, more=''):
    """A recipe, and a table of labels and scores for a mirror; recipe's path."""
    with open(path(f'{name}.csv'), 'w', encoding='utf-8') as file:
        for label, scores in rows:
            file.write(f'{label},' + ','.join(f'{score:.6f}' for score in scores) + '\n')
    with open(path(f'{name}.names'), 'w', encoding='utf-8') as file:
        file.write(''.join(f'{label}\n' for label in names or NAMES))
    with open(path(f'{name}.recipe'), 'w', encoding='utf-8') as file:
        file.write(f'''[model]
input = 1x{len(rows[0][1])}
layers = flatten; dense 2
[data]
format = table
samples = {name}.csv
classes = {name}.names
numbers = {len(rows[0][1])}
{more}
[training]
loss = sparse_categorical_crossentropy
''')
    return path(f'{name}.recipe')


def draw_scores(seed, count, classes):
    """Labels, and scores that often go with them, with ties among them."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        label = rng.randrange(classes)
        weights = [math.exp(round(rng.gauss(0, 1) + 1.2 * (c == label), 1))
                   for c in range(classes)]
        rows.append((label, [round(w / sum(weights), 2) + 1e-4 for w in weights]))
    return rows


# --- the same figures, summed up as their definitions say --------------------------------------


def area(scores, positive):
    """AUC by pairs, a tie a half."""
    pairs = [(p, n) for p, yes in zip(scores, positive) if yes
             for n, other in zip(scores, positive) if not other]
    return sum(1 if p > n else 0.5 if p == n else 0 for p, n in pairs) / len(pairs)


def average_precision(scores, positive):
    total, before, whole = 0, 0, sum(positive)
    for threshold in sorted(set(scores), reverse=True):
        taken = [yes for score, yes in zip(scores, positive) if score >= threshold]
        recall = sum(taken) / whole
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


def best_f1(scores, positive):
    return max(2 * sum(yes for s, yes in zip(scores, positive) if s >= t) /
               (sum(s >= t for s in scores) + sum(positive)) for t in set(scores))


def calibration_error(rows):
    bins = {}
    for label, scores in rows:
        confidence = max(scores)
        at = max(math.ceil(confidence * 15) - 1, 0)
        bins.setdefault(at, []).append((confidence, scores.index(confidence) == label))
    return sum(abs(sum(right - confidence for confidence, right in members))
               for members in bins.values()) / len(rows)


def check_figures(f, rows, labels, none=0):
    """`rows`: of samples that have an answer, by the model's labels; `none` more have not."""
    count = len(rows) + none
    said = [scores.index(max(scores)) for _, scores in rows]
    right = sum(label == answer for (label, _), answer in zip(rows, said))
    near(f['accuracy'], right / count, 'accuracy')
    second = sum(sorted(range(len(s)), key=lambda c: -s[c]).index(label) < 2 for label, s in rows)
    near(f['top']['2'], second / count, 'top-2')
    near(f['log_loss'], -sum(math.log(s[label]) for label, s in rows) / len(rows), 'log loss')
    near(f['brier'], sum((v - (c == label)) ** 2 for label, s in rows for c, v in enumerate(s))
         / len(rows), 'Brier')
    near(f['calibration_error'], calibration_error(rows), 'ECE')
    expect([c['label'] for c in f['classes']] == labels, f'{f["classes"]}')
    for c, of in enumerate(f['classes']):
        column, is_it = [s[c] for _, s in rows], [label == c for label, _ in rows]
        hits = sum(yes and answer == c for yes, answer in zip(is_it, said))
        near(of['precision'], hits / said.count(c), 'precision')
        near(of['recall'], hits / of['samples'], 'recall')
        near(of['f1'], 2 * hits / (said.count(c) + of['samples']), 'F1')
        near(of['auc'], area(column, is_it), 'AUC')
        near(of['ap'], average_precision(column, is_it), 'AP')
        near(of['best']['f1'], best_f1(column, is_it), 'best F1')
        row = f['confusion'][c]
        expect(row[:3] == [sum(yes and answer == a for yes, answer in zip(is_it, said))
                           for a in range(3)], f'{row}')
    near(f['macro_f1'], sum(c['f1'] for c in f['classes']) / 3, 'macro F1')
    near(f['macro_auc'], sum(c['auc'] for c in f['classes']) / 3, 'macro AUC')


def figures_are_those_of_their_definitions():
    """accuracy, top-k, precision, recall, F1, AUC, AP, log loss, Brier and ECE; labels by name"""
    rows = draw_scores('three', 200, 3)
    rows = [(label, [value / sum(s) for value in s]) for label, s in rows]
    recipe = write_table('three', [(NAMES[label], s) for label, s in rows] +
                         [('calm', [0, 0.5, 0.5])])
    labels = ['crowd', 'empty', 'calm']  # of the model: another order than the data's
    write_mirror('three.onnx', labels=', '.join(labels))
    f = figures('three.onnx', '--recipe', recipe, '--split', 'all')
    # What the table says of the scores is of the model's labels.
    by_model = [(labels.index(NAMES[label]), [float(f'{v:.6f}') for v in s])
                for label, s in rows]
    check = [c['samples'] for c in f['classes']]
    expect(check == [sum(label == c for label, _ in by_model) + (c == 2) for c in range(3)],
           f'{check}')
    check_figures(f, by_model, labels, none=1)
    expect(f['unanswered'] == 1 and f['confusion'][2][3] == 1, f'{f["confusion"]}')
    low, high = f['accuracy_interval']['low'], f['accuracy_interval']['high']
    expect(low < f['accuracy'] < high and high - low < 0.2, f'{low} {high}')
    write_mirror('unnamed.onnx')
    f = figures('unnamed.onnx', '--recipe', recipe, '--split', 'all')
    expect(f['model']['labels_assumed'] and [c['label'] for c in f['classes']] == NAMES, f'{f}')


def thresholds_are_told_for_two_labels():
    """of two labels one is looked for, at every threshold; one score stands for both"""
    rows = draw_scores('two', 150, 2)
    names = ['fight', 'none']
    recipe = write_table('two', [(names[label], scores[:1]) for label, scores in rows],
                         names=names)
    write_mirror('two.onnx', 1, labels='fight')
    f = figures('two.onnx', '--recipe', recipe, '--split', 'all', '--positive', 'fight')
    scores, positive = [s[0] for _, s in rows], [label == 0 for label, _ in rows]
    expect(f['positive'] == 'fight' and len(f['thresholds']) == 19, f'{f}')
    near(f['classes'][0]['auc'], area(scores, positive), 'AUC')
    near(f['classes'][1]['auc'], area(scores, positive), 'AUC of the other')
    expect([at['threshold'] for at in f['thresholds']] == [i * 5 / 100 for i in range(1, 20)],
           f'{f["thresholds"]}')
    for at in f['thresholds']:
        taken = [yes for score, yes in zip(scores, positive) if score >= at['threshold']]
        alarms = len(taken) - sum(taken)
        near(at['recall'], sum(taken) / sum(positive), 'recall')
        near(at['precision'], sum(taken) / len(taken) if taken else 1, 'precision')
        near(at['false_alarm_rate'], alarms / positive.count(False), 'false alarms')
        near(at['accuracy'], (sum(taken) + positive.count(False) - alarms) / len(rows),
             'accuracy')
    other = figures('two.onnx', '--recipe', recipe, '--split', 'all', '--positive', 'none')
    expect(other['positive'] == 'none' and other['thresholds'] != f['thresholds'], f'{other}')
    write_mirror('back.onnx', 1, labels='fight', background='none')
    f = figures('back.onnx', '--recipe', recipe, '--split', 'all')
    expect(f['positive'] == 'fight', f'{f["positive"]}')
    refused(2, ['--positive', 'brawl', 'fight'], 'two.onnx', '--recipe', recipe, '--split', 'all',
            '--positive', 'brawl')


def pictures_are_fed_as_the_model_says():
    """mean, scale, BGR and channels last are the model's, not the recipe's"""
    rng = random.Random('colours')
    with open(path('colours.bin'), 'wb') as file:
        for i in range(30):
            planes = [bytes(rng.randrange(100, 120) + 60 * (c == i % 3) for _ in range(1024))
                      for c in range(3)]
            file.write(bytes([i % 3]) + b''.join(planes))
    with open(path('colours.names'), 'w', encoding='utf-8') as file:
        file.write('red\ngreen\nblue\n')
    recipe = write_recipe('colours.recipe', validation='last 3', more='classes = colours.names')
    with open(recipe, encoding='utf-8') as file:
        text = file.read()
    text = text.replace('format = idx', 'format = cifar').replace('pictures.images', 'colours.bin')
    with open(recipe, 'w', encoding='utf-8') as file:
        file.write(text.replace('labels = pictures.labels', 'mean = 77'))
    # The mean of each channel: 110 and, of the one that it is of, 170.
    nchw = [onnx.node('ReduceMean', ['x'], ['y'], 'mean', axes=[2, 3], keepdims=0)]
    nhwc = [onnx.node('ReduceMean', ['x'], ['y'], 'mean', axes=[1, 2], keepdims=0)]
    for name, nodes, dims, more in (
            ('rgb', nchw, [1, 3, 32, 32], {'labels': 'red,green,blue'}),
            ('bgr', nchw, [1, 3, 32, 32], {'labels': 'blue,green,red', 'pixels': 'BGR'}),
            ('last', nhwc, [1, 32, 32, 3], {'labels': 'red,green,blue', 'layout': 'NHWC'}),
            ('open', nchw, ['n', 3, 'h', 'w'], {'labels': 'blue,green,red', 'pixels': 'BGR'})):
        write_model(f'{name}.onnx', nodes, dims, [1, 3], mean='90,95,100', scale='0.01',
                    **more)
        f = figures(f'{name}.onnx', '--recipe', recipe, '--split', 'all')
        expect(f['accuracy'] == 1, f'{name}: {f}')
        # (110 - mean + 60) / 100 for the right channel.
        expected = [0.7, 0.75, 0.8] if 'BGR' in more.values() else [0.8, 0.75, 0.7]
        of = {c['label']: c['best']['threshold'] for c in f['classes']}
        for label, score in zip(('red', 'green', 'blue'), expected):
            expect(abs(of[label] - score) < 0.01, f'{name}: {of}')
    write_model('small.onnx', nchw, [1, 3, 16, 16], [1, 3], labels='red,green,blue')
    refused(78, ['small.onnx', '[1, 3, 16, 16]', '[3, 32, 32]'], 'small.onnx', '--recipe', recipe,
            '--split', 'all')


def compared(*arguments):
    code, said, error = run('model', 'compare', *arguments)
    expect(code == 0 and not error, f'exit {code}: {said} {error}')
    return said


def two_models_are_compared_sample_by_sample():
    """both figures, the difference with an interval, and which answers differ"""
    rows, moved = [], []
    for i in range(200):
        label, scores = draw_scores(f'c{i}', 1, 3)[0]
        rows.append((NAMES[label], [v / sum(scores) for v in scores]))
    recipe = write_table('compare', rows)
    write_mirror('a.onnx', labels=','.join(NAMES))
    # The same scores but for what is added to that of the last label, which has another place.
    order = [2, 0, 1]
    bonus = [0, 0, 0.15]
    write_model('b.onnx', [onnx.node('Add', ['x', 'bonus'], ['s'], 's'),
                           onnx.node('Div', ['s', 'sum'], ['z'], 'z'),
                           onnx.node('Gather', ['z', 'order'], ['y'], 'g', axis=1)],
                ['n', 3], ['n', 3],
                [onnx.tensor('bonus', onnx.FLOAT, [1, 3], bonus),
                 onnx.tensor('sum', onnx.FLOAT, [1], [1 + sum(bonus)]),
                 onnx.tensor('order', onnx.INT64, [3], order)],
                labels=','.join(NAMES[at] for at in order))
    for label, scores in rows:
        scores = [float(f'{v:.6f}') for v in scores]
        first = NAMES[scores.index(max(scores))]
        scores[2] += 0.15
        moved.append((label, first, NAMES[scores.index(max(scores))]))
    options = ('--recipe', recipe, '--split', 'all')
    told = json.loads(compared(path('a.onnx'), path('b.onnx'), *options, '--json'))
    a = [first == label for label, first, _ in moved]
    b = [second == label for label, _, second in moved]
    near(told['a']['accuracy'], sum(a) / 200, 'accuracy of A')
    near(told['b']['accuracy'], sum(b) / 200, 'accuracy of B')
    near(told['difference']['accuracy'], (sum(b) - sum(a)) / 200, 'difference')
    counts = [told[key] for key in ('both_right', 'only_a_right', 'only_b_right', 'both_wrong')]
    pairs = list(zip(a, b))
    expect(counts == [pairs.count(p) for p in ((True, True), (True, False), (False, True),
                                               (False, False))], f'{counts}')
    expect([(c['sample'], c['label'], c['a'], c['b']) for c in told['changed']] ==
           [(i + 1, *m) for i, m in enumerate(moved) if m[1] != m[2]], f'{told["changed"]}')
    expect(told['changed_count'] == len(told['changed']) > 10, f'{told}')
    # The interval is that of pairs: about two deviations of the mean of gains either way.
    gains = [y - x for x, y in pairs]
    mean = sum(gains) / 200
    deviation = math.sqrt(sum((g - mean) ** 2 for g in gains) / 199 / 200)
    for end, sign in (('low', -1), ('high', 1)):
        expect(abs(told['difference'][end] - (mean + sign * 1.96 * deviation)) < 0.4 * deviation,
               f'{end}: {told["difference"]} {mean} {deviation}')
    back = json.loads(compared(path('b.onnx'), path('a.onnx'), *options, '--json'))
    near(back['difference']['accuracy'], -told['difference']['accuracy'], 'the other way')
    expect(back['only_a_right'] == told['only_b_right'], f'{back}')
    said = compared(path('a.onnx'), path('a.onnx'), *options)
    expect('may be chance' in said and 'differ' not in said.split('\n\n')[-1], said)
    # Scores turned round are wrong where the others are right.
    write_model('worse.onnx', [onnx.node('Sub', ['one', 'x'], ['y'], 's')], ['n', 3], ['n', 3],
                [onnx.tensor('one', onnx.FLOAT, [1], [1])], labels=','.join(NAMES))
    expect('A is right more often' in compared(path('a.onnx'), path('worse.onnx'), *options), '')
    expect('B is right more often' in compared(path('worse.onnx'), path('a.onnx'), *options), '')
    code, said, error = run('model', 'compare', path('a.onnx'), '--recipe', recipe)
    expect(code == 2 and 'two models' in error, error)


# --- models that learned -----------------------------------------------------------------------


def what_training_kept_back_is_judged():
    """the validation samples of the recipe, to the accuracy that the training told"""
    recipe = write_recipe('learned.recipe')
    told = learned(recipe, 'learned.onnx').splitlines()[-1]
    f = figures('learned.onnx', '--recipe', recipe)
    expect(f'accuracy {f["accuracy"]:.4f} of 60 ' in told, f'{told} {f["accuracy"]}')
    expect(f['data']['split'] == 'validation' and f['data']['samples'] == 60, f'{f["data"]}')
    expect(f['data']['learned_from'] == 'same', f'{f["data"]}')
    said = evaluated('learned.onnx', '--recipe', recipe)
    expect('accuracy' in said and f'{f["accuracy"]:.4f}' in said and 'flatter' not in said, said)
    said = evaluated('learned.onnx', '--recipe', recipe, '--split', 'train')
    expect('240 samples (train)' in said and 'flatter' in said, said)
    other = write_recipe('other.recipe', validation='last 90')
    said = evaluated('learned.onnx', '--recipe', other)
    expect('90 samples (validation)' in said and 'another split' in said, said)


def threads_change_nothing():
    """one thread and three tell the same, byte by byte"""
    one = evaluated('learned.onnx', '--recipe', path('learned.recipe'), '--json')
    three = evaluated('learned.onnx', '--recipe', path('learned.recipe'), '--json', '--threads',
                      '3')
    expect(one == three, f'{one}\n{three}')


class Page(html.parser.HTMLParser):
    """Elements by name, and text; every element ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], [], []
        self.feed(text)
        expect(not self.open, f'not closed: {self.open}')

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ('meta', 'br'):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        expect(self.open and self.open.pop() == tag, f'</{tag}> closes another')

    def handle_data(self, data):
        self.text.append(data)


def a_report_is_a_page_and_its_numbers():
    """--report: metrics.json is --json, curves.csv has the curves, the page loads nothing"""
    names = ['calm', ODD.replace(',', ''), 'crowd']
    rows = [(names[label], s) for label, s in draw_scores('report', 120, 3)]
    recipe = write_table('report', rows, names=names)
    write_mirror('report.onnx', labels=','.join(names))
    f = figures('report.onnx', '--recipe', recipe, '--split', 'all', '--report', path('report'))
    events = 'events.out.tfevents.0000000000.vigil-eval'
    expect(sorted(os.listdir(path('report'))) == ['curves.csv', events, 'metrics.json',
                                                  'report.html'], f'{os.listdir(path("report"))}')
    (step, numbers), = read_events(path(f'report/{events}'))
    expect(step == 0 and len(numbers) == 9, f'{numbers}')
    for tag, number in numbers.items():
        near(number, f[tag.split('/')[1]], tag)
    with open(path('report/metrics.json'), encoding='utf-8') as file:
        expect(json.load(file) == f, 'metrics.json is not what was told')
    with open(path('report/curves.csv'), encoding='utf-8', newline='') as file:
        points = list(csv.DictReader(file))
    expect({p['label'] for p in points} == set(names), f'{points[0]}')
    for of in f['classes']:
        curve = [p for p in points if p['label'] == of['label']]
        alarms = [float(p['false_alarm_rate']) for p in curve]
        recall = [float(p['recall']) for p in curve]
        expect((alarms[0], recall[0], alarms[-1], recall[-1]) == (0, 0, 1, 1), f'{curve}')
        area_below = sum((b - a) * (r + s) / 2 for a, b, r, s in
                         zip(alarms, alarms[1:], recall, recall[1:]))
        expect(abs(area_below - of['auc']) < 1e-4, f'{area_below} {of}')
    with open(path('report/report.html'), encoding='utf-8') as file:
        text = file.read()
    page = Page(text)
    shown = names[1].replace('\u202e', '\ufffd')
    expect(shown in page.text and '\u202e' not in text, 'the odd label is not shown as it should')
    tags = [tag for tag, _ in page.seen]
    expect(tags.count('svg') == 3 and tags.count('table') == 2, f'{tags}')
    expect(not {'script', 'link', 'img', 'iframe'} & set(tags), f'{set(tags)}')
    expect(not any(key in ('href', 'src') or key.startswith('on')
                   for _, attributes in page.seen for key in attributes), 'it loads something')
    expect('//' not in text and 'url(' not in text, 'it names what is elsewhere')


def a_folder_of_something_else_is_left_alone():
    """--report writes into no folder but an empty one or a report's"""
    recipe = path('learned.recipe')
    again = ('--recipe', recipe, '--report', path('report'))
    evaluated('learned.onnx', *again)
    with open(path('report/metrics.json'), encoding='utf-8') as file:
        expect(json.load(file)['data']['split'] == 'validation', 'it was not replaced')
    os.mkdir(path('photos'))
    with open(path('photos/metrics.json'), 'w', encoding='utf-8') as file:
        file.write('{"mine": 1}')
    refused(2, ['photos', 'something else'], 'learned.onnx', '--recipe', recipe, '--report',
            path('photos'))
    expect(os.listdir(path('photos')) == ['metrics.json'], 'it was written to')
    refused(2, ['no folder'], 'learned.onnx', '--recipe', recipe, '--report', recipe)
    refused(66, ['cannot be made'], 'learned.onnx', '--recipe', recipe, '--report',
            path('none/report'))


def slips_are_told_in_one_line():
    """what does not fit together is told in a line that names it"""
    recipe = path('learned.recipe')
    refused(2, ['--recipe', '--data'], 'learned.onnx')
    refused(2, ['--split', 'validation'], 'learned.onnx', '--recipe', recipe, '--split', 'valid')
    refused(2, ['--split', 'recipe'], 'learned.onnx', '--data', path('x'), '--split', 'test')
    refused(2, ['--threads'], 'learned.onnx', '--recipe', recipe, '--threads', '0')
    refused(66, ['none.onnx'], 'none.onnx', '--recipe', recipe)
    refused(66, ['none.recipe'], 'learned.onnx', '--recipe', path('none.recipe'))
    refused(78, ['learned.recipe'], 'learned.recipe', '--recipe', recipe)
    refused(78, ['test', '300'], 'learned.onnx', '--recipe', recipe, '--split', 'test')
    refused(78, ['no samples back'], 'learned.onnx', '--recipe',
            write_recipe('whole.recipe', validation='0'))
    three = path('three.recipe')
    write_mirror('words.onnx', labels='crowds,empty,calm')
    refused(78, ['"crowd"', 'crowds?'], 'words.onnx', '--recipe', three, '--split', 'all')
    write_mirror('few.onnx', labels='crowd,calm')
    refused(78, ['names 2', '3 scores'], 'few.onnx', '--recipe', three, '--split', 'all')
    write_mirror('twice.onnx', labels='calm,calm,crowd')
    refused(78, ['"calm"', 'twice'], 'twice.onnx', '--recipe', three, '--split', 'all')
    write_mirror('four.onnx', 4)
    refused(78, ["'x'", '[?, 4]', '[1, 3]'], 'four.onnx', '--recipe', three, '--split', 'all')
    logits = write_table('logits', [('calm', [2.5, 1, -3]), ('crowd', [1, 2, 3])])
    write_mirror('logits.onnx', labels=','.join(NAMES))
    refused(78, ['vigil.head', '2.5'], 'logits.onnx', '--recipe', logits, '--split', 'all')
    write_mirror('softmax.onnx', labels=','.join(NAMES), head='softmax')
    f = figures('softmax.onnx', '--recipe', logits, '--split', 'all')
    near(f['log_loss'], sum(math.log(sum(math.exp(v - s[c]) for v in s)) for c, s in
                            ((1, [2.5, 1, -3]), (2, [1, 2, 3]))) / 2, 'log loss')


# --- clips -------------------------------------------------------------------------------------


CLIPS_RECIPE = '''[model]
input = 8x32x48x1
layers = time_distributed(conv2d 4 3 relu; maxpool2d 4; flatten); flatten; dense 2 softmax
[data]
format = clips
samples = {samples}
fps = 8
stride = 8
mean = 112
scale = 1/64
validation = {validation}
[training]
loss = sparse_categorical_crossentropy
epochs = 8
batch = 4
rate = 0.01
'''


def clips_are_judged_by_recipe_and_without():
    """a model of clips: by its recipe, by a folder for each label, by a table"""
    for number in range(3):
        for kind in CLASSES:
            write_clip(f'clips/{kind}/{number}.mp4', kind)
    recipe = path('clips.recipe')
    with open(recipe, 'w', encoding='utf-8') as file:
        file.write(CLIPS_RECIPE.format(samples='clips', validation='0.34'))
    code, said, error = train(recipe, 'clips.onnx')
    expect(code == 0, f'{said} {error}')
    code, said, error = run('eval', path('clips.onnx'), '--recipe', recipe, '--json')
    f = json.loads(said)
    expect(code == 0 and '18 windows of 6 clips' in error, f'{said} {error}')
    expect(f['accuracy'] == 1 and f['data']['samples'] == 6 and f['data']['sources'] == 2,
           f'{f}')
    expect(f['data']['learned_from'] == 'same', f'{f["data"]}')
    # What the recipe says of frames is for models that say nothing.
    with open(path('slower.recipe'), 'w', encoding='utf-8') as file:
        file.write(CLIPS_RECIPE.format(samples='clips', validation='0.34')
                   .replace('fps = 8', 'fps = 4').replace('stride = 8', 'stride = 2'))
    code, said, error = run('eval', path('clips.onnx'), '--recipe', path('slower.recipe'),
                            '--json')
    expect(code == 0 and json.loads(said) == {**f, 'data': {**f['data'], 'name':
           path('slower.recipe')}}, f'{said} {error}')
    # The same clips, and the model's own frame rate, stride and size.
    code, said, error = run('eval', path('clips.onnx'), '--data', path('clips'), '--json')
    f = json.loads(said)
    expect(code == 0 and f['data']['samples'] == 18 and f['accuracy'] == 1, f'{said} {error}')
    expect(f['data']['sources'] == 6 and f['data']['learned_from'] == 'other', f'{f["data"]}')
    with open(path('wrong.csv'), 'w', encoding='utf-8') as file:
        file.write('path,label,start,end\nclips/moves/0.mp4,moves,,\n'
                   'clips/moves/1.mp4,rests,1,2\nclips/rests/1.mp4,rests,,\n')
    code, said, error = run('eval', path('clips.onnx'), '--data', path('wrong.csv'), '--json')
    f = json.loads(said)
    expect(code == 0 and f['confusion'] == [[3, 0], [1, 3]], f'{said} {error}')
    # Compared with itself; and with one that sees other windows, which cannot be.
    told = json.loads(run('model', 'compare', path('clips.onnx'), path('clips.onnx'), '--data',
                          path('wrong.csv'), '--json')[1])
    expect(told['changed'] == [] and told['data']['samples'] == 7 and
           told['both_wrong'] == 1 and told['difference']['high'] == 0, f'{told}')
    with open(path('clips.onnx'), 'rb') as file:
        content = file.read()
    with open(path('other.onnx'), 'wb') as file:
        file.write(content)
    with open(path('other.onnx.modelinfo'), 'w', encoding='utf-8') as file:
        file.write('[vigil]\nfps = 4\n')
    for pair in (('clips.onnx', 'other.onnx'), ('other.onnx', 'clips.onnx')):
        code, _, error = run('model', 'compare', *map(path, pair), '--data', path('wrong.csv'))
        expect(code == 78 and 'do not see the same samples' in error, error)
    refused(66, ['nowhere'], 'clips.onnx', '--data', path('nowhere'))
    refused(78, ['pictures'], 'three.onnx', '--data', path('clips'))


def decoded_pixels_are_fed_as_the_model_says():
    """clips for BGR with channels last, by MODEL.modelinfo, give what RGB gives"""
    nchw = [onnx.node('ReduceMean', ['x'], ['y'], 'mean', axes=[2, 3], keepdims=0)]
    nhwc = [onnx.node('ReduceMean', ['x'], ['y'], 'mean', axes=[1, 2], keepdims=0)]
    tell = {'labels': 'moves,rests,c', 'fps': '8'}
    write_model('crgb.onnx', nchw, [1, 3, 32, 48], [1, 3], mean='10,20,30', scale='0.003', **tell)
    write_model('cbgr.onnx', nhwc, [1, 32, 48, 3], [1, 3], mean='30,20,10', scale='0.003',
                pixels='BGR', **{**tell, 'labels': 'c,rests,moves'})
    write_model('cside.onnx', nhwc, [1, 32, 48, 3], [1, 3], mean='1', **tell)
    with open(path('cside.onnx.modelinfo'), 'w', encoding='utf-8') as file:
        file.write('[vigil]\nmean = 30,20,10\nscale = 0.003\npixels = BGR\n'
                   'labels = c,rests,moves\n')
    seen = []
    for name in ('crgb', 'cbgr', 'cside'):
        code, said, error = run('eval', path(f'{name}.onnx'), '--data', path('clips'), '--json')
        expect(code == 0, f'{said} {error}')
        f = json.loads(said)
        seen.append((f['accuracy'], round(f['log_loss'], 4), round(f['brier'], 4)))
    expect(seen[0] == seen[1] == seen[2], f'{seen}')


write_pictures('pictures')
run_tests([figures_are_those_of_their_definitions, thresholds_are_told_for_two_labels,
           two_models_are_compared_sample_by_sample, pictures_are_fed_as_the_model_says,
           what_training_kept_back_is_judged,
           threads_change_nothing, a_report_is_a_page_and_its_numbers,
           a_folder_of_something_else_is_left_alone, slips_are_told_in_one_line,
           clips_are_judged_by_recipe_and_without, decoded_pixels_are_fed_as_the_model_says])
