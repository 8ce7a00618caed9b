// SPDX-License-Identifier: Apache-2.0
// The device `rtl`: drives the Verilated core as a host would (AXI-Lite registers), serves its AXI4 master from the
// memory that host and device share, and reads its counters. Compiled once for each model; RTL_MODEL_HEADER names its
// parameters and what Verilator made.
#include "sim/print.h"
#include "sim/watch.h"
#include "sim/wave.h"
#include "verilated.h"

#include <dlfcn.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <new>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

// Registers, and bits of the control register: docs/hardware.md.
enum : uint32_t {
  kControl = 0x00, kCycles = 0x04, kCount = 0x08, kAddress = 0x0c, kWatchdog = 0x3c, kError = 0x40, kReset = 0x44, kTaken = 0x48,
  kTokens = 0x4c, kCounters = 0x80
};
enum : uint32_t { kRunning = 1, kDone = 2, kBusy = 4 };
constexpr uint32_t kRest = 10000000; // more cycles than the longest row of a store takes, in the slowest memory

constexpr uint64_t kBusBytes = uint64_t(1) << MODEL_LOG_BUS;

constexpr uint64_t kPeriod = 10; // ns of a cycle in waveforms; the clock rises in the middle

struct Request {
  unsigned id;
  uint64_t addr;
  unsigned beats, next; // next: the beat to serve
  uint64_t ready;       // cycle from which it is served
  uint8_t *host;        // NULL: a bus error
};

struct Rtl {
  TetcDevice device;
  TetcStats stats;
  TetcRtlOptions options;
  VerilatedContext *context;
  std::string said; // by Verilator's library in this launch
  Model *top;
  uint64_t now, random;
  std::deque<Request> reads, writes;
  bool r_valid; // a beat is shown and not taken yet
  std::deque<uint64_t> responses;     // of writes: the cycles from which they are given
  unsigned read_credit, write_credit; // per cent of a beat that may move
  bool b_error;
  WatchShown shown; // what the timeline saw last
  Wave wave;
  TetcFault *fault;
  bool stuck;            // the bus did not come to rest after an error: the core is wrong
  bool watched, stopped; // stopped: what watches found something, and *fault says what
  TetcRtlWatch watch;
  WatchLaunch watch_launch;
};

// Whether the memory does something in this cycle.
bool lucky(Rtl *r) {
  if (!r->options.stalls) return true;
  r->random ^= r->random << 13, r->random ^= r->random >> 7, r->random ^= r->random << 17;
  return r->random % 100 >= r->options.stalls;
}

// The device's view of a burst, which is inside a page; NULL unless each of its beats touches a buffer.
uint8_t *host_of(Rtl *r, uint64_t addr, unsigned beats) {
  if (!tetc_dram_at(r->device.dram, addr + (beats - 1) * kBusBytes, 1)) return nullptr;
  return tetc_dram_at(r->device.dram, addr, 1);
}

// Which request is served next: the oldest, or with reordering any client's oldest, now and then before the burst that is
// under way has ended.
void choose_read(Rtl *r, uint64_t now) {
  if (!r->options.reorder || r->reads.size() < 2) return;
  size_t n = (r->random = r->random * 6364136223846793005u + 1442695040888963407u) >> 33;
  if (r->reads.front().next && n % 4) return;
  n = n / 4 % r->reads.size();
  for (size_t k = 0; k < n; k++)
    if (r->reads[k].id == r->reads[n].id) n = k;
  if (r->reads[n].ready > now) return;
  Request q = r->reads[n];
  r->reads.erase(r->reads.begin() + static_cast<long>(n));
  r->reads.push_front(q);
}

// A direction of the bus earns its share of a beat each cycle.
void earn(unsigned *credit, unsigned share) {
  if (*credit < 100) *credit += share;
}

// An assertion of the core failed: the run ends with the first line that Verilator says of it, `[0] %Error: FILE: WHAT`.
void stop_at_assertion(Rtl *r) {
  std::string said = r->said.substr(0, r->said.find('\n'));
  size_t at = said.find("Error: ");
  if (r->fault && !r->stopped)
    snprintf(r->fault->text, sizeof r->fault->text, "cycle %llu: %s", static_cast<unsigned long long>(r->now),
             said.c_str() + (at == std::string::npos ? 0 : at + 7));
  r->stopped = true;
  r->said.clear();
  r->context->gotError(false);
  r->context->gotFinish(false);
  r->context->errorCount(0);
}

