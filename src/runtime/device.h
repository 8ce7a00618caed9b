// SPDX-License-Identifier: Apache-2.0
// What executes instruction streams: the functional simulator, a recorder, later RTL and boards, behind one interface.
#ifndef TETC_DEVICE_H
#define TETC_DEVICE_H

#include "isa/isa.h"

// ---- memory that host and device share: dram.c ---------------------------------------------------------------------

// A physical address space of up to 4 GiB, starting at 0x1000 (0 is no address). Buffers are page aligned, hence
// aligned to every element size, and read as zero when new. Allocation is thread-safe.
typedef struct TetcDram TetcDram;
TetcDram *tetc_dram_new(void);          // NULL when memory is out
TetcDram *tetc_dram_share(TetcDram *d); // one more user: it lives until each has called tetc_dram_free
void tetc_dram_free(TetcDram *d);
// The host's view of a new buffer, its physical address in *phys; NULL when there is no room.
void *tetc_dram_alloc(TetcDram *d, size_t bytes, uint64_t *phys);
void tetc_dram_release(TetcDram *d, uint64_t phys); // phys: as given by tetc_dram_alloc
// The device's view of bytes [phys, phys + bytes), the host's too where memory is coherent; NULL unless they lie inside
// one buffer.
uint8_t *tetc_dram_at(const TetcDram *d, uint64_t phys, uint64_t bytes);

// Memory without coherence: from now on (before the first buffer) the device sees of the host's writes only what was
// flushed, and the host of the device's only what was invalidated. tetc_dram_at gives the device's view, in which new
// buffers hold 0xA5. False: no memory. What is asked for below is nothing to do where memory is coherent.
bool tetc_dram_split(TetcDram *d);
void tetc_dram_flush(TetcDram *d, uint64_t phys, uint64_t bytes);
bool tetc_dram_invalidate(TetcDram *d, uint64_t phys, uint64_t bytes); // false: what the host wrote would be lost
// Whether the host has written, and not flushed, what the device is about to read, or a line in which it is about to
// write.
bool tetc_dram_dirty(const TetcDram *d, uint64_t phys, uint64_t bytes, bool write);

// ---- counters ------------------------------------------------------------------------------------------------------

// Cycles that the RTL counts by unit and cause: counters.def.
typedef enum TetcCounter {
#define COUNTER(id, text) TETC_CYCLES_##id,
#include "runtime/counters.def"
#undef COUNTER
  TETC_COUNTERS
} TetcCounter;

typedef struct TetcStats {
  uint64_t launches, instructions;
  uint64_t loads[MEM_COUNT];      // LOAD instructions that move data, by memory
  uint64_t load_bytes[MEM_COUNT]; // bytes read from DRAM, padding not counted (upstream counts MEM_ACC8 fourfold)
  uint64_t stores, store_bytes;
  uint64_t gemms, resets, alus;             // instructions
  uint64_t gemm_uops, reset_uops, alu_uops; // micro-operations executed (tile operations)
  uint64_t macs;                            // multiply-accumulates of gemm_uops
  uint64_t cycles;                          // 0 where the device has no notion of time
  uint64_t counters[TETC_COUNTERS];         // only with cycles
} TetcStats;

// ---- faults --------------------------------------------------------------------------------------------------------

// What went wrong in a launch, in one line, and at which of its instructions (the later one first).
typedef struct TetcFault {
  char text[400];
  bool no_memory; // memory is out
  int count;      // of insns that are valid
  size_t insns[2];
} TetcFault;

// ---- the interface -------------------------------------------------------------------------------------------------

