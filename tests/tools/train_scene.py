#!/usr/bin/python3
"""Makes models/scene.onnx. Development only: nothing of vigil needs Python to build or run.

    train_scene.py data   DIR SPLIT FIRST COUNT   renders and compresses labelled clips
    train_scene.py train  DIR MODEL.pt [EPOCHS [START.pt [PER_EPOCH]]]
                                                  trains on DIR/train, keeps the best on DIR/val
    train_scene.py export DIR MODEL.pt OUT.onnx   measures on DIR/test, writes the model
    train_scene.py clip   MODEL.pt FILE           prints the events found in a video file

Needs Debian's python3-torch, and vigilscenesrc by GST_PLUGIN_PATH. The commands, seeds and
results of the model in the tree are in models/scene.md.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

LABELS = ["quiet", "movement", "lighting", "weather", "covered", "moved", "defocused", "frozen"]
QUIET, MOVEMENT, LIGHTING, WEATHER, COVERED, MOVED, DEFOCUSED, FROZEN = range(8)
INSECT, UNCLEAR = 1 << 8, 1 << 9  # bits beside the labels' own
WIDTH, HEIGHT, FPS, WINDOW, STRIDE = 128, 72, 8, 8, 2
MEAN, SCALE = 112.0, 1.0 / 64.0
# Visible area of all that moves, as a part of the picture: less is unclear, none is not movement.
AREA_CLEAR = 0.003

# --- pixels, as vigilanalyze makes them -------------------------------------------------------


def area_weights(source, target):
    """Each target pixel is the exact mean of its part of the source line."""
    weights = np.zeros((target, source), np.float32)
    step = source / target
    for i in range(target):
        first, last = i * step, (i + 1) * step
        for k in range(int(first), min(source, int(np.ceil(last - 1e-9)))):
            weights[i, k] = (min(last, k + 1) - max(first, k)) / step
    return weights


def linear_weights(source, target):
    """Upscaling: bilinear between half-pixel centres."""
    weights = np.zeros((target, source), np.float32)
    for i in range(target):
        at = min(max((i + 0.5) * source / target - 0.5, 0.0), source - 1.0)
        low = int(at)
        weights[i, low] += 1.0 - (at - low)
        weights[i, min(low + 1, source - 1)] += at - low
    return weights


def axis_weights(source, target):
    return area_weights(source, target) if source >= target else linear_weights(source, target)


def shrink(luma):
    rows, columns = axis_weights(luma.shape[0], HEIGHT), axis_weights(luma.shape[1], WIDTH)
    return rows @ luma.astype(np.float32) @ columns.T


def sampled(times_ns, fps=FPS):
    """Indices of the first frame at or after k/fps, counted from the first."""
    picked, k = [], 0
    for i, t in enumerate(times_ns):
        if (t - times_ns[0]) * fps >= k * 1_000_000_000:
            picked.append(i)
            k = (t - times_ns[0]) * fps // 1_000_000_000 + 1
    return picked


# --- data: clips rendered, compressed, shrunk --------------------------------------------------


def clip_plan(seed):
    rng = np.random.default_rng(seed)
    width, height = [(640, 360), (768, 432), (512, 384), (480, 272), (320, 240)][rng.integers(5)]
    plan = {
        "seed": int(seed),
        "scene": ["street", "room"][rng.integers(2)],
        "width": width,
        "height": height,
        "fps": int(rng.choice([8, 10, 12, 15, 25])),
        "noise": float(rng.choice([0.0, rng.uniform(0.3, 1.5), rng.uniform(1.0, 4.0)],
                                  p=[0.1, 0.5, 0.4])),
        "seconds": 60,
        "encode": None,
    }
    if rng.random() < 0.7:
        options = {
            "speed-preset": ["ultrafast", "superfast", "veryfast"][rng.integers(3)],
            "key-int-max": int(rng.choice([8, 15, 30, 50, 120, 250])),
            "bframes": int(rng.integers(3)),
            "threads": 1,
        }
        if rng.random() < 0.7:
            options.update({"pass": "qual", "quantizer": int(rng.integers(18, 35))})
        else:
            options["bitrate"] = int(rng.choice([100, 200, 400, 800]))
        plan["encode"] = options
    return plan


def render(plan, truth_path):
    """Luma of every frame, and the truth of each."""
    size = f"video/x-raw,format=I420,width={plan['width']},height={plan['height']}"
    command = ["gst-launch-1.0", "-q", "vigilscenesrc", f"seed={plan['seed']}",
               f"scene={plan['scene']}", f"noise={plan['noise']}",
               f"num-buffers={plan['seconds'] * plan['fps']}", f"truth-location={truth_path}",
               "!", f"{size},framerate={plan['fps']}/1", "!"]
    if plan["encode"]:
        command += ["x264enc"] + [f"{k}={v}" for k, v in plan["encode"].items()]
        command += ["!", "h264parse", "!", "avdec_h264", "max-threads=1", "!"]
    command += ["fdsink", "fd=1"]
    pixels = plan["width"] * plan["height"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while data := process.stdout.read(pixels * 3 // 2):
            yield np.frombuffer(data, np.uint8, pixels).reshape(plan["height"], plan["width"])
    if process.returncode:
        raise SystemExit(f"rendering failed: {' '.join(command)}")


def view_of(plan, rng):
    """A random part of the picture: near figures for distant ones. Never enlarged: that would
    look like a lens out of focus."""
    part = rng.uniform(max(0.3, WIDTH / plan["width"], HEIGHT / plan["height"]), 0.9)
    w, h = int(plan["width"] * part), int(plan["height"] * part)
    return (int(rng.integers(plan["width"] - w + 1)), int(rng.integers(plan["height"] - h + 1)),
            w, h)


def frame_bits(truth, plan, view):
    """The truth's labels as bits, what moves measured within the view."""
    bits = sum(1 << LABELS.index(label) for label in truth["labels"])
    bits &= ~(1 << MOVEMENT | 1 << QUIET)
    x, y, w, h = (v / s for v, s in zip(view, (plan["width"], plan["height"]) * 2))
    area = 0.0
    for thing in truth["objects"]:
        bx, by, bw, bh = thing["box"]
        wide = min(bx + bw, x + w) - max(bx, x)
        high = min(by + bh, y + h) - max(by, y)
        if thing["moving"] and wide > 0 and high > 0:
            area += wide * high / (w * h)
    if area >= AREA_CLEAR:
        bits |= 1 << MOVEMENT
    elif area > 0.0:
        bits |= UNCLEAR
    if truth["insect"]:
        bits |= INSECT
    return bits or 1 << QUIET


