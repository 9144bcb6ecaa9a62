#!/usr/bin/env node
/* vigil against ONNX Runtime, side by side: the same models, the same random input, runs in turns
 * on the same pinned processor.
 *
 *     compare_onnxruntime.mjs --build DIR --package DIR [--data DIR] [--out FILE] [--seconds S]
 *                             [--only TEXT] [--threads N]
 *
 * --build holds tests/bench/bench_model and the networks of tests/tools/write_networks, --package a
 * folder with onnxruntime-node installed, --data the public models. Without the package vigil is
 * measured alone, and that is said. --out also writes the page docs/benchmarks.md. --threads gives
 * both sides as many threads and processors, in place of what the rows say. A second table holds
 * 8-bit integers against float32: `vigil model quantize` makes them of the same models below
 * --build, from the clips in --data.
 *
 * Fairness. Each row is a process of its own, pinned by taskset with what it starts. vigil runs in
 * a child that copies the input in and the outputs out within the time it states; ONNX Runtime
 * reads the caller's array in place and its outputs are its own. They take turns of some 15 ms, the
 * first run of a turn, which finds the other's data in the caches, is dropped on both sides, and
 * the other one sleeps meanwhile. What calling a network through JavaScript costs by itself
 * (measured with one that hands a number on) is taken off ONNX Runtime's times. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: given } = parseArgs({
    options: {
        build: { type: 'string', default: 'build' },
        package: { type: 'string', default: '' },
        data: { type: 'string', default: '' },
        out: { type: 'string', default: '' },
        seconds: { type: 'string', default: '4' },
        only: { type: 'string', default: '' },
        threads: { type: 'string', default: '' },
        row: { type: 'string', default: '' }, /* private: one row, in a pinned process */
        int8: { type: 'string', default: '' }, /* the same of the second table */
    },
});

const IDLE_MS = 12, TURN_MS = 15, LEAST_TURNS = 8, MOST_RUNS = 200;

const own = (name, text) => ({ file: join(given.build, 'tests/bench/networks', `${name}.onnx`), text });
const shared = (name, text) =>
    ({ file: given.data && join(given.data, 'models', name, 'model.onnx'), text });

/* The aims are the least ratios wanted, of the other's time to ours. */
const ROWS = [
    { ...own('cnn2-224', 'conv32-pool-conv64-pool-dense64-dense10 (224×224×3)'), aim: 1.8 },
    { ...own('cnn3-224', 'conv32-pool-conv64-pool-conv128-pool-dense512-dense10 (224×224×3)'), aim: 1.6 },
    { ...own('cnn3-28', 'conv32-pool-conv64-pool-conv64-dense64-dense10 (28×28×1)'), aim: 1.3 },
    { ...own('cnn3-64', 'conv32-pool-conv64-pool-conv128-pool-dense512-dense10 (64×64×3)'), aim: 1.8 },
    { ...own('lstm3-50', 'LSTM 3×50 over 16×512, dense10'), aim: 1.3 },
    { ...own('cnn3-64-lstm', 'the 64×64 CNN per frame + LSTM128 over 16 frames + dense10, whole window'), aim: 1.8 },
    { ...shared('fastestdet', 'FastestDet 352'), aim: 1.2 },
    { ...shared('arch_squeezenet_rnd', 'SqueezeNet 224'), aim: 1.4 },
    { ...shared('ultraface_rfb_320', 'UltraFace RFB 320'), aim: 1.2 },
    { ...shared('yunet_n_320', 'YuNet 320'), aim: 1.2 },
    { ...own('cnn2-224', 'the first, --precision fast'), fast: true, aim: 2.3 },
    { ...own('cnn3-224', 'the second, --precision fast'), fast: true, aim: 2.4 },
    { ...own('cnn2-224', 'the first, two threads on both sides'), threads: 2, aim: 1.2 },
    { ...own('cnn3-224', 'the second, two threads on both sides'), threads: 2, aim: 1.2 },
    { ...own('cnn3-64-lstm', 'the 64×64 CNN + LSTM128, a frame of a stream with a window at each'), stream: true, aim: 12 },
];

/* vigil against itself: the network quantised, and as it is. `set`: what its pictures need said. */
const INT8_AIM = 1.7;
const INT8_ROWS = [
    shared('fastestdet', 'FastestDet 352'),
    shared('arch_squeezenet_rnd', 'SqueezeNet 224'),
    own('cnn2-224', 'conv32-pool-conv64-pool-dense64-dense10 (224×224×3)'),
    own('cnn3-224', 'conv32-pool-conv64-pool-conv128-pool-dense512-dense10 (224×224×3)'),
];
const INT8_SETTINGS = { fastestdet: 'pixels=BGR' };
const CLIPS = ['one-by-one-person-detection.mp4', 'bottle-detection.mp4'];

