#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py TETC NN.te [--cases N] [--seed S] [NAME...]: the operators of lib/nn.te against operators.py, on the CPU. Prints TAP.

A file an operator, one kernel of N random calls in it; it runs with --check, so that the evaluator, the compiled code and numpy say
the same. Integers and floats agree bit for bit; what has functions like exp in it, within 1e-6 of the larger of value and 1.
"""
import os
import re
import subprocess
import sys
import tempfile
import zlib

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'driver'))
try:
    import numpy as np
except ImportError:
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end  # noqa: E402

import operators  # noqa: E402


def declared(name, x, names='abcdef'):
    axes = ', '.join(f'{a}: {n}' for a, n in zip(names, x.shape))
    return f'  input {name}[{axes}] : {x.dtype.name};\n'


def program(cases):
    """The text, the inputs by their names, and what the outputs are."""
    text, inputs, wants = 'import "nn.te";\nkernel k {\n', {}, {}
    for i, c in enumerate(cases):
        for k, v in c.inputs.items():
            inputs[f'{k}_{i}'] = v
            text += declared(f'{k}_{i}', v)
        names = [f'o_{i}' if n == 0 else f'o{n}_{i}' for n in range(len(c.wants))]
        text += f'  output {", ".join(names)} = ' + c.call.format(**{k: f'{k}_{i}' for k in c.inputs}) + ';\n'
        wants.update(zip(names, c.wants))
    return text + '}\n', inputs, wants


def differs(got, want, close):
    """Why they do, or None."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f'{got.dtype.name}{list(got.shape)}, and not {want.dtype.name}{list(want.shape)}'
    if close:
        bad = ~(np.abs(got - want) <= close * np.maximum(np.abs(want), 1))
    elif got.dtype.kind == 'f':
        bad = (got.view(f'u{got.itemsize}') != want.view(f'u{got.itemsize}')) & ~(np.isnan(got) & np.isnan(want))
    else:
        bad = got != want
    if not bad.any():
        return None
    at = tuple(int(v) for v in np.argwhere(bad)[0]) if bad.ndim else ()
    return f'{int(bad.sum())} of {bad.size} elements differ; at {list(at)} {got[at]!r}, and not {want[at]!r}'


def run(tetc, text, inputs, wants, folder, more=()):
    """Runs it; the outputs by name, or what went wrong."""
    path = os.path.join(folder, 'k.te')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    command = [tetc, 'run', path, '--check', *(more or ['-O1'])]
    for name, x in inputs.items():
        np.save(os.path.join(folder, f'{name}.npy'), x)
        command.append(f'--input={name}={folder}/{name}.npy')
    command += [f'--output={name}={folder}/{name}.npy' for name in wants]
    p = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if p.returncode:
        return None, p.stdout + p.stderr
    return {name: np.load(os.path.join(folder, f'{name}.npy')) for name in wants}, ''


def test(tetc, name, count, seed):
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    cases = [operators.ALL[name](rng) for _ in range(count)]
    text, inputs, wants = program(cases)
    with tempfile.TemporaryDirectory() as folder:
        got, said = run(tetc, text, inputs, wants, folder)
    if got is None:
        return said + '\n' + text
    for out, want in wants.items():
        c = cases[int(out.split('_')[1])]
        why = differs(got[out], np.asarray(want), c.close)
        if why:
            return f'{c.call} of {", ".join(f"{k}{list(v.shape)} {v.dtype.name}" for k, v in c.inputs.items())}: {why}'
    return None


def options(args):
    """What is left of the arguments, the number of cases, and the seed."""
    count, seed = 20, 1
    while '--cases' in args or '--seed' in args:
        at = min(i for i, a in enumerate(args) if a in ('--cases', '--seed'))
        count, seed = (int(args[at + 1]), seed) if args[at] == '--cases' else (count, int(args[at + 1]))
        del args[at:at + 2]
    return args, count, seed


def main():
    args, count, seed = options(sys.argv[1:])
    tetc = os.path.abspath(args[0])
    with open(args[1], encoding='utf-8') as f:
        there = set(re.findall(r'^def (\w+)\(', re.sub(r'^// Inside:(.*\n)*?def \w+', '', f.read(), flags=re.M), re.M))
    untried = there ^ set(operators.ALL)
    case('each operator is tried', f'in one of nn.te and operators.py: {", ".join(sorted(untried))}' if untried else '')
    for more in range(20 if os.environ.get('TETC_LONG_TESTS') else 1):
        for name in args[2:] or operators.ALL:
            case(f'{name}: {count} cases of seed {seed + more}', test(tetc, name, count, seed + more))
    end()


if __name__ == '__main__':
    main()
