#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plan.py TETC ROOT: kernels without a schedule are planned: they run on VTA and are right, one plan for all spellings of the
same thing, the same plan each time, and the plan as text compiles to the same instructions."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../driver'))
from tap import case, end  # noqa: E402

tetc, root = (os.path.abspath(a) for a in sys.argv[1:3])


def run(text, *args):
    return subprocess.run([tetc, args[0], '-', *args[1:]], input=text, capture_output=True, text=True, timeout=60)


def config(name):
    return ('--vta-config', os.path.join(root, 'hw/configs', name + '.json'))


def planned(text, *args):
    """Predicted cycles of the parts that are planned for VTA, by stage."""
    p = run(text, 'check', '--remarks', *args)
    return dict(re.findall(r'`([\w.]+)` is planned for VTA: about (\d+) cycles', p.stderr)) or p.stderr


def wrong(text, *args):
    p = run(text, 'run', '--check', *args)
    return p.returncode and p.stderr + p.stdout


def instructions(listing):
    return [line.split(';')[0].strip() for line in listing.splitlines() if re.match(r' +[0-9]+ ', line)]


DENSE = '''target vta;
kernel k {
  input a[m: 6, k: 3, b: vta.batch, r: vta.block_in] : int8;
  input w[n: 4, k: 3, j: vta.block_out, r: vta.block_in] : int8;
  %s
  output o[m: 6, n: 4, b: vta.batch, j: vta.block_out] : int8 = int8(clamp(s[m, n, b, j] >> 6, -128, 127));
}
'''
SUM = 'compute s[m: 6, n: 4, b: vta.batch, j: vta.block_out] : int32 = '
SPELLINGS = {
    'plain': SUM + 'sum[k: 3, r: vta.block_in](int32(a[m, k, b, r]) * int32(w[n, k, j, r]));',
    'operands and axes exchanged': SUM + 'sum[r: vta.block_in, k: 3](int32(w[n, k, j, r]) * int32(a[m, k, b, r]));',
    'in int16': SUM + 'sum[k: 3, r: vta.block_in](int32(int16(a[m, k, b, r]) * int16(w[n, k, j, r])));',
    'backwards': SUM + 'sum[c: 3, r: vta.block_in](int32(a[m, 2 - c, b, r]) * int32(w[n, 2 - c, j, r]));',
    'other names': 'compute s[p: 6, q: 4, u: vta.batch, v: vta.block_out] : int32 = '
                   'sum[x: 3, z: vta.block_in](int32(a[p, x, u, z]) * int32(w[q, x, v, z]));',
}
CONV = '''// A convolution.
target vta;
param CI = 2; param CO = 4; param H = 10; param S = 1; param P = 1; param K = 3;
const O = (H + 2 * P - K) / S + 1;
kernel conv { // with a bias
  input data[c: CI, y: H, x: H, b: vta.batch, r: vta.block_in] : int8;
  input weight[o: CO, c: CI, dy: K, dx: K, j: vta.block_out, r: vta.block_in] : int8;
  input bias[o: CO, b: vta.batch, j: vta.block_out] : int32;
  compute pad[c: CI, y: H + 2 * P, x: H + 2 * P, b: vta.batch, r: vta.block_in] : int8 =
      y >= P && y < H + P && x >= P && x < H + P ? data[c, y - P, x - P, b, r] : 0;
  compute conv[o: CO, y: O, x: O, b: vta.batch, j: vta.block_out] : int32 =
      sum[c: CI, dy: K, dx: K, r: vta.block_in](
          int32(pad[c, y * S + dy, x * S + dx, b, r]) * int32(weight[o, c, dy, dx, j, r]));
  compute biased[o: CO, y: O, x: O, b: vta.batch, j: vta.block_out] : int32 = conv[o, y, x, b, j] + bias[o, b, j];
  output out = int8(clamp(biased >> 8, 0, 127));
}
// The end.
'''
NCHW = '''target vta;
param CI = 20; param CO = 40; param S = 1;
const O = (12 - 1) / S + 1;
kernel conv {
  input data[n: 1, c: CI, y: 12, x: 12] : int8;
  input weight[o: CO, c: CI, dy: 3, dx: 3] : int8;
  input bias[o: CO] : int32;
  compute pad[n: 1, c: CI, y: 14, x: 14] : int8 =
      y >= 1 && y < 13 && x >= 1 && x < 13 ? data[n, c, y - 1, x - 1] : 0;
  compute conv[n: 1, o: CO, y: O, x: O] : int32 =
      sum[c: CI, dy: 3, dx: 3](int32(pad[n, c, y * S + dy, x * S + dx]) * int32(weight[o, c, dy, dx]));
  compute biased[n: 1, o: CO, y: O, x: O] : int32 = conv[n, o, y, x] + bias[o];
  output out = int8(clamp(biased >> 5, 0, 127));
}
'''
POOL = '''target vta;
kernel maxpool {
  input a[c: 2, y: 14, x: 14, b: vta.batch, j: vta.block_out] : int8;
  compute wide[c: 2, y: 14, x: 14, b: vta.batch, j: vta.block_out] : int32 = int32(a[c, y, x, b, j]);
  compute pool[c: 2, y: 7, x: 7, b: vta.batch, j: vta.block_out] : int32 =
      max[dy: 2, dx: 2](wide[c, y * 2 + dy, x * 2 + dx, b, j]);
  output out = int8(pool);
}
'''
ADD = '''target vta;
kernel add {
  input a[m: 40, b: vta.batch, j: vta.block_out] : int32;
  input c[m: 40, b: vta.batch, j: vta.block_out] : int32;
  output out = int8(max(a + c, 0) >> 3);
}
'''
TWO = '''target vta;
kernel two {
  input a[m: 6, k: 3, b: vta.batch, r: vta.block_in] : int8;
  input w[n: 3, k: 3, j: vta.block_out, r: vta.block_in] : int8;
  input f[n: 3, b: vta.batch, j: vta.block_out] : float32;
  compute s[m: 6, n: 3, b: vta.batch, j: vta.block_out] : int32 =
      sum[k: 3, r: vta.block_in](int32(a[m, k, b, r]) * int32(w[n, k, j, r]));
  compute h[m: 6, n: 3, b: vta.batch, j: vta.block_out] : int8 = int8(s[m, n, b, j] >> 7);
  compute t[m: 6, n: 3, b: vta.batch, j: vta.block_out] : int32 =
      sum[k: 3, r: vta.block_in](int32(h[m, k, b, r]) * int32(w[n, k, j, r]));
  compute g[m: 6, n: 3, b: vta.batch, j: vta.block_out] : int8 = int8(min(t[m, n, b, j] >> 7, 100));
  output o[m: 6, n: 3, b: vta.batch, j: vta.block_out] : float32 = float32(g[m, n, b, j]) * f[n, b, j];
}
'''
FLOAT_OUT = '''target vta;
kernel conv_block {
  input data[n: 1, c: 3, y: 20, x: 22] : float32;
  input weight[o: 32, c: 3, dy: 3, dx: 3] : float32;
  compute qdata = int8(clamp(round(data * 32.0), -128.0, 127.0));
  compute qweight = int8(clamp(round(weight * 128.0), -128.0, 127.0));
  compute pad[n: 1, c: 3, y: 22, x: 24] : int8 = y >= 1 && y < 21 && x >= 1 && x < 23 ? qdata[n, c, y - 1, x - 1] : 0;
  compute conv[n: 1, o: 32, y: 10, x: 11] : int32 =
      sum[c: 3, dy: 3, dx: 3](int32(pad[n, c, y * 2 + dy, x * 2 + dx]) * int32(qweight[o, c, dy, dx]));
  compute relu = max(conv >> 5, 0);
  output out = float32(min(relu, %d)) * 0.0078125;
}
'''
WIDENED = '''target vta;
import "nn.te";
kernel residual {
  input d[n: 1, c: 32, y: 9, x: 8] : int8;
  input w[o: 32, c: 32, dy: 3, dx: 3] : int8;
  input b[o: 32] : int32;
  compute a = requantise(conv2d(d, w, pad = 1), b, shift = 9, low = 0);
  compute s = int32(int8(clamp(conv2d(a, w, pad = 1) + b[o] >> 9, -128, 127))) + int32(d);
  output out = int8(min(max(s, 0), 127));
}
'''
FLOAT = '''target vta;
kernel k {
  input a[x: 64] : float32;
  output o[x: 64] : float32 = a[x] * 2.0;
}
'''

