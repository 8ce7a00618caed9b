#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same program, the same bytes: kernels at every level, for several processors, jitted, as objects and as shared
libraries. Arrays stand between pages that cannot be read, so that a read past one is a fault.
Usage: same_bytes.py TETC FIRST_SEED COUNT FILE.te... Prints TAP: every kernel of the files, and COUNT random ones (ten times as many
with TETC_LONG_TESTS). Random bytes are the inputs, so that NaN and infinities are among them; a NaN is as good as another."""
import ctypes
import mmap
import os
import platform
import random
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fuzz'))
import fuzz_kernels  # noqa: E402

FLOATS = {'float16': 'e', 'float32': 'f', 'float64': 'd'}
SIZES = {'bool': 1, 'int8': 1, 'uint8': 1, 'int16': 2, 'uint16': 2, 'float16': 2, 'int32': 4, 'uint32': 4, 'float32': 4,
         'int64': 8, 'uint64': 8, 'float64': 8}
KINDS = {'bool': '|b1', 'int8': '|i1', 'uint8': '|u1', 'int16': '<i2', 'uint16': '<u2', 'float16': '<f2', 'int32': '<i4',
         'uint32': '<u4', 'float32': '<f4', 'int64': '<i8', 'uint64': '<u8', 'float64': '<f8'}
PAGE = mmap.PAGESIZE


def processors():
    if platform.machine() not in ('x86_64', 'AMD64'):
        return [None, 'native']
    with open('/proc/cpuinfo') as f:
        flags = set(re.search(r'^flags\s*:(.*)$', f.read(), re.M)[1].split())
    levels = [('x86-64-v2', {'sse4_2', 'popcnt'}), ('x86-64-v3', {'avx2', 'fma', 'bmi2', 'f16c'}),
              ('x86-64-v4', {'avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512cd'})]
    return [None, 'x86-64', 'native'] + [name for name, needs in levels if needs <= flags]


def random_bytes(r, kind, count):
    """Any bits, but in floats mostly numbers of ordinary size: else every sum would be NaN."""
    if kind == 'bool':
        return bytes(r.randrange(2) for _ in range(count))
    if kind not in FLOATS:
        return bytes(r.getrandbits(8) for _ in range(count * SIZES[kind]))
    odd = [float('nan'), float('inf'), -float('inf'), 0.0, -0.0, 6e4, -6e4, 0.5, 1e-7]
    values = [r.choice(odd) if r.random() < 0.02 else r.uniform(-3, 3) for _ in range(count)]
    return struct.pack('<%d%s' % (count, FLOATS[kind]), *values)


def write_npy(path, kind, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (KINDS[kind], ''.join('%d,' % n for n in shape))
    head += ' ' * (-(len(head) + 11) % 64) + '\n'
    with open(path, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + data)


def read_npy(path):
    with open(path, 'rb') as f:
        data = f.read()
    return data[10 + struct.unpack('<H', data[8:10])[0]:]


def same(kind, a, b):
    if a == b or len(a) != len(b):
        return a == b
    if kind not in FLOATS:
        return False
    form = '<%d%s' % (len(a) // SIZES[kind], FLOATS[kind])
    size = SIZES[kind]
    pairs = zip(struct.unpack(form, a), struct.unpack(form, b), range(0, len(a), size))
    return all(a[i:i + size] == b[i:i + size] or (x != x and y != y) for x, y, i in pairs)


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def fenced(data):
    """The address of a copy that ends at an unreadable page. It lives as long as the process, which is short."""
    inner = -(-len(data) // PAGE) * PAGE
    at = libc.mmap(None, inner + 2 * PAGE, 0, 0x22, -1, 0)
    if libc.mprotect(at + PAGE, inner, 3):
        raise MemoryError
    at += PAGE + inner - len(data)
    ctypes.memmove(at, data, len(data))
    return at


def call(library, name, params, outputs):
    """Calls the kernel in a process of its own: its outputs, or why there are none."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            at = [fenced(p) for p in params]
            status = getattr(ctypes.CDLL(library), name + '__packed')((ctypes.c_void_p * len(at))(*at))
            with os.fdopen(write, 'wb') as f:
                f.write(struct.pack('<i', status) + b''.join(ctypes.string_at(at[i], len(params[i])) for i in outputs))
        except Exception as e:  # whatever it is, the parent goes on
            print('# %s' % e, flush=True)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, 'rb') as f:
        data = f.read()
    status = os.waitpid(child, 0)[1]
    if status or data[:4] != bytes(4):
        return None, 'signal %d' % (status & 127) if status else 'status %s' % data[:4].hex()
    got, offset = [], 4
    for i in outputs:
        got.append(data[offset:offset + len(params[i])])
        offset += len(params[i])
    return got, None


