#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models.py TETC: real networks, imported, give what onnxruntime gave (models/NAME_expected.npz), and their texts are short enough to be
read. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, '..', 'driver'))
try:
    import numpy as np
except ImportError:
    if sys.executable == '/usr/bin/python3':
        raise
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end  # noqa: E402

tetc = os.path.abspath(sys.argv[1])


def tell(*command):
    p = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return p.returncode, p.stdout + p.stderr


def outputs_of(text, folder, model, x, *more):
    name_in, name_out = re.search(r'input (\w+)', text)[1], re.search(r'output (\w+)', text)[1]
    np.save(f'{folder}/x.npy', x)
    status, said = tell(tetc, 'run', f'{folder}/{model}.te', f'--input={name_in}={folder}/x.npy', f'--output={name_out}={folder}/y.npy',
                        '--check', *more)
    return (None, said) if status else (np.load(f'{folder}/y.npy'), '')


def check(model, lines, layers, folder, close=1e-4):
    status, said = tell(tetc, 'import', f'{HERE}/models/{model}.onnx', '-o', f'{folder}/{model}.te')
    case(f'{model} is imported', said if status else '' if 'is free' in said else f'it does not say that n is free: {said}')
    if status:
        return
    with open(f'{folder}/{model}.te', encoding='utf-8') as f:
        text = f.read()
    expected = np.load(f'{HERE}/models/{model}_expected.npz')
    n = len(text.splitlines())
    long = [x for x in text.splitlines() if len(x) > 160]
    case(f'{model} has {n} lines', f'more than {lines}' if n > lines else f'too long: {long[0]}' if long else '')
    lost = [x for x in layers if not re.search(rf'(compute|output) {x} =', text)]
    case(f'{model}: each layer has its line', f'none: {lost}' if lost else '')
    want = expected['output']
    got, said = outputs_of(text, folder, model, expected['input'], '-D', f'n={len(want)}')
    worst = 0 if got is None else np.abs(got - want).max()
    case(f'{model} gives what onnxruntime gave', said if got is None else f'{worst} apart' if worst > close else '')


with tempfile.TemporaryDirectory() as tmp:
    status, said = tell(tetc, 'import', f'{HERE}/models/resnet8.onnx', '--dim=m=3', '-o', f'{tmp}/m.te')
    case('a --dim that nothing asks for is refused', not (status == 1 and 'no input of' in said and '`--dim=n=N`' in said) and said)
    case('and nothing is written', os.listdir(tmp))
    check('resnet8', 45, ['t1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 't9', 't10', 't11', 't12', 't14'], tmp)
    check('mnist_resnet', 45, ['t1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 't9', 't10', 't11', 't12', 't14'], tmp)
    check('dscnn_kws', 30, [f't{i}' for i in range(1, 10)] + ['t11'], tmp)
end()
