#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# samples.sh TETC SAMPLES CONFIG BITS: the samples on a model of the core, at sizes that take moments; with a memory that
# pauses and reorders too. At the defaults the core must also be as quick as it is meant to be.
tetc=$1 samples=$2 model="--vta-config=$3 --rtl-bus=$4" n=0
case $3 in
  */default.json) add= gemm= conv="-D H=14 -D W=14 -K th=7 -K tw=14" ;;
  */least.json) add="-D M=4" gemm="-K mt=1" conv="-D H=4 -D W=4 -K th=1 -K tw=2" ;;
  *) add="-D M=32" gemm= conv="-D H=6 -D W=6 -K th=3 -K tw=3" ;;
esac
try() {
  n=$((n + 1))
  if "$tetc" run --device=rtl --check "$@" >/dev/null; then echo "ok $n - $*"; else echo "not ok $n - $*"; fi
}
for memory in "--rtl-latency=16" "--rtl-memory=dram" "--rtl-latency=60 --rtl-stalls=40 --rtl-reorder --rtl-bandwidth=35 --rtl-outstanding=3"; do
  # shellcheck disable=SC2086 # options
  {
    try "$samples/vector_add.te" $add $model $memory
    try "$samples/gemm.te" $gemm $model $memory
    try "$samples/conv2d_relu.te" $conv $model $memory
  }
done
# CYCLES args...: it takes no more than these.
at_most() {
  most=$1
  shift
  n=$((n + 1))
  cycles=$("$tetc" run --device=rtl --stats "$@" | sed -n 's/^stats: \([0-9]*\) cycles, .*/\1/p')
  if [ "${cycles:-$((most + 1))}" -le "$most" ]; then echo "ok $n - at most $most cycles: $*"; else
    echo "not ok $n - $cycles cycles, not at most $most: $*"
  fi
}
case $3:$4 in
  */default.json:64)
    at_most 480000 "$samples/conv2d_relu.te"
    try "$samples/../tests/kernels/alu/edges.te"
    at_most 15000 "$samples/../tests/kernels/copy/pad_wide.te" --rtl-memory=dram # its rows are short
    ;;
esac
echo "1..$n"
