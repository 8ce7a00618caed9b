// SPDX-License-Identifier: Apache-2.0
// Which device executes VTA instructions, and its counters as text.
#include "driver/driver.h"

TetcRtlOptions device_core(const Options *o, const TetcRtlOptions *board) {
  TetcRtlOptions r = *board;
  if (o->rtl_memory >= 0) {
    r = tetc_rtl_options((TetcRtlMemory)o->rtl_memory);
    r.bus = board->bus;
  }
  if (o->rtl_latency >= 0) r.latency = (uint32_t)o->rtl_latency;
  if (o->rtl_write_latency >= 0) r.write_latency = (uint32_t)o->rtl_write_latency;
  if (o->rtl_bandwidth >= 0) r.bandwidth = (uint32_t)o->rtl_bandwidth;
  if (o->rtl_outstanding >= 0) r.outstanding = (uint32_t)o->rtl_outstanding;
  r.stalls = (uint32_t)o->rtl_stalls;
  r.reorder = o->rtl_reorder;
  r.seed = (uint64_t)o->seed;
  if (o->rtl_bus >= 0) r.bus = 64u << o->rtl_bus;
  return r;
}

// The core under Verilator. Each configuration and bus is a model of its own, and not all are built.
static TetcDevice *open_rtl(Driver *d, const VtaConfig *config, TetcTimeline *timeline, const char *wave) {
  TetcRtlWhy why;
  TetcRtlOptions o = d->board.core;
  o.timeline = timeline;
  o.wave = wave;
  TetcDevice *device = tetc_rtl_open(config, &o, &why);
  if (device) return device;
  if (why.no_memory) {
    diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the device");
    return NULL;
  }
  Diag *g = diag_report(d->cx.diags, E_RUN, (Loc){0}, "the device `rtl` is not available%s for %s and a bus of %u bits",
                        wave ? " with waveforms" : "",
                        d->opt.vta_config ? d->opt.vta_config : "the default configuration", o.bus);
  if (why.text[0]) diag_note(g, "%s", why.text);
  if (why.models[0]) diag_note(g, "a model is built for: %s (configuration and bits of the bus)", why.models);
  else
    diag_note(g, "no model of the core is beside tetc: it was built without %s",
              wave ? "Verilator or zlib" : "Verilator");
  if (wave) diag_help(g, "in the source tree, `ninja -C build hw/wave/libtetc_rtl_MODEL.so` adds waveforms to a model");
  else
    diag_help(g, "in the source tree, `./dev rtl %s %u` builds the model",
              d->opt.vta_config ? d->opt.vta_config : "hw/configs/default.json", o.bus);
  return NULL;
}

// The functional simulator with the timing model beside it. (Options that it cannot follow were refused.)
static TetcDevice *open_model(Driver *d, const VtaConfig *config, TetcTimeline *timeline) {
  TetcRtlOptions o = d->board.core;
  o.timeline = timeline;
  return tetc_model_new(config, &o);
}

bool device_timed(const Options *o) {
  switch ((DeviceKind)o->device) {
  case DEVICE_RTL: return true;
  case DEVICE_MODEL: return true;
  case DEVICE_FSIM: return o->stats;
  case DEVICE_HOST: return false;
  }
  return false;
}

// Opens the device that --device names. A new kind is an entry of the enum and a case here.
TetcDevice *device_open(Driver *d, const VtaConfig *config, TetcTimeline *timeline, const char *wave) {
  TetcDevice *device = NULL;
  switch ((DeviceKind)d->opt.device) {
  case DEVICE_FSIM: device = device_timed(&d->opt) ? open_model(d, config, timeline) : tetc_fsim_new(config); break;
  case DEVICE_HOST: bug("there is no device for what runs on the host");
  case DEVICE_MODEL: device = open_model(d, config, timeline); break;
  case DEVICE_RTL:
    device = open_rtl(d, config, timeline, wave);
    if (!device) return NULL;
    break;
  }
  if (device && d->opt.incoherent && !tetc_dram_split(device->dram)) {
    device->free(device->self);
    device = NULL;
  }
  if (!device) diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the device");
  return device;
}

bool device_has_rtl(const Driver *d, const VtaConfig *config) {
  TetcRtlWhy why;
  TetcRtlOptions o = d->board.core;
  TetcDevice *device = tetc_rtl_open(config, &o, &why);
  if (device) device->free(device->self);
  return device != NULL;
}

typedef unsigned long long Count;

