// SPDX-License-Identifier: Apache-2.0
// A log is a file of lines, each a JSON object that says all of itself: what was measured, of what, with what. So logs
// are merged by `cat`, and read in any order; what is of something else, or is not whole, is passed by and counted.
#include "tune/tune.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool tune_in_cycles(const char *device) { return strcmp(device, "host") != 0; }

// ---- reading --------------------------------------------------------------------------------------------------------

static const char *text_of(const json_t *line, const char *key) {
  return json_string_value(json_object_get(line, key)); // NULL: it is not there, or something else
}

static bool number_of(const json_t *line, const char *key, double *out) {
  const json_t *v = json_object_get(line, key);
  *out = json_number_value(v);
  return json_is_number(v) && *out > 0 && *out < 1e18;
}

// What a line says was measured; false: it says nothing, or two things.
static bool read_result(const json_t *line, const char *device, TuneResult *r) {
  *r = (TuneResult){0};
  const char *failed = text_of(line, "failed");
  double samples;
  if (failed) {
    snprintf(r->why, sizeof r->why, "%s", failed);
    return !json_object_get(line, "cycles") && !json_object_get(line, "seconds");
  }
  r->measured = true;
  if (tune_in_cycles(device))
    return json_is_integer(json_object_get(line, "cycles")) && number_of(line, "cycles", &r->value) &&
           !json_object_get(line, "seconds");
  bool all = number_of(line, "seconds", &r->value) && number_of(line, "low", &r->low) &&
             number_of(line, "high", &r->high) && number_of(line, "samples", &samples);
  r->samples = all ? (int64_t)samples : 0;
  return all && r->low <= r->value && r->value <= r->high && !json_object_get(line, "cycles");
}

static int order(const TuneEntry *a, const TuneEntry *b) {
  int by = strcmp(a->device, b->device);
  return by ? by : strcmp(a->plan, b->plan);
}

// Of two results of one plan, the one to be kept comes first: the order of lines must not count.
static int compare(const void *x, const void *y) {
  const TuneEntry *a = x, *b = y;
  const TuneResult *r = &a->result, *q = &b->result;
  int by = order(a, b);
  if (by) return by;
  if (r->measured != q->measured) return r->measured ? -1 : 1;
  if (r->measured) return (r->value > q->value) - (r->value < q->value);
  return strcmp(r->why, q->why);
}

// Each plan once for each device, in an order to search in.
static void keep_best(TuneLog *log) {
  TuneEntry *e = log->entries.data;
  size_t kept = 0;
  if (log->entries.len) qsort(e, log->entries.len, sizeof *e, compare);
  for (size_t i = 0; i < log->entries.len; i++)
    if (!kept || order(&e[kept - 1], &e[i])) e[kept++] = e[i];
  log->entries.len = kept;
}

static bool known_device(const char *device) {
  static const char *const devices[] = {"rtl", "model", "host"};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
    if (device && !strcmp(device, devices[i])) return true;
  return false;
}

// False: the line is none of a log.
static bool read_line(Ctx *cx, TuneLog *log, const TuneKey *key, const json_t *line, size_t number) {
  const json_t *schema = json_object_get(line, "schema");
  if (!json_is_integer(schema)) return false;
  if (json_integer_value(schema) != TUNE_SCHEMA) return log->version++, true; // another one's keys are not known
  const char *hash = text_of(line, "hash"), *tetc = text_of(line, "tetc"), *hardware = text_of(line, "hardware");
  const char *flags = text_of(line, "flags"), *device = text_of(line, "device"), *plan = text_of(line, "plan");
  TuneEntry e = {.line = number};
  if (!hash || !tetc || !hardware || !flags || !plan || !text_of(line, "kernel") || !known_device(device)) return false;
  if (!read_result(line, device, &e.result)) return false;
  if (strcmp(hash, key->hash)) return true; // another kernel's
  bool other = strcmp(tetc, key->tetc) != 0;
  if (other && log->use != TUNE_LOG_IS_ALL) return log->version++, true;
  if (strcmp(hardware, key->hardware) || strcmp(flags, key->flags)) return log->hardware++, true;
  log->version += other;
  e.device = arena_printf(cx->arena, "%s", device);
  e.plan = arena_printf(cx->arena, "%s", plan);
  VEC_PUSH(cx->arena, log->entries, e);
  return true;
}

