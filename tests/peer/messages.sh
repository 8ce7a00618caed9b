#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# messages.sh TETC DIR: the rows of the peer gaps that are about what is told. TAP.
tetc=$1 dir=$2 n=0 failed=0
expect() {
  n=$((n + 1))
  if printf '%s\n' "$text" | grep -qF -- "$1"; then
    echo "ok $n - $1"
  else
    failed=$((failed + 1))
    echo "not ok $n - $1"
    printf '%s\n' "$text" | sed 's/^/# /'
  fi
}

# Row 26: sizes that do not encode are refused, with their place. TVM accepted them.
text=$("$tetc" check "$dir/26_configurations.te" --vta-config "$dir/configs/too_large.json" 2>&1)
expect 'error[E0403]: LOG_ACC_BUFF_SIZE is too large'
expect 'too_large.json:6:3'

# Row 27: of every stage it is told where it runs and why, with its place. TVM was silent when a convolution ended up on the
# CPU.
text=$("$tetc" check "$dir/27_not_qualifying.te" --remarks 2>&1)
expect '27_not_qualifying.te:7:10: remark[R0001]: `conv` runs on the CPU: float32 input'
text=$("$tetc" check "$dir/19_cpu_after_vta.te" --remarks 2>&1)
expect '`back` runs on the CPU'
expect '`u` runs on VTA'
text=$("$tetc" check "$dir/28_gemm_spelled.te" --remarks 2>&1)
expect '`s` runs on VTA: tensorized to vta.gemm'
echo "1..$n"
[ $failed = 0 ]
