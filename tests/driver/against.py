#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tetc verify --against, with what numpy makes of two networks: SQNR, largest errors and their places, shares that are clipped,
scales, agreement, accuracy. against.py TETC prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:  # another python3 comes first: the system's has what Debian installs
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end

tetc = os.path.abspath(sys.argv[1])
N, C, O, K = 40, 3, 8, 10
FLOAT = '''import "nn.te";
import "w.npz" as w;
param n = 1;
kernel net {
  input image[n: n, c: 3, y: 4, x: 4] : float32;
  compute conv1 = relu(conv2d(image, w.w1));
  compute pool = global_average_pool(conv1);
  output logits = dense(pool, w.w2);
}
'''
INTEGERS = '''import "nn.te";
import "w.npz" as w;
param n = 1;
const conv1_scale = 0.0625;
kernel net_int8 {
  input image[n: n, c: 3, y: 4, x: 4] : float32;
  compute image_q = int8(clamp(round(image * 32.0), -128.0, 127.0));
  compute conv1 = int8(clamp((conv2d(image_q, w.w1q) + 64) >> 7, 0, 127)); // 1 / 32 * 1 / 64 * 128
  compute pool = int8(clamp((sum[y: 4, x: 4](int32(conv1[n, c, y, x])) + 8) >> 4, -128, 127));
  output logits = float32(dense(pool, w.w2q)) * (0.0625 / 2.0);
}
'''.replace('compute pool =', 'compute pool[n: n, c: 8] : int8 =')


def verify(args):
    return subprocess.run([tetc, 'verify'] + args, capture_output=True, text=True, timeout=120)


def weights(rng):
    w1, w2 = rng.normal(size=(O, C)) * 0.8, rng.normal(size=(K, O)) * 0.5
    w1q, w2q = (np.clip(np.round(w * step), -127, 127).astype(np.int8) for w, step in ((w1, 64), (w2, 2)))
    np.savez('w.npz', w1=w1.astype(np.float32).reshape(O, C, 1, 1), w2=w2.astype(np.float32), w1q=w1q.reshape(O, C, 1, 1), w2q=w2q)
    return w1.astype(np.float32).astype(np.float64), w2.astype(np.float32).astype(np.float64), w1q.astype(int), w2q.astype(int)


def networks(images, w1, w2, w1q, w2q):
    """What both make of the images: [layer] -> (integers or None, floats of ours, theirs)."""
    x = (images.astype(np.float64) - 100) / 40
    conv = np.maximum(np.einsum('ncyx,oc->noyx', x, w1), 0)
    pool = conv.mean((2, 3))
    logits = pool @ w2.T
    q = np.clip(np.round(x.astype(np.float32) * np.float32(32)), -128, 127).astype(int)  # halves go to even, as round() has it
    conv_q = np.clip(np.einsum('ncyx,oc->noyx', q, w1q) + 64 >> 7, 0, 127)
    pool_q = np.clip(conv_q.sum((2, 3)) + 8 >> 4, -128, 127)
    return {'conv1': (conv_q, conv), 'pool': (pool_q, pool), 'logits': (None, (pool_q @ w2q.T) * (0.0625 / 2), logits)}


ROW = re.compile(r'^(\w+) +(-|~?[\d.e+-]+) +(exact|no number|[\d.-]+ dB) +(-|[\d.]+ %) +([\d.e+-]+|nan)  (.*)$')


def close(text, value, step):
    return abs(float(text) - value) <= step


def check_rows(name, text, want):
    rows = {m[1]: m.groups() for m in map(ROW.match, text.splitlines()) if m}
    case(name + ': the layers', list(rows) != list(want) and text)
    for layer, (q, *values) in want.items():
        if layer not in rows:
            continue
        theirs = values[-1]
        scale = None
        if q is not None:
            scale = 0.0625 if layer == 'conv1' else (q * theirs).sum() / (q * q).sum()
        ours = values[0] if q is None else q * scale
        error = np.abs(ours - theirs)
        at = np.unravel_index(error.argmax(), error.shape)
        db = 10 * np.log10((theirs ** 2).sum() / (error ** 2).sum())
        _, scale_text, db_text, clipped, largest, where = rows[layer]
        bad = []
        wanted = '-' if scale is None else '0.0625' if layer == 'conv1' else None
        if (scale_text != wanted) if wanted else not (scale_text[0] == '~' and close(scale_text[1:], scale, 1e-4 * scale)):
            bad.append(f'scale {scale}')
        if not close(db_text.split()[0], db, 0.02):
            bad.append(f'{db} dB')
        share = None if q is None else 100 * ((theirs > 127.5 * scale) | (theirs < -128.5 * scale)).mean()
        if (clipped != '-') if share is None else not close(clipped[:-2], share, 0.0011):
            bad.append(f'clipped {share} %')
        if not close(largest, error.max(), 1e-4 * error.max()) or where != f'[{", ".join(map(str, (0,) + at[1:]))}] of sample {at[0]}':
            bad.append(f'largest {error.max()} at {at}')
        case(f'{name}: {layer}', bad and f'{bad}\n{text}')


