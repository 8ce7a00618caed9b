#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models.py TETC MODELS DEVICE...: real networks, imported and quantised: numpy computes the same bits, they are near what they were, and
their plans give the same on each device. Prints TAP."""
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

tetc, models = (os.path.abspath(a) for a in sys.argv[1:3])


def run(*args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=300)
    return p.returncode, p.stdout + p.stderr


def same_bits(x):
    with open('q.te', encoding='utf-8') as f:
        text = f.read()
    np.save('x.npy', x)
    names = [s[0] for s in integers.stages(text)]
    name = re.search(r'input (\w+)', text)[1]
    _, said = run('run', 'q.te', f'--input={name}=x.npy', '--schedule=none', *[f'--output={n}={n}.npy' for n in names])
    gots = {n: np.load(n + '.npy') for n in names if os.path.exists(n + '.npy')}
    if len(gots) < len(names):
        return said
    wants = integers.evaluate(text, {'q': dict(np.load('q.npz'))}, {name: x}, gots)
    return ', '.join(n for n in names if gots[n].dtype != wants[n].dtype or (gots[n].view(np.uint8) != wants[n].view(np.uint8)).any())


def smooth(rng, count, shape):
    """Pictures of a sort: waves and noise, of every contrast."""
    y, x = np.mgrid[0:shape[1], 0:shape[2]] / 8
    a, b, c = rng.normal(0, 1, (3, count, shape[0], 1, 1))
    contrast = rng.uniform(0.1, 0.6, (count, 1, 1, 1))
    return np.clip(contrast * (np.sin(a * y + b * x + 3 * c) + c + rng.normal(0, 0.3, (count, *shape))), -1, 1).astype(np.float32)


def check(model, scheme, x, *more, verify=('--min-sqnr=20',), samples='set.npz:calibration', devices=()):
    run('import', f'{models}/{model}.onnx', '-o', f'{model}.te')
    status, said = run('quantise', f'{model}.te', '--calibrate=set.npz:calibration', f'--scheme={scheme}', '-o', 'q.te', *more)
    case(f'{model}, {scheme}: it is quantised', said if status else '')
    if status:
        return
    case(f'{model}, {scheme}: numpy computes the same bits', '; '.join(filter(None, (same_bits(x[i:i + 1]) for i in range(2)))))
    scale = [m for m in more if m.startswith('--std')]
    status, said = run('verify', 'q.te', f'--against={model}.te', f'--samples={samples}', *scale, *verify)
    case(f'{model}, {scheme}: it is near what it was', said if status else '')
    for device in devices:
        status, said = run('run', 'q.te', '--check', f'--device={device}')
        case(f'{model}, {scheme}: its plan on {device}', '' if not status and 'elements agree' in said else said)


def main():
    rng, devices = np.random.default_rng(3), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        digits = dict(np.load(f'{models}/mnist_digits.npz'))
        np.savez('set.npz', **digits)
        check('mnist_resnet', 'auto', digits['images'].astype(np.float32) / 255, '--std=255', samples='set.npz:images',
              verify=['--labels=set.npz:labels', '--min-accuracy=95.8', '--min-sqnr=20', '--min-agreement=99'], devices=devices)
        pictures = smooth(rng, 32, (3, 32, 32))
        np.savez('set.npz', calibration=pictures)
        for scheme in ('shift', 'multiply'):
            check('resnet8', scheme, pictures, devices=devices)
        check('resnet8_qdq', 'shift', pictures, '--requantise', verify=['--min-sqnr=0'])
        sounds = rng.normal(0, 0.5, (32, 1, 50, 10)).astype(np.float32)
        np.savez('set.npz', calibration=sounds)
        check('dscnn_kws', 'shift', sounds, devices=devices)
    end()


main()
