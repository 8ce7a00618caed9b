// SPDX-License-Identifier: Apache-2.0
// A cross is a table of counters over a few axes; an event adds one to the bin of its values.
#include "coverage.h"

#include <stdlib.h>
#include <string.h>

enum { AXES = 4, ELEMS = 8192 };

typedef enum CrossId {
  X_LOAD,
  X_STORE,
  X_STEP,
  X_RAW,
  X_WAW,
  X_WAR,
  X_UOP_RAW,
  X_UOP_WAR,
  X_BURST,
  X_LANE,
  X_TOKENS,
  X_FLIGHT,
  X_ZERO_LOAD,
  X_ZERO_STORE,
  X_ZERO_LOOP,
  X_EDGE,
  X_UOP_EDGE,
  X_SHIFT,
  X_TOGETHER,
  CROSSES
} CrossId;

typedef struct Cross {
  const char *name;
  const char *const *axes[AXES]; // the values' names, each list ended by NULL
} Cross;

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LOADS NAMES("uop", "wgt", "inp", "acc", "acc8")
#define MEMORIES NAMES("uop", "wgt", "inp", "acc", "out", "acc8") // as VtaMemory
#define PADS NAMES("no pad", "pad in x", "pad in y", "pad in x and y")
#define ROWS NAMES("one row", "packed", "gaps", "overlap", "stride 0")
#define WRITERS NAMES("load.acc", "load.acc8", "gemm", "reset", "alu imm", "alu")
#define READERS NAMES("gemm", "alu imm", "alu")
#define LOOPS NAMES("gemm", "reset", "alu imm", "alu")
#define FAR NAMES("1", "2", "3", "4-7", "8-15", "16 or more")

static const Cross crosses[CROSSES] = {
    [X_LOAD] = {"load: memory, padding, rows", {LOADS, PADS, ROWS}},
    [X_STORE] = {"store: rows", {ROWS}},
    [X_STEP] = {"steps from write to read: operand, distance, writer",
                {NAMES("gemm dst", "min imm dst", "max imm dst", "add imm dst", "shr imm dst", "mul imm dst", "min dst",
                       "max dst", "add dst", "shr dst", "mul dst", "min src", "max src", "add src", "shr src",
                       "mul src"),
                 NAMES("1", "2", "3", "4", "5-8"), NAMES("same instruction", "earlier one")}},
    [X_RAW] = {"instructions from write to read: writer, reader, distance", {WRITERS, READERS, FAR}},
    [X_WAW] = {"instructions from write to write: writer, writer, distance", {WRITERS, WRITERS, FAR}},
    [X_WAR] = {"instructions from read to write: reader, writer, distance", {READERS, WRITERS, FAR}},
    [X_UOP_RAW] = {"instructions from load.uop to use: user, distance", {LOOPS, FAR}},
    [X_UOP_WAR] = {"instructions from use to load.uop: user, distance", {LOOPS, FAR}},
    [X_BURST] = {"rows in DRAM: memory, beats and pages",
                 {MEMORIES,
                  NAMES("up to 32 beats inside a page", "up to 32 up to its end", "up to 32 across its end",
                        "more inside a page", "more up to its end", "more across one end", "more across two ends")}},
    [X_LANE] = {"micro-ops in beats: start, length, stride",
                {NAMES("low half", "high half"), NAMES("even", "odd"), NAMES("even stride", "odd stride")}},
    [X_TOKENS] = {"tokens: unit, taken, given, work",
                  {NAMES("load", "compute", "store"), NAMES("takes none", "takes prev", "takes next", "takes both"),
                   NAMES("gives none", "gives prev", "gives next", "gives both"), NAMES("works", "does nothing")}},
    [X_FLIGHT] = {"tokens under way: channel, number",
                  {NAMES("load to compute", "compute to load", "compute to store", "store to compute"),
                   NAMES("1", "2", "3-7", "8 or more")}},
    [X_ZERO_LOAD] = {"empty loads: memory, how", {LOADS, NAMES("x 0", "x 0 with padding", "y 0", "y 0 with padding")}},
    [X_ZERO_STORE] = {"empty stores: how", {NAMES("x 0", "x 0 of another memory", "y 0")}},
    [X_ZERO_LOOP] = {"empty loops: instruction, how",
                     {LOOPS, NAMES("outer 0", "inner 0", "no micro-op", "begin after end")}},
    [X_EDGE] = {"ends of a memory: memory, element", {MEMORIES, NAMES("first", "last")}},
    [X_UOP_EDGE] = {"ends of the micro-ops: instruction, which", {LOOPS, NAMES("first", "last")}},
    [X_TOGETHER] = {"rows reset together: how many, what comes to one first",
                    {NAMES("1", "2-31", "32 or more"), NAMES("gemm", "alu imm", "alu", "load", "reset", "store")}},
    [X_SHIFT] = {"shr imm: amount",
                 {NAMES("0", "1 to 15", "16 to 31", "32 and more", "-1 to -15", "-16 to -31", "-32 and less")}},
};

