#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every ```te block of the pages given as a program: run_docs.py TETC PAGE.md... prints TAP, a case a block. A block
whose first line is `// refused: E0301` must be refused with that code instead."""
import re
import subprocess
import sys


def main():
    tetc, pages = sys.argv[1], sys.argv[2:]
    count = failed = 0
    for page in pages:
        text = open(page, encoding="utf-8").read()
        for m in re.finditer(r"^```te\n(.*?)^```", text, re.M | re.S):
            count += 1
            line = text.count("\n", 0, m.start()) + 1
            refused = re.match(r"// refused: (E\d+)", m[1])
            p = subprocess.run([tetc, "run", "-", "--check"], input=m[1], text=True, capture_output=True, timeout=120)
            ok = f"error[{refused[1]}]" in p.stderr and p.returncode == 1 if refused else p.returncode == 0
            print(("ok" if ok else "not ok") + f" {count} - {page.rsplit('/', 1)[-1]}:{line}")
            if not ok:
                failed += 1
                print("# " + (p.stderr + p.stdout).replace("\n", "\n# "))
    print(f"1..{count}")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