texts = {name: DENSE % s for name, s in SPELLINGS.items()}
first = planned(texts['plain'])
for name, text in texts.items():
    got = planned(text)
    case('planned alike: ' + name, got != first and f'{got}, not {first}')
    case('right: ' + name, wrong(text))

PROGRAMS = {'conv': (CONV, []), 'stride 2': (CONV, ['-D', 'S=2', '-D', 'H=9']), '1x1': (CONV, ['-D', 'K=1', '-D', 'P=0']),
            'maxpool': (POOL, []), 'add': (ADD, []), 'two sums': (TWO, []), 'NCHW': (NCHW, [])}
for args in ([], ['-D', 'CI=3'], ['-D', 'CI=32', '-D', 'CO=48', '-D', 'S=2']):
    case(f'NCHW {args}: runs on VTA, in blocks', not isinstance(planned(NCHW, *args), dict) and planned(NCHW, *args))
    case(f'NCHW {args}: right', wrong(NCHW, *args))
for name, (text, args) in PROGRAMS.items():
    for c in ('default', 'batch2', 'block32', 'tiny')[:1 if name == 'NCHW' else None]:
        how = [*args, *config(c)]
        case(f'{name}, {c}: runs on VTA', not isinstance(planned(text, *how), dict) and planned(text, *how))
        case(f'{name}, {c}: right', wrong(text, *how))
    p = run(text, 'plan', *args)
    same = run(p.stdout, 'compile', '--emit=vta', *args).stdout
    auto = run(text, 'compile', '--emit=vta', *args).stdout
    case(f'{name}: the plan as text makes the same instructions', not instructions(auto) or
         (instructions(same) != instructions(auto) and p.stderr + p.stdout))
    case(f'{name}: the same plan again', run(text, 'plan', *args).stdout != p.stdout)
    again = run(p.stdout, 'plan', *args).stdout
    case(f'{name}: a plan takes the place of a schedule', again != p.stdout and again)

