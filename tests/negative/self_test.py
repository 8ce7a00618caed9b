#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""self_test.py TETC: that run.py notices what it is there for: a message that no comment expects, a comment that no message meets,
of errors, warnings and remarks, and a wrong place or code."""
import os
import subprocess
import sys
import tempfile

tetc = os.path.abspath(sys.argv[1])
runner = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'run.py')
KERNEL = 'kernel k {\n  input a[m: 4] : int32;\n  output o = a + %s;%s\n}\n'
UNUSED = 'kernel k { input a[m: 4] : int32; output o = a + 1; }\nschedule k { knob t = 2 in [2, 4]; }%s\n'
PLACED = '// args: --remarks\nkernel k { input a[m: 4] : int32; output o = a + 1; }%s\n'
CASES = [
    ('an error as expected', True, KERNEL % ('x', ' //~ error[E0101]: unknown name `x`')),
    ('an error that nothing expects', False, KERNEL % ('x', '') + '//~ error: never\n'),
    ('a second one that nothing expects', False, KERNEL % ('x + a[0, 0]', ' //~ error[E0101]: unknown name `x`')),
    ('no comment at all', False, KERNEL % ('1', '')),
    ('an error that does not come', False, KERNEL % ('x', ' //~ error: unknown name `x`\n  //~^ error: unknown name `x`')),
    ('another place', False, KERNEL % ('x', '\n  //~ error: unknown name `x`')),
    ('another code', False, KERNEL % ('x', ' //~ error[E0102]: unknown name `x`')),
    ('a warning as expected', True, UNUSED % ' //~ warning[W0001]: no effect'),
    ('a warning that nothing expects', False, (UNUSED % ' //~ warning: no effect').replace('knob t', '\nknob u = 2 in [2];\nknob t')),
    ('a warning that is expected as an error', False, UNUSED % ' //~ error: no effect'),
    ('a remark as expected', True, PLACED % ' //~ remark[R0001]: `o` runs on the CPU'),
    ('a remark that nothing expects', False, PLACED % ' //~ remark[R0001]: `a` runs on the CPU'),
]

print('1..%d' % len(CASES))
failed = 0
with tempfile.TemporaryDirectory() as d:
    for number, (name, good, text) in enumerate(CASES, 1):
        path = os.path.join(d, 'k.te')
        with open(path, 'w') as f:
            f.write(text)
        p = subprocess.run([sys.executable, runner, tetc, d, path], capture_output=True, text=True)
        bad = (p.returncode == 0) != good
        failed += bad
        print('%s %d - %s%s' % ('not ok' if bad else 'ok', number, name, '' if good else ' fails'))
        if bad:
            print('# ' + p.stdout.replace('\n', '\n# '))
sys.exit(1 if failed else 0)
