#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Constants from files, and the parts of the language that numpy can say, against numpy. arrays.py TETC prints TAP."""
import hashlib
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:  # another python3 comes first: the system's has what Debian installs
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)

tetc = os.path.abspath(sys.argv[1])
number = failed = 0


def case(name, good, why=''):
    global number, failed
    number += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {number} - {name}')
    if not good:
        print('# ' + why.replace('\n', '\n# '))


def run(name, text, inputs, wanted, exact=True):
    open('k.te', 'w').write(text)
    args = [tetc, 'run', 'k.te']
    for key, value in inputs.items():
        np.save(f'in_{key}.npy', value)
        args += ['--input', f'{key}=in_{key}.npy']
    for key in wanted:
        args += ['--output', f'{key}=out_{key}.npy']
    p = subprocess.run(args, capture_output=True, text=True, timeout=120)
    bad = p.stderr if p.returncode else ''
    for key, value in wanted.items():
        if bad:
            break
        got, value = np.load(f'out_{key}.npy'), np.asarray(value)
        same = np.array_equal(got, value) if exact else np.allclose(got, value, rtol=1e-5, atol=1e-6)
        if got.dtype != value.dtype or got.shape != value.shape or not same:
            bad = f'{key}: {got.dtype}{got.shape}, wanted {value.dtype}{value.shape}\n{got}\n{value}'
    case(name, not bad, bad)


def refused(name, text, message):
    open('k.te', 'w').write(text)
    p = subprocess.run([tetc, 'check', 'k.te'], capture_output=True, text=True, timeout=60)
    case(name, p.returncode == 1 and message in p.stderr, p.stderr)


