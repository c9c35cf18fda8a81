// Memory for intermediate results that is kept between calls: fresh pages cost more than writing to them.
#pragma once

#include <cstdint>

namespace inter2former {

// Floats at a cache line's start, given back for the next call when the object goes.
class Buffer {
 public:
  explicit Buffer(int64_t floats);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data() const { return data_; }

 private:
  float* data_;
  int64_t floats_;
};

// Frees what no call holds at the moment.
void ReleaseBuffers();

}  // namespace inter2former
