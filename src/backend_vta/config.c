// SPDX-License-Identifier: Apache-2.0
// Reads upstream's vta_config.json: a flat object of log2 parameters. What is missing keeps its default.
#include "backend_vta/vta.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

// The keys upstream knows. Where `offset` is -1 the value does not concern the instruction set and is skipped.
static const struct {
  const char *key;
  int offset, offset2;
} keys[] = {
#define AT(field) (int)offsetof(VtaConfig, field)
    {"TARGET", -1, -1},
    {"HW_VER", -1, -1},
    {"LOG_BUS_WIDTH", -1, -1},
    {"LOG_INP_WIDTH", AT(log_inp_width), -1},
    {"LOG_WGT_WIDTH", AT(log_wgt_width), -1},
    {"LOG_ACC_WIDTH", AT(log_acc_width), -1},
    {"LOG_OUT_WIDTH", AT(log_out_width), -1},
    {"LOG_BATCH", AT(log_batch), -1},
    {"LOG_BLOCK", AT(log_block_in), AT(log_block_out)},
    {"LOG_BLOCK_IN", AT(log_block_in), -1},
    {"LOG_BLOCK_OUT", AT(log_block_out), -1},
    {"LOG_UOP_WIDTH", AT(log_uop_width), -1},
    {"LOG_INS_WIDTH", AT(log_ins_width), -1},
    {"LOG_UOP_BUFF_SIZE", AT(log_uop_buff), -1},
    {"LOG_INP_BUFF_SIZE", AT(log_inp_buff), -1},
    {"LOG_WGT_BUFF_SIZE", AT(log_wgt_buff), -1},
    {"LOG_ACC_BUFF_SIZE", AT(log_acc_buff), -1},
    {"LOG_OUT_BUFF_SIZE", AT(log_out_buff), -1},
#undef AT
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

static int key_find(const char *name) {
  for (int i = 0; i < KEY_COUNT; i++)
    if (!strcmp(keys[i].key, name)) return i;
  return -1;
}

// The span of `len` bytes at a byte offset of a source.
static Loc loc_of_offset(const Source *s, size_t offset, size_t len) {
  uint32_t line = 0;
  while (line + 1 < s->nlines && s->line_start[line + 1] <= offset) line++;
  uint32_t col = s->nlines ? (uint32_t)(offset - s->line_start[line]) + 1 : 1;
  return (Loc){s, line + 1, col, line + 1, col + (uint32_t)len};
}

// Where a top-level key stands: its first appearance as `"key"` followed by a colon.
static Loc key_loc(const Source *s, const char *key) {
  size_t n = strlen(key);
  for (size_t i = 0; i + n + 2 <= s->len; i++) {
    if (s->text[i] != '"' || memcmp(s->text + i + 1, key, n) || s->text[i + 1 + n] != '"') continue;
    size_t j = i + n + 2;
    while (j < s->len && strchr(" \t\r\n", s->text[j]) && s->text[j]) j++;
    if (j < s->len && s->text[j] == ':') return loc_of_offset(s, i, n + 2);
  }
  return loc_of_offset(s, 0, 1);
}

// The key whose value a configuration problem speaks of, if its text names one.
static Loc problem_loc(const Source *s, const char *why) {
  for (int i = KEY_COUNT - 1; i >= 0; i--) {
    size_t n = strlen(keys[i].key);
    const char *at = strstr(why, keys[i].key);
    if (at && strchr(" _:,", at[n]) && at[n] != '_') return key_loc(s, keys[i].key);
  }
  return loc_of_offset(s, 0, 1);
}

// One key and its value into `out`; false when it was reported.
static bool read_key(Ctx *cx, const Source *s, const char *name, const json_t *value, VtaConfig *out) {
  int k = key_find(name);
  if (k < 0) {
    Diag *d = diag_report(cx->diags, E_CONFIG, key_loc(s, name), "`%s` is not a parameter of VTA", name);
    diag_help(d,
              "the parameters are those of upstream's vta_config.json: LOG_BATCH, LOG_BLOCK, LOG_UOP_BUFF_SIZE, ...");
    return false;
  }
  if (keys[k].offset < 0) return true;
  if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 64) {
    Diag *d = diag_report(cx->diags, E_CONFIG, key_loc(s, name), "`%s` must be a whole number between 0 and 64", name);
    diag_note(d, "all LOG_ parameters are powers of two, given as their base-2 logarithm");
    return false;
  }
  int v = (int)json_integer_value(value);
  memcpy((char *)out + keys[k].offset, &v, sizeof v);
  if (keys[k].offset2 >= 0) memcpy((char *)out + keys[k].offset2, &v, sizeof v);
  return true;
}

// Reads all keys. LOG_BLOCK goes first, so that LOG_BLOCK_IN and LOG_BLOCK_OUT override it wherever they stand.
static bool read_keys(Ctx *cx, const Source *s, json_t *root, VtaConfig *c) {
  bool ok = true;
  json_t *block = json_object_get(root, "LOG_BLOCK");
  if (block) ok = read_key(cx, s, "LOG_BLOCK", block, c);
  const char *name;
  json_t *value;
  json_object_foreach(root, name, value) {
    if (strcmp(name, "LOG_BLOCK") && !read_key(cx, s, name, value, c)) ok = false;
  }
  if (!json_object_get(root, "LOG_OUT_WIDTH")) c->log_out_width = c->log_inp_width;
  if (!json_object_get(root, "LOG_OUT_BUFF_SIZE"))
    c->log_out_buff = c->log_acc_buff + c->log_out_width - c->log_acc_width;
  return ok;
}

// False when something was reported; *out then is untouched.
bool vta_config_load(Ctx *cx, const Source *json, VtaConfig *out) {
  json_error_t error;
  json_t *root = json_loadb(json->text, json->len, JSON_REJECT_DUPLICATES, &error);
  if (!root) {
    size_t at = error.position > 0 ? (size_t)error.position - 1 : 0;
    diag_report(cx->diags, E_CONFIG, loc_of_offset(json, at < json->len ? at : 0, 1),
                "the configuration is not JSON: %s", error.text);
    return false;
  }
  VtaConfig c = vta_config_default();
  bool ok = true;
  if (!json_is_object(root)) {
    diag_report(cx->diags, E_CONFIG, loc_of_offset(json, 0, 1), "the configuration is not a JSON object");
    ok = false;
  } else {
    ok = read_keys(cx, json, root, &c);
  }
  json_decref(root);
  const char *why = ok ? vta_config_problem(&c) : NULL;
  if (why) diag_report(cx->diags, E_CONFIG, problem_loc(json, why), "%s", why);
  if (!ok || why) return false;
  *out = c;
  return true;
}
