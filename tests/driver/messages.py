#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""messages.py [--bless] TETC NEGATIVE SAMPLES GOLDEN: whole messages, as they are printed, of every code that passes give, and of a part.

GOLDEN/CODE.txt has them on terminals of 60, 80 and 120 columns, with colours and Unicode, as JSON and as SARIF.
`--bless` writes these files anew.
"""
import json
import os
import re
import subprocess
import sys

import terminal

arguments = [a for a in sys.argv[1:] if a != '--bless']
bless = len(arguments) < len(sys.argv) - 1
tetc, negative, samples, golden = (os.path.abspath(a) for a in arguments)

GUARD = """func k(
  c: int8[4, 1, 16] output
) target vta {
  alloc t: int32[4, 1, 16] @vta.acc;
  vta.alu() {
    for m in 0..4 {
      for j in 0..16 {
        if (m < 3) {
          t[m, 0, j] = 1i32;
        }
      }
    }
  }
}
"""
# Where a code's message comes from: a directory, and the command.
CASES = {
    'E0205': (negative + '/schedule', ['check', 'parts_later.te']),
    'E0301': (samples, ['check', 'conv2d_relu_unmatched.te']),
    'E0302': (negative + '/copy', ['check', 'load_planar.te']),
    'E0303': (negative + '/copy', ['check', 'load_three_channels.te']),
    'E0304': (negative + '/copy', ['check', 'load_padded_minimum.te']),
    'E0305': (negative + '/copy', ['check', 'acc_to_acc.te']),
    'E0306': (negative + '/copy', ['check', 'store_int16.te']),
    'E0311': (negative + '/alu', ['check', 'division.te']),
    'E0312': (negative + '/alu', ['check', 'lane_broadcast.te']),
    'E0313': (negative + '/alu', ['check', 'wide.te']),
    'E0314': (negative + '/alu', ['check', 'shift_unknown.te']),
    'E0321': (negative + '/gemm', ['check', 'short_reduction.te']),
    'E0322': (negative + '/gemm', ['check', 'operand_on_host.te']),
    'E0323': (negative + '/gemm', ['check', 'narrow_product.te']),
    'E0331': (negative + '/alu', ['check', 'unplaced_gemm.te']),
    'E0332': (negative, ['opt', '-p', 'inject_alu', '-']),
    'E0401': (negative + '/peer', ['check', '25_sram_overflow.te']),
    'E0402': (negative + '/limits', ['compile', 'windows.te', '--emit=llvm', '-o', '-']),
    'E0405': (negative + '/limits', ['check', 'wide_tensor.te']),
}


# Odd sources: line ends of DOS, tabs, wide and combining characters, a very long line, a file that ends early.
ODD = [
    'kernel k {\r\n  input a[m: 4] : int32;\r\n\toutput o = a +\tnothing; // \u65e5\u672c\u8a9e e\u0301\r\n}\r\n',
    'kernel k {\n  input a[m: 4] : int32;\n  /* \u65e5\u672c\u8a9e \u00fc */ output o = a + \u00fcber;\n}\n',
    'kernel k {\n  input a[m: 4] : int32;\n  output o = ' + 'a + ' * 100 + 'nothing' + ' + a' * 100 + ';\n}\n',
    'kernel k {\n  input a[m: 4] : int32;\n  output o = a',
    '',
]
TERMINALS = [  # columns, environment
    (20, {'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'}),
    (80, {'TERM': 'xterm', 'LANG': 'C'}),
    (80, {'TERM': 'xterm', 'LC_ALL': 'C.UTF-8', 'NO_COLOR': '1'}),
    (80, {'TERM': 'dumb', 'LC_ALL': 'C.UTF-8'}),
    (80, {'TERM': 'xterm', 'LC_ALL': 'C', 'COLUMNS': '40'}),
    (200, {'TERM': 'xterm', 'LC_ALL': 'C', 'COLUMNS': 'none'}),
]


def environment(**more):
    e = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'TERM', 'COLUMNS', 'LANG', 'LC_CTYPE')}
    return dict(e, **more)


def given(command):
    """What the command reads from standard input: the TIR, or nothing."""
    r, w = os.pipe()
    text = command[-1] if '\n' in command[-1] or not command[-1] else GUARD if command[-1] == '-' and command[0] == 'opt' else ''
    os.write(w, text.encode())
    os.close(w)
    return r


def words(command):
    """The command line: a text at its end is standard input."""
    return command[:-1] + ['-'] if '\n' in command[-1] or not command[-1] else command


def on_terminal(cwd, command, width, **env):
    return terminal.on_terminal([tetc] + words(command), width, cwd, given(command), **env).replace('\033', '\\e')


def to_file(cwd, command):
    return subprocess.run([tetc] + words(command), cwd=cwd, stdin=given(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env=environment(LC_ALL='C.UTF-8')).stderr.decode()


def pretty(value):
    return json.dumps(value, indent=1, ensure_ascii=False) + '\n'


def whole(cwd, command):
    """All forms of the messages of one command, as one text."""
    parts = ['==== in a file\n' + to_file(cwd, command)]
    for width in (60, 80, 120):
        parts.append('==== %d columns\n' % width + on_terminal(cwd, command, width, TERM='dumb', LC_ALL='C'))
    parts.append('==== 100 columns, colours and Unicode\n' + on_terminal(cwd, command, 100, TERM='xterm', LC_ALL='C.UTF-8'))
    lines = to_file(cwd, command + ['--diagnostics=json']).splitlines()
    parts.append('==== JSON\n' + ''.join(pretty(json.loads(line)) for line in lines))
    sarif = json.loads(to_file(cwd, command + ['--diagnostics=sarif']))
    sarif['runs'][0]['tool']['driver']['version'] = 'VERSION'
    parts.append('==== SARIF\n' + pretty(sarif))
    return ''.join(parts)


def odd_sources():
    parts = []
    for text in ODD:
        command = ['check', text]
        parts.append('==== in a file\n' + to_file('/', command))
        for columns, env in TERMINALS:
            title = ' '.join(['%s=%s' % pair for pair in sorted(env.items())])
            parts.append('==== %d columns, %s\n' % (columns, title) + on_terminal('/', command, columns, **env))
    return ''.join(parts)


def first_difference(want, got):
    a, b = want.split('\n'), got.split('\n')
    for i in range(max(len(a), len(b))):
        x, y = (t[i] if i < len(t) else '(end)' for t in (a, b))
        if x != y:
            return 'line %d\n- %s\n+ %s' % (i + 1, x, y)
    return ''


def main():
    failed = 0
    listed = subprocess.run([tetc, 'explain'], capture_output=True, text=True).stdout
    passes = {c for c in re.findall(r'^(E\d+)', listed, re.M) if re.match(r'E03|E040[125]', c)}
    print('1..%d' % (len(CASES) + 2))
    for number, code in enumerate(sorted(CASES) + ['odd sources'], 1):
        got = whole(*CASES[code]) if code in CASES else odd_sources()
        path = os.path.join(golden, code.replace(' ', '_') + '.txt')
        if bless:
            with open(path, 'w') as f:
                f.write(got)
        want = open(path).read() if os.path.exists(path) else ''
        bad = code in CASES and '[%s]' % code not in got or first_difference(want, got)
        failed += bool(bad)
        print('%s %d - %s as it is printed' % ('not ok' if bad else 'ok', number, code))
        if bad:
            print('# ' + str(bad).replace('\n', '\n# '))
    lacking = passes - set(CASES)
    print('%s %d - every code of the passes is shown %s' % ('not ok' if lacking else 'ok', len(CASES) + 2, ' '.join(lacking)))
    return 1 if failed or lacking else 0


sys.exit(main())
