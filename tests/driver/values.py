#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs from files, against numpy: sets, parts, types, --mean and --std, pictures; classes by name; values of any stage.
values.py TETC prints TAP."""
import os
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import numpy as np
except ImportError:  # another python3 comes first: the system's has what Debian installs
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end

tetc = os.path.abspath(sys.argv[1])
COPY = 'kernel k { input image[%s] : %s; output o = image; }\n'
NCHW = 'n: 1, c: 3, y: 6, x: 5'


def tetc_run(args, text=None):
    if text:
        with open('k.te', 'w') as f:
            f.write(text)
    return subprocess.run([tetc, 'run', 'k.te'] + args, capture_output=True, text=True, timeout=120)


def gives(name, text, what, want, *more):
    """The kernel copies what is read."""
    p = tetc_run(['--input', 'image=' + what, '--output', 'o=o.npy', *more], text)
    got = np.load('o.npy') if p.returncode == 0 else np.zeros(0)
    same = got.shape == want.shape and got.dtype == want.dtype and np.array_equal(got, want, equal_nan=want.dtype.kind == 'f')
    case(name, p.returncode and p.stderr or not same and f'{got}\n{want}')


def refused(name, text, args, *messages, status=1):
    p = tetc_run(args, text)
    case(name, (p.returncode != status or [m for m in messages if m not in p.stderr]) and f'{p.returncode}: {p.stderr}')


# ---- arrays -----------------------------------------------------------------------------------------------------------

def arrays(rng):
    images = rng.integers(0, 256, (7, 3, 6, 5), dtype=np.uint8)
    odd = np.arange(90, dtype=np.float32).reshape(1, 3, 6, 5)
    odd[0, 1, 2, 3] = np.nan
    np.savez('set.npz', images=images, odd=odd, last=np.moveaxis(images, 1, -1), empty=images[:0], one=np.float64(2.5),
             row=np.array([1, 2, 4], np.int16))
    np.savez_compressed('alone.npz', images=np.asfortranarray(images))
    np.save('set.npy', images)
    f32, u8 = COPY % (NCHW, 'float32'), COPY % (NCHW, 'uint8')
    for file in ('set.npz:images', 'alone.npz:images', 'alone.npz', 'set.npy'):
        gives(f'{file}[4], bytes', u8, file + '[4]', images[4:5])
        gives(f'{file}[6], floats', f32, file + '[6]', images[6:7].astype(np.float32))
        gives(f'{file}[2:5]', COPY % ('n: 3, c: 3, y: 6, x: 5', 'float64'), file + '[2:5]', images[2:5].astype(np.float64))
    gives('NaN is a value', f32, 'set.npz:odd', odd)
    gives('a number', 'kernel k { input image[i: 1] : float32; output o = image; }', 'set.npz:one', np.full(1, 2.5, np.float32))
    x = images[3:4].astype(np.float64)
    gives('--mean, --std', f32, 'set.npy[3]', ((x - 128) / 128).astype(np.float32), '--mean=128', '--std=128')
    gives('--std', f32, 'set.npy[3]', (x / 255).astype(np.float32), '--std=255')
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    by = lambda v: ','.join(map(repr, map(float, v)))  # noqa: E731
    gives('--mean and --std a channel', f32, 'set.npy[3]', ((x - mean[:, None, None]) / std[:, None, None]).astype(np.float32),
          '--mean', by(mean), '--std', by(std))
    gives('--mean a channel, of a vector', COPY % ('n: 1, c: 3', 'float32'), 'set.npz:row', np.array([[0.5, 0.5, 1.5]], np.float32), '--mean=0.5,1.5,2.5')
    refused('a set for one', f32, ['--input', 'image=set.npz:images'], 'E0602', 'uint8[7, 3, 6, 5]', '`set.npz:images[0]` is the first of them')
    refused('channels last', f32, ['--input', 'image=set.npz:last[0]'], 'its shape is uint8[6, 5, 3]', 'numpy.moveaxis(x, -1, -3)')
    refused('an empty set', f32, ['--input', 'image=set.npz:empty[0]'], '`set.npz:empty`: it has no parts')
    refused('no such part', f32, ['--input', 'image=set.npz:images[7]'], 'it has 7 parts, 0 to 6: there is no part 7')
    refused('no such parts', f32, ['--input', 'image=set.npz:images[5:9]'], 'there is no part 8')
    for bad in ('[]', '[-1]', '[x]', '[3:3]', '[3:]', '[1 ]', '[99999999999999999999]'):
        refused(f'no index: {bad}', f32, ['--input', f'image=set.npz:images{bad}'], 'is written `[3]`, or `[0:8]`')
    refused('a part of a number', f32, ['--input', 'image=set.npz:one[0]'], 'it is a number, without parts')
    refused('no such array', f32, ['--input', 'image=set.npz:imags[0]'], 'it has no array `imags`', 'did you mean `set.npz:images`?', '`last`')
    refused('which array?', f32, ['--input', 'image=set.npz'], '`set.npz:ARRAY` says which of its arrays is meant')
    refused('no such archive', f32, ['--input', 'image=no.npz:a'], 'E0601', 'cannot read `no.npz`', status=3)
    os.makedirs('dir.npz', exist_ok=True)
    refused('a directory', f32, ['--input', 'image=dir.npz:a'], 'E0601', 'directory', status=3)
    refused('too large for the type', COPY % (NCHW, 'int8'), ['--input', 'image=set.npy[0]'], 'is no value of int8')
    refused('no integer', COPY % (NCHW, 'int32'), ['--input', 'image=set.npz:odd'], 'nan at [0, 1, 2, 3] is no value of int32')
    refused('--mean of integers', u8, ['--input', 'image=set.npy[0]', '--mean=128'], '`--mean` and `--std` are for float inputs; `image` is uint8')
    refused('too few numbers', f32, ['--input', 'image=set.npy[0]', '--mean=1,2'], '`--mean` has 2 numbers, but `image` has 3 channels')
    refused('too many numbers', f32, ['--input', 'image=set.npy[0]', '--std=1,2,3,4'], '`--std` has 4 numbers, but `image` has 3 channels')
    for option, value, why in (('--mean', 'x', 'takes a number'), ('--mean', '1,', 'takes a number'), ('--mean', '', 'takes a number'),
                               ('--mean', 'nan', 'takes a number'), ('--std', '0', 'greater than 0'), ('--std', '-1', 'greater than 0'),
                               ('--std', '1,inf', 'takes a number')):
        refused(f'{option}={value}', f32, ['--input', 'image=set.npy[0]', f'{option}={value}'], why, status=2)
    refused('--mean of nothing', f32, ['--input', 'image=random:1', '--mean=1'], 'given as a file; here is none', status=2)
    data = open('alone.npz', 'rb').read()
    for cut in (0, 21, 60, len(data) // 2, len(data) - 40):
        with open('cut.npz', 'wb') as f:
            f.write(data[:cut])
        refused(f'an archive cut at {cut}', f32, ['--input', 'image=cut.npz:images[0]'], 'E0601', 'cut short', status=3)
    damaged = bytearray(data)
    damaged[200] ^= 255
    with open('damaged.npz', 'wb') as f:
        f.write(damaged)
    refused('a damaged archive', f32, ['--input', 'image=damaged.npz:images[0]'], 'E0602', 'damaged.npz:images')


# ---- pictures ---------------------------------------------------------------------------------------------------------

def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(path, pixels, bits=8, palette=None):
    """pixels[y, x, channels], of 8 or 16 bits."""
    h, w, c = pixels.shape
    kind = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[c]
    rows = b''.join(b'\0' + row.astype('>u%d' % (bits // 8)).tobytes() for row in pixels)
    parts = [chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, bits, kind, 0, 0, 0))]
    if palette is not None:
        parts.append(chunk(b'PLTE', palette.tobytes()))
    parts += [chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')]
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + b''.join(parts))


def weights(size, part, to):
    """Triangles: how much of each pixel along a side goes to each of the result's."""
    m = np.zeros((to, size))
    step = part / to
    reach = max(step, 1.0)
    for i in range(to):
        middle = (size - part) / 2 + (i + 0.5) * step
        m[i] = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - middle) / reach)
        m[i] /= m[i].sum()
    return m


