#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# samples.sh TETC SAMPLES CONFIG BITS: the samples on a model of the core, at sizes that take moments; with a memory that
# pauses and reorders too.
tetc=$1 samples=$2 model="--vta-config=$3 --rtl-bus=$4" n=0
case $3 in
  */default.json) add= conv="-D H=14 -D W=14 -K th=7 -K tw=14" ;;
  *) add="-D M=32" conv="-D H=6 -D W=6 -K th=3 -K tw=3" ;;
esac
try() {
  n=$((n + 1))
  if "$tetc" run --device=rtl --check "$@" >/dev/null; then echo "ok $n - $*"; else echo "not ok $n - $*"; fi
}
for memory in "--rtl-latency=16" "--rtl-memory=dram" "--rtl-latency=60 --rtl-stalls=40 --rtl-reorder --rtl-bandwidth=35 --rtl-outstanding=3"; do
  # shellcheck disable=SC2086 # options
  {
    try "$samples/vector_add.te" $add $model $memory
    try "$samples/gemm.te" $model $memory
    try "$samples/conv2d_relu.te" $conv $model $memory
  }
done
echo "1..$n"
