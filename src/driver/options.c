// SPDX-License-Identifier: Apache-2.0
// The command line: one table (options.def) makes the parser and --help. A value follows its option in the same word
// (-DM=3, --emit=obj, -mcpu=native) or in the next one; `--` ends options.
#include "driver/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum OptionKind { FLAG, TEXT, MAYBE, INT, CHOICE, DEFINE, LIST, PAIR, ALIAS } OptionKind;

typedef struct OptionSpec {
  OptionKind kind;
  size_t offset; // of the field in Options
  const char *name, *argument;
  unsigned commands;
  const char *help;
} OptionSpec;

static const OptionSpec specs[] = {
#define OPTION(kind, field, name, argument, commands, help) \
  {kind, offsetof(Options, field), name, argument, commands, help},
#include "driver/options.def"
};
enum { SPEC_COUNT = sizeof specs / sizeof *specs };

// Defaults that are not zero.
void options_init(Options *o) {
  *o = (Options){0};
  o->opt_level = 2;
  o->rtl_memory = o->rtl_bus = -1;
  o->rtl_latency = o->rtl_write_latency = o->rtl_bandwidth = o->rtl_outstanding = -1;
  o->memory = 4096;
  o->plan_effort = o->jobs = o->device = -1;
  o->time_limit = 60;
}

// A message about the command line itself.
int usage_error(const Driver *d, const char *fmt, ...) {
  fprintf(stderr, "tetc%s%s: error: ", d->command ? " " : "", d->command ? d->command : "");
  va_list ap;
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fprintf(stderr, "\n`tetc%s%s --help` lists the options\n", d->command ? " " : "", d->command ? d->command : "");
  return EXIT_USAGE;
}

// All of the text as an integer, decimal or 0x, with sign.
bool parse_int64(const char *text, int64_t *out) {
  char *end;
  const char *digits = text + (*text == '-' || *text == '+');
  if (*digits < '0' || *digits > '9') return false;
  errno = 0;
  bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  long long v = strtoll(text, &end, hex ? 16 : 10);
  if (errno || *end) return false;
  *out = v;
  return true;
}

// The name nearest to one that was mistyped; NULL: none is near.
const char *nearest_name(const char *name, const char *const *names, size_t n) {
  Nearest near = {.wanted = name};
  for (size_t i = 0; i < n; i++) nearest_try(&near, names[i]);
  return near.best;
}

// The option that `word` starts with, and its value in the same word (NULL: none). Short options and -O take the rest
// of the word; the others take what follows `=`.
static const OptionSpec *spec_find(const char *word, const char **value) {
  for (size_t i = 0; i < SPEC_COUNT; i++) {
    const OptionSpec *s = &specs[i];
    size_t n = strlen(s->name);
    if (strncmp(word, s->name, n)) continue;
    bool joined = n == 2 && s->kind != FLAG && s->kind != ALIAS;
    if (word[n] != 0 && word[n] != '=' && !joined) continue;
    *value = word[n] == 0 ? NULL : word + n + (word[n] == '=' && !(joined && word[n] != '='));
    return s;
  }
  return NULL;
}

// Says that there is no such option, and which one may have been meant.
static bool unknown_option(const Driver *d, const char *word) {
  const char *names[SPEC_COUNT];
  size_t n = 0, len = strcspn(word, "=");
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (specs[i].commands & (unsigned)d->id && strlen(specs[i].name) > 2) names[n++] = specs[i].name;
  char *name = arena_printf(d->cx.arena, "%.*s", (int)len, word);
  const char *near = nearest_name(name, names, n);
  if (near) usage_error(d, "unknown option `%s`; did you mean `%s`?", name, near);
  else usage_error(d, "unknown option `%s`", name);
  return false;
}

// Which of "a|b|c" the value is; -1 if none.
static int choice_index(const char *choices, const char *value) {
  int index = 0;
  for (const char *p = choices;; index++) {
    size_t n = strcspn(p, "|");
    if (strlen(value) == n && !strncmp(p, value, n)) return index;
    if (!p[n]) return -1;
    p += n + 1;
  }
}

