#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# every_phase.sh run FILE.te ...: stands for tetc in tests/fuzz/fuzz_kernels.py. Every phase of the kernel, executed, agrees with
# the reference; every dump reads back as it is; and the passes make of the dumped text what they make of the kernel.
# $TETC is the compiler.
set -u
file=$2
config=
while [ $# -gt 0 ]; do
  [ "$1" = --vta-config ] && config="--vta-config $2"
  shift
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$TETC" verify "$file" $config || exit
"$TETC" compile "$file" $config --verify-each --dump-tir --dump-dir "$tmp/d" -o "$tmp/k.o" || exit
for f in "$tmp"/d/*.tir; do
  "$TETC" opt $config "$f" | cmp - "$f" || exit 4
done
"$TETC" opt $config --from lower --to intrin --verify-each "$tmp"/d/??-lower.tir | diff - "$tmp"/d/??-intrin.tir || exit 4
