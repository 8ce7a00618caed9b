// SPDX-License-Identifier: Apache-2.0
// The instruction stream: tokens ride on neighbouring instructions where they can, on no-ops where they cannot.
//
// Upstream's rules, slightly widened: a push may ride on the newest instruction of its unit (whatever other units were
// given since: units see only their own instructions), a pop rides on the unit's next one.
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

void queue_clear(Queue *q) {
  q->count = 0;
  memset(q->last, 0, sizeof q->last);
  memset(q->pending, 0, sizeof q->pending);
  memset(q->carried, 0, sizeof q->carried);
}

// Appends one instruction with the given pop flags.
static bool append(TetcRuntime *rt, const VtaInsn *i, uint64_t pops) {
  Queue *q = &rt->queue;
  if (q->count == q->cap) {
    size_t cap = q->cap ? 2 * q->cap : 1024;
    VtaWord *words = realloc(q->words, cap * sizeof *words);
    if (words) q->words = words;
    uint32_t *marks = words ? realloc(q->marks, cap * sizeof *marks) : NULL;
    if (!marks) {
      runtime_no_memory(rt, "the instructions");
      return false;
    }
    q->marks = marks;
    q->cap = cap;
  }
  VtaWord w = vta_encode(&rt->config, i);
  w.lo |= pops;
  q->marks[q->count] = q->mark;
  q->words[q->count++] = w;
  q->last[vta_unit(i)] = q->count;
  return true;
}

bool queue_emit(TetcRuntime *rt, const VtaInsn *i) {
  VtaUnit unit = vta_unit(i);
  uint64_t pops = rt->queue.pending[unit];
  rt->queue.pending[unit] = 0;
  return append(rt, i, pops);
}

bool queue_emit_early(TetcRuntime *rt, const VtaInsn *i) { return append(rt, i, 0); }

// A no-op of a unit: a load or store of nothing. Upstream's store no-op names memory 0.
static VtaInsn noop(int unit) {
  VtaInsn i = {.opcode = unit == UNIT_STORE ? OPC_STORE : OPC_LOAD};
  i.memory = unit == UNIT_LOAD ? MEM_INP : MEM_UOP;
  return i;
}

// Gives the unit's pending pops an instruction of their own.
static bool commit_pops(TetcRuntime *rt, int unit) {
  VtaInsn i = noop(unit);
  return !rt->queue.pending[unit] || queue_emit(rt, &i);
}

static bool bad_pair(TetcRuntime *rt, int from, int to) {
  runtime_fail(rt, "there is no token channel from unit %d to unit %d", from, to);
  return false;
}

bool queue_push(TetcRuntime *rt, int from, int to) {
  Queue *q = &rt->queue;
  int ch = vta_channel(from, to);
  if (ch < 0) return bad_pair(rt, from, to);
  if (!commit_pops(rt, from)) return false;
  uint64_t flag = from < to ? FLAG_PUSH_NEXT : FLAG_PUSH_PREV;
  if (!q->last[from] || (q->words[q->last[from] - 1].lo & flag)) {
    VtaInsn i = noop(from);
    if (!append(rt, &i, 0)) return false;
  }
  q->words[q->last[from] - 1].lo |= flag;
  q->carried[ch]++;
  return true;
}

bool queue_pop(TetcRuntime *rt, int from, int to) {
  Queue *q = &rt->queue;
  int ch = vta_channel(from, to);
  if (ch < 0) return bad_pair(rt, from, to);
  uint64_t flag = from < to ? FLAG_POP_PREV : FLAG_POP_NEXT;
  if ((q->pending[to] & flag) && !commit_pops(rt, to)) return false;
  q->pending[to] |= flag;
  q->carried[ch]--; // may pass below zero (as a large number) in a stream that pops first
  return true;
}

// Makes compute wait for everything a unit was given in this launch.
static bool drain(TetcRuntime *rt, int unit) {
  return !rt->queue.last[unit] || (queue_push(rt, unit, UNIT_COMPUTE) && queue_pop(rt, unit, UNIT_COMPUTE));
}

// Ends a stream as upstream does: load and store have drained before FINISH, which itself carries no pops.
static bool finish(TetcRuntime *rt) {
  if (!commit_pops(rt, UNIT_LOAD) || !commit_pops(rt, UNIT_COMPUTE) || !commit_pops(rt, UNIT_STORE)) return false;
  if (!drain(rt, UNIT_STORE) || !drain(rt, UNIT_LOAD) || !commit_pops(rt, UNIT_COMPUTE)) return false;
  VtaInsn end = {.opcode = OPC_FINISH};
  return queue_emit(rt, &end);
}

// Cutting a stream: tokens on their way are taken in by their readers before the cut, and given again after it. A
// token given later orders no less. Not possible where a reader waits for a token that is yet to be given.
static bool tokens_take(TetcRuntime *rt, uint64_t carried[VTA_CHANNEL_COUNT]) {
  memcpy(carried, rt->queue.carried, sizeof rt->queue.carried);
  for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
    for (uint64_t n = carried[ch]; n; n--)
      if (!queue_pop(rt, vta_channel_from[ch], vta_channel_to[ch])) return false;
  return true;
}

static bool tokens_give(TetcRuntime *rt, const uint64_t carried[VTA_CHANNEL_COUNT]) {
  for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
    for (uint64_t n = carried[ch]; n; n--)
      if (!queue_push(rt, vta_channel_from[ch], vta_channel_to[ch])) return false;
  return true;
}

// Whether the stream may be cut here: no channel has been read more often than written.
static bool can_cut(const Queue *q) {
  for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
    if (q->carried[ch] > (uint64_t)1 << 20) return false;
  return true;
}

// Runs what is queued. keep_tokens: the stream goes on in the next launch; else tokens left over are the device's to
// find. Nothing queued: nothing to do.
bool queue_launch(TetcRuntime *rt, bool keep_tokens) {
  Queue *q = &rt->queue;
  uint64_t carried[VTA_CHANNEL_COUNT] = {0};
  if (q->count == 0 && !q->pending[UNIT_LOAD] && !q->pending[UNIT_COMPUTE] && !q->pending[UNIT_STORE]) return true;
  if (keep_tokens && !can_cut(q)) {
    runtime_fail(rt, "the instructions so far wait for tokens that are yet to be given: they cannot run alone");
    return false;
  }
  if (keep_tokens && !tokens_take(rt, carried)) return false;
  if (!finish(rt)) return false;
  TetcFault fault = {.count = 0};
  if (!rt->device->launch(rt->device->self, q->words, q->marks, q->count, &fault)) {
    if (!rt->error[0]) {
      rt->nfault = fault.count;
      for (int i = 0; i < fault.count; i++) rt->fault[i] = q->marks[fault.insns[i]];
    }
    if (!rt->error[0]) rt->no_memory = fault.no_memory;
    runtime_fail(rt, "%s", fault.text[0] ? fault.text : "the device failed");
    return false;
  }
  queue_clear(q);
  return !keep_tokens || tokens_give(rt, carried);
}

bool queue_reserve(TetcRuntime *rt) {
  Queue *q = &rt->queue;
  enum { ROOM = 16 }; // a kernel, its micro-op load, no-ops, the drain and FINISH
  uint64_t tokens = q->carried[0] + q->carried[1] + q->carried[2] + q->carried[3];
  if (!can_cut(q) || q->count + ROOM + tokens < q->limit) return true;
  if (tokens > q->limit / 4) return true; // a cut would mostly carry tokens over
  return queue_launch(rt, true);
}