// NAME=REST cut in two; false if there is no name or no `=`.
static bool cut_pair(const Driver *d, const char *value, NamePair *out) {
  size_t n = strcspn(value, "=");
  if (n == 0 || !value[n]) return false;
  *out = (NamePair){arena_printf(d->cx.arena, "%.*s", (int)n, value), value + n + 1};
  return true;
}

// Whether a number of the simulated memory is in its range.
static bool number_fits(const Driver *d, const OptionSpec *s, int64_t n) {
  static const struct {
    size_t offset;
    int least, most;
    const char *unit;
  } ranges[] = {{offsetof(Options, rtl_latency), 0, 10000, "cycles"},
                {offsetof(Options, rtl_write_latency), 0, 10000, "cycles"},
                {offsetof(Options, rtl_bandwidth), 1, 100, "per cent"},
                {offsetof(Options, rtl_outstanding), 1, 256, "requests"},
                {offsetof(Options, rtl_stalls), 0, 99, "per cent"}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (ranges[i].offset == s->offset && (n < ranges[i].least || n > ranges[i].most))
      return usage_error(d, "`%s` takes %d to %d %s", s->name, ranges[i].least, ranges[i].most, ranges[i].unit), false;
  return true;
}

// -D NAME=NUMBER, -K NAME=INTEGER.
static bool add_definition(Driver *d, const OptionSpec *s, const NamePair *pair, const char *value, void *field) {
  TeDefine def = {.name = pair->name};
  bool floats = strcmp(s->name, "-D") == 0;
  if (!parse_int64(pair->text, &def.value)) {
    char *end;
    def.is_float = true;
    def.number = strtod(pair->text, &end);
    bool number = *pair->text && !*end && strspn(pair->text, "+-.0123456789eE") == strlen(pair->text);
    if (!floats || !number)
      return usage_error(d, "`%s` takes NAME=%s, not `%s`", s->name, floats ? "NUMBER" : "INTEGER", value), false;
  }
  VEC_PUSH(d->cx.arena, *(__typeof__(d->opt.defines) *)field, def);
  return true;
}

// Stores one option. Several definitions of a name: the last counts.
static bool option_set(Driver *d, const OptionSpec *s, const char *value) {
  char *field = (char *)&d->opt + s->offset;
  Arena *a = d->cx.arena;
  NamePair pair;
  int64_t number;
  switch (s->kind) {
  case FLAG:
  case ALIAS: *(bool *)field = true; return true;
  case TEXT:
  case MAYBE: *(const char **)field = value; return true;
  case INT:
    if (!parse_int64(value, &number)) return usage_error(d, "`%s` takes an integer, not `%s`", s->name, value), false;
    *(int64_t *)field = number;
    return number_fits(d, s, number);
  case CHOICE:
    *(int *)field = choice_index(s->argument, value);
    if (*(int *)field >= 0) return true;
    return usage_error(d, "`%s` takes one of %s, not `%s`", s->name, s->argument, value), false;
  case DEFINE:
    if (!cut_pair(d, value, &pair)) pair = (NamePair){"", ""};
    return add_definition(d, s, &pair, value, field);
  case LIST: VEC_PUSH(a, *(__typeof__(d->opt.include_dirs) *)(void *)field, value); return true;
  case PAIR:
    if (!cut_pair(d, value, &pair))
      return usage_error(d, "`%s` takes %s, not `%s`", s->name, s->argument, value), false;
    VEC_PUSH(a, *(__typeof__(d->opt.inputs) *)(void *)field, pair);
    return true;
  }
  return false;
}

// One option and its value; *i is the word it stands in.
static bool option_parse(Driver *d, int argc, char **argv, int *i) {
  const char *word = argv[*i], *value = NULL;
  const OptionSpec *s = spec_find(word, &value);
  if (!s) return unknown_option(d, word);
  if (!(s->commands & (unsigned)d->id))
    return usage_error(d, "`%s` is not an option of `tetc %s`", s->name, d->command), false;
  bool takes = s->kind != FLAG && s->kind != ALIAS;
  if (!takes && value) return usage_error(d, "`%s` takes no value", s->name), false;
  if (s->kind == MAYBE && !value) value = "";
  if (takes && !value) {
    if (*i + 1 >= argc) return usage_error(d, "`%s` needs a value: %s", s->name, s->argument), false;
    value = argv[++*i];
  }
  if (s->offset == offsetof(Options, emit)) d->opt.emit_given = true;
  if (s->commands & NEEDS_RTL) d->opt.needs_rtl = s->name;
  return option_set(d, s, value);
}

const char *list_next(Arena *a, const char **rest) {
  const char *name = *rest;
  if (!name) return NULL;
  size_t n = strcspn(name, ",");
  *rest = name[n] ? name + n + 1 : NULL;
  return arena_printf(a, "%.*s", (int)n, name);
}

// Whether all names of a list ("P,Q") are phases; if not, a message.
static bool phases_known(const Driver *d, const char *list) {
  for (const char *phase; (phase = list_next(d->cx.arena, &list));)
    if (!phase_known(phase))
      return usage_error(d, "there is no phase `%s`; `tetc --list-passes` lists them", phase), false;
  return true;
}

// A path with its directory made plain; as it is where there is no such directory. "-" stays.
static const char *plain_path(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  char *dir = realpath(!slash ? "." : slash == path ? "/" : arena_printf(a, "%.*s", (int)(slash - path), path), NULL);
  if (!dir && errno == ENOMEM) memory_out();
  const char *plain = !dir || !strcmp(path, "-") ? path : arena_printf(a, "%s/%s", dir, slash ? slash + 1 : path);
  free(dir);
  return plain;
}

// Two outputs to one file: the later would replace the earlier. Devices and pipes take both.
static bool outputs_distinct(const Driver *d) {
  const Options *o = &d->opt;
  VEC(const char *) paths = {0};
  Arena *a = d->cx.arena;
  const char *const single[] = {o->output, o->trace, o->wave};
  for (size_t i = 0; i < sizeof single / sizeof *single; i++)
    if (single[i]) VEC_PUSH(a, paths, plain_path(a, single[i]));
  for (size_t i = 0; i < o->outputs.len; i++) VEC_PUSH(a, paths, plain_path(a, o->outputs.data[i].text));
  for (size_t i = 1; i < paths.len; i++)
    for (size_t k = 0; k < i; k++) {
      struct stat s;
      if (strcmp(paths.data[i], paths.data[k]) || !strcmp(paths.data[i], "-")) continue;
      if (!stat(paths.data[i], &s) && !S_ISREG(s.st_mode)) continue;
      return usage_error(d, "`%s` is the file of two outputs", paths.data[i]), false;
    }
  return true;
}

// --bench and what it excludes.
static bool bench_fits(Driver *d) {
  Options *o = &d->opt;
  char *end = NULL;
  o->bench_seconds = d->id == CMD_TUNE ? 0.5 : 1;
  if (!o->bench) return true;
  if (*o->bench) o->bench_seconds = strspn(o->bench, "0123456789.") == strlen(o->bench) ? strtod(o->bench, &end) : 0;
  if ((end && *end) || o->bench_seconds < 0.001 || o->bench_seconds > 3600)
    return usage_error(d, "`--bench` takes 0.001 to 3600 seconds, not `%s`", o->bench), false;
  if (o->interpret) return usage_error(d, "`--bench` and --interpret exclude each other"), false;
  if (d->id == CMD_TUNE ? o->device < 0 || o->device == DEVICE_HOST : o->device == DEVICE_FSIM) return true;
  return usage_error(d, "`--bench` times this machine: what a kernel takes on `--device=%s` are the cycles of --stats",
                     o->device == DEVICE_RTL ? "rtl" : "model"),
         false;
}

// What belongs to `verify --against`, and its bars as numbers.
static bool against_fits(Driver *d) {
  Options *o = &d->opt;
  const struct {
    const char *name, *text;
    double most;
  } bars[] = {{"--min-agreement", o->min_agreement, 100},
              {"--min-accuracy", o->min_accuracy, 100},
              {"--min-sqnr", o->min_sqnr, 1000}};
  for (int i = 0; i < 3; i++) {
    char *end = NULL;
    if (!bars[i].text) continue;
    if (!o->against) return usage_error(d, "`%s` is for `--against`", bars[i].name), false;
    o->bars[i] = strtod(bars[i].text, &end);
    if (end == bars[i].text || *end || !(o->bars[i] >= 0 && o->bars[i] <= bars[i].most))
      return usage_error(d, "`%s` takes 0 to %g, not `%s`", bars[i].name, bars[i].most, bars[i].text), false;
  }
  if (!o->against != !o->samples)
    return usage_error(d, "`%s` is missing: a network is compared with another on samples",
                       o->against ? "--samples" : "--against"),
           false;
  if (d->id == CMD_VERIFY && o->labels && !o->against) return usage_error(d, "`--labels` is for `--against`"), false;
  if (o->min_accuracy && !o->labels) return usage_error(d, "`--min-accuracy` needs `--labels`"), false;
  if (o->against && (o->shrink || o->plant_fault))
    return usage_error(d, "`%s` and --against exclude each other", o->shrink ? "--shrink" : "--plant-fault"), false;
  return true;
}

// The device, where none was named, and those that there are.
static bool device_fits(Driver *d) {
  Options *o = &d->opt;
  if (d->id == CMD_TUNE) {
    if (o->device != DEVICE_FSIM) return true; // -1: as the kernel has it
    return usage_error(d, "`--device=fsim` has no cycles: rtl, model and host can be measured"), false;
  }
  if (d->id == CMD_PLAN) {
    if (o->device >= 0 && !o->report) return usage_error(d, "`--device` is for `--report`"), false;
    if (o->device < 0) o->device = DEVICE_MODEL;
    if (o->device == DEVICE_RTL || o->device == DEVICE_MODEL) return true;
    return usage_error(d, "`--report` tells cycles: the device is `model` or `rtl`"), false;
  }
  if (o->device < 0) o->device = DEVICE_FSIM;
  if (o->device != DEVICE_HOST) return true;
  return usage_error(d, "`--device=host` is for `tetc tune`; `tetc run --bench` times a kernel on this machine"), false;
}

// What is `tetc tune`'s own.
static bool tune_fits(const Driver *d) {
  const Options *o = &d->opt;
  if (o->jobs != -1 && (o->jobs < 1 || o->jobs > 256)) return usage_error(d, "`--jobs` takes 1 to 256"), false;
  if (o->jobs > 1 && o->device == DEVICE_HOST)
    return usage_error(d, "`--jobs` and `--device=host` exclude each other: candidates would slow each other down"),
           false;
  if (o->replay && (o->log || o->jobs != -1))
    return usage_error(d, "`%s` and --replay exclude each other: nothing is measured", o->log ? "--log" : "--jobs"),
           false;
  if (o->time_limit < 1 || o->time_limit > 86400)
    return usage_error(d, "`--time-limit` takes 1 to 86400 seconds"), false;
  return true;
}

// What one value alone cannot tell.
static bool options_fit(Driver *d) {
  const Options *o = &d->opt;
  if (!outputs_distinct(d) || !device_fits(d) || !bench_fits(d) || !tune_fits(d)) return false;
  if (o->needs_rtl && o->device >= 0 && o->device != DEVICE_RTL && o->device != DEVICE_MODEL)
    return usage_error(d, "`%s` needs `--device=rtl`, or `--device=model`: only there are cycles", o->needs_rtl), false;
  if (o->device == DEVICE_MODEL && (o->wave || o->rtl_stalls || o->rtl_reorder))
    return usage_error(d, "`%s` needs `--device=rtl`: the model has no signals, and knows of nothing random",
                       o->wave         ? "--wave"
                       : o->rtl_stalls ? "--rtl-stalls"
                                       : "--rtl-reorder"),
           false;
  if (o->scale.given && input_files(o) + (o->samples != NULL) + (o->calibrate != NULL) != 1)
    return usage_error(d, "`--mean` and `--std` are of one input that is given as a file; %s",
                       input_files(o) ? "here are several" : "here is none"),
           false;
  if (o->needs_rtl && o->interpret)
    return usage_error(d, "`%s` and --interpret exclude each other", o->needs_rtl), false;
  if (o->interpret && (o->stats || o->device != DEVICE_FSIM))
    return usage_error(d, "`%s` and --interpret exclude each other: it uses no device",
                       o->stats ? "--stats" : "--device"),
           false;
  if (o->opt_level < 0 || o->opt_level > 3) return usage_error(d, "`-O` takes 0, 1, 2 or 3"), false;
  if (o->plan_effort != -1 && (o->plan_effort < 1 || o->plan_effort > 100000))
    return usage_error(d, "`--plan-effort` takes 1 to 100000 candidates"), false;
  if (o->memory < 1 || o->memory > (1 << 22)) return usage_error(d, "`--memory-limit` takes 1 to 4194304 MiB"), false;
  if (o->plant_fault && !fault_known(d->cx.arena, o->plant_fault))
    return usage_error(d, "`--plant-fault %s`: there is no such phase of TIR; --list-passes lists them",
                       o->plant_fault),
           false;
  if (o->stop_after && !phase_known(o->stop_after))
    return usage_error(d, "there is no phase `%s`; `tetc --list-passes` lists them", o->stop_after), false;
  bool opt = d->id == CMD_OPT;                                          // which says itself what its lists may name
  const char *dumps = o->dump_tir && *o->dump_tir ? o->dump_tir : NULL; // "": all
  return phases_known(d, dumps) && (opt || (phases_known(d, o->print_before) && phases_known(d, o->print_after)));
}

// Parses all words of the command line after the sub-command.
bool options_parse(Driver *d, int argc, char **argv, int first) {
  bool only_files = false;
  for (int i = first; i < argc; i++) {
    if (!only_files && !strcmp(argv[i], "--")) only_files = true;
    else if (!only_files && argv[i][0] == '-' && argv[i][1]) {
      if (!option_parse(d, argc, argv, &i)) return false;
    } else VEC_PUSH(d->cx.arena, d->opt.files, argv[i]);
  }
  return !scale_parse(d, &d->opt.scale) && against_fits(d) && options_fit(d);
}

// The left column of --help: `--emit=obj|shared`, `-D NAME=INT`.
static char *option_left(Arena *a, const OptionSpec *s) {
  if (!s->argument) return arena_printf(a, "%s", s->name);
  if (s->kind == MAYBE) return arena_printf(a, "%s[=%s]", s->name, s->argument);
  bool is_short = strlen(s->name) == 2;
  return arena_printf(a, "%s%s%s", s->name, !is_short ? "=" : s->name[1] == 'O' ? "" : " ", s->argument);
}

// The help of a command.
void options_help(const Command *c, Text *out) {
  text_add(out, "usage: tetc %s [options] %s\n%s\n\noptions:\n", c->name, c->operands, c->summary);
  for (size_t i = 0; i < SPEC_COUNT; i++) {
    if (!(specs[i].commands & (unsigned)c->id) || specs[i].kind == ALIAS) continue;
    const char *left = option_left(out->arena, &specs[i]);
    if (strlen(left) > 23) text_add(out, "  %s\n  %23s %s\n", left, "", specs[i].help);
    else text_add(out, "  %-23s %s\n", left, specs[i].help);
  }
}
