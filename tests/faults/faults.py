#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faults.py KIND TETC LIBRARY DIRECTORY SAMPLES: what tetc does when the environment fails. LIBRARY is nth.c. KIND:

memory, more memory: each half of the commands:
         the n-th allocation fails, or all from it on: status 3 and error[E0404], or it was done without; never anything else
limits   a ladder of limits of the address space: where one is enough, so is each higher one; below, as for `memory`
files    the n-th write or rename fails, standard output is full or closed: status 3, the file's name, and nothing half-written
signals  a signal in front of the n-th write or rename: the process ends by it, and leaves what was there before, or all of the new

With TETC_LONG_TESTS every n is tried (of allocations, some 2,000 to 4,000 of a command), otherwise some."""
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

LONG = 'TETC_LONG_TESTS' in os.environ
# glibc ends a process by itself that cannot have a thread's variables of a library just loaded; there is nothing to hook.
TLS = 'cannot allocate memory for thread-local data'


class Faults:
    def __init__(self, tetc, library, directory, samples):
        self.tetc, self.library, self.samples = os.path.abspath(tetc), os.path.abspath(library), os.path.abspath(samples)
        self.directory = os.path.abspath(directory)
        self.number = 0

    def fresh(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory + '/tmp')
        os.chdir(self.directory)
        with open('fix.te', 'w', encoding='utf-8') as f:
            f.write('kernel k { input a[i: 8]: int8; output b = a + 1 }\n')

    def commands(self):
        """Names, arguments, the files that are made."""
        add, conv = self.samples + '/vector_add.te', self.samples + '/conv2d_relu.te'
        small = ['-D', 'H=4', '-D', 'W=4', '-K', 'th=2', '-K', 'tw=2']
        return [
            ('check', ['check', conv], []),
            ('compile', ['compile', add, '-o', 'k.o'], ['k.o', 'k.h']),
            ('shared', ['compile', add, '--emit=shared', '-o', 'k.so'], ['k.so', 'k.h']),
            ('vta', ['compile', add, '--emit=vta', '-o', 'k.vta'], ['k.vta']),
            ('html', ['compile', add, '--emit=html', '-o', 'k.html'], ['k.html']),
            ('dumps', ['compile', add, '--dump-tir', '--dump-dir', 'd', '-o', 'k.o'], ['k.o', 'k.h']),
            ('run', ['run', add, '--check', '--output', 'c=c.npy'], ['c.npy']),
            ('verify', ['verify', conv, *small], []),
            ('opt', ['opt', 'k.tir', '-p', 'simplify', '-o', 'x.tir'], ['x.tir']),
            ('interpret', ['run', '--interpret', 'k.tir', '--output', 'c=c.npy'], ['c.npy']),
            ('fix', ['fix', 'fix.te'], ['fix.te']),
        ]

    def run(self, arguments, kind='none', nth=0, every=False, number=None, limit=None, **more):
        env = dict(os.environ, NTH_KIND=kind, NTH=str(nth), NTH_COUNT=self.directory + '/tmp/count', LD_PRELOAD=self.library,
                   TMPDIR=self.directory + '/tmp')
        if every:
            env['NTH_ALL'] = '1'
        if number:
            env['NTH_SIGNAL'] = str(int(number))
        before = (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) if limit else None
        got = subprocess.run([self.tetc, *arguments], stdin=subprocess.DEVNULL, stdout=more.get('stdout', subprocess.PIPE),
                             stderr=subprocess.PIPE, env=env, preexec_fn=before, timeout=300)
        return got.returncode, got.stderr.decode(errors='replace')

    def calls(self, arguments, kind):
        """How many calls of a kind a command makes."""
        self.prepare()
        status, told = self.run(arguments, kind)
        with open(self.directory + '/tmp/count', encoding='utf-8') as f:
            return int(f.read()), status, told

    def prepare(self):
        self.fresh()
        subprocess.run([self.tetc, 'compile', self.samples + '/vector_add.te', '--stop-after=sync', '-o', 'k.tir'], check=True)

    def case(self, name, wrong):
        self.number += 1
        print(('not ok' if wrong else 'ok') + f' {self.number} - {name}', flush=True)
        for line in (wrong or '').split('\n')[:30]:
            if line:
                print('# ' + line)

    def litter(self):
        left = glob.glob(self.directory + '/**/.tetc-*', recursive=True) + glob.glob(self.directory + '/tmp/tetc-*')
        return left + glob.glob(self.directory + '/tetc-reproducer*')

    def contents(self, names):
        return {name: open(name, 'rb').read() if os.path.exists(name) else None for name in names}


def some(total, most):
    """Numbers from 1 to total: all, or some spread over them."""
    if LONG or total <= most:
        return range(1, total + 1)
    return sorted({1 + i * (total - 1) // (most - 1) for i in range(most)})


def no_memory(status, told):
    """What is wrong with how a command ended that was short of memory; did it do without, or not."""
    if status == 0:
        return None
    if status == 127 and TLS in told:
        return None
    if status == 3 and re.search(r'error\[E0404\]', told) and 'internal error' not in told:
        return None
    return f'status {status}\n{told}'


def memory(f, commands):
    most = {'check': 20, 'vta': 40, 'opt': 20, 'interpret': 40, 'fix': 20}
    for name, arguments, _ in commands:
        wrong = None
        total, status, told = f.calls(arguments, 'alloc')
        if status != 0:
            wrong = f'status {status}\n{told}'
        tls = 0
        numbers = list(some(total, most.get(name, 14)))
        if LONG and total > 4000:
            numbers = range(1, total + 1, total // 2000)
        for n in numbers:
            for every in (False, True):
                f.prepare() if n == numbers[0] else None
                status, told = f.run(arguments, 'alloc', n, every)
                tls += status == 127
                wrong = wrong or no_memory(status, told)
                if wrong or f.litter():
                    wrong = f'number {n} of {total}{", and all after it" if every else ""}: {f.litter()}\n{wrong or ""}'
                    break
            if wrong:
                break
        f.case(f'memory is out: {name}', wrong or (f'{tls} times the C library gave up' if tls > 40 else None))


def limits(f):
    steps = [2 ** (k / (8 if LONG else 2)) for k in range((10 if not LONG else 10) * (8 if LONG else 2))]
    for name, arguments, _ in f.commands():
        f.prepare()
        wrong, enough = None, None
        for step in steps:
            limit = int(step * (16 << 20)) >> 12 << 12
            status, told = f.run(arguments, limit=limit)
            if 'error while loading shared libraries' in told or status in (-11, -9, -6) and not enough and limit < 24 << 20:
                continue  # nothing of ours runs yet
            problem = no_memory(status, told)
            if not problem and status and enough:
                problem = f'{enough} bytes are enough, and {limit} are not\n{told}'
            if status == 0:
                enough = enough or limit
            if problem:
                wrong = f'limit {limit}: {problem}'
                break
        f.case(f'a limit of the address space: {name}', wrong or (None if enough else 'no limit was enough'))


def whole(f, names, before, after):
    """What is wrong with the files: each is what it was, or the new one; all the same."""
    now = f.contents(names)
    if f.litter():
        return f'left over: {f.litter()}'
    if now == before or now == after:
        return None
    return 'half-written: ' + ', '.join(n for n in names if now[n] not in (before[n], after[n]))


def old_files(f, names):
    f.prepare()
    for name in names:
        if name != 'fix.te':
            with open(name, 'w', encoding='utf-8') as out:
                out.write('what was here before\n')
    return f.contents(names)


def files(f):
    for name, arguments, names in f.commands():
        if not names:
            continue
        wrong = None
        for kind in ('write', 'rename'):
            f.calls(arguments, kind)
            after = f.contents(names)
            total = f.calls(arguments, kind)[0]
            for n in range(1, total + 1):
                for every in (False, True):
                    before = old_files(f, names)
                    status, told = f.run(arguments, kind, n, every)
                    problem = whole(f, names, before, after)
                    fine = status == 0 and f.contents(names) == after
                    if not fine and (status != 3 or not re.search(r'cannot write `', told)) and told:
                        problem = problem or f'status {status}'
                    if problem:
                        wrong = wrong or f'{kind} {n} of {total}: {problem}\n{told}'
        f.case(f'the disk fails: {name}', wrong)
    for name, arguments in (('help', ['--help']), ('tir', ['compile', f.samples + '/gemm.te', '--emit=tir']),
                            ('explain', ['explain', 'E0301']), ('run', ['run', f.samples + '/vector_add.te'])):
        f.prepare()
        with open('/dev/full', 'w', encoding='utf-8') as full:
            status, told = f.run(arguments, stdout=full)
        f.case(f'standard output is full: {name}', None if status == 3 and 'standard output' in told else f'status {status}\n{told}')


def signals(f):
    for name, arguments, names in f.commands():
        if not names:
            continue
        wrong = None
        f.prepare()
        f.run(arguments)
        after = f.contents(names)
        for kind in ('kill-write', 'kill-rename'):
            total = f.calls(arguments, kind)[0]
            for n in some(total, 6):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if LONG or n == 1 else (signal.SIGTERM,):
                    before = old_files(f, names)
                    status, told = f.run(arguments, kind, n, number=number)
                    problem = whole(f, names, before, after)
                    if status != -number and not (status == 0 and f.contents(names) == after):
                        problem = problem or f'status {status}'
                    if problem:
                        wrong = wrong or f'{signal.Signals(number).name}, {kind} {n} of {total}: {problem}\n{told}'
        f.case(f'signals: {name}', wrong)


def main():
    f = Faults(*sys.argv[2:6])
    half = {'memory': lambda g: memory(g, g.commands()[::2]), 'more memory': lambda g: memory(g, g.commands()[1::2])}
    {**half, 'limits': limits, 'files': files, 'signals': signals}[sys.argv[1]](f)
    print(f'1..{f.number}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