def measures(rng):
    level = rng.integers(40, 216, (N, C, 1, 1))  # colours of their own, for classes of their own
    images = (level + rng.integers(-40, 40, (N, C, 4, 4))).astype(np.uint8)
    images[3] = 255  # so that there is something to clip
    want = networks(images, *weights(rng))
    top = [want['logits'][i].argmax(1) for i in (1, 2)]
    labels = top[1].copy()
    labels[::5] = (labels[::5] + 1) % K
    np.savez('set.npz', images=images, labels=labels, wide=images[:, None], bytes=labels.astype(np.uint8), floats=labels * 1.0, none=images[:0],
             odd=images[:, :, :3], negative=labels - 20)
    for file, text in (('float.te', FLOAT), ('int8.te', INTEGERS)):
        open(file, 'w').write(text)
    args = ['int8.te', '--against=float.te', '--samples=set.npz:images', '--mean=100', '--std=40']
    p = verify(args)
    case('it compares', p.returncode and p.stderr)
    case('what with what', not p.stdout.startswith(f'net_int8 against net, {N} samples of set.npz:images\n') and p.stdout)
    check_rows('one at a time', p.stdout, want)
    same = int((top[0] == top[1]).sum())
    agreement = f'agreement: {same} of {N} samples have the same class by `logits`: {100 * same / N:.2f} %\n'
    case('agreement', agreement not in p.stdout and p.stdout)
    case('some disagree', same == N and 'choose other weights')
    case('scales that are fitted are told', '~: `net_int8` has no constant LAYER_scale' not in p.stdout and p.stdout)
    right = [int((t == labels).sum()) for t in top]
    for kind in ('labels', 'bytes'):
        q = verify(args + [f'--labels=set.npz:{kind}'])
        line = f'accuracy: {right[0]} of {N}: {100 * right[0] / N:.2f} %; of net {right[1]}: {100 * right[1] / N:.2f} %\n'
        case(f'accuracy by {kind}', line not in q.stdout and q.stdout + q.stderr)
    q = verify(args + ['--labels=set.npz:negative'])
    case('labels of no class', f'accuracy: 0 of {N}: ' not in q.stdout and q.stdout)
    q = verify(args + ['-D', 'n=4'])
    case('four at a time', q.stdout != p.stdout and q.stdout + q.stderr)
    q = verify(args + ['-D', 'n=40', '-O0'])
    case('all at a time', q.stdout != p.stdout and q.stdout + q.stderr)
    return args, same, right, want


def bars(args, same, right, want):
    args = args + ['--labels=set.npz:labels']
    agreement, accuracy = 100 * same / N, 100 * right[0] / N
    for option, value, unit in (('--min-agreement', agreement, '%'), ('--min-accuracy', accuracy, '%')):
        case(f'{option} is reached', verify(args + [f'{option}={value:.4f}']).returncode)
        p = verify(args + [f'{option}={value + 0.01:.4f}'])
        case(f'{option} is missed', (p.returncode != 1 or f'is {value:.2f} {unit}: `{option}` asks for' not in p.stderr) and p.stderr)
    case('--min-sqnr is reached', verify(args + ['--min-sqnr=5']).returncode)
    p = verify(args + ['--min-sqnr=200'])
    case('--min-sqnr is missed', (p.returncode != 1 or 'error[E0505]: the SQNR of `conv1`, `pool`, `logits` is ' not in p.stderr) and p.stderr)
    case('and all is told', not p.stdout.startswith('net_int8 against net') and p.stdout)
    p = verify(['float.te', '--against=float.te', '--samples=set.npz:images', '--min-sqnr=1000', '--min-agreement=100'])
    case('a network against itself', (p.returncode or p.stdout.count(' exact ') != 3) and p.stdout + p.stderr)
    np.savez('nan.npz', images=np.full((2, C, 4, 4), np.nan, np.float32))
    p = verify(['float.te', '--against=float.te', '--samples=nan.npz', '--min-sqnr=0'])
    case('NaN is no number, and reaches no bar', (p.returncode != 1 or 'no number' not in p.stdout) and p.stdout + p.stderr)


def refused(name, args, *messages, status=1):
    p = verify(args)
    case(name, (p.returncode != status or [m for m in messages if m not in p.stderr]) and f'{p.returncode}: {p.stderr}')


