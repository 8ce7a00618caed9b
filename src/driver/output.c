// SPDX-License-Identifier: Apache-2.0
// Output files appear whole or not at all: everything is written to temporary files beside the targets, and only when
// all of them are complete are they renamed. What is not a regular file (a pipe, /dev/null) is written directly.
#include "driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The last part of a path.
const char *path_base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

// The path with its suffix replaced, or added if its name has none.
const char *path_with_suffix(Arena *a, const char *path, const char *suffix) {
  const char *base = path_base(path), *dot = strrchr(base, '.');
  size_t n = dot && dot != base ? (size_t)(dot - path) : strlen(path);
  return arena_printf(a, "%.*s.%s", (int)n, path, suffix);
}

// Writes everything to fd; 0 or the error.
static int write_all(int fd, const void *data, size_t len) {
  const char *p = data;
  while (len) {
    ssize_t n = write(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    p += n;
    len -= (size_t)n;
  }
  return 0;
}

static bool cannot_write(Ctx *cx, const char *path, const char *why) {
  diag_report(cx->diags, E_FILE, (Loc){0}, "cannot write `%s`: %s", path, why);
  return false;
}

// Writes to a file that exists and is not a regular one.
static bool write_directly(Ctx *cx, const OutputFile *f, const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return cannot_write(cx, f->path, strerror(errno));
  if (f->binary && isatty(fd)) {
    close(fd);
    return cannot_write(cx, f->path, "it is a terminal, and the output is binary");
  }
  int error = write_all(fd, f->data, f->len);
  if (close(fd) && !error) error = errno;
  return error ? cannot_write(cx, f->path, strerror(error)) : true;
}

// Writes to standard output.
static bool write_stdout(Ctx *cx, const OutputFile *f) {
  if (f->binary && isatty(STDOUT_FILENO)) {
    Diag *g = diag_report(cx->diags, E_FILE, (Loc){0}, "binary output is not written to a terminal");
    diag_help(g, "`-o FILE` names a file; `| cat` forces it");
    return false;
  }
  int error = fflush(stdout) ? errno : write_all(STDOUT_FILENO, f->data, f->len);
  return error ? cannot_write(cx, "standard output", strerror(error)) : true;
}

// A complete temporary file for f beside `path`; its name, or NULL after a report.
static char *write_temporary(Ctx *cx, const OutputFile *f, const char *path) {
  size_t dir = (size_t)(path_base(path) - path);
  char *temp = arena_printf(cx->arena, "%.*s.tetc-XXXXXX", (int)dir, path);
  int fd = mkostemp(temp, O_CLOEXEC);
  if (fd < 0) {
    cannot_write(cx, f->path, strerror(errno));
    return NULL;
  }
  mode_t mask = umask(0);
  umask(mask);
  int error = write_all(fd, f->data, f->len);
  if (!error && fchmod(fd, (f->executable ? 0777 : 0666) & ~mask)) error = errno;
  if (close(fd) && !error) error = errno;
  if (!error) return temp;
  unlink(temp);
  cannot_write(cx, f->path, strerror(error));
  return NULL;
}

// Where a file goes: links are followed, so that they stay links. *direct: it is no regular file.
static const char *target_of(Ctx *cx, const char *path, bool *direct) {
  struct stat st;
  *direct = false;
  if (stat(path, &st)) return path;
  *direct = !S_ISREG(st.st_mode);
  char *real = realpath(path, NULL);
  if (!real) return path;
  path = arena_printf(cx->arena, "%s", real);
  free(real);
  return path;
}

bool output_reserve(Ctx *cx, const char *path, PendingFile *out) {
  bool direct = !strcmp(path, "-");
  *out = (PendingFile){.path = path};
  if (!direct) out->target = target_of(cx, path, &direct);
  if (direct) return cannot_write(cx, path, "only a regular file will do");
  out->temp = write_temporary(cx, &(OutputFile){.path = path, .data = ""}, out->target);
  return out->temp != NULL;
}

void output_discard(PendingFile *f) {
  if (f->temp) unlink(f->temp);
  f->temp = NULL;
}

bool output_commit(Ctx *cx, PendingFile *f, const char *why) {
  if (!f->temp) return true;
  if (!why && rename(f->temp, f->target)) why = strerror(errno);
  if (why) output_discard(f);
  f->temp = NULL;
  return !why || cannot_write(cx, f->path, why);
}

// Writes all of the files, or (as far as regular files go) none.
bool outputs_write(Ctx *cx, const OutputFile *files, size_t n) {
  char **temps = NEW_ARRAY(cx->arena, char *, n);
  const char **paths = NEW_ARRAY(cx->arena, const char *, n);
  bool ok = true, direct;
  for (size_t i = 0; i < n && ok; i++) {
    if (!strcmp(files[i].path, "-")) continue;
    paths[i] = target_of(cx, files[i].path, &direct);
    if (direct) continue;
    temps[i] = write_temporary(cx, &files[i], paths[i]);
    ok = temps[i] != NULL;
  }
  for (size_t i = 0; i < n && ok; i++) {
    if (temps[i]) continue;
    ok = paths[i] ? write_directly(cx, &files[i], paths[i]) : write_stdout(cx, &files[i]);
  }
  for (size_t i = 0; i < n; i++) {
    if (!temps[i]) continue;
    if (ok && rename(temps[i], paths[i])) ok = cannot_write(cx, files[i].path, strerror(errno));
    if (!ok) unlink(temps[i]);
  }
  return ok;
}
