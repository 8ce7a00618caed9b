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

// A file that is there keeps who may do what with it.
static mode_t mode_of(const OutputFile *f, const char *path) {
  struct stat old;
  mode_t mask = umask(0), mode = (f->executable ? 0777 : 0666);
  umask(mask);
  mode &= ~mask;
  return stat(path, &old) ? mode : (old.st_mode & 0777) | (mode & 0111);
}

// A complete temporary file for f beside `path`; its name, or NULL after a report.
static const char *write_temporary(Ctx *cx, const OutputFile *f, const char *path) {
  const char *temp;
  int fd;
  do fd = open(temp = pending_name(cx, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  while (fd < 0 && errno == EEXIST);
  if (fd < 0) {
    cannot_write(cx, f->path, strerror(errno));
    return NULL;
  }
  int error = write_all(fd, f->data, f->len);
  if (!error && fchmod(fd, mode_of(f, path))) error = errno;
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
  if (!real && errno == ENOMEM) memory_out();
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

// Gives the complete files their names; none of them if that fails for one, or if not `ok`. What had a name before is
// kept under another until all is done.
static bool put_in_place(Ctx *cx, const OutputFile *files, size_t n, const char **temps, const char **paths, bool ok) {
  const char **old = NEW_ARRAY(cx->arena, const char *, n);
  size_t done = 0;
  for (size_t i = 0; ok && n > 1 && i < n; i++)
    if (temps[i] && link(paths[i], old[i] = pending_name(cx, paths[i]))) old[i] = NULL; // there was none
  pending_hold();
  for (; ok && done < n; done += ok)
    if (temps[done] && rename(temps[done], paths[done])) ok = cannot_write(cx, files[done].path, strerror(errno));
  for (size_t i = 0; i < n; i++) {
    if (!temps[i]) continue;
    if (!ok && i >= done) unlink(temps[i]);
    else if (!ok && (!old[i] || rename(old[i], paths[i]))) {
      unlink(paths[i]);
      if (old[i] && link(old[i], paths[i])) ok = false;
    }
    if (old[i]) unlink(old[i]);
  }
  pending_release();
  return ok;
}

// Writes all of the files, or (as far as regular files go) none.
bool outputs_write(Ctx *cx, const OutputFile *files, size_t n) {
  const char **temps = NEW_ARRAY(cx->arena, const char *, n);
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
  return put_in_place(cx, files, n, temps, paths, ok);
}
