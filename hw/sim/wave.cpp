// SPDX-License-Identifier: Apache-2.0
// Waveforms in the FST format. The library that writes them does not tell of errors: the finished file is looked at.
#include "sim/wave.h"

#include "verilated_fst_c.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

enum : unsigned char { FstHeader = 0, FstGeometry = 3, FstHierarchy = 4, FstHierarchyLz4 = 6, FstHierarchyDuo = 7, FstSkip = 255 };

// A whole FST file is a chain of blocks, each of a type and its big-endian length, which ends where the file does; the
// first is the header, and geometry and hierarchy, written last, are among them. Where a write failed and a later one did
// not, the file has a hole.
bool whole(int fd, uint64_t size) {
  unsigned char head[9];
  bool geometry = false, hierarchy = false;
  uint64_t at = 0;
  for (uint64_t length; at < size; at += 1 + length) {
    if (pread(fd, head, sizeof head, static_cast<off_t>(at)) != static_cast<ssize_t>(sizeof head)) return false;
    length = 0;
    for (int k = 1; k < 9; k++) length = length << 8 | head[k];
    if (length < 8 || length > size || (at == 0) != (head[0] == FstHeader) || head[0] == FstSkip) return false;
    geometry |= head[0] == FstGeometry;
    hierarchy |= head[0] == FstHierarchy || head[0] == FstHierarchyLz4 || head[0] == FstHierarchyDuo;
  }
  return at == size && geometry && hierarchy && lseek(fd, 0, SEEK_HOLE) == static_cast<off_t>(size);
}

} // namespace

// The library's own temporary files, some hundred kilobytes: it maps them, and where they cannot be written it would crash.
// The linker puts this in the place of tmpfile (--wrap).
extern "C" FILE *__wrap_tmpfile64() {
  int fd = memfd_create("tetc-wave", MFD_CLOEXEC);
  return fd < 0 ? nullptr : fdopen(fd, "w+b");
}

extern "C" FILE *__wrap_tmpfile() { return __wrap_tmpfile64(); }

Wave::~Wave() { delete fst_; }

bool Wave::create() { return fst_ || (fst_ = new (std::nothrow) VerilatedFstC); }

bool Wave::start(const char *path, const char **why) {
  path_ = path;
  fst_->set_time_unit("1ns");
  fst_->set_time_resolution("1ns");
  fst_->open(path);
  if (fst_->isOpen()) return true;
  *why = std::strerror(errno);
  return false;
}

void Wave::at(uint64_t time) {
  if (fst_ && fst_->isOpen()) fst_->dump(time);
}

bool Wave::close(const char **why) {
  if (!fst_ || !fst_->isOpen()) return true;
  errno = 0;
  fst_->close();
  int error = errno, fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat st;
  bool ok = fd >= 0 && !fsync(fd) && !fstat(fd, &st) && whole(fd, static_cast<uint64_t>(st.st_size));
  if (fd >= 0) ::close(fd);
  if (!ok) *why = error == ENOSPC || error == EFBIG || error == EDQUOT ? std::strerror(error) : "it could not be written whole";
  return ok;
}