def scaled(pixels, h, w):
    """pixels[y, x, c] -> [c, h, w], before it is rounded."""
    ph, pw, _ = pixels.shape
    cut = min(pw / w, ph / h)
    out = np.einsum('iy,yxc,jx->cij', weights(ph, h * cut, h), pixels.astype(np.float64), weights(pw, w * cut, w))
    return out


def pictures(rng):
    rgb = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    grey, alpha = rgb[:, :, :1], rng.integers(0, 256, (6, 5, 1), dtype=np.uint8)
    solid = np.full_like(alpha, 255)
    nchw = lambda x: np.ascontiguousarray(np.moveaxis(x, -1, 0)[None])  # noqa: E731
    text = {c: COPY % (f'n: 1, c: {c}, y: 6, x: 5', 'uint8') for c in (1, 3, 4, 2)}
    png('rgb.png', rgb)
    png('grey.PNG', grey)
    png('rgba.png', np.concatenate([rgb, alpha], 2))
    png('opaque.png', np.concatenate([rgb, solid], 2))
    png('greya.png', np.concatenate([grey, solid], 2))
    png('deep.png', rgb.astype(np.uint16) * 257, bits=16)
    png('palette.png', np.arange(30).reshape(6, 5, 1), palette=rgb.reshape(30, 3))
    luma = (rgb.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16
    gives('colours', text[3], 'rgb.png', nchw(rgb))
    gives('colours as floats', COPY % (NCHW, 'float32'), 'rgb.png', ((nchw(rgb).astype(np.float64) - 128) / 127).astype(np.float32), '--mean=128', '--std=127')
    gives('colours of 16 bits', text[3], 'deep.png', nchw(rgb))
    gives('a palette', text[3], 'palette.png', nchw(rgb))
    gives('opaque', text[3], 'opaque.png', nchw(rgb))
    gives('colours with alpha', text[4], 'rgba.png', nchw(np.concatenate([rgb, alpha], 2)))
    gives('colours, alpha wanted', text[4], 'rgb.png', nchw(np.concatenate([rgb, solid], 2)))
    gives('grey', text[1], 'grey.PNG', nchw(grey))
    gives('grey of colours', text[1], 'rgb.png', luma.astype(np.uint8)[None, None])
    gives('grey for three channels', text[3], 'grey.PNG', nchw(np.repeat(grey, 3, 2)))
    gives('grey and alpha', text[1], 'greya.png', nchw(grey))
    gives('rows and columns', COPY % ('y: 6, x: 5', 'int32'), 'grey.PNG', grey[:, :, 0].astype(np.int32))
    for h, w, ph, pw in ((6, 5, 12, 10), (6, 5, 9, 31), (6, 5, 40, 7), (6, 5, 3, 3), (1, 1, 9, 4), (7, 2, 1, 1), (224, 224, 37, 50)):
        big = rng.integers(0, 256, (ph, pw, 3), dtype=np.uint8)
        png('big.png', big)
        p = tetc_run(['--input', 'image=big.png', '--output=o=o.npy'], COPY % (f'n: 1, c: 3, y: {h}, x: {w}', 'uint8'))
        case(f'{pw} x {ph} to {w} x {h}', p.returncode or np.abs(np.load('o.npy')[0] - scaled(big, h, w)).max() > 0.5 + 1e-9)
        case('which is told', p.returncode or ('W0003' not in p.stderr or f'{pw} x {ph} pixels' not in p.stderr) and p.stderr)
    p = tetc_run(['--input', 'image=rgb.png'], text[3])
    case('nothing is told of the right size', p.stderr)
    refused('transparent', text[3], ['--input', 'image=rgba.png'], 'transparent in parts', '-background white -flatten')
    refused('two channels', text[2], ['--input', 'image=rgb.png'], 'a picture has 1, 3 or 4 channels')
    refused('a batch', COPY % ('n: 2, c: 3, y: 6, x: 5', 'uint8'), ['--input', 'image=rgb.png'], 'a picture has 1, 3 or 4 channels')
    refused('a vector', COPY % ('c: 3', 'uint8'), ['--input', 'image=rgb.png'], 'a picture has 1, 3 or 4 channels')
    refused('no such picture', text[3], ['--input', 'image=no.png'], 'E0601', 'cannot read `no.png`', status=3)
    data = open('rgb.png', 'rb').read()
    for n in list(range(0, len(data) - 12, 7)) + [len(data) - 5]:
        with open('cut.png', 'wb') as f:
            f.write(data[:n])
        refused(f'cut at {n}', text[3], ['--input', 'image=cut.png'], 'E0602', 'it is no .png file' if n < 8 else 'it is cut short')
    for at in (20, 45, len(data) - 20):
        damaged = bytearray(data)
        damaged[at] ^= 16
        with open('damaged.png', 'wb') as f:
            f.write(damaged)
        refused(f'damaged at {at}', text[3], ['--input', 'image=damaged.png'], 'E0602', '`damaged.png`: ')
    huge = data[:8] + chunk(b'IHDR', struct.pack('>IIBBBBB', 1 << 30, 1 << 30, 8, 2, 0, 0, 0)) + data[33:]
    with open('huge.png', 'wb') as f:
        f.write(huge)
    refused('a picture that is too large', text[3], ['--input', 'image=huge.png'], 'E0602', '`huge.png`: ')
    with open('large.png', 'wb') as f:
        f.write(data[:8] + chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0)) + data[33:])
    refused('a picture for which there is no memory', text[3], ['--input', 'image=large.png', '--memory-limit=100'], 'E0404', status=3)


