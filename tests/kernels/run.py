#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels that must compile and be right: run.py TETC DIR [CONFIG...] prints TAP, a case a file below DIR, configuration
and line of arguments.

Each runs on the functional simulator and is compared with the reference evaluator (`tetc run --check`), with memory that is
coherent and with memory that is not, in the default
configuration, with two rows in a batch, and with blocks of 32, or in those named. A file may restrict them, `// configs:
default`, and ask for runs with other options, one each line `// args: -D n=5`.
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


def run(tetc, path, config, options):
    worst = None
    for args in ([], ['--seed', '7', '--incoherent']):
        hardware = [] if any(o.startswith('--vta-config') for o in options) else ['--vta-config', config]
        p = subprocess.run([tetc, 'run', path, '--check'] + hardware + options + args, cwd=os.path.dirname(path), stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=120)
        if p.returncode:
            worst = p.stderr.decode() + p.stdout.decode()
    return worst


def main():
    tetc, folder, *configs = sys.argv[1:]
    tetc, folder = os.path.abspath(tetc), os.path.abspath(folder)
    failed = number = 0
    cases = []
    for f in sorted(glob.glob(os.path.join(folder, '**', '*.te'), recursive=True)):
        text = open(f).read()
        m = re.search(r'^// configs: (.*)$', text, re.M)
        options = [line.split() for line in re.findall(r'^// args:(.*)$', text, re.M)] or [[]]
        cases += [(f, c, o) for c in (m[1].split() if m else configs or CONFIGS) for o in options]
    print('1..%d' % len(cases))
    with tempfile.TemporaryDirectory() as tmp:
        for name, change in CONFIGS.items():
            with open(os.path.join(tmp, name + '.json'), 'w') as out:
                json.dump({**BASE, **change}, out)
        for path, config, options in cases:
            number += 1
            bad = run(tetc, path, os.path.join(tmp, config + '.json'), options)
            failed += bool(bad)
            what = ' '.join([os.path.relpath(path, folder), config] + options)
            print('%s %d - %s' % ('not ok' if bad else 'ok', number, what))
            for line in (bad or '').splitlines()[:40]:
                print('# ' + line)
            sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
