#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects of tetc linked into programs: run.py TETC RUNTIME.a SOURCE_ROOT -- CC... prints TAP, a case a program."""
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile


class Failed(Exception):
    pass


def call(*words, cwd, env=None):
    p = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    out = p.stdout.decode(errors='replace') + p.stderr.decode(errors='replace')
    if p.returncode:
        raise Failed('%s\nexit status %d\n%s' % (' '.join(words), p.returncode, out))
    return out


class Place:
    """The tools, and a directory to work in."""

    def __init__(self, tetc, runtime, root, cc, tmp):
        self.tetc, self.runtime, self.root, self.cc, self.tmp = tetc, runtime, root, cc, tmp
        self.here = os.path.join(root, 'tests/link')

    def compile(self, source, *options):
        name = os.path.splitext(os.path.basename(source))[0]
        call(self.tetc, 'compile', os.path.join(self.root, source), '-o', name + '.o', *options, cwd=self.tmp)
        return name + '.o'

    def link(self, program, objects, *words):
        call(*self.cc, '-I' + self.tmp, *objects, '-o', program, *words, '-pthread', '-ldl', '-lm', cwd=self.tmp)
        return os.path.join(self.tmp, program)

    def build(self, program, objects, *words):
        return self.link(program, [os.path.join(self.here, program + '.c'), *objects], *words)

    def part(self, name):
        """The object of a source that several programs have, compiled once."""
        path = os.path.join(self.tmp, name + '.part.o')
        if not os.path.exists(path):
            call(*self.cc, '-Wall', '-Wextra', '-Werror', '-O1', '-c', os.path.join(self.here, name + '.c'), '-o', path, cwd=self.tmp)
        return path


def cpu_only(p):
    call(p.build('cpu_only', [p.compile('tests/link/cpu_only.te')]), cwd=p.tmp)


def errors(p):
    wraps = ['-Wl,--wrap=' + f for f in ('malloc', 'calloc', 'realloc', 'mprotect')]
    call(p.build('errors', [p.compile('samples/vector_add.te'), p.runtime], *wraps), cwd=p.tmp)


# What kernels are compiled for: the default, and memories that hold few micro-operations.
CONFIGS = {'default': (0, 4, 15, 15, 18, 17), 'few': (0, 4, 9, 15, 18, 17)}
KEYS = ('LOG_BATCH', 'LOG_BLOCK', 'LOG_UOP_BUFF_SIZE', 'LOG_INP_BUFF_SIZE', 'LOG_WGT_BUFF_SIZE', 'LOG_ACC_BUFF_SIZE')
UPSTREAM = ['-Wl,--wrap=' + f for f in ('VTAPushGEMMOp', 'VTAPushALUOp', 'VTAUopPush', 'VTAUopLoopBegin', 'VTAUopLoopEnd', 'VTASynchronize',
                                        'tetc_kernel_begin', 'tetc_kernel_done', 'tetc_kernel_failed')]
DTYPES = {'_Bool': '|b1', 'int8_t': '|i1', 'uint8_t': '|u1', 'int16_t': '<i2', 'uint16_t': '<u2', 'int32_t': '<i4', 'uint32_t': '<u4',
          'float': '<f4', 'int64_t': '<i8', 'uint64_t': '<u8', 'double': '<f8'}


def write_npy(path, kind, shape):
    """Random numbers; the same name gives the same ones."""
    count, dtype = 1, DTYPES[kind]
    for n in shape:
        count *= n
    r = random.Random(os.path.basename(path))
    if dtype[1] == 'f':
        data = struct.pack('<%d%s' % (count, 'f' if dtype[2] == '4' else 'd'), *(r.uniform(-1, 1) for _ in range(count)))
    else:
        data = bytes(r.randrange(2) for _ in range(count)) if kind == '_Bool' else r.randbytes(count * int(dtype[2]))
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (dtype, ', '.join(map(str, shape)))
    header += ' ' * (-(10 + len(header) + 1) % 64) + '\n'
    with open(path, 'wb') as out:
        out.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode() + data)


