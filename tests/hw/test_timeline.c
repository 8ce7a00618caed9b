// SPDX-License-Identifier: Apache-2.0
// The timeline of launches one after the other, of which one fails: every instruction is where it belongs, in an order
// that can be, what is summed up agrees with the core's counters, and what is written is JSON, of the launch that
// failed too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver/driver.h"

#include <jansson.h>
#include <string.h>

enum { COMPUTES = 21, MOST = 64 }; // more than the window has slots, and not a multiple

typedef struct Stream {
  VtaInsn insns[MOST];
  size_t n;
} Stream;

static void add(Stream *s, VtaInsn i) { s->insns[s->n++] = i; }

// Loads, kernels that meet in accumulators, stores, with tokens between them.
static Stream stream_of(const VtaConfig *c, uint64_t phys) {
  Stream s = {.n = 0};
  VtaInsn move = {.opcode = OPC_LOAD, .y_size = 1, .x_size = 4, .x_stride = 4};
  VtaInsn kernel = {.opcode = OPC_GEMM, .uop_begin = 0, .uop_end = 1, .iter_out = 1, .iter_in = 40, .dst_in = 1};
  for (int k = 0; k < 4; k++) {
    VtaInsn i = move;
    i.memory = k % 2 ? MEM_WGT : MEM_INP;
    i.dram_base = (uint32_t)(phys / (uint64_t)vta_elem_bytes(c, i.memory));
    i.push_next = k == 3;
    add(&s, i);
  }
  for (int k = 0; k < COMPUTES; k++) {
    VtaInsn i = k % 7 ? kernel : move;
    if (k % 7 == 0) {
      i.memory = k ? MEM_ACC : MEM_UOP;
      i.dram_base = (uint32_t)(phys / (uint64_t)vta_elem_bytes(c, i.memory));
    } else if (k % 7 > 3) {
      i.opcode = OPC_ALU, i.alu_op = ALU_ADD, i.use_imm = true, i.imm = k;
    } else i.reset = k % 7 == 1;
    i.pop_prev = k == 2;
    i.push_next = k == COMPUTES - 1;
    add(&s, i);
  }
  VtaInsn store = move;
  store.opcode = OPC_STORE, store.memory = MEM_OUT, store.pop_prev = store.push_prev = true;
  store.dram_base = (uint32_t)((phys + 4096) / (uint64_t)vta_elem_bytes(c, MEM_OUT));
  add(&s, store);
  add(&s, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP, .pop_next = true});
  add(&s, (VtaInsn){.opcode = OPC_FINISH});
  return s;
}

static bool launch(TetcDevice *d, const Stream *s) {
  VtaWord words[MOST];
  uint32_t marks[MOST];
  TetcFault fault = {.count = 0};
  for (size_t k = 0; k < s->n; k++) {
    words[k] = vta_encode(&d->config, &s->insns[k]);
    marks[k] = (uint32_t)k + 1;
  }
  return d->launch(d->self, words, marks, s->n, &fault);
}

// Which engine is to do it; the unit's row if none does.
static TetcRow engine_of(const VtaInsn *i, TetcRow unit) {
  if (i->opcode == OPC_GEMM) return i->reset ? ROW_RESET : ROW_GEMM;
  if (i->opcode == OPC_ALU) return ROW_ALU;
  if (i->opcode != OPC_LOAD || i->x_size == 0) return unit;
  return i->memory == MEM_INP ? ROW_INP : i->memory == MEM_WGT ? ROW_WGT : i->memory == MEM_UOP ? ROW_UOP : ROW_ACC;
}

static void check_span(const TetcSpan *p, const VtaInsn *i, uint64_t cycles) {
  TetcRow unit = vta_unit(i) == UNIT_LOAD ? ROW_LOAD : vta_unit(i) == UNIT_STORE ? ROW_STORE : ROW_COMPUTE;
  assert_int_equal(p->unit, unit);
  assert_int_equal(p->engine, engine_of(i, unit));
  assert_int_equal(p->mark, p->index + 1);
  assert_true(p->fetched < p->seen && p->seen <= p->taken && p->started <= p->retired && p->retired <= cycles);
  if (unit == ROW_COMPUTE) assert_true(p->taken < p->started);
  else assert_true(p->seen <= p->started && p->started <= p->taken);
  if (p->engine != unit) assert_true(p->started <= p->work && p->work <= p->done && p->done <= p->retired);
}