p = run(CONV, 'plan')
only = run(CONV, 'plan', '--schedule-only').stdout
kernel = CONV.index('// The end')
case('behind the kernel, all else byte for byte', p.stdout != CONV[:kernel] + '\n' + only + CONV[kernel:] and p.stdout)
case('--schedule-only', not only.startswith('schedule conv {') and only)
case('--schedule=none is the default order', 'planned' in run(CONV, 'check', '--remarks', '--schedule=none').stderr)
case('an empty schedule is the default order', 'planned' in run(CONV + 'schedule conv { }\n', 'check', '--remarks').stderr)
case('--schedule=auto plans what has a schedule',
     not isinstance(planned(CONV + 'schedule conv { }\n', '--schedule=auto'), dict))
case('more effort is never worse', int(planned(CONV, '--plan-effort=200')['conv']) > int(planned(CONV, '--plan-effort=1')['conv']))
named = run(CONV + 'schedule conv : mine { }\n', 'plan')
case('a named schedule stays, and the plan counts before it',
     named.stdout.index('schedule conv {') > named.stdout.index('schedule conv : mine { }') or wrong(named.stdout))
with tempfile.TemporaryDirectory() as dir_:
    with open(os.path.join(dir_, 'a.te'), 'w') as f:
        f.write(CONV + 'schedule conv { }\n')
    p = run('import "a.te";\n', 'plan', '-I', dir_)
    case('what an imported file schedules cannot be planned here', not (p.returncode == 1 and 'E0102' in p.stderr and 'plan this file' in p.stderr))
    case('but printed', run('import "a.te";\n', 'plan', '-I', dir_, '--schedule-only').stdout != run(CONV, 'plan', '--schedule-only').stdout)
