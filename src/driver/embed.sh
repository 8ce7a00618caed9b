#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh NAME FILE OUT: makes a C file that defines `const char NAME[]` with the text of FILE.
set -eu
{
  printf '// SPDX-License-Identifier: Apache-2.0\nextern const char %s[];\nconst char %s[] = "\\n"\n' "$1" "$1"
  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$2"
  printf ';\n'
} > "$3"
