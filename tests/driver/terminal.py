# SPDX-License-Identifier: Apache-2.0
"""Runs of a program whose standard error is a terminal."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

# What tells a program how to print; a test starts without.
LOOKS = ('NO_COLOR', 'TERM', 'COLUMNS', 'LANG', 'LC_CTYPE', 'LC_ALL')


def on_terminal(command, width, cwd, stdin=subprocess.DEVNULL, **env):
    """Standard error of a run in cwd, on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
    p = subprocess.Popen(command, cwd=cwd, stdin=stdin, stdout=subprocess.DEVNULL, stderr=slave,
                         env={**{k: v for k, v in os.environ.items() if k not in LOOKS}, **env})
    os.close(slave)
    out = b''
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    p.wait()
    os.close(master)
    return out.decode().replace('\r\n', '\n')
