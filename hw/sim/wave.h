// SPDX-License-Identifier: Apache-2.0
// The waveform of a model that was made for it (--trace-fst); in others nothing is left of it.
#ifndef TETC_HW_WAVE_H
#define TETC_HW_WAVE_H

#include <cstdint>
#include <string>

#ifndef RTL_WAVE
#define RTL_WAVE 0
#endif

class VerilatedContext;

#if RTL_WAVE
class VerilatedFstC;
class Wave {
public:
  ~Wave();
  // All signals of the model into a new file at `path`, but for memories and what is wider than 256 bits. False: *why.
  template <typename Model> bool open(Model *top, const char *path, const char **why) {
    if (!create()) return *why = "there is no memory for it", false;
    attach(top);
    return start(path, why);
  }
  void at(uint64_t time);       // what the signals are now, at that time in ns
  bool close(const char **why); // false: the file is not whole
private:
  bool create();
  bool start(const char *path, const char **why);
  template <typename Model> void attach(Model *top) {
    top->contextp()->traceEverOn(true);
    top->trace(fst_, 99); // levels of the hierarchy
  }
  VerilatedFstC *fst_ = nullptr;
  std::string path_;
};
#else
class Wave {
public:
  template <typename Model> bool open(Model *, const char *, const char **why) {
    return *why = "this model was made without", false;
  }
  void at(uint64_t) {}
  bool close(const char **) { return true; }
};
#endif

#endif