static void check_launch(const TetcTimeline *t, size_t number, const Stream *s) {
  uint64_t end = number + 1 < t->nlaunches ? t->launches[number + 1] : t->cycles;
  size_t first = 0;
  while (t->spans[first].launch != number) first++;
  for (size_t k = 0; k < s->n; k++) check_span(&t->spans[first + k], &s->insns[k], end - t->launches[number]);
}

// The sums by mark are those of the core; a wait counted in two engines at once is one there.
static void check_sums(const TetcTimeline *t, const TetcStats *s) {
  TetcWaits all = {0};
  for (size_t m = 0; m < t->nmarks; m++)
    for (int u = UNIT_LOAD; u <= UNIT_STORE; u++)
      for (int w = 0; w < WAIT_COUNT; w++) {
        all.cycles[u][w] += t->waits[m].cycles[u][w];
        assert_true(t->waits[m].idle[u][w] <= t->waits[m].cycles[u][w]);
      }
  uint64_t idle = 0;
  for (size_t m = 0; m < t->nmarks; m++)
    for (int u = UNIT_LOAD; u <= UNIT_STORE; u++)
      for (int w = 0; w < WAIT_COUNT; w++) idle += t->waits[m].idle[u][w];
  assert_true(idle > t->neither / 2 && idle <= t->neither); // each cycle is blamed on one at most
  assert_int_equal(t->cycles, s->cycles);
  assert_int_equal(t->gemm, s->counters[TETC_CYCLES_GEMM_STEPS]);
  assert_int_equal(t->gemm + t->alu + t->neither, t->cycles);
  assert_int_equal(all.cycles[UNIT_LOAD][WAIT_NEXT], s->counters[TETC_CYCLES_LOAD_TOKEN]);
  assert_int_equal(all.cycles[UNIT_COMPUTE][WAIT_FETCH], s->counters[TETC_CYCLES_COMPUTE_FETCH]);
  assert_int_equal(all.cycles[UNIT_COMPUTE][WAIT_PREV], s->counters[TETC_CYCLES_COMPUTE_PREV]);
  assert_int_equal(all.cycles[UNIT_COMPUTE][WAIT_NEXT], s->counters[TETC_CYCLES_COMPUTE_NEXT]);
  assert_int_equal(all.cycles[UNIT_COMPUTE][WAIT_OLDER], s->counters[TETC_CYCLES_COMPUTE_HAZARD]);
  assert_int_equal(all.cycles[UNIT_COMPUTE][WAIT_BANK], s->counters[TETC_CYCLES_ALU_BANK]);
  assert_int_equal(all.cycles[UNIT_STORE][WAIT_PREV], s->counters[TETC_CYCLES_STORE_TOKEN]);
  assert_int_equal(all.cycles[UNIT_STORE][WAIT_MEMORY], s->counters[TETC_CYCLES_STORE_MEMORY]);
  assert_int_equal(all.cycles[UNIT_STORE][WAIT_BUS], s->counters[TETC_CYCLES_STORE_BUS]);
  assert_true(all.cycles[UNIT_LOAD][WAIT_MEMORY] >= s->counters[TETC_CYCLES_LOAD_MEMORY]);
  assert_true(all.cycles[UNIT_LOAD][WAIT_BUS] >= s->counters[TETC_CYCLES_LOAD_BUS]);
}

// How many events of a phase the text has; with that in their names.
static size_t count_events(json_t *events, const char *phase, const char *name) {
  size_t n = 0, k;
  json_t *e;
  json_array_foreach(events, k, e) n += !strcmp(json_string_value(json_object_get(e, "ph")), phase) &&
                                        (!name || strstr(json_string_value(json_object_get(e, "name")), name));
  return n;
}

static void check_json(const TetcTimeline *t, const VtaConfig *config) {
  Arena *arena = arena_new();
  Text text = {.arena = arena};
  LlvmMarks none = {.stmts = {0}};
  json_error_t error;
  timeline_json(t, config, &none, "a \"kernel\"", &text);
  json_t *root = json_loads(text.data, JSON_REJECT_DUPLICATES, &error);
  if (!root) fail_msg("line %d: %s", error.line, error.text);
  json_t *events = json_object_get(root, "traceEvents");
  assert_int_equal(count_events(events, "M", NULL), 1 + 2 * ROW_COUNT);
  assert_int_equal(count_events(events, "s", NULL), 3 * 3); // of three whole launches; none in the one that failed
  assert_int_equal(count_events(events, "f", NULL), 3 * 3);
  assert_int_equal(count_events(events, "X", "unfinished"), 1); // what stands before the full window
  json_decref(root);
  arena_free(arena);
}