// What the memory shows the core in a cycle.
void memory_show(Rtl *r, uint64_t now) {
  Model *t = r->top;
  earn(&r->read_credit, r->options.bandwidth);
  earn(&r->write_credit, r->options.bandwidth);
  if (!r->r_valid && r->read_credit >= 100) {
    choose_read(r, now);
    r->r_valid = !r->reads.empty() && r->reads.front().ready <= now && lucky(r);
    if (r->r_valid) {
      r->read_credit -= 100;
      const Request &q = r->reads.front();
      if (q.host) memcpy(&t->m_axi_r_data_i, q.host + q.next * kBusBytes, kBusBytes);
      t->m_axi_r_id_i = q.id;
      t->m_axi_r_resp_i = q.host ? 0 : 2;
      t->m_axi_r_last_i = q.next + 1 == q.beats;
    }
  }
  t->m_axi_r_valid_i = r->r_valid;
  t->m_axi_ar_ready_i = r->reads.size() < r->options.outstanding && lucky(r);
  t->m_axi_aw_ready_i = r->writes.size() + r->responses.size() < r->options.outstanding && lucky(r);
  t->m_axi_w_ready_i = !r->writes.empty() && r->write_credit >= 100 && lucky(r);
  t->m_axi_b_valid_i = !r->responses.empty() && r->responses.front() <= now;
  t->m_axi_b_resp_i = r->b_error ? 2 : 0;
}

// What memory and core hand over in this cycle: requests, beats and responses.
void memory_take(Rtl *r) {
  Model *t = r->top;
  bool ar = t->m_axi_ar_valid_o && t->m_axi_ar_ready_i, got = t->m_axi_r_valid_i && t->m_axi_r_ready_o;
  bool aw = t->m_axi_aw_valid_o && t->m_axi_aw_ready_i, w = t->m_axi_w_valid_o && t->m_axi_w_ready_i;
  bool b = t->m_axi_b_valid_i && t->m_axi_b_ready_o;
  if (b) r->responses.pop_front();
  if (got) {
    r->r_valid = false;
    if (++r->reads.front().next == r->reads.front().beats) r->reads.pop_front();
  }
  if (ar) {
    unsigned beats = t->m_axi_ar_len_o + 1u;
    r->reads.push_back({t->m_axi_ar_id_o, t->m_axi_ar_addr_o, beats, 0, r->now + r->options.latency,
                        host_of(r, t->m_axi_ar_addr_o, beats)});
  }
  if (w) {
    r->write_credit -= 100;
    Request &q = r->writes.front();
    uint8_t data[kBusBytes];
    memcpy(data, &t->m_axi_w_data_o, kBusBytes);
    for (unsigned k = 0; k < kBusBytes && q.host; k++)
      if (uint64_t(t->m_axi_w_strb_o) >> k & 1) q.host[q.next * kBusBytes + k] = data[k];
    r->b_error |= !q.host || (q.next + 1 == q.beats) != (t->m_axi_w_last_o != 0);
    if (++q.next == q.beats) {
      r->writes.pop_front();
      r->responses.push_back(r->now + 1 + r->options.write_latency);
    }
  }
  if (aw) {
    unsigned beats = t->m_axi_aw_len_o + 1u;
    r->writes.push_back({0, t->m_axi_aw_addr_o, beats, 0, r->now, host_of(r, t->m_axi_aw_addr_o, beats)});
  }
}

// One clock cycle, memory included. The core sees what was shown in the cycle before (vta_sim), so outputs and what they
// depend on are there from the start.
void cycle(Rtl *r) {
  Model *t = r->top;
  uint64_t word;
  if (r->options.timeline && watch_word(t->rootp, &r->shown, &word)) tetc_timeline_see(r->options.timeline, r->now, word);
  WatchSample seen;
  if (r->watched) watch_sample(t->rootp, &seen);
  t->clk_i = 0;
  t->eval();
  r->wave.at(kPeriod * r->now);
  memory_take(r);
  memory_show(r, r->now + 1);
  t->clk_i = 1;
  t->eval();
  r->wave.at(kPeriod * r->now + kPeriod / 2);
  if (r->context->gotError()) stop_at_assertion(r);
  if (r->watched && r->fault && !r->stopped)
    r->stopped = !watch_tell(t->rootp, &seen, &r->watch_launch, &r->watch, r->now, r->fault);
  r->now++;
}

void write_register(Rtl *r, uint32_t addr, uint32_t value) {
  r->top->s_axil_aw_valid_i = r->top->s_axil_w_valid_i = 1;
  r->top->s_axil_aw_addr_i = addr;
  r->top->s_axil_w_data_i = value;
  r->top->s_axil_b_ready_i = 1;
  cycle(r);
  r->top->s_axil_aw_valid_i = r->top->s_axil_w_valid_i = 0;
  cycle(r); // the slave takes both at once, and always
}