def refusals(args):
    base = args[:2]
    open('other.te', 'w').write('kernel other { input image[n: 1, c: 3, y: 4, x: 4] : float32; compute mine = image + 1.0; output o = mine; }')
    open('shape.te', 'w').write(FLOAT.replace('c: 3, y: 4, x: 4', 'c: 3, y: 5, x: 5'))
    open('named.te', 'w').write(FLOAT.replace('image', 'picture'))
    open('two.te', 'w').write(FLOAT + FLOAT.split(';\n', 3)[3].replace('net', 'net2'))
    open('broken.te', 'w').write(FLOAT.replace('pool =', 'pool = nothing +'))
    open('both.te', 'w').write('kernel both { input image[n: 1, c: 3, y: 4, x: 4] : float32; input more[i: 1] : float32; output o = image * more[0]; }')
    open('flat.te', 'w').write('kernel flat { input image[n: 1, c: 3, y: 4, x: 4] : float32; output o = image * 2.0; }')
    open('bytes.te', 'w').write(INTEGERS.replace('x: 4] : float32', 'x: 4] : int8').replace('image * 32.0', 'float32(image)'))
    samples = ['--samples=set.npz:images']
    refused('--against alone', base, '`--samples` is missing', status=2)
    refused('--samples alone', ['int8.te'] + samples, '`--against` is missing', status=2)
    refused('--labels alone', ['int8.te', '--labels=set.npz:labels'], '`--labels` is for `--against`', status=2)
    refused('--min-sqnr alone', ['int8.te', '--min-sqnr=3'], '`--min-sqnr` is for `--against`', status=2)
    refused('--min-accuracy without labels', base + samples + ['--min-accuracy=3'], 'needs `--labels`', status=2)
    for option, value in (('--min-sqnr', 'x'), ('--min-sqnr', 'nan'), ('--min-agreement', '101'), ('--min-agreement', '-1'), ('--min-accuracy', '')):
        refused(f'{option}={value}', base + samples + ['--labels=set.npz:labels', f'{option}={value}'], f'`{option}` takes 0 to', status=2)
    refused('no such network', ['int8.te', '--against=no.te'] + samples, 'E0601', 'no.te', status=3)
    refused('a broken network', ['int8.te', '--against=broken.te'] + samples, 'E0101', 'broken.te')
    refused('which network?', ['int8.te', '--against=two.te'] + samples, 'E0111', '`two.te` has 2 kernels', '--kernel=NAME')
    refused('no layer in common', ['int8.te', '--against=other.te'] + samples, 'E0505', 'have no layer in common')
    refused('another input', ['int8.te', '--against=named.te'] + samples, 'E0505', '`net` has no input `image` of the same shape')
    refused('another shape', ['int8.te', '--against=shape.te'] + samples, 'E0505', '`net` has no input `image` of the same shape', 'this is another one')
    refused('several inputs', ['both.te', '--against=both.te'] + samples, 'E0505', '`both` has 2 inputs that `--samples` could be for')
    p = verify(['both.te', '--against=both.te', '--input=more=const:2'] + samples)
    case('several inputs, one for samples', (p.returncode or 'agreement' in p.stdout or ' exact ' not in p.stdout) and p.stdout + p.stderr)
    refused('no samples', base + ['--samples=set.npz:none'], 'E0602', 'there are no samples in it')
    refused('samples of another shape', base + ['--samples=set.npz:odd'], 'E0602', '`set.npz:odd[0]`: its shape is uint8[3, 3, 4]')
    refused('no such set', base + ['--samples=set.npz:imgs'], 'E0602', 'it has no array `imgs`')
    refused('no multiple', base + samples + ['-D', 'n=3'], 'E0602', 'its 40 samples are no multiple of the 3', '-D n=1')
    refused('--mean of integers', ['bytes.te', '--against=float.te'] + samples + ['--mean=1'], 'are for float inputs; `image` is int8')
    refused('labels that are too few', base + samples + ['--labels=set.npz:labels[0:39]'], 'E0602', 'labels are 40 integers')
    refused('labels that are floats', base + samples + ['--labels=set.npz:floats'], 'E0602', 'labels are 40 integers')
    refused('labels without classes', ['flat.te', '--against=flat.te', '--labels=set.npz:labels'] + samples, 'E0505', 'there is nothing to hold `--labels` to')
    refused('a bar without classes', ['flat.te', '--against=flat.te', '--min-agreement=1'] + samples, 'E0505', 'there is nothing to hold `--min-agreement` to')
    refused('--shrink', base + samples + ['--shrink'], '`--shrink` and --against exclude each other', status=2)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    made = measures(np.random.default_rng(14))
    bars(*made)
    refusals(made[0])
    os.chdir('/')
end()
