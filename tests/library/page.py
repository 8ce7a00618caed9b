#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""page.py [--bless] NN.te LIBRARY.md: docs/library.md is what the comments of lib/nn.te say. Prints TAP.

Above each def stand its meaning, a line or two of shapes (`//   data [n, c] -> [n]`), and an example (`//   e.g. ...`): the inside of
a kernel. `// ---- Title ---` begins a section; what follows it up to an empty line belongs to it.
"""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'driver'))
from tap import case, end  # noqa: E402


def uncommented(block):
    return [line[3:] if line.startswith('// ') else line[2:] for line in block.splitlines()]


def operator(comment, name, parameters):
    """The part of the page; a complaint."""
    said = comment.split('  e.g. ')
    if len(said) != 2:
        return '', f'`{name}` has no example'
    lines = said[0].splitlines()
    meaning = ' '.join(line for line in lines if not line.startswith('  '))
    shapes = ' '.join(line.strip() for line in lines if line.startswith('  '))
    parameters = re.sub(r'\s+', ' ', re.sub(r'(\w)\[[^][]*\] : \w+', r'\1', parameters))
    example = ''.join('  ' + line.strip() + '\n' for line in said[1].rstrip('\n').split('\n'))
    text = f'### {name}\n\n{meaning}\n\n    {name}({parameters})\n' + (f'    {shapes}\n' if shapes else '')
    return text + f'\n```te\nimport "nn.te";\nkernel example {{\n{example}}}\n```\n\n', None


def page(text):
    """The page, and complaints."""
    out, complaints = [], []
    for part in re.split(r'\n\n+', text.strip() + '\n'):
        head = re.match(r'// ---- (.*?) -+\n?', part)
        if head:
            out.append(f'## {head[1]}\n\n' + ''.join(line + '\n' for line in uncommented(part[head.end():])))
            out[-1] = re.sub(r'^(const .*)$', r'    \1', out[-1].rstrip('\n'), flags=re.M) + '\n\n'
            continue
        found = re.match(r'((?://.*\n)+)def (\w+)\((.*?)\) \{', part, re.S)
        if found and 'Inside:' in found[1]:
            continue
        if found:
            section, complaint = operator('\n'.join(uncommented(found[1])), found[2], found[3])
            out.append(section)
            complaints += [complaint] if complaint else []
        elif 'SPDX' in part:
            out.append('# The library\n\n' + '\n'.join(uncommented(part)[1:]) + '\n\n')
        else:
            complaints.append(f'not understood: {part[:60]}')
    note = '<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- Made from lib/nn.te by tests/library/page.py. -->\n'
    return note + ''.join(out).replace('\n\n\n', '\n\n').rstrip('\n') + '\n', complaints


def main():
    bless = sys.argv[1] == '--bless'
    library, path = sys.argv[1 + bless:]
    with open(library, encoding='utf-8') as f:
        text, complaints = page(f.read())
    if bless:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    with open(path, encoding='utf-8') as f:
        case('docs/library.md says what lib/nn.te says', None if f.read() == text else 'tests/library/page.py --bless makes it anew')
    case('each operator has its line and its example', '\n'.join(complaints))
    end()


main()
