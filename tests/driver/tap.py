# SPDX-License-Identifier: Apache-2.0
"""Cases counted and told in the form of TAP."""
import sys

count = failed = 0


def case(name, complaint):
    """One case; what `complaint` says, if anything, is what is wrong."""
    global count, failed
    count += 1
    failed += bool(complaint)
    print(('not ok' if complaint else 'ok') + ' %d - %s' % (count, name))
    if complaint:
        print('# ' + str(complaint).replace('\n', '\n# '))


def end():
    """After the last case: the program ends."""
    print('1..%d' % count)
    sys.exit(1 if failed else 0)