static void launches(bool keep, TetcRtlMemory memory) {
  VtaConfig config = vta_config_default();
  TetcRtlOptions o = tetc_rtl_options(memory);
  TetcRtlWhy why;
  o.timeline = tetc_timeline_new(keep);
  TetcDevice *d = tetc_rtl_open(&config, &o, &why);
  if (!d) fail_msg("%s", why.text);
  uint64_t phys;
  void *dram = tetc_dram_alloc(d->dram, 1 << 16, &phys); // zeros: every micro-op is of the first tiles
  assert_non_null(dram);
  Stream s = stream_of(&config, phys), stuck = s;
  stuck.insns[3].push_next = false;
  assert_true(launch(d, &s));
  assert_true(launch(d, &s));
  assert_false(launch(d, &stuck));
  assert_true(launch(d, &s));
  TetcTimeline *t = o.timeline;
  assert_false(t->lost);
  check_sums(t, d->stats(d->self));
  assert_int_equal(t->nspans, keep ? 4 * s.n : s.n);
  if (keep) {
    check_launch(t, 0, &s);
    check_launch(t, 1, &s);
    check_launch(t, 3, &s);
    const TetcSpan *waits = &t->spans[2 * s.n + 6]; // the one that pops
    assert_true(waits->taken != TETC_NEVER && waits->started == TETC_NEVER && waits->waits[WAIT_PREV] > 10000);
    bool paused = false;
    for (size_t k = 0; k < t->npauses; k++)
      paused |= t->pauses[k].span == 2 * s.n + 6 && t->pauses[k].wait == WAIT_PREV;
    assert_true(paused);
    check_json(t, &config);
  }
  d->free(d->self);
  tetc_timeline_free(t);
}

static void all_launches(void **state) {
  (void)state;
  launches(true, TETC_MEMORY_UPSTREAM);
  launches(true, TETC_MEMORY_DRAM);
}

// A full window whose head runs, and behind it one that waits for a late token of load: it does so all the time, and
// nobody waits for an older instruction.
static void full_window(void **state) {
  (void)state;
  VtaConfig config = vta_config_default();
  TetcRtlOptions o = tetc_rtl_options(TETC_MEMORY_UPSTREAM);
  TetcRtlWhy why;
  o.timeline = tetc_timeline_new(true);
  TetcDevice *d = tetc_rtl_open(&config, &o, &why);
  if (!d) fail_msg("%s", why.text);
  uint64_t phys;
  void *dram = tetc_dram_alloc(d->dram, 1 << 16, &phys);
  assert_non_null(dram);
  Stream s = {.n = 0};
  VtaInsn kernel = {.opcode = OPC_GEMM, .uop_end = 1, .iter_out = 30, .iter_in = 20, .dst_in = 1};
  add(&s,
      (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP, .y_size = 1, .x_size = 1, .dram_base = (uint32_t)(phys / 4)});
  size_t first = s.n;
  for (int k = 0; k < 20; k++) {
    add(&s, kernel);
    kernel.pop_prev = k == 0;
    kernel.iter_out = 1;
  }
  add(&s, (VtaInsn){.opcode = OPC_LOAD,
                    .memory = MEM_INP,
                    .y_size = 1,
                    .x_size = 2000,
                    .dram_base = (uint32_t)(phys / 16),
                    .push_next = true});
  add(&s, (VtaInsn){.opcode = OPC_FINISH});
  assert_true(launch(d, &s));
  const TetcTimeline *t = o.timeline;
  const TetcSpan *late = &t->spans[first + 1];
  assert_true(late->waits[WAIT_PREV] > 3000 && late->waits[WAIT_PREV] + 20 > late->started - late->taken);
  for (size_t k = 0; k < s.n; k++) assert_true(t->spans[k].waits[WAIT_OLDER] < 5);
  d->free(d->self);
  tetc_timeline_free(o.timeline);
}

static void only_sums(void **state) {
  (void)state;
  launches(false, TETC_MEMORY_UPSTREAM);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_launches), cmocka_unit_test(only_sums),
                                     cmocka_unit_test(full_window)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
