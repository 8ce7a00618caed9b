#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# samples.sh TETC SAMPLES: the samples on the core, at sizes that take moments; with a memory that pauses and reorders too.
tetc=$1 samples=$2 n=0
try() {
  n=$((n + 1))
  if "$tetc" run --device=rtl --check "$@" >/dev/null; then echo "ok $n - $*"; else echo "not ok $n - $*"; fi
}
for memory in "--rtl-latency=16" "--rtl-memory=dram" "--rtl-latency=60 --rtl-stalls=40 --rtl-reorder --rtl-bandwidth=35 --rtl-outstanding=3"; do
  # shellcheck disable=SC2086 # options
  {
    try "$samples/vector_add.te" $memory
    try "$samples/gemm.te" $memory
    try "$samples/conv2d_relu.te" -D H=14 -D W=14 -K th=7 -K tw=14 $memory
  }
done
echo "1..$n"