typedef struct TetcDevice TetcDevice;
struct TetcDevice {
  const char *name;
  VtaConfig config;
  TetcDram *dram; // owned by the device
  void *self;
  // Runs n instructions, the last of them FINISH, to the end. `marks` (NULL: none) has a number for each, whose meaning
  // is the caller's: where it comes from. False: *fault says what went wrong.
  bool (*launch)(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault);
  void (*reset)(void *self);             // forgets tokens and a half-done stream; on-chip contents become undefined
  void (*check)(void *self, bool on);    // hazard checker; may be NULL
  const TetcStats *(*stats)(void *self); // since creation or the last clear
  void (*clear_stats)(void *self);
  bool (*finish)(void *self, const char **why); // ends the files that it writes; false: one is not whole. May be NULL
  void (*free)(void *self);                     // frees dram and the TetcDevice too
};

// fsim.c: the functional simulator. NULL when memory is out. `config` must be one that encodes.
TetcDevice *tetc_fsim_new(const VtaConfig *config);
// Which implementation computes: 0 the best this machine has, 1 plain C, 2 AVX2, 3 AVX-512 VNNI. False: not available.
bool tetc_fsim_use(TetcDevice *d, int level);
const char *tetc_fsim_level_name(const TetcDevice *d);
// The simulator's on-chip memories, for tests: raw elements, row-major. OUT and ACC8 give ACC.
void *tetc_fsim_sram(TetcDevice *d, VtaMemory m);
// Calls `see` after every write of an on-chip element, in each instruction's order, micro-op by micro-op: `insn` counts
// from 0 in the launch, m is never OUT or ACC8, data is as tetc_fsim_sram has it. Slow. see NULL: no longer.
typedef void TetcFsimWrite(void *context, size_t insn, VtaMemory m, uint64_t index, const void *data);
void tetc_fsim_watch(TetcDevice *d, TetcFsimWrite *see, void *context);

// rtl.c: the core of hw/ under Verilator, from a module that is loaded when it is wanted.
typedef struct TetcTimeline TetcTimeline; // timeline.h
typedef struct TetcRtlOptions {
  uint32_t latency;       // of the memory, from a request to its first beat, in cycles
  uint32_t write_latency; // from the last beat of a burst to its response
  uint32_t bandwidth;     // per cent of a beat a cycle, in each direction; 0: 100
  uint32_t outstanding;   // read requests that it holds, and write requests; 0: 256
  uint32_t stalls;        // per cent of cycles in which the memory accepts and gives nothing
  bool reorder;           // requests of different clients are served in any order
  uint64_t seed;          // of both
  const char *wave;       // a file for the waveform; NULL: none
  TetcTimeline *timeline; // sees everything that the core does; the caller's. NULL: none
  uint32_t bus;           // bits of a beat
} TetcRtlOptions;
typedef enum TetcRtlMemory {
  TETC_MEMORY_UPSTREAM, // as upstream's simulation has it: 16 cycles, a beat a cycle, writes without latency
  TETC_MEMORY_DRAM      // 100 cycles, 90 % of the beats, 32 requests
} TetcRtlMemory;
TetcRtlOptions tetc_rtl_options(TetcRtlMemory memory);
// Why there is no device: what went wrong, if anything did, and the models that are built, "" if none are.
typedef struct TetcRtlWhy {
  char text[400], models[400];
  bool no_memory; // one that serves had no memory
} TetcRtlWhy;
// NULL, and *why, when no module serves this configuration and bus.
TetcDevice *tetc_rtl_open(const VtaConfig *config, const TetcRtlOptions *options, TetcRtlWhy *why);
void *tetc_rtl_symbol(const TetcDevice *device, const char *name); // a function of its module; NULL: there is none

// model.c: the functional simulator with the cycles that the core would take (timing.h). NULL: no memory, or one that
// pauses or reorders at random, which the model cannot foresee.
TetcDevice *tetc_model_new(const VtaConfig *config, const TetcRtlOptions *options);

// record.c: executes nothing; keeps every launched instruction.
TetcDevice *tetc_record_new(const VtaConfig *config);
// The instructions launched so far, valid until the next launch.
const VtaWord *tetc_record_insns(const TetcDevice *d, size_t *n);
const uint32_t *tetc_record_marks(const TetcDevice *d); // one for each

#endif
