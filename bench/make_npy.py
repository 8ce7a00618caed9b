#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_npy.py FILE TYPE SHAPE: a .npy file of random numbers (int8: full range, int32: -1000 .. 1000, float32: -1 .. 1).
The same name gives the same numbers."""
import array
import os
import random
import sys

path, kind, shape = sys.argv[1], sys.argv[2], [int(x) for x in sys.argv[3].split(',')]
count = 1
for extent in shape:
    count *= extent
r = random.Random(os.path.basename(path))
if kind == 'int8':
    descr, data = '|i1', array.array('b', (b - 128 for b in r.randbytes(count)))
elif kind == 'int32':
    descr, data = '<i4', array.array('i', (r.randrange(-1000, 1001) for _ in range(count)))
elif kind == 'float32':
    descr, data = '<f4', array.array('f', (r.uniform(-1, 1) for _ in range(count)))
else:
    sys.exit('make_npy.py: int8, int32 or float32, not ' + kind)
if sys.byteorder == 'big':
    data.byteswap()
header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (descr, ', '.join(map(str, shape)))
header += ' ' * (-(10 + len(header) + 1) % 64) + '\n'
with open(path, 'wb') as f:
    f.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode() + data.tobytes())