// Who last wrote and read an accumulator; `insn` counts compute's instructions from 1, 0: nobody.
typedef struct Last {
  uint64_t step; // of the write; 0: not by a step
  uint32_t write, read;
  int writer, reader; // values of WRITERS and READERS
  int together;       // it was reset with its neighbours, of this size, and nothing has come to it since
} Last;

struct Coverage {
  VtaConfig config;
  uint64_t *bins[CROSSES];
  Last acc[ELEMS];
  uint32_t uop_load[ELEMS], uop_use[ELEMS];
  int uop_user[ELEMS];
  uint32_t insn; // of compute
  uint64_t step;
};

// ---- bins -----------------------------------------------------------------------------------------------------------

static size_t axis_size(const char *const *axis) {
  size_t n = 0;
  while (axis && axis[n]) n++;
  return axis ? n : 1;
}

static size_t cross_size(const Cross *x) {
  size_t n = 1;
  for (int a = 0; a < AXES; a++) n *= axis_size(x->axes[a]);
  return n;
}

// The values of a bin, last axis fastest.
static void cross_values(const Cross *x, size_t bin, size_t values[AXES]) {
  for (int a = AXES - 1; a >= 0; a--) {
    size_t n = axis_size(x->axes[a]);
    values[a] = bin % n;
    bin /= n;
  }
}

static void hit(Coverage *c, CrossId id, int a, int b, int d, int e) {
  const int values[AXES] = {a, b, d, e};
  size_t bin = 0;
  for (int k = 0; k < AXES; k++) bin = bin * axis_size(crosses[id].axes[k]) + (size_t)values[k];
  c->bins[id][bin]++;
}

// What the instruction set rules out: weights lie in whole bursts, and each unit has only its own channels.
static bool possible(CrossId id, const size_t v[AXES]) {
  if (id == X_BURST) return !(v[0] == MEM_WGT && v[1] == 2);
  if (id != X_TOKENS) return true;
  if (v[0] == 0) return v[1] != 1 && v[1] != 3 && v[2] != 1 && v[2] != 3;
  return v[0] == 1 || (v[1] < 2 && v[2] < 2);
}

static void print_bin(FILE *to, const Cross *x, const size_t v[AXES]) {
  for (int a = 0; a < AXES && x->axes[a]; a++) fprintf(to, "%s%s", a ? ", " : "", x->axes[a][v[a]]);
}

