#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quantise.py TETC: `tetc quantise`. What it writes is evaluated by integers.py and compared bit for bit with `tetc run`; the rules by
which scales, shifts, weights and biases are chosen are tried on what it chose; its errors. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'driver'))
try:
    import numpy as np
except ImportError:  # another python3 comes first: the system's has what Debian installs
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end  # noqa: E402

import integers  # noqa: E402
import networks  # noqa: E402

tetc = os.path.abspath(sys.argv[1])
SAMPLES = 24


def run(*args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=300)
    return p.returncode, p.stdout + p.stderr


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def quantise(net, *more, out='q.te', calibrate='set.npz:images', status=0):
    got, said = run('quantise', net, f'--calibrate={calibrate}', '-o', out, *more)
    assert got == status, said
    return said


# ---- whole networks ------------------------------------------------------------------------------------------------


def same_bits(text, arrays, image):
    """The stages of the program as it runs, against numpy's."""
    np.save('image.npy', image)
    names = [s[0] for s in integers.stages(text)]
    _, said = run('run', 'q.te', '--input=image=image.npy', '--check', *[f'--output={n}={n}.npy' for n in names])
    if 'elements agree' not in said:
        return said
    gots = {name: np.load(name + '.npy') for name in names}
    wants = integers.evaluate(text, {'q': arrays}, {'image': image}, gots)
    for name in names:
        got, want = gots[name], wants[name]
        if got.dtype != want.dtype or got.shape != want.shape or (got.view(np.uint8) != want.view(np.uint8)).any():
            bad = int((got != want).sum()) if got.shape == want.shape else 'all'
            return f'{name}: {got.dtype} {got.shape} and {want.dtype} {want.shape}, {bad} differ'
    return ''


def measured(text, name):
    """The comments of the text against `verify --against`."""
    _, said = run('verify', 'q.te', f'--against={name}.te', '--samples=set.npz:images')
    table = {r.split()[0]: r.split() for r in said.split('\n')[2:] if ' of sample ' in r or 'exact' in r}
    seen = 0
    for stage, _, _, comment in integers.stages(text):
        if stage not in table or not comment or 'dB' not in comment:
            continue
        row, db = table[stage], float(re.search(r'([\d.]+) dB', comment)[1])
        if abs(float(row[2]) - db) > 0.06:
            return f'{stage}: {comment}, but {" ".join(row)}'
        if 'scale' in comment and (row[1][0] == '~' or abs(float(row[1]) / float(re.search(r'scale ([\d.e-]+)', comment)[1]) - 1) > 1e-5):
            return f'{stage}: {comment}, but {" ".join(row)}'
        seen += 1
    return '' if seen > 2 else f'only {seen} stages were compared:\n{said}'


def whole(name, lines, weights, shape, scheme, rng):
    images = rng.normal(0.2, 1, (SAMPLES, *shape)).astype(np.float32)
    np.savez(f'{name}.npz', **weights)
    np.savez('set.npz', images=images)
    write(f'{name}.te', networks.text(name, lines))
    said = quantise(f'{name}.te', f'--scheme={scheme}')
    text, arrays = read('q.te'), dict(np.load('q.npz'))
    first = open('q.npz', 'rb').read()
    quantise(f'{name}.te', f'--scheme={scheme}')
    case(f'{name}, {scheme}: the same, byte for byte', '' if (text, first) == (read('q.te'), open('q.npz', 'rb').read()) else 'it differs')
    case(f'{name}, {scheme}: numpy computes the same bits', '\n'.join(filter(None, (same_bits(text, arrays, images[i:i + 1]) for i in range(3)))))
    case(f'{name}, {scheme}: the comments say what verify measures', measured(text, name))
    least = min(float(d) for d in re.findall(r'([\d.]+) dB', text))
    case(f'{name}, {scheme}: no stage below 20 dB', '' if least > 20 else text)
    return text, arrays, images, said


# ---- rules ---------------------------------------------------------------------------------------------------------


def argument(call, name, otherwise=0):
    found = re.search(name + r' = (-?\d+)', call)
    return int(found[1]) if found else otherwise


def shift_rule(text, arrays, weights, of):
    """Weights of a channel are the float ones in steps of s_out / s_in * 2^-shift, and no other shift has less error."""
    for stage, _, call, _ in integers.stages(text):
        if stage not in of:
            continue
        data = re.match(r'[\w.]+\((\w+)', call)[1]
        right = argument(call, 'right', argument(call, 'left'))
        ratio = arrays[stage + '_scale'][0] / 2.0**right / arrays[data + '_scale'][0]
        w, got, k = weights[of[stage]].astype(np.float64), arrays[stage + '_w'].astype(np.float64), arrays[stage + '_k']
        for c in range(len(w)):
            def made(shift):
                return np.clip(np.rint(w[c] / (ratio * 2.0**-shift)), -127, 127)

            def error(shift):
                return ((w[c] - made(shift) * ratio * 2.0**-shift)**2).sum()
            if (got[c] != made(float(k[c]))).any():
                return f'{stage}, channel {c}: {got[c]}, and not {made(float(k[c]))}'
            if w[c].any() and 0 < k[c] < 30 and error(float(k[c])) > min(error(k[c] - 1.0), error(k[c] + 1.0)):
                return f'{stage}, channel {c}: a shift by {k[c]} is not the best'
    return ''