# ---- classes ----------------------------------------------------------------------------------------------------------

def classes():
    values = np.array([[0.5, 3, -1, 3, 2.25, np.nan, 7, 0]], np.float32)
    np.save('v.npy', values)
    names = ['cat', 'grey wolf', 'x', '\u00e4pfel', 'dog', 'e', 'ship', 'g']
    write = lambda lines, sep='\n': open('l.txt', 'wb').write(sep.join(lines).encode() + sep.encode())  # noqa: E731
    write(names)
    want = '''o:
           7  ship (6)
           3  grey wolf (1)
           3  \u00e4pfel (3)
        2.25  dog (4)
         0.5  cat (0)
'''
    for what, axes, sep, more in (('[1, 8]', 'n: 1, c: 8', '\n', []), ('[8]', 'c: 8', '\r\n', []), ('with --check', 'c: 8', '\n', ['--check']),
                                  ('in an empty schedule', 'n: 1, c: 8', '\n', ['--interpret'])):
        write(names, sep)
        p = tetc_run(['--input', 'image=v.npy', '--labels', 'l.txt'] + more, COPY % (axes, 'float32'))
        case('classes ' + what, p.returncode or (p.stdout.replace('check: o: 8 elements agree\n', '') != want and p.stdout + p.stderr))
    np.save('v.npy', np.array([[1, 3], [4, 2]], np.int8))
    write(['no', 'yes'])
    p = tetc_run(['--input', 'image=v.npy', '--labels=l.txt'], COPY % ('n: 2, c: 2', 'int8'))
    case('a row each', p.stdout != 'o[0]:\n           3  yes (1)\n           1  no (0)\no[1]:\n           4  no (0)\n           2  yes (1)\n' and p.stdout)
    write(['a', 'b', 'c'])
    refused('too many labels', COPY % ('n: 2, c: 2', 'int8'), ['--labels=l.txt'], 'E0602', 'no output has 3 classes, as many as it has lines', '`o`, int8[2, 2]')
    write(['a', 'b'])
    refused('no classes', COPY % ('n: 1, c: 2, y: 1, x: 1', 'int8'), ['--labels=l.txt'], 'no output has 2 classes')
    refused('which classes?', 'kernel k { input a[c: 2] : int8; output o = a; output p = a + 1; }', ['--labels=l.txt'], 'more than one output has 2 classes')
    open('l.txt', 'wb').write(b'a\n\x00b\n')
    refused('no text', None, ['--labels=l.txt'], 'there is a byte 0 in line 2')
    refused('no labels', None, ['--labels=no.txt'], 'E0601', status=3)


