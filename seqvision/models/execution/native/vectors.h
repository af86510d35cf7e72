// Vectors of floats as wide as the processor's registers, and memory for them.
#ifndef SEQVISION_VECTORS_H_
#define SEQVISION_VECTORS_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace seqvision {

// A tile's sums, a word of each of its rows and a vector fit the registers of AVX-512 and AVX.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kRows = 6;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRows = 3;
#else
constexpr int kLanes = 4, kRows = 6;
#endif
constexpr int kPanel = 4 * kLanes;
typedef float Vector __attribute__((vector_size(4 * kLanes)));

// Vectors that lie among other floats, at any of them.
inline Vector Load(const float* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}
inline void Write(const Vector& vector, float* to) { std::memcpy(to, &vector, sizeof(vector)); }

// As many of them as there are, and 0.
inline Vector LoadSome(const float* from, int64_t count) {
  if (count >= kLanes) return Load(from);
  Vector vector = {};
  if (count > 0) std::memcpy(&vector, from, count * sizeof(*from));
  return vector;
}

// The rational function of Eigen and XLA; its error is a few units in the last place.
inline Vector Tanh(Vector x) {
  const Vector limit = Vector{} + 7.90531110763549805f;
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const Vector x2 = x * x;
  Vector p = x2 * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * x2 + -8.60467152213735e-11f;
  p = p * x2 + 5.12229709037114e-08f;
  p = p * x2 + 1.48572235717979e-05f;
  p = p * x2 + 6.37261928875436e-04f;
  p = p * x2 + 4.89352455891786e-03f;
  Vector q = x2 * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * x2 + 2.26843463243900e-03f;
  q = q * x2 + 4.89352518554385e-03f;
  return x * p / q;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Memory = std::unique_ptr<T, Free>;
using Scratch = Memory<float>;

// Memory for numbers of four bytes, to be filled.
template <typename T = float>
Memory<T> Room(int64_t size) {
  const size_t bytes = (std::max<int64_t>(size, 1) * 4 + 63) / 64 * 64;
  Memory<T> memory(static_cast<T*>(std::aligned_alloc(64, bytes)));
  if (!memory) throw std::bad_alloc();
  return memory;
}

// The same, all 0.
template <typename T = float>
Memory<T> Zeros(int64_t size) {
  Memory<T> memory = Room<T>(size);
  std::memset(memory.get(), 0, size * 4);
  return memory;
}

}  // namespace seqvision

#endif  // SEQVISION_VECTORS_H_
