#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_kernels.sh TETC DIR: runs every kernel of DIR with --check, once for each `// args:` line in it. TAP.
tetc=$1
n=0 failed=0
for k in "$2"/*.te; do
  args=$(sed -n 's|^// args: *||p' "$k")
  [ -n "$args" ] || args=' '
  while IFS= read -r line; do
    n=$((n + 1))
    # shellcheck disable=SC2086 # the line holds several arguments
    if text=$(timeout 60 "$tetc" run "$k" --check $line 2>&1); then
      echo "ok $n - $(basename "$k") $line"
    else
      failed=$((failed + 1))
      echo "not ok $n - $(basename "$k") $line"
      echo "$text" | sed 's/^/# /'
    fi
  done <<END
$args
END
done
echo "1..$n"
[ $failed = 0 ]