size_t coverage_report(const Coverage *c, FILE *to) {
  size_t missed = 0, v[AXES], all = 0;
  for (CrossId id = 0; id < CROSSES; id++) {
    const Cross *x = &crosses[id];
    size_t n = cross_size(x), bins = 0, seen = 0, rarest = 0;
    uint64_t least = UINT64_MAX;
    for (size_t k = 0; k < n; k++) {
      cross_values(x, k, v);
      if (!possible(id, v)) continue;
      bins++;
      seen += c->bins[id][k] != 0;
      if (c->bins[id][k] < least) least = c->bins[id][k], rarest = k;
    }
    cross_values(x, rarest, v);
    fprintf(to, "# coverage: %-68s %4zu of %4zu bins, the rarest %llu times: ", x->name, seen, bins,
            (unsigned long long)least);
    print_bin(to, x, v);
    fprintf(to, "\n");
    for (size_t k = 0; k < n; k++) {
      cross_values(x, k, v);
      if (c->bins[id][k] || !possible(id, v)) continue;
      fprintf(to, "# coverage: never hit: ");
      print_bin(to, x, v);
      fprintf(to, "\n");
    }
    all += bins;
    missed += bins - seen;
  }
  fprintf(to, "# coverage: %zu of %zu bins hit\n", all - missed, all);
  return missed;
}

// ---- loops ----------------------------------------------------------------------------------------------------------

uint64_t coverage_steps(const VtaInsn *i) {
  if (i->opcode != OPC_GEMM && i->opcode != OPC_ALU) return 0;
  return i->uop_end > i->uop_begin ? (uint64_t)(i->uop_end - i->uop_begin) * i->iter_out * i->iter_in : 0;
}

VtaUop coverage_step(const VtaInsn *i, const VtaUop *uops, uint64_t k) {
  uint32_t n = i->uop_end - i->uop_begin, u = (uint32_t)(k % n);
  uint32_t inner = (uint32_t)(k / n % i->iter_in), outer = (uint32_t)(k / n / i->iter_in);
  const VtaUop *from = &uops[i->uop_begin + u];
  return (VtaUop){from->dst + outer * i->dst_out + inner * i->dst_in,
                  from->src + outer * i->src_out + inner * i->src_in,
                  from->wgt + outer * i->wgt_out + inner * i->wgt_in};
}

static int far(uint32_t distance) {
  return distance <= 3 ? (int)distance - 1 : distance <= 7 ? 3 : distance <= 15 ? 4 : 5;
}

static int loop_kind(const VtaInsn *i) { return i->opcode == OPC_GEMM ? (i->reset ? 1 : 0) : i->use_imm ? 2 : 3; }

// Something comes to an accumulator: if it was reset with its neighbours, the first thing since.
static void come(Coverage *c, uint32_t at, int who) {
  if (c->acc[at].together) hit(c, X_TOGETHER, c->acc[at].together - 1, who, 0, 0);
  c->acc[at].together = 0;
}

static void write_acc(Coverage *c, uint32_t at, int writer, uint64_t step) {
  Last *l = &c->acc[at];
  come(c, at, writer < 2 ? 3 : writer == 3 ? 4 : writer == 2 ? 0 : writer - 3);
  if (l->read && l->read != c->insn) hit(c, X_WAR, l->reader, writer, far(c->insn - l->read), 0);
  if (l->write && l->write != c->insn) hit(c, X_WAW, l->writer, writer, far(c->insn - l->write), 0);
  l->write = c->insn;
  l->writer = writer;
  l->step = step;
}

// `operand` of X_STEP, `reader` of READERS.
static void read_acc(Coverage *c, uint32_t at, int operand, int reader) {
  Last *l = &c->acc[at];
  come(c, at, reader);
  uint64_t distance = c->step - l->step;
  if (l->write && l->write != c->insn) hit(c, X_RAW, l->writer, reader, far(c->insn - l->write), 0);
  if (l->write && l->step && distance <= 8)
    hit(c, X_STEP, operand, distance <= 4 ? (int)distance - 1 : 4, l->write != c->insn, 0);
}

static void read_done(Coverage *c, uint32_t at, int reader) {
  c->acc[at].read = c->insn;
  c->acc[at].reader = reader;
}

// Resets of a single micro-op whose loops go through rows that stand together: 0 others, else one more than their size
// as in X_TOGETHER.
static int together(const VtaInsn *i) {
  bool dense = (i->iter_in == 1 || i->dst_in == 1) && (i->iter_out == 1 || i->dst_out == i->iter_in);
  if (i->opcode != OPC_GEMM || !i->reset || i->uop_end - i->uop_begin != 1 || !dense) return 0;
  uint32_t n = i->iter_out * i->iter_in;
  return n == 1 ? 1 : n < 32 ? 2 : 3;
}

