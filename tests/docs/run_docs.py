#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what the pages show: run_docs.py [--bless] TETC PAGE.md... prints TAP, a case a block.

```te       a complete program; `tetc run - --check` must accept it. With a first line `// refused: E0301` it must be
            refused with that code. `<!-- file: NAME -->` on the line before puts it in the page's folder as NAME.
```tir      a complete function; `tetc opt -` must print it exactly as it stands.
```console  lines `$ tetc ...` are run in that folder, samples/, boards/ and models/ (tests/net/models) being there too; what follows is the exact output (standard
            output, then standard error). A line `...` stands for any lines; a command that fails shows an error. --bless writes the outputs anew, keeping
            blocks that have a `...`.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(te|tir|console)\n(.*?)^```", re.M | re.S)


def run_program(tetc, text, folder):
    refused = re.match(r"// refused: (E\d+)", text)
    p = subprocess.run([tetc, "run", "-", "--check"], input=text, text=True, capture_output=True, timeout=120, cwd=folder)
    ok = f"error[{refused[1]}]" in p.stderr and p.returncode == 1 if refused else p.returncode == 0
    return ok, p.stderr + p.stdout


def run_tir(tetc, text, folder):
    p = subprocess.run([tetc, "opt", "-"], input=text, text=True, capture_output=True, timeout=120, cwd=folder)
    return p.returncode == 0 and p.stdout == text, p.stderr + p.stdout


def matches(shown, got):
    """Whether lines agree, `...` standing for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(line + "\n" for line in got)) is not None


def run_console(tetc, text, folder):
    """Runs each command; returns (all agree, the block as it should be)."""
    out, ok, lines = [], True, text.split("\n")[:-1]
    i = 0
    while i < len(lines):
        command = lines[i]
        assert command.startswith("$ "), f"not a command: {command}"
        j = i + 1
        while j < len(lines) and not lines[j].startswith("$ "):
            j += 1
        p = subprocess.run(["sh", "-c", command[2:].replace("tetc", '"$TETC"', 1)], text=True, capture_output=True, timeout=120,
                           cwd=folder, env=dict(os.environ, TETC=tetc, NO_COLOR="1"))
        got = (p.stdout + p.stderr).rstrip("\n").split("\n") if p.stdout + p.stderr else []
        shown = lines[i + 1:j]
        good = matches(shown, got) and (p.returncode == 0 or "error" in "".join(shown) or "not ok" in "".join(shown))
        ok = ok and good
        out += [command] + (shown if good else got)
        i = j
    return ok, "".join(line + "\n" for line in out)


def main():
    args = sys.argv[1:]
    bless = args[0] == "--bless"
    tetc, pages = os.path.abspath(args[bless]), args[bless + 1:]
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    count = failed = 0
    for page in pages:
        text = open(page, encoding="utf-8").read()
        with tempfile.TemporaryDirectory() as folder:
            for shown in ("samples", "boards", "tests/net/models"):
                shutil.copytree(os.path.join(root, shown), os.path.join(folder, os.path.basename(shown)))

            def block(m):
                nonlocal count, failed
                count += 1
                line = text.count("\n", 0, m.start()) + 1
                new = m[0]
                if m[1]:
                    with open(os.path.join(folder, m[1]), "w", encoding="utf-8") as f:
                        f.write(m[3])
                if m[2] == "te":
                    ok, seen = run_program(tetc, m[3], folder)
                elif m[2] == "tir":
                    ok, seen = run_tir(tetc, m[3], folder)
                else:
                    ok, seen = run_console(tetc, m[3], folder)
                    if bless and not ok:
                        new, ok = m[0].replace(m[3], seen), True
                print(("ok" if ok else "not ok") + f" {count} - {os.path.basename(page)}:{line}")
                if not ok:
                    failed += 1
                    print("# " + seen.replace("\n", "\n# "))
                return new

            blessed = BLOCK.sub(block, text)
        if bless and blessed != text:
            with open(page, "w", encoding="utf-8") as f:
                f.write(blessed)
    print(f"1..{count}")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