GROUPS = 'target vta;\nimport "nn.te";\nkernel k {\n  input d[n: 1, c: %d, y: 8, x: 16] : int8;\n  input w[o: 16, c: %d, dy: 3, dx: 3] : int8;\n' \
         '  output o = int8(clamp(conv2d(d, w, pad = 1, groups = %d) >> 6, 0, 127));\n}\n'
one, two = GROUPS % (3, 3, 1), GROUPS % (6, 3, 2)
case('a convolution of the library runs on VTA', 'tensorized to vta.gemm' not in run(one, 'check', '--remarks').stderr)
case('and right', wrong(one))
p = run(two, 'check', '--remarks')
case('one of groups of three channels does not', '`o.conv2d` runs on the CPU' not in p.stderr and p.stderr)
case('and is right', wrong(two))
p = run('target vta;\nkernel k {\n  input d[c: 16, x: 16] : int8;\n  compute s = int32(float32(d) * 0.3);\n  output o = int8(clamp(s >> 1, 0, 127));\n}\n',
        'check', '--remarks')
case('what reads what the CPU computes stays there', 'it reads `s`, which runs on the CPU' not in p.stderr and p.stderr)

# ---- stages that are no int8, or read it

p = run(FLOAT_OUT % 127, 'check', '--remarks')
case('what fits int8 is stored as int8', '`conv` is planned for VTA' not in p.stderr and p.stderr)
case('the rest of the stage stays with the CPU', '`out` runs on the CPU' not in p.stderr and p.stderr)
p = run(FLOAT_OUT % 128, 'check', '--remarks')
case('what does not fit is not', '`conv` is planned for VTA' in p.stderr and p.stderr)
p = run(WIDENED, 'check', '--remarks')
case('int8 data is widened where the ALU reads it', p.stderr.count('is planned for VTA') != 2 and p.stderr)
case('and no part of the sum is stored', '_int8' in p.stderr and p.stderr)
case('int8 data of two layers is packed once', p.stderr.count('`d_buf` runs on the CPU') != 1 and p.stderr)
for name, text in (('float', FLOAT_OUT % 127), ('float 2', FLOAT_OUT % 128), ('widened', WIDENED)):
    case(f'{name}: right', wrong(text))
    p = run(text, 'plan')
    same, auto = (run(t, 'compile', '--emit=vta').stdout for t in (p.stdout, text))
    case(f'{name}: the plan as text makes the same instructions', instructions(same) != instructions(auto) and p.stderr + p.stdout)

# ---- networks: layers one behind the other

NET = '''target vta;
import "nn.te";
kernel net {
  input data[n: 1, c: 3, y: 12, x: 10] : int8;
  input w1[o: 32, c: 3, dy: 3, dx: 3] : int8; input b[o: 32] : int32; input k[o: 32] : int32;
  input w2[o: 32, c: 32, dy: 3, dx: 3] : int8;
  input w3[o: 32, c: 32, dy: 1, dx: 1] : int8;
  compute first = quantised_conv2d(data, w1, b, k, pad = 1, low = 0);
  compute left = quantised_conv2d(first, w2, b, k, pad = 1, low = 0);
  compute right = quantised_conv2d(left, w2, b, k, pad = 1, low = 0);
  compute sum = quantised_residual(right, w2, b, k, first, pad = 1, left = 1);
  compute skip = quantised_conv2d(sum, w3, b, k, stride = 2);
  compute down = quantised_residual(sum, w2, b, k, skip, stride = 2, pad = 1);
  output mean[c: 32] : float32 = float32(sum[y: 6, x: 5](int32(down[0, c, y, x]))) * 0.03125;
}
'''
layers = ['first', 'left', 'right', 'sum', 'skip', 'down']
p = run(NET, 'check', '--remarks')
for layer in layers:
    case(f'network: `{layer}` runs on VTA', f'`{layer}.acc` is planned for VTA' not in p.stderr and p.stderr)
