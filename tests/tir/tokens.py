#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tokens.py TETC DIRECTORY SEED COUNT FILE.te...: texts that lost, swapped or moved a token are refused, or need it not.

The dumps of the phases from `sync` on, with one or two operations on tokens taken out, given to other units, or moved by a
statement. `tetc opt` and `tetc run --interpret` say the same of each. The first judges by what happens before what; the second also
executes the text in other orders of the units, and compares: what is accepted computes the same in each of them. COUNT mutants are
drawn, with TETC_LONG_TESTS a hundred times as many."""
import os
import random
import re
import shutil
import subprocess
import sys

PHASES = ('sync', 'uop', 'intrin')
TOKEN = re.compile(r'^( *)vta\.(push|pop)\((\w+), (\w+)\)')
SYNC = re.compile(r'^ *vta\.sync\(\)')


def others(a, b):
    """The other channels."""
    every = [('load', 'compute'), ('compute', 'load'), ('compute', 'store'), ('store', 'compute')]
    return [c for c in every if c != (a, b)]


def tokens_of(lines):
    return [(i, m) for i, line in enumerate(lines) for m in [TOKEN.match(line)] if m]


def without(lines, *gone):
    return [line for i, line in enumerate(lines) if i not in gone]


def movable(lines, i, j):
    """Whether line i may change places with its neighbour j: both are statements of the same block."""
    return 0 <= j < len(lines) and lines[j].rstrip().endswith(';') and not lines[j].lstrip().startswith('alloc')


def mutants(lines):
    """Names and texts."""
    tokens = tokens_of(lines)
    for i, m in tokens:
        yield f'line {i + 1} dropped', without(lines, i)
        for a, b in others(m[3], m[4]):
            changed = list(lines)
            changed[i] = lines[i].replace(f'({m[3]}, {m[4]})', f'({a}, {b})')
            yield f'line {i + 1} for {a}, {b}', changed
        for j in (i - 1, i + 1):
            if movable(lines, i, j):
                changed = list(lines)
                changed[i], changed[j] = changed[j], changed[i]
                yield f'line {i + 1} moved to {j + 1}', changed
        for k, n in tokens:
            if m[2] == 'push' and n[2] == 'pop' and (m[3], m[4]) == (n[3], n[4]):
                yield f'lines {i + 1} and {k + 1} dropped', without(lines, i, k)
    for i, line in enumerate(lines):
        if SYNC.match(line):
            yield f'sync in line {i + 1} dropped', without(lines, i)


def dumps(tetc, kernels):
    for number, kernel in enumerate(kernels):
        config = os.path.join(os.path.dirname(kernel), 'configs', os.path.basename(kernel)[:-3] + '.json')
        options = ['--vta-config', config] if os.path.exists(config) else []
        if kernel.endswith('conv2d_relu.te'):
            options += ['-D', 'H=8', '-D', 'W=8', '-K', 'th=4', '-K', 'tw=4']
        where = f'd{number}'
        shutil.rmtree(where, ignore_errors=True)  # of an older compiler
        subprocess.run([tetc, 'compile', kernel, *options, '--dump-tir', '--dump-dir', where, '-o', 'k.o'], capture_output=True)
        for root, _, files in os.walk(where):
            for name in sorted(files):  # 09-sync.tir, 10-uop.tir ...
                phase = name[3:-4]
                if phase in PHASES:
                    with open(os.path.join(root, name), encoding='utf-8') as f:
                        yield kernel, phase, [o for o in options if o not in ('-D', '-K') and '=' not in o], f.read().split('\n')


def says(command):
    got = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return got.returncode, got.stderr


def judge(tetc, phase, options, lines):
    """Whether a text is refused; what is wrong with how."""
    with open('m.tir', 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines))
    opt, told = says([tetc, 'opt', '--from', phase, '--verify-each', *options, 'm.tir', '-o', 'x.tir'])
    run, run_told = says([tetc, 'run', '--interpret', *options, 'm.tir'])
    text = f'opt: {opt}\n{told}\nrun --interpret: {run}\n{run_told}'
    if opt not in (0, 1) or run != opt:
        return None, text
    if opt == 0:
        return False, text if 'R0003' in told and 'tokens' in told else None
    if 'm.tir:' not in told or 'help: ' not in told or 'm.tir:' not in run_told:
        return None, 'without place or remedy\n' + text
    return True, None


def main():
    tetc, directory, seed, count = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if 'TETC_LONG_TESTS' in os.environ:
        count *= 100
    kernels = [os.path.abspath(f) for f in sys.argv[5:]]
    os.makedirs(directory, exist_ok=True)
    os.chdir(directory)
    every = []
    print('1..2')
    for kernel, phase, options, lines in dumps(tetc, kernels):
        all_of = list(mutants(lines))
        every += [(kernel, phase, options, name, text) for name, text in all_of]
        every += [(kernel, phase, options, None, lines)] if all_of else []
    drawn = random.Random(seed).sample(every, min(count, len(every)))
    refused = harmless = 0
    for kernel, phase, options, name, text in drawn:
        is_refused, wrong = judge(tetc, phase, options, text)
        if name is None and is_refused:
            wrong = 'what the compiler made is refused'
        if wrong:
            print(f'not ok 1 - mutated tokens\n# {kernel}, {phase}: {name}; {os.path.abspath("m.tir")}')
            print('\n'.join('# ' + line for line in wrong.split('\n')))
            return 1
        refused += is_refused
        harmless += not is_refused
    print(f'ok 1 - {refused} of {len(drawn)} texts refused, {harmless} need nothing')
    print(('ok' if refused > harmless else 'not ok') + ' 2 - most tokens are needed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
