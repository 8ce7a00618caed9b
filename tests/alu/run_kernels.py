#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels that must compile and be right: run_kernels.py TETC DIR... prints TAP, a case a file and configuration.

Each runs on the functional simulator and is compared with the reference evaluator (`tetc run --check`), in the default
configuration, with two rows in a batch, and with blocks of 32. A file may restrict them: `// configs: default`.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

BASE = {'TARGET': 'sim', 'HW_VER': '0.0.2', 'LOG_INP_WIDTH': 3, 'LOG_WGT_WIDTH': 3, 'LOG_ACC_WIDTH': 5, 'LOG_BATCH': 0,
        'LOG_BLOCK': 4, 'LOG_UOP_BUFF_SIZE': 15, 'LOG_INP_BUFF_SIZE': 15, 'LOG_WGT_BUFF_SIZE': 18, 'LOG_ACC_BUFF_SIZE': 17}
CONFIGS = {'default': {}, 'batch2': {'LOG_BATCH': 1}, 'block32': {'LOG_BLOCK': 5}}


def run(tetc, path, config):
    worst = None
    for args in ([], ['--seed', '7']):
        p = subprocess.run([tetc, 'run', path, '--check', '--vta-config', config] + args, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=120)
        if p.returncode:
            worst = p.stderr.decode() + p.stdout.decode()
    return worst


def main():
    tetc, failed, number = sys.argv[1], 0, 0
    files = sorted(f for d in sys.argv[2:] for f in ([d] if d.endswith('.te') else glob.glob(os.path.join(d, '*.te'))))
    cases = []
    for f in files:
        m = re.search(r'^// configs: (.*)$', open(f).read(), re.M)
        cases += [(f, c) for c in (m[1].split() if m else CONFIGS)]
    print('1..%d' % len(cases))
    with tempfile.TemporaryDirectory() as tmp:
        for name, change in CONFIGS.items():
            with open(os.path.join(tmp, name + '.json'), 'w') as out:
                json.dump({**BASE, **change}, out)
        for path, config in cases:
            number += 1
            bad = run(tetc, path, os.path.join(tmp, config + '.json'))
            failed += bool(bad)
            print('%s %d - %s, %s' % ('not ok' if bad else 'ok', number, os.path.basename(path), config))
            for line in (bad or '').splitlines()[:40]:
                print('# ' + line)
            sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