// The least number of cycles for each of what may bound a kernel, and how near this run came: the roofline model.
static void roofline_stats(const Driver *d, const TetcStats *s, const VtaConfig *c, Text *out) {
  static const char *const names[] = {"the multipliers", "the alu", "reading", "writing"};
  double share = (double)d->board.core.bandwidth / 100, traffic = (double)(s->store_bytes + 16 * s->instructions);
  double least[] = {(double)s->gemm_uops, (double)s->counters[TETC_CYCLES_ALU_STEPS],
                    (double)s->counters[TETC_CYCLES_READ_BEATS] / share,
                    (double)s->counters[TETC_CYCLES_WRITE_BEATS] / share};
  int bound = 0;
  for (int k = 1; k < 4; k++)
    if (least[k] > least[bound]) bound = k;
  for (int m = 0; m < MEM_COUNT; m++) traffic += (double)s->load_bytes[m];
  text_add(out, "stats: at least %.0f cycles for %s, %.0f for %s, %.0f for %s, %.0f for %s\n", least[0], names[0],
           least[1], names[1], least[2], names[2], least[3], names[3]);
  if (s->macs)
    text_add(
        out,
        "stats: roofline: %.1f multiply-accumulates a byte, peak %d a cycle, bus %.1f bytes a cycle each way: %.1f a "
        "cycle are possible\n",
        (double)s->macs / traffic, 1 << (c->log_batch + c->log_block_in + c->log_block_out),
        d->board.core.bus / 8 * share, (double)s->macs / least[bound]);
  text_add(out, "stats: roofline: bound by %s; %.1f %% of it achieved\n", names[bound],
           100 * least[bound] / (double)s->cycles);
}

// What the core counted, and how much of its arithmetic was used.
static void cycle_stats(const Driver *d, const TetcStats *s, const VtaConfig *c, Text *out) {
  static const char *const texts[] = {
#define COUNTER(id, text) text,
#include "runtime/counters.def"
#undef COUNTER
  };
  double peak = (double)(1 << (c->log_batch + c->log_block_in + c->log_block_out));
  text_add(out, "stats: %llu cycles, %.1f multiply-accumulates a cycle: %.1f %% of the peak\n", (Count)s->cycles,
           (double)s->macs / (double)s->cycles, 100 * (double)s->macs / (double)s->cycles / peak);
  if (d->board.mhz > 0)
    text_add(out, "stats: %.6g ms at %.6g MHz, as `%s` has it\n", (double)s->cycles / d->board.mhz / 1e3, d->board.mhz,
             d->opt.board);
  for (int k = 0; k < TETC_COUNTERS; k++)
    if (s->counters[k])
      text_add(out, "stats: %-40s %10llu cycles %5.1f %%\n", texts[k], (Count)s->counters[k],
               100 * (double)s->counters[k] / (double)s->cycles);
  roofline_stats(d, s, c, out);
}

// Counters, a line a unit. `tiles` are micro-operations: one tile of the accumulator each.
void device_stats(const Driver *d, const TetcStats *s, const VtaConfig *c, Text *out) {
  Count moved = 0;
  text_add(out, "stats: %llu instructions in %llu launches (block %dx%dx%d)\n", (Count)s->instructions,
           (Count)s->launches, 1 << c->log_batch, 1 << c->log_block_in, 1 << c->log_block_out);
  for (int m = 0; m < MEM_COUNT; m++) {
    moved += s->load_bytes[m];
    if (s->loads[m])
      text_add(out, "stats: load %-4s %10llu instructions %12llu bytes\n", vta_memory_name((VtaMemory)m),
               (Count)s->loads[m], (Count)s->load_bytes[m]);
  }
  text_add(out, "stats: store     %10llu instructions %12llu bytes\n", (Count)s->stores, (Count)s->store_bytes);
  text_add(out, "stats: gemm      %10llu instructions %12llu tiles %14llu multiply-accumulates\n", (Count)s->gemms,
           (Count)s->gemm_uops, (Count)s->macs);
  text_add(out, "stats: reset     %10llu instructions %12llu tiles\n", (Count)s->resets, (Count)s->reset_uops);
  text_add(out, "stats: alu       %10llu instructions %12llu tiles\n", (Count)s->alus, (Count)s->alu_uops);
  text_add(out, "stats: %llu bytes loaded, %llu bytes stored\n", moved, (Count)s->store_bytes);
  if (s->cycles) cycle_stats(d, s, c, out);
}