uint32_t read_register(Rtl *r, uint32_t addr) {
  r->top->s_axil_ar_valid_i = 1;
  r->top->s_axil_ar_addr_i = addr;
  r->top->s_axil_r_ready_i = 1;
  cycle(r);
  r->top->s_axil_ar_valid_i = 0;
  cycle(r);
  return r->top->s_axil_r_data_o;
}

// Core and memory as after power on; what is in the on-chip memories stays.
void power_on(Rtl *r) {
  Model *t = r->top;
  for (int n = 0; n < 5; n++) {
    r->reads.clear(); // what the core still asks for before it sees the reset
    r->writes.clear();
    r->responses.clear();
    r->r_valid = r->b_error = false;
    t->m_axi_r_valid_i = t->m_axi_b_valid_i = t->m_axi_w_ready_i = t->m_axi_aw_ready_i = t->m_axi_ar_ready_i = 0;
    t->rst_i = n < 4;
    cycle(r);
  }
}

// A soft reset, as a host would do it: the core waits until the bus is at rest. One that still runs was broken off.
void rtl_reset(void *self) {
  Rtl *r = static_cast<Rtl *>(self);
  r->fault = nullptr; // nobody is told of what is broken off
  if (r->options.timeline) tetc_timeline_reset(r->options.timeline);
  if (read_register(r, kControl) & kRunning) return power_on(r);
  write_register(r, kReset, 1);
  for (uint32_t n = 0; read_register(r, kControl) & kBusy; n++) {
    cycle(r);
    r->stuck = n > kRest;
    if (r->stuck) return power_on(r);
  }
  r->b_error = false;
}

__attribute__((format(printf, 3, 4)))
bool fail(Rtl *r, size_t at, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  vsnprintf(r->fault->text, sizeof r->fault->text, format, ap);
  va_end(ap);
  r->fault->insns[0] = at;
  r->fault->count = 1;
  return false;
}

// What the instruction alone tells; the core counts cycles.
void count(TetcStats *s, const VtaConfig *c, const VtaInsn *i) {
  if (i->opcode == OPC_LOAD || i->opcode == OPC_STORE) {
    if (!i->x_size) return;
    uint64_t bytes = uint64_t(i->x_size) * i->y_size * uint64_t(vta_elem_bytes(c, i->memory));
    if (i->opcode == OPC_STORE) s->stores += i->y_size != 0, s->store_bytes += bytes;
    else s->loads[i->memory]++, s->load_bytes[i->memory] += bytes;
    return;
  }
  if (i->opcode == OPC_FINISH) return;
  uint64_t uops = i->uop_end > i->uop_begin ? i->uop_end - i->uop_begin : 0;
  uint64_t steps = uops * i->iter_out * i->iter_in;
  if (i->opcode == OPC_ALU) s->alus++, s->alu_uops += steps;
  else if (i->reset) s->resets++, s->reset_uops += steps;
  else {
    s->gemms++, s->gemm_uops += steps;
    s->macs += steps << (c->log_batch + c->log_block_in + c->log_block_out);
  }
}

// A transfer that the bus would serve, but that no single buffer holds: the bus sees beats, not what they are for.
bool check_rows(Rtl *r, size_t k, const VtaInsn *i) {
  if ((i->opcode != OPC_LOAD && i->opcode != OPC_STORE) || !i->x_size || !i->y_size) return true;
  uint64_t elem = static_cast<uint64_t>(vta_elem_bytes(&r->device.config, i->memory));
  uint64_t span = (uint64_t(i->y_size - 1) * i->x_stride + i->x_size) * elem;
  if (tetc_dram_at(r->device.dram, i->dram_base * elem, span)) return true;
  return fail(r, k, "#%zu touches DRAM bytes 0x%llx to 0x%llx, which are not in one buffer", k,
              static_cast<unsigned long long>(i->dram_base * elem),
              static_cast<unsigned long long>(i->dram_base * elem + span));
}

// Notes the instruction that `row` has in hand, if that is known.
void blame(Rtl *r, TetcRow row, const char *what) {
  TetcFault *f = r->fault;
  size_t at, used = strlen(f->text);
  if (!r->options.timeline || !tetc_timeline_at(r->options.timeline, r->now, row, &at)) return;
  snprintf(f->text + used, sizeof f->text - used, "%s #%zu", what, at);
  if (f->count < 2) f->insns[f->count++] = at;
}

