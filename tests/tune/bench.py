#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py TETC ROOT: `run --bench` says what it did, whatever the time; `--board` gives bus, memory and clock to the model, the planner
and the statistics, and refuses what it does not know."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../driver'))
from tap import case, end  # noqa: E402

tetc, root = (os.path.abspath(a) for a in sys.argv[1:3])
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)


def write(name, text):
    with open(name, 'w') as f:
        f.write(text)
    return name


def run(*args, **env):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=100, env=dict(os.environ, **env))
    return p.returncode, p.stdout, p.stderr


def has(what, status, *texts):
    """What is wrong with the result of a run, if anything."""
    all_of = what[1] + what[2]
    lacks = [t for t in texts if not re.search(t, all_of)]
    return (what[0] != status or lacks) and f'status {what[0]}, lacks {lacks}:\n{all_of}'


# ---- --bench
write('k.te', 'kernel k { input a[i: 64, j: 64] : float32; output o = exp(a) + 1.0; }\nschedule k { }\n'
      'schedule k : threads { o.parallel(i); }\n')
write('v.te', 'target vta;\nkernel v { input a[m: 64] : int32; output o = a + 1; }\n')
MEDIAN = r'bench: k: median [\d.]+ [nu]s; half of the samples from [\d.e+]+ to [\d.e+]+ [nu]s \([\d.]+ %\), the least [\d.e+]+ [nu]s\n'
SAMPLES = r'bench: \d+ samples of \d+ calls each in [\d.]+ s, \d+ of them far above the others\n'
case('a host kernel', has(run('run', 'k.te', '--bench=0.02', '--check'), 0, MEDIAN + SAMPLES, 'one thread, kept on processor', 'agree'))
case('a parallel one is not pinned',
     has(run('run', 'k.te', '--schedule=threads', '--bench=0.02', OMP_NUM_THREADS='3'), 0, 'bench: up to 3 threads, on any processor'))
case('one thread of a parallel one', has(run('run', 'k.te', '--schedule=threads', '--bench=0.02', OMP_NUM_THREADS='1'), 0, 'one thread'))
p = run('run', os.path.join(root, 'samples/vector_add.te'), '--bench=0.02', '--stats')
case('with VTA it says what simulates it', has(p, 0, 'this includes the functional simulator', r'stats: \d+ instructions in 1 launches'))
case('without it does not', 'simulator' in run('run', 'k.te', '--bench=0.02')[1])
case('the time ends it', has(run('run', 'k.te', '--bench=0.001'), 0, MEDIAN + SAMPLES))
for value in ('0', 'x', '-1', '1s', '1e3', '.', '4000'):
    case(f'--bench={value}', has(run('run', 'k.te', f'--bench={value}'), 2, 'takes 0.001 to 3600 seconds, not `' + re.escape(value)))
case('cycles are not timed', has(run('run', 'k.te', '--bench', '--device=model'), 2, 'the cycles of --stats'))
case('nor is what is interpreted', has(run('run', 'k.te', '--bench', '--interpret'), 2, 'exclude each other'))
write('bad.te', 'kernel bad { input a[i: 4] : int64; input b[i: 4] : int8; output o[i: 4] : int8 = b[a[i]]; }\n')
case('a kernel that fails is not timed', (lambda p: has(p, 1, 'E0503|E0106') or 'bench:' in p[1])(run('run', 'bad.te', '--bench')))

# ---- --board
BOARD = {'clock_mhz': '250', 'bus_bits': '128', 'read_latency': '30', 'write_latency': '7', 'bandwidth': '80', 'outstanding': '16'}
OPTIONS = ['--rtl-bus=128', '--rtl-latency=30', '--rtl-write-latency=7', '--rtl-bandwidth=80', '--rtl-outstanding=16']


def board(drop=(), more='', **change):
    return write('b.board', ''.join(f'{k} = {v}  # so\n' for k, v in dict(BOARD, **change).items() if k not in drop) + more)


def cycles(*args):
    p = run('run', os.path.join(root, 'samples/layer.te'), '--stats', '--device=model', *args)
    return p[0] == 0 and int(re.search(r'stats: (\d+) cycles', p[1])[1]), p[1]


