#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden cases of single passes: run.py TETC [--bless] [CASE...] prints TAP, a case a file PASS/NAME.tir or .te.

A case is what the pass is given, a line `====`, and what must come out: the program, then the messages. The folder names the
pass; a line `// passes: P,Q` names others. A .te case is compiled up to the pass, for what TIR cannot be given to.
Everything that comes out is verified (--verify-each) and must print and read back the same. --bless writes what comes out.
"""
import os
import re
import subprocess
import sys
import tempfile

CUT = "\n====\n"


def tetc_run(tetc, folder, *args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=60, cwd=folder, stdin=subprocess.DEVNULL)
    return p.returncode, p.stdout, p.stderr


def case_output(tetc, folder, path, given):
    """What the case gives; None and why if it is not a proper program or a failure of ours."""
    name = os.path.basename(path)
    named = re.search(r"^// passes: (.+)$", given, re.M)
    passes = named[1] if named else os.path.basename(os.path.dirname(path))
    with open(os.path.join(folder, name), "w") as f:
        f.write(given)
    if name.endswith(".te"):
        form = ["--dump-tir=schedule"] if passes == "schedule" else ["--emit=tir"]
        code, out, err = tetc_run(tetc, folder, "compile", name, f"--stop-after={passes}", *form)
    else:
        code, out, err = tetc_run(tetc, folder, "opt", "-p", passes, "--verify-each", name)
    if code not in (0, 1):
        return None, f"status {code}\n{err}"
    if code == 0 and passes != "schedule":
        with open(os.path.join(folder, "again.tir"), "w") as f:
            f.write(out)
        if tetc_run(tetc, folder, "opt", "again.tir") != (0, out, ""):
            return None, f"does not read back\n{out}"
    return out + err, None


def run_case(tetc, folder, path, bless):
    """Why the case fails; None if it does not."""
    with open(path) as f:
        given, cut, want = f.read().partition(CUT)
    given += "\n" if cut else ""
    got, why = case_output(tetc, folder, path, given)
    if why or got == want:
        return why
    if not bless:
        return f"gives\n{got}"
    with open(path, "w") as f:
        f.write(given.rstrip("\n") + CUT + got)
    return None


def main():
    args = sys.argv[1:]
    bless = "--bless" in args
    tetc, *paths = [os.path.abspath(a) for a in args if a != "--bless"]
    here = os.path.dirname(os.path.abspath(__file__))
    if not paths:
        paths = sorted(os.path.join(d, f) for d, _, names in os.walk(here) for f in names if f.endswith((".tir", ".te")))
    print(f"1..{len(paths)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(paths, 1):
            why = run_case(tetc, folder, path, bless)
            failed += why is not None
            print(f"{'not ok' if why else 'ok'} {i} - {os.path.relpath(path, here)}")
            if why:
                print("".join(f"# {line}\n" for line in why.split("\n")), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