static void cover_loop(Coverage *c, const VtaInsn *i, const VtaUop *uops) {
  int kind = loop_kind(i), writer = 2 + kind, reader = kind == 0 ? 0 : kind - 1;
  if (i->iter_out == 0) hit(c, X_ZERO_LOOP, kind, 0, 0, 0);
  if (i->iter_in == 0) hit(c, X_ZERO_LOOP, kind, 1, 0, 0);
  if (i->uop_begin >= i->uop_end) hit(c, X_ZERO_LOOP, kind, i->uop_begin == i->uop_end ? 2 : 3, 0, 0);
  uint64_t steps = coverage_steps(i);
  if (steps == 0) return;
  if (i->uop_begin == 0) hit(c, X_UOP_EDGE, kind, 0, 0, 0);
  if (i->uop_end == vta_depth(&c->config, MEM_UOP)) hit(c, X_UOP_EDGE, kind, 1, 0, 0);
  if (kind == 2 && i->alu_op == ALU_SHR) {
    int amount = abs(i->imm), most = amount == 0 ? 0 : amount < 16 ? 1 : amount < 32 ? 2 : 3;
    hit(c, X_SHIFT, i->imm < 0 ? most + 3 : most, 0, 0, 0);
  }
  for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
    if (c->uop_load[k]) hit(c, X_UOP_RAW, kind, far(c->insn - c->uop_load[k]), 0, 0);
    c->uop_use[k] = c->insn;
    c->uop_user[k] = kind;
  }
  for (uint64_t k = 0; k < steps; k++) {
    VtaUop u = coverage_step(i, uops, k);
    c->step++;
    if (kind != 1) read_acc(c, u.dst, kind == 0 ? 0 : (kind == 2 ? 1 : 6) + (int)i->alu_op, reader);
    if (kind == 3) read_acc(c, u.src, 11 + (int)i->alu_op, reader);
    write_acc(c, u.dst, writer, c->step);
    if (kind != 1) read_done(c, u.dst, reader);
    if (kind == 3) read_done(c, u.src, reader);
    c->acc[u.dst].together = together(i);
  }
}

// ---- transfers ------------------------------------------------------------------------------------------------------

// The memory's place in LOADS.
static int loads(const VtaInsn *i) { return i->memory == MEM_ACC8 ? 4 : (int)i->memory; }

static int rows(const VtaInsn *i) {
  if (i->y_size == 1) return 0;
  return i->x_stride == 0 ? 4 : i->x_stride == i->x_size ? 1 : i->x_stride > i->x_size ? 2 : 3;
}

// Beats are of 8 bytes, bursts of at most 32.
static void cover_row(Coverage *c, const VtaInsn *i, uint64_t at, uint64_t bytes) {
  uint64_t beats = (at % 8 + bytes + 7) / 8, ends = (at % 4096 + bytes) / 4096;
  bool up_to = (at + bytes) % 4096 == 0, more = beats > 32;
  int how = ends == 0 ? 0 : ends == 1 && up_to ? 1 : ends - up_to == 1 ? 2 : 3;
  hit(c, X_BURST, (int)i->memory, (more ? 3 : 0) + how, 0, 0);
  if (i->memory == MEM_UOP) hit(c, X_LANE, at % 8 != 0, i->x_size % 2, i->x_stride % 2, 0);
}