def in_lanes(x, n):
    lanes = np.zeros(n, np.float32)
    for i, v in enumerate(x):
        lanes[i % n] += v
    while len(lanes) > 1:
        lanes = lanes[:len(lanes) // 2] + lanes[len(lanes) // 2:]
    return lanes[0]


def files(rng):
    a = rng.integers(-9, 9, (3, 5))
    arrays = dict(plain=a.astype(np.int32), fortran=np.asfortranarray(a.astype(np.int16)), big=a.astype('>i4'), half=a.astype(np.float16),
                  flags=a > 0, alone=np.float32(2.5), objects=np.array([{}, 1], dtype=object), text=np.array(['a']), empty=np.zeros((0, 3)))
    arrays['a/b'] = np.arange(4, dtype=np.uint8)
    np.savez('stored.npz', **arrays)
    np.savez_compressed('packed.npz', **arrays)
    np.save('one.npy', arrays['big'])
    for kind in ('stored', 'packed'):
        run(f'{kind} arrays', f'''import "{kind}.npz" as w;
import "one.npy" as one;
kernel k {{
  output p = w.plain;
  output f[y: 3, x: 5] : int16 = w.fortran[y, x];
  output b = w.big + one;
  output h = w.half;
  output t = w.flags;
  output s = w.alone;
  output n = w."a/b";
}}''', {}, dict(p=arrays['plain'], f=arrays['fortran'], b=a.astype(np.int32) * 2, h=arrays['half'], t=a > 0, s=np.float32(2.5), n=arrays['a/b']))
        for bad, why in (('objects', 'never loaded'), ('text', 'no numbers of a type'), ('empty', 'no elements'), ('plane', 'did you mean `plain`')):
            refused(f'{kind}: {bad}', f'import "{kind}.npz" as w;\nkernel k {{ output o = w.{bad}; }}', why)
    data = open('packed.npz', 'rb').read()
    open('part.te', 'w').write('const N = 4;')
    for name, how in (('packed.npz', ' as w'), ('one.npy', ' as w'), ('part.te', ''), ('part.te', ' as w')):
        digits = hashlib.sha256(open(name, 'rb').read()).hexdigest()
        text = f'import "{name}"{how} : "HASH"; kernel k {{ output o[i: 2] : int32 = 1; }}'
        run(f'hash of {name}{how}', text.replace('HASH', 'sha256:' + digits), {}, dict(o=np.ones(2, np.int32)))
        refused(f'another {name}{how}', text.replace('HASH', 'sha256:' + digits[::-1]), 'is not the file that this text was written for')
        for bad in (digits, 'sha256:' + digits[1:], 'sha1:' + digits, '', 'sha256:' + 'g' * 64):
            refused(f'no hash: {bad[:12]}', text.replace('HASH', bad), 'is no hash of a file')
    for length in (0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 1000):
        open('part.te', 'w').write('//' + 'x' * (length - 2) if length >= 2 else ' ' * length)
        digits = hashlib.sha256(open('part.te', 'rb').read()).hexdigest()
        run(f'hash of {length} bytes', f'import "part.te" : "sha256:{digits}"; kernel k {{ output o[i: 1] : int32 = 1; }}', {}, dict(o=np.ones(1, np.int32)))
    for cut in (0, 21, 100, len(data) // 2, len(data) - 30):
        open('cut.npz', 'wb').write(data[:cut])
        refused(f'cut at {cut}', 'import "cut.npz" as w;\nkernel k { output o = w.plain; }', 'cannot read')
    damaged = bytearray(data)
    damaged[90:110] = bytes(20)
    open('damaged.npz', 'wb').write(damaged)
    refused('damaged', 'import "damaged.npz" as w;\nkernel k { output o = w.plain; }', 'cannot be used')
    refused('without a name', 'import "stored.npz";\nkernel k { output o[i: 1] : int32 = 1; }', 'write `import "stored.npz" as w;`')


def integers(rng):
    """The functions of integers, of Python's numbers."""
    for name, bits, sign in [(f'{"" if sign else "u"}int{bits}', bits, sign) for bits in (8, 16, 32, 64) for sign in (True, False)]:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if sign else (0, (1 << bits) - 1)
        edges = [low, low + 1, high, high - 1, high // 2, high // 3, 0, 1, 2, 3, 5, 7] + ([-1, -2, -3, -7] if sign else [])
        pairs = [(a, b) for a in edges for b in edges] + [(int(a), int(b)) for a, b in rng.integers(low, high, (99, 2), dtype=name)]
        wrap = lambda v: (v - low) % (1 << bits) + low  # noqa: E731
        stop = lambda v: min(max(v, low), high)  # noqa: E731
        by = lambda b: 1 << b % bits  # noqa: E731
        cut = lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if b else 0  # noqa: E731
        meaning = dict(div=lambda a, b: wrap(cut(a, b)), rem=lambda a, b: a - cut(a, b) * b if b else 0, mulhi=lambda a, b: a * b >> bits,
                       sat_add=lambda a, b: stop(a + b), sat_sub=lambda a, b: stop(a - b), sat_shl=lambda a, b: stop(a * by(b)),
                       round_shr=lambda a, b: (2 * a + by(b)) // (2 * by(b)))
        text = ''.join(f'  output o_{f} = {f}(a, b);\n' for f in meaning)
        wanted = {f'o_{f}': np.array([m(a, b) for a, b in pairs], name) for f, m in meaning.items()}
        wanted['ones'] = np.array([bin(a % (1 << bits)).count('1') for a, _ in pairs], name)
        wanted['zeros'] = np.array([bits - (a % (1 << bits)).bit_length() for a, _ in pairs], name)
        wanted['by3'] = np.array([meaning['round_shr'](a, 3) for a, _ in pairs], name)
        run(f'functions of {name}', f'kernel k {{\n  input a[i: {len(pairs)}] : {name};\n  input b[i: {len(pairs)}] : {name};\n{text}'
            '  output ones = popcount(a);\n  output zeros = clz(a);\n  output by3 = round_shr(a, 3);\n}\n',
            {'a': np.array([a for a, _ in pairs], name), 'b': np.array([b for _, b in pairs], name)}, wanted)
    run('functions of numbers', 'const D = div(-7, 2);\nkernel k { input v[i: 9] : int8; output a = v + rem(-7, 4); output b[i: 4] : int8 = v[i + div(-7, 2) + 3]; '
        'output c[i: clz(1) - 60] : int32 = D; output d[i: 2] : int8 = v[div(i, 2) + clz(255) - 50]; }', {'v': np.arange(9, dtype=np.int8)},
        dict(a=np.arange(9, dtype=np.int8) - np.int8(3), b=np.arange(4, dtype=np.int8), c=np.full(3, -3, np.int32), d=np.array([6, 6], np.int8)))
    for bad in ('div(1.5, 2)', 'popcount(x)', 'div(n, x)', 'clz(n, n)', 'mulhi(n > 0, n > 1)'):
        refused(f'refused: {bad}', f'kernel k {{ input x[i: 4] : float32; input n[i: 4] : int32; output o = {bad}; }}', 'error[E')


def words():
    """Words of the language are words only where they stand for something: each as the name of a tensor, an axis, a def's parameter, a constant."""
    values = np.arange(6, dtype=np.int32)
    for w in ('def return if where as by reshape concat wide div rem popcount clz mulhi sat_add sat_sub sat_shl round_shr fma rint dot argmax argmin sum prod '
              'min max clamp abs round exp pack fold store_at auto none hash sha256 int8 bool').split():
        run(f'names: {w}', f'''const c_{w} = 2;
def twice({w}[{w}: N] : T) {{ compute s[{w}: N] : T = {w}[{w}] * 2; return s; }}
kernel k {{
  input x[{w}: 6] : int32;
  compute {w}[{w}: 6] : int32 = x[{w}] + int32({w});
  output o[{w}: 6] : int32 = {w}[5 - {w}] + sum[k: 6]({w}[k]);
  output p = twice({w}) + c_{w};
}}
schedule k {{ {w}.compute_root(); }}''', {'x': values}, dict(o=(values * 2)[::-1] + np.int32(30), p=values * np.int32(4) + np.int32(2)))


def language(rng):
    x = rng.standard_normal((6, 37)).astype(np.float32)
    x[2, 5] = np.nan
    x[3] = np.nan
    x[4] = -np.inf
    clean = np.nan_to_num(x, nan=-np.inf)
    run('places of maxima', '''kernel k { input x[n: 6, c: 37] : float32; output a[n: 6] : int64 = argmax[c: 37](x[n, c]);
  output b[n: 6] : int64 = argmin[c: 37](x[n, c]); }''', {'x': x},
        dict(a=np.where(np.isneginf(clean).all(1), 0, clean.argmax(1)), b=np.where(np.isnan(x).all(1), 0, np.nan_to_num(x, nan=np.inf).argmin(1))))
    y = rng.standard_normal((6, 37)).astype(np.float32)
    run('partial sums, in their order', 'kernel k { input y[n: 6, c: 37] : float32; output a[n: 6] : float32 = sum[c: 37 by 16](y[n, c]); '
        'output b[n: 6] : float32 = sum[c: 37 by 4](y[n, c]); }', {'y': y},
        dict(a=np.array([in_lanes(r, 16) for r in y], np.float32), b=np.array([in_lanes(r, 4) for r in y], np.float32)))
    m = rng.integers(-99, 99, (7, 7)).astype(np.int32)
    run('where', 'kernel k { input m[i: 7, j: 7] : int32; output low[i: 7] : int32 = sum[j: 7 where j < i](m[i, j]); '
        'output top[i: 7] : int32 = max[j: 7 where j > i](m[i, j]); output shifted[i: 7] : int32 = sum[j: 7 where i + j < 7](m[i + j, j]); }', {'m': m},
        dict(low=np.tril(m, -1).sum(1, dtype=np.int32), top=np.array([max(r[i + 1:], default=-2**31) for i, r in enumerate(m)], np.int32),
             shifted=np.array([sum(m[i + j, j] for j in range(7 - i)) for i in range(7)], np.int32)))
    run('rounding', 'kernel k { input v[i: 8] : float32; output r = rint(v); }', {'v': np.array([.5, 1.5, 2.5, -.5, -1.5, 7, -2.5, 1e9], np.float32)},
        dict(r=np.rint(np.array([.5, 1.5, 2.5, -.5, -1.5, 7, -2.5, 1e9], np.float32))))
    a = rng.integers(-9, 9, (5, 6)).astype(np.int32)
    run('recurrences', '''kernel k { input a[y: 5, x: 6] : int32;
  output area[y: 5, x: 6] : int32 = a[y, x] + (y == 0 ? 0 : area[y - 1, x]) + (x == 0 ? 0 : area[y, x - 1]) - (y == 0 || x == 0 ? 0 : area[y - 1, x - 1]);
  output fib[i: 20] : int64 = i < 2 ? int64(i) : fib[i - 1] + fib[i - 2]; }''', {'a': a},
        dict(area=a.cumsum(0).cumsum(1).astype(np.int32), fib=np.array([0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181])))
    q = rng.standard_normal((3, 5, 8)).astype(np.float32)
    e = np.exp(q - q.max(-1, keepdims=True))
    run('one softmax for any rank', '''def softmax(x[.., c: C] : T) {
  compute top[..] : T = max[c: C](x[.., c]);
  compute e[.., c: C] : T = exp(x[.., c] - top[..]);
  compute total[..] : T = sum[c: C](e[.., c]);
  return e[.., c] / total[..];
}
kernel k { input q[a: 3, b: 5, d: 8] : float32; input g : float32; output o = softmax(q); output p = softmax(q)[0, 0, 1] * g; }''',
        {'q': q, 'g': np.float32(3)}, dict(o=e / e.sum(-1, keepdims=True), p=np.float32((e / e.sum(-1, keepdims=True))[0, 0, 1] * 3)), exact=False)
    a, b = (rng.integers(-50, 50, s).astype(np.int32) for s in [(2, 3, 4, 5), (2, 2, 4, 5)])
    j = np.concatenate([a, np.maximum(b, 0), a], 1)
    run('reshape and concat', '''def relu(x) { return max(x, 0); }
def flat(x[n: N, c: C, y: H, x: W] : T) { compute f[n: N, i: C * H * W] : T = reshape(x); return f; }
kernel k {
  input a[n: 2, c: 3, y: 4, x: 5] : int32; input b[n: 2, c: 2, y: 4, x: 5] : int32;
  compute reshape = concat[c](a, relu(b), a);
  output o1[n: 2, i: 160] : int32 = reshape(reshape);
  output o2 = flat(a);
  output o3[n: 2, c: 5, y: 4, x: 5] : int32 = concat[c](a, b) + 1;
  output o4[p: 4, q: 3, r: 10] : int32 = reshape(a) * 2;
  output o5 = concat[x](a, a) - 3;
  output o6[p: 1, q: 120, r: 1] : int32 = reshape(a);
  output o7[p: 15, q: 8] : int32 = reshape(relu(a));
  output o8[z: 2, concat: 3, w: 20] : int32 = sum[k: 2](reshape(a)) * 3;
}''', {'a': a, 'b': b}, dict(o1=j.reshape(2, 160), o2=a.reshape(2, 60), o3=np.concatenate([a, b], 1) + np.int32(1), o4=a.reshape(4, 3, 10) * np.int32(2),
                             o5=np.concatenate([a, a], 3) - np.int32(3), o6=a.reshape(1, 120, 1), o7=np.maximum(a, 0).reshape(15, 8), o8=a.reshape(2, 3, 20) * np.int32(6)))
    x, y = (rng.integers(-2**31, 2**31, 500).astype(np.int32) for _ in range(2))
    wide = [int(v) for v in x], [int(v) for v in y]
    clamp = lambda v: min(max(v, -2**31), 2**31 - 1)
    pairs = list(zip(*wide))
    run('functions of integers', '''const K = div(-7, 2) + rem(-7, 2) * 10 + clz(1) + popcount(255) + round_shr(7, 1) + mulhi(1, 1);
kernel k {
  input x[i: 500] : int32; input y[i: 500] : int32;
  output div = div(x, y); output rem = rem(x, y >> 20); output hi = mulhi(x, y); output a = sat_add(x, y); output s = sat_sub(x, y);
  output l = sat_shl(x, y & 3); output r = round_shr(x, 5); output p = popcount(x); output c = clz(y >> 7); output k = x * 0 + K + div(7, 2);
}''', {'x': x, 'y': y}, {k: np.array(v, np.int32) for k, v in dict(
        div=[int(abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else 0 for a, b in pairs],
        rem=[a - (b >> 20) * (abs(a) // abs(b >> 20) * (1 if (a < 0) == (b < 0) else -1)) if b >> 20 else 0 for a, b in pairs],
        hi=[a * b >> 32 for a, b in pairs], a=[clamp(a + b) for a, b in pairs], s=[clamp(a - b) for a, b in pairs],
        l=[clamp(a << (b & 3)) for a, b in pairs], r=[(a + 16) >> 5 for a in wide[0]], p=[bin(a & 0xffffffff).count('1') for a in wide[0]],
        c=[32 - ((b >> 7) & 0xffffffff).bit_length() for b in wide[1]], k=[-3 - 10 + 63 + 8 + 4 + 0 + 3] * 500).items()})
    a, b = (rng.integers(-50, 50, s).astype(np.int32) for s in [(3, 3), (3, 3)])
    run('axes of a def are those of its parameters', '''def join(x[c: C, n: N] : T, y[c: D, n: N] : T) { compute s = concat[c](x, y); return s; }
def last(x[.., n: N] : T, y[.., n: M] : T) { compute s = concat[n](x, y); return s; }
kernel k { input a[n: 3, c: 3] : int32; input b[i: 3, j: 3] : int32; output o = join(a, b); output p = join(b, a); output q = last(a, b); }''', {'a': a, 'b': b},
        dict(o=np.concatenate([a, b], 0), p=np.concatenate([b, a], 0), q=np.concatenate([a, b], 1)))
    integers(rng)
    words()
    open('many.te', 'w').write('def f(x[i: N] : int32, s) { compute t = x + s; return t * 2; }\nkernel k {\n  input a0[i: 4] : int32;\n'
                               + ''.join(f'  compute a{i + 1} = f(a{i}, {i});\n' for i in range(1000)) + '  output o = a1000;\n}\n')
    p = subprocess.run([tetc, 'check', 'many.te'], capture_output=True, text=True, timeout=60)
    case('a thousand calls', p.returncode == 0, p.stderr)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    files(np.random.default_rng(1))
    language(np.random.default_rng(2))
print(f'1..{number}')
sys.exit(failed > 0)