def make_clip(folder, seed):
    plan = clip_plan(seed)
    rng = np.random.default_rng(seed + 1_000_000)
    views = [(0, 0, plan["width"], plan["height"]), view_of(plan, rng)]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as truth_file:
        frames = list(render(plan, truth_file.name))
        truth = [json.loads(line) for line in truth_file]
    if len(frames) != len(truth):
        raise SystemExit(f"seed {seed}: {len(frames)} frames, {len(truth)} truths")
    picked = sampled([t["pts_ns"] for t in truth])
    for number, (x, y, w, h) in enumerate(views):
        small = np.stack([shrink(frames[i][y:y + h, x:x + w]) for i in picked])
        bits = np.array([frame_bits(truth[i], plan, (x, y, w, h)) for i in picked], np.uint16)
        np.savez(os.path.join(folder, f"{seed}_{number}.npz"),
                 frames=np.round(small * 256.0).astype(np.uint16), bits=bits)


def command_data(root, split, first, count):
    folder = os.path.join(root, split)
    os.makedirs(folder, exist_ok=True)
    for seed in range(int(first), int(first) + int(count)):
        make_clip(folder, seed)
        print(seed, flush=True)


# --- windows and their labels ------------------------------------------------------------------


def window_label(bits, frames):
    """The class of one window, or None where an honest observer would not decide."""
    count = [int(np.count_nonzero(bits & (1 << label))) for label in range(8)]
    still = bool((frames[1:] == frames[:-1]).all())
    if np.any(bits & (INSECT | UNCLEAR)):
        return None
    if still:
        # Nothing at all changed for the window's length: frozen, whatever the reason.
        return None if count[COVERED] or count[DEFOCUSED] else FROZEN
    if count[FROZEN]:
        return None  # a freeze begins or ends here, or an encoder makes the copy differ
    for label, clear in ((COVERED, 6), (DEFOCUSED, 6), (MOVED, 3)):
        if count[label]:
            return label if count[label] >= clear else None
    if count[MOVEMENT]:
        return MOVEMENT if count[MOVEMENT] >= 4 else None
    for label, clear in ((WEATHER, 5), (LIGHTING, 3)):
        if count[label]:
            return label if count[label] >= clear else None
    return QUIET