def same_bytes(p, source, config, upstream, options=()):
    """A kernel in an object gives the bytes that `tetc run` gives, with our runtime or with the model of upstream's."""
    with open(os.path.join(p.tmp, 'config.json'), 'w') as out:
        json.dump(dict(zip(KEYS, CONFIGS[config])), out)
    options = ['--vta-config=config.json', *options]
    said = call(p.tetc, 'compile', os.path.join(p.root, source), '-o', 'k.o', *options, cwd=p.tmp)
    header = open(os.path.join(p.tmp, 'k.h')).read()
    name = re.search(r'^int (\w+)\(', header, re.M)[1]
    outputs = []
    words = []
    for kind, array, role, shape in re.findall(r'(\w+) \*(\w+) /\* (in|out): ((?:\[\d+\])+)', header):
        size = int(DTYPES[kind][2])
        for n in re.findall(r'\d+', shape):
            size *= int(n)
        words.append('%s.npy' % array if role == 'in' else '%s.raw:%d' % (array, size))
        if role == 'out':
            outputs.append(array)
    inputs = []
    for kind, array, shape in re.findall(r'const (\w+) \*(\w+) /\* in: ((?:\[\d+\])+)', header):
        dims = re.findall(r'\d+', shape)
        write_npy(os.path.join(p.tmp, array + '.npy'), kind, [int(n) for n in dims])
        inputs += ['--input', '%s=%s.npy' % (array, array)]
    wanted = [w for o in outputs for w in ('--output', '%s=%s.npy' % (o, o))]
    call(p.tetc, 'run', os.path.join(p.root, source), *options, *inputs, *wanted, cwd=p.tmp)
    objects = [p.part('call'), 'k.o'] + ([p.part('upstream')] if upstream else []) + [p.runtime]
    program = p.link('call', objects, '-Wl,--defsym=call_kernel=%s__packed' % name, *(UPSTREAM if upstream else []))
    call(program, ','.join(map(str, CONFIGS[config])), *words, cwd=p.tmp)
    for o in outputs:
        raw = open(os.path.join(p.tmp, o + '.raw'), 'rb').read()
        if not open(os.path.join(p.tmp, o + '.npy'), 'rb').read().endswith(raw):
            raise Failed('%s: `%s` has other bytes than `tetc run` gives it' % (source, o))
    return said


def threads(p):
    before, after = call(p.build('threads', [p.compile('tests/link/threads.te')], '-Wl,--wrap=pthread_create'), cwd=p.tmp).split('from here')
    if before or after.count('fewer threads') != 1:
        raise Failed('one warning is wanted, not: %s, then %s' % (before, after))


def many_values(p):
    same_bytes(p, 'tests/link/many_values.te', 'default', True)


def few_uops(p):
    """More micro-operations than fit: right with our runtime; a warning of upstream's, and the model is wrong indeed."""
    if 'W0002' not in same_bytes(p, 'tests/link/many_values.te', 'few', False, ['-D', 'N=300']):
        raise Failed('no warning')
    try:
        same_bytes(p, 'tests/link/many_values.te', 'few', True, ['-D', 'N=300'])
    except Failed as why:
        if 'other bytes' in str(why):
            return
        raise
    raise Failed('the model of upstream has the right bytes')


def kernels(p):
    """The kernels of tests/kernels that use the accelerator (alu, copy, gemm) and the samples, with the model of upstream's runtime, unless it was warned of."""
    bad = []
    for source in sorted(glob.glob(os.path.join(p.root, 'tests/kernels/[acg]*/*.te')) + glob.glob(os.path.join(p.root, 'samples/*.te'))):
        text = open(source).read()
        configs = re.search(r'^// configs: (.*)$', text, re.M)
        if 'unmatched' in source or (configs and 'default' not in configs[1]) or '--vta-config' in text:
            continue
        try:
            if 'W0002' in same_bytes(p, source, 'default', True):
                bad.append('%s: a warning' % source)
        except Failed as why:
            bad.append('%s: %s' % (source, why))
    if bad:
        raise Failed('\n'.join(bad))


CASES = [('a kernel of the CPU alone, without a runtime', cpu_only),
         ('arrays, devices, configurations and memory that are wrong', errors),
         ('threads that cannot be started', threads),
         ("upstream's micro-op cache, a kernel of more values than it takes", many_values),
         ('more micro-operations than fit', few_uops), ("every kernel with upstream's micro-op cache", kernels)]


def main():
    tetc, runtime, root, _, *cc = sys.argv[1:]
    failed = 0
    print('1..%d' % len(CASES))
    for number, (what, case) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory() as tmp:
            try:
                case(Place(os.path.abspath(tetc), os.path.abspath(runtime), os.path.abspath(root), cc, tmp))
                print('ok %d - %s' % (number, what))
            except Failed as why:
                failed += 1
                print('not ok %d - %s' % (number, what))
                for line in str(why).splitlines()[:60]:
                    print('# ' + line)
        sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