// What the error register says, and where it was.
bool fail_core(Rtl *r, uint32_t error, uint32_t taken) {
  static const char *const texts[] = {"", "an instruction that is none", "an index outside of an on-chip memory",
    "a read outside of the buffers", "a write outside of the buffers", "deadlock: nothing has happened for too long",
    "finish is missing, or not the last instruction"};
  static const struct {
    const char *name;
    TetcRow row;
  } sources[] = {{"fetch", ROW_FETCH}, {"micro-op load", ROW_UOP}, {"accumulator load", ROW_ACC}, {"input load", ROW_INP},
                 {"weight load", ROW_WGT}, {"gemm", ROW_GEMM}, {"alu", ROW_ALU}, {"store", ROW_STORE},
                 {"compute", ROW_COMPUTE}};
  uint32_t code = error & 15, source = error >> 8 & 15;
  fail(r, taken, "the core stopped with error %u, %s", code, code < sizeof texts / sizeof *texts ? texts[code] : "unknown");
  r->fault->count = source == 0;
  size_t used = strlen(r->fault->text);
  if (source == 0) snprintf(r->fault->text + used, sizeof r->fault->text - used, ": fetch at #%u", taken);
  else if (source < sizeof sources / sizeof *sources) {
    snprintf(r->fault->text + used, sizeof r->fault->text - used, ": %s", sources[source].name);
    blame(r, sources[source].row, " at");
  } else {
    blame(r, ROW_LOAD, "; load waits at");
    blame(r, ROW_WINDOW, "; compute waits at");
    blame(r, ROW_STORE, "; store waits at");
  }
  return false;
}

bool run(Rtl *r, uint64_t phys, size_t n) {
  write_register(r, kCount, static_cast<uint32_t>(n));
  write_register(r, kAddress, static_cast<uint32_t>(phys));
  write_register(r, kWatchdog, 20000 + 64 * (r->options.latency + r->options.write_latency) + 1000 * (r->options.stalls >= 90));
  write_register(r, kControl, 1);
  while (!r->stopped && !(read_register(r, kControl) & kDone))
    for (int k = 0; k < 62; k++) cycle(r);
  if (r->stopped) return false;
  uint32_t error = read_register(r, kError), taken = read_register(r, kTaken);
  r->stats.cycles += read_register(r, kCycles);
  for (unsigned k = 0; k < TETC_COUNTERS; k++) r->stats.counters[k] += read_register(r, kCounters + 4 * k);
  if (error) return fail_core(r, error, taken);
  uint32_t tokens[2] = {read_register(r, kTokens), read_register(r, kTokens + 4)};
  if (tokens[0] || tokens[1])
    return fail(r, n - 1, "tokens left over: load to compute %u, compute to load %u, compute to store %u, store to "
                "compute %u", tokens[0] & 0xffff, tokens[0] >> 16, tokens[1] & 0xffff, tokens[1] >> 16);
  return true;
}

bool rtl_launch(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault) {
  Rtl *r = static_cast<Rtl *>(self);
  uint64_t phys;
  r->fault = fault;
  r->stopped = false;
  r->watch_launch = WatchLaunch();
  if (n == 0) return true;
  if (r->stuck) return fail(r, 0, "the bus did not come to rest after an error of the core");
  if (n > UINT32_MAX / 16) return fail(r, 0, "a launch of %zu instructions", n);
  void *code = tetc_dram_alloc(r->device.dram, n * sizeof *insns, &phys);
  if (!code) return fail(r, 0, "no device memory for %zu instructions", n);
  memcpy(code, insns, n * sizeof *insns);
  tetc_dram_flush(r->device.dram, phys, n * sizeof *insns);
  if (r->options.timeline) tetc_timeline_launch(r->options.timeline, &r->device.config, insns, marks, n);
  Verilated::threadContextp(r->context);
  tetc_verilated_listen(&r->said);
  bool ok = run(r, phys, n);
  tetc_verilated_listen(nullptr);
  if (r->options.timeline) tetc_timeline_end(r->options.timeline, r->now);
  if (!ok) rtl_reset(r); // while what the core has asked for is still there
  tetc_dram_release(r->device.dram, phys);
  r->stats.launches++;
  r->stats.instructions += n;
  for (size_t k = 0; ok && k < n; k++) {
    VtaInsn i;
    vta_decode(&r->device.config, insns[k], &i);
    count(&r->stats, &r->device.config, &i);
    ok = check_rows(r, k, &i);
  }
  return ok;
}

const TetcStats *rtl_stats(void *self) { return &static_cast<Rtl *>(self)->stats; }