def bias_rule(text, arrays, weights, images):
    """The mean over the samples of what conv1's sums become is that of the float network, to half a step of the sums."""
    q = integers.quantise(images, float(re.search(r'quantise\(image, scale = ([\d.e-]+)', text)[1]))
    window = dict(stride=2, pads=[0, 1, 1, 0])
    acc = integers.conv2d(q, arrays['conv1_w'], **window)
    w = integers.windows(images.astype(np.float64), (3, 3), [2, 2], [1, 1], [0, 1, 1, 0])
    floats = np.einsum('ncyxij,ocij->noyx', w, weights['w1'].astype(np.float64)) + weights['b1'].reshape(-1, 1, 1)
    unit = arrays['conv1_scale'][0] * 2.0**-arrays['conv1_k'].astype(float)
    rounding = np.where(arrays['conv1_k'] > 0, 2.0**(arrays['conv1_k'] - 1.0), 0)
    off = (acc.mean((0, 2, 3)) + arrays['conv1_b'] - rounding) * unit - floats.mean((0, 2, 3))
    return '' if (np.abs(off) <= unit * 0.501 + 1e-6).all() else f'off by {off}, steps are {unit}'


def apart(text, arrays):
    """Scales of what is added are powers of two apart."""
    for stage, _, call, _ in integers.stages(text):
        if 'residual' in call or 'quantised_add' in call:
            other = re.match(r'quantised_add\((\w+)', call) or re.search(r'_[km], (\w+)', call)
            e = np.log2(arrays[stage + '_scale'][0] / arrays[other[1] + '_scale'][0])
            if e != round(e):
                return f'{stage}: {call}, 2^{e}'
    return ''


def scale_rule(rng):
    """Of 33 steps from 0.2 to 1.0 of the maximum, the one with the least squared error; tried on sets of every kind of tail."""
    write('one.te', 'import "nn.te";\nimport "one.npz" as w;\nkernel one { input x[n: 1, i: 500] : float32; output y = dense(x, w.w); }\n')
    np.savez('one.npz', w=rng.normal(size=(2, 500)).astype(np.float32))
    sets = {'127 steps': rng.integers(-127, 128, (20, 500)) * 0.125, 'uniform': rng.uniform(-1, 1, (20, 500)),
            'normal': rng.normal(size=(20, 500)), 'long': rng.standard_t(2, (20, 500)), 'one far': rng.uniform(-1, 1, (20, 500)),
            'small': rng.normal(size=(20, 500)) * 1e-20, 'bytes': (rng.integers(0, 256, (20, 500)) - 128) / 128, 'below 0': -rng.uniform(0, 1, (20, 500))}
    sets['127 steps'].flat[0], sets['bytes'].flat[0] = 127 * 0.125, -1
    sets['one far'].flat[7] = 4
    for name, x in sets.items():
        np.savez('set.npz', images=x.astype(np.float32))
        quantise('one.te', '--scheme=shift')
        x = x.astype(np.float32).astype(np.float64)
        steps = [float(np.float32(max(x.max() / 127, -x.min() / 128) * (0.2 + 0.8 * i / 32))) for i in range(33)]
        errors = [((x - s * np.clip(np.rint(x / s), -127, 127))**2).sum() for s in steps]
        got = np.load('q.npz')['x_int8_scale'][0]
        at = int(np.argmin(np.abs(np.array(steps) - got)))
        good = abs(steps[at] / got - 1) < 1e-6 and errors[at] <= min(errors) * 1.01 + 1e-6 * (x**2).sum()
        case(f'the scale of a set: {name}', '' if good else f'{got}: step {at}, and not {int(np.argmin(errors))}')
        exact = {'127 steps': 0.125, 'bytes': 1 / 128}.get(name, got)
        case(f'the scale of a set is exact: {name}', '' if got == exact else f'{got}, and not {exact}')


# ---- errors, and what stays float ----------------------------------------------------------------------------------


