#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dumps.sh TETC FILE.te ...: every phase of every kernel that compiles is a text with places that is read and printed the same,
# and without them too.
set -u
tetc=$1
shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo "1..$#"
n=0 dumps=0
for k; do
  n=$((n + 1)) wrong=
  config=
  set -- "$(dirname "$k")"/configs/"$(basename "$k" .te)".json
  [ ! -e "$1" ] || config="--vta-config $1"
  rm -rf "$tmp/d" "$tmp/e"
  # shellcheck disable=SC2086 # $config is two words or none
  if "$tetc" compile "$k" $config --print-locations --dump-tir --dump-dir "$tmp/d" -o "$tmp/k.o" >"$tmp/log" 2>&1 &&
    "$tetc" compile "$k" $config --dump-tir --dump-dir "$tmp/e" -o "$tmp/k.o" >"$tmp/log" 2>&1; then
    for f in $(cd "$tmp/d" && find . -name '*.tir'); do
      dumps=$((dumps + 1))
      "$tetc" opt $config --print-locations "$tmp/d/$f" | cmp -s - "$tmp/d/$f" || wrong="$wrong $f with places"
      "$tetc" opt $config "$tmp/d/$f" | cmp -s - "$tmp/e/$f" || wrong="$wrong $f without"
    done
  fi
  if [ -z "$wrong" ]; then echo "ok $n - $(basename "$k")"; else echo "not ok $n - $k:$wrong"; fi
done
echo "# $dumps dumps"