static void read_lines(Ctx *cx, FILE *f, const TuneKey *key, TuneLog *log) {
  char *text = NULL;
  size_t room = 0;
  ssize_t len;
  for (size_t number = 1; (len = getline(&text, &room, f)) >= 0; number++) {
    if (len == 1 && *text == '\n') continue;
    json_t *line = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(line) || !read_line(cx, log, key, line, number)) {
      if (!log->garbage++) log->garbage_line = number;
    }
    json_decref(line);
  }
  free(text);
}

bool tune_log_read(Ctx *cx, const char *path, const TuneKey *key, TuneLogUse use, TuneLog *out) {
  *out = (TuneLog){.path = path, .use = use};
  FILE *f = fopen(path, "re");
  if (!f && errno == ENOENT && use == TUNE_LOG_GROWS) return true;
  bool ok = f != NULL;
  if (f) {
    read_lines(cx, f, key, out);
    ok = !ferror(f);
    keep_best(out);
  }
  if (!ok) diag_report(cx->diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", path, strerror(errno));
  if (f) fclose(f);
  return ok;
}

const TuneEntry *tune_log_find(const TuneLog *log, const char *device, const char *plan) {
  TuneEntry wanted = {.device = device, .plan = plan};
  size_t from = 0, to = log->entries.len;
  while (from < to) {
    size_t middle = (from + to) / 2;
    int by = order(&log->entries.data[middle], &wanted);
    if (!by) return &log->entries.data[middle];
    if (by < 0) from = middle + 1;
    else to = middle;
  }
  return NULL;
}

// ---- writing --------------------------------------------------------------------------------------------------------

// A reason may quote what a user wrote, in any bytes.
static json_t *plain_text(const char *text) {
  char plain[sizeof((TuneResult *)0)->why];
  snprintf(plain, sizeof plain, "%s", text);
  for (char *p = plain; *p; p++)
    if (*p < ' ' || *p > '~') *p = '?';
  return json_string(plain);
}

static json_t *line_of(const TuneKey *k, const char *plan, const TuneResult *r) {
  json_t *line =
      json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "schema", TUNE_SCHEMA, "tetc", k->tetc, "kernel", k->kernel,
                "hash", k->hash, "hardware", k->hardware, "flags", k->flags, "device", k->device, "plan", plan);
  if (!line) return NULL;
  if (!r->measured) json_object_set_new(line, "failed", plain_text(r->why));
  else if (tune_in_cycles(k->device)) json_object_set_new(line, "cycles", json_integer((json_int_t)r->value));
  else {
    json_object_set_new(line, "seconds", json_real(r->value));
    json_object_set_new(line, "low", json_real(r->low));
    json_object_set_new(line, "high", json_real(r->high));
    json_object_set_new(line, "samples", json_integer(r->samples));
  }
  return line;
}

// Whether a file ends inside a line, which somebody did not finish.
static bool ends_in_line(int fd) {
  char last;
  off_t size = lseek(fd, 0, SEEK_END);
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

// One write, so that no other process's line stands in it.
static bool write_line(const char *path, const char *text, size_t len) {
  int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  size_t skip = !ends_in_line(fd); // of the newline before it
  ssize_t n = write(fd, text + skip, len - skip);
  bool ok = n == (ssize_t)(len - skip);
  if (n >= 0 && !ok) errno = ENOSPC;
  return !close(fd) && ok;
}

bool tune_log_append(Ctx *cx, const char *path, const TuneKey *key, const char *plan, const TuneResult *r) {
  json_t *line = line_of(key, plan, r);
  char *text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  json_decref(line);
  if (!text) memory_out();
  char *whole = arena_printf(cx->arena, "\n%s\n", text ? text : "");
  free(text);
  if (write_line(path, whole, strlen(whole))) return true;
  diag_report(cx->diags, E_FILE, (Loc){0}, "cannot write to `%s`: %s", path, strerror(errno));
  return false;
}
