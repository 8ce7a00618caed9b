// SPDX-License-Identifier: Apache-2.0
// A reproducer: what is needed to see a failure of a pass again, in one file that `tetc opt` reads. It has the command
// and the TIR that the pass was given.
#include "driver/driver.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char default_name[] = "tetc-reproducer.tir";

void trail_note(Driver *d, const char *phase, const Func *given) {
  if (!diags_errors(d->cx.diags)) d->trail = (Trail){phase, given};
}

// An argument as a shell reads it, on one line.
static void put_argument(Text *out, const char *s) {
  bool plain = *s != '\0';
  for (const char *c = s; *c; c++)
    plain &=
        (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("_./=,:+-@", *c);
  if (plain) {
    text_add(out, " %s", s);
    return;
  }
  text_add(out, " '");
  for (const char *c = s; *c; c++) {
    if (*c == '\'') text_add(out, "'\\''");
    else text_add(out, "%c", *c == '\n' || *c == '\r' ? ' ' : *c);
  }
  text_add(out, "'");
}

// "// tetc opt -p sync ..." or why there is nothing to read.
static void put_advice(Text *out, const char *pass, const Func *given, const char *path) {
  if (!given) text_add(out, "// there is no TIR before it: the command is all there is\n");
  else if (pass_find(pass) < 0) text_add(out, "// this is what it was given\n");
  else text_add(out, "// tetc opt -p %s --verify-each %s\n", pass, path);
}

void reproducer_write(Driver *d) {
  const Func *given = d->trail.given;
  const char *pass = d->trail.phase ? d->trail.phase : "what comes before TIR";
  const char *path = d->opt.reproducer ? d->opt.reproducer : default_name;
  Text t = {.arena = d->cx.arena};
  text_add(&t, "// tetc %s, a failure of %s. It was:\n//", TETC_VERSION, pass);
  for (int i = 0; i < d->argc; i++) put_argument(&t, i ? d->argv[i] : "tetc");
  text_add(&t, "\n");
  put_advice(&t, pass, given, path);
  if (given) tir_print(given, &(TirPrintOptions){.locations = true}, &t);
  OutputFile f = {.path = path, .data = t.data, .len = t.len};
  bool written = outputs_write(&d->cx, &f, 1);
  if (d->opt.diagnostics != DIAG_TEXT) return; // standard error is for a program
  if (written) fprintf(stderr, "tetc: `%s` has what is needed to see this again\n", path);
  else fprintf(stderr, "tetc: what is needed to see this again cannot be written to `%s`\n", path);
}

// A mistake of ours ends the process; before that, this.
static void on_bug(void *self) {
  Driver *d = self;
  arena_on_exhaustion(d->cx.arena, NULL, 0);
  reproducer_write(d);
}

static void put_bytes(int file, const char *text) {
  ssize_t n = write(file, text, strlen(text));
  (void)n; // there is nobody to tell
}

// In a signal handler, when nothing else has worked: the command, without quotes, and the pass.
static void on_fault(void *self) {
  const Driver *d = self;
  int file = open(d->opt.reproducer ? d->opt.reproducer : default_name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0) return;
  put_bytes(file, "// a failure of ");
  put_bytes(file, d->trail.phase ? d->trail.phase : "what comes before TIR");
  put_bytes(file, ", of which nothing more could be written. The command was:\n// tetc");
  for (int i = 1; i < d->argc; i++) {
    put_bytes(file, " ");
    put_bytes(file, d->argv[i]);
  }
  put_bytes(file, "\n");
  close(file);
}

void reproducer_arm(Driver *d, int argc, char **argv) {
  d->argc = argc;
  d->argv = argv;
  bug_then(on_bug, d);
  stack_then(on_bug, on_fault, d);
}

void reproducer_disarm(void) {
  bug_then(NULL, NULL);
  stack_then(NULL, NULL, NULL);
}