def refused(name, text, said_like, *more, status=1, images=None, calibrate='set.npz:images', file='bad.te'):
    np.savez('set.npz', images=np.ones((3, 4, 4), np.float32) if images is None else images)
    write('bad.te', text)
    for f in ('q.te', 'q.npz'):
        if os.path.exists(f):
            os.remove(f)
    got, said = run('quantise', file, *(['-o', 'q.te'] if file == 'bad.te' else []), *([f'--calibrate={calibrate}'] if calibrate else []), *more)
    written = [f for f in ('q.te', 'q.npz') if os.path.exists(f)]
    good = got == status and re.search(said_like, said, re.S) and not written
    case(f'refused: {name}', '' if good else f'{got}, {written}: {said}')


HEAD = 'import "nn.te";\nimport "bad.npz" as w;\n'
DENSE = HEAD + 'kernel k { input x[n: 4, i: 4] : float32; output y = relu(bias_add(dense(relu(dense(x, w.a)), w.a), w.b)); }\n'


def errors():
    np.savez('bad.npz', a=np.eye(4, dtype=np.float32) * 2, b=np.full(4, -1e30, np.float32), c=np.zeros(4, np.float32))
    write('own.te', 'const OWN = 1;\n')
    nan = np.ones((3, 4, 4), np.float32)
    nan[1, 2, 3] = np.nan
    refused('no set', DENSE, '--calibrate=FILE.npz:ARRAY is missing', status=2, calibrate=None)
    refused('no file', DENSE, 'E0601.*none.npz', status=3, calibrate='none.npz:images')
    refused('no such array', DENSE, 'E0602.*no array `pictures`', calibrate='set.npz:pictures')
    refused('no samples', DENSE, 'E0602.*has no samples', images=np.ones((0, 4, 4), np.float32))
    refused('samples of another shape', DENSE, 'E0602.*its shape is float32\\[4, 5\\]', images=np.ones((3, 4, 5), np.float32))
    refused('no number in the set', DENSE, 'E0604.*a value of `x` is no number for sample 1 of set.npz:images', images=nan)
    refused('an infinite value', DENSE.replace('w.b)', 'w.c)'), 'E0604.*a value of `y` is infinite for sample 0', images=np.full((3, 4, 4), 3e38, np.float32))
    refused('a bias far from the sums', DENSE.replace('relu(bias_add', 'dense(relu(bias_add').replace('w.b))', 'w.b)), w.a)'),
            'E0604.*cannot be quantised.*--keep-float=y')
    refused('no layer', HEAD + 'kernel k { input x[i: 4] : float32; output y = exp(x); }\n', 'E0604.*no layer that can be quantised')
    refused('an input of integers', DENSE.replace('4] : float32', '4] : int8').replace('dense(x', 'dense(float32(x)'), 'E0604.*is int8')
    refused('two inputs', DENSE.replace('output', 'input z[n: 4] : float32; output'), 'E0604.*2 inputs')
    refused('a stage to keep that is none', DENSE, 'has no stage `yy`.*`--keep-float=y`', '--keep-float=yy')
    refused('an output that is the .npz', DENSE, 'that is the file of the integers', '-o', 'q.npz', status=2)
    os.makedirs('there', exist_ok=True)
    refused('another folder than that of its imports', DENSE.replace(HEAD, HEAD + 'import "own.te";\n'), 'E0604.*needs `own.te`', '-o', 'there/q.te')
    refused('the network itself', DENSE, 'is the float network itself', '-o', 'bad.te', status=2)
    write('set.te', DENSE)
    refused('integers over the samples', DENSE, 'integers over `set.npz`', '-o', 'set.te', status=2)
    np.savez('wide.npz', a=np.eye(4, dtype=np.float32), b=np.zeros(4, np.float32))
    refused('integers over the weights', DENSE.replace('bad.npz', 'wide.npz'), 'integers over `wide.npz`', '-o', 'wide.te', status=2)
    refused('a text without a name', DENSE, 'the program has no name', status=2, file='-')
    refused('two kernels', DENSE + DENSE.split('\n')[2].replace('kernel k', 'kernel l') + '\n', '2 kernels; --kernel says which', status=2)


def floats(weights, images):
    """--keep-float: a stage as it was, between integers."""
    np.savez('set.npz', images=images)
    said = quantise('plain.te', '--keep-float=conv2', '--scheme=shift')
    text = read('q.te')
    line = '  compute conv2 = conv2d(conv1, w.w2, dilation = 2, pad = 2);'
    good = line in text and 'R0008' in said and '`conv2` stays float' in said and 'compute conv3 = quantised_conv2d(conv2_int8' in text
    case('--keep-float leaves a stage as it is', '' if good else text + said)
    arrays = dict(np.load('q.npz'))
    _, said = run('run', 'q.te', '--check')
    case('and the whole runs', '' if 'elements agree' in said else said)
    _, said = run('verify', 'q.te', '--against=plain.te', '--samples=set.npz:images', '--min-sqnr=20')
    case('as the float network, nearly', '' if _ == 0 else said)
    case('the weights of the others are int8', '' if arrays['conv1_w'].dtype == np.int8 and 'conv2_w' not in arrays else str(arrays.keys()))


