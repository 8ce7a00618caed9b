#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# unwind.sh TETC SAMPLES: an exception of the runtime (upstream's is C++, and its CHECK throws) passes through the functions of
# an object and is caught by the program; every function has an unwind table.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/../driver/tap.sh"
cd "$tmp" || exit 1

cat >par.te <<'END'
kernel par {
  input a[y: 64, x: 64] : float32;
  output o[y: 64, x: 64] : float32 = exp(a[y, x]);
}
schedule par { o.parallel(y); }
END
for k in "$samples/gemm.te" "$samples/vector_add.te" par.te; do
  name=$(basename "$k" .te)
  run "$tetc" compile "$k" -o "$name.o"
  functions=$(nm "$name.o" | grep -c ' [tT] ')
  tables=$(readelf --debug-dump=frames "$name.o" 2>/dev/null | grep -c ' FDE ')
  run echo "$functions functions, $tables tables"
  expect "$name: a table for every function" 0 out "$functions functions, $functions tables"
done

if command -v g++ >/dev/null; then
  for first in VTATLSCommandHandle VTAUopPush; do
    {
      echo '#include <cstdio>'
      echo '#include <cstdlib>'
      echo '#include <stdexcept>'
      echo 'extern "C" int gemm__packed(void **);'
      for f in $(nm -u gemm.o | sed -n 's/.* \(VTA[A-Za-z0-9]*\|tetc_[a-z_]*\)$/\1/p'); do
        [ "$f" = VTAPushGEMMOp ] && continue
        case $f in tetc_*) continue ;; esac
        [ "$f" = "$first" ] && echo "extern \"C\" void *$f() { throw std::runtime_error(\"CHECK failed in $f\"); }" ||
          echo "extern \"C\" void *$f() { return std::malloc(1 << 22); }"
      done
      # The runtime calls back into the object, to build a kernel; there, too, it may throw.
      echo 'extern "C" int VTAPushGEMMOp(void **, int (*build)(void *), void *signature, int) { return build(signature); }'
      echo 'int main() { static char m[1 << 20]; void *p[3] = {m, m, m};'
      echo '  try { gemm__packed(p); } catch (const std::exception &e) { std::puts(e.what()); return 0; } return 1; }'
    } >main.cpp
    run g++ main.cpp gemm.o -o program
    run ./program
    expect "an exception in $first is caught" 0 out "CHECK failed in $first"
  done
fi
finish