static void cover_move(Coverage *c, const VtaInsn *i) {
  bool store = i->opcode == OPC_STORE, in_x = i->x_pad0 || i->x_pad1, in_y = i->y_pad0 || i->y_pad1;
  if (store && !(i->x_size && i->y_size)) hit(c, X_ZERO_STORE, i->x_size ? 2 : i->memory != MEM_OUT, 0, 0, 0);
  if (!store && !i->x_size) hit(c, X_ZERO_LOAD, loads(i), in_x || in_y, 0, 0);
  else if (!store && !i->y_size) hit(c, X_ZERO_LOAD, loads(i), 2 + (in_x || in_y), 0, 0);
  uint32_t tiles = i->x_size ? (i->y_pad0 + i->y_size + i->y_pad1) * (i->x_pad0 + i->x_size + i->x_pad1) : 0;
  uint64_t elem = (uint64_t)vta_elem_bytes(&c->config, i->memory);
  if (tiles == 0) return;
  if (i->sram_base == 0) hit(c, X_EDGE, (int)i->memory, 0, 0, 0);
  if (i->sram_base + tiles == vta_depth(&c->config, i->memory)) hit(c, X_EDGE, (int)i->memory, 1, 0, 0);
  for (uint32_t k = i->sram_base; store && k < i->sram_base + tiles; k++) come(c, k, 5);
  if (i->y_size && store) hit(c, X_STORE, rows(i), 0, 0, 0);
  if (i->y_size && !store) hit(c, X_LOAD, loads(i), in_x + 2 * in_y, rows(i), 0);
  for (uint32_t y = 0; y < i->y_size; y++)
    cover_row(c, i, (i->dram_base + (uint64_t)y * i->x_stride) * elem, i->x_size * elem);
  for (uint32_t k = i->sram_base; k < i->sram_base + tiles && !store; k++) {
    if (i->memory == MEM_ACC || i->memory == MEM_ACC8) write_acc(c, k, i->memory == MEM_ACC8, 0);
    if (i->memory != MEM_UOP) continue;
    if (c->uop_use[k]) hit(c, X_UOP_WAR, c->uop_user[k], far(c->insn - c->uop_use[k]), 0, 0);
    c->uop_load[k] = c->insn;
  }
}

// ---- streams --------------------------------------------------------------------------------------------------------

void coverage_begin(Coverage *c) {
  memset(c->acc, 0, sizeof c->acc);
  memset(c->uop_load, 0, sizeof c->uop_load);
  memset(c->uop_use, 0, sizeof c->uop_use);
  c->insn = 0;
  c->step = 0;
}

void coverage_insn(Coverage *c, const VtaInsn *i, const VtaUop *uops) {
  if (vta_unit(i) == UNIT_COMPUTE) c->insn++;
  switch (i->opcode) {
  case OPC_LOAD:
  case OPC_STORE: cover_move(c, i); break;
  case OPC_GEMM:
  case OPC_ALU: cover_loop(c, i, uops); break;
  case OPC_FINISH: break;
  }
}

void coverage_token(Coverage *c, int channel, size_t under_way) {
  hit(c, X_FLIGHT, channel, under_way <= 2 ? (int)under_way - 1 : under_way < 8 ? 2 : 3, 0, 0);
}

void coverage_stream(Coverage *c, const VtaInsn *insns, size_t n) {
  for (size_t k = 0; k < n; k++) {
    const VtaInsn *i = &insns[k];
    bool moves = i->opcode == OPC_LOAD || i->opcode == OPC_STORE;
    bool works = moves ? i->x_size && i->y_pad0 + i->y_size + i->y_pad1 : coverage_steps(i) != 0;
    if (i->opcode != OPC_FINISH)
      hit(c, X_TOKENS, (int)vta_unit(i) - 1, i->pop_prev + 2 * i->pop_next, i->push_prev + 2 * i->push_next, !works);
  }
}

Coverage *coverage_new(const VtaConfig *config) {
  Coverage *c = calloc(1, sizeof *c);
  bool ok = c != NULL;
  if (c) c->config = *config;
  for (CrossId id = 0; ok && id < CROSSES; id++) {
    c->bins[id] = calloc(cross_size(&crosses[id]), sizeof **c->bins);
    ok = c->bins[id] != NULL;
  }
  if (ok) return c;
  coverage_free(c);
  return NULL;
}

void coverage_free(Coverage *c) {
  for (CrossId id = 0; c && id < CROSSES; id++) free(c->bins[id]);
  free(c);
}
