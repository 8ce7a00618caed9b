#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""random_networks.py TETC FIRST LAST: random float networks, quantised; numpy computes the same bits, and they are near what they were.
A case a seed. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'driver'))
try:
    import numpy as np
except ImportError:
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end  # noqa: E402

import integers  # noqa: E402

tetc = os.path.abspath(sys.argv[1])


class Network:
    """Its lines, its weights, and its images: (name, channels, height, width)."""

    def __init__(self, rng):
        self.rng, self.lines, self.weights = rng, [], {}
        c, h, w = int(rng.integers(1, 5)), int(rng.integers(6, 12)), int(rng.integers(6, 12))
        self.shape, self.images = (c, h, w), [('image', c, h, w)]
        self.lines.append(f'input image[n: n, c: {c}, y: {h}, x: {w}] : float32;')

    def pick(self, *of):
        return of[int(self.rng.integers(len(of)))]

    def image(self):
        """A late one, mostly."""
        return self.images[-1] if self.rng.random() < 0.7 else self.pick(*self.images)

    def weight(self, *shape):
        name = f'w{len(self.weights)}'
        wide = self.rng.uniform(0.2, 3, (shape[0],) + (1,) * (len(shape) - 1))
        self.weights[name] = (self.rng.normal(size=shape) * wide / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        if self.rng.random() < 0.2:
            self.weights[name][int(self.rng.integers(shape[0]))] *= self.pick(0, 1e-6)
        return 'w.' + name

    def bias(self, c):
        name = f'w{len(self.weights)}'
        self.weights[name] = (self.rng.normal(size=c) * 0.3).astype(np.float32)
        return 'w.' + name

    def stage(self, text, keyword='compute', axes=''):
        name = f's{len(self.lines)}'
        self.lines.append(f'{keyword} {name}{axes} = {text};')
        return name

    def ended(self, text, c):
        if self.rng.random() < 0.7:
            text = f'bias_add({text}, {self.bias(c)})'
        return self.pick('relu({})', 'relu({})', '{}', 'relu6({})', 'clamp({}, 0, 2.5)').format(text)

    def convolution(self, deep):
        name, c, h, w = self.image()
        k, s, d = [self.pick(1, 3, 3) for _ in range(2)], self.pick(1, 1, 2), self.pick(1, 1, 2)
        pads = [int(self.rng.integers(0, 2)) for _ in range(4)]
        oh, ow = ((n + pads[i] + pads[i + 2] - d * (k[i] - 1) - 1) // s + 1 for i, n in ((0, h), (1, w)))
        if min(oh, ow) < 1:
            return
        window = f'stride = {s}, pads = {pads}, dilation = {d}'
        if deep:
            o = c * self.pick(1, 1, 2)
            text = f'depthwise({name}, {self.weight(o, *k)}, {window})'
        else:
            groups = self.pick(1, 1, 1, c)
            o = groups * int(self.rng.integers(1, 7)) if groups > 1 else int(self.rng.integers(2, 9))
            text = f'conv2d({name}, {self.weight(o, c // groups, *k)}, {window}{f", groups = {groups}" if groups > 1 else ""})'
        self.images.append((self.stage(self.ended(text, o)), o, oh, ow))

    def sum(self):
        a = self.image()
        same = [i for i in self.images if i[1:] == a[1:]]
        b = self.pick(*same)
        if b == a and self.rng.random() < 0.8:
            text = f'conv2d({a[0]}, {self.weight(a[1], a[1], 1, 1)})'
            b = (self.stage(text) if self.rng.random() < 0.5 else text, *a[1:])
        text = self.pick('add({}, {})', '{} + {}').format(*self.pick((a[0], b[0]), (b[0], a[0])))
        self.images.append((self.stage(self.pick('{}', 'relu({})').format(text)), *a[1:]))

    def axis(self, name):
        """What the axis of its channels is called: `o` where a convolution is all that made it."""
        text = next((line for line in self.lines if f' {name} = ' in line), '')
        inner = re.search(r'= (?:relu\(|relu6\(|clamp\()?(\w+)(\[|\(([\w]+))?', text)
        if not inner or inner[1] in ('add', 'bias_add', 'max_pool', 'average_pool'):
            return 'c'
        if inner[1] in ('conv2d', 'depthwise'):
            return 'o'
        if inner[1] == 'concat':
            return re.search(r'concat\[(\w)', text)[1]
        if inner[1] == 'exp':
            return self.axis(re.search(r'exp\(-(\w+)', text)[1])
        return self.axis(inner[1])

    def joined(self):
        a = self.image()
        b = self.pick(*[i for i in self.images if i[2:] == a[2:]])
        self.images.append((self.stage(f'concat[{self.axis(a[0])}]({a[0]}, {b[0]})'), a[1] + b[1], *a[2:]))

    def pool(self):
        name, c, h, w = self.image()
        if min(h, w) < 3:
            return
        kind, size, s = self.pick('max_pool', 'average_pool'), self.pick(2, 3), self.pick(1, 2)
        pad = self.pick(0, 1) if kind == 'max_pool' else 0
        out = [(n + 2 * pad - size) // s + 1 for n in (h, w)]
        self.images.append((self.stage(f'{kind}({name}, size = {size}, stride = {s}, pad = {pad})'), c, *out))

    def floats(self):
        name, *shape = self.image()
        self.images.append((self.stage(self.pick('{0} * (1.0 / (1.0 + exp(-{0})))', 'exp(-{0} * {0})').format(name)), *shape))

    def head(self):
        name, c, h, w = self.images[-1]
        n = c
        if self.rng.random() < 0.5:
            row = self.pick('global_average_pool({})', 'global_max_pool({})', 'flatten(spatial(global_average_pool({})))').format(name)
        else:
            n = c * h * w
            row = self.stage(f'reshape({name})', axes=f'[n: n, i: {n}] : float32') if self.rng.random() < 0.5 else f'flatten({name})'
        if self.rng.random() < 0.4:
            row = self.stage(self.ended(f'dense({row}, {self.weight(6, n)})', 6))
            n = 6
        scores = f'dense({row}, {self.weight(4, n)})'
        if self.rng.random() < 0.7:
            scores = f'bias_add({scores}, {self.bias(4)})'
        self.stage(self.pick('{}', '{}', 'softmax({})').format(scores), 'output')
        if self.rng.random() < 0.3:
            self.stage(self.image()[0], 'output')

    def text(self):
        return 'import "nn.te";\nimport "net.npz" as w;\nparam n = 1;\nkernel net {\n  ' + '\n  '.join(self.lines) + '\n}\n'


def random_network(rng):
    net = Network(rng)
    net.convolution(False)
    for _ in range(int(rng.integers(2, 8))):
        net.pick(lambda: net.convolution(False), lambda: net.convolution(False), lambda: net.convolution(True), net.sum, net.sum, net.joined,
                 net.pool, net.floats)()
    net.head()
    return net


def tell(*args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout + p.stderr


def complaint(seed):
    rng = np.random.default_rng(seed)
    net = random_network(rng)
    images = rng.normal(0, 1, (8, *net.shape)).astype(np.float32)
    np.savez('net.npz', **net.weights)
    np.savez('set.npz', images=images)
    np.save('image.npy', images[:1])
    with open('net.te', 'w', encoding='utf-8') as f:
        f.write(net.text())
    for old in ('q.te', 'q.npz'):
        if os.path.exists(old):
            os.remove(old)
    scheme = net.pick('shift', 'multiply')
    # some with stages that stay float, whose sums numpy adds in another order
    kept = [f'--keep-float={net.pick(*re.findall("s[0-9]+(?= =)", net.text()))}'] if seed % 4 == 3 else []
    status, said = tell('quantise', 'net.te', '--calibrate=set.npz:images', f'--scheme={scheme}', '-o', 'q.te', *kept)
    if status:
        return '' if kept and 'no layer that can be quantised' in said else said + net.text()
    with open('q.te', encoding='utf-8') as f:
        text = f.read()
    stages = [s[0] for s in integers.stages(text)]
    _, said = tell('run', 'q.te', '--input=image=image.npy', '--schedule=none', '--check', *[f'--output={s}={s}.npy' for s in stages])
    if 'elements agree' not in said:
        return said + text
    if kept:
        return ''
    gots = {s: np.load(s + '.npy') for s in stages}
    wants = integers.evaluate(text, {'q': dict(np.load('q.npz')), 'w': net.weights}, {'image': images[:1]}, gots)
    bad = [s for s in stages if gots[s].dtype != wants[s].dtype or (gots[s].view(np.uint8) != wants[s].view(np.uint8)).any()]
    if bad:
        return f'{bad} differ\n' + text
    whole = float(re.search(r'// Quantised.*: ([\d.]+) dB', text)[1])  # of one layer it may be little: what is left of a difference
    return '' if whole > 10 else f'only {whole} dB\n' + text + net.text()


first, last = (int(a) for a in sys.argv[2:4])
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for i in range(first, last):
        case(f'random network {i}', complaint(i))
end()
