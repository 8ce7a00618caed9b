// SPDX-License-Identifier: Apache-2.0
// Reading vta_config.json, and the tables made from a configuration.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend_vta/vta.h"

#include <stdlib.h>
#include <string.h>

static Ctx open_ctx(void) {
  Arena *a = arena_new();
  return (Ctx){a, names_new(a), diags_new(a)};
}

// What is printed for a configuration; "" when it is read.
static char *load(Ctx *cx, const char *json, VtaConfig *c) {
  char *text = NULL;
  size_t size = 0;
  cx->diags = diags_new(cx->arena);
  bool ok = vta_config_load(cx, source_new(cx->arena, "c.json", json, strlen(json)), c);
  FILE *f = open_memstream(&text, &size);
  diags_print(cx->diags, f, DIAG_TEXT, NULL);
  fclose(f);
  assert_int_equal(ok, diags_errors(cx->diags) == 0);
  char *copy = arena_copy(cx->arena, text, size + 1);
  free(text);
  return copy;
}

static const char shipped[] =
    "{\n  \"TARGET\" : \"sim\",\n  \"HW_VER\" : \"0.0.2\",\n  \"LOG_INP_WIDTH\" : 3,\n"
    "  \"LOG_WGT_WIDTH\" : 3,\n  \"LOG_ACC_WIDTH\" : 5,\n  \"LOG_BATCH\" : 0,\n  \"LOG_BLOCK\" : 4,\n"
    "  \"LOG_UOP_BUFF_SIZE\" : 15,\n  \"LOG_INP_BUFF_SIZE\" : 15,\n  \"LOG_WGT_BUFF_SIZE\" : 18,\n"
    "  \"LOG_ACC_BUFF_SIZE\" : 17\n}\n";

static void good(void **state) {
  (void)state;
  Ctx cx = open_ctx();
  VtaConfig c, d = vta_config_default();
  memset(&c, 0, sizeof c);
  assert_string_equal(load(&cx, shipped, &c), "");
  assert_memory_equal(&c, &d, sizeof c);
  assert_string_equal(load(&cx, "{}", &c), "");
  assert_memory_equal(&c, &d, sizeof c);
  assert_string_equal(load(&cx, "{\"LOG_BLOCK\": 5, \"LOG_BATCH\": 0}", &c), "");
  assert_int_equal(c.log_block_in, 5);
  assert_int_equal(c.log_block_out, 5);
  // the parts override the whole, wherever they stand
  assert_string_equal(load(&cx, "{\"LOG_BLOCK_IN\": 3, \"LOG_BLOCK\": 5, \"LOG_INP_BUFF_SIZE\": 13}", &c), "");
  assert_int_equal(c.log_block_in, 3);
  assert_int_equal(c.log_block_out, 5);
  // the derived size follows
  assert_string_equal(load(&cx, "{\"LOG_ACC_BUFF_SIZE\": 15}", &c), "");
  assert_int_equal(c.log_out_buff, 13);
  arena_free(cx.arena);
}

static void bad(void **state) {
  (void)state;
  const struct {
    const char *json, *words, *place;
  } cases[] = {
      {"{\n  \"LOG_BLOK\": 4\n}", "`LOG_BLOK` is not a parameter of VTA", "c.json:2:3"},
      {"{\"TARGET\": \"sim\",\n \"LOG_BATCH\": \"one\"}", "`LOG_BATCH` must be a whole number", "c.json:2:2"},
      {"{\"LOG_BATCH\": -1}", "`LOG_BATCH` must be a whole number", "c.json:1:2"},
      {"{\"LOG_BATCH\": 1e9}", "`LOG_BATCH` must be a whole number", "c.json:1:2"},
      {"{\n\"LOG_UOP_BUFF_SIZE\": 16}", "LOG_UOP_BUFF_SIZE is too large", "c.json:2:1"},
      {"{\n\n\"LOG_ACC_WIDTH\": 4}", "LOG_ACC_WIDTH must be 5", "c.json:3:1"},
      {"{\"LOG_INP_BUFF_SIZE\": 16, \"LOG_WGT_BUFF_SIZE\": 19}", "buffers are too large", "c.json:1:1"},
      {"{\"LOG_BATCH\": 1,}", "not JSON", "c.json:1"},
      {"{\"LOG_BATCH\": 1, \"LOG_BATCH\": 0}", "not JSON", "c.json:1"},
      {"", "not JSON", "c.json:1:1"},
      {"[1]", "not a JSON object", "c.json:1:1"},
  };
  Ctx cx = open_ctx();
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    VtaConfig c = vta_config_default();
    const char *text = load(&cx, cases[n].json, &c);
    if (!strstr(text, cases[n].words) || !strstr(text, cases[n].place) || !strstr(text, "E0403"))
      fail_msg("%s: expected `%s` at %s, got: %s", cases[n].json, cases[n].words, cases[n].place, text);
  }
  arena_free(cx.arena);
}

// Several mistakes are all told.
static void several(void **state) {
  (void)state;
  Ctx cx = open_ctx();
  VtaConfig c;
  load(&cx, "{\"A\": 1, \"LOG_BLOCK\": \"x\", \"B\": 2}", &c);
  assert_int_equal(diags_errors(cx.diags), 3);
  arena_free(cx.arena);
}

static void tables(void **state) {
  (void)state;
  Ctx cx = open_ctx();
  VtaConfig c = vta_config_default();
  c.log_batch = 1, c.log_block_in = 4, c.log_block_out = 4;
  const VtaTarget *t = vta_target_new(&cx, &c);
  assert_ptr_equal(vta_of(&t->tir), t);
  assert_null(vta_of(NULL));
  assert_int_equal(t->inp.tile, 32);
  assert_int_equal(t->wgt.tile, 256);
  assert_int_equal(t->acc.rows, 2);
  assert_int_equal(t->acc.cols, 16);
  assert_int_equal(t->acc.depth, 1024);
  assert_int_equal(t->tir.nscopes, 3);
  assert_int_equal(t->tir.nintrins, VTA_OP_COUNT);
  for (int i = 0; i < VTA_OP_COUNT; i++) {
    assert_non_null(t->intrins[i].name);
    assert_true(is_vta(vta_op(t, (VtaOp)i), (VtaOp)i));
    for (int j = 0; j < i; j++) assert_string_not_equal(t->intrins[i].name, t->intrins[j].name);
  }
  assert_int_equal(vta_scope_memory(t->wgt.id), MEM_WGT);
  assert_string_equal(t->te.consts[2].name, "vta.block_out");
  assert_int_equal(t->te.consts[0].value, 2);
  arena_free(cx.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(several),
                                     cmocka_unit_test(tables)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
