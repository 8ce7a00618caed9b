// SPDX-License-Identifier: Apache-2.0
// Source files, read whole. What is not text (NUL bytes), too large or a directory is refused here, so that the
// rooms above see only NUL-terminated text whose offsets fit 32 bits.
#include "base/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SOURCE = 256 << 20 }; // bytes

// Wraps text as a source; the text and path are copied.
const Source *source_new(Arena *a, const char *path, const char *text, size_t len) {
  Source *s = NEW(a, Source);
  s->path = arena_printf(a, "%s", path);
  char *copy = arena_alloc(a, len + 1);
  if (len) memcpy(copy, text, len);
  s->text = copy;
  s->len = len;
  uint32_t lines = 1;
  for (const char *p = copy, *end = copy + len; (p = memchr(p, '\n', (size_t)(end - p))); p++) lines++;
  s->line_start = NEW_ARRAY(a, uint32_t, lines);
  s->nlines = lines;
  uint32_t line = 1;
  for (size_t i = 0; i < len && line < lines; i++)
    if (copy[i] == '\n') s->line_start[line++] = (uint32_t)(i + 1);
  return s;
}

// Reads from fd to its end into a malloc'ed block; NULL with *error on failure.
static char *read_all(int fd, size_t guess, size_t *len, const char **error) {
  size_t cap = guess + 1, n = 0;
  char *data = malloc(cap);
  while (data) {
    if (n == cap) {
      char *more = realloc(data, cap *= 2);
      if (!more) break;
      data = more;
    }
    ssize_t got = read(fd, data + n, cap - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      *error = strerror(errno);
      free(data);
      return NULL;
    }
    if (got == 0) {
      *len = n;
      return data;
    }
    n += (size_t)got;
    if (n > MAX_SOURCE) {
      *error = "larger than 256 MiB";
      free(data);
      return NULL;
    }
  }
  free(data);
  memory_out();
  *error = "out of memory";
  return NULL;
}

// Opens path (not following into directories or devices that never end); -1 with *error.
static int open_source(const char *path, size_t *size, const char **error) {
  *size = 4096;
  if (!strcmp(path, "-")) return STDIN_FILENO;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st)) {
    *error = strerror(errno);
    if (fd >= 0) close(fd);
    return -1;
  }
  if (S_ISDIR(st.st_mode)) *error = "it is a directory";
  else if (S_ISBLK(st.st_mode)) *error = "it is a block device";
  else if (S_ISREG(st.st_mode) && st.st_size > MAX_SOURCE) *error = "larger than 256 MiB";
  else if (S_ISREG(st.st_mode)) *size = (size_t)st.st_size + 1;
  if (!*error) return fd;
  close(fd);
  return -1;
}

// Reads a file whole; "-" is standard input.
const Source *source_read(Arena *a, const char *path, const char **error) {
  size_t len = 0, size;
  *error = NULL;
  int fd = open_source(path, &size, error);
  if (fd < 0) return NULL;
  char *data = read_all(fd, size, &len, error);
  if (fd != STDIN_FILENO) close(fd);
  if (!data) return NULL;
  const Source *s = NULL;
  const char *nul = memchr(data, 0, len);
  if (nul) *error = arena_printf(a, "it is not text: byte %zu is NUL", (size_t)(nul - data));
  else s = source_new(a, strcmp(path, "-") ? path : "<stdin>", data, len);
  free(data);
  return s;
}

// From the start of `first` to the end of `last`; an unknown one is ignored.
Loc loc_join(Loc first, Loc last) {
  if (!loc_known(first)) return last;
  if (!loc_known(last) || last.src != first.src) return first;
  first.end_line = last.end_line;
  first.end_col = last.end_col;
  return first;
}

bool loc_before(Loc a, Loc b) { return a.line < b.line || (a.line == b.line && a.col < b.col); }

const Source *source_edits(Arena *a, const Source *src, size_t n, const SourceEdit *edits) {
  SourceEdit *sorted = arena_copy(a, edits, n * sizeof *edits);
  for (size_t i = 1; i < n; i++)
    for (size_t k = i; k > 0 && loc_before(sorted[k].at, sorted[k - 1].at); k--) {
      SourceEdit e = sorted[k];
      sorted[k] = sorted[k - 1];
      sorted[k - 1] = e;
    }
  Text t = {.arena = a};
  size_t from = 0, begin, end;
  for (size_t i = 0; i < n; i++, from = end) {
    loc_bytes(sorted[i].at, &begin, &end);
    text_add_bytes(&t, src->text + from, begin - from);
    text_add(&t, "%s", sorted[i].replacement);
  }
  text_add_bytes(&t, src->text + from, src->len - from);
  return source_new(a, src->path, t.data, t.len);
}

const Source *source_edit(Arena *a, Loc at, const char *replacement) {
  return source_edits(a, at.src, 1, &(SourceEdit){at, replacement});
}

static bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool in_comment(const Source *src, const char *p) {
  const char *line = p;
  while (line > src->text && line[-1] != '\n') line--;
  return memmem(line, (size_t)(p - line), "//", 2) != NULL;
}

static bool has_word(const Source *src, const char *word) {
  size_t n = strlen(word);
  for (const char *p = src->text; (p = strstr(p, word)); p++) {
    bool whole = (p == src->text || !is_word((unsigned char)p[-1])) && !is_word((unsigned char)p[n]);
    if (whole && !in_comment(src, p)) return true;
  }
  return false;
}

const char *source_fresh_name(Arena *a, const Source *src, const char *base) {
  const char *name = base;
  for (int i = 2; src && has_word(src, name); i++) name = arena_printf(a, "%s_%d", base, i);
  return name;
}