case('an equal layer is planned once', 'it is the same as `left.acc`' not in p.stderr and p.stderr)
case('others are not equal', p.stderr.count('it is the same as') != 1 and p.stderr)
case('a layer of a call is told at the call', not re.search(r'`left.acc` is planned[^\n]*\n +--> <stdin>:9:', p.stderr) and p.stderr)
plan = run(NET, 'plan', '--schedule-only').stdout
case('what stays in blocks is not copied', re.findall(r'(?:left|right|sum|skip|down)\.cache_read\(host', plan) and plan)
case('the weights of three layers are packed by their stages', re.findall(r'w2.cache_read', plan) and plan)
case('network: right', wrong(NET))
p = run(NET, 'plan')
same, auto = (run(t, 'compile', '--emit=vta').stdout for t in (p.stdout, NET))
case('network: the plan as text makes the same instructions',
     (not instructions(auto) or instructions(same) != instructions(auto)) and p.stderr + p.stdout)
SHARED = '''target vta;
import "nn.te";
kernel two {
  input d[n: 1, c: 16, y: 8, x: 8] : int8;
  input w[o: 16, c: 16, dy: 3, dx: 3] : int8;
  output p = int8(clamp(conv2d(d, w, pad = 1) >> 6, 0, 127));
  output q = int8(clamp(conv2d(d, w, pad = 1, stride = 2) >> 6, 0, 127));
}
'''
plan = run(SHARED, 'plan', '--schedule-only').stdout
case('inputs of two layers are packed once', len(re.findall(r' [dw]\.cache_read\(host', plan)) != 2 and plan)
case('and right', wrong(SHARED))
# In a network a layer finds on chip what others leave, and must not use it differently than by itself.
ROOM = '''target vta;
import "nn.te";
kernel room {
  input d[n: 1, c: 128, y: 28, x: 28] : int8;
  input w[o: 128, c: 128, dy: 3, dx: 3] : int8; input b[o: 128] : int32; input k[o: 128] : int32;
  compute a1 = quantised_residual(d, w, b, k, d, pad = 1);
  compute a2 = quantised_residual(a1, w, b, k, d, pad = 1);
  compute a3 = quantised_residual(a2, w, b, k, a1, pad = 1);
  compute a4 = quantised_residual(a3, w, b, k, a2, pad = 1);
  compute a5 = quantised_residual(a4, w, b, k, a3, pad = 1);
  output a6 = quantised_residual(a5, w, b, k, a4, pad = 1);
}
'''
p = run(ROOM, 'run', '--device=model', '--stats', '--remarks', '--plan-effort=8')
alone = sum(int(n) for n in re.findall(r'planned for VTA: about (\d+) cycles', p.stderr))
cycles = re.search(r'stats: (\d+) cycles', p.stdout + p.stderr)
case('a network takes what its layers take by themselves, within 1 %',
     not (cycles and alone > 2700000 and abs(int(cycles[1]) - alone) < alone / 100) and f'{alone}\n' + p.stdout + p.stderr)
RESNET = os.path.join(root, 'samples/resnet8_int8.te')
p = subprocess.run([tetc, 'run', RESNET, '--schedule=auto', '--check', '--device=model', '--stats'], capture_output=True, text=True,
                   timeout=120)
cycles = re.search(r'stats: (\d+) cycles', p.stdout + p.stderr)
case('ResNet-8: right', p.returncode and p.stderr)
case('ResNet-8: as fast as a schedule written by hand', not (cycles and int(cycles[1]) <= 84569) and p.stdout + p.stderr)

p = run(FLOAT, 'plan', '--remarks')
case('what VTA cannot do is told', 'runs on the CPU' not in p.stderr and p.stderr)
case('and right', wrong(FLOAT))
end()