RETAKEN = '''  input image[n: n, c: 3, y: 8, x: 8] : float32;
  compute image_q = quantise(image, scale = 0.03);
  compute image_dq = dequantise(image_q, scale = 0.03);
  compute conv1_q = quantise(conv2d(image_dq, w.w1, pad = 1), scale = 0.03, zero = -128); // a ReLU by its steps
  compute conv2 = dequantise(quantise(bias_add(conv2d(dequantise(conv1_q, scale = 0.03, zero = -128), w.w2, pad = 1), w.b2), scale = 0.05), scale = 0.05);
  compute conv3_q = quantise_unsigned(conv2d(conv2, w.w3), scale = 0.02); // another one
  compute conv3 = dequantise(conv3_q, scale = 0.02);
  compute sum1 = relu(add(conv2, conv3));
  compute soft = quantise(exp(-sum1), scale = 0.01);
  compute pool_q = quantise(global_max_pool(dequantise(soft, scale = 0.01)), scale = 0.01);
  compute logits_q = quantise(dense(dequantise(pool_q, scale = 0.01), w.w4), scale = 0.03);
  output logits = dequantise(logits_q, scale = 0.03);
'''


def retaken(rng):
    """--requantise: roundings go, ReLUs that were in them stay."""
    weights = networks.weights(rng, w1=(8, 3, 3, 3), w2=(8, 8, 3, 3), b2=(8,), w3=(8, 8, 1, 1), w4=(5, 8))
    images = rng.normal(0, 1, (SAMPLES, 3, 8, 8)).astype(np.float32)
    np.savez('retaken.npz', **weights)
    np.savez('set.npz', images=images)
    write('retaken.te', networks.text('retaken', RETAKEN))
    said = quantise('retaken.te', status=1)
    case('scales of its own are told once', '' if said.count('has scales of its own') == 1 and '--requantise' in said else said)
    said = quantise('retaken.te', '--requantise', '--scheme=shift')
    text, arrays = read('q.te'), dict(np.load('q.npz'))
    case('--requantise: numpy computes the same bits', '\n'.join(filter(None, (same_bits(text, arrays, images[i:i + 1]) for i in range(3)))))
    cut = [re.search(rf'quantised_\w+\([^;]*{name}_w.*low = 0', text) for name in ('conv1_q', 'conv3_q')]
    case('--requantise keeps ReLUs', '' if all(cut) and 'dequantise(q' not in text and 'quantise_unsigned' not in text else text)
    told = re.search(r'with its own scales: ([\d.]+) dB, the same first class for (\d+) of 24', said)
    case('--requantise says the loss', '' if told and float(told[1]) > 20 else said)
    write('nested.te', read('retaken.te').replace('exp(-sum1)', 'exp(-sum1 * dequantise(quantise(exp(sum1), scale = 0.1), scale = 0.1))'))
    np.savez('nested.npz', **weights)
    said = quantise('nested.te', '--requantise', status=1)
    case('a rounding of what is not known is refused', '' if 'this rounding cannot be taken away' in said else said)


def auto(name):
    """The default is `shift`, unless `multiply` is better by more than half a dB."""
    said = quantise(f'{name}.te')
    found = re.search(r'by scheme (\w+): ([\d.]+) dB; by (\w+): ([\d.]+) dB', said)
    if not found:
        return said
    gain = (float(found[2]) - float(found[4])) * (1 if found[1] == 'multiply' else -1)
    good = (gain > 0.39 if found[1] == 'multiply' else gain < 0.61) and f'scheme {found[1]}, by' in read('q.te')
    return '' if good else said


def main():
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        convs = {'plain': dict(conv1='w1', conv2='w2', conv3='w3'), 'residual': dict(conv1='w1', conv2='w2', sum1='w3'),
                 'depthwise': dict(deep1='w1', point1='w2', deep2='w3'), 'shapes': dict(conv1='w1', hidden='w3'),
                 'named': dict(conv1='w1')}
        for name, (lines, weights, shape) in networks.all_of(rng).items():
            for scheme in ('shift', 'multiply'):
                text, arrays, images, _ = whole(name, lines, weights, shape, scheme, rng)
                case(f'{name}, {scheme}: scales of sums are powers of two apart', apart(text, arrays))
                if scheme == 'shift':
                    case(f'{name}: weights are in steps of the ratio of the scales', shift_rule(text, arrays, weights, convs[name]))
                if scheme == 'shift' and name == 'plain':
                    case('a bias makes up for the mean error', bias_rule(text, arrays, weights, images))
                    floats(weights, images)
            case(f'{name}: the default scheme', auto(name))
        retaken(rng)
        scale_rule(rng)
        errors()
    end()


main()
