#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plan.py BUILD_DIR [FIRST [LAST]]: the distinct convolutions of bench/vta_layers.csv, planned: cycles of the RTL beside those of the
tiles tuned for upstream VTA, the planner's own prediction, the multipliers' bound, seconds of planning."""
import csv
import os
import re
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
tetc = os.path.join(sys.argv[1], 'tetc')
KERNEL = '''target vta;
param H = 56; param W = 56; param CI = 4; param CO = 4; param K = 3; param S = 1; param P = 1;
const OH = (H + 2 * P - K) / S + 1;
const OW = (W + 2 * P - K) / S + 1;
kernel conv {
  input data[n: 1, c: CI, y: H, x: W, b: vta.batch, r: vta.block_in] : int8;
  input weight[o: CO, c: CI, dy: K, dx: K, j: vta.block_out, r: vta.block_in] : int8;
  compute pad[n: 1, c: CI, y: H + 2 * P, x: W + 2 * P, b: vta.batch, r: vta.block_in] : int8 =
      y >= P && y < H + P && x >= P && x < W + P ? data[n, c, y - P, x - P, b, r] : 0;
  compute conv[n: 1, o: CO, y: OH, x: OW, b: vta.batch, j: vta.block_out] : int32 =
      sum[c: CI, dy: K, dx: K, r: vta.block_in](
          int32(pad[n, c, y * S + dy, x * S + dx, b, r]) * int32(weight[o, c, dy, dx, j, r]));
  compute scaled = conv >> 8;
  compute relu = max(scaled, 0);
  compute clip = min(relu, 127);
  output out = int8(clip);
}
'''


def layers():
    with open(os.path.join(here, 'vta_layers.csv'), encoding='utf-8') as f:
        for row in csv.DictReader(line for line in f if not line.startswith('#')):
            yield {k: int(v) for k, v in row.items()}


def output(*args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True)
    return p.stdout + p.stderr


def measure(path, layer):
    """(predicted, cycles on the RTL, seconds)"""
    defines = sum((['-D', f'{a}={layer[b]}'] for a, b in
                   zip(('H', 'W', 'CI', 'CO', 'K', 'S', 'P'), ('h', 'w', 'ci', 'co', 'k', 'stride', 'pad'))), [])
    start = time.perf_counter()
    said = re.search(r'about (\d+) cycles', output('check', path, '--remarks', *defines))
    seconds = time.perf_counter() - start
    took = re.search(r'^stats: (\d+) cycles', output('run', path, '--device=rtl', '--stats', *defines), re.M)
    return int(said[1]) if said else 0, int(took[1]) if took else 0, seconds


def main():
    first, last = (int(a) for a in (sys.argv[2:] + ['0', '999'])[:2]) if len(sys.argv) > 2 else (0, 999)
    total = {'tuned': 0, 'planned': 0, 'bound': 0}
    print(f'{"layer":32} {"tuned":>8} {"planned":>8} {"predicted":>9} {"bound":>8} {"of bound":>8} {"seconds":>7}')
    with tempfile.NamedTemporaryFile('w', suffix='.te') as f:
        f.write(KERNEL)
        f.flush()
        for n in list(layers())[first:last]:
            rows = (n['h'] + 2 * n['pad'] - n['k']) // n['stride'] + 1
            cols = (n['w'] + 2 * n['pad'] - n['k']) // n['stride'] + 1
            bound = rows * cols * n['ci'] * n['co'] * n['k'] ** 2
            predicted, cycles, seconds = measure(f.name, n)
            name = f'{n["h"]}x{n["w"]} {n["ci"]}->{n["co"]} {n["k"]}x{n["k"]} stride {n["stride"]}'
            print(f'{name:32} {n["tuned"]:8} {cycles:8} {predicted:9} {bound:8} {bound / max(cycles, 1):8.1%} {seconds:7.2f}'
                  f'{"  more than tuned" if cycles > n["tuned"] else ""}', flush=True)
            for key, value in zip(total, (n['tuned'], cycles, bound)):
                total[key] += value
    print(f'{"sum":32} {total["tuned"]:8} {total["planned"]:8} {"":9} {total["bound"]:8} '
          f'{total["bound"] / max(total["planned"], 1):8.1%}')


main()
