#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fix.sh TETC SAMPLES: what `tetc fix` writes compiles, or is no worse than what it read.
set -u
tetc=$1
samples=$(cd "$2" && pwd)
. "$(dirname "$0")/tap.sh"
cd "$tmp" || exit 1

run "$tetc" fix "$samples/conv2d_relu_unmatched.te" -o fixed.te
expect "a computing copy is repaired" 0 err "1 remedy applied, 0 errors left"
run "$tetc" run fixed.te --check
expect "and then right" 0 out "401408 elements agree"
run "$tetc" run "$samples/conv2d_relu_unmatched.te" --legalize --check
expect "as with --legalize" 0 out "401408 elements agree"

cat >bad.te <<'END'
kernel k {
  input a[m: 8] : int32;
  compute s = a + 1
  compute t = s * nothing;
  output f[m: 8] : float32 = a[m] + 1;
}
END
cp bad.te before.te
run "$tetc" fix bad.te --check
expect "--check" 1 err "2 remedies applied, 1 error left"
holds "changes nothing" cmp bad.te before.te
run "$tetc" fix bad.te
expect "what cannot be repaired is told" 1 err "unknown name \`nothing\`"
holds "the rest is written" grep -q 'a + 1;' bad.te
holds "casts too" grep -q 'float32(a\[m\] + 1)' bad.te
run "$tetc" fix bad.te
expect "a second time nothing is left to do" 1 err "0 remedies applied"
run "$tetc" fix nothing.te
expect "no file" 3 err nothing.te
run "$tetc" fix "$samples/conv2d_relu_unmatched.te" -o /nonexistent/x.te
expect "unwritable output" 3 err "cannot write"
finish