/* The aims are for the threads of the table. */
for (const row of ROWS) {
    const threads = Number(given.threads) || (row.threads ?? 1);
    if (threads !== (row.threads ?? 1))
        delete row.aim;
    row.threads = threads;
}

/* Seeded, in 0..1 as scaled pixels are. */
function randomFloats(count) {
    const values = new Float32Array(count);
    let state = 1;
    for (let i = 0; i < count; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        values[i] = (state >>> 8) / (1 << 24);
    }
    return values;
}

const product = shape => shape.reduce((a, b) => a * b, 1);

function summary(times) {
    const sorted = [...times].sort((a, b) => a - b), n = sorted.length;
    return { runs: n, min: sorted[0], median: (sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2 };
}

/* One side each: runs(n) gives n times in ms, outputs() one array for each output, by its name. */

class Vigil {
    static async start(row) {
        const side = new Vigil();
        const options = ['stream', 'fast'].filter(name => row[name]).map(name => `--${name}`);
        options.push(`--threads=${row.threads}`);
        side.child = spawn(join(given.build, 'tests/bench/bench_model'), [...options, row.file],
                           { stdio: ['pipe', 'pipe', 'inherit'] });
        side.lines = createInterface({ input: side.child.stdout })[Symbol.asyncIterator]();
        side.about = await side.answer();
        return side;
    }

    async answer() {
        const { value, done } = await this.lines.next();
        const answer = done ? { error: 'it ended without an answer' } : JSON.parse(value);
        if (answer.error)
            throw new Error(answer.error);
        return answer;
    }

    give(inputs) {
        for (const input of inputs)
            this.child.stdin.write(new Uint8Array(input.buffer));
    }

    async runs(n) {
        this.child.stdin.write(`runs ${n}\n`);
        return this.answer();
    }

    async outputs() {
        this.child.stdin.write('outputs\n');
        const values = await this.answer();
        return new Map(this.about.outputs.map((name, i) => [name, values[i]]));
    }

    stop() {
        this.child.stdin.end();
    }
}

/* Threads of ONNX Runtime look for more work for some 25 ms after a run before they sleep, on the
 * processor that the other side's are to use. The time of a thread that does not stop is counted at
 * each tick of the kernel, of which there are 100 a second and more. */
async function processIsIdle() {
    for (let used = Infinity; used > 0.2 * IDLE_MS * 1e3;) {
        const before = process.cpuUsage();
        await setTimeout(IDLE_MS);
        const { user, system } = process.cpuUsage(before);
        used = user + system;
    }
}

class OnnxRuntime {
    static async start(ort, row) {
        const side = new OnnxRuntime();
        side.session = await ort.InferenceSession.create(row.file, {
            intraOpNumThreads: row.threads ?? 1,
            interOpNumThreads: 1,
            executionMode: 'sequential',
            graphOptimizationLevel: 'all',
            logSeverityLevel: 3,
        });
        return side;
    }

    give(ort, about, inputs) {
        this.feeds = {};
        about.inputs.forEach(({ name, shape }, i) => {
            this.feeds[name] = new ort.Tensor('float32', inputs[i], shape);
        });
    }

    async runs(n) {
        const times = [];
        for (let i = 0; i < n; i++) {
            const before = performance.now();
            this.last = await this.session.run(this.feeds);
            times.push(performance.now() - before);
        }
        await processIsIdle();
        return times;
    }

    outputs() {
        return new Map(Object.entries(this.last).map(([name, tensor]) => [name, tensor.data]));
    }
}

/* |ours - theirs| at most, in units of the largest of the output it is in where that is over 1: an
 * output of scores that are all near 0 has no digits to compare. */
function difference(ours, theirs) {
    let worst = 0;
    for (const [name, values] of ours) {
        const others = theirs.get(name);
        if (others.length !== values.length)
            throw new Error(`output ${name} has ${values.length} values here and ${others.length} there`);
        let most = 0, largest = 0;
        for (let i = 0; i < values.length; i++) {
            const off = Math.abs(values[i] - others[i]);
            most = Number.isNaN(off) ? Infinity : Math.max(most, off);
            largest = Math.max(largest, Math.abs(others[i]));
        }
        worst = Math.max(worst, most / Math.max(1, largest));
    }
    return worst;
}

/* In turns until the time is up. */
async function measure(sides, seconds) {
    const times = sides.map(() => []), per_turn = [];
    for (const side of sides) {
        await side.runs(3);
        const once = Math.min(...await side.runs(3));
        per_turn.push(Math.min(MOST_RUNS, Math.max(2, Math.ceil(TURN_MS / once))));
    }
    const until = performance.now() + seconds * 1e3;
    for (let turn = 0; turn < LEAST_TURNS || performance.now() < until; turn++)
        for (let i = 0; i < sides.length; i++)
            times[i].push(...(await sides[i].runs(per_turn[i] + 1)).slice(1));
    return times.map(summary);
}

function loadRuntime() {
    if (!given.package)
        return null;
    try {
        const require = createRequire(join(resolve(given.package), 'package.json'));
        const { version } = JSON.parse(readFileSync(
            join(given.package, 'node_modules/onnxruntime-node/package.json')));
        return { ort: require('onnxruntime-node'), version };
    } catch {
        return null;
    }
}

/* What a call costs by itself. Its minimum is taken off medians too: on a busy machine its own
 * median says nothing about another minute. */
async function callCost(ort) {
    const side = await OnnxRuntime.start(ort, own('call'));
    side.give(ort, { inputs: [{ name: 'x', shape: [1] }] }, [randomFloats(1)]);
    await side.runs(500);
    return summary(await side.runs(3000));
}

async function runRow(row) {
    const runtime = loadRuntime();
    const ours = await Vigil.start(row);
    if (ours.about.inputs.some(input => input.type !== 'float32'))
        throw new Error('it has inputs that are not float32');
    const inputs = ours.about.inputs.map(({ shape }) => randomFloats(product(shape)));
    ours.give(inputs);
    const result = { about: ours.about, version: runtime?.version };
    if (runtime) {
        const cost = await callCost(runtime.ort);
        const theirs = await OnnxRuntime.start(runtime.ort, row);
        theirs.give(runtime.ort, ours.about, inputs);
        const [a, b] = await measure([ours, theirs], Number(given.seconds));
        result.vigil = a;
        result.other = { ...b, min: b.min - cost.min, median: b.median - cost.min };
        result.call = cost.min;
        result.difference = difference(await ours.outputs(), theirs.outputs());
    } else {
        [result.vigil] = await measure([ours], Number(given.seconds));
    }
    ours.stop();
    console.log(JSON.stringify(result));
}

/* The quantised model's file. It is made once, and again by a newer program. */
function quantised(row) {
    const name = row.file.endsWith('model.onnx') ? row.file.split('/').at(-2)
                                                 : row.file.split('/').at(-1).slice(0, -5);
    const program = join(given.build, 'cli/vigil');
    const out = join(given.build, 'tests/bench/networks', `${name}-int8.onnx`);
    if (existsSync(out) && statSync(out).mtimeMs > statSync(program).mtimeMs)
        return out;
    const clips = CLIPS.map(clip => join(given.data, 'clips', clip));
    const settings = INT8_SETTINGS[name] ? ['--set', INT8_SETTINGS[name]] : [];
    const child = spawnSync(program, ['model', 'quantize', row.file, '--force', '--out', out, ...settings,
                                      ...clips.flatMap(clip => ['--calibrate', clip])], { encoding: 'utf8' });
    if (child.status !== 0)
        throw new Error(child.stderr || String(child.error));
    return out;
}

async function runInt8Row(row) {
    const sides = [];
    for (const file of [row.file, quantised(row)])
        sides.push(await Vigil.start({ ...row, file, threads: 1 }));
    const inputs = sides[0].about.inputs.map(({ shape }) => randomFloats(product(shape)));
    for (const side of sides)
        side.give(inputs);
    const [float32, int8] = await measure(sides, Number(given.seconds));
    for (const side of sides)
        side.stop();
    console.log(JSON.stringify({ float32, int8 }));
}

/* The last processors: interrupts and what else runs prefer the first. */
function pinned(threads, option, index) {
    const self = fileURLToPath(import.meta.url), last = cpus().length - 1;
    const first = Math.max(0, last + 1 - threads);
    const child = spawnSync('taskset', ['-c', `${first}-${last}`, process.execPath, self,
                                        ...process.argv.slice(2), option, String(index)],
                            { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    if (child.status !== 0)
        return { error: (child.stderr || String(child.error)).match(/Error: (.*)/)?.[1] ??
                        `it failed: ${child.stderr}` };
    return JSON.parse(child.stdout);
}

const digits = ms => ms.toFixed(ms < 1 ? 4 : 2);
const pair = t => t ? `${digits(t.median)} / ${digits(t.min)}` : '–';

/* Two cells: how many times as fast b is as a, and the aim, with a word where either falls short. */
function ratioCells(a, b, aim) {
    const ratios = a && [a.median / b.median, a.min / b.min];
    const missed = ratios && ratios.some(ratio => ratio < aim);
    return [ratios ? `**${ratios[0].toFixed(2)}** / ${ratios[1].toFixed(2)}` : '–',
            aim ? `≥ ${aim}${missed ? ', **missed**' : ''}` : '–'];
}

function tableLine(row, r) {
    if (r.error)
        return `| ${row.text} | skipped: ${r.error} |`;
    const { floor } = r.about;
    return `| ${[row.text, pair(r.other), pair(r.vigil), ...ratioCells(r.other, r.vigil, row.aim),
                 r.difference?.toExponential(1) ?? '–', digits(floor.ms),
                 (r.vigil.min / floor.ms).toFixed(2)].join(' | ')} |`;
}

function int8Line(row, r) {
    if (r.error)
        return `| ${row.text} | skipped: ${r.error} |`;
    return `| ${[row.text, pair(r.float32), pair(r.int8),
                 ...ratioCells(r.float32, r.int8, INT8_AIM)].join(' | ')} |`;
}

const INT8_HEAD = `| network (input) | float32, ms | int8, ms | ratio | aim |
|---|---|---|---|---|`;

const HEAD = `| network (input) | ONNX Runtime, ms | vigil, ms | ratio | aim | difference | floor, ms | vigil / floor |
|---|---|---|---|---|---|---|---|`;

function page(lines, results, int8Lines) {
    const measured = results.filter(r => !r.error);
    const version = measured.find(r => r.version)?.version;
    const call = measured.find(r => r.call)?.call;
    const peak = measured.map(r => r.about.floor.peak_gflops).sort((a, b) => a - b);
    const against = version
        ? `ONNX Runtime ${version} (onnxruntime-node), all graph optimisations`
        : 'nothing: onnxruntime-node was not there, so vigil was measured alone';
    return `# Benchmarks

Written by \`make bench\` (tests/bench/compare_onnxruntime.mjs); do not edit.

${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model.trim()}, ${cpus().length} processors, vigil's ${measured[0]?.about.kernels ?? '-'} kernels, fp32 where nothing else is said,
against ${against}. Both ran pinned to as many processors as they have threads,
${given.threads || 'one where nothing else is said'}, in turns, on the same random input. Times are wall-clock, median / minimum. ${call
    ? `A call\nthrough JavaScript costs ${digits(call)} ms by itself, which is taken off ONNX Runtime's times.` : ''}

${HEAD}
${lines.join('\n')}

*Ratio* is ONNX Runtime's time divided by vigil's, of the medians / of the minima. *Aim* is the least that both should be; a row
where one is less is marked as missed. *Difference* is the largest difference of an
output value, in units of the largest value of that output where that is over 1. *Floor* is the arithmetic of each layer at the measured peak
(${peak.length ? peak[peak.length >> 1].toFixed(0) : '–'} GFLOP/s, a product of matrices in the first caches; 3×3 convolutions of stride 1 counted as Winograd's F(4,3)) or its weights
at the measured bandwidth of reading as many bytes as the model's weights are, whichever is longer, added up.

A frame of a stream is held against ONNX Runtime's whole window, which is what it must run again for every frame.

## int8 against float32

vigil against itself in turns, one thread; quantised by \`vigil model quantize\` with its defaults, from two clips.

${INT8_HEAD}
${int8Lines.join('\n')}

The figures are of one run on a machine that other programs share (load ${loadavg().map(l => l.toFixed(1)).join(', ')} over 1, 5 and 15
minutes at the end): medians move by several percent from run to run, minima by less. The six first networks and the last are written with
seeded weights by tests/tools/write_networks.c: \`build/tests/tools/write_networks FOLDER\` puts them into a folder that is there, for
\`vigil bench FOLDER/cnn2-224.onnx\` or another runtime.
`;
}

const selected = row => row.text.includes(given.only) || row.file.includes(given.only);
const missing = { error: 'the model is not here' };

if (given.row || given.int8) {
    const run = given.row ? runRow(ROWS[Number(given.row)]) : runInt8Row(INT8_ROWS[Number(given.int8)]);
    await run.catch(error => {
        console.error(`Error: ${error.message}`);
        process.exit(1);
    });
} else {
    const lines = [], results = [], int8Lines = [];
    console.log(HEAD);
    for (const [index, row] of ROWS.entries()) {
        if (!selected(row))
            continue;
        const result = row.file && existsSync(row.file) ? pinned(row.threads, '--row', index)
                                                        : missing;
        results.push(result);
        lines.push(tableLine(row, result));
        console.log(lines.at(-1));
    }
    console.log(`\n${INT8_HEAD}`);
    for (const [index, row] of INT8_ROWS.entries()) {
        if (!selected(row))
            continue;
        int8Lines.push(int8Line(row, row.file && existsSync(row.file) ? pinned(1, '--int8', index)
                                                                      : missing));
        console.log(int8Lines.at(-1));
    }
    if (given.out)
        writeFileSync(given.out, page(lines, results, int8Lines));
}