class Windows:
    """All clips of one split in memory, and the list of their labelled windows."""

    def __init__(self, root, split, step):
        folder = os.path.join(root, split)
        self.clips, self.starts, self.labels = [], [], []
        self.digest = hashlib.sha256()
        for name in sorted(os.listdir(folder)):
            clip = np.load(os.path.join(folder, name))
            frames, bits = clip["frames"], clip["bits"]
            self.digest.update(frames.tobytes() + bits.tobytes())
            for start in range(0, len(bits) - WINDOW + 1, step):
                end = start + WINDOW
                label = window_label(bits[start:end], frames[start:end])
                if label is not None:
                    self.starts.append((len(self.clips), start))
                    self.labels.append(label)
            self.clips.append(frames)
        self.starts, self.labels = np.array(self.starts), np.array(self.labels)

    def take(self, indices):
        """Grey levels, float32, (count, WINDOW, HEIGHT, WIDTH)."""
        return np.stack([self.clips[c][s:s + WINDOW] for c, s in self.starts[indices]]).astype(
            np.float32) / 256.0


# --- augmentation: what the renderer does not draw ---------------------------------------------


def soft_blob(rng, softness):
    """One elliptic blob's opacity over the picture for each frame of a window, in motion."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    size = np.exp(rng.uniform(np.log(3.0), np.log(34.0)))
    aspect, angle = rng.uniform(0.35, 2.5), rng.uniform(0, np.pi)
    start = rng.uniform(-0.1, 1.1, 2) * (WIDTH, HEIGHT)
    speed = rng.uniform(0.5, max(1.0, 0.35 * size)) + 0.3
    direction = rng.uniform(0, 2 * np.pi)
    pulse = rng.uniform(0, 0.15)
    masks = np.empty((WINDOW, HEIGHT, WIDTH), np.float32)
    for t in range(WINDOW):
        dx = x - start[0] - speed * t * np.cos(direction)
        dy = y - start[1] - speed * t * np.sin(direction)
        u = dx * np.cos(angle) + dy * np.sin(angle)
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / aspect
        r = np.sqrt(u * u + v * v) / (size * (1 + pulse * np.sin(2.1 * t)))
        masks[t] = np.clip((1.0 - r) / softness, 0.0, 1.0)
    return masks


def changed_enough(before, after):
    """Some 14 pixels differ by 10 grey levels between neighbouring frames more often than not."""
    steps = np.abs(np.diff(after - before, axis=0))
    return np.count_nonzero((steps > 10.0).sum((1, 2)) >= 14) >= 4


def augment(window, label, rng):
    """A changed copy and its label."""
    if rng.random() < 0.5:
        window = window[:, :, ::-1]
    window = window.copy()
    if label == FROZEN:  # every frame alike, so the same change for all keeps them so
        return (window - 128.0) * rng.uniform(0.6, 1.3) + 128.0 + rng.uniform(-25, 25), label
    if label in (QUIET, MOVEMENT):
        if rng.random() < 0.25:  # a mount that trembles by a fraction of a pixel
            for t in range(WINDOW):
                a, b = rng.uniform(0, 0.12, 2)
                f = window[t] * (1 - a) + np.roll(window[t], 1, 1) * a
                window[t] = f * (1 - b) + np.roll(f, 1, 0) * b
        if rng.random() < 0.4:  # exposure drifts: less than a change of light, yet no movement
            way = np.linspace(0, 1, WINDOW) ** rng.uniform(0.4, 2.5)
            window *= 1.0 + (rng.uniform(-0.04, 0.04) * way)[:, None, None]
        if rng.random() < 0.25:  # a faint soft shadow of somebody out of sight
            window += soft_blob(rng, 1.0) * rng.uniform(-9, 4)
    if label == QUIET and rng.random() < 0.35:
        mask = soft_blob(rng, rng.uniform(0.08, 0.5))
        texture = rng.uniform(10, 240) + rng.uniform(0, 30) * rng.standard_normal(
            (HEIGHT, WIDTH)).astype(np.float32)
        after = window * (1 - mask) + texture * mask
        if changed_enough(window, after):
            window, label = after, MOVEMENT
    gain, offset = rng.uniform(0.55, 1.25), rng.uniform(-20, 20)
    return np.clip((window - 128.0) * gain + 128.0 + offset, 0.0, 255.0), label


# --- the network -------------------------------------------------------------------------------


def build_network():
    import torch
    from torch import nn

    class Scene(nn.Module):
        """Per frame: a small CNN and the picture at half size. Between frames: differences of
        the latter at three sensitivities, a CNN over them. Over time: an LSTM."""

        def __init__(self):
            super().__init__()
            self.look1 = nn.Conv2d(1, 6, 3, 2, 1)
            self.look2 = nn.Conv2d(6, 10, 3, 2, 1)
            self.look3 = nn.Conv2d(10, 16, 3, 2, 1)
            self.gain = nn.Conv2d(1, 6, 1)
            self.move1 = nn.Conv2d(6, 12, 3, 2, 1)
            self.move2 = nn.Conv2d(12, 20, 3, 2, 1)
            self.lstm = nn.LSTM(2 * 6 + 10 + 16 + 6 + 2 * 20, 32)
            self.head = nn.Linear(32, len(LABELS))
            with torch.no_grad():
                gains = torch.tensor([4.0, -4.0, 24.0, -24.0, 400.0, -400.0])
                self.gain.weight.copy_(gains.view(6, 1, 1, 1))
                self.gain.bias.zero_()

        def forward(self, x):  # (B, T, H, W)
            b, t, h, w = x.shape
            frames = x.reshape(b * t, 1, h, w)
            f1 = torch.relu(self.look1(frames))
            f2 = torch.relu(self.look2(f1))
            f3 = torch.relu(self.look3(f2))
            f = torch.cat([f1.amax((2, 3))] + [f.mean((2, 3)) for f in (f1, f2, f3)], 1)
            f = f.view(b, t, -1)[:, 1:]
            p = nn.functional.avg_pool2d(frames, 2).view(b, t, h // 2, w // 2)
            d = (p[:, 1:] - p[:, :-1]).reshape(b * (t - 1), 1, h // 2, w // 2)
            d = torch.tanh(torch.relu(self.gain(d)))
            m = torch.relu(self.move1(d))
            m = torch.relu(self.move2(m))
            m = torch.cat([d.mean((2, 3)), m.mean((2, 3)), m.amax((2, 3))], 1)
            steps = torch.cat([f, m.view(b, t - 1, -1)], 2).transpose(0, 1)
            _, (last, _) = self.lstm(steps)
            return self.head(last[0])

    return Scene()


def to_input(windows):
    import torch
    return torch.from_numpy(((windows - MEAN) * SCALE).astype(np.float32))


def predict(network, windows):
    """Class probabilities of every window of a split."""
    import torch
    scores = []
    with torch.no_grad():
        for at in range(0, len(windows.starts), 128):
            batch = to_input(windows.take(np.arange(at, min(at + 128, len(windows.starts)))))
            scores.append(torch.softmax(network(batch), 1).numpy())
    return np.concatenate(scores)


def confusion(labels, scores):
    table = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(table, (labels, scores.argmax(1)), 1)
    return table


def command_train(root, path, epochs=10, start=None, per_epoch=9000, batch=48):
    import torch
    epochs, per_epoch = int(epochs), int(per_epoch)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    train, val = Windows(root, "train", 1), Windows(root, "val", 3)
    print("train", np.bincount(train.labels, minlength=8), "val",
          np.bincount(val.labels, minlength=8), flush=True)
    share = np.array([0.34, 0.26] + [0.4 / 6] * 6)
    members = [np.flatnonzero(train.labels == label) for label in range(8)]
    network = build_network()
    if start:
        network.load_state_dict(torch.load(start))
    optimizer = torch.optim.Adam(network.parameters())
    steps = epochs * (per_epoch // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3 if start else 4e-3, steps,
                                                   pct_start=0.1 if start else 0.3)
    best = 0.0
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for _ in range(per_epoch // batch):
            chosen = rng.choice(8, batch, p=share)
            indices = np.array([rng.choice(members[label]) for label in chosen])
            pairs = [augment(w, l, rng) for w, l in zip(train.take(indices), chosen)]
            x = to_input(np.stack([w for w, _ in pairs]))
            y = torch.tensor([int(l) for _, l in pairs])
            loss = torch.nn.functional.cross_entropy(network(x), y, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        network.eval()
        table = confusion(val.labels, predict(network, val))
        recall = table.diagonal() / np.maximum(table.sum(1), 1)
        accuracy = table.trace() / table.sum()
        print(f"epoch {epoch} loss {total / (per_epoch // batch):.3f} accuracy {accuracy:.4f} "
              f"recalls {np.round(recall, 3)}", flush=True)
        if accuracy + recall.mean() > best:
            best = accuracy + recall.mean()
            torch.save(network.state_dict(), path)


# --- ONNX: the few messages of its format that the network needs --------------------------------


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytearray([value]))


def field(number, value):
    """One protobuf field: an integer, a float, or bytes, text and messages."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, (int, np.integer)):
        return varint(number << 3) + varint(int(value))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name, array):
    kind = 7 if array.dtype == np.int64 else 1
    dims = b"".join(field(1, d) for d in array.shape)
    return dims + field(2, kind) + field(8, name) + field(9, np.ascontiguousarray(array).tobytes())


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def value_info(name, shape):
    dims = b"".join(field(1, field(1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


class Graph:
    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        value = np.asarray(value)
        value = value.astype(np.int64 if value.dtype.kind == "i" else np.float32)
        self.constants.append(tensor(name, value))
        return name

    def node(self, kind, inputs, output, **attributes):
        outputs = [output] if isinstance(output, str) else output
        self.nodes.append(b"".join(field(1, i) for i in inputs) +
                          b"".join(field(2, o) for o in outputs) + field(3, outputs[-1]) +
                          field(4, kind) +
                          b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))
        return outputs[-1]


def to_onnx(state, metadata):
    graph = Graph()
    weight = {name: value.numpy() for name, value in state.items()}

    def convolve(x, name, stride, pad):
        w = graph.constant(name + ".weight", weight[name + ".weight"])
        b = graph.constant(name + ".bias", weight[name + ".bias"])
        y = graph.node("Conv", [x, w, b], name, kernel_shape=weight[name + ".weight"].shape[2:],
                       strides=[stride] * 2, pads=[pad] * 4)
        return graph.node("Relu", [y], name + ".relu")

    def flat(kind, x, name, **attributes):
        return graph.node("Flatten", [graph.node(kind, [x], name + ".pool", **attributes)], name)

    def steps(x, name, first):
        """Time steps first .. first + WINDOW - 2 of a value whose axis 0 is time."""
        return graph.node("Slice", [x, f"from{first}", f"to{first}", "axis0"], name)

    graph.constant("axis0", [0])
    graph.constant("axis1", [1])
    for first in (0, 1):
        graph.constant(f"from{first}", [first])
        graph.constant(f"to{first}", [first + WINDOW - 1])
    shape = graph.constant("frame.shape", [WINDOW, 1, HEIGHT, WIDTH])
    frames = graph.node("Reshape", ["frames", shape], "frame")
    looks, look = [], frames
    for name in ("look1", "look2", "look3"):
        look = convolve(look, name, 2, 1)
        looks.append(flat("GlobalAveragePool", look, name + ".mean"))
    looks.insert(0, flat("MaxPool", "look1.relu", "look1.max",
                         kernel_shape=[HEIGHT // 2, WIDTH // 2]))
    look = graph.node("Concat", looks, "look", axis=1)
    half = graph.node("AveragePool", [frames], "half", kernel_shape=[2, 2], strides=[2, 2])
    change = graph.node("Sub", [steps(half, "half.now", 1), steps(half, "half.before", 0)],
                        "change")
    change = graph.node("Tanh", [convolve(change, "gain", 1, 0)], "change.tanh")
    move = convolve(convolve(change, "move1", 2, 1), "move2", 2, 1)
    parts = [steps(look, "look.now", 1), flat("GlobalAveragePool", change, "change.mean"),
             flat("GlobalAveragePool", move, "move.mean"),
             flat("MaxPool", move, "move.max", kernel_shape=[HEIGHT // 8, WIDTH // 8])]
    features = graph.node("Concat", parts, "features", axis=1)
    sequence = graph.node("Unsqueeze", [features, "axis1"], "sequence")

    def gates(name):  # torch keeps input, forget, cell, output; ONNX input, output, forget, cell
        i, f, c, o = np.split(weight[name], 4)
        return np.concatenate([i, o, f, c])

    graph.constant("lstm.W", gates("lstm.weight_ih_l0")[None])
    graph.constant("lstm.R", gates("lstm.weight_hh_l0")[None])
    graph.constant("lstm.B", np.concatenate([gates("lstm.bias_ih_l0"),
                                             gates("lstm.bias_hh_l0")])[None])
    last = graph.node("LSTM", [sequence, "lstm.W", "lstm.R", "lstm.B"], ["", "lstm"],
                      hidden_size=weight["lstm.weight_hh_l0"].shape[1])
    last = graph.node("Squeeze", [last, "axis0"], "last")
    graph.constant("head.weight", weight["head.weight"])
    graph.constant("head.bias", weight["head.bias"])
    head = graph.node("Gemm", [last, "head.weight", "head.bias"], "head", transB=1)
    graph.node("Softmax", [head], "scores", axis=1)

    body = b"".join(field(1, n) for n in graph.nodes) + field(2, "scene")
    body += b"".join(field(5, c) for c in graph.constants)
    body += field(11, value_info("frames", [1, WINDOW, 1, HEIGHT, WIDTH]))
    body += field(12, value_info("scores", [1, len(LABELS)]))
    model = field(1, 8) + field(2, "vigil tests/tools/train_scene.py") + field(7, body)
    model += field(8, field(1, "") + field(2, 13))
    return model + b"".join(field(14, field(1, k) + field(2, v)) for k, v in metadata.items())


# Hysteresis (DESIGN: events). A fault is no matter of half a second: it must last longer, and
# `frozen`, which a still picture under a thrifty encoder can imitate, longest.
ENTER = "0.6,lighting:0.8,weather:0.75,covered:0.8,moved:0.8,defocused:0.85,frozen:0.9"
EXIT = "0.4,lighting:0.5,weather:0.5,covered:0.5,moved:0.5,defocused:0.6,frozen:0.6"
MIN_DURATION_MS = "250,lighting:1000,weather:2000,covered:1000,moved:250,defocused:2000,frozen:5000"


def per_label(text):
    parts = [part.split(":") for part in text.split(",")]
    named = {part[0]: float(part[1]) for part in parts[1:]}
    return [named.get(label, float(parts[0][0])) for label in LABELS]


def load(path):
    import torch
    torch.set_num_threads(1)
    network = build_network()
    network.load_state_dict(torch.load(path))
    return network.eval()


def command_export(root, path, out):
    network = load(path)
    test = Windows(root, "test", 2)
    train = Windows(root, "train", 1)
    table = confusion(test.labels, predict(network, test))
    recall = table.diagonal() / np.maximum(table.sum(1), 1)
    accuracy = table.trace() / table.sum()
    print("| true \\ said | " + " | ".join(LABELS) + " | recall |")
    print("|---|" + "---|" * (len(LABELS) + 1))
    for label, row, hit in zip(LABELS, table, recall):
        print(f"| {label} | " + " | ".join(map(str, row)) + f" | {hit:.3f} |")
    print(f"accuracy {accuracy:.4f} of {table.sum()} windows, mean recall {recall.mean():.4f}")
    metrics = {"held_out_windows": int(table.sum()), "accuracy": round(accuracy, 4),
               "recall": {label: round(hit, 4) for label, hit in zip(LABELS, recall)}}
    metadata = {
        "vigil.task": "classify-window", "vigil.labels": ",".join(LABELS),
        "vigil.layout": "NTCHW", "vigil.pixels": "GRAY", "vigil.mean": f"{MEAN:g}",
        "vigil.scale": f"{SCALE:g}", "vigil.resize": "stretch", "vigil.fps": str(FPS),
        "vigil.window": str(WINDOW), "vigil.stride": str(STRIDE), "vigil.enter": ENTER,
        "vigil.exit": EXIT, "vigil.min_duration_ms": MIN_DURATION_MS,
        "vigil.head": "scores", "vigil.cooldown_ms": "1000", "vigil.background": "quiet", "vigil.metrics": json.dumps(metrics),
        "vigil.data_sha256": train.digest.hexdigest(),
    }
    data = to_onnx(network.state_dict(), metadata)
    with open(out, "wb") as file:
        file.write(data)
    print(f"{out}: {len(data)} bytes")


# --- a video file: the events vigil should find --------------------------------------------------


def read_video(path):
    """Luma and time of each frame, of a file with a constant frame rate."""
    source = ["gst-launch-1.0", "-q", "filesrc", f"location={path}", "!", "decodebin", "!",
              "video/x-raw,format=I420", "!"]
    said = subprocess.run(["gst-launch-1.0", "-v"] + source[2:] +
                          ["fakesink", "num-buffers=1"], capture_output=True, text=True).stdout
    width, height, rate, per = (
        int(said.split(key)[1].split(end)[0]) for key, end in
        (("width=(int)", ","), ("height=(int)", ","), ("framerate=(fraction)", "/"),
         ("framerate=(fraction)" + said.split("framerate=(fraction)")[1].split("/")[0] + "/", ",")))
    pixels = width * height
    with subprocess.Popen(source + ["fdsink", "fd=1"], stdout=subprocess.PIPE) as process:
        number = 0
        while data := process.stdout.read(pixels * 3 // 2):
            luma = np.frombuffer(data, np.uint8, pixels).reshape(height, width)
            yield luma, number * per * 1_000_000_000 // rate
            number += 1


def find_events(centres, scores):
    """(label, start, end, best score), by pipeline/events.h with a cool-down of one second."""
    found = []
    for label in range(1, len(LABELS)):
        enter, leave = per_label(ENTER)[label], per_label(EXIT)[label]
        lasts = per_label(MIN_DURATION_MS)[label] / 1000
        start = last = None
        on, best = False, 0.0
        for t, s in list(zip(centres, scores[:, label])) + [(np.inf, 0.0)]:
            if start is None:
                if s >= enter:
                    start, last, best, on = t, t, s, lasts == 0
            elif s >= leave:
                last, best = t, max(best, s)
                on = on or t - start >= lasts
            elif not on:
                start = None
            elif t - last > 1.0:
                found.append((LABELS[label], start, last, float(best)))
                start, on = None, False
    return sorted(found, key=lambda event: event[1])


def command_clip(path, file):
    import torch
    network = load(path)
    small, times = zip(*[(shrink(luma), t) for luma, t in read_video(file)])
    picked = sampled(times)
    frames, times = np.stack([small[i] for i in picked]), np.array([times[i] for i in picked])
    ends = list(range(WINDOW, len(frames) + 1, STRIDE))
    with torch.no_grad():
        scores = np.concatenate([torch.softmax(network(to_input(frames[None, e - WINDOW:e])),
                                               1).numpy() for e in ends])
    centres = np.array([(times[e - WINDOW] + times[e - 1]) / 2e9 for e in ends])
    for label, start, end, best in find_events(centres, scores):
        print(f"{label:10} {start:8.2f} .. {end:8.2f} s  {best:.3f}")
    print("mean scores", dict(zip(LABELS, scores.mean(0).round(4).tolist())))


if __name__ == "__main__":
    commands = {name[8:]: do for name, do in globals().items() if name.startswith("command_")}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