void rtl_clear_stats(void *self) { static_cast<Rtl *>(self)->stats = TetcStats(); }

bool rtl_finish(void *self, const char **why) { return static_cast<Rtl *>(self)->wave.close(why); }

void rtl_free(void *self) {
  Rtl *r = static_cast<Rtl *>(self);
  if (r->top) r->top->final();
  delete r->top;
  delete r->context;
  tetc_dram_free(r->device.dram);
  delete r;
}

// Whether this model is the core of a configuration.
bool serves(const VtaConfig *c) {
#define PARAM(name, value) && MODEL_##name == (value)
  return true
#include "params.def"
      ;
#undef PARAM
}

} // namespace

// Without memory, Verilator's code would end in abort(), some of it on threads of its own. tetc, where it is the program,
// has a way to end that tells it; in other programs operator new throws as it always does.
static void (*leave_without_memory)();

static void on_new_failed() {
  leave_without_memory();
  std::set_new_handler(nullptr); // nobody wants to end: it throws
}

__attribute__((constructor(101))) static void start() {
  void *leave = dlsym(RTLD_DEFAULT, "tetc_module_without_memory"); // src/backend_llvm/load.c
  if (!leave) return;
  leave_without_memory = reinterpret_cast<void (*)()>(leave);
  std::set_new_handler(on_new_failed);
}

extern "C" __attribute__((visibility("default")))
TetcDevice *tetc_rtl_new(const VtaConfig *config, const TetcRtlOptions *options, const char **why) {
  *why = nullptr;
  if (!serves(config) || options->bus != 8 * kBusBytes || (options->wave && !RTL_WAVE)) return nullptr;
  *why = "there is no memory for the device";
  Rtl *r = new (std::nothrow) Rtl();
  if (!r) return nullptr;
  r->options = *options;
  if (!options->bandwidth) r->options.bandwidth = 100;
  if (!options->outstanding) r->options.outstanding = 256;
  r->random = options->seed * 2654435761u + 88172645463325252u;
  r->device.name = "rtl";
  r->device.config = *config;
  r->device.dram = tetc_dram_new();
  r->device.self = r;
  r->device.launch = rtl_launch;
  r->device.reset = rtl_reset;
  r->device.stats = rtl_stats;
  r->device.clear_stats = rtl_clear_stats;
  r->device.finish = rtl_finish;
  r->device.free = rtl_free;
  if (!r->device.dram) return rtl_free(r), nullptr;
  try {
    r->context = new VerilatedContext; // starts threads, too
    r->context->fatalOnError(false);   // an assertion stops the run: see stop_at_assertion
    r->top = new Model(r->context);
  } catch (const std::exception &) {
    errno = ENOMEM;
    return rtl_free(r), nullptr;
  }
  if (options->wave && !r->wave.open(r->top, options->wave, why)) return rtl_free(r), nullptr;
  power_on(r);
  *why = nullptr;
  return &r->device;
}

extern "C" __attribute__((visibility("default")))
void tetc_rtl_sram(TetcDevice *device, VtaMemory m, void *to) {
  Rtl *r = static_cast<Rtl *>(device->self);
  uint8_t *p = static_cast<uint8_t *>(to);
  size_t elem = static_cast<size_t>(vta_elem_bytes(&device->config, m));
  uint32_t depth = static_cast<uint32_t>(vta_depth(&device->config, m));
  for (uint32_t k = 0; k < depth; k++) memcpy(p + k * elem, watch_row(r->top->rootp, m, k), elem);
}

extern "C" __attribute__((visibility("default")))
void tetc_rtl_watch(TetcDevice *device, const TetcRtlWatch *watch) {
  Rtl *r = static_cast<Rtl *>(device->self);
  r->watched = watch != nullptr;
  if (watch) r->watch = *watch;
}

extern "C" __attribute__((visibility("default")))
uint32_t tetc_rtl_read(TetcDevice *device, uint32_t address, bool *ok) {
  Rtl *r = static_cast<Rtl *>(device->self);
  uint32_t value = read_register(r, address);
  *ok = r->top->s_axil_r_resp_o == 0;
  return value;
}

extern "C" __attribute__((visibility("default")))
bool tetc_rtl_write(TetcDevice *device, uint32_t address, uint32_t value) {
  Rtl *r = static_cast<Rtl *>(device->self);
  write_register(r, address, value);
  return r->top->s_axil_b_resp_o == 0;
}

extern "C" __attribute__((visibility("default")))
void tetc_rtl_disturb(TetcDevice *device) {
  Rtl *r = static_cast<Rtl *>(device->self);
  r->responses.push_back(r->now);
}
