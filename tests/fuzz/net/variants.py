# SPDX-License-Identifier: Apache-2.0
"""The ways of running a program, all of which must give the same bytes."""
import ctypes
import os
import subprocess
import sys

import numpy as np

from . import evaluate
from .runner import Outcome, refusal

PHASES = ['lower', 'tensorize', 'inject_copy', 'inject_alu', 'vthread', 'storage', 'sync', 'uop', 'intrin']


def processors():
    """The processors that this machine can stand for."""
    try:
        with open('/proc/cpuinfo') as f:
            flags = next((line.split() for line in f if line.startswith('flags')), [])
    except OSError:
        return ['native']
    found = ['native', 'x86-64'] if 'lm' in flags else ['native']
    found += ['x86-64-v2'] if 'sse4_2' in flags else []
    found += ['x86-64-v3'] if 'avx2' in flags and 'fma' in flags else []
    return found + (['x86-64-v4'] if 'avx512vl' in flags and 'avx512bw' in flags else [])


PROCESSORS = processors()


def primary(r):
    """Options and threads of the first run of a program."""
    options = ['-O%d' % r.choice([0, 1, 2, 2, 2, 3])]
    cpu = r.choice(['', '', 'native', 'x86-64', 'x86-64-v2', 'x86-64-v3', 'x86-64-v4'])
    return options + (['-mcpu=' + cpu] if cpu in PROCESSORS else []), r.choice([1, 2, 2, 16])


class Way:
    """A way to run a program, by `tetc run` with options."""

    def __init__(self, name, options=(), threads=2, scheduled=True):
        self.name, self.options, self.threads, self.scheduled = name, list(options), threads, scheduled

    def run(self, runner, p):
        return runner.run(p, self.options, self.threads, self.scheduled)


class Verify(Way):
    def run(self, runner, p):
        given = evaluate.inputs(p)
        runner.write(p, given)
        args = ['verify', 'k.te'] + p.options
        for name in given:
            args += ['--input', '%s=%s.npy' % (name, name)]
        status, said = runner.call(args)
        return Outcome('right') if status == 0 else Outcome('wrong', 'status %d: %s' % (status, said.strip()[:300]))


class Library(Way):
    """Compiled to a file, which is loaded into a process of its own."""

    def run(self, runner, p):
        given = evaluate.inputs(p)
        runner.write(p, given)
        if p.vta is not None and not os.path.exists(runner.path('runtime.so')):
            said = linked(runner.path('runtime.so'), ['-Wl,--whole-archive', runner.runtime, '-Wl,--no-whole-archive', '-lm', '-ldl', '-lpthread'])
            if said:
                return Outcome('wrong', 'status 1: ' + said)
        status, said = runner.call(['compile', 'k.te', '--emit=' + self.emit, '-o', 'k.' + self.emit] + p.options + self.options)
        if status:
            return refusal(status, said)
        if self.emit == 'obj':
            said = linked(runner.path('k.shared'), [runner.path('k.obj'), '-fopenmp'])
            if said:
                return Outcome('wrong', 'status 1: ' + said)
        out = {t.name: np.zeros(t.shape, t.type) for t in p.outputs()}
        status = forked(lambda: call(runner, p, given, out))
        if status:
            return Outcome('wrong', 'status %d: of the process that loaded it' % status)
        return runner.judged(p, given)


def linked(library, parts):
    """Makes a shared library; what was said if that failed."""
    made = subprocess.run(['cc', '-shared', '-o', library] + parts, capture_output=True, text=True)
    return made.stderr[:300] or 'cc failed' if made.returncode else None


def call(runner, p, given, out):
    """Calls kernel k of k.shared; its status."""
    arrays = [given[t.name] for t in p.tensors if t.role == 'input'] + [out[t.name] for t in p.outputs()]  # as the header has them
    order = [np.ascontiguousarray(a) for a in arrays]
    pointers = (ctypes.c_void_p * len(order))(*[a.ctypes.data for a in order])
    if p.vta is not None:
        ctypes.CDLL(runner.path('runtime.so'), ctypes.RTLD_GLOBAL)
    status = ctypes.CDLL(runner.path('k.shared')).k__packed(pointers)
    for t in p.outputs():
        np.save(runner.path(t.name + '.out.npy'), out[t.name])
    return status


def forked(f):
    """The status of f in a child, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = f()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    return -(status & 127) if status & 127 else status >> 8


# Models of the core that a build has: file, and options that choose it.
RTL = {'default': ('libtetc_rtl_default_64.so', []), 'small': ('libtetc_rtl_small_128.so', ['--rtl-bus=128'])}


def ways(runner, p):
    """All the ways of a program."""
    found = [Way('-O%d' % k, ['-O%d' % k]) for k in range(4)]
    found += [Way(c, ['-mcpu=' + c]) for c in PROCESSORS]
    found += [Way('%d threads' % n, threads=n) for n in (1, 2, 16)]
    found += [Way('no schedule', scheduled=False), Verify('verify'), Way('interpreted', ['--interpret'])]
    found += [Way('interpreted at ' + phase, ['--interpret', '--at=' + phase]) for phase in PHASES]
    found += [Way('rtl', ['--device=rtl'] + RTL[p.config][1])] if p.config in RTL and runner.beside('hw', RTL[p.config][0]) else []
    if p.vta is None or p.config == 'default' and runner.runtime:
        for emit in ('shared', 'obj'):
            way = Library(emit)
            way.emit = emit
            found.append(way)
    return found