n, text = cycles('--board=' + board())
case('cycles are told in milliseconds', f'stats: {n / 250e3:.6g} ms at 250 MHz, as `b.board` has it' not in text and text)
case('and only with a board', ' ms at ' in cycles()[1])
case('a board is what the options say', cycles(*OPTIONS)[0] != n)
case('it differs from the default', cycles()[0] == n)
case('options go before it', cycles('--board=b.board', '--rtl-memory=upstream', '--rtl-bus=64')[0] != cycles()[0])
case('--rtl-memory leaves its bus', cycles('--board=b.board', '--rtl-memory=dram')[0] != cycles('--rtl-memory=dram', '--rtl-bus=128')[0])
for name in ('upstream-sim', 'pynq-z1', 'ecp5-ulx3s'):
    case(f'boards/{name}.board', not cycles(f'--board={root}/boards/{name}.board')[0])
case('upstream-sim is the default', cycles(f'--board={root}/boards/upstream-sim.board')[0] != cycles()[0])

ADD = write('add.te', 'target vta;\nkernel add { input a[m: 256, b: vta.batch, j: vta.block_out] : int32;\n'
            '  input c[m: 256, b: vta.batch, j: vta.block_out] : int32; output o = int8(max(a + c, 0) >> 3); }\n')


def bound(*args):
    p = run('check', ADD, '--remarks', *args)
    return int((re.search(r'binds it: at least (\d+) cycles', p[2]) or [0, '-1'])[1])


# Two operands of 256 tiles of 16 int32, read once.
for bits, share in ((64, 100), (256, 100), (64, 37)):
    least = -(-(2 * 256 * 64 * 8 // bits) * 100 // share)
    case(f'the bound of a plan, {bits} bits at {share} %', bound('--board=' + board(bus_bits=bits, bandwidth=share)) != least)
case('a plan for a slow memory is another one', run('plan', f'{root}/samples/layer.te', '--board=' + board(read_latency=3000))[1] ==
     run('plan', f'{root}/samples/layer.te')[1])


def refused(name, file, *texts):
    case(name, has(run('check', 'v.te', '--board=' + file), 1, r'error\[E0403\]', *texts))


refused('an unknown key', board(more='speed = 3\n'), 'b.board:7:1', 'a board has no `speed`', 'help: the keys are `clock_mhz`, `bus_bits`')
refused('a key twice', board(more='bus_bits = 64\n'), 'b.board:7:1', '`bus_bits` is set twice: line 2 sets it, too', 'help: delete one')
refused('a key that is missing', board(drop=['outstanding']), "the board's `outstanding` is missing", 'help: add a line `outstanding = ...`: the requests that')
refused('two keys that are missing', board(drop=['bus_bits', 'bandwidth']), '`bus_bits` is missing', '= so are `bandwidth`')
refused('an empty file', write('empty.board', ''), "the board's `clock_mhz` is missing", 'help: add a line `clock_mhz = ...`: the MHz', "= so are `bus_bits`, .*`bandwidth`, `outstanding`")
refused('a line without `=`', board(more='fast\n'), 'b.board:7:1', 'this line sets nothing', 'help: write `KEY = NUMBER`')
refused('not a board', ADD, 'this line sets nothing')
for key, value in (('clock_mhz', '0'), ('clock_mhz', 'nan'), ('clock_mhz', '1e9'), ('clock_mhz', ''), ('bus_bits', '96'), ('bus_bits', '1024'),
                   ('read_latency', '-1'), ('read_latency', '1.5'), ('bandwidth', '0'), ('bandwidth', '101'), ('outstanding', '0'),
                   ('outstanding', '99999999999999999999'), ('write_latency', '3 cycles'), ('write_latency', '1.2.3')):
    refused(f'{key} = {value}', board(**{key: value}), rf'b.board:\d:{len(key) + 4 if value else len(key) + 3}', f'`{key}` cannot be `', 'help: it is the .*: write ')
case('a file that is not there', has(run('check', 'v.te', '--board=none.board'), 3, 'cannot read `none.board`'))
end()
