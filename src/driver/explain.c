// SPDX-License-Identifier: Apache-2.0
// tetc explain: the page of a diagnostic out of docs/diagnostics.md, which is part of the program.
#include "driver/driver.h"

#include <string.h>

extern const char explain_pages[]; // docs/diagnostics.md, made by the build

// The section `## CODE ...` of the pages; NULL if there is none.
static const char *page_of(const char *code, size_t *len) {
  char heading[32];
  snprintf(heading, sizeof heading, "\n## %s ", code);
  const char *start = strstr(explain_pages, heading);
  if (!start) return NULL;
  start++;
  const char *end = strstr(start, "\n## ");
  *len = end ? (size_t)(end - start) + 1 : strlen(start);
  return start;
}

// A line for each code.
static void list_codes(void) {
  for (int c = 0; c < DIAG_CODE_COUNT; c++)
    printf("%s  %s\n", diag_code_text((DiagCode)c), diag_code_title((DiagCode)c));
}

int command_explain(Driver *d) {
  DiagCode code;
  size_t len = 0;
  if (!d->opt.files.len) return list_codes(), EXIT_DONE;
  const char *text = d->opt.files.data[0];
  if (!diag_code_of(text, &code)) return usage_error(d, "there is no diagnostic `%s`; `tetc explain` lists them", text);
  const char *page = page_of(diag_code_text(code), &len);
  if (page) printf("%.*s", (int)len, page);
  else printf("%s: %s\n", diag_code_text(code), diag_code_title(code));
  return EXIT_DONE;
}