def tool(args):
    p = subprocess.run(args, capture_output=True, text=True, timeout=300)
    return p.returncode, p.stderr.strip().split('\n')[0]


class Kernel:
    """One kernel of a file: its parameters from its TIR, and random inputs."""

    def __init__(self, tetc, path, name, folder, r):
        self.tetc, self.path, self.name, self.folder = tetc, path, name, folder
        p = subprocess.run([tetc, 'compile', path, '--kernel=' + name, '--emit=tir'], capture_output=True, text=True, timeout=300)
        self.ok = p.returncode == 0
        found = re.findall(r'^  (\w+): (\w+)\[([0-9, ]+)\] (input|output),?$', p.stdout, re.M)
        self.params = [(n, kind, [int(x) for x in shape.split(',')], role) for n, kind, shape, role in found]
        self.data = []
        for n, kind, shape, role in self.params:
            count = 1
            for x in shape:
                count *= x
            self.data.append(random_bytes(r, kind, count) if role == 'input' else bytes(count * SIZES[kind]))
            if role == 'input':
                write_npy(self.file(n), kind, shape, self.data[-1])
        self.outputs = [i for i, x in enumerate(self.params) if x[3] == 'output']

    def file(self, name):
        return os.path.join(self.folder, name + '.npy')

    def jit(self, options):
        args = [self.tetc, 'run', self.path, '--kernel=' + self.name] + options
        for n, _, _, role in self.params:
            args.append('--%s=%s=%s' % (role, n, self.file(n)))
        status, why = tool(args)
        return ([read_npy(self.file(self.params[i][0])) for i in self.outputs], None) if status == 0 else (None, why)

    def compiled(self, options, shared):
        library = os.path.join(self.folder, 'k.so')
        made = library if shared else os.path.join(self.folder, 'k.o')
        args = [self.tetc, 'compile', self.path, '--kernel=' + self.name, '-o', made, '--emit=' + ('shared' if shared else 'obj')]
        status, why = tool(args + options)
        if status == 0 and not shared:
            status, why = tool(['cc', '-shared', '-fopenmp', made, '-o', library, '-lm'])
        return call(library, self.name, self.data, self.outputs) if status == 0 else (None, why)

    def judge(self, variants):
        """Why two variants differ; None: none does."""
        want, why = self.jit(['-O0'])
        if why:
            return 'jit -O0: ' + why
        for how, options in variants:
            got, why = self.jit(options) if how == 'jit' else self.compiled(options, how == 'shared')
            for i, at in enumerate(self.outputs):
                if not why and not same(self.params[at][1], want[i], got[i]):
                    why = '%s differs' % self.params[at][0]
            if why:
                return '%s %s: %s' % (how, ' '.join(options), why)
        return None


def variants(r, cpus, count):
    """`count` of all combinations; every level is among them."""
    some = []
    for i in range(count):
        cpu = r.choice(cpus)
        some.append((r.choice(['jit', 'object', 'shared']), ['-O%d' % (i % 4)] + (['-mcpu=' + cpu] if cpu else [])))
    return some


def main():
    tetc, first, count, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    if 'TETC_LONG_TESTS' in os.environ:
        count *= 40
    cpus, n, failed = processors(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        todo = []
        for path in files:
            with open(path) as f:
                todo += [(path, name, len(todo)) for name in re.findall(r'^kernel (\w+)', f.read(), re.M)]
        todo += [(None, 'k', seed) for seed in range(first, first + count)]
        for path, name, seed in todo:
            r = random.Random(seed)
            if not path:
                path = os.path.join(folder, 'k%d.te' % seed)
                with open(path, 'w') as f:
                    f.write(fuzz_kernels.cpu(r))
            k = Kernel(tetc, path, name, folder, r)
            why = k.judge(variants(r, cpus, 6 if len(todo) < 100 else 4)) if k.ok else None
            n += 1
            failed += why is not None
            print('%sok %d - %s %s%s' % ('not ' if why else '', n, os.path.basename(path), name, '' if k.ok else ' (refused)'))
            if why:
                print('# ' + why)
            if why and path not in files:
                with open(path) as f:
                    print('\n'.join('# ' + line for line in f.read().splitlines()))
            sys.stdout.flush()
    print('1..%d' % n)
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
