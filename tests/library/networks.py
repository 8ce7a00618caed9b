#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""networks.py TETC SAMPLES DEVICE...: the networks written with lib/nn.te give what they give written out: every stage and loop by
itself, weights in VTA's layout (NAME_expanded.te). ResNet-18 runs in the long tests. Prints TAP."""
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

HERE = os.path.dirname(os.path.abspath(__file__))
tetc, samples = (os.path.abspath(a) for a in sys.argv[1:3])


def run(path, outputs, inputs, *more):
    """What it wrote; None and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        command = [tetc, 'run', path, *more, f'--output={outputs}={folder}/out.npy']
        for name, x in inputs.items():
            np.save(os.path.join(folder, f'{name}.npy'), x)
            command.append(f'--input={name}={folder}/{name}.npy')
        p = subprocess.run(command, capture_output=True, text=True, timeout=900)
        return (np.load(os.path.join(folder, 'out.npy')) if p.returncode == 0 else None), p.stdout + p.stderr


def in_blocks(x, axis):
    x = np.pad(x, [(0, -x.shape[axis] % 16 if i == axis else 0) for i in range(x.ndim)])
    return x.reshape(*x.shape[:axis], x.shape[axis] // 16, 16, *x.shape[axis + 1:])


def packed(name, x, plain):
    """As the written-out network takes it."""
    if name in plain:
        return x
    if x.ndim == 1:
        return in_blocks(x, 0)[:, None]
    return np.ascontiguousarray(in_blocks(in_blocks(x, 1), 0).transpose(0, 2, 4, 5, 1, 3))


def compare(name, weights, data, plain, constant):
    expanded = {k: packed(k, v, plain) for k, v in weights.items()} | {'data': data}
    want, said = run(os.path.join(HERE, f'{name}_expanded.te'), 'logits', expanded)
    case(f'{name}, written out', said if want is None else '')
    if want is None:
        return
    got, said = run(os.path.join(samples, f'{name}_int8.te'), 'logits', {'data': data} | ({} if constant else weights), '--stats')
    bad = said if got is None else 'the logits differ' if not (got == want).all() else 'all are alike' if np.ptp(want) < 1 else ''
    case(f'{name}, with the library, gives the same', bad)


def random_weights(path, rng):
    """Weights for the inputs of a written-out network, of a size that keeps the layers' values apart."""
    with open(path, encoding='utf-8') as f:
        text = f.read()
    weights = {}
    for i, o, c, k in re.findall(r'input w(\d+)\[o: (\d+), c: (\d+), dy: (\d+)', text):
        o, c, k = int(o) * 16, 12 if i == '1' else int(c) * 16, int(k)
        weights['w' + i] = np.clip(np.rint(rng.normal(0, 24, (o, c, k, k))), -128, 127).astype(np.int8)
        weights['b' + i] = rng.integers(-2000, 2001, o).astype(np.int32)
        weights['k' + i] = (int(np.log2(24 * np.sqrt(c * k * k))) + rng.integers(-1, 2, o)).astype(np.int32)
    return weights


def resnet8(rng):
    weights = dict(np.load(os.path.join(samples, 'resnet8_int8.npz')))
    compare('resnet8', weights, rng.normal(0, 0.5, (1, 3, 32, 32)).astype(np.float32), ('w14', 'b14', 'm14'), True)
    for device in sys.argv[3:]:
        _, said = run(os.path.join(samples, 'resnet8_int8.te'), 'logits', {}, '--check', f'--device={device}')
        case(f'resnet8, {device}', '' if 'elements agree' in said else said)


def resnet18(rng):
    if not os.environ.get('TETC_LONG_TESTS'):
        p = subprocess.run([tetc, 'check', os.path.join(samples, 'resnet18_int8.te')], capture_output=True, text=True, timeout=300)
        case('resnet18 is right', p.stderr if p.returncode else '')
        return
    weights = random_weights(os.path.join(HERE, 'resnet18_expanded.te'), rng)
    weights |= {'w31': np.clip(np.rint(rng.normal(0, 24, (512, 1000))), -128, 127).astype(np.int8),
                'b31': rng.integers(-2000, 2001, 1000).astype(np.int32), 'm31': rng.uniform(0.001, 0.002, 1000)}
    compare('resnet18', weights, rng.normal(0, 1, (1, 3, 224, 224)).astype(np.float32), ('w31', 'b31', 'm31'), False)


resnet8(np.random.default_rng(1))
resnet18(np.random.default_rng(2))
end()