# ---- stages -----------------------------------------------------------------------------------------------------------

NET = '''%simport "nn.te";
import "w.npz" as w;
kernel net {
  input image[n: 1, c: 16, y: 8, x: 8] : int8;
  compute conv = conv2d(image, w.w, pad = 1);
  compute small = clamp(conv >> 8, -128, 127);
  compute act = int8(small);
  compute twice = act + act;
  output o = int8(twice >> 1);
}
%s'''


def stages(rng):
    w = rng.integers(-128, 128, (16, 16, 3, 3), dtype=np.int8)
    x = rng.integers(-128, 128, (1, 16, 8, 8), dtype=np.int8)
    np.savez('w.npz', w=w)
    np.save('x.npy', x)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    conv = np.zeros((1, 16, 8, 8), np.int64)
    for dy in range(3):
        for dx in range(3):
            conv += np.einsum('ncyx,oc->noyx', padded[:, :, dy:dy + 8, dx:dx + 8].astype(np.int64), w[:, :, dy, dx])
    small = np.clip(conv >> 8, -128, 127)
    want = {'conv.padded': padded, 'conv': conv.astype(np.int32), 'small': small.astype(np.int32), 'act': small.astype(np.int8),
            'o': (small.astype(np.int8) + small.astype(np.int8) >> 1).astype(np.int8)}
    inline = 'schedule net { small.compute_inline(); conv.compute_at(act, y); }\n'
    for name, target, schedule, more in (('the CPU', '', '', []), ('a schedule without them', '', inline, []), ('an interpreter', '', inline, ['--interpret']),
                                         ('a plan for VTA', 'target vta;\n', '', ['--check']), ('the model', 'target vta;\n', '', ['--device=model']),
                                         ('the default order', 'target vta;\n', '', ['--schedule=none'])):
        args = ['--input', 'image=x.npy'] + more
        for k in want:
            args += ['--output', f'{k}={k}.npy']
        for k in want:
            if os.path.exists(k + '.npy'):
                os.remove(k + '.npy')
        p = tetc_run(args, NET % (target, schedule))
        bad = p.returncode and p.stderr or [k for k, v in want.items() if not np.array_equal(np.load(k + '.npy'), v) or np.load(k + '.npy').dtype != v.dtype]
        case('stages with ' + name, bad)
    refused('no such stage', None, ['--output', 'cnv=x.npy'], 'has no output or stage of that name', 'it has `o`', 'did you mean `conv`?', status=2)
    refused('an input is no stage', None, ['--output', 'image=y.npy'], 'has no output or stage of that name', status=2)
    refused('a stage twice', None, ['--output', 'conv=y.npy', '--output', 'conv=z.npy'], 'is given twice', status=2)
    run = 'kernel k { input a[i: 6] : int32; compute s[i: 6] : int32 = i == 0 ? a[0] : s[i - 1] + a[i]; output o[i: 6] : int32 = s[5 - i]; }'
    a = np.arange(6, dtype=np.int32)
    np.save('a.npy', a)
    p = tetc_run(['--input', 'a=a.npy', '--output', 's=s.npy', '--output', 'o=o.npy'], run)
    case('a recurrence', p.stderr or not (np.array_equal(np.load('s.npy'), a.cumsum()) and np.array_equal(np.load('o.npy'), a.cumsum()[::-1])))


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    seeded = np.random.default_rng(20261201)
    arrays(seeded)
    pictures(seeded)
    classes()
    stages(seeded)
    os.chdir('/')
end()
